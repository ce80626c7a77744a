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
use super::rows::take_rows;
use crate::fault::Fault;

/// See `Store::search`.
pub(super) fn search(file: &IndexFile, query: &Query) -> Result<Page, Fault> {
    let generation = file.state().generation;
    if query.after.is_some_and(|after| after.generation != generation) {
        return Err(Error::CursorExpired.into());
    }
    file.readers.read(|connection| {
        // Reads only: dropped, it rolls back to nothing.
        let snapshot = connection.unchecked_transaction()?;
        let after = query.after.map_or(0, |after| after.document);
        let limit = query.limit.min(SEARCH_PAGE_MAX);
        let mut page = Page { found: Vec::new(), next: None, total: None };
        if limit > 0 {
            let (found, next) = scan(&snapshot, query, after, limit)?;
            page.found = found;
            page.next = next.map(|document| SearchCursor { generation, document });
        }
        if query.total {
            let all = limit > 0 && query.after.is_none() && page.next.is_none();
            let counted = Total { count: page.found.len() as u64, exact: true };
            page.total = Some(if all { counted } else { total(&snapshot, query)? });
        }
        Ok(page)
    })
}

/// Finds up to `limit` matches after a document, and where to go on, unless that is the end.
fn scan(
    connection: &Connection,
    query: &Query,
    after: u64,
    limit: usize,
) -> Result<(Vec<Found>, Option<u64>), Fault> {
    let mut candidates = Candidates::new(connection, query, after)?;
    let mut steps = SEARCH_SCAN_MAX;
    let mut found = Vec::new();
    let mut last = after;
    loop {
        let number = match candidates.seek(connection, last + 1, &mut steps)? {
            Next::End => return Ok((found, None)),
            Next::GaveUp(reached) => return Ok((found, Some(reached - 1))),
            Next::Document(_) if found.len() == limit => return Ok((found, Some(last))),
            Next::Document(number) => number,
        };
        last = number;
        let Some(document) = document(connection, number)? else { continue };
        if query.matches(&document) {
            found.push(Found {
                key: document.key,
                version: document.version,
                position: document.position,
            });
        }
    }
}

fn total(connection: &Connection, query: &Query) -> Result<Total, Fault> {
    let mut candidates = Candidates::new(connection, query, 0)?;
    let mut steps = SEARCH_TOTAL_MAX;
    let mut count = 0;
    let mut next = 1;
    loop {
        match candidates.seek(connection, next, &mut steps)? {
            Next::End => return Ok(Total { count, exact: true }),
            Next::GaveUp(_) => return Ok(Total { count, exact: false }),
            Next::Document(number) => {
                next = number + 1;
                let document = document(connection, number)?;
                count += u64::from(document.is_some_and(|document| query.matches(&document)));
            }
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
