//! Wake-ups: which subscriptions have something new.
//!
//! A hint may be lost, doubled or late with no effect but latency (I8): whoever wakes compares
//! what it knows with the live table. So hints are a set, bounded by the subscriptions there are.
//!
//! What is to be sent again comes the same way, one range for each subscription at most. It is no
//! hint: it stands nowhere else, and a restart forgets it.

use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use cresset_model::SubscriptionKey;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::notify::Range;

/// The hints for one loop or one socket: one task waits for them.
#[derive(Default)]
pub(crate) struct Hints {
    waiting: Mutex<Waiting>,
    /// What is to be sent again; without a range where that is under way.
    resends: Mutex<FxHashMap<SubscriptionKey, Option<Range>>>,
}

/// The hints that nobody has taken yet, and the task that waits for some.
///
/// Under one lock, so that a hint costs no more than that: many are given with each event of many subscriptions.
#[derive(Default)]
struct Waiting {
    keys: FxHashSet<SubscriptionKey>,
    /// Something else has to be looked at.
    called: bool,
    waker: Option<Waker>,
}

impl Hints {
    /// Tells that this subscription has something new.
    pub(crate) fn give(&self, key: SubscriptionKey) {
        self.give_all([key]);
    }

    /// Tells that these subscriptions have something new, and wakes who waits once.
    pub(crate) fn give_all(&self, keys: impl IntoIterator<Item = SubscriptionKey>) {
        let waker = {
            let mut waiting = self.waiting();
            waiting.keys.extend(keys);
            if waiting.keys.is_empty() { None } else { waiting.waker.take() }
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Wakes who waits, without a hint at any subscription.
    pub(crate) fn call(&self) {
        let waker = {
            let mut waiting = self.waiting();
            waiting.called = true;
            waiting.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits until there is a hint or a call. Cancel safe: nothing is taken.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| self.poll_wait(context)).await;
    }

    fn poll_wait(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting();
        if waiting.called || !waiting.keys.is_empty() {
            return Poll::Ready(());
        }
        match &mut waiting.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Whether there is none.
    #[cfg(feature = "stepped")]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().keys.is_empty()
    }

    /// Takes all hints there are, and the call.
    pub(crate) fn take(&self) -> SmallVec<[SubscriptionKey; 4]> {
        let mut waiting = self.waiting();
        waiting.called = false;
        waiting.keys.drain().collect()
    }

    /// Asks for events to be sent again; false while that of the same subscription goes on.
    pub(crate) fn resend(&self, key: SubscriptionKey, range: Range) -> bool {
        match self.resends().entry(key) {
            Entry::Occupied(_) => return false,
            Entry::Vacant(entry) => entry.insert(Some(range)),
        };
        self.give(key);
        true
    }

    /// Of whom something is to be sent again that nobody has taken.
    pub(crate) fn waiting_resends(&self) -> Vec<SubscriptionKey> {
        let waiting = self.resends();
        waiting.iter().filter(|(_, range)| range.is_some()).map(|(key, _)| *key).collect()
    }

    /// What is to be sent again, once; [`Self::resend_ended`] has to follow.
    pub(crate) fn take_resend(&self, key: SubscriptionKey) -> Option<Range> {
        self.resends().get_mut(&key)?.take()
    }

    /// Nothing is being sent again any more.
    pub(crate) fn resend_ended(&self, key: SubscriptionKey) {
        self.resends().remove(&key);
    }

    fn resends(&self) -> MutexGuard<'_, FxHashMap<SubscriptionKey, Option<Range>>> {
        self.resends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which sockets there are, and which of them want to hear of which subscription.
#[derive(Default)]
pub(crate) struct Hub {
    bound: RwLock<Bound>,
    /// Pairs of a subscription and a socket in `bound`.
    bindings: AtomicU64,
    /// By their address, which no other has while they stand here.
    open: Mutex<FxHashMap<usize, Arc<Hints>>>,
}

type Bound = FxHashMap<SubscriptionKey, SmallVec<[Arc<Hints>; 1]>>;

impl Hub {
    /// The hints for a new socket, until [`Self::close`].
    pub(crate) fn open(&self) -> Arc<Hints> {
        let hints = Arc::<Hints>::default();
        self.opened().insert(Arc::as_ptr(&hints).addr(), hints.clone());
        hints
    }

    /// The socket is gone.
    pub(crate) fn close(&self, hints: &Arc<Hints>) {
        self.opened().remove(&Arc::as_ptr(hints).addr());
    }

    /// Wakes all sockets, bound or not.
    pub(crate) fn call_all(&self) {
        let all: Vec<_> = self.opened().values().cloned().collect();
        all.iter().for_each(|hints| hints.call());
    }

    /// Hints to every socket that is bound to this subscription.
    pub(crate) fn give(&self, key: SubscriptionKey) {
        let sockets = self.bound.read().unwrap_or_else(PoisonError::into_inner);
        for hints in sockets.get(&key).into_iter().flatten() {
            hints.give(key);
        }
    }

    /// Asks every socket that is bound to send events again, and tells how many do; none while one
    /// of them still does so.
    pub(crate) fn resend(&self, key: SubscriptionKey, range: Range) -> Option<usize> {
        let sockets = self.bound.read().unwrap_or_else(PoisonError::into_inner);
        let bound = sockets.get(&key).map_or(&[][..], SmallVec::as_slice);
        if bound.iter().any(|hints| hints.resends().contains_key(&key)) {
            return None;
        }
        Some(bound.iter().filter(|hints| hints.resend(key, range)).count())
    }

    /// From now on this socket hears of the subscription. Adding it twice is as adding it once.
    pub(crate) fn join(&self, key: SubscriptionKey, hints: &Arc<Hints>) {
        let mut sockets = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        let joined = sockets.entry(key).or_default();
        if !joined.iter().any(|one| Arc::ptr_eq(one, hints)) {
            joined.push(hints.clone());
            self.bindings.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The socket hears of the subscription no more.
    pub(crate) fn leave(&self, key: SubscriptionKey, hints: &Arc<Hints>) {
        let mut sockets = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(joined) = sockets.get_mut(&key) {
            let before = joined.len();
            joined.retain(|one| !Arc::ptr_eq(one, hints));
            let left = (before - joined.len()) as u64;
            self.bindings.fetch_sub(left, Ordering::Relaxed);
            if joined.is_empty() {
                sockets.remove(&key);
            }
        }
    }

    /// How many subscriptions are bound to sockets; one that is bound to two counts twice.
    pub(crate) fn bindings(&self) -> u64 {
        self.bindings.load(Ordering::Relaxed)
    }

    fn opened(&self) -> MutexGuard<'_, FxHashMap<usize, Arc<Hints>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cresset_model::{EventNumber, Position};

    use super::*;

    fn key(number: u64) -> SubscriptionKey {
        SubscriptionKey::created_at(Position::new(number).unwrap())
    }

    #[tokio::test]
    async fn a_hint_given_before_the_wait_is_not_lost_and_doubles_are_one() {
        let hints = Hints::default();
        hints.give(key(1));
        hints.give(key(1));
        hints.wait().await;
        assert_eq!(hints.take()[..], [key(1)]);
        assert!(hints.take().is_empty());
    }

    #[test]
    fn who_waits_is_woken_by_hints_and_calls() {
        let hints = Hints::default();
        let mut context = Context::from_waker(Waker::noop());
        hints.give_all([]);
        assert!(hints.poll_wait(&context).is_pending());
        hints.give_all([key(1), key(2)]);
        assert!(hints.poll_wait(&context).is_ready());
        assert_eq!(hints.take().len(), 2);
        hints.call();
        assert!(hints.poll_wait(&context).is_ready());
        assert!(hints.take().is_empty());
        let mut wait = std::pin::pin!(hints.wait());
        assert!(wait.as_mut().poll(&mut context).is_pending());
    }

    #[tokio::test]
    async fn a_call_reaches_every_open_socket() {
        let hub = Hub::default();
        let (one, two) = (hub.open(), hub.open());
        hub.join(key(1), &one);
        hub.close(&two);
        let waits = tokio::spawn({
            let one = one.clone();
            async move { one.wait().await }
        });
        tokio::task::yield_now().await;
        hub.call_all();
        waits.await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(std::pin::pin!(two.wait()).poll(&mut context).is_pending(), "it was closed");
    }

    #[test]
    fn events_are_sent_again_by_every_socket_and_one_range_at_a_time() {
        let range = |first, last| Range {
            first: EventNumber::new(first).unwrap(),
            last: EventNumber::new(last).unwrap(),
        };
        let (hub, one, two): (Hub, Arc<Hints>, Arc<Hints>) = Default::default();
        assert_eq!(hub.resend(key(1), range(1, 2)), Some(0), "nobody is bound");
        hub.join(key(1), &one);
        hub.join(key(1), &two);
        assert_eq!(hub.resend(key(1), range(1, 2)), Some(2));
        assert_eq!(one.take()[..], [key(1)]);
        assert_eq!(one.take_resend(key(1)), Some(range(1, 2)));
        assert_eq!(one.take_resend(key(1)), None);
        one.resend_ended(key(1));
        assert_eq!(hub.resend(key(1), range(3, 3)), None, "the other still has to");
        two.resend_ended(key(1));
        assert_eq!(hub.resend(key(1), range(3, 3)), Some(2));
    }

    #[test]
    fn a_socket_that_left_hears_no_more() {
        let (hub, one, two) = (Hub::default(), Arc::default(), Arc::default());
        hub.join(key(1), &one);
        hub.join(key(1), &one);
        hub.join(key(1), &two);
        assert_eq!(hub.bindings(), 2);
        hub.leave(key(1), &one);
        hub.leave(key(1), &one);
        assert_eq!(hub.bindings(), 1);
        hub.give(key(1));
        assert!(one.take().is_empty());
        assert_eq!(two.take()[..], [key(1)]);
        hub.leave(key(1), &two);
        assert!(hub.bound.read().unwrap().is_empty());
    }
}
