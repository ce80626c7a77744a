//! Cursors that moved and are not stored yet.
//!
//! They are written in batches, now and then: a cursor that is lost in a crash costs notifications
//! that are sent again with the same numbers, which clients must expect (RQ-CH-03, RQ-ER-15).

use std::sync::{Mutex, PoisonError};

use cresset_model::{EventNumber, SubscriptionKey};
use cresset_store::Record;
use rustc_hash::FxHashMap;

/// Cursors written in one go.
const CURSORS_PER_RECORD_MAX: usize = 4096;

/// The cursors that wait.
#[derive(Default)]
pub(crate) struct Cursors(Mutex<FxHashMap<SubscriptionKey, EventNumber>>);

impl Cursors {
    /// Notes where a cursor is now.
    pub(crate) fn note(&self, subscription: SubscriptionKey, number: EventNumber) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = waiting.entry(subscription).or_insert(number);
        *noted = number.max(*noted);
    }

    /// Takes a batch of what waits, in the order of the subscriptions.
    pub(crate) fn take(&self) -> Vec<Record> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = waiting.keys().copied().collect();
        keys.sort_unstable();
        keys.truncate(CURSORS_PER_RECORD_MAX);
        keys.into_iter()
            .filter_map(|subscription| {
                let number = waiting.remove(&subscription)?;
                Some(Record::Cursor { subscription, number })
            })
            .collect()
    }
}
