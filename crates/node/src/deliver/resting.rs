//! What is left of machines that were put away, because nothing happens to their subscriptions.
//!
//! For most that is nothing at all: the machine is made anew from the live table. Only a deadline that stands in the
//! heap, and for heartbeats the time of the last notification, are remembered, in as little room as they take.

use std::time::Duration;

use cresset_engine::DeliverySettings;
use cresset_model::{EventNumber, SubscriptionKey, SubscriptionStatus};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use super::after;
use crate::draft::is_counted;
use crate::live::State;
use crate::shared::is_sent_to;

/// Machines kept though they are at rest: making one anew costs more than a look at it.
pub(super) const MACHINES_KEPT: usize = 8_192;

/// The time of no deadline.
const NEVER: i64 = i64::MAX;

/// What is remembered of one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// The deadline that stands in the heap.
    pub(super) deadline: Option<Timestamp>,
    /// Since when the receiver has heard nothing.
    pub(super) silent_since: Option<Timestamp>,
}

/// Times in nanoseconds since 1970: half of what a `Timestamp` takes.
struct Packed {
    deadline: i64,
    silent_since: i64,
}

/// The machines that were put away and have something to remember.
#[derive(Default)]
pub(super) struct Resting(FxHashMap<SubscriptionKey, Packed>);

impl Resting {
    /// Remembers what there is to remember.
    pub(super) fn put(
        &mut self,
        key: SubscriptionKey,
        silent_since: Timestamp,
        deadline: Option<Timestamp>,
    ) {
        if let Some(deadline) = deadline {
            let packed = Packed { deadline: pack(deadline), silent_since: pack(silent_since) };
            self.0.insert(key, packed);
        }
    }

    /// Gives back what was remembered.
    pub(super) fn take(&mut self, key: SubscriptionKey) -> Left {
        match self.0.remove(&key) {
            Some(Packed { deadline, silent_since }) => {
                Left { deadline: unpack(deadline), silent_since: unpack(silent_since) }
            }
            None => Left::default(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The deadlines that stand in the heap.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (Timestamp, SubscriptionKey)> + '_ {
        self.0.iter().filter_map(|(key, left)| Some((unpack(left.deadline)?, *key)))
    }

    /// Whether this machine was put away with a deadline in time for what its subscription asks for now.
    pub(super) fn covers(&self, key: SubscriptionKey, state: &State) -> bool {
        let Some(left) = self.0.get(&key) else { return false };
        let end = DeliverySettings::end_in_force(state.settings.end, state.accepted());
        let heartbeat = state
            .settings
            .heartbeat_period
            .zip(unpack(left.silent_since))
            .map(|(period, silent_since)| after(silent_since, period));
        end.into_iter().chain(heartbeat).all(|due| left.deadline <= pack(due))
    }

    /// The clock was set back by so much: what is due comes as much earlier by it. An end does not, which its
    /// machine sees when it is made anew for it.
    pub(super) fn set_back(&mut self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        for left in self.0.values_mut() {
            for at in [&mut left.deadline, &mut left.silent_since] {
                if *at != NEVER {
                    *at = at.saturating_sub(by);
                }
            }
        }
    }

    /// This deadline stands in the heap no more.
    pub(super) fn passed(&mut self, key: SubscriptionKey, at: Timestamp) {
        if let Some(left) = self.0.get_mut(&key)
            && left.deadline == pack(at)
        {
            left.deadline = NEVER;
        }
    }
}

fn pack(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(NEVER)
}

fn unpack(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds != NEVER).then(|| Timestamp::from_nanosecond(nanoseconds.into()).ok())?
}

/// Whether nothing is to be done for a subscription until something happens to it.
pub(super) fn is_quiet(state: &State) -> bool {
    if !is_counted(state.status) {
        return true;
    }
    let ends = DeliverySettings::end_in_force(state.settings.end, state.accepted()).is_some();
    if !is_sent_to(&state.settings.channel_type) {
        return !ends;
    }
    is_delivered(state) && !ends && state.settings.heartbeat_period.is_none()
}

/// Whether a subscription is active and has had all its events.
pub(super) fn is_delivered(state: &State) -> bool {
    let cursor = state.cursor.map_or(0, EventNumber::get);
    state.status == SubscriptionStatus::Active && cursor >= state.last
}

#[cfg(test)]
mod tests {
    use cresset_model::Position;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_has_a_deadline_is_remembered_once_and_until_it_has_passed() {
        let key = SubscriptionKey::created_at(Position::FIRST);
        let mut resting = Resting::default();
        resting.put(key, at(1), None);
        assert_eq!(resting.take(key), Left::default());
        resting.put(key, at(1), Some(at(9)));
        resting.passed(key, at(8));
        let whole = Left { deadline: Some(at(9)), silent_since: Some(at(1)) };
        assert_eq!(resting.take(key), whole);
        assert_eq!(resting.take(key), Left::default());
        resting.put(key, at(1), Some(at(9)));
        resting.passed(key, at(9));
        assert_eq!(resting.take(key), Left { deadline: None, ..whole });
    }
}
