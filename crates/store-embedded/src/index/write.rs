//! Moving the index on by a batch: one transaction, rows in the order of the tables.

use std::sync::PoisonError;

use cresset_model::{Position, ResourceKey, VersionId};
use cresset_store::{Error, INDEX_ROWS_MAX, IndexBatch, IndexDocument};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;

use super::keys::{Key, keys_of};
use super::rows::{nanoseconds, put_rows, take_rows};
use super::{IndexFile, State};
use crate::fault::Fault;

/// Rows to remove and to insert, each with the number of its document.
#[derive(Default)]
struct Rows {
    old: Vec<(Key, u64)>,
    new: Vec<(Key, u64)>,
}

/// See `Store::index`.
pub(super) fn step(file: &IndexFile, batch: &IndexBatch) -> Result<(), Fault> {
    if batch.documents.iter().any(|document| document.rows.len() > INDEX_ROWS_MAX) {
        return Err(Error::invalid("a document with more rows than it may have").into());
    }
    let writer = file.writer()?;
    let state = file.state();
    if Some(batch.upto) <= state.position {
        return Ok(());
    }
    let transaction = writer.unchecked_transaction()?;
    let mut last = transaction.query_row("SELECT last FROM meta", [], |row| row.get(0))?;
    let mut rows = Rows::default();
    for document in newest(&batch.documents) {
        replace(&transaction, document, &mut last, &mut rows)?;
    }
    apply(&transaction, rows)?;
    transaction
        .execute("UPDATE meta SET position = ?1, last = ?2", params![batch.upto.get(), last])?;
    transaction.commit()?;
    *file.state.write().unwrap_or_else(PoisonError::into_inner) =
        State { position: Some(batch.upto), ..state };
    Ok(())
}

/// Each resource once, as the batch has it last.
fn newest(documents: &[IndexDocument]) -> Vec<&IndexDocument> {
    let mut places: FxHashMap<&ResourceKey, usize> = FxHashMap::default();
    let mut newest: Vec<&IndexDocument> = Vec::with_capacity(documents.len());
    for document in documents {
        match places.get(&document.key) {
            Some(place) => newest[*place] = document,
            None => {
                places.insert(&document.key, newest.len());
                newest.push(document);
            }
        }
    }
    newest
}

fn replace(
    connection: &Connection,
    document: &IndexDocument,
    last: &mut u64,
    rows: &mut Rows,
) -> Result<(), Fault> {
    let key = &document.key;
    let slot = params![key.base.number(), key.resource_type.as_str(), key.id.as_str()];
    let known: Option<u64> = connection
        .prepare_cached("SELECT number FROM resource WHERE base = ?1 AND type = ?2 AND id = ?3")?
        .query_row(slot, |row| row.get(0))
        .optional()?;
    let old = match known {
        Some(number) => keys_of(&stored(connection, key, number)?)?,
        None => Vec::new(),
    };
    let new = if document.deleted { Vec::new() } else { keys_of(document)? };
    let number = match (known, document.deleted) {
        (None, true) => return Ok(()),
        (Some(number), true) => {
            connection
                .prepare_cached("DELETE FROM resource WHERE base = ?1 AND type = ?2 AND id = ?3")?
                .execute(slot)?;
            connection
                .prepare_cached("DELETE FROM document WHERE number = ?1")?
                .execute([number])?;
            number
        }
        (Some(number), false) => number,
        (None, false) => {
            *last += 1;
            connection.prepare_cached("INSERT INTO resource VALUES (?1, ?2, ?3, ?4)")?.execute(
                params![key.base.number(), key.resource_type.as_str(), key.id.as_str(), *last],
            )?;
            *last
        }
    };
    if !document.deleted {
        write_document(connection, document, number)?;
    }
    rows.compare(old, new, number);
    Ok(())
}

fn write_document(
    connection: &Connection,
    document: &IndexDocument,
    number: u64,
) -> Result<(), Fault> {
    let key = &document.key;
    connection
        .prepare_cached("INSERT OR REPLACE INTO document VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            number,
            key.base.number(),
            key.resource_type.as_str(),
            key.id.as_str(),
            document.version.get(),
            nanoseconds(document.last_updated)?,
            document.position.get(),
            put_rows(&document.rows),
        ])?;
    Ok(())
}

/// A document as it is stored, as far as its keys depend on it.
fn stored(connection: &Connection, key: &ResourceKey, number: u64) -> Result<IndexDocument, Fault> {
    let (updated, blob): (i64, Vec<u8>) = connection
        .prepare_cached("SELECT updated, rows FROM document WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or(Fault::corrupt("an indexed resource has no document"))?;
    Ok(IndexDocument {
        key: key.clone(),
        position: Position::FIRST,
        version: VersionId::FIRST,
        last_updated: Timestamp::from_nanosecond(i128::from(updated))
            .map_err(|_| Fault::corrupt("a time out of range"))?,
        deleted: false,
        rows: take_rows(&blob)?,
    })
}

impl Rows {
    /// Adds what differs between two sorted lists of keys of one document.
    fn compare(&mut self, old: Vec<Key>, new: Vec<Key>, number: u64) {
        let mut old = old.into_iter().peekable();
        for key in new {
            while let Some(gone) = old.next_if(|old| *old < key) {
                self.old.push((gone, number));
            }
            if old.next_if_eq(&key).is_none() {
                self.new.push((key, number));
            }
        }
        self.old.extend(old.map(|gone| (gone, number)));
    }
}

/// Removes and inserts rows in their order, so that neighbours in a table are touched together.
fn apply(connection: &Connection, mut rows: Rows) -> Result<(), Fault> {
    rows.old.sort_unstable();
    rows.new.sort_unstable();
    let mut bound = connection.prepare_cached(
        "DELETE FROM bound WHERE parameter = ?1 AND value = ?2 AND document = ?3",
    )?;
    let mut posting =
        connection.prepare_cached("DELETE FROM posting WHERE key = ?1 AND document = ?2")?;
    let mut start = connection
        .prepare_cached("DELETE FROM start WHERE parameter = ?1 AND text = ?2 AND document = ?3")?;
    for (key, number) in rows.old {
        match key {
            Key::Bound(parameter, value) => bound.execute(params![parameter, value, number])?,
            Key::Posting(key) => posting.execute(params![key, number])?,
            Key::Start(parameter, text) => start.execute(params![parameter, text, number])?,
        };
    }
    let mut bound = connection.prepare_cached("INSERT OR IGNORE INTO bound VALUES (?1, ?2, ?3)")?;
    let mut posting = connection.prepare_cached("INSERT OR IGNORE INTO posting VALUES (?1, ?2)")?;
    let mut start = connection.prepare_cached("INSERT OR IGNORE INTO start VALUES (?1, ?2, ?3)")?;
    for (key, number) in rows.new {
        match key {
            Key::Bound(parameter, value) => bound.execute(params![parameter, value, number])?,
            Key::Posting(key) => posting.execute(params![key, number])?,
            Key::Start(parameter, text) => start.execute(params![parameter, text, number])?,
        };
    }
    Ok(())
}
