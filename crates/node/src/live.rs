//! The subscriptions that exist now, as the loops and the operations see them.
//!
//! A mirror of the store for what is asked often: status, last event number, cursor. It is filled
//! from the store at start and changed only after a commit, so what it says is durable, with one
//! exception: cursors run ahead of the store (a lost cursor costs a repeated notification, which
//! RQ-CH-03 allows).

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cresset_model::{
    Base, ChannelType, ClientName, Event, EventNumber, Position, ResourceId, SubscriptionError,
    SubscriptionKey, SubscriptionStatus,
};
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::notify::Range;
use crate::settings::Settings;

/// Newest events of a subscription kept in memory, so that sending them right after the write
/// asks no index on disk.
const RECENT_EVENTS_MAX: usize = 64;

/// One subscription and where it stands.
///
/// There may be a million of them that nothing happens to: what few have is behind a pointer, and
/// `live/tests.rs` watches the size.
pub(crate) struct LiveSubscription {
    /// Its life.
    pub(crate) key: SubscriptionKey,
    /// Id of the Subscription resource.
    pub(crate) id: ResourceId,
    /// The client that created it.
    pub(crate) owner: Arc<ClientName>,
    /// The base it lives in.
    pub(crate) base: Base,
    state: Mutex<State>,
}

/// What changes about a subscription.
pub(crate) struct State {
    /// What the subscriber asked for.
    pub(crate) settings: Settings,
    /// Why it left `active`, and what keeps it from being evaluated.
    trouble: Option<Box<Trouble>>,
    /// When its client last changed it.
    accepted: Millisecond,
    /// When it got its status.
    since: Millisecond,
    /// Number of the last event; 0 before the first.
    pub(crate) last: u64,
    /// Last event number sent with success.
    pub(crate) cursor: Option<EventNumber>,
    /// The newest events that were not sent yet; none for most.
    events: Option<Box<Unsent>>,
    /// Counts the client's changes, and what has to be heeded like one, so that the loops see that there was one.
    pub(crate) revision: u32,
    /// Where it stands.
    pub(crate) status: SubscriptionStatus,
    /// It was deleted.
    pub(crate) gone: bool,
}

/// Events that were lost to retention.
#[derive(Debug)]
struct Loss {
    range: Range,
    text: Box<str>,
}

/// Events in the order of their numbers. Behind a pointer, most have none; and those that do, one.
#[derive(Default)]
struct Unsent(SmallVec<[(EventNumber, Position); 1]>);

/// What few subscriptions have.
#[derive(Default)]
struct Trouble {
    /// Why it left `active`.
    error: Option<SubscriptionError>,
    /// What last kept a change from being evaluated for it (I9); not kept over a restart.
    problem: Option<Box<str>>,
    /// What was forgotten before it could be sent (I5); not kept over a restart.
    loss: Option<Loss>,
}

/// A time as the clock gives it, to the millisecond, in half the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Millisecond(i64);

impl Millisecond {
    fn of(at: Timestamp) -> Self {
        Self(at.as_millisecond())
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or_default()
    }
}

impl LiveSubscription {
    pub(crate) fn new(
        key: SubscriptionKey,
        (base, id): (Base, ResourceId),
        owner: Arc<ClientName>,
        (settings, status): (Settings, SubscriptionStatus),
        accepted: Timestamp,
    ) -> Self {
        let state = State {
            settings,
            trouble: None,
            accepted: Millisecond::of(accepted),
            since: Millisecond::of(accepted),
            last: 0,
            cursor: None,
            events: None,
            revision: 0,
            status,
            gone: false,
        };
        Self { key, id, owner, base, state: Mutex::new(state) }
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
    /// Why it left `active`.
    pub(crate) fn error(&self) -> Option<&SubscriptionError> {
        self.trouble.as_ref()?.error.as_ref()
    }

    /// What last kept a change from being evaluated for it (I9).
    pub(crate) fn problem(&self) -> Option<&str> {
        self.trouble.as_ref()?.problem.as_deref()
    }

    /// What was forgotten before it could be sent (I5).
    pub(crate) fn loss(&self) -> Option<&str> {
        self.trouble.as_ref()?.loss.as_ref().map(|loss| &*loss.text)
    }

    /// When its client last changed it.
    pub(crate) fn accepted(&self) -> Timestamp {
        self.accepted.timestamp()
    }

    /// When it got its status.
    pub(crate) fn since(&self) -> Timestamp {
        self.since.timestamp()
    }

    /// Notes why it left `active`, or that nothing is wrong any more.
    pub(crate) fn set_error(&mut self, error: Option<SubscriptionError>) {
        self.set_trouble(|trouble| trouble.error = error);
    }

    /// Notes what keeps it from being evaluated, or that nothing does any more.
    pub(crate) fn set_problem(&mut self, problem: Option<String>) {
        self.set_trouble(|trouble| trouble.problem = problem.map(String::into_boxed_str));
    }

    /// Notes what was forgotten before it could be sent.
    pub(crate) fn set_loss(&mut self, Range { first, last }: Range) {
        self.set_trouble(|trouble| {
            // Of many that follow each other, found out in as many attempts, all are told.
            let before = trouble.loss.as_ref().map(|loss| loss.range);
            let before = before.filter(|before| before.last.next() == first);
            let first = before.map_or(first, |before| before.first);
            let text = format!(
                "events {first} to {last} were older than what is kept before they could be sent"
            );
            let range = Range { first, last };
            trouble.loss = Some(Loss { range, text: text.into_boxed_str() });
        });
    }

    fn set_trouble(&mut self, set: impl FnOnce(&mut Trouble)) {
        let mut trouble = self.trouble.take().unwrap_or_default();
        set(&mut trouble);
        let Trouble { error, problem, loss } = &*trouble;
        let any = error.is_some() || problem.is_some() || loss.is_some();
        self.trouble = any.then_some(trouble);
    }

    /// Takes what the client made of it.
    pub(crate) fn take_settings(
        &mut self,
        settings: Settings,
        status: SubscriptionStatus,
        at: Timestamp,
    ) {
        self.status = status;
        self.settings = settings;
        self.accepted = Millisecond::of(at);
        self.since = self.accepted;
        self.revision = self.revision.wrapping_add(1);
        self.trouble = None;
    }

    /// Takes what the store holds, when the state is read anew.
    ///
    /// Settings and a status that are the same are no change of the client's, so what the loops decided stands.
    /// Another status counts as one: what was decided without it is out of date.
    pub(crate) fn restore(
        &mut self,
        settings: Settings,
        status: SubscriptionStatus,
        at: Timestamp,
        last: u64,
    ) {
        if settings == self.settings {
            self.revision = self.revision.wrapping_add(u32::from(status != self.status));
            self.status = status;
        } else {
            self.take_settings(settings, status, at);
        }
        self.accepted = Millisecond::of(at);
        // The server's own changes of the status are versions of the resource, too.
        self.since = self.accepted;
        self.last = last;
        // Events may be missing between those kept and the last.
        self.events = None;
    }

    /// Takes what the server made of it.
    pub(crate) fn take_status(
        &mut self,
        status: SubscriptionStatus,
        error: Option<SubscriptionError>,
        at: Timestamp,
    ) {
        if self.status != status {
            self.since = Millisecond::of(at);
        }
        self.status = status;
        self.set_error(error);
    }

    /// Whether anything is sent: in `active` only (RQ-ER-11).
    pub(crate) fn is_active(&self) -> bool {
        self.status == SubscriptionStatus::Active && !self.gone
    }

    /// Takes in a durable event.
    pub(crate) fn append(&mut self, event: Event) {
        assert_eq!(event.number.get(), self.last + 1, "I1: event numbers have no gap");
        self.last = event.number.get();
        let Unsent(events) = self.events.get_or_insert_default().as_mut();
        if events.len() == RECENT_EVENTS_MAX {
            events.remove(0);
        }
        events.push((event.number, event.position));
    }

    /// Moves the cursor forward; never back.
    pub(crate) fn move_cursor(&mut self, number: EventNumber) {
        self.cursor = self.cursor.max(Some(number));
        let Some(Unsent(events)) = self.events.as_deref_mut() else { return };
        let sent = events.iter().take_while(|(event, _)| *event <= number).count();
        if sent == events.len() {
            self.events = None;
        } else {
            drop(events.drain(..sent));
        }
    }

    /// Position of an event, if it is still in memory.
    pub(crate) fn position(&self, number: EventNumber) -> Option<Position> {
        let Unsent(events) = self.events.as_deref()?;
        let (front, _) = *events.first()?;
        let index = usize::try_from(number.get().checked_sub(front.get())?).ok()?;
        events.get(index).filter(|(found, _)| *found == number).map(|(_, position)| *position)
    }

    /// Positions of the events `first` to `last`, if all of them are still in memory.
    pub(crate) fn positions(
        &self,
        first: EventNumber,
        last: EventNumber,
    ) -> Option<Vec<(EventNumber, Position)>> {
        let Unsent(events) = self.events.as_deref()?;
        let (front, _) = *events.first()?;
        let start = usize::try_from(first.get().checked_sub(front.get())?).ok()?;
        let count = usize::try_from(last.get().checked_sub(first.get())?).ok()? + 1;
        let found: Vec<_> = events.iter().skip(start).take(count).copied().collect();
        let whole = found.len() == count && found.first().is_some_and(|(one, _)| *one == first);
        whole.then_some(found)
    }
}

/// All subscriptions that exist now, by key and by id.
#[derive(Default)]
pub(crate) struct Live(RwLock<Tables>);

#[derive(Default)]
struct Tables {
    by_key: FxHashSet<ByKey>,
    by_id: FxHashMap<Base, FxHashSet<ById>>,
    /// How many each client has; the name is the one that its subscriptions share.
    per_owner: FxHashMap<Arc<ClientName>, usize>,
}

/// A subscription found by its key, which it holds itself.
struct ByKey(Arc<LiveSubscription>);

/// A subscription found by its id, which it holds itself.
struct ById(Arc<LiveSubscription>);

macro_rules! found_by {
    ($entry:ty, $field:ident: $name:ty) => {
        impl Borrow<$name> for $entry {
            fn borrow(&self) -> &$name {
                &self.0.$field
            }
        }

        impl Hash for $entry {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.$field.hash(state);
            }
        }

        impl PartialEq for $entry {
            fn eq(&self, other: &Self) -> bool {
                self.0.$field == other.0.$field
            }
        }

        impl Eq for $entry {}
    };
}

found_by!(ByKey, key: SubscriptionKey);
found_by!(ById, id: ResourceId);

impl Live {
    /// The subscription with this key.
    pub(crate) fn get(&self, key: SubscriptionKey) -> Option<Arc<LiveSubscription>> {
        self.tables().by_key.get(&key).map(|found| found.0.clone())
    }

    /// The subscription with this id in this base.
    pub(crate) fn find(&self, base: Base, id: &ResourceId) -> Option<Arc<LiveSubscription>> {
        self.tables().by_id.get(&base)?.get(id).map(|found| found.0.clone())
    }

    /// The name of a client, shared with its subscriptions.
    pub(crate) fn owner(&self, owner: &ClientName) -> Arc<ClientName> {
        let known = self.tables().per_owner.get_key_value(owner).map(|(name, _)| name.clone());
        known.unwrap_or_else(|| Arc::new(owner.clone()))
    }

    /// Adds one.
    pub(crate) fn insert(&self, subscription: Arc<LiveSubscription>) {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tables.by_id.entry(subscription.base).or_default().replace(ById(subscription.clone()));
        *tables.per_owner.entry(subscription.owner.clone()).or_default() += 1;
        tables.by_key.replace(ByKey(subscription));
    }

    /// Takes one out.
    pub(crate) fn remove(&self, key: SubscriptionKey) -> Option<Arc<LiveSubscription>> {
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let ByKey(removed) = tables.by_key.take(&key)?;
        if let Some(of_base) = tables.by_id.get_mut(&removed.base)
            && of_base.get(&removed.id).is_some_and(|found| found.0.key == key)
        {
            of_base.remove(&removed.id);
        }
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
        let of_base =
            self.tables().by_id.get(&base).map(|ids| ids.iter().map(|one| one.0.clone()).collect());
        let mut found: Vec<_> = of_base.unwrap_or_default();
        found.sort_unstable_by_key(|subscription| subscription.key);
        found
    }

    /// All there are, in the order of their creation.
    pub(crate) fn all(&self) -> Vec<Arc<LiveSubscription>> {
        let mut found = self.each();
        found.sort_unstable_by_key(|subscription| subscription.key);
        found
    }

    /// All there are, in no order.
    pub(crate) fn each(&self) -> Vec<Arc<LiveSubscription>> {
        self.tables().by_key.iter().map(|one| one.0.clone()).collect()
    }

    /// The keys of those that are so, in the order of their creation.
    pub(crate) fn keys_where(
        &self,
        is_so: impl Fn(&LiveSubscription) -> bool,
    ) -> Vec<SubscriptionKey> {
        let tables = self.tables();
        let found = tables.by_key.iter().filter(|live| is_so(&live.0)).map(|live| live.0.key);
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
