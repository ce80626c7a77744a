//! Numbers events: the one place where an event gets its number, for every store.
//!
//! A plan is worked out before anything is written, from the counters as they are, and applied to
//! the counters after the write is durable. So a failed write leaves no trace in memory.

use cresset_model::{Event, EventNumber, Position, SubscriptionKey};
use rustc_hash::FxHashMap;

use crate::{Error, Group, Record, SubscriptionLife, TOKEN_SUBSCRIPTIONS_MAX};

/// What must be known of a subscription to number its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The last number given; 0 before the first.
    pub last: u64,
    /// The last number confirmed; 0 before the first.
    pub cursor: u64,
    /// Whether the subscription is alive.
    pub alive: bool,
}

impl Counter {
    const NEW: Self = Self { last: 0, cursor: 0, alive: true };
}

/// What a group means for subscriptions, worked out and not yet written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The events, in order of the entries.
    pub events: Vec<Event>,
    /// Counters after the group, of every subscription that it touches, in order of key.
    pub counters: Vec<(SubscriptionKey, Counter)>,
    /// Cursors that move, with the number they move to, in order of key.
    pub cursors: Vec<(SubscriptionKey, EventNumber)>,
}

/// A counter while a plan is being made.
struct Staged {
    counter: Counter,
    /// The position of the last event given here, against doubles in one entry.
    position: Option<Position>,
    moved: bool,
}

/// Works out which events a group makes, and their numbers (I1, I2).
///
/// `lookup` answers what the store holds about a subscription, `None` if it never heard of it.
///
/// # Errors
///
/// `Invalid` for events of, or an end to, a subscription that is not alive, for a cursor above
/// the last number, and for a token over its bound; whatever `lookup` fails with.
pub fn plan(
    group: &Group,
    lookup: impl FnMut(SubscriptionKey) -> Result<Option<Counter>, Error>,
) -> Result<Plan, Error> {
    let mut planner = Planner { lookup, staged: FxHashMap::default(), events: Vec::new() };
    for entry in &group.entries {
        let position = entry.change.position;
        if let Some(SubscriptionLife::Begins { .. }) = &entry.subscription {
            planner.begin(SubscriptionKey::created_at(position))?;
        }
        for &subscription in &entry.events {
            planner.event(subscription, position)?;
        }
        if let Some(SubscriptionLife::Ends(subscription)) = &entry.subscription {
            planner.alive(*subscription)?.counter.alive = false;
        }
    }
    for record in &group.records {
        match record {
            Record::Cursor { subscription, number } => planner.cursor(*subscription, *number)?,
            Record::Token(token) if token.subscriptions.len() > TOKEN_SUBSCRIPTIONS_MAX => {
                return Err(Error::invalid("a token over more subscriptions than it may have"));
            }
            Record::Error { .. }
            | Record::Retries { .. }
            | Record::Token(_)
            | Record::TokenRevoked(_) => {}
        }
    }
    Ok(planner.finish())
}

struct Planner<L> {
    lookup: L,
    staged: FxHashMap<SubscriptionKey, Staged>,
    events: Vec<Event>,
}

impl<L: FnMut(SubscriptionKey) -> Result<Option<Counter>, Error>> Planner<L> {
    fn staged(&mut self, key: SubscriptionKey) -> Result<Option<&mut Staged>, Error> {
        use std::collections::hash_map::Entry;
        match self.staged.entry(key) {
            Entry::Occupied(entry) => Ok(Some(entry.into_mut())),
            Entry::Vacant(entry) => Ok((self.lookup)(key)?
                .map(|counter| entry.insert(Staged { counter, position: None, moved: false }))),
        }
    }

    fn alive(&mut self, key: SubscriptionKey) -> Result<&mut Staged, Error> {
        match self.staged(key)? {
            Some(staged) if staged.counter.alive => Ok(staged),
            Some(_) | None => Err(Error::invalid("a subscription that is not alive")),
        }
    }

    fn begin(&mut self, key: SubscriptionKey) -> Result<(), Error> {
        if self.staged(key)?.is_some() {
            // Its position is above the head, so nothing can have been stored under its key.
            return Err(Error::corrupt("a subscription from beyond the head"));
        }
        self.staged.insert(key, Staged { counter: Counter::NEW, position: None, moved: false });
        Ok(())
    }

    fn event(&mut self, key: SubscriptionKey, position: Position) -> Result<(), Error> {
        let staged = self.alive(key)?;
        if staged.position == Some(position) {
            return Ok(());
        }
        staged.position = Some(position);
        staged.counter.last += 1;
        let number = EventNumber::new(staged.counter.last).ok_or(Error::corrupt("a counter"))?;
        self.events.push(Event { subscription: key, number, position });
        Ok(())
    }

    fn cursor(&mut self, key: SubscriptionKey, number: EventNumber) -> Result<(), Error> {
        let Some(staged) = self.staged(key)? else { return Ok(()) };
        if !staged.counter.alive {
            return Ok(());
        }
        if number.get() > staged.counter.last {
            return Err(Error::invalid("a cursor above the last event"));
        }
        if number.get() > staged.counter.cursor {
            staged.counter.cursor = number.get();
            staged.moved = true;
        }
        Ok(())
    }

    fn finish(self) -> Plan {
        let mut counters: Vec<_> = self.staged.into_iter().collect();
        counters.sort_unstable_by_key(|(key, _)| *key);
        let cursors = counters
            .iter()
            .filter(|(_, staged)| staged.moved)
            .filter_map(|(key, staged)| Some((*key, EventNumber::new(staged.counter.cursor)?)))
            .collect();
        let counters = counters.into_iter().map(|(key, staged)| (key, staged.counter)).collect();
        Plan { events: self.events, counters, cursors }
    }
}
