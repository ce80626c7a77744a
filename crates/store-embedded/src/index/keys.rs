//! What of a document goes into the index, and where a condition is looked up.
//!
//! Stored in `index.db`: whoever changes anything here changes the index's format number.

use std::ops::Bound;

use cresset_model::{Base, ResourceType};
use cresset_store::{Condition, IndexDocument, IndexedValue, Query, Test, clip};

use super::rows::nanoseconds;
use crate::fault::Fault;

/// Bytes of a text by which it is looked up.
const START_BYTES_MAX: usize = 32;

/// How long stretches may be that are kept together, in places. Where one begins that meets another
/// is then known to a stretch of this length. Dates lie at microseconds: these are a point, a second,
/// an hour, a day, some weeks, a year, some years, and anything else.
const LENGTHS: [i64; 8] = [0, 1 << 20, 1 << 32, 1 << 37, 1 << 42, 1 << 45, 1 << 49, i64::MAX];

/// One row of the index, without its document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bound(i64, i64),
    Posting(i64),
    Start(i64, String),
}

/// Where the documents are that may fulfil a condition.
#[derive(Debug, Clone)]
pub(super) enum Lookup {
    /// The document of this id.
    Id(String),
    /// Those with this posting.
    Posting(i64),
    /// Those with a text that starts so.
    Starts(i64, String),
    /// Those that begin at or before a place and end at or after another.
    Stretch(Meets),
}

/// Where stretches are that begin at or before `high` and end at or after `low`.
#[derive(Debug, Clone)]
pub(super) struct Meets {
    /// Parameters of the bounds, each with the length of its stretches.
    bounds: Vec<(i64, i64)>,
    low: i64,
    high: i64,
}

impl Meets {
    /// Both at once, if they are about the same stretches: a document's values count as one.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        (self.bounds == other.bounds).then(|| Self { bounds: self.bounds.clone(), low, high })
    }

    /// Parameter, lowest and highest value of the bounds to look at.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        self.bounds.iter().map(|(bound, length)| {
            let from =
                if *length == i64::MAX { i64::MIN } else { self.low.saturating_sub(*length) };
            (*bound, from, self.high)
        })
    }
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

impl Hasher<'_> {
    /// The bound of a parameter's stretches of a length.
    fn stretch(&self, parameter: &str, class: usize) -> i64 {
        self.hash(STRETCH, &[parameter, &class.to_string()])
    }
}

/// From the first to the last place of each parameter's stretches.
#[derive(Default)]
struct Hulls<'d>(Vec<(&'d str, i64, i64)>);

impl<'d> Hulls<'d> {
    fn add(&mut self, parameter: &'d str, low: i64, high: i64) {
        match self.0.iter_mut().find(|(known, ..)| *known == parameter) {
            Some(hull) => *hull = (parameter, hull.1.min(low), hull.2.max(high)),
            None => self.0.push((parameter, low, high)),
        }
    }
}

const TYPE: &str = "type";
const UPDATED: &str = "updated";
const CODE: &str = "code";
const REFERENCE: &str = "reference";
const URL: &str = "url";
const START: &str = "start";
const STRETCH: &str = "stretch";

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
        Key::Bound(hasher.hash(UPDATED, &[]), nanoseconds(document.last_updated)?),
    ];
    let mut hulls = Hulls::default();
    for row in &document.rows {
        let parameter = row.parameter.as_str();
        let posting = |kind, text| Key::Posting(hasher.hash(kind, &[parameter, clip(text)]));
        match &row.value {
            IndexedValue::Reference { id, .. } => keys.push(posting(REFERENCE, id)),
            IndexedValue::ReferenceUrl(url) | IndexedValue::Uri(url) => {
                keys.push(posting(URL, url));
            }
            IndexedValue::Stretch { low, high } => hulls.add(parameter, *low, *high),
            IndexedValue::Text { folded, .. } => {
                keys.push(Key::Start(hasher.hash(START, &[parameter]), start(folded)));
            }
            IndexedValue::Token { code, .. } => keys.push(posting(CODE, code)),
        }
    }
    keys.extend(hulls.0.iter().map(|(parameter, low, high)| {
        let length = high.saturating_sub(*low);
        let class = LENGTHS.iter().position(|max| length <= *max).unwrap_or(LENGTHS.len() - 1);
        Key::Bound(hasher.stretch(parameter, class), *low)
    }));
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
            return Some(Lookup::Stretch(Meets {
                bounds: vec![(updated, 0)],
                low: from,
                high: to,
            }));
        }
        Condition::Missing { .. } => return None,
        Condition::Value { parameter, test } => (parameter.as_str(), test),
    };
    let posting = |kind, text| Some(Lookup::Posting(hasher.hash(kind, &[parameter, clip(text)])));
    let starts = |text: &str| Some(Lookup::Starts(hasher.hash(START, &[parameter]), start(text)));
    match test {
        Test::Reference { id, .. } => posting(REFERENCE, id),
        Test::ReferenceUrl(url) | Test::Uri(url) => posting(URL, url),
        Test::Stretch { low, high } => {
            let bound = |(class, length)| (hasher.stretch(parameter, class), length);
            let bounds = LENGTHS.into_iter().enumerate().map(bound).collect();
            Some(Lookup::Stretch(Meets { bounds, low: *low, high: *high }))
        }
        Test::TextExact { folded, .. } => starts(folded),
        Test::TextPrefix(text) if text.is_empty() => None,
        Test::TextPrefix(text) => starts(text),
        Test::Token { code: Some(code), .. } => posting(CODE, code),
        Test::TextContains(_) | Test::Token { code: None, .. } | Test::UriPrefix(_) => None,
    }
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
