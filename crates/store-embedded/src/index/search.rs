//! Answering a query from a snapshot of the index.

use cresset_model::{Base, Position, ResourceId, ResourceKey, ResourceType, VersionId};
use cresset_store::{
    Error, Found, IndexDocument, Page, Query, SEARCH_PAGE_MAX, SEARCH_SCAN_MAX, SEARCH_TOTAL_MAX,
    SearchCursor, Total,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::IndexFile;
use super::candidates::{Candidates, Next};
use super::pending::Pending;
use super::rows::take_rows;
use crate::fault::Fault;

/// See `Store::search`.
pub(super) fn search(file: &IndexFile, query: &Query) -> Result<Page, Fault> {
    let generation = file.generation;
    if query.after.is_some_and(|after| after.generation != generation) {
        return Err(Error::CursorExpired.into());
    }
    // What is pending first: what leaves it meanwhile is on disk before.
    let pending = file.pending();
    file.readers.read(|connection| {
        // Reads only: dropped, it rolls back to nothing.
        let snapshot = connection.unchecked_transaction()?;
        let view = View { connection: &snapshot, pending: &pending, query };
        let after = query.after.map_or(0, |after| after.document);
        let limit = query.limit.min(SEARCH_PAGE_MAX);
        let mut page = Page { found: Vec::new(), next: None, total: None };
        if limit > 0 {
            let mut finder = Finder { found: Vec::new(), limit, generation };
            let next = view.walk(after, SEARCH_SCAN_MAX, &mut finder)?;
            page.found = finder.found;
            page.next = next.map(|document| SearchCursor { generation, document });
        }
        if query.total {
            let all = limit > 0 && query.after.is_none() && page.next.is_none();
            page.total = Some(if all {
                Total { count: page.found.len() as u64, exact: true }
            } else {
                let mut counter = Counter { count: 0 };
                let next = view.walk(0, SEARCH_TOTAL_MAX, &mut counter)?;
                Total { count: counter.count, exact: next.is_none() }
            });
        }
        Ok(page)
    })
}

/// Takes matches.
trait Visitor {
    fn is_full(&self) -> bool;
    fn visit(&mut self, number: u64, document: &IndexDocument);
}

/// Keeps as many as fit on a page.
struct Finder {
    found: Vec<Found>,
    limit: usize,
    generation: u64,
}

impl Visitor for Finder {
    fn is_full(&self) -> bool {
        self.found.len() == self.limit
    }

    fn visit(&mut self, number: u64, document: &IndexDocument) {
        self.found.push(Found {
            key: document.key.clone(),
            version: document.version,
            position: document.position,
            cursor: SearchCursor { generation: self.generation, document: number },
        });
    }
}

/// Counts all.
struct Counter {
    count: u64,
}

impl Visitor for Counter {
    fn is_full(&self) -> bool {
        false
    }

    fn visit(&mut self, _: u64, _: &IndexDocument) {
        self.count += 1;
    }
}

/// What a search sees: a snapshot of the file, and over it what is pending.
struct View<'v> {
    connection: &'v Connection,
    pending: &'v Pending,
    query: &'v Query,
}

impl View<'_> {
    /// Visits the matches after a document, in order of number, and says where to go on, unless
    /// that is the end. Looks at `steps` documents on disk and at what is pending.
    fn walk(
        &self,
        after: u64,
        mut steps: usize,
        visitor: &mut impl Visitor,
    ) -> Result<Option<u64>, Fault> {
        let mut candidates = Candidates::new(self.connection, self.query, after)?;
        let mut pending = self.pending.of_type(self.query, after + 1).peekable();
        let mut on_disk = candidates.seek(self.connection, after + 1, &mut steps)?;
        let mut last = after;
        loop {
            let number = match (&on_disk, pending.peek()) {
                (Next::Document(disk), Some((number, _))) => *disk.min(number),
                (Next::Document(disk), None) => *disk,
                (Next::GaveUp(reached), Some((number, _))) if number < reached => *number,
                (Next::GaveUp(reached), _) => return Ok(Some(reached - 1)),
                (Next::End, Some((number, _))) => *number,
                (Next::End, None) => return Ok(None),
            };
            if visitor.is_full() {
                return Ok(Some(last));
            }
            last = number;
            match pending.next_if(|(here, _)| *here == number) {
                Some((_, document)) => self.offer(number, document, visitor),
                // Out of date on disk, and gone.
                None if self.pending.replaces(number) => {}
                None => {
                    let document = document(self.connection, number)?;
                    document.iter().for_each(|document| self.offer(number, document, visitor));
                }
            }
            if matches!(on_disk, Next::Document(disk) if disk == number) {
                on_disk = candidates.seek(self.connection, number + 1, &mut steps)?;
            }
        }
    }

    fn offer(&self, number: u64, document: &IndexDocument, visitor: &mut impl Visitor) {
        if self.query.matches(document) {
            visitor.visit(number, document);
        }
    }
}

/// A document by number; none if only a stray key of it is left.
fn document(connection: &Connection, number: u64) -> Result<Option<IndexDocument>, Fault> {
    let invalid = || Fault::corrupt("a document of the index is not what it must be");
    let mut select = connection.prepare_cached(
        "SELECT base, type, id, version, updated, position, rows FROM document WHERE number = ?1",
    )?;
    let document = select
        .query_row([number], |row| {
            let text = |index| row.get_ref(index)?.as_str().map_err(rusqlite::Error::from);
            let read = || {
                let key = ResourceKey {
                    base: Base::new(row.get(0)?),
                    resource_type: ResourceType::new(text(1)?).map_err(|_| invalid())?,
                    id: ResourceId::new(text(2)?).map_err(|_| invalid())?,
                };
                let blob = row.get_ref(6)?.as_blob().map_err(|_| invalid())?;
                Ok(IndexDocument {
                    key,
                    version: VersionId::new(row.get(3)?).ok_or_else(invalid)?,
                    last_updated: Timestamp::from_nanosecond(i128::from(row.get::<_, i64>(4)?))
                        .map_err(|_| invalid())?,
                    position: Position::new(row.get(5)?).ok_or_else(invalid)?,
                    deleted: false,
                    rows: take_rows(blob)?,
                })
            };
            Ok(read())
        })
        .optional()?;
    document.transpose()
}
