//! How far subscriptions have come, where it moved and is not stored yet: cursors, and where retries
//! stand.
//!
//! Both are written in batches, now and then: a cursor that is lost in a crash costs notifications
//! that are sent again with the same numbers, which clients must expect (RQ-CH-03, RQ-ER-15). What is
//! known of one subscription is written together, so that a restart finds what was so at one time.

use std::sync::{Mutex, PoisonError};

use cresset_model::{EventNumber, Retries, SubscriptionKey};
use cresset_store::Record;
use rustc_hash::FxHashMap;

/// Subscriptions written in one go.
const SUBSCRIPTIONS_PER_RECORD_MAX: usize = 4096;

/// What waits of one subscription.
#[derive(Default)]
struct Waiting {
    cursor: Option<EventNumber>,
    retries: Option<Option<Retries>>,
}

/// What waits.
#[derive(Default)]
pub(crate) struct Cursors {
    waiting: Mutex<FxHashMap<SubscriptionKey, Waiting>>,
    /// Where retries stood when the state was read from the store, until the loop asks.
    stored: Mutex<FxHashMap<SubscriptionKey, Retries>>,
}

impl Cursors {
    /// Notes where a cursor is now.
    pub(crate) fn note(&self, subscription: SubscriptionKey, number: EventNumber) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = &mut waiting.entry(subscription).or_default().cursor;
        *noted = (*noted).max(Some(number));
    }

    /// Notes where retries stand now.
    pub(crate) fn note_retries(&self, subscription: SubscriptionKey, retries: Option<Retries>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(subscription).or_default().retries = Some(retries);
    }

    /// Takes a batch of what waits, in the order of the subscriptions.
    pub(crate) fn take(&self) -> Vec<Record> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = waiting.keys().copied().collect();
        keys.sort_unstable();
        keys.truncate(SUBSCRIPTIONS_PER_RECORD_MAX);
        let mut records = Vec::with_capacity(keys.len());
        for subscription in keys {
            let Some(Waiting { cursor, retries }) = waiting.remove(&subscription) else { continue };
            records.extend(cursor.map(|number| Record::Cursor { subscription, number }));
            records.extend(retries.map(|retries| Record::Retries { subscription, retries }));
        }
        records
    }

    /// Has what was taken and not written wait again, but for what is newer.
    pub(crate) fn put_back(&self, records: Vec<Record>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            match record {
                Record::Cursor { subscription, number } => {
                    let noted = &mut waiting.entry(subscription).or_default().cursor;
                    *noted = (*noted).max(Some(number));
                }
                Record::Retries { subscription, retries } => {
                    waiting.entry(subscription).or_default().retries.get_or_insert(retries);
                }
                Record::Error { .. } | Record::Token(_) | Record::TokenRevoked(_) => {}
            }
        }
    }

    /// Keeps what the store says of the retries of a subscription that the loop does not have yet.
    pub(crate) fn keep_stored(&self, subscription: SubscriptionKey, retries: Retries) {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.insert(subscription, retries);
    }

    /// Whether the store said something of the retries of a subscription that the loop does not have yet.
    pub(crate) fn has_stored(&self, subscription: SubscriptionKey) -> bool {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.contains_key(&subscription)
    }

    /// What the store said of the retries of a subscription; once.
    pub(crate) fn take_stored(&self, subscription: SubscriptionKey) -> Option<Retries> {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stored.remove(&subscription);
        if stored.is_empty() {
            *stored = FxHashMap::default();
        }
        found
    }
}
