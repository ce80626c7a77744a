//! Machines that nothing happens to: put away by the caller, and made anew when something does.
//!
//! A million subscriptions are idle most of the time. A machine [`at_rest`](Delivery::at_rest) holds nothing that
//! the store does not, but for the time of its last notification. `tests/properties.rs` proves that one made anew
//! does the same.

use std::time::Duration;

use cresset_model::SubscriptionStatus;
use jiff::Timestamp;

use super::{AttemptId, Delivery, is_live};
use crate::time::before;

impl Delivery {
    /// Since when the receiver has heard nothing, if the machine could be made anew from the store's state without
    /// a difference: nothing under way, and active with nothing owed and nothing failed, or switched off.
    ///
    /// An active one is made anew as of this moment, with all events delivered; what was appended since is told to it
    /// then. The caller keeps [`Delivery::next_deadline`].
    pub fn at_rest(&self, now: Timestamp) -> Option<Timestamp> {
        let settled = self.status == SubscriptionStatus::Active && self.cursor >= self.last;
        let nothing_failed =
            self.failures == 0 && self.failing_since.is_none() && !self.noted && self.resume <= now;
        let nothing_under_way =
            self.in_flight.is_none() && self.repeat.is_none() && self.resend.is_none();
        let is_off = !is_live(self.status);
        let rests = (is_off || settled && nothing_failed) && nothing_under_way && !self.removed;
        rests.then_some(self.silent_since)
    }

    /// A machine made anew after [`Self::at_rest`] gave this.
    #[must_use]
    pub fn resumed(self, silent_since: Timestamp) -> Self {
        Self { silent_since, ..self }
    }

    /// Takes in that the caller's clock was set back by so much: all that waits is due as much earlier by it.
    /// [`Delivery::next_deadline`] has moved as well.
    pub fn set_back(&mut self, by: Duration) {
        let moved = |at: &mut Timestamp| *at = before(*at, by);
        moved(&mut self.off_not_before);
        moved(&mut self.resume);
        moved(&mut self.silent_since);
        for at in [&mut self.failing_since, &mut self.fresh_since, &mut self.confirm_by] {
            at.iter_mut().for_each(moved);
        }
        if let Some(attempt) = &mut self.in_flight {
            moved(&mut attempt.silent_since);
        }
    }

    /// The machine with its attempts numbered from this on, so that they are not confused with those of a machine
    /// before it.
    #[must_use]
    pub fn numbered_from(self, next: AttemptId) -> Self {
        Self { next_id: next.0, ..self }
    }

    /// The number of its next attempt.
    pub fn next_attempt(&self) -> AttemptId {
        AttemptId(self.next_id)
    }
}
