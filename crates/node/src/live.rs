//! The subscriptions that exist now, as the loops and the operations see them.
//!
//! A mirror of the store for what is asked often: status, last event number, cursor. It is filled
//! from the store at start and changed only after a commit, so what it says is durable, with one
//! exception: cursors run ahead of the store (a lost cursor costs a repeated notification, which
//! RQ-CH-03 allows).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cresset_model::{
    Base, ChannelType, ClientName, Event, EventNumber, Position, ResourceId, Subscription,
    SubscriptionError, SubscriptionKey, SubscriptionStatus,
};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

/// Newest events of a subscription kept in memory, so that sending them right after the write
/// asks no index on disk.
const RECENT_EVENTS_MAX: usize = 64;

/// One subscription and where it stands.
pub(crate) struct LiveSubscription {
    /// Its life.
    pub(crate) key: SubscriptionKey,
    /// The base it lives in.
    pub(crate) base: Base,
    /// Id of the Subscription resource.
    pub(crate) id: ResourceId,
    /// The client that created it.
    pub(crate) owner: ClientName,
    state: Mutex<State>,
}

/// What changes about a subscription.
pub(crate) struct State {
    /// What the subscriber asked for; its filters live in the catalog only.
    pub(crate) settings: Arc<Subscription>,
    /// Where it stands. The same as `settings.status`, kept here for the server's own changes.
    pub(crate) status: SubscriptionStatus,
    /// Why it left `active`.
    pub(crate) error: Option<Box<SubscriptionError>>,
    /// What last kept a change from being evaluated for it (I9); not kept over a restart.
    pub(crate) problem: Option<Box<str>>,
    /// When its client last changed it.
    pub(crate) accepted: Timestamp,
    /// When it got its status.
    pub(crate) since: Timestamp,
    /// Counts the client's changes, so that the loops see that there was one.
    pub(crate) revision: u64,
    /// It was deleted.
    pub(crate) gone: bool,
    /// Number of the last event; 0 before the first.
    pub(crate) last: u64,
    /// Last event number sent with success.
    pub(crate) cursor: Option<EventNumber>,
    events: VecDeque<(EventNumber, Position)>,
}

impl LiveSubscription {
    pub(crate) fn new(
        key: SubscriptionKey,
        base: Base,
        id: ResourceId,
        owner: ClientName,
        settings: Arc<Subscription>,
        accepted: Timestamp,
    ) -> Self {
        let status = settings.status;
        let state = State {
            settings,
            status,
            error: None,
            problem: None,
            accepted,
            since: accepted,
            revision: 0,
            gone: false,
            last: 0,
            cursor: None,
            events: VecDeque::new(),
        };
        Self { key, base, id, owner, state: Mutex::new(state) }
    }

    /// Locks the state; hold it for a few instructions, never across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its notifications travel over sockets.
    pub(crate) fn is_websocket(&self) -> bool {
        self.state().settings.channel_type == ChannelType::Websocket
    }
}

impl State {
    /// Takes what the client made of it.
    pub(crate) fn take_settings(&mut self, settings: Arc<Subscription>, at: Timestamp) {
        self.status = settings.status;
        self.settings = settings;
        self.accepted = at;
        self.since = at;
        self.revision += 1;
        self.error = None;
        self.problem = None;
    }

    /// Takes what the store holds, when the state is read anew.
    ///
    /// Settings that are the same are no change of the client's, so what the loops decided stands.
    pub(crate) fn restore(&mut self, settings: Arc<Subscription>, at: Timestamp, last: u64) {
        let status = settings.status;
        if (Subscription { status, ..Subscription::clone(&self.settings) }) == *settings {
            self.status = status;
        } else {
            self.take_settings(settings, at);
        }
        self.accepted = at;
        // The server's own changes of the status are versions of the resource, too.
        self.since = at;
        self.last = last;
        // Events may be missing between those kept and the last.
        self.events = VecDeque::new();
    }

    /// Takes what the server made of it.
    pub(crate) fn take_status(
        &mut self,
        status: SubscriptionStatus,
        error: Option<SubscriptionError>,
        at: Timestamp,
    ) {
        if self.status != status {
            self.since = at;
        }
        self.status = status;
        self.error = error.map(Box::new);
    }

    /// Whether anything is sent: in `active` only (RQ-ER-11).
    pub(crate) fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active && !self.gone
    }

    /// Takes in a durable event.
    pub(crate) fn append(&mut self, event: Event) {
        assert_eq!(event.number.get(), self.last + 1, "I1: event numbers have no gap");
        self.last = event.number.get();
        if self.events.len() == RECENT_EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back((event.number, event.position));
    }

    /// Moves the cursor forward; never back.
    pub(crate) fn move_cursor(&mut self, number: EventNumber) {
        self.cursor = self.cursor.max(Some(number));
        while self.events.front().is_some_and(|(first, _)| *first <= number) {
            self.events.pop_front();
        }
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
    }

    /// Positions of the events `first` to `last`, if all of them are still in memory.
    pub(crate) fn positions(
        &self,
        first: EventNumber,
        last: EventNumber,
    ) -> Option<Vec<(EventNumber, Position)>> {
        let (front, _) = *self.events.front()?;
        let start = usize::try_from(first.get().checked_sub(front.get())?).ok()?;
        let count = usize::try_from(last.get().checked_sub(first.get())?).ok()? + 1;
        let held = self.events.range(start.min(self.events.len())..);
        let found: Vec<_> = held.take(count).copied().collect();
        let whole = found.len() == count && found.first().is_some_and(|(one, _)| *one == first);
        whole.then_some(found)
    }
}

/// All subscriptions that exist now, by key and by id.
#[derive(Default)]
pub(crate) struct Live(RwLock<Tables>);

#[derive(Default)]
struct Tables {
    by_key: FxHashMap<SubscriptionKey, Arc<LiveSubscription>>,
    by_id: FxHashMap<(Base, ResourceId), SubscriptionKey>,
    per_owner: FxHashMap<ClientName, usize>,
}

impl Live {
    /// The subscription with this key.
    pub(crate) fn get(&self, key: SubscriptionKey) -> Option<Arc<LiveSubscription>> {
        self.tables().by_key.get(&key).cloned()
    }

    /// The subscription with this id in this base.
    pub(crate) fn find(&self, base: Base, id: &ResourceId) -> Option<Arc<LiveSubscription>> {
        let tables = self.tables();
        let key = tables.by_id.get(&(base, id.clone()))?;
        tables.by_key.get(key).cloned()
    }

    /// Adds one.
    pub(crate) fn insert(&self, subscription: Arc<LiveSubscription>) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tables.by_id.insert((subscription.base, subscription.id.clone()), subscription.key);
        *tables.per_owner.entry(subscription.owner.clone()).or_default() += 1;
        tables.by_key.insert(subscription.key, subscription);
    }

    /// Takes one out.
    pub(crate) fn remove(&self, key: SubscriptionKey) -> Option<Arc<LiveSubscription>> {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let removed = tables.by_key.remove(&key)?;
        tables.by_id.remove(&(removed.base, removed.id.clone()));
        if let Some(count) = tables.per_owner.get_mut(&removed.owner) {
            *count -= 1;
            if *count == 0 {
                tables.per_owner.remove(&removed.owner);
            }
        }
        Some(removed)
    }

    /// How many this client has.
    pub(crate) fn count_of(&self, owner: &ClientName) -> usize {
        self.tables().per_owner.get(owner).copied().unwrap_or(0)
    }

    /// All of a base, in the order of their creation.
    pub(crate) fn of_base(&self, base: Base) -> Vec<Arc<LiveSubscription>> {
        let mut found: Vec<_> =
            self.tables().by_key.values().filter(|one| one.base == base).cloned().collect();
        found.sort_unstable_by_key(|subscription| subscription.key);
        found
    }

    /// All there are, in the order of their creation.
    pub(crate) fn all(&self) -> Vec<Arc<LiveSubscription>> {
        let mut found: Vec<_> = self.tables().by_key.values().cloned().collect();
        found.sort_unstable_by_key(|subscription| subscription.key);
        found
    }

    /// The keys of those that are so, in the order of their creation.
    pub(crate) fn keys_where(
        &self,
        is_so: impl Fn(&LiveSubscription) -> bool,
    ) -> Vec<SubscriptionKey> {
        let tables = self.tables();
        let found = tables.by_key.values().filter(|live| is_so(live)).map(|live| live.key);
        let mut found: Vec<_> = found.collect();
        found.sort_unstable();
        found
    }

    fn tables(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
