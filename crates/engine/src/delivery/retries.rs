//! What follows a failure: the place in the schedule of retries, and how it outlives a restart.

use std::time::Duration;

use cresset_model::{Retries, SubscriptionError, SubscriptionStatus};
use jiff::Timestamp;

use super::{Delivery, DeliveryState, Effect, is_sending};
use crate::retry::{RETRY_WAIT_MAX, RetrySchedule};
use crate::time::after;

impl Delivery {
    /// Goes on with retries where they stood before a restart, so that one is neither an attempt
    /// too early nor a schedule begun anew.
    pub(super) fn go_on(&mut self, retries: &Retries, now: Timestamp) {
        self.noted = true;
        self.failures = retries.failures;
        self.rejections = retries.rejections;
        self.failing_since = Some(retries.failing_since.min(now));
        // The clock may have been set back since: no wait is longer than the longest.
        let resume = retries.resume.min(after(now, RETRY_WAIT_MAX));
        self.resume = self.resume.max(resume);
        // The server may have been down for days, which is no fault of the receiver's.
        self.off_not_before = self.ended_by(self.resume);
        if self.status == SubscriptionStatus::Active
            && let Some((first, _)) = self.next_batch()
        {
            let last = retries.repeat_last.filter(|last| first <= *last && last.get() <= self.last);
            self.repeat = last.map(|last| (first, last));
            self.drop_batch_too_large();
        }
    }

    /// Whether what was noted is about the status that began at `since`, and about what is still to be
    /// sent: the note that it is over may have been lost, and a re-send is, with the process.
    pub(super) fn holds(&self, retries: &Retries, since: Timestamp) -> bool {
        let sent = retries.repeat_last.is_some_and(|last| last.get() <= self.cursor);
        let owes = self.status == SubscriptionStatus::Requested
            || self.cursor < self.last
            || self.heartbeat_period().is_some();
        is_sending(self.status) && owes && retries.at >= since && !sent
    }

    /// Goes on in `error` as far as it was noted: with when something succeeded last, else when `error`
    /// began, and with the wait for the next heartbeat.
    pub(super) fn go_on_in_error(&mut self, state: &DeliveryState, now: Timestamp) {
        let noted = state.retries.filter(|retries| retries.at >= state.since);
        self.noted = noted.is_some();
        let since = noted.map_or(state.since, |noted| noted.failing_since.max(state.since));
        self.failing_since = Some(since.min(now));
        if let Some(noted) = noted {
            self.failures = noted.failures;
            self.resume = self.resume.max(noted.resume.min(after(now, RETRY_WAIT_MAX)));
        }
        if let Some(at) = self.heartbeat_in_error_at() {
            self.off_not_before = self.ended_by(at.max(self.resume));
        }
    }

    /// A heartbeat in `error` was taken: it leads to nothing but time (RQ-ER-03), which a restart must
    /// not take away.
    pub(super) fn heard(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.failures = 0;
        self.failing_since = Some(now);
        self.resume = now;
        if self.noted || self.settings.policy.off_after.is_some() {
            self.note_retries(now, effects);
        }
    }

    /// A heartbeat in `error` failed: the next one waits as a retry would, so that a channel known to be
    /// dead is not tried more often than in `active`.
    pub(super) fn not_heard(
        &mut self,
        retry_after: Option<Duration>,
        jitter: u32,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.failures = self.failures.saturating_add(1);
        let retry_after = self.bounded(retry_after);
        let delay = self.schedule().delay_for_ever(self.failures, jitter, retry_after);
        self.resume = after(now, delay);
        self.note_retries(now, effects);
    }

    /// As [`Self::failed`], with an end after a few.
    pub(super) fn rejected(
        &mut self,
        reason: SubscriptionError,
        jitter: u32,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.rejections = self.rejections.saturating_add(1);
        let handshake = self.status == SubscriptionStatus::Requested;
        if !handshake && self.rejections > self.settings.policy.rejection_retries_max {
            self.failing_since.get_or_insert(now);
            self.give_up(SubscriptionStatus::Error, reason, now, effects);
        } else {
            self.failed(reason, None, jitter, now, effects);
        }
    }

    /// Plans a retry, or leaves `requested` or `active` when there were enough (TR-14).
    pub(super) fn failed(
        &mut self,
        reason: SubscriptionError,
        retry_after: Option<Duration>,
        jitter: u32,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        let retry_after = self.bounded(retry_after);
        let delay = self.schedule().delay(self.failures, jitter, retry_after);
        match delay.and_then(|delay| self.retry_at(after(now, delay), now)) {
            Some(resume) => {
                self.resume = resume;
                self.note_retries(now, effects);
            }
            None => self.give_up(SubscriptionStatus::Error, reason, now, effects),
        }
    }

    /// What an endpoint asked for, as far as the operator lets it.
    fn bounded(&self, retry_after: Option<Duration>) -> Option<Duration> {
        retry_after.map(|wait| wait.min(self.settings.policy.retry_after_max))
    }

    /// Has the caller record where the retries stand.
    pub(super) fn note_retries(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.noted = true;
        effects.push(Effect::NoteRetries(Some(Retries {
            failures: self.failures,
            rejections: self.rejections,
            failing_since: self.failing_since.unwrap_or(now),
            resume: self.resume,
            repeat_last: self.repeat.map(|(_, last)| last),
            at: now,
        })));
    }

    /// Has the caller record that nothing is repeated, unless it knows.
    pub(super) fn forget_retries(&mut self, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.noted) {
            effects.push(Effect::NoteRetries(None));
        }
    }

    /// When an attempt that is kept back from its host becomes an error.
    pub(super) fn barred_until(&self) -> Option<Timestamp> {
        self.in_flight.filter(|attempt| attempt.barred && is_sending(self.status))?;
        let total = self.schedule().total();
        let total = self.settings.retry_period.map_or(total, |period| period.min(total));
        Some(after(self.failing_since?, total))
    }

    /// When to try again: as planned, or once more at the end of the time for which the subscription
    /// has its failures repeated; none when that is over.
    fn retry_at(&self, planned: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let (period, since) = (self.settings.retry_period, self.failing_since);
        match period.zip(since).map(|(period, since)| after(since, period)) {
            None => Some(planned),
            Some(end) => (now < end).then(|| planned.min(end)),
        }
    }

    /// The retries in this status.
    pub(super) fn schedule(&self) -> &RetrySchedule {
        let policy = &self.settings.policy;
        match self.status {
            SubscriptionStatus::Requested => &policy.handshake_retries,
            SubscriptionStatus::Active
            | SubscriptionStatus::EnteredInError
            | SubscriptionStatus::Error
            | SubscriptionStatus::Off => &policy.retries,
        }
    }
}
