//! What a match is: the one meaning of a query, for every store.

use std::ops::{Bound, RangeBounds as _};

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::{Clause, Condition, IndexDocument, IndexedValue, Query, SystemTest, Test, clip};

impl Query {
    /// Whether the document is one that the query asks for. Deleted ones never are.
    pub fn matches(&self, document: &IndexDocument) -> bool {
        !document.deleted
            && document.key.base == self.base
            && document.key.resource_type == self.resource_type
            && self.clauses.iter().all(|clause| clause.holds(document))
    }
}

impl Clause {
    fn holds(&self, document: &IndexDocument) -> bool {
        self.any.iter().any(|condition| condition.holds(document)) != self.negated
    }
}

impl Condition {
    fn holds(&self, document: &IndexDocument) -> bool {
        match self {
            Self::Id(id) => document.key.id == *id,
            Self::LastUpdated(from, to) => contains(*from, *to, document.last_updated),
            Self::Missing { parameter, missing } => {
                values(document, parameter).next().is_none() == *missing
            }
            Self::Value { parameter, test } => {
                values(document, parameter).any(|value| test.passes(value))
            }
        }
    }
}

fn values<'d>(
    document: &'d IndexDocument,
    parameter: &'d str,
) -> impl Iterator<Item = &'d IndexedValue> {
    document.rows.iter().filter(move |row| row.parameter == parameter).map(|row| &row.value)
}

fn contains(from: Bound<Timestamp>, to: Bound<Timestamp>, at: Timestamp) -> bool {
    (from, to).contains(&at)
}

impl Test {
    /// Whether the value passes. Texts are compared up to [`clip`].
    pub fn passes(&self, value: &IndexedValue) -> bool {
        match (self, value) {
            (
                Self::Reference { resource_type, id },
                IndexedValue::Reference { resource_type: its_type, id: its_id },
            ) => {
                let is_named = |named: &SmolStr| clip(named) == clip(its_type);
                resource_type.as_ref().is_none_or(is_named) && clip(id) == clip(its_id)
            }
            (Self::ReferenceUrl(url), IndexedValue::ReferenceUrl(its)) => clip(its) == clip(url),
            (
                Self::Stretch { low, high },
                IndexedValue::Stretch { low: its_low, high: its_high },
            ) => its_low <= high && low <= its_high,
            (Self::TextContains(part), IndexedValue::Text { folded, .. }) => {
                clip(folded).contains(clip(part))
            }
            (Self::TextExact { exact, .. }, IndexedValue::Text { exact: its, .. }) => {
                clip(its) == clip(exact)
            }
            (Self::TextPrefix(start), IndexedValue::Text { folded, .. }) => {
                clip(folded).starts_with(clip(start))
            }
            (
                Self::Token { system, code },
                IndexedValue::Token { system: its_system, code: its_code },
            ) => {
                system.passes(its_system.as_deref())
                    && code.as_deref().is_none_or(|code| clip(its_code) == clip(code))
            }
            (Self::Uri(uri), IndexedValue::Uri(its)) => clip(its) == clip(uri),
            (Self::UriPrefix(start), IndexedValue::Uri(its)) => clip(its).starts_with(clip(start)),
            (
                Self::Reference { .. }
                | Self::ReferenceUrl(_)
                | Self::Stretch { .. }
                | Self::TextContains(_)
                | Self::TextExact { .. }
                | Self::TextPrefix(_)
                | Self::Token { .. }
                | Self::Uri(_)
                | Self::UriPrefix(_),
                _,
            ) => false,
        }
    }
}

impl SystemTest {
    /// Whether a value with this system passes.
    pub fn passes(&self, system: Option<&str>) -> bool {
        match self {
            Self::Absent => system.is_none(),
            Self::Any => true,
            Self::Is(wanted) => system.is_some_and(|its| clip(its) == clip(wanted)),
        }
    }
}
