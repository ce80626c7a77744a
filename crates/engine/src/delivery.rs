//! `Delivery`: the machine of one subscription that the server sends to.
//!
//! It decides what is sent next and when: the handshake, events in batches, heartbeats, retries,
//! and which status follows from how that went. It owns the place of the subscription's cursor
//! and the one attempt in flight. It does not know what a notification looks like, how it
//! travels, or where anything is stored, and it has no clock: `now` and jitter are values.
//!
//! Invariants (proven by the property tests in `delivery/tests.rs`):
//!
//! * I3: no attempt names an event beyond the last durable one it was told of.
//! * I4: one attempt at a time; events go in number order; a retry repeats the same events.
//! * I5: an event of a subscription that stays active is sent until an attempt with it succeeds,
//!   or the status leaves `active` with a reason.
//!
//! A re-send ([`Input::Resend`]) goes the same way as everything else: one attempt at a time, retried
//! with the same events, which are all at or below the cursor, and it leaves the cursor alone. It
//! takes turns with the events that are due, so that neither holds the other up.
//!
//! A heartbeat is sent when the receiver has heard nothing for the period that it asked for. While a
//! retry waits, none is: it would overtake the events (I4), and try an endpoint that does not answer
//! more often than the schedule says. Silence is what tells the receiver to ask for `$status` then
//! (RQ-ER-08). In `error`, where nothing is repeated, heartbeats go on, as often as was asked for but,
//! while they fail, no more often than the schedule says.
//!
//! The caller carries out effects in the order given, and calls [`Delivery::handle`] with
//! [`Input::Tick`] when [`Delivery::next_deadline`] has come. Where its clock is set back it tells by how
//! much ([`Delivery::set_back`]); otherwise what waits, waits for as much longer, and nothing is lost. Every
//! attempt that it has started it also ends, by a clock that does not step: while one is under way no other
//! begins.

use std::time::Duration;

use cresset_model::{EventNumber, SubscriptionError, SubscriptionErrorCode, SubscriptionStatus};
use jiff::Timestamp;

use crate::retry::batch_limit;
use crate::time::{after, earlier};

mod input;
mod rest;
mod retries;
#[cfg(test)]
mod tests;

pub use input::{
    Attempt, AttemptId, AttemptKind, DeliverySettings, DeliveryState, Effect, Input, Outcome,
};

/// How long after its timeout an attempt has ended at the latest, whatever it waits for; the timeout
/// counts from [`Input::AttemptStarted`].
pub const OUTCOME_GRACE: Duration = Duration::from_secs(10);

/// How long after an attempt that was not sent for want of room the next one comes.
pub const UNSENT_PAUSE: Duration = Duration::from_secs(1);

/// An attempt whose outcome is awaited.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    id: AttemptId,
    kind: AttemptKind,
    /// It waits for room no more: its outcome will come.
    started: bool,
    /// Its host does not answer.
    barred: bool,
    /// A change of status or settings came after it: its failure says nothing any more.
    superseded: bool,
    /// It belongs to the re-send.
    resends: bool,
    /// Since when the receiver had heard nothing before it.
    silent_since: Timestamp,
}

/// Events that were sent before and are sent again.
#[derive(Debug, Clone, Copy)]
struct Resend {
    next: EventNumber,
    last: EventNumber,
    /// The batch that the next attempt repeats (I4).
    repeat: Option<(EventNumber, EventNumber)>,
    /// Events that are due let it pass.
    has_turn: bool,
}

/// The machine of one subscription that the server sends to.
#[derive(Debug, Clone)]
pub struct Delivery {
    settings: DeliverySettings,
    status: SubscriptionStatus,
    /// Events up to this number need no attempt any more; 0 before the first.
    cursor: u64,
    last: u64,
    in_flight: Option<InFlight>,
    /// The batch that the next attempt with events repeats (I4).
    repeat: Option<(EventNumber, EventNumber)>,
    resend: Option<Resend>,
    /// Failures in a row.
    failures: u32,
    /// How many of the last of them were rejections.
    rejections: u32,
    /// Since when nothing has succeeded; none after a success, or before the first failure.
    failing_since: Option<Timestamp>,
    /// `off` does not come before: after a restart, a heartbeat in `error` may still succeed.
    off_not_before: Timestamp,
    /// Since when the oldest event that is in no attempt yet is known; none where it has waited
    /// long enough by other reasons.
    fresh_since: Option<Timestamp>,
    /// Nothing is sent before: the handshake delay, or the wait before a retry.
    resume: Timestamp,
    /// Until when the receiver may confirm the handshake that it took, if it has to.
    confirm_by: Option<Timestamp>,
    /// Since when the receiver has heard nothing.
    silent_since: Timestamp,
    next_id: u64,
    /// The caller was told where the retries stand.
    noted: bool,
    removed: bool,
}

impl Delivery {
    /// The machine of a subscription as the store has it, after its creation or after a restart.
    ///
    /// It gives its first effects on the first [`Input::Tick`]: a handshake after the handshake
    /// delay for one in `requested`, the events not yet confirmed for one in `active`.
    pub fn new(settings: DeliverySettings, state: DeliveryState, now: Timestamp) -> Self {
        let mut delivery = Self {
            settings,
            status: state.status,
            // A cursor beyond the last durable event could only come of a store that lost
            // events; sending the next ones twice is better than never (I5).
            cursor: state.cursor.map_or(0, EventNumber::get).min(state.last),
            last: state.last,
            in_flight: None,
            repeat: None,
            resend: None,
            failures: 0,
            rejections: 0,
            failing_since: None,
            off_not_before: now,
            fresh_since: None,
            resume: now,
            confirm_by: None,
            silent_since: now,
            next_id: 1,
            noted: false,
            removed: false,
        };
        match delivery.status {
            SubscriptionStatus::Requested => {
                delivery.resume = after(now, delivery.settings.policy.handshake_delay);
            }
            SubscriptionStatus::Error => delivery.go_on_in_error(&state, now),
            SubscriptionStatus::Active
            | SubscriptionStatus::EnteredInError
            | SubscriptionStatus::Off => {}
        }
        if let Some(retries) = state.retries.filter(|one| delivery.holds(one, state.since)) {
            delivery.go_on(&retries, now);
        }
        delivery
    }

    /// Where the subscription stands.
    pub fn status(&self) -> SubscriptionStatus {
        self.status
    }

    /// What was asked for.
    pub fn settings(&self) -> &DeliverySettings {
        &self.settings
    }

    /// The last durable event that it knows of; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many durable events still need an attempt that succeeds.
    pub fn lag(&self) -> u64 {
        self.last.saturating_sub(self.cursor)
    }

    /// Whether it goes on with retries that were recorded before a restart; if not, what was recorded is void.
    pub fn goes_on(&self) -> bool {
        self.noted
    }

    /// Whether the outcome of this attempt still matters; if not, it need not be sent.
    pub fn is_awaited(&self, id: AttemptId) -> bool {
        !self.removed && self.in_flight.is_some_and(|attempt| attempt.id == id)
    }

    /// Takes what happened and appends what has to be done.
    pub fn handle(&mut self, input: Input, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.removed {
            return;
        }
        match input {
            Input::Appended { last } => self.appended(last, now),
            Input::AttemptEnded { id, outcome, jitter } => {
                self.attempt_ended(id, outcome, jitter, now, effects);
            }
            Input::AttemptBarred { id } => self.attempt_barred(id, now, effects),
            Input::AttemptFreed { id } => self.attempt_freed(id, effects),
            Input::AttemptStarted { id } => self.attempt_started(id, now),
            Input::Removed => {
                self.removed = true;
                return;
            }
            Input::Resend { first, last } => self.begin_resend(first, last, effects),
            Input::Tick => {}
            Input::Updated { anew, cursor, settings, status } => {
                self.skip_to(cursor);
                self.updated(settings, (status, anew), now, effects);
            }
        }
        self.advance(now, effects);
    }

    /// When [`Input::Tick`] is due; none while only another input can change anything.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.removed {
            return None;
        }
        let end = if is_live(self.status) { self.settings.end } else { None };
        let next = match (&self.in_flight, self.status) {
            (Some(_), _) => self.barred_until(),
            (None, SubscriptionStatus::Requested) => Some(self.resume),
            (None, SubscriptionStatus::Active) if self.has_work() => {
                Some(self.held_until().map_or(self.resume, |at| at.max(self.resume)))
            }
            (None, SubscriptionStatus::Active) => self.heartbeat_at().map(|at| at.max(self.resume)),
            (None, SubscriptionStatus::Error) => {
                self.heartbeat_in_error_at().map(|at| at.max(self.resume))
            }
            (None, SubscriptionStatus::EnteredInError | SubscriptionStatus::Off) => None,
        };
        earlier(earlier(end, self.off_at()), next)
    }

    /// Does what is due, as far as the one attempt in flight allows.
    fn advance(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if is_live(self.status) && self.settings.end.is_some_and(|end| end <= now) {
            self.enter(SubscriptionStatus::Off, now, effects);
            effects.push(Effect::SetStatus { status: SubscriptionStatus::Off, error: None });
        }
        self.observe_silence(now, effects);
        if self.barred_until().is_some_and(|at| at <= now) {
            let reason = SubscriptionError {
                code: Some(SubscriptionErrorCode::NoResponse),
                text: "the endpoint's host has not been answering".to_owned(),
            };
            self.give_up(SubscriptionStatus::Error, reason, now, effects);
        }
        if self.confirm_by.is_some_and(|at| at <= now) {
            self.give_up(SubscriptionStatus::Error, not_confirmed(), now, effects);
        }
        // What was given up waits for nothing any more.
        self.observe_silence(now, effects);
        if self.in_flight.is_some() || now < self.resume {
            return;
        }
        if let Some((first, last)) = self.due_resend() {
            self.start(AttemptKind::Events { first, last }, true, now, effects);
        } else if let Some(kind) = self.due(now) {
            self.start(kind, false, now, effects);
        }
    }

    /// Switches it off when nothing has succeeded for long; what is due now is tried first, since the machine may
    /// have slept for days.
    fn observe_silence(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let may_start = self.in_flight.is_none() && self.resume <= now;
        if may_start && (self.due_resend().is_some() || self.due(now).is_some()) {
            return;
        }
        if self.off_at().is_some_and(|at| at <= now) {
            self.give_up(SubscriptionStatus::Off, self.nothing_succeeded(now), now, effects);
        }
    }

    /// What to send now, if anything.
    fn due(&self, now: Timestamp) -> Option<AttemptKind> {
        match self.status {
            SubscriptionStatus::Active => {
                if let Some((first, last)) = self.repeat.or_else(|| self.next_batch())
                    && self.held_until().is_none_or(|until| until <= now)
                {
                    return Some(AttemptKind::Events { first, last });
                }
                let at = self.heartbeat_at()?;
                (self.failures > 0 || at <= now).then_some(AttemptKind::Heartbeat)
            }
            SubscriptionStatus::Requested => Some(AttemptKind::Handshake),
            SubscriptionStatus::Error => {
                let at = self.heartbeat_in_error_at()?;
                (at <= now).then_some(AttemptKind::Heartbeat)
            }
            SubscriptionStatus::EnteredInError | SubscriptionStatus::Off => None,
        }
    }

    /// Starts an attempt.
    fn start(
        &mut self,
        kind: AttemptKind,
        resends: bool,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let repeats = self.repeats(kind, resends);
        if let AttemptKind::Events { first, last } = kind {
            self.note_batch(first, last, resends);
            if !resends {
                // What a full batch leaves behind has waited as long as what it took.
                self.fresh_since = self.fresh_since.filter(|_| last.get() < self.last);
            }
        }
        let timeout = self.timeout();
        let id = AttemptId(self.next_id);
        self.next_id += 1;
        self.in_flight = Some(InFlight {
            id,
            kind,
            started: false,
            barred: false,
            superseded: false,
            resends,
            silent_since: self.silent_since,
        });
        self.silent_since = now;
        effects.push(Effect::Attempt(Attempt { id, kind, repeats, resends, timeout }));
    }

    /// Whether an attempt that is about to start sends again what one before it could not.
    fn repeats(&self, kind: AttemptKind, resends: bool) -> bool {
        match kind {
            AttemptKind::Events { .. } if resends => {
                self.resend.as_ref().is_some_and(|resend| resend.repeat.is_some())
            }
            AttemptKind::Events { .. } => self.repeat.is_some(),
            // In `error` nothing is repeated.
            AttemptKind::Handshake | AttemptKind::Heartbeat => {
                self.failures > 0 && self.status != SubscriptionStatus::Error
            }
        }
    }

    /// Takes in how far the durable events reach.
    fn appended(&mut self, last: u64, now: Timestamp) {
        let taken = self.repeat.map_or(self.cursor, |(_, last)| last.get());
        if last > self.last && self.last == taken {
            self.fresh_since = Some(now);
        }
        self.last = self.last.max(last);
    }

    /// Gives the attempt in flight its whole time from now on.
    fn attempt_started(&mut self, id: AttemptId, now: Timestamp) {
        if let Some(attempt) = &mut self.in_flight
            && attempt.id == id
        {
            attempt.started = true;
            attempt.barred = false;
            self.silent_since = now;
        }
    }

    /// Lets time run for an attempt that is kept back from a host that does not answer.
    fn attempt_barred(&mut self, id: AttemptId, now: Timestamp, effects: &mut Vec<Effect>) {
        if let Some(attempt) = &mut self.in_flight
            && attempt.id == id
            && !attempt.started
        {
            attempt.barred = true;
            if self.failing_since.is_none() {
                self.failing_since = Some(now);
                self.note_retries(now, effects);
            }
        }
    }

    /// Time runs no more for an attempt that was kept back, and counts from the beginning if it is again.
    fn attempt_freed(&mut self, id: AttemptId, effects: &mut Vec<Effect>) {
        let Some(attempt) = self.in_flight.as_mut().filter(|attempt| attempt.id == id) else {
            return;
        };
        attempt.barred = false;
        if self.failures == 0 && is_sending(self.status) && self.failing_since.take().is_some() {
            self.forget_retries(effects);
        }
    }

    /// Takes the outcome of the attempt in flight; ignores any other.
    fn attempt_ended(
        &mut self,
        id: AttemptId,
        outcome: Outcome,
        jitter: u32,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(attempt) = self.in_flight.take_if(|attempt| attempt.id == id) else {
            return;
        };
        match outcome {
            Outcome::Success => self.succeeded(attempt, now, effects),
            Outcome::Forgotten => self.forgotten(attempt, now, effects),
            Outcome::AwaitsConfirmation { .. }
            | Outcome::Gone { .. }
            | Outcome::Postponed { .. }
            | Outcome::Refused { .. }
            | Outcome::Rejected { .. }
            | Outcome::Retry { .. }
            | Outcome::Unsent
                if attempt.superseded => {}
            Outcome::AwaitsConfirmation { until } if attempt.kind == AttemptKind::Handshake => {
                self.failures = 0;
                self.rejections = 0;
                self.failing_since = None;
                self.confirm_by = Some(until);
                self.resume = until;
            }
            Outcome::AwaitsConfirmation { until } | Outcome::Postponed { until } => {
                self.unsent(attempt, until.max(after(now, UNSENT_PAUSE)));
            }
            Outcome::Unsent => self.unsent(attempt, after(now, UNSENT_PAUSE)),
            Outcome::Gone { reason } => {
                self.give_up(SubscriptionStatus::Off, reason, now, effects);
            }
            Outcome::Refused { .. } | Outcome::Rejected { .. }
                if self.status == SubscriptionStatus::Error =>
            {
                self.not_heard(None, jitter, now, effects);
            }
            Outcome::Retry { retry_after, .. } if self.status == SubscriptionStatus::Error => {
                self.not_heard(retry_after, jitter, now, effects);
            }
            Outcome::Refused { reason } if attempt.kind == AttemptKind::Handshake => {
                self.failed(reason, None, jitter, now, effects);
            }
            Outcome::Refused { reason } => {
                self.give_up(SubscriptionStatus::Error, reason, now, effects);
            }
            Outcome::Rejected { reason } => self.rejected(reason, jitter, now, effects),
            Outcome::Retry { reason, retry_after } => {
                self.rejections = 0;
                self.failed(reason, retry_after, jitter, now, effects);
            }
        }
    }

    /// What was sent has arrived.
    fn succeeded(&mut self, attempt: InFlight, now: Timestamp, effects: &mut Vec<Effect>) {
        // Events that arrived are delivered, whatever happened to the subscription meanwhile.
        if let AttemptKind::Events { last, .. } = attempt.kind
            && !attempt.resends
        {
            self.move_cursor(last.get(), effects);
        }
        if attempt.superseded {
            return;
        }
        if self.status == SubscriptionStatus::Error {
            self.heard(now, effects);
            return;
        }
        self.failures = 0;
        self.rejections = 0;
        self.failing_since = None;
        if let AttemptKind::Events { last, .. } = attempt.kind
            && attempt.resends
        {
            self.resent(last, effects);
        } else {
            self.repeat = None;
        }
        self.resume = now;
        self.forget_retries(effects);
        if attempt.kind == AttemptKind::Handshake {
            self.status = SubscriptionStatus::Active;
            effects.push(Effect::SetStatus { status: SubscriptionStatus::Active, error: None });
        }
    }

    /// Events that were to be sent are no more: the next ones take their place. That nothing was sent is no
    /// success, so what failed before still counts.
    fn forgotten(&mut self, attempt: InFlight, now: Timestamp, effects: &mut Vec<Effect>) {
        let AttemptKind::Events { last, .. } = attempt.kind else {
            return self.succeeded(attempt, now, effects);
        };
        if !attempt.resends {
            self.move_cursor(last.get(), effects);
        }
        if attempt.superseded {
            return;
        }
        if attempt.resends {
            self.resent(last, effects);
        } else {
            self.repeat = None;
        }
        self.silent_since = attempt.silent_since;
        if self.noted {
            self.note_retries(now, effects);
        }
        self.forgive_what_is_not_sent(now, effects);
    }

    /// Nothing was sent, and nobody is to blame: it is made up for then.
    fn unsent(&mut self, attempt: InFlight, resume: Timestamp) {
        self.silent_since = attempt.silent_since;
        self.resume = resume;
        self.off_not_before = self.off_not_before.max(self.ended_by(resume));
    }

    /// When an attempt that begins at this time has ended at the latest.
    fn ended_by(&self, begins: Timestamp) -> Timestamp {
        after(after(begins, self.timeout()), OUTCOME_GRACE)
    }

    /// Stops sending, with a reason.
    fn give_up(
        &mut self,
        status: SubscriptionStatus,
        reason: SubscriptionError,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.enter(status, now, effects);
        effects.push(Effect::SetStatus { status, error: Some(reason) });
    }

    /// Takes new settings and a status that a client or operator chose.
    fn updated(
        &mut self,
        settings: DeliverySettings,
        (status, anew): (SubscriptionStatus, bool),
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let before = self.status;
        self.settings = settings;
        // What waits for room would go where the subscription no longer is.
        if let Some(unsent) = self.in_flight.take_if(|attempt| !attempt.started) {
            self.silent_since = unsent.silent_since;
        }
        if anew || status != before || status == SubscriptionStatus::Requested {
            self.enter(status, now, effects);
        } else {
            self.drop_batch_too_large();
            self.forgive_what_is_not_sent(now, effects);
        }
    }

    /// Lets events pass that were recorded to need no attempt any more.
    fn skip_to(&mut self, cursor: Option<EventNumber>) {
        let cursor = cursor.map_or(0, EventNumber::get);
        if cursor > self.cursor {
            self.cursor = cursor;
            // Whoever recorded it knew of more.
            self.last = self.last.max(cursor);
            self.repeat = None;
        }
    }

    /// Forgets failures where nothing is left to send that could succeed: what failed was a heartbeat,
    /// and those are not asked for any more.
    fn forgive_what_is_not_sent(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let owed = self.cursor < self.last || self.resend.is_some();
        if self.status != SubscriptionStatus::Active || owed || self.heartbeat_period().is_some() {
            return;
        }
        if let Some(attempt) = &mut self.in_flight {
            attempt.superseded = true;
        }
        if self.failing_since.take().is_some() {
            self.failures = 0;
            self.rejections = 0;
            self.resume = now;
            self.forget_retries(effects);
        }
    }

    /// Forgets a batch to repeat that the new `max_count` forbids; a smaller one takes its place.
    fn drop_batch_too_large(&mut self) {
        let limit = self.batch_limit();
        let too_large =
            |batch: &mut (EventNumber, EventNumber)| batch.1.get() - batch.0.get() >= limit;
        self.repeat.take_if(too_large);
        if let Some(resend) = &mut self.resend {
            resend.repeat.take_if(too_large);
        }
    }

    /// Enters a status afresh: nothing that was planned before holds any more.
    fn enter(&mut self, status: SubscriptionStatus, now: Timestamp, effects: &mut Vec<Effect>) {
        self.status = status;
        self.failures = 0;
        self.rejections = 0;
        self.repeat = None;
        self.forget_retries(effects);
        if self.resend.take().is_some() {
            effects.push(Effect::ResendEnded);
        }
        self.fresh_since = None;
        self.confirm_by = None;
        self.failing_since = match status {
            SubscriptionStatus::Error => self.failing_since.or(Some(now)),
            SubscriptionStatus::Active
            | SubscriptionStatus::EnteredInError
            | SubscriptionStatus::Off
            | SubscriptionStatus::Requested => None,
        };
        self.off_not_before = now;
        self.silent_since = now;
        self.resume = match status {
            SubscriptionStatus::Requested => after(now, self.settings.policy.handshake_delay),
            SubscriptionStatus::Active
            | SubscriptionStatus::EnteredInError
            | SubscriptionStatus::Error
            | SubscriptionStatus::Off => now,
        };
        self.in_flight.take_if(|attempt| !attempt.started);
        if let Some(attempt) = &mut self.in_flight {
            attempt.superseded = true;
        }
    }

    /// Moves the cursor up to this number, if it is not there yet.
    fn move_cursor(&mut self, number: u64, effects: &mut Vec<Effect>) {
        if number > self.cursor
            && let Some(event) = EventNumber::new(number)
        {
            self.cursor = number;
            effects.push(Effect::MoveCursor(event));
        }
    }

    /// Whether something waits to be sent as soon as `resume` allows.
    fn has_work(&self) -> bool {
        self.cursor < self.last
            || self.resend.is_some()
            || (self.failures > 0 && self.heartbeat_period().is_some())
    }

    /// Takes on a re-send: what is above the cursor goes out anyhow, and for the first time.
    fn begin_resend(&mut self, first: EventNumber, last: EventNumber, effects: &mut Vec<Effect>) {
        if self.resend.is_some() {
            return;
        }
        let last = EventNumber::new(last.get().min(self.cursor)).filter(|last| first <= *last);
        match (self.status, last) {
            (SubscriptionStatus::Active, Some(last)) => {
                self.resend = Some(Resend { next: first, last, repeat: None, has_turn: true });
            }
            (
                SubscriptionStatus::Active
                | SubscriptionStatus::EnteredInError
                | SubscriptionStatus::Error
                | SubscriptionStatus::Off
                | SubscriptionStatus::Requested,
                _,
            ) => effects.push(Effect::ResendEnded),
        }
    }

    /// The batch of the re-send to send now: its retry, or the next one when it has its turn.
    fn due_resend(&self) -> Option<(EventNumber, EventNumber)> {
        let resend = self.resend.as_ref()?;
        if self.status != SubscriptionStatus::Active || self.repeat.is_some() {
            return None;
        }
        if resend.repeat.is_some() {
            return resend.repeat;
        }
        if !resend.has_turn && self.cursor < self.last {
            return None;
        }
        let end = resend.next.get().saturating_add(self.batch_limit() - 1);
        Some((resend.next, EventNumber::new(end)?.min(resend.last)))
    }

    /// Notes the batch of an attempt, so that a retry repeats it.
    fn note_batch(&mut self, first: EventNumber, last: EventNumber, resends: bool) {
        // A wrong number must stop the subscription, not spread (I3, I4).
        if resends {
            assert!(last.get() <= self.cursor, "a re-send of what was not sent yet");
        } else {
            assert!(first.get() == self.cursor + 1 && last.get() <= self.last, "wrong batch");
            self.repeat = Some((first, last));
        }
        if let Some(resend) = &mut self.resend {
            resend.has_turn = !resends;
            resend.repeat = resends.then_some((first, last)).or(resend.repeat);
        }
    }

    /// A batch of the re-send has arrived.
    fn resent(&mut self, upto: EventNumber, effects: &mut Vec<Effect>) {
        if let Some(resend) = &mut self.resend {
            resend.repeat = None;
            resend.next = upto.next();
            if resend.next > resend.last {
                self.resend = None;
                effects.push(Effect::ResendEnded);
            }
        }
    }

    /// The events that follow the cursor, as many as one notification takes.
    fn next_batch(&self) -> Option<(EventNumber, EventNumber)> {
        if self.cursor >= self.last {
            return None;
        }
        let first = EventNumber::new(self.cursor + 1)?;
        let last = EventNumber::new(self.cursor.saturating_add(self.batch_limit()).min(self.last))?;
        Some((first, last))
    }

    fn batch_limit(&self) -> u64 {
        let limit = batch_limit(self.settings.max_count, self.settings.policy.max_count_default);
        u64::from(limit.get())
    }

    fn heartbeat_period(&self) -> Option<Duration> {
        self.settings.heartbeat_period.filter(|period| !period.is_zero())
    }

    fn heartbeat_at(&self) -> Option<Timestamp> {
        self.heartbeat_period().map(|period| after(self.silent_since, period))
    }

    fn heartbeat_in_error_at(&self) -> Option<Timestamp> {
        self.heartbeat_at().filter(|_| self.settings.policy.heartbeats_in_error)
    }

    /// How long one attempt may take.
    fn timeout(&self) -> Duration {
        let timeout = self.settings.timeout.filter(|timeout| !timeout.is_zero());
        timeout.unwrap_or(self.settings.policy.timeout_default)
    }

    /// Until when events wait for others to go with them; none where they wait no longer.
    ///
    /// A full batch waits for nothing, and no event for longer than the receiver is to hear
    /// nothing (RQ-CH-05).
    fn held_until(&self) -> Option<Timestamp> {
        let window = self.settings.policy.coalesce_window;
        let waits = self.repeat.is_none() && self.failures == 0 && self.lag() < self.batch_limit();
        if window.is_zero() || !waits {
            return None;
        }
        let window = self.heartbeat_period().map_or(window, |period| period.min(window));
        let until = after(self.fresh_since?, window);
        Some(self.heartbeat_at().map_or(until, |at| at.min(until)))
    }

    /// When the status becomes `off` because nothing succeeds; what is under way still may.
    fn off_at(&self) -> Option<Timestamp> {
        if self.in_flight.is_some_and(|attempt| !attempt.barred) {
            return None;
        }
        let since = self.failing_since.filter(|_| is_live(self.status))?;
        let at = after(since, self.settings.policy.off_after?);
        Some(at.max(self.off_not_before))
    }

    fn nothing_succeeded(&self, now: Timestamp) -> SubscriptionError {
        let since = self.failing_since.unwrap_or(now);
        let hours = now.duration_since(since).as_hours();
        let text = format!("no notification has been taken for {hours} hours");
        SubscriptionError { code: Some(SubscriptionErrorCode::NoResponse), text }
    }
}

fn not_confirmed() -> SubscriptionError {
    let text = "the receiver did not confirm in time that it wants the notifications".to_owned();
    SubscriptionError { code: Some(SubscriptionErrorCode::NoResponse), text }
}

/// Whether `end` still has something to switch off.
fn is_live(status: SubscriptionStatus) -> bool {
    match status {
        SubscriptionStatus::Active | SubscriptionStatus::Error | SubscriptionStatus::Requested => {
            true
        }
        SubscriptionStatus::EnteredInError | SubscriptionStatus::Off => false,
    }
}

/// Whether events of a subscription in this status are sent, now or after its handshake.
pub(crate) fn is_sending(status: SubscriptionStatus) -> bool {
    match status {
        SubscriptionStatus::Active | SubscriptionStatus::Requested => true,
        SubscriptionStatus::EnteredInError
        | SubscriptionStatus::Error
        | SubscriptionStatus::Off => false,
    }
}
