//! Subscriptions and their events in the memory store, and forgetting them.

use std::collections::VecDeque;
use std::ops::Bound;

use cresset_model::{
    Change, ClientName, Event, EventNumber, Position, ResourceKey, Retries, SubscriptionError,
    SubscriptionKey,
};
use jiff::Timestamp;

use super::state::State;
use crate::{
    Counter, EVENTS_PAGE_MAX, FORGET_STEP_MAX, Forgotten, Retention, SUBSCRIPTIONS_PAGE_MAX,
    SubscriptionRecord,
};

/// One life of a subscription.
#[derive(Debug)]
pub(super) struct Life {
    resource: ResourceKey,
    owner: ClientName,
    created: Timestamp,
    alive: bool,
    cursor: u64,
    error: Option<SubscriptionError>,
    retries: Option<Retries>,
    /// The highest number forgotten.
    forgotten: u64,
    /// Positions of the events `forgotten + 1` onwards.
    positions: VecDeque<Position>,
}

impl Life {
    pub(super) fn begin(change: &Change, owner: ClientName) -> Self {
        Self {
            resource: change.key.clone(),
            owner,
            created: change.at,
            alive: true,
            cursor: 0,
            error: None,
            retries: None,
            forgotten: 0,
            positions: VecDeque::new(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.forgotten + self.positions.len() as u64
    }

    /// Takes the reason why it left `active`; one that has ended keeps what it has.
    pub(super) fn take_error(&mut self, error: Option<&SubscriptionError>) {
        if self.alive {
            self.error = error.cloned();
        }
    }

    /// Takes where its retries stand; one that has ended keeps what it has.
    pub(super) fn take_retries(&mut self, retries: Option<Retries>) {
        if self.alive {
            self.retries = retries;
        }
    }

    pub(super) fn counter(&self) -> Counter {
        Counter { last: self.last(), cursor: self.cursor, alive: self.alive }
    }

    pub(super) fn push(&mut self, event: Event) {
        assert_eq!(event.number.get(), self.last() + 1, "I1: numbers without gap");
        assert!(self.positions.back() < Some(&event.position), "I2: one event of a change");
        self.positions.push_back(event.position);
    }

    pub(super) fn settle(&mut self, counter: &Counter) {
        self.cursor = counter.cursor;
        self.alive = counter.alive;
    }

    fn record(&self, key: SubscriptionKey) -> SubscriptionRecord {
        SubscriptionRecord {
            key,
            resource: self.resource.clone(),
            owner: self.owner.clone(),
            created: self.created,
            events: self.last(),
            oldest: match self.positions.is_empty() {
                true => None,
                false => EventNumber::new(self.forgotten + 1),
            },
            cursor: EventNumber::new(self.cursor),
            error: self.error.clone(),
            retries: self.retries,
        }
    }
}

impl State {
    pub(super) fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Vec<SubscriptionRecord> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.lives
            .range((start, Bound::Unbounded))
            .filter(|(_, life)| life.alive)
            .map(|(key, life)| life.record(*key))
            .take(limit.min(SUBSCRIPTIONS_PAGE_MAX))
            .collect()
    }

    pub(super) fn subscription(&self, key: SubscriptionKey) -> Option<SubscriptionRecord> {
        self.lives.get(&key).filter(|life| life.alive).map(|life| life.record(key))
    }

    pub(super) fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Vec<Event> {
        let Some(life) = self.lives.get(&subscription) else { return Vec::new() };
        let from = from.get().max(life.forgotten + 1);
        let to = to.get().min(life.last());
        (from..=to)
            .filter_map(|number| {
                let index = usize::try_from(number - life.forgotten - 1).ok()?;
                let position = *life.positions.get(index)?;
                Some(Event { subscription, number: EventNumber::new(number)?, position })
            })
            .take(limit.min(EVENTS_PAGE_MAX))
            .collect()
    }

    pub(super) fn forget(&mut self, retention: &Retention, limit: usize) -> Forgotten {
        let limit = limit.clamp(1, FORGET_STEP_MAX);
        let mut done =
            Forgotten { tokens: self.forget_tokens(retention, limit), ..Forgotten::default() };
        let mut events_left = limit;
        let start = self.sweep.map_or(Bound::Unbounded, Bound::Excluded);
        let keys: Vec<_> =
            self.lives.range((start, Bound::Unbounded)).take(limit).map(|(key, _)| *key).collect();
        for key in keys.iter().copied() {
            let count = self.forgettable(key, retention, events_left);
            let Some(life) = self.lives.get_mut(&key) else { continue };
            life.positions.drain(..count);
            life.forgotten += count as u64;
            done.events += count as u64;
            events_left -= count;
            if !life.alive && life.positions.is_empty() {
                self.lives.remove(&key);
                done.subscriptions += 1;
            }
            if events_left == 0 {
                // There may be more to forget of this one: the next step looks at it again.
                return done;
            }
            self.sweep = Some(key);
        }
        if keys.len() < limit {
            self.sweep = None;
            done.finished = true;
        }
        done
    }

    fn forgettable(&self, key: SubscriptionKey, retention: &Retention, limit: usize) -> usize {
        let Some(life) = self.lives.get(&key) else { return 0 };
        let kept = life.positions.len();
        let over = retention
            .events_per_subscription_max
            .map_or(0, |max| kept.saturating_sub(usize::try_from(max).unwrap_or(usize::MAX)));
        let old = |position: &Position| match (self.change(*position), retention.events_before) {
            (Some(change), Some(before)) => change.at < before,
            (Some(_) | None, _) => false,
        };
        let aged = life.positions.iter().take(limit).take_while(|position| old(position)).count();
        over.max(aged).min(limit)
    }

    fn forget_tokens(&mut self, retention: &Retention, limit: usize) -> u64 {
        let Some(before) = retention.tokens_expired_before else { return 0 };
        let expired: Vec<_> = self
            .tokens
            .values()
            .filter(|token| token.expires < before)
            .map(|token| token.hash)
            .take(limit)
            .collect();
        for hash in &expired {
            self.tokens.remove(hash);
        }
        expired.len() as u64
    }
}
