//! What of a document goes into the index, and where a condition is looked up.
//!
//! Stored in `index.db`: whoever changes anything here changes the index's format number.

use std::ops::Bound;

use cresset_model::{Base, ResourceType};
use cresset_store::{Condition, IndexDocument, IndexedValue, Query, Span, Test, Within, clip};
use rusqlite::ToSql;
use rusqlite::types::ToSqlOutput;

use super::rows::nanoseconds;
use crate::fault::Fault;

/// Bytes of a text by which it is looked up.
const START_BYTES_MAX: usize = 32;

/// A value of a bound: a time or a number. Every parameter has values of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Integer(i64),
    Real(f64),
}

impl Value {
    fn rank(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Integer(_), Self::Real(_)) => std::cmp::Ordering::Less,
            (Self::Real(_), Self::Integer(_)) => std::cmp::Ordering::Greater,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.rank(other).is_eq()
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank(other)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Integer(value) => value.to_sql(),
            Self::Real(value) => value.to_sql(),
        }
    }
}

/// One row of the index, without its document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bound(i64, Value),
    Posting(i64),
    Start(i64, String),
}

/// Where the documents are that may fulfil a condition.
#[derive(Debug, Clone)]
pub(super) enum Lookup {
    /// The parameter's bounds between these, both included.
    Bounds(i64, Value, Value),
    /// The document of this id.
    Id(String),
    /// Those with this posting.
    Posting(i64),
    /// Those with a text that starts so.
    Starts(i64, String),
}

/// Hashes what belongs to one resource type of one base (FNV-1a, with the parts kept apart).
struct Hasher<'t> {
    base: u8,
    resource_type: &'t str,
}

impl Hasher<'_> {
    fn hash(&self, kind: &str, parts: &[&str]) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        add(&[self.base]);
        for part in [self.resource_type, kind].iter().chain(parts) {
            // No UTF-8 text holds 0xff, so ("a", "bc") and ("ab", "c") differ.
            add(part.as_bytes());
            add(&[0xff]);
        }
        hash.cast_signed()
    }
}

const TYPE: &str = "type";
const UPDATED: &str = "updated";
const CODE: &str = "code";
const REFERENCE: &str = "reference";
const URL: &str = "url";
const START: &str = "start";
const LOW: &str = "low";
const HIGH: &str = "high";

/// The posting that all documents of a type share.
pub(super) fn type_posting(base: Base, resource_type: &ResourceType) -> i64 {
    Hasher { base: base.number(), resource_type: resource_type.as_str() }.hash(TYPE, &[])
}

/// All rows of a document, sorted, each once.
pub(super) fn keys_of(document: &IndexDocument) -> Result<Vec<Key>, Fault> {
    let (base, resource_type) = (document.key.base, &document.key.resource_type);
    let hasher = Hasher { base: base.number(), resource_type: resource_type.as_str() };
    let mut keys = vec![
        Key::Posting(type_posting(base, resource_type)),
        Key::Bound(hasher.hash(UPDATED, &[]), Value::Integer(nanoseconds(document.last_updated)?)),
    ];
    for row in &document.rows {
        let parameter = row.parameter.as_str();
        let posting = |kind, text| Key::Posting(hasher.hash(kind, &[parameter, clip(text)]));
        let bounds = |low, high| {
            [
                Key::Bound(hasher.hash(LOW, &[parameter]), low),
                Key::Bound(hasher.hash(HIGH, &[parameter]), high),
            ]
        };
        match &row.value {
            IndexedValue::Date { low, high } => {
                keys.extend(bounds(Value::Integer(*low), Value::Integer(*high)));
            }
            IndexedValue::Number { low, high } | IndexedValue::Quantity { low, high, .. } => {
                // SQLite keeps no NaN; one is never within any bounds either.
                if !low.is_nan() && !high.is_nan() {
                    keys.extend(bounds(Value::Real(*low), Value::Real(*high)));
                }
            }
            IndexedValue::Reference { id, .. } => keys.push(posting(REFERENCE, id)),
            IndexedValue::ReferenceUrl(url) | IndexedValue::Uri(url) => {
                keys.push(posting(URL, url));
            }
            IndexedValue::Text { folded, .. } => {
                keys.push(Key::Start(hasher.hash(START, &[parameter]), start(folded)));
            }
            IndexedValue::Token { code, .. } => keys.push(posting(CODE, code)),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Where to look a condition up; `None` if the index has nothing for it.
pub(super) fn lookup(query: &Query, condition: &Condition) -> Option<Lookup> {
    let hasher = Hasher { base: query.base.number(), resource_type: query.resource_type.as_str() };
    let (parameter, test) = match condition {
        Condition::Id(id) => return Some(Lookup::Id(id.as_str().to_owned())),
        Condition::LastUpdated(from, to) => {
            let end = |bound: &Bound<_>, unbounded| match bound {
                Bound::Excluded(at) | Bound::Included(at) => nanoseconds(*at).ok(),
                Bound::Unbounded => Some(unbounded),
            };
            let (from, to) = (end(from, i64::MIN)?, end(to, i64::MAX)?);
            let updated = hasher.hash(UPDATED, &[]);
            return Some(Lookup::Bounds(updated, Value::Integer(from), Value::Integer(to)));
        }
        Condition::Missing { .. } => return None,
        Condition::Value { parameter, test } => (parameter.as_str(), test),
    };
    let posting = |kind, text| Some(Lookup::Posting(hasher.hash(kind, &[parameter, clip(text)])));
    let starts = |text: &str| Some(Lookup::Starts(hasher.hash(START, &[parameter]), start(text)));
    let bounds = |(end, from, to)| Some(Lookup::Bounds(hasher.hash(end, &[parameter]), from, to));
    match test {
        Test::Date(within) => bounds(narrow(within, Value::Integer, i64::MIN, i64::MAX)?),
        Test::Number(within) | Test::Quantity { within, .. } => {
            bounds(narrow(within, Value::Real, f64::NEG_INFINITY, f64::INFINITY)?)
        }
        Test::Reference { id, .. } => posting(REFERENCE, id),
        Test::ReferenceUrl(url) | Test::Uri(url) => posting(URL, url),
        Test::TextExact { folded, .. } => starts(folded),
        Test::TextPrefix(text) if text.is_empty() => None,
        Test::TextPrefix(text) => starts(text),
        Test::Token { code: Some(code), .. } => posting(CODE, code),
        Test::TextContains(_) | Test::Token { code: None, .. } | Test::UriPrefix(_) => None,
    }
}

/// The end of a range that is worth looking up, and between what: a lower end is never above the
/// upper one, so each end is bounded by both spans.
fn narrow<T: PartialOrd + Copy>(
    within: &Within<T>,
    value: impl Fn(T) -> Value,
    min: T,
    max: T,
) -> Option<(&'static str, Value, Value)> {
    let from = |span: &Span<T>| match span.from {
        Bound::Excluded(bound) | Bound::Included(bound) => Some(bound),
        Bound::Unbounded => None,
    };
    let to = |span: &Span<T>| match span.to {
        Bound::Excluded(bound) | Bound::Included(bound) => Some(bound),
        Bound::Unbounded => None,
    };
    let low = (from(&within.low), to(&within.low).or(to(&within.high)));
    let high = (from(&within.high).or(from(&within.low)), to(&within.high));
    let (end, (from, to)) = match (low, high) {
        ((Some(_), Some(_)), _) => (LOW, low),
        (_, (Some(_), Some(_)) | (Some(_), None) | (None, Some(_))) => (HIGH, high),
        ((Some(_), None) | (None, Some(_)), (None, None)) => (LOW, low),
        ((None, None), (None, None)) => return None,
    };
    Some((end, value(from.unwrap_or(min)), value(to.unwrap_or(max))))
}

/// The part of a text by which it is looked up.
fn start(text: &str) -> String {
    text[..text.floor_char_boundary(START_BYTES_MAX)].to_owned()
}

/// A text that is not below any stored start with this prefix.
pub(super) fn after_start(prefix: &str) -> String {
    let mut after = prefix.to_owned();
    // One more of the highest character than a stored start can hold.
    after.extend(std::iter::repeat_n(char::MAX, START_BYTES_MAX / 4 + 1));
    after
}
