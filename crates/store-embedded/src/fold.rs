//! Writes the frozen part of the tail into the views of `log.db`, in order, a slice at a time.
//!
//! A slice is part of the transaction of an append, so it costs no flush of its own and no long
//! pause. Rows take the place of others: after a crash the fold starts over from the log.

use std::ops::Bound;

use cresset_model::SubscriptionKey;
use rusqlite::{Connection, params};
use smallvec::SmallVec;

use crate::fault::Fault;
use crate::run::{RUN_MAX, gaps};
use crate::tail::{Frozen, Slot};

/// Events of a run that are written as fast as one row.
const RUN_EVENTS_OF_A_ROW: usize = 16;

/// Most rows of cursor moves that are cleared at a time.
const MOVES_MAX: usize = 1 << 20;

/// How far a fold has come.
#[derive(Debug, Clone, Default)]
pub(crate) enum Progress {
    /// Nothing is written.
    #[default]
    Start,
    /// Versions up to this resource are written.
    Versions(Slot),
    /// All versions, and events up to this number of this subscription.
    Events(SubscriptionKey, u64),
    /// All events, and cursors up to this subscription.
    Cursors(Option<SubscriptionKey>),
    /// All of it, the log of cursor moves is being cleared.
    Moves,
    /// Nothing is left to do, and `meta` says so.
    Done,
}

/// Writes about `budget` rows, and says how far it came.
pub(crate) fn fold(
    connection: &Connection,
    frozen: &Frozen,
    mut budget: usize,
) -> Result<Progress, Fault> {
    let mut progress = frozen.progress.clone();
    while budget > 0 {
        let before = budget;
        progress = match progress {
            Progress::Start => versions(connection, frozen, None, &mut budget)?,
            Progress::Versions(slot) => versions(connection, frozen, Some(&slot), &mut budget)?,
            Progress::Events(key, number) => events(connection, frozen, key, number, &mut budget)?,
            Progress::Cursors(after) => cursors(connection, frozen, after, &mut budget)?,
            Progress::Moves => moves(connection, frozen, &mut budget)?,
            Progress::Done => return Ok(Progress::Done),
        };
        // A stage that finds nothing to write passes on to the next; the last is `Done`.
        debug_assert!(budget <= before, "a budget never grows");
    }
    Ok(progress)
}

fn versions(
    connection: &Connection,
    frozen: &Frozen,
    after: Option<&Slot>,
    budget: &mut usize,
) -> Result<Progress, Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO version (base, type, id, version, position)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    for (slot, versions) in frozen.overlay.versions.range((start, Bound::Unbounded)) {
        for (version, position) in versions {
            insert.execute(params![
                slot.base,
                slot.resource_type,
                slot.id.as_str(),
                version,
                position
            ])?;
        }
        *budget = budget.saturating_sub(versions.len());
        if *budget == 0 {
            return Ok(Progress::Versions(slot.clone()));
        }
    }
    let first = frozen.overlay.events.first_key_value();
    Ok(first.map_or(Progress::Cursors(None), |(key, _)| Progress::Events(*key, 0)))
}

fn events(
    connection: &Connection,
    frozen: &Frozen,
    from: SubscriptionKey,
    after: u64,
    budget: &mut usize,
) -> Result<Progress, Fault> {
    // Also the runs of a fold that a crash cut off: they may end elsewhere.
    let mut delete =
        connection.prepare_cached("DELETE FROM event WHERE subscription = ?1 AND number >= ?2")?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO event (subscription, number, position, gaps) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (key, events) in frozen.overlay.events.range(from..) {
        let subscription = key.position().get();
        let after = if *key == from { after } else { 0 };
        let mut first = events.first.max(after + 1);
        if first == events.first {
            delete.execute([subscription, first])?;
        }
        while first <= events.last() {
            let skip = usize::try_from(first - events.first).unwrap_or(usize::MAX);
            let run: SmallVec<[u64; 8]> =
                events.positions.iter().skip(skip).take(RUN_MAX).copied().collect();
            let last = first + run.len() as u64 - 1;
            insert.execute(params![subscription, last, run[run.len() - 1], gaps(&run)])?;
            *budget = budget.saturating_sub(1 + run.len() / RUN_EVENTS_OF_A_ROW);
            if *budget == 0 {
                return Ok(Progress::Events(*key, last));
            }
            first = last + 1;
        }
    }
    Ok(Progress::Cursors(None))
}

fn cursors(
    connection: &Connection,
    frozen: &Frozen,
    after: Option<SubscriptionKey>,
    budget: &mut usize,
) -> Result<Progress, Fault> {
    let mut update = connection
        .prepare_cached("UPDATE subscription SET cursor = ?2 WHERE key = ?1 AND cursor < ?2")?;
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    for (key, number) in frozen.overlay.cursors.range((start, Bound::Unbounded)) {
        update.execute([key.position().get(), *number])?;
        *budget -= 1;
        if *budget == 0 {
            return Ok(Progress::Cursors(Some(*key)));
        }
    }
    Ok(Progress::Moves)
}

/// Clears what cursors have been folded from, then says in `meta` that all of it is folded.
fn moves(connection: &Connection, frozen: &Frozen, budget: &mut usize) -> Result<Progress, Fault> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM cursor_move WHERE number <= ?1
               AND number < ?2 + (SELECT min(number) FROM cursor_move)",
        )?
        .execute(params![frozen.upto_move, (*budget).min(MOVES_MAX)])?;
    *budget = budget.saturating_sub(removed);
    if *budget == 0 {
        return Ok(Progress::Moves);
    }
    connection
        .prepare_cached("UPDATE meta SET folded = ?1, folded_moves = ?2")?
        .execute([frozen.upto, frozen.upto_move])?;
    Ok(Progress::Done)
}
