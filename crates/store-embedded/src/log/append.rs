//! Appending a group: rows at the end of the log, a slice of the fold, one flush.

use cresset_model::{Event, SubscriptionErrorCode, SubscriptionKey, TraceContext};
use cresset_store::{
    Appended, Counter, Entry, Error, Group, Plan, Record, SubscriptionLife, TokenRecord, plan,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::row::{interaction_number, nanoseconds, put_pair, retries_blob};
use super::{Log, Writer};
use crate::codec::put_integer;
use crate::fault::Fault;
use crate::fold::{Progress, fold};
use crate::tail::{Frozen, Slot, Tail};

/// Counters kept in memory; above this they are dropped and asked for again.
const COUNTERS_MAX: usize = 2 << 20;
/// Rows that a group folds at least, if there is something to fold.
const FOLD_ROWS_MIN: usize = 16;
/// Rows that a group folds for each version, event and cursor move it adds. Above 1, so that the
/// frozen tail is folded before the active one is full.
const FOLD_FACTOR: usize = 2;

/// What a group has written besides its entries.
struct Written {
    /// The slot of each entry, in order.
    slots: Vec<Slot>,
    progress: Option<Progress>,
}

impl Log {
    /// See `ChangeLog::append`.
    pub(crate) fn append(&self, group: &Group) -> Result<Appended, Error> {
        let mut writer = self.writer()?;
        group.check(self.seen().head)?;
        let plan = plan(group, |key| Ok(self.counter(&mut writer, key)?))?;
        if group.entries.is_empty() && group.records.is_empty() {
            return Ok(Appended::default());
        }
        let written =
            self.transaction(&writer, |connection| self.write(connection, &writer, group, &plan))?;
        self.publish_group(&mut writer, group, &plan, written);
        Ok(Appended { events: plan.events })
    }

    fn counter(&self, writer: &mut Writer, key: SubscriptionKey) -> Result<Option<Counter>, Fault> {
        if let Some(counter) = writer.counters.get(&key) {
            return Ok(Some(*counter));
        }
        let counter = self.stored_counter(&writer.connection, key)?;
        if let Some(counter) = counter.filter(|counter| counter.alive) {
            writer.remember(key, counter);
        }
        Ok(counter)
    }

    /// What is stored of a subscription, dead or alive, in the file and in the tail.
    pub(super) fn stored_counter(
        &self,
        connection: &Connection,
        key: SubscriptionKey,
    ) -> Result<Option<Counter>, Fault> {
        let stored = connection
            .prepare_cached(
                "SELECT ended IS NULL, cursor, max(forgotten, coalesce(
                     (SELECT max(number) FROM event WHERE subscription = key), 0))
                 FROM subscription WHERE key = ?1",
            )?
            .query_row([key.position().get()], |row| {
                Ok(Counter { alive: row.get(0)?, cursor: row.get(1)?, last: row.get(2)? })
            })
            .optional()?;
        let Some(mut counter) = stored else { return Ok(None) };
        let tail = self.seen();
        if tail.lowest_event(key).is_some_and(|lowest| lowest > counter.last + 1) {
            return Err(Fault::corrupt("the log and its view of events have a gap between them"));
        }
        counter.last = tail.last_event(key).unwrap_or(0).max(counter.last);
        counter.cursor = tail.cursor(key).unwrap_or(0).max(counter.cursor);
        Ok(Some(counter))
    }

    fn write(
        &self,
        connection: &Connection,
        writer: &Writer,
        group: &Group,
        plan: &Plan,
    ) -> Result<Written, Fault> {
        let slots = self.write_entries(connection, &group.entries, &plan.events)?;
        for (entry, slot) in group.entries.iter().zip(&slots) {
            if let Some(life) = &entry.subscription {
                self.write_life(connection, entry, slot, life)?;
            }
        }
        for record in &group.records {
            match record {
                Record::Cursor { .. } => {}
                Record::Error { subscription, error } => {
                    let code = error.as_ref().and_then(|error| error.code);
                    connection
                        .prepare_cached(
                            "UPDATE subscription SET error_code = ?2, error_text = ?3
                             WHERE key = ?1 AND ended IS NULL",
                        )?
                        .execute(params![
                            subscription.position().get(),
                            code.map(SubscriptionErrorCode::code),
                            error.as_ref().map(|error| error.text.as_str()),
                        ])?;
                }
                Record::Retries { subscription, retries } => {
                    connection
                        .prepare_cached(
                            "UPDATE subscription SET retries = ?2 WHERE key = ?1 AND ended IS NULL",
                        )?
                        .execute(params![
                            subscription.position().get(),
                            retries.as_ref().map(retries_blob).transpose()?,
                        ])?;
                }
                Record::Token(token) => self.write_token(connection, token)?,
                Record::TokenRevoked(hash) => {
                    connection
                        .prepare_cached("DELETE FROM token WHERE hash = ?1")?
                        .execute([hash])?;
                }
            }
        }
        if !plan.cursors.is_empty() {
            let mut blob = Vec::with_capacity(plan.cursors.len() * 8);
            plan.cursors.iter().for_each(|(key, number)| put_pair(&mut blob, *key, *number));
            connection
                .prepare_cached("INSERT INTO cursor_move (number, moves) VALUES (?1, ?2)")?
                .execute(params![writer.moves + 1, blob])?;
        }
        let added = group.entries.len() + plan.events.len() + plan.cursors.len();
        let progress = self.fold_slice(connection, writer, added)?;
        Ok(Written { slots, progress })
    }

    fn write_entries(
        &self,
        connection: &Connection,
        entries: &[Entry],
        events: &[Event],
    ) -> Result<Vec<Slot>, Fault> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO entry
                 (position, base, type, id, version, interaction, at, author, events, body,
                  trace)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        let mut slots = Vec::with_capacity(entries.len());
        let mut events = events.iter().peekable();
        let mut blob = Vec::new();
        for Entry { change, .. } in entries {
            blob.clear();
            while let Some(event) = events.next_if(|event| event.position == change.position) {
                put_pair(&mut blob, event.subscription, event.number);
            }
            let slot = Slot {
                base: change.key.base.number(),
                resource_type: self
                    .types
                    .number_or_insert(connection, &change.key.resource_type)?,
                id: change.key.id.clone(),
            };
            insert.execute(params![
                change.position.get(),
                slot.base,
                slot.resource_type,
                slot.id.as_str(),
                change.version.get(),
                interaction_number(change.interaction),
                nanoseconds(change.at)?,
                self.clients.number_or_insert(connection, &change.author)?,
                (!blob.is_empty()).then_some(blob.as_slice()),
                &change.body[..],
                change.trace.map(TraceContext::to_bytes),
            ])?;
            slots.push(slot);
        }
        assert!(events.next().is_none(), "every event belongs to an entry of its group");
        Ok(slots)
    }

    fn write_life(
        &self,
        connection: &Connection,
        entry: &Entry,
        slot: &Slot,
        life: &SubscriptionLife,
    ) -> Result<(), Fault> {
        let position = entry.change.position.get();
        match life {
            SubscriptionLife::Begins { owner } => connection
                .prepare_cached(
                    "INSERT INTO subscription (key, base, type, id, owner, created)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    position,
                    slot.base,
                    slot.resource_type,
                    slot.id.as_str(),
                    self.clients.number_or_insert(connection, owner)?,
                    nanoseconds(entry.change.at)?,
                ])?,
            SubscriptionLife::Ends(key) => connection
                .prepare_cached("UPDATE subscription SET ended = ?2 WHERE key = ?1")?
                .execute([key.position().get(), position])?,
        };
        Ok(())
    }

    fn write_token(&self, connection: &Connection, token: &TokenRecord) -> Result<(), Fault> {
        let mut blob = Vec::with_capacity(token.subscriptions.len() * 5);
        for key in &token.subscriptions {
            put_integer(&mut blob, key.position().get());
        }
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO token (hash, base, owner, expires, subscriptions)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                token.hash,
                token.base.number(),
                self.clients.number_or_insert(connection, &token.owner)?,
                nanoseconds(token.expires)?,
                blob,
            ])?;
        Ok(())
    }

    fn fold_slice(
        &self,
        connection: &Connection,
        writer: &Writer,
        added: usize,
    ) -> Result<Option<Progress>, Fault> {
        let tail = self.seen();
        let Some(frozen) = &tail.frozen else { return Ok(None) };
        // A single group may fill the active tail at once; then the frozen one has to go.
        let full = tail.active.weight + added >= writer.limits.tail_weight_max;
        let slice = (added * FOLD_FACTOR).max(FOLD_ROWS_MIN);
        Ok(Some(fold(connection, frozen, if full { usize::MAX } else { slice })?))
    }

    /// Lets readers see what was committed.
    fn publish_group(&self, writer: &mut Writer, group: &Group, plan: &Plan, written: Written) {
        for (key, counter) in &plan.counters {
            if counter.alive {
                writer.remember(*key, *counter);
            } else {
                writer.counters.remove(key);
            }
        }
        writer.moves += u64::from(!plan.cursors.is_empty());
        let mut tail = self.publish();
        for (entry, slot) in group.entries.iter().zip(written.slots) {
            let change = &entry.change;
            tail.active.push_version(slot, (change.version.get(), change.position.get()));
            tail.head = Some(change.position);
        }
        for event in &plan.events {
            let (number, position) = (event.number.get(), event.position.get());
            let pushed = tail.active.push_event(event.subscription, number, position);
            assert!(pushed.is_ok(), "I1: numbers without gap");
        }
        for (key, number) in &plan.cursors {
            tail.active.move_cursor(*key, number.get());
        }
        tail.fold_on(written.progress, writer);
    }
}

impl Writer {
    fn remember(&mut self, key: SubscriptionKey, counter: Counter) {
        if self.counters.len() >= COUNTERS_MAX {
            self.counters.clear();
        }
        self.counters.insert(key, counter);
    }
}

impl Tail {
    /// Takes the fold's progress over, and freezes the active overlay when it is full.
    fn fold_on(&mut self, progress: Option<Progress>, writer: &Writer) {
        if let (Some(frozen), Some(progress)) = (&mut self.frozen, progress) {
            frozen.progress = progress;
            if matches!(frozen.progress, Progress::Done) {
                self.frozen = None;
                self.folded += 1;
            }
        }
        if self.frozen.is_none() && self.active.weight >= writer.limits.tail_weight_max {
            self.frozen = Some(Frozen {
                overlay: std::mem::take(&mut self.active),
                upto: self.head.map_or(0, |head| head.get()),
                upto_move: writer.moves,
                progress: Progress::Start,
            });
        }
    }
}
