//! Wake-ups: which subscriptions have something new.
//!
//! A hint may be lost, doubled or late with no effect but latency (I8): whoever wakes compares
//! what it knows with the live table. So hints are a set, bounded by the subscriptions there are.
//!
//! What is to be sent again comes the same way, one range for each subscription at most. It is no
//! hint: it stands nowhere else, and a restart forgets it.

use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cresset_model::SubscriptionKey;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::notify::Range;

/// The hints for one loop or one socket.
#[derive(Default)]
pub(crate) struct Hints {
    keys: Mutex<FxHashSet<SubscriptionKey>>,
    /// What is to be sent again; without a range where that is under way.
    resends: Mutex<FxHashMap<SubscriptionKey, Option<Range>>>,
    wake: Notify,
}

impl Hints {
    /// Tells that this subscription has something new.
    pub(crate) fn give(&self, key: SubscriptionKey) {
        let fresh = self.lock().insert(key);
        if fresh {
            self.wake.notify_one();
        }
    }

    /// Waits until there is a hint. Cancel safe: nothing is taken.
    pub(crate) async fn wait(&self) {
        while self.lock().is_empty() {
            self.wake.notified().await;
        }
    }

    /// Whether there is none.
    #[cfg(feature = "stepped")]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes all hints there are.
    pub(crate) fn take(&self) -> Vec<SubscriptionKey> {
        self.lock().drain().collect()
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

    fn lock(&self) -> MutexGuard<'_, FxHashSet<SubscriptionKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which sockets want to hear of which subscription.
#[derive(Default)]
pub(crate) struct Hub(RwLock<FxHashMap<SubscriptionKey, SmallVec<[Arc<Hints>; 1]>>>);

impl Hub {
    /// Hints to every socket that is bound to this subscription.
    pub(crate) fn give(&self, key: SubscriptionKey) {
        let sockets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for hints in sockets.get(&key).into_iter().flatten() {
            hints.give(key);
        }
    }

    /// Asks every socket that is bound to send events again, and tells how many do; none while one
    /// of them still does so.
    pub(crate) fn resend(&self, key: SubscriptionKey, range: Range) -> Option<usize> {
        let sockets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let bound = sockets.get(&key).map_or(&[][..], SmallVec::as_slice);
        if bound.iter().any(|hints| hints.resends().contains_key(&key)) {
            return None;
        }
        Some(bound.iter().filter(|hints| hints.resend(key, range)).count())
    }

    /// From now on this socket hears of the subscription. Adding it twice is as adding it once.
    pub(crate) fn join(&self, key: SubscriptionKey, hints: &Arc<Hints>) {
        let mut sockets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let joined = sockets.entry(key).or_default();
        if !joined.iter().any(|one| Arc::ptr_eq(one, hints)) {
            joined.push(hints.clone());
        }
    }

    /// The socket hears of the subscription no more.
    pub(crate) fn leave(&self, key: SubscriptionKey, hints: &Arc<Hints>) {
        let mut sockets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(joined) = sockets.get_mut(&key) {
            joined.retain(|one| !Arc::ptr_eq(one, hints));
            if joined.is_empty() {
                sockets.remove(&key);
            }
        }
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
        assert_eq!(hints.take(), [key(1)]);
        assert!(hints.take().is_empty());
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
        assert_eq!(one.take(), [key(1)]);
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
        hub.leave(key(1), &one);
        hub.give(key(1));
        assert!(one.take().is_empty());
        assert_eq!(two.take(), [key(1)]);
        hub.leave(key(1), &two);
        assert!(hub.0.read().unwrap().is_empty());
    }
}
