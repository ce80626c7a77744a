//! Reads of subscriptions, their events, and tokens.

use cresset_model::{
    Base, Event, EventNumber, Position, ResourceId, ResourceKey, SubscriptionError,
    SubscriptionErrorCode, SubscriptionKey,
};
use cresset_store::{EVENTS_PAGE_MAX, SUBSCRIPTIONS_PAGE_MAX, SubscriptionRecord, TokenRecord};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Log;
use super::row::{stored, subscription_key, take_retries, timestamp};
use crate::codec::take_integer;
use crate::fault::Fault;
use crate::run::events_of;

const SELECT_SUBSCRIPTION: &str =
    "SELECT key, base, type, id, owner, created, cursor, forgotten, coalesce(
         (SELECT max(number) FROM event WHERE subscription = key), 0), error_code, error_text,
         retries
     FROM subscription";

/// A subscription as the file's views have it.
struct Stored {
    record: SubscriptionRecord,
    cursor: u64,
    forgotten: u64,
}

impl Log {
    pub(crate) fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRecord>, Fault> {
        let after = after.map_or(0, |after| after.position().get().cast_signed());
        let limit = limit.min(SUBSCRIPTIONS_PAGE_MAX);
        self.newest(|connection, head| {
            let mut select = connection.prepare_cached(&format!(
                "{SELECT_SUBSCRIPTION} WHERE key > ?1 AND key <= ?2 AND ended IS NULL
                 ORDER BY key LIMIT ?3"
            ))?;
            let mut rows = select.query(params![after, head, limit])?;
            let mut page = Vec::new();
            while let Some(row) = rows.next()? {
                page.push(self.stored_subscription(connection, row)?);
            }
            Ok(page)
        })
    }

    pub(crate) fn subscription(
        &self,
        key: SubscriptionKey,
    ) -> Result<Option<SubscriptionRecord>, Fault> {
        let found = self.newest(|connection, head| {
            let mut select = connection.prepare_cached(&format!(
                "{SELECT_SUBSCRIPTION} WHERE key = ?1 AND key <= ?2 AND ended IS NULL"
            ))?;
            let mut rows = select.query(params![key.position().get().cast_signed(), head])?;
            let row = rows.next()?;
            row.map(|row| self.stored_subscription(connection, row)).transpose().map(Vec::from_iter)
        })?;
        Ok(found.into_iter().next())
    }

    /// Reads subscriptions from the file, and then what the tail knows better.
    fn newest(
        &self,
        read: impl Fn(&Connection, u64) -> Result<Vec<Stored>, Fault>,
    ) -> Result<Vec<SubscriptionRecord>, Fault> {
        loop {
            let tail = self.seen();
            let Some(head) = tail.head else { return Ok(Vec::new()) };
            let folded = tail.folded;
            drop(tail);
            let page = self.read(|connection| read(connection, head.get()))?;
            let tail = self.seen();
            if tail.folded != folded {
                // What the file did not have yet may have left the tail meanwhile.
                continue;
            }
            let newest = page.into_iter().map(|Stored { mut record, cursor, forgotten }| {
                let last = tail.last_event(record.key).unwrap_or(0);
                record.events = record.events.max(last).max(forgotten);
                let oldest = (record.events > forgotten).then_some(forgotten + 1);
                record.oldest = oldest.and_then(EventNumber::new);
                let cursor = tail.cursor(record.key).unwrap_or(0).max(cursor);
                record.cursor = EventNumber::new(cursor);
                record
            });
            return Ok(newest.collect());
        }
    }

    fn stored_subscription(&self, connection: &Connection, row: &Row<'_>) -> Result<Stored, Fault> {
        let id: String = row.get(3)?;
        let retries = row.get_ref(11)?.as_blob_or_null().map_err(|_| Fault::corrupt("retries"))?;
        let record = SubscriptionRecord {
            key: subscription_key(row.get(0)?)?,
            resource: ResourceKey {
                base: Base::new(row.get(1)?),
                resource_type: self.types.name(connection, row.get(2)?)?,
                id: stored(ResourceId::new(&id).ok())?,
            },
            owner: self.clients.name(connection, row.get(4)?)?,
            created: timestamp(row.get(5)?)?,
            events: row.get(8)?,
            oldest: None,
            cursor: None,
            error: stored_error(row.get(9)?, row.get(10)?),
            retries: retries.map(take_retries).transpose()?,
        };
        Ok(Stored { record, cursor: row.get(6)?, forgotten: row.get(7)? })
    }

    pub(crate) fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Result<Vec<Event>, Fault> {
        let limit = limit.min(EVENTS_PAGE_MAX);
        let numbered = self.read(|connection| {
            self.numbered(connection, subscription, from.get(), to.get(), limit)
        })?;
        let event = |(number, position)| {
            Ok(Event {
                subscription,
                number: stored(EventNumber::new(number))?,
                position: stored(Position::new(position))?,
            })
        };
        numbered.into_iter().map(event).collect()
    }

    /// Numbers and positions of events, from the file and the tail, checked for gaps (I1).
    pub(super) fn numbered(
        &self,
        connection: &Connection,
        subscription: SubscriptionKey,
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64)>, Fault> {
        // The tail first: what leaves it later is in the file by then.
        let (lowest, in_tail) = self.seen().events(subscription, from, to, limit);
        let below = lowest.unwrap_or(u64::MAX).min(to.saturating_add(1));
        let mut numbered = Vec::new();
        if from < below {
            // A run may begin with what is forgotten by now.
            let mut select = connection.prepare_cached(
                "SELECT number, position, gaps,
                     (SELECT forgotten FROM subscription WHERE key = ?1)
                 FROM event WHERE subscription = ?1 AND number >= ?2 ORDER BY number",
            )?;
            let key = subscription.position().get().cast_signed();
            let mut rows = select.query([key, i64::try_from(from).unwrap_or(i64::MAX)])?;
            while numbered.len() < limit
                && let Some(row) = rows.next()?
            {
                let gaps = row.get_ref(2)?.as_blob_or_null().map_err(|_| Fault::corrupt("gaps"))?;
                let run = events_of(row.get(0)?, row.get(1)?, gaps.unwrap_or_default())?;
                let forgotten: Option<u64> = row.get(3)?;
                let first = from.max(forgotten.unwrap_or(0) + 1);
                let wanted = run.into_iter().filter(|(number, _)| (first..below).contains(number));
                let before = numbered.len();
                numbered.extend(wanted.take(limit - before));
                if numbered.len() == before {
                    break;
                }
            }
        }
        let room = limit - numbered.len();
        numbered.extend(in_tail.into_iter().take(room));
        let gap = |pair: &[(u64, u64)]| pair[0].0 + 1 != pair[1].0 || pair[0].1 >= pair[1].1;
        if numbered.windows(2).any(gap) {
            return Err(Fault::corrupt("the events of a subscription have a gap"));
        }
        Ok(numbered)
    }

    pub(crate) fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Fault> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT base, owner, expires, subscriptions FROM token WHERE hash = ?1",
            )?;
            let token = select
                .query_row([hash], |row| Ok(self.token_of(connection, *hash, row)))
                .optional()?;
            token.transpose()
        })
    }

    fn token_of(
        &self,
        connection: &Connection,
        hash: [u8; 32],
        row: &Row<'_>,
    ) -> Result<TokenRecord, Fault> {
        let mut blob =
            row.get_ref(3)?.as_blob().map_err(|_| Fault::corrupt("what a token covers"))?;
        let mut subscriptions = Vec::new();
        while !blob.is_empty() {
            subscriptions.push(subscription_key(take_integer(&mut blob)?)?);
        }
        Ok(TokenRecord {
            hash,
            base: Base::new(row.get(0)?),
            owner: self.clients.name(connection, row.get(1)?)?,
            expires: timestamp(row.get(2)?)?,
            subscriptions,
        })
    }
}

/// The recorded reason, if there is one; a code of a later version is left out, its text stays.
fn stored_error(code: Option<String>, text: Option<String>) -> Option<SubscriptionError> {
    let code = code.as_deref().and_then(SubscriptionErrorCode::from_code);
    Some(SubscriptionError { code, text: text? })
}
