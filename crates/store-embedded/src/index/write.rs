//! Taking documents in, and writing many of them in one transaction, rows in the order of the
//! tables.

use std::sync::PoisonError;

use cresset_model::{Position, ResourceKey, VersionId};
use cresset_store::{IndexBatch, IndexDocument, crash_point};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::IndexFile;
use super::keys::{Key, keys_of};
use super::pending::{Change, Pending};
use super::rows::{nanoseconds, put_rows, take_rows};
use crate::fault::Fault;

/// Rows to remove and to insert, each with the number of its document.
#[derive(Default)]
struct Rows {
    old: Vec<(Key, u64)>,
    new: Vec<(Key, u64)>,
}

/// See `Store::index`.
pub(super) fn step(file: &IndexFile, batch: &IndexBatch) -> Result<(), Fault> {
    batch.check()?;
    for document in &batch.documents {
        // Whatever cannot be written is refused now, not when it is written with others.
        nanoseconds(document.last_updated)?;
    }
    let writer = file.writer()?;
    // Changed only by whoever has the writer.
    if Some(batch.upto) <= file.pending().position {
        return Ok(());
    }
    // Before anything is taken in: while nothing can be written, nothing grows.
    if file.pending().is_full(file.documents_max) {
        write_pending(file, &writer, false)?;
    }
    let pending = file.pending();
    let mut stored = Vec::with_capacity(batch.documents.len());
    for document in &batch.documents {
        let known = pending.knows(&document.key);
        stored.push(if known { None } else { number_of(&writer, &document.key)? });
    }
    drop(pending);
    let mut pending = file.pending.write().unwrap_or_else(PoisonError::into_inner);
    for (document, stored) in batch.documents.iter().zip(stored) {
        pending.insert(document, stored);
    }
    pending.position = Some(batch.upto);
    Ok(())
}

/// Writes what is pending; `closing` says that nothing more will come.
pub(super) fn flush(file: &IndexFile, closing: bool) -> Result<(), Fault> {
    write_pending(file, &*file.writer()?, closing)
}

fn write_pending(file: &IndexFile, connection: &Connection, closing: bool) -> Result<(), Fault> {
    // Searches go on meanwhile; those that begin after the commit find the same in both places.
    let pending = file.pending();
    let transaction = connection.unchecked_transaction()?;
    let mut rows = Rows::default();
    for (number, change) in pending.changes() {
        replace(&transaction, number, change, &mut rows)?;
    }
    apply(&transaction, rows)?;
    let (position, last) = (pending.position, pending.last);
    transaction.execute(
        "UPDATE meta SET position = ?1, last = ?2, closed = ?3",
        params![position.map_or(0, Position::get), last, closing],
    )?;
    crash_point("index.before-commit");
    transaction.commit()?;
    crash_point("index.after-commit");
    drop(pending);
    *file.pending.write().unwrap_or_else(PoisonError::into_inner) = Pending::new(position, last);
    Ok(())
}

fn number_of(connection: &Connection, key: &ResourceKey) -> Result<Option<u64>, Fault> {
    let number = connection
        .prepare_cached("SELECT number FROM resource WHERE base = ?1 AND type = ?2 AND id = ?3")?
        .query_row(slot(key), |row| row.get(0));
    Ok(number.optional()?)
}

fn slot(key: &ResourceKey) -> (u8, &str, &str) {
    (key.base.number(), key.resource_type.as_str(), key.id.as_str())
}

/// Replaces a document, and adds what that means for the index to `rows`.
fn replace(
    connection: &Connection,
    number: u64,
    change: &Change,
    rows: &mut Rows,
) -> Result<(), Fault> {
    let key = match change {
        Change::Gone(key) => key,
        Change::Is(document) => &document.key,
    };
    let stored = stored(connection, key, number)?;
    let old = stored.as_ref().map_or(Ok(Vec::new()), keys_of)?;
    let new = match change {
        Change::Gone(_) => {
            connection
                .prepare_cached("DELETE FROM resource WHERE base = ?1 AND type = ?2 AND id = ?3")?
                .execute(slot(key))?;
            connection
                .prepare_cached("DELETE FROM document WHERE number = ?1")?
                .execute([number])?;
            Vec::new()
        }
        Change::Is(document) => {
            if stored.is_none() {
                let (base, resource_type, id) = slot(key);
                connection
                    .prepare_cached("INSERT OR REPLACE INTO resource VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![base, resource_type, id, number])?;
            }
            write_document(connection, document, number)?;
            keys_of(document)?
        }
    };
    rows.compare(old, new, number);
    Ok(())
}

fn write_document(
    connection: &Connection,
    document: &IndexDocument,
    number: u64,
) -> Result<(), Fault> {
    let (base, resource_type, id) = slot(&document.key);
    connection
        .prepare_cached("INSERT OR REPLACE INTO document VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            number,
            base,
            resource_type,
            id,
            document.version.get(),
            nanoseconds(document.last_updated)?,
            document.position.get(),
            put_rows(&document.rows),
        ])?;
    Ok(())
}

/// A document as it is stored, as far as its keys depend on it.
fn stored(
    connection: &Connection,
    key: &ResourceKey,
    number: u64,
) -> Result<Option<IndexDocument>, Fault> {
    let found: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT updated, rows FROM document WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((updated, blob)) = found else { return Ok(None) };
    Ok(Some(IndexDocument {
        key: key.clone(),
        position: Position::FIRST,
        version: VersionId::FIRST,
        last_updated: Timestamp::from_nanosecond(i128::from(updated))
            .map_err(|_| Fault::corrupt("a time out of range"))?,
        deleted: false,
        rows: take_rows(&blob)?,
    }))
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
