//! Table tests of the delivery machine; a clock that does not just go on is in `tests/clock.rs`, heartbeats are in
//! `tests/heartbeats.rs`, what a restart goes on from in `tests/restart.rs`, the properties I3 to I5 in
//! `tests/properties.rs`.

use std::num::NonZeroU32;
use std::sync::Arc;

use cresset_model::Retries;

use super::*;
use crate::retry::{JITTER_MIDDLE, RetryPolicy, RetrySchedule};

mod clock;
mod heartbeats;
mod properties;
mod restart;

use SubscriptionStatus::{Active, EnteredInError, Error, Off, Requested};

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn at(seconds: u64) -> Timestamp {
    after(START, Duration::from_secs(seconds))
}

fn schedule(delays: &[u64]) -> RetrySchedule {
    let delays: Vec<_> = delays.iter().map(|delay| Duration::from_secs(*delay)).collect();
    RetrySchedule::new(&delays).unwrap()
}

/// Handshake after 1 s, retried after 2 s; others retried after 5 s and 10 s; batches of 3.
fn settings() -> DeliverySettings {
    DeliverySettings {
        heartbeat_period: None,
        timeout: None,
        max_count: NonZeroU32::new(3),
        retry_period: None,
        end: None,
        policy: Arc::new(RetryPolicy {
            handshake_retries: schedule(&[2]),
            retries: schedule(&[5, 10]),
            rejection_retries_max: 1,
            off_after: None,
            heartbeats_in_error: false,
            ..RetryPolicy::default()
        }),
    }
}

/// As [`settings`], with another policy.
fn with_policy(change: impl FnOnce(&mut RetryPolicy)) -> DeliverySettings {
    let mut settings = settings();
    change(Arc::make_mut(&mut settings.policy));
    settings
}

fn heartbeats(seconds: u64) -> DeliverySettings {
    DeliverySettings { heartbeat_period: Some(Duration::from_secs(seconds)), ..settings() }
}

fn reason(text: &str) -> SubscriptionError {
    SubscriptionError { code: Some(SubscriptionErrorCode::ErrorResponse), text: text.to_owned() }
}

fn retry() -> Outcome {
    Outcome::Retry { reason: reason("HTTP status 503"), retry_after: None }
}

/// A machine with what it did, in words.
#[derive(Clone)]
struct Rig {
    delivery: Delivery,
    /// Attempts wait for room until the test starts them.
    crowded: bool,
    /// Where the retries stand, as last noted.
    retries: Option<Retries>,
}

impl Rig {
    fn new(settings: DeliverySettings, status: SubscriptionStatus, cursor: u64, last: u64) -> Self {
        let cursor = EventNumber::new(cursor);
        let state = DeliveryState { status, cursor, last, since: START, retries: None };
        Self { delivery: Delivery::new(settings, state, START), crowded: false, retries: None }
    }

    /// As after a restart, with what was recorded.
    fn restarted(&self, seconds: u64, cursor: u64, last: u64) -> Self {
        let state = DeliveryState {
            status: self.delivery.status(),
            cursor: EventNumber::new(cursor),
            last,
            since: START,
            retries: self.retries,
        };
        let delivery = Delivery::new(self.delivery.settings().clone(), state, at(seconds));
        Self { delivery, crowded: self.crowded, retries: self.retries }
    }

    fn crowded(self) -> Self {
        Self { crowded: true, ..self }
    }

    fn input(&mut self, seconds: u64, input: Input) -> String {
        let mut effects = Vec::new();
        self.delivery.handle(input, at(seconds), &mut effects);
        for effect in effects.clone() {
            if let Effect::Attempt(Attempt { id, .. }) = effect
                && !self.crowded
            {
                self.delivery.handle(Input::AttemptStarted { id }, at(seconds), &mut effects);
            }
        }
        for effect in &effects {
            if let Effect::NoteRetries(retries) = effect {
                self.retries = *retries;
            }
        }
        let told = effects.iter().filter(|effect| !matches!(effect, Effect::NoteRetries(_)));
        let words: Vec<_> = told.map(words).collect();
        words.join(", ")
    }

    fn tick(&mut self, seconds: u64) -> String {
        self.input(seconds, Input::Tick)
    }

    fn appended(&mut self, seconds: u64, last: u64) -> String {
        self.input(seconds, Input::Appended { last })
    }

    fn ended(&mut self, seconds: u64, id: u64, outcome: Outcome) -> String {
        let id = AttemptId(id);
        self.input(seconds, Input::AttemptEnded { id, outcome, jitter: JITTER_MIDDLE })
    }

    fn resend(&mut self, seconds: u64, first: u64, last: u64) -> String {
        let number = |number| EventNumber::new(number).unwrap();
        self.input(seconds, Input::Resend { first: number(first), last: number(last) })
    }

    /// What a client's change of the status does, and what is recorded with it.
    fn updated(&mut self, seconds: u64, status: SubscriptionStatus) -> String {
        let settings = self.delivery.settings().clone();
        let missed = settings.policy.leaves_missed(self.delivery.status(), status);
        let cursor = EventNumber::new(self.delivery.last()).filter(|_| missed);
        self.input(seconds, Input::Updated { anew: false, cursor, settings, status })
    }

    /// As [`Self::updated`], with nothing recorded to be missed.
    fn changed(&mut self, seconds: u64, settings: DeliverySettings) -> String {
        let status = self.delivery.status();
        self.input(seconds, Input::Updated { anew: false, cursor: None, settings, status })
    }

    /// Seconds until the next deadline, from the start.
    fn deadline(&self) -> Option<i64> {
        self.delivery.next_deadline().map(|at| at.duration_since(START).as_secs())
    }
}

fn words(effect: &Effect) -> String {
    match effect {
        Effect::Attempt(Attempt { id, kind, .. }) => match kind {
            AttemptKind::Events { first, last } => format!("#{id} events {first}-{last}"),
            AttemptKind::Handshake => format!("#{id} handshake"),
            AttemptKind::Heartbeat => format!("#{id} heartbeat"),
        },
        Effect::MoveCursor(number) => format!("cursor {number}"),
        Effect::NoteRetries(retries) => format!("{retries:?}"),
        Effect::ResendEnded => "resent".to_owned(),
        Effect::SetStatus { status, error: None } => status.code().to_owned(),
        Effect::SetStatus { status, error: Some(error) } => {
            format!("{} ({})", status.code(), error.text)
        }
    }
}

#[test]
fn a_new_subscription_gets_its_handshake_after_the_delay_and_then_what_happened_meanwhile() {
    let mut rig = Rig::new(settings(), Requested, 0, 0);
    assert_eq!(rig.tick(0), "");
    assert_eq!(rig.appended(0, 2), "", "RQ-ER-12: queued until active");
    assert_eq!(rig.deadline(), Some(1));
    assert_eq!(rig.tick(1), "#1 handshake");
    assert_eq!(rig.appended(2, 5), "");
    assert_eq!(rig.ended(2, 1, Outcome::Success), "active, #2 events 1-3");
    assert_eq!(rig.ended(3, 2, Outcome::Success), "cursor 3, #3 events 4-5");
    assert_eq!(rig.ended(3, 3, Outcome::Success), "cursor 5");
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.appended(9, 6), "#4 events 6-6");
}

#[test]
fn a_failing_handshake_is_retried_for_a_while_and_then_is_an_error() {
    for outcome in [retry(), Outcome::Refused { reason: reason("HTTP status 503") }] {
        let mut rig = Rig::new(settings(), Requested, 0, 0);
        assert_eq!(rig.tick(1), "#1 handshake");
        assert_eq!(rig.ended(1, 1, outcome.clone()), "");
        assert_eq!(rig.deadline(), Some(3));
        assert_eq!(rig.tick(3), "#2 handshake");
        assert_eq!(rig.ended(4, 2, outcome), "error (HTTP status 503)");
        assert_eq!(rig.deadline(), None);
    }
}

#[test]
fn a_retry_repeats_the_same_events_and_new_ones_wait_behind_it() {
    let mut rig = Rig::new(settings(), Active, 0, 0);
    assert_eq!(rig.appended(0, 2), "#1 events 1-2");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.appended(2, 9), "");
    assert_eq!(rig.deadline(), Some(6));
    assert_eq!(rig.tick(6), "#2 events 1-2");
    assert_eq!(rig.ended(7, 2, Outcome::Success), "cursor 2, #3 events 3-5");
}

#[test]
fn a_resend_repeats_what_was_sent_and_leaves_the_cursor_alone() {
    let mut rig = Rig::new(settings(), Active, 7, 7);
    assert_eq!(rig.resend(0, 2, 100), "#1 events 2-4", "batches of maxCount");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.appended(2, 9), "");
    assert_eq!(rig.tick(6), "#2 events 2-4", "a retry repeats the same events");
    assert_eq!(rig.ended(7, 2, Outcome::Success), "#3 events 8-9", "what is new has its turn");
    assert_eq!(rig.ended(7, 3, Outcome::Success), "cursor 9, #4 events 5-7");
    assert_eq!(rig.ended(8, 4, Outcome::Success), "resent");
    assert_eq!(rig.deadline(), None);
}

#[test]
fn a_resend_waits_for_a_retry_and_leaves_what_is_above_the_cursor_to_it() {
    let mut rig = Rig::new(settings(), Active, 2, 4);
    assert_eq!(rig.tick(0), "#1 events 3-4");
    assert_eq!(rig.resend(0, 1, 9), "");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.tick(6), "#2 events 3-4");
    assert_eq!(rig.ended(7, 2, Outcome::Success), "cursor 4, #3 events 1-2");
    assert_eq!(rig.ended(8, 3, Outcome::Success), "resent");
}

#[test]
fn a_resend_ends_with_the_status_and_is_not_begun_outside_active() {
    let mut rig = Rig::new(settings(), Active, 3, 3);
    assert_eq!(rig.resend(0, 4, 9), "resent", "nothing there was sent yet");
    assert_eq!(rig.resend(0, 1, 3), "#1 events 1-3");
    let refused = Outcome::Refused { reason: reason("HTTP status 400") };
    assert_eq!(rig.ended(1, 1, refused), "resent, error (HTTP status 400)");
    assert_eq!(rig.resend(2, 1, 3), "resent");
    assert_eq!((rig.tick(9), rig.deadline()), (String::new(), None));
}

#[test]
fn enough_failures_in_a_row_are_an_error_and_events_are_only_counted_then() {
    let mut rig = Rig::new(heartbeats(60), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(0, 1, retry()), "");
    assert_eq!(rig.tick(5), "#2 events 1-1");
    assert_eq!(rig.ended(5, 2, retry()), "");
    assert_eq!(rig.tick(15), "#3 events 1-1");
    assert_eq!(rig.ended(15, 3, retry()), "error (HTTP status 503)");
    assert_eq!(rig.appended(16, 4), "");
    assert_eq!(rig.tick(1_000), "", "TR-14: only the client leads out of error");
    assert_eq!((rig.deadline(), rig.delivery.lag()), (None, 4));
}

#[test]
fn a_subscription_may_have_its_failures_repeated_for_a_shorter_time() {
    for (period, due) in [(0, None), (4, Some(5)), (5, Some(6)), (60, Some(6))] {
        let retry_period = Some(Duration::from_secs(period));
        let mut rig = Rig::new(DeliverySettings { retry_period, ..settings() }, Active, 0, 1);
        assert_eq!(rig.tick(0), "#1 events 1-1");
        let told = rig.ended(1, 1, retry());
        assert_eq!((told.is_empty(), rig.deadline()), (due.is_some(), due), "{period}: {told}");
    }
    let asked = DeliverySettings { retry_period: Some(Duration::from_secs(40)), ..settings() };
    let mut rig = Rig::new(asked, Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    let retry_after = Some(Duration::from_secs(90));
    let busy = Outcome::Retry { reason: reason("HTTP status 503"), retry_after };
    assert_eq!(rig.ended(1, 1, busy), "", "it has hardly begun to fail");
    assert_eq!(rig.tick(41), "#2 events 1-1", "once more at the end of the time");
    assert_eq!(rig.ended(41, 2, retry()), "error (HTTP status 503)");
    let retry_period = Some(Duration::from_secs(7));
    let barred = DeliverySettings { retry_period, ..settings() };
    let mut rig = Rig::new(barred, Active, 0, 1).crowded();
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.input(1, Input::AttemptBarred { id: AttemptId(1) }), "");
    assert_eq!(rig.deadline(), Some(8));
}

#[test]
fn a_retry_after_longer_than_the_schedule_is_kept_to() {
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    let retry_after = Some(Duration::from_secs(90));
    rig.ended(0, 1, Outcome::Retry { reason: reason("HTTP status 429"), retry_after });
    assert_eq!(rig.deadline(), Some(99), "and a draw of up to a fifth more");
}

#[test]
fn a_retry_after_has_a_bound_of_the_operators() {
    let bounded = with_policy(|policy| policy.retry_after_max = Duration::from_secs(60));
    let mut rig = Rig::new(bounded, Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    let retry_after = Some(Duration::from_secs(90));
    rig.ended(0, 1, Outcome::Retry { reason: reason("HTTP status 429"), retry_after });
    assert_eq!(rig.deadline(), Some(66));
}

#[test]
fn jitter_shortens_or_lengthens_a_delay_by_up_to_a_fifth() {
    let schedule = schedule(&[10]);
    let delay = |jitter| schedule.delay(1, jitter, None).unwrap();
    assert_eq!(delay(0), Duration::from_secs(8));
    assert_eq!(delay(JITTER_MIDDLE), Duration::from_secs(10));
    let longest = delay(u32::MAX);
    assert!((Duration::from_millis(11_999)..=Duration::from_secs(12)).contains(&longest));
    assert_eq!(schedule.delay(2, 0, None), None);
    let long = Some(Duration::MAX);
    assert_eq!(schedule.delay(1, 0, long), Some(crate::retry::RETRY_DELAY_MAX));
    let asked = |jitter| schedule.delay(1, jitter, Some(Duration::from_secs(100))).unwrap();
    assert_eq!(asked(0), Duration::from_secs(100), "never less than what was asked for");
    assert!((Duration::from_secs(119)..=Duration::from_secs(120)).contains(&asked(u32::MAX)));
}

#[test]
fn the_ladder_lasts_for_hours_and_gives_up_at_its_end() {
    let policy = Arc::new(RetryPolicy::default());
    let mut rig = Rig::new(DeliverySettings { policy, ..settings() }, Active, 0, 1);
    let mut now = 0;
    let ladder = [5, 30, 120, 900, 3_600, 14_400, 43_200, 86_400];
    for (id, wait) in (1..).zip(ladder) {
        assert_eq!(rig.tick(now), format!("#{id} events 1-1"));
        assert_eq!(rig.ended(now, id, retry()), "");
        now += wait;
        assert_eq!(rig.deadline(), i64::try_from(now).ok());
    }
    assert_eq!(rig.tick(now), "#9 events 1-1");
    assert_eq!(rig.ended(now, 9, retry()), "error (HTTP status 503)");
}

#[test]
fn a_schedule_has_bounds() {
    assert_eq!(RetrySchedule::new(&[Duration::ZERO; crate::retry::RETRIES_MAX + 1]), None);
    let longest = RetrySchedule::new(&[Duration::MAX]).unwrap();
    assert_eq!(longest.delay(1, JITTER_MIDDLE, None), Some(crate::retry::RETRY_DELAY_MAX));
}

#[test]
fn an_outcome_that_is_not_awaited_changes_nothing() {
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(1, 7, Outcome::Success), "");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.ended(2, 1, Outcome::Success), "", "it had ended already");
    assert_eq!(rig.tick(6), "#2 events 1-1");
}

#[test]
fn what_retention_forgot_is_passed_over_and_is_no_success() {
    let mut rig = Rig::new(settings(), Active, 0, 4);
    assert_eq!(rig.tick(0), "#1 events 1-3");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.tick(6), "#2 events 1-3");
    assert_eq!(rig.ended(7, 2, Outcome::Forgotten), "cursor 3, #3 events 4-4", "without a wait");
    assert_eq!(rig.ended(8, 3, retry()), "");
    assert_eq!(rig.deadline(), Some(18), "the second step of the schedule");
    let mut restarted = rig.restarted(9, 3, 4);
    assert_eq!((restarted.tick(17), restarted.deadline()), (String::new(), Some(18)));
    assert_eq!(rig.tick(18), "#4 events 4-4");
    let mut failing = rig.clone();
    assert_eq!(failing.ended(19, 4, retry()), "error (HTTP status 503)");
    assert_eq!(rig.ended(19, 4, Outcome::Forgotten), "cursor 4");
    assert_eq!((rig.retries, rig.deadline()), (None, None), "nothing is left that could succeed");
    assert_eq!(rig.appended(20, 5), "#5 events 5-5");
    assert_eq!(rig.ended(20, 5, Outcome::Success), "cursor 5");
    assert_eq!(rig.resend(21, 1, 5), "#6 events 1-3");
    assert_eq!(rig.ended(22, 6, Outcome::Forgotten), "#7 events 4-5");
    assert_eq!(rig.ended(23, 7, Outcome::Forgotten), "resent");
}

#[test]
fn what_changes_without_a_handshake_begins_anew_where_its_client_says_so() {
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(1, 1, retry()), "");
    let update = |anew| Input::Updated { anew, cursor: None, settings: settings(), status: Active };
    let mut same = rig.clone();
    assert_eq!((same.input(2, update(false)).as_str(), same.deadline()), ("", Some(6)));
    assert_eq!(rig.input(2, update(true)), "#2 events 1-1", "another endpoint waits for nothing");
    assert_eq!(rig.input(3, update(true)), "");
    let gone = Outcome::Gone { reason: reason("HTTP status 410") };
    assert_eq!(rig.ended(4, 2, gone), "#3 events 1-1", "which the one before says nothing about");
}

#[test]
fn an_attempt_tells_whether_it_repeats_one_before_it() {
    let repeats = |rig: &mut Rig, seconds, input| {
        let mut effects = Vec::new();
        rig.delivery.handle(input, at(seconds), &mut effects);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Attempt(attempt) => Some(attempt.repeats),
            Effect::MoveCursor(_)
            | Effect::NoteRetries(_)
            | Effect::ResendEnded
            | Effect::SetStatus { .. } => None,
        })
    };
    let ended =
        |id, outcome| Input::AttemptEnded { id: AttemptId(id), outcome, jitter: JITTER_MIDDLE };
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0);
    assert_eq!(repeats(&mut rig, 60, Input::Tick), Some(false));
    assert_eq!(repeats(&mut rig, 60, started(1)), None);
    assert_eq!(repeats(&mut rig, 61, ended(1, retry())), None);
    assert_eq!(repeats(&mut rig, 66, Input::Tick), Some(true), "the heartbeat again");
    assert_eq!(repeats(&mut rig, 67, ended(2, retry())), None);
    assert_eq!(repeats(&mut rig, 68, Input::Appended { last: 1 }), None);
    assert_eq!(repeats(&mut rig, 77, Input::Tick), Some(false), "the event in its place");
    assert_eq!(repeats(&mut rig, 78, ended(3, Outcome::Success)), None);
    assert_eq!(repeats(&mut rig, 137, Input::Tick), Some(false), "another heartbeat");
    let mut rig = Rig::new(settings(), Requested, 0, 0);
    assert_eq!(repeats(&mut rig, 1, Input::Tick), Some(false));
    assert_eq!(repeats(&mut rig, 1, ended(1, retry())), None);
    assert_eq!(repeats(&mut rig, 3, Input::Tick), Some(true));
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(repeats(&mut rig, 1, Input::Tick), Some(false));
    assert_eq!(repeats(&mut rig, 1, ended(1, retry())), None);
    assert_eq!(repeats(&mut rig, 6, Input::Tick), Some(true));
}

fn started(id: u64) -> Input {
    Input::AttemptStarted { id: AttemptId(id) }
}

#[test]
fn an_attempt_waits_for_room_as_long_as_it_takes_and_then_for_its_outcome() {
    let asked = DeliverySettings { timeout: Some(Duration::from_secs(20)), ..settings() };
    let mut rig = Rig::new(asked, Active, 0, 1).crowded();
    assert_eq!((rig.tick(0).as_str(), rig.deadline()), ("#1 events 1-1", None));
    assert_eq!(rig.tick(1_000), "");
    assert_eq!((rig.input(1_000, started(1)).as_str(), rig.deadline()), ("", None));
    assert_eq!(rig.input(1_001, started(2)), "");
    assert!(rig.delivery.is_awaited(AttemptId(1)) && !rig.delivery.is_awaited(AttemptId(2)));
    assert_eq!(rig.ended(1_031, 1, retry()), "");
    assert_eq!((rig.input(1_031, started(1)).as_str(), rig.deadline()), ("", Some(1_036)));
}

#[test]
fn an_attempt_that_waits_for_room_is_dropped_when_something_changes() {
    let mut rig = Rig::new(settings(), Active, 0, 1).crowded();
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.updated(1, Active), "#2 events 1-1", "to where it is now");
    assert!(!rig.delivery.is_awaited(AttemptId(1)));
    assert_eq!(rig.updated(2, Off), "");
    assert!(!rig.delivery.is_awaited(AttemptId(2)), "nothing is sent when it is off");
}

#[test]
fn what_was_not_sent_for_want_of_room_is_no_failure() {
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    for id in 1..10 {
        assert_eq!(rig.ended(id, id, Outcome::Unsent), "");
        assert_eq!(rig.tick(id + 1), format!("#{} events 1-1", id + 1));
    }
}

#[test]
fn a_receiver_that_has_to_confirm_is_asked_once_and_gets_its_events_when_it_has() {
    let asked = |until| Outcome::AwaitsConfirmation { until: at(until) };
    let mut rig = Rig::new(heartbeats(5), Requested, 0, 0);
    assert_eq!(rig.tick(1), "#1 handshake");
    assert_eq!((rig.ended(2, 1, asked(100)).as_str(), rig.deadline()), ("", Some(100)));
    assert_eq!((rig.appended(50, 2).as_str(), rig.tick(99).as_str()), ("", ""));
    assert_eq!(rig.updated(99, Active), "#2 events 1-2", "what came since it subscribed");
    assert_eq!(rig.ended(99, 2, Outcome::Success), "cursor 2");

    let mut silent = Rig::new(settings(), Requested, 0, 0);
    assert_eq!(silent.tick(1), "#1 handshake");
    assert_eq!(silent.ended(2, 1, asked(100)), "");
    let error = "error (the receiver did not confirm in time that it wants the notifications)";
    assert_eq!((silent.tick(100).as_str(), silent.deadline()), (error, None));
    assert_eq!(silent.updated(101, Requested), "");
    assert_eq!(silent.tick(102), "#2 handshake", "asked again when the client asks again");
    assert_eq!(silent.ended(103, 2, asked(300)), "");
    assert_eq!(silent.updated(104, Off), "");
    assert_eq!((silent.tick(300).as_str(), silent.deadline()), ("", None));
}

#[test]
fn what_was_put_off_is_no_failure_and_comes_when_it_may() {
    let until = |until| Outcome::Postponed { until: at(until) };
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!((rig.ended(1, 1, until(60)).as_str(), rig.deadline()), ("", Some(60)));
    assert_eq!((rig.tick(59).as_str(), rig.tick(60).as_str()), ("", "#2 events 1-1"));
    assert_eq!((rig.ended(61, 2, until(0)).as_str(), rig.deadline()), ("", Some(62)));
}

#[test]
fn an_attempt_barred_from_its_host_is_an_error_when_the_schedule_would_be_used_up() {
    let barred = |id| Input::AttemptBarred { id: AttemptId(id) };
    let error = "error (the endpoint's host has not been answering)";
    let mut rig = Rig::new(settings(), Active, 0, 1).crowded();
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!((rig.input(3, barred(1)).as_str(), rig.deadline()), ("", Some(18)));
    assert_eq!((rig.tick(17).as_str(), rig.tick(18).as_str()), ("", error));
    assert!(!rig.delivery.is_awaited(AttemptId(1)));
    assert_eq!(rig.deadline(), None);
    // Once the host answers again, it waits for its turn like others.
    let mut rig = Rig::new(settings(), Active, 0, 1).crowded();
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.input(3, barred(1)), "");
    let freed = Input::AttemptFreed { id: AttemptId(1) };
    assert_eq!((rig.input(17, freed).as_str(), rig.deadline()), ("", None));
    assert_eq!(rig.retries, None);
    assert_eq!((rig.input(50, barred(1)).as_str(), rig.deadline()), ("", Some(65)), "from then on");
    let freed = Input::AttemptFreed { id: AttemptId(1) };
    assert_eq!((rig.input(55, freed).as_str(), rig.deadline()), ("", None));
    assert_eq!((rig.tick(60).as_str(), rig.input(60, started(1)).as_str()), ("", ""));
    assert_eq!(rig.ended(61, 1, Outcome::Success), "cursor 1");
    // Once it is let through, only how it ends counts.
    let mut rig = Rig::new(settings(), Requested, 0, 1).crowded();
    assert_eq!(rig.tick(1), "#1 handshake");
    assert_eq!((rig.input(1, barred(1)).as_str(), rig.deadline()), ("", Some(3)));
    assert_eq!((rig.input(2, started(1)).as_str(), rig.deadline()), ("", None));
    assert_eq!(rig.ended(3, 1, Outcome::Success), "active, #2 events 1-1");
}

#[test]
fn the_timeout_of_an_attempt_is_the_subscriptions_or_the_default() {
    for (asked, expected) in [(None, 30), (Some(0), 30), (Some(7), 7)] {
        let timeout = asked.map(Duration::from_secs);
        let mut delivery = Rig::new(DeliverySettings { timeout, ..settings() }, Active, 0, 1);
        let mut effects = Vec::new();
        delivery.delivery.handle(Input::Tick, START, &mut effects);
        let [Effect::Attempt(attempt)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(attempt.timeout, Duration::from_secs(expected));
    }
}

#[test]
fn the_end_switches_a_live_subscription_off_once() {
    for status in [Active, Requested, Error] {
        let mut rig = Rig::new(DeliverySettings { end: Some(at(5)), ..settings() }, status, 0, 0);
        rig.tick(4);
        assert_eq!(rig.tick(5), "off", "from {status:?}");
        assert_eq!((rig.tick(6), rig.deadline(), rig.appended(7, 3)).0, "");
    }
    for status in [Off, EnteredInError] {
        let mut rig = Rig::new(DeliverySettings { end: Some(at(5)), ..settings() }, status, 0, 0);
        assert_eq!((rig.tick(5), rig.deadline()), (String::new(), None));
    }
}

#[test]
fn an_end_before_acceptance_is_not_observed() {
    assert_eq!(DeliverySettings::end_in_force(Some(at(1)), at(1)), None);
    assert_eq!(DeliverySettings::end_in_force(Some(at(2)), at(1)), Some(at(2)));
    assert_eq!(DeliverySettings::end_in_force(None, at(1)), None);
}

#[test]
fn nothing_is_said_after_removal() {
    let mut rig = Rig::new(heartbeats(1), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.input(0, Input::Removed), "");
    assert_eq!(rig.ended(1, 1, Outcome::Success), "");
    assert_eq!((rig.appended(2, 5), rig.deadline()), (String::new(), None));
}

/// What a client's update does to events 2 to 4, not yet sent, and to event 5, which comes after.
#[test]
fn a_clients_update_leads_where_the_status_table_says() {
    let cases = [
        (Active, Active, "#1 events 2-4"),
        (Active, EnteredInError, ""),
        (Active, Off, ""),
        (Active, Requested, "#1 handshake"),
        (EnteredInError, Requested, "#1 handshake"),
        (Error, Active, "#1 events 5-5"),
        (Error, Error, ""),
        (Error, Off, ""),
        (Error, Requested, "#1 handshake"),
        (Off, Active, "#1 events 5-5"),
        (Off, Requested, "#1 handshake"),
        (Requested, Active, "#1 events 2-4"),
        (Requested, Off, ""),
        (Requested, Requested, "#1 handshake"),
    ];
    for (before, status, expected) in cases {
        let mut rig = Rig::new(settings(), before, 1, 4);
        let mut steps = vec![rig.updated(0, status), rig.appended(0, 5), rig.tick(1)];
        steps.retain(|step| !step.is_empty());
        assert_eq!(steps.join("; "), expected, "{before:?} to {status:?}");
        assert_eq!(rig.delivery.status(), status);
    }
}

#[test]
fn after_a_new_handshake_only_what_came_since_it_was_asked_for_is_sent() {
    let mut rig = Rig::new(settings(), Error, 1, 4);
    assert_eq!(rig.updated(10, Requested), "");
    assert_eq!(rig.appended(10, 5), "");
    assert_eq!(rig.tick(11), "#1 handshake");
    assert_eq!(rig.ended(12, 1, Outcome::Success), "active, #2 events 5-5");
}

#[test]
fn what_was_missed_is_sent_too_where_the_operator_wants_it() {
    let policy = Arc::new(RetryPolicy { flush_missed: true, ..RetryPolicy::default() });
    let mut rig = Rig::new(DeliverySettings { policy, ..settings() }, Error, 1, 4);
    assert_eq!(rig.updated(10, Requested), "");
    assert_eq!(rig.tick(11), "#1 handshake");
    assert_eq!(rig.ended(12, 1, Outcome::Success), "active, #2 events 2-4");
}

/// The writer of a change knows of events that the machine was not told of, and of statuses that never
/// became durable.
#[test]
fn what_was_recorded_as_missed_is_not_sent_whatever_the_machine_knew() {
    let number = EventNumber::new;
    let updated = |cursor, status| {
        let settings = settings();
        Input::Updated { anew: false, cursor, settings, status }
    };
    let mut rig = Rig::new(settings(), Error, 1, 4);
    assert_eq!(rig.input(10, updated(number(6), Requested)), "");
    assert_eq!(rig.appended(10, 7), "");
    assert_eq!(rig.tick(11), "#1 handshake");
    assert_eq!(rig.ended(12, 1, Outcome::Success), "active, #2 events 7-7");
    // The batch to repeat was missed in a status that the machine never saw.
    let mut rig = Rig::new(settings(), Active, 0, 2);
    assert_eq!(rig.tick(0), "#1 events 1-2");
    assert_eq!(rig.ended(0, 1, retry()), "");
    assert_eq!(rig.input(1, updated(number(2), Active)), "");
    assert_eq!(rig.appended(1, 3), "#2 events 3-3");
    // Nothing was recorded: the status was an error for the machine alone.
    let mut rig = Rig::new(settings(), Error, 1, 4);
    assert_eq!(rig.input(10, updated(number(1), Requested)), "");
    assert_eq!(rig.tick(11), "#1 handshake");
    assert_eq!(rig.ended(12, 1, Outcome::Success), "active, #2 events 2-4");
}

#[test]
fn an_attempt_under_way_ends_before_the_handshake_that_an_update_asks_for() {
    let cases = [
        (Outcome::Success, "cursor 2, #2 handshake"),
        (retry(), "#2 handshake"),
        (Outcome::Gone { reason: reason("HTTP status 410") }, "#2 handshake"),
    ];
    for (outcome, expected) in cases {
        let mut rig = Rig::new(settings(), Active, 0, 2);
        assert_eq!(rig.tick(0), "#1 events 1-2");
        assert_eq!(rig.updated(1, Requested), "");
        assert_eq!(rig.tick(5), "", "one attempt at a time");
        assert_eq!(rig.ended(6, 1, outcome), expected);
    }
}

#[test]
fn an_attempt_under_way_when_switched_off_still_counts_as_delivered() {
    let mut rig = Rig::new(settings(), Active, 0, 5);
    assert_eq!(rig.tick(0), "#1 events 1-3");
    assert_eq!(rig.updated(1, Off), "");
    assert_eq!(rig.ended(2, 1, Outcome::Success), "cursor 3");
    assert_eq!(rig.deadline(), None);
}

#[test]
fn an_endpoint_that_is_gone_switches_the_subscription_off() {
    let gone = || Outcome::Gone { reason: reason("HTTP status 410") };
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(1, 1, gone()), "off (HTTP status 410)");
    let mut rig = Rig::new(settings(), Requested, 0, 1);
    assert_eq!(rig.tick(1), "#1 handshake");
    assert_eq!(rig.ended(1, 1, gone()), "off (HTTP status 410)");
}

#[test]
fn a_refusal_for_good_is_an_error_without_retries() {
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    let refused = Outcome::Refused { reason: reason("HTTP status 401") };
    assert_eq!(rig.ended(1, 1, refused), "error (HTTP status 401)");
}

#[test]
fn what_the_receiver_rejects_is_repeated_a_few_times_only() {
    let rejected = || Outcome::Rejected { reason: reason("HTTP status 404") };
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(0, 1, rejected()), "");
    assert_eq!(rig.tick(5), "#2 events 1-1");
    assert_eq!(rig.ended(5, 2, rejected()), "error (HTTP status 404)");
    // Another failure between them starts the count anew, and the schedule ends all the same.
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(0, 1, rejected()), "");
    assert_eq!(rig.tick(5), "#2 events 1-1");
    assert_eq!(rig.ended(5, 2, retry()), "");
    assert_eq!(rig.tick(15), "#3 events 1-1");
    assert_eq!(rig.ended(15, 3, rejected()), "error (HTTP status 404)");
    let mut rig = Rig::new(settings(), Requested, 0, 1);
    assert_eq!(rig.tick(1), "#1 handshake");
    assert_eq!(rig.ended(1, 1, rejected()), "", "TR-07: it may not listen yet");
    assert_eq!(rig.deadline(), Some(3));
}

#[test]
fn events_wait_for_company_only_as_long_as_they_may() {
    let window = with_policy(|policy| policy.coalesce_window = Duration::from_secs(10));
    let mut rig = Rig::new(window.clone(), Active, 0, 0);
    assert_eq!(rig.appended(0, 1), "");
    assert_eq!(rig.deadline(), Some(10));
    assert_eq!(rig.appended(9, 2), "");
    assert_eq!(rig.tick(10), "#1 events 1-2");
    assert_eq!(rig.appended(11, 3), "");
    assert_eq!(rig.ended(12, 1, Outcome::Success), "cursor 2");
    assert_eq!(rig.deadline(), Some(21));
    assert_eq!(rig.appended(13, 5), "#2 events 3-5", "a full batch does not wait");
    assert_eq!(rig.appended(14, 9), "");
    assert_eq!(rig.ended(15, 2, Outcome::Success), "cursor 5, #3 events 6-8");
    assert_eq!(rig.ended(16, 3, Outcome::Success), "cursor 8");
    assert_eq!(rig.tick(24), "#4 events 9-9", "counted from its arrival");
    let period = Some(Duration::from_secs(4));
    let beating = DeliverySettings { heartbeat_period: period, ..window };
    let mut rig = Rig::new(beating, Active, 0, 0);
    assert_eq!(rig.appended(1, 1), "");
    assert_eq!(rig.deadline(), Some(4));
    assert_eq!(rig.tick(4), "#1 events 1-1", "instead of a heartbeat");
}

#[test]
fn a_smaller_max_count_holds_for_a_retry_too() {
    let mut rig = Rig::new(settings(), Active, 0, 3);
    assert_eq!(rig.tick(0), "#1 events 1-3");
    assert_eq!(rig.ended(0, 1, retry()), "");
    let smaller = DeliverySettings { max_count: NonZeroU32::new(2), ..settings() };
    assert_eq!(rig.changed(1, smaller), "");
    assert_eq!(rig.tick(5), "#2 events 1-2");
    assert_eq!(rig.ended(5, 2, Outcome::Success), "cursor 2, #3 events 3-3");
}

#[test]
fn a_batch_has_a_bound_whatever_max_count_says() {
    for (max_count, expected) in [(None, 100), (NonZeroU32::new(u32::MAX), 1_000)] {
        let mut rig = Rig::new(DeliverySettings { max_count, ..settings() }, Active, 0, 1_000_000);
        assert_eq!(rig.tick(0), format!("#1 events 1-{expected}"));
    }
}

#[test]
fn time_at_its_end_is_no_panic() {
    let forever = DeliverySettings {
        heartbeat_period: Some(Duration::MAX),
        timeout: Some(Duration::MAX),
        ..settings()
    };
    let mut rig = Rig::new(forever, Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(0, 1, Outcome::Success), "cursor 1");
    assert_eq!(rig.delivery.next_deadline(), Some(Timestamp::MAX));
}
