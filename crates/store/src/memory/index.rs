//! The search index of the memory store: every document, looked at one by one.

use std::collections::BTreeMap;
use std::ops::Bound;

use cresset_model::{Position, ResourceKey};

use crate::{
    Error, Found, IndexBatch, IndexDocument, Page, Query, SEARCH_PAGE_MAX, SEARCH_SCAN_MAX,
    SEARCH_TOTAL_MAX, SearchCursor, Total,
};

#[derive(Debug, Default)]
pub(super) struct Index {
    scheme: u64,
    generation: u64,
    position: Option<Position>,
    /// By the number a resource got when it entered the index.
    documents: BTreeMap<u64, IndexDocument>,
    numbers: BTreeMap<ResourceKey, u64>,
    last: u64,
}

impl Index {
    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }

    pub(super) fn prepare(&mut self, scheme: u64) {
        if scheme != self.scheme {
            *self = Self { scheme, generation: self.generation + 1, ..Self::default() };
        }
    }

    pub(super) fn step(&mut self, batch: &IndexBatch) -> Result<(), Error> {
        if Some(batch.upto) <= self.position {
            return Ok(());
        }
        batch.check()?;
        for document in &batch.documents {
            if document.deleted {
                if let Some(number) = self.numbers.remove(&document.key) {
                    self.documents.remove(&number);
                }
                continue;
            }
            let number = *self.numbers.entry(document.key.clone()).or_insert_with(|| {
                self.last += 1;
                self.last
            });
            self.documents.insert(number, document.clone());
        }
        self.position = Some(batch.upto);
        Ok(())
    }

    pub(super) fn search(&self, query: &Query) -> Result<Page, Error> {
        if query.after.is_some_and(|after| after.generation != self.generation) {
            return Err(Error::CursorExpired);
        }
        let total = query.total.then(|| self.total(query));
        let limit = query.limit.min(SEARCH_PAGE_MAX);
        let mut page = Page { found: Vec::new(), next: None, total };
        if limit == 0 {
            return Ok(page);
        }
        let start = query.after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.document));
        let mut last = None;
        for (looked_at, (number, document)) in self.of_type(query, start).enumerate() {
            if page.found.len() == limit || looked_at == SEARCH_SCAN_MAX {
                page.next =
                    last.map(|document| SearchCursor { generation: self.generation, document });
                break;
            }
            last = Some(*number);
            let generation = self.generation;
            if query.matches(document) {
                page.found.push(Found {
                    key: document.key.clone(),
                    version: document.version,
                    position: document.position,
                    cursor: SearchCursor { generation, document: *number },
                });
            }
        }
        Ok(page)
    }

    fn total(&self, query: &Query) -> Total {
        let mut total = Total { count: 0, exact: true };
        for (looked_at, (_, document)) in self.of_type(query, Bound::Unbounded).enumerate() {
            if looked_at == SEARCH_TOTAL_MAX {
                total.exact = false;
                break;
            }
            total.count += u64::from(query.matches(document));
        }
        total
    }

    fn of_type(
        &self,
        query: &Query,
        start: Bound<u64>,
    ) -> impl Iterator<Item = (&u64, &IndexDocument)> {
        self.documents.range((start, Bound::Unbounded)).filter(|(_, document)| {
            document.key.base == query.base && document.key.resource_type == query.resource_type
        })
    }
}
