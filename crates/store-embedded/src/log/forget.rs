//! Retention: removes old events and expired tokens, a bounded step at a time.

use cresset_model::SubscriptionKey;
use cresset_store::{Counter, Error, FORGET_STEP_MAX, Forgotten, Retention};
use rusqlite::{Connection, params};

use super::row::{nanoseconds, stored, subscription_key};
use super::{Log, Writer};
use crate::fault::Fault;

/// Events whose age is looked up at a time.
const EVENTS_STEP: usize = 256;

/// A subscription that a sweep looks at.
struct Swept {
    key: SubscriptionKey,
    forgotten: u64,
}

/// What a step removes of one subscription.
struct Cut {
    key: SubscriptionKey,
    /// How many events.
    count: u64,
    /// The highest number forgotten after it.
    forgotten: u64,
    /// Whether the subscription goes too.
    gone: bool,
}

/// What a step is about to do.
struct Step {
    cuts: Vec<Cut>,
    tokens: Vec<Vec<u8>>,
    /// Where the next one goes on.
    sweep: Option<SubscriptionKey>,
    finished: bool,
}

impl Log {
    /// See `Store::forget`.
    pub(crate) fn forget(&self, retention: &Retention, limit: usize) -> Result<Forgotten, Error> {
        let mut writer = self.writer()?;
        let step = {
            // One lock of the file for the many short reads; nothing else writes meanwhile.
            let _snapshot = writer.connection.unchecked_transaction().map_err(Fault::from)?;
            self.step(&writer, retention, limit.clamp(1, FORGET_STEP_MAX))?
        };
        if !step.cuts.is_empty() || !step.tokens.is_empty() {
            self.transaction(&writer, |connection| remove(connection, &step))?;
        }
        let mut tail = self.publish();
        for cut in &step.cuts {
            tail.trim(cut.key, cut.forgotten);
        }
        drop(tail);
        writer.sweep = step.sweep;
        Ok(Forgotten {
            events: step.cuts.iter().map(|cut| cut.count).sum(),
            subscriptions: step.cuts.iter().map(|cut| u64::from(cut.gone)).sum(),
            tokens: step.tokens.len() as u64,
            finished: step.finished,
        })
    }

    /// Finds what is to go, and changes nothing.
    fn step(&self, writer: &Writer, retention: &Retention, limit: usize) -> Result<Step, Fault> {
        let connection = &writer.connection;
        let tokens = match retention.tokens_expired_before {
            Some(before) => expired(connection, nanoseconds(before)?, limit)?,
            None => Vec::new(),
        };
        let swept = swept(connection, writer.sweep, limit)?;
        let finished = swept.len() < limit;
        let mut step = Step { cuts: Vec::new(), tokens, sweep: writer.sweep, finished };
        let mut room = limit as u64;
        for row in swept {
            let known = writer.counters.get(&row.key).copied();
            let counter = match known {
                Some(counter) => counter,
                None => stored(self.stored_counter(connection, row.key)?)?,
            };
            let count = self.forgettable(connection, &row, &counter, retention, room)?;
            let forgotten = row.forgotten + count;
            let gone = !counter.alive && forgotten == counter.last;
            if count > 0 || gone {
                step.cuts.push(Cut { key: row.key, count, forgotten, gone });
            }
            room -= count;
            if room == 0 {
                // There may be more to forget of this one: the next step looks at it again.
                step.finished = false;
                return Ok(step);
            }
            step.sweep = Some(row.key);
        }
        if step.finished {
            step.sweep = None;
        }
        Ok(step)
    }

    /// How many of a subscription's oldest events are to go, up to `limit`.
    fn forgettable(
        &self,
        connection: &Connection,
        row: &Swept,
        counter: &Counter,
        retention: &Retention,
        limit: u64,
    ) -> Result<u64, Fault> {
        let kept = counter.last - row.forgotten;
        let over = retention.events_per_subscription_max.map_or(0, |max| kept.saturating_sub(max));
        let Some(before) = retention.events_before.filter(|_| over < limit && over < kept) else {
            return Ok(over.min(limit));
        };
        let before = nanoseconds(before)?;
        let mut select = connection.prepare_cached("SELECT at FROM entry WHERE position = ?1")?;
        let mut count = over;
        // One event first: of most subscriptions none is old.
        let mut take = 1;
        while count < limit {
            let from = row.forgotten + count + 1;
            let events = self.numbered(connection, row.key, from, counter.last, take)?;
            take = EVENTS_STEP;
            if events.is_empty() {
                break;
            }
            for (_, position) in events {
                let at: i64 = select.query_row([position], |row| row.get(0))?;
                if at >= before || count == limit {
                    return Ok(count);
                }
                count += 1;
            }
        }
        Ok(count)
    }
}

fn swept(
    connection: &Connection,
    after: Option<SubscriptionKey>,
    limit: usize,
) -> Result<Vec<Swept>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT key, forgotten FROM subscription WHERE key > ?1 ORDER BY key LIMIT ?2",
    )?;
    let after = after.map_or(0, |key| key.position().get());
    let mut rows = select.query(params![after, limit])?;
    let mut swept = Vec::new();
    while let Some(row) = rows.next()? {
        swept.push(Swept { key: subscription_key(row.get(0)?)?, forgotten: row.get(1)? });
    }
    Ok(swept)
}

fn expired(connection: &Connection, before: i64, limit: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let mut select =
        connection.prepare_cached("SELECT hash FROM token WHERE expires < ?1 LIMIT ?2")?;
    let hashes = select.query_map(params![before, limit], |row| row.get(0))?;
    Ok(hashes.collect::<Result<_, _>>()?)
}

fn remove(connection: &Connection, step: &Step) -> Result<(), Fault> {
    for hash in &step.tokens {
        connection.prepare_cached("DELETE FROM token WHERE hash = ?1")?.execute([hash])?;
    }
    for cut in &step.cuts {
        let key = cut.key.position().get();
        connection
            .prepare_cached("DELETE FROM event WHERE subscription = ?1 AND number <= ?2")?
            .execute([key, cut.forgotten])?;
        if cut.gone {
            connection.prepare_cached("DELETE FROM subscription WHERE key = ?1")?.execute([key])?;
        } else {
            connection
                .prepare_cached("UPDATE subscription SET forgotten = ?2 WHERE key = ?1")?
                .execute([key, cut.forgotten])?;
        }
    }
    Ok(())
}
