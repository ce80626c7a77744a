//! Wake-ups: which subscriptions have something new.
//!
//! A hint may be lost, doubled or late with no effect but latency (I8): whoever wakes compares
//! what it knows with the live table. So hints are a set, bounded by the subscriptions there are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cresset_model::SubscriptionKey;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tokio::sync::Notify;

/// The hints for one loop or one socket.
#[derive(Default)]
pub(crate) struct Hints {
    keys: Mutex<FxHashSet<SubscriptionKey>>,
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

    /// Takes all hints there are.
    pub(crate) fn take(&self) -> Vec<SubscriptionKey> {
        self.lock().drain().collect()
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
    use cresset_model::Position;

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
