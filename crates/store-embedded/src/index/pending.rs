//! Documents that the index holds in memory until there are enough to write them in one go.
//!
//! A follower that keeps up with the log brings a few documents at a time; written one by one,
//! each of their rows would cost a page. They are found all the same: a search looks at what is
//! here before what is on disk. What a crash takes is folded from the log again.

use std::collections::BTreeMap;

use cresset_model::{Position, ResourceKey};
use cresset_store::{IndexDocument, IndexedValue, Query};
use rustc_hash::FxHashMap;

/// Documents after which they are written. Every search looks at all of its type.
pub(crate) const DOCUMENTS_MAX: usize = 4_096;
/// Bytes after which they are written.
const BYTES_MAX: usize = 16 << 20;
/// What a row or a document takes besides its texts, about.
const ROW_BYTES: usize = 96;

/// What is indexed and not yet written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    documents: BTreeMap<u64, Change>,
    /// Numbers of the resources that were touched here; none for one that is gone.
    numbers: FxHashMap<ResourceKey, Option<u64>>,
    /// Where the index is with what is here.
    pub(super) position: Option<Position>,
    /// The last number given.
    pub(super) last: u64,
    bytes: usize,
}

/// What becomes of a document.
#[derive(Debug)]
pub(super) enum Change {
    Gone(ResourceKey),
    Is(IndexDocument),
}

impl Pending {
    /// Nothing, after what is on disk.
    pub(super) fn new(position: Option<Position>, last: u64) -> Self {
        Self { position, last, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Takes a document in. `stored` is its number on disk.
    pub(super) fn insert(&mut self, document: &IndexDocument, stored: Option<u64>) {
        let key = &document.key;
        let known = self.numbers.get(key).copied().unwrap_or(stored);
        self.bytes += bytes(document);
        if document.deleted {
            if let Some(number) = known {
                self.documents.insert(number, Change::Gone(key.clone()));
            }
            self.numbers.insert(key.clone(), None);
            return;
        }
        let number = known.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        self.numbers.insert(key.clone(), Some(number));
        self.documents.insert(number, Change::Is(document.clone()));
    }

    /// Whether it is time to write.
    pub(super) fn is_full(&self, documents_max: usize) -> bool {
        self.numbers.len() >= documents_max || self.bytes >= BYTES_MAX
    }

    /// Whether what is here knows the resource, so that what is on disk does not matter.
    pub(super) fn knows(&self, key: &ResourceKey) -> bool {
        self.numbers.contains_key(key)
    }

    /// Whether the document on disk with this number is out of date.
    pub(super) fn replaces(&self, number: u64) -> bool {
        self.documents.contains_key(&number)
    }

    /// Documents of the query's type at and after this number, in order of number.
    pub(super) fn of_type<'p>(
        &'p self,
        query: &'p Query,
        from: u64,
    ) -> impl Iterator<Item = (u64, &'p IndexDocument)> {
        self.documents.range(from..).filter_map(|(number, change)| match change {
            Change::Gone(_) => None,
            Change::Is(document) => (document.key.base == query.base
                && document.key.resource_type == query.resource_type)
                .then_some((*number, document)),
        })
    }

    /// All of it, in order of number.
    pub(super) fn changes(&self) -> impl Iterator<Item = (u64, &Change)> {
        self.documents.iter().map(|(number, change)| (*number, change))
    }
}

/// What a document takes, about.
fn bytes(document: &IndexDocument) -> usize {
    let text = |value: &IndexedValue| match value {
        IndexedValue::Reference { resource_type, id } => resource_type.len() + id.len(),
        IndexedValue::ReferenceUrl(url) | IndexedValue::Uri(url) => url.len(),
        IndexedValue::Stretch { .. } => 0,
        IndexedValue::Text { folded, exact } => folded.len() + exact.len(),
        IndexedValue::Token { system, code } => {
            system.as_ref().map_or(0, |text| text.len()) + code.len()
        }
    };
    document.rows.iter().map(|row| ROW_BYTES + text(&row.value)).sum::<usize>() + 4 * ROW_BYTES
}
