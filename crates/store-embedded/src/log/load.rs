//! Reads the tail from the file: when the store is opened, and after a failure whose end is
//! unknown.

use cresset_model::{Position, ResourceId};
use cresset_store::{Error, crash_point};
use rusqlite::{Connection, OptionalExtension};

use super::row::{stored, take_pairs};
use super::{Log, Writer};
use crate::fault::Fault;
use crate::tail::{Overlay, Slot, Tail};

impl Log {
    /// Makes memory as the file is.
    pub(super) fn reload(&self, writer: &mut Writer) -> Result<(), Fault> {
        if !writer.connection.is_autocommit() {
            writer.connection.execute_batch("ROLLBACK")?;
        }
        self.types.settle(false);
        self.clients.settle(false);
        writer.counters.clear();
        writer.sweep = None;
        let connection = &writer.connection;
        let (folded, folded_moves) =
            connection.query_row("SELECT folded, folded_moves FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let mut active = Overlay::default();
        let head = load_entries(connection, folded, &mut active)?;
        let moves = load_moves(connection, folded_moves, &mut active)?;
        drop_forgotten(connection, &mut active)?;
        crash_point("load.log");
        writer.moves = moves;
        let mut tail = self.publish();
        // Whoever read the file before this must not combine it with the tail after it.
        let folded = tail.folded + 1;
        *tail = Tail { head: Position::new(head), active, frozen: None, folded };
        Ok(())
    }
}

fn load_entries(connection: &Connection, folded: u64, overlay: &mut Overlay) -> Result<u64, Fault> {
    let last: Option<u64> =
        connection.query_row("SELECT max(position) FROM entry", [], |row| row.get(0))?;
    let mut select = connection.prepare(
        "SELECT position, base, type, id, version, events FROM entry
         WHERE position > ?1 ORDER BY position",
    )?;
    let mut rows = select.query([folded])?;
    let mut head = folded;
    while let Some(row) = rows.next()? {
        let position: u64 = row.get(0)?;
        if position != head + 1 {
            return Err(Fault::corrupt("the log has a gap"));
        }
        head = position;
        let id: String = row.get(3)?;
        let slot = Slot {
            base: row.get(1)?,
            resource_type: row.get(2)?,
            id: stored(ResourceId::new(&id).ok())?,
        };
        overlay.push_version(slot, (row.get(4)?, position));
        let events = row.get_ref(5)?.as_blob_or_null().map_err(|_| Fault::corrupt("events"))?;
        take_pairs(events.unwrap_or_default(), |subscription, number| {
            Ok(overlay.push_event(subscription, number, position)?)
        })?;
    }
    if head != last.unwrap_or(0) {
        return Err(Error::corrupt("the views are ahead of the log").into());
    }
    Ok(head)
}

fn load_moves(connection: &Connection, folded: u64, overlay: &mut Overlay) -> Result<u64, Fault> {
    let mut select = connection
        .prepare("SELECT number, moves FROM cursor_move WHERE number > ?1 ORDER BY number")?;
    let mut rows = select.query([folded])?;
    let mut last = folded;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let moves = row.get_ref(1)?.as_blob().map_err(|_| Fault::corrupt("cursor moves"))?;
        take_pairs(moves, |subscription, number| {
            overlay.move_cursor(subscription, number);
            Ok(())
        })?;
    }
    Ok(last)
}

/// Takes out what has been forgotten since it was written to the log.
fn drop_forgotten(connection: &Connection, overlay: &mut Overlay) -> Result<(), Fault> {
    let mut select = connection.prepare("SELECT forgotten FROM subscription WHERE key = ?1")?;
    let mut failed = None;
    overlay.events.retain(|key, events| {
        let forgotten = select.query_row([key.position().get()], |row| row.get::<_, u64>(0));
        match forgotten.optional() {
            // A subscription without a row ended, and went with its last event.
            Ok(forgotten) => events.trim(forgotten.unwrap_or(u64::MAX)),
            Err(error) => failed = Some(error),
        }
        !events.positions.is_empty()
    });
    failed.map_or(Ok(()), |error| Err(error.into()))
}
