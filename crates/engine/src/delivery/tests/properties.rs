//! I3, I4 and I5 for any sequence of inputs, restarts included.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// When it all begins: there is time before it to set the clock back to.
const BEGIN: u64 = 100_000;

#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Wait(u64),
    End(Outcome),
    EndUnknown,
    Start,
    Resend {
        first: u64,
        count: u64,
    },
    Bar,
    Free,
    SetBack(u64),
    Update {
        status: SubscriptionStatus,
        anew: bool,
        max_count: u32,
        heartbeat: Option<u64>,
        end: Option<u64>,
    },
    Restart {
        cursor_lost: bool,
    },
}

fn status() -> impl Strategy<Value = SubscriptionStatus> {
    prop_oneof![
        4 => Just(Requested),
        2 => Just(Active),
        1 => Just(Off),
        1 => Just(EnteredInError),
        1 => Just(Error),
    ]
}

fn soon() -> impl Strategy<Value = u64> {
    BEGIN..BEGIN + 400
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Success),
        8 => Just(retry()),
        1 => Just(Outcome::Unsent),
        1 => Just(Outcome::Forgotten),
        1 => soon().prop_map(|until| Outcome::Postponed { until: at(until) }),
        2 => soon().prop_map(|until| Outcome::AwaitsConfirmation { until: at(until) }),
        2 => Just(Outcome::Retry {
            reason: reason("HTTP status 429"),
            retry_after: Some(Duration::from_secs(40)),
        }),
        1 => Just(Outcome::Refused { reason: reason("the endpoint is not allowed") }),
        2 => Just(Outcome::Rejected { reason: reason("HTTP status 400") }),
        1 => Just(Outcome::Gone { reason: reason("HTTP status 410") }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u64..6).prop_map(Step::Append),
        8 => (0u64..20).prop_map(Step::Wait),
        12 => outcome().prop_map(Step::End),
        1 => Just(Step::EndUnknown),
        8 => Just(Step::Start),
        1 => Just(Step::Bar),
        1 => Just(Step::Free),
        3 => (1u64..40, 0u64..12).prop_map(|(first, count)| Step::Resend { first, count }),
        1 => (1u64..300).prop_map(Step::SetBack),
        1 => (
            status(),
            any::<bool>(),
            1u32..5,
            proptest::option::of(1u64..60),
            proptest::option::weighted(0.2, soon()),
        )
            .prop_map(|(status, anew, max_count, heartbeat, end)| Step::Update {
                status,
                anew,
                max_count,
                heartbeat,
                end,
            }),
        1 => any::<bool>().prop_map(|cursor_lost| Step::Restart { cursor_lost }),
    ]
}

/// The operator's side: what changes when something is sent.
fn policy() -> impl Strategy<Value = RetryPolicy> {
    let off_after = proptest::option::of(20u64..200);
    (0u64..30, any::<bool>(), off_after, 0u32..3, any::<bool>()).prop_map(
        |(window, heartbeats_in_error, off_after, rejection_retries_max, flush_missed)| {
            RetryPolicy {
                coalesce_window: Duration::from_secs(window),
                heartbeats_in_error,
                off_after: off_after.map(Duration::from_secs),
                rejection_retries_max,
                flush_missed,
                ..RetryPolicy::clone(&settings().policy)
            }
        },
    )
}

/// The machine's surroundings: a store, a clock, one endpoint, and what has been seen of it.
struct World {
    delivery: Delivery,
    /// The same machine, put away whenever it is at rest.
    twin: Delivery,
    now: u64,
    /// What was recorded before is by another clock.
    was_set_back: bool,
    status: SubscriptionStatus,
    /// The cursor recorded last, and the one before it.
    cursor: u64,
    cursor_before: u64,
    last: u64,
    /// Where the retries stand, as recorded last.
    retries: Option<Retries>,
    /// The same as it was recorded with `cursor_before`.
    retries_before: Option<Retries>,
    /// Nothing is due before: what a failure asked for.
    resume: Timestamp,
    /// The attempt in flight and when the caller ends it, once it has started.
    flight: Option<(Attempt, Option<Timestamp>)>,
    /// The batch whose attempt failed last, until something else may take its place.
    failed: Option<AttemptKind>,
    /// Something changed since the attempt in flight began: its batch need not be repeated.
    superseded: bool,
    delivered: BTreeSet<u64>,
    /// Events that were asked for again.
    asked: BTreeSet<u64>,
    /// Events up to this one were missed outside `active`.
    excused: u64,
    /// When the status was set last.
    since: u64,
    /// Events up to this one were in an attempt, and when the others came.
    attempted: u64,
    /// When there was no room last.
    unsent: u64,
    /// Heartbeats in a row that failed in `error`, and when the last of them did.
    unheard: (u32, u64),
    arrivals: BTreeMap<u64, u64>,
}

impl World {
    fn new(policy: RetryPolicy) -> Self {
        let state =
            DeliveryState { status: Requested, cursor: None, last: 0, since: START, retries: None };
        let settings = DeliverySettings { policy: Arc::new(policy), ..settings() };
        let delivery = Delivery::new(settings, state, at(BEGIN));
        Self {
            twin: delivery.clone(),
            delivery,
            now: BEGIN,
            was_set_back: false,
            status: Requested,
            cursor: 0,
            cursor_before: 0,
            last: 0,
            retries: None,
            retries_before: None,
            resume: START,
            flight: None,
            failed: None,
            superseded: false,
            delivered: BTreeSet::new(),
            asked: BTreeSet::new(),
            excused: 0,
            since: 0,
            attempted: 0,
            unsent: 0,
            unheard: (0, 0),
            arrivals: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(count) => {
                self.arrivals.extend((1..=count).map(|more| (self.last + more, self.now)));
                self.last += count;
                self.input(Input::Appended { last: self.last });
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                let now = at(self.now);
                match self.flight {
                    // The caller ends an attempt that has taken too long.
                    Some((_, Some(timeout_at))) if timeout_at <= now => self.end(retry()),
                    Some(_) | None => self.input(Input::Tick),
                }
            }
            Step::End(outcome) => self.end(outcome),
            Step::Start => {
                if let Some((attempt, timeout_at @ None)) = &mut self.flight {
                    *timeout_at = Some(after(at(self.now), attempt.timeout));
                    let id = attempt.id;
                    assert!(self.delivery.is_awaited(id));
                    self.input(Input::AttemptStarted { id });
                }
            }
            Step::Resend { first, count } => {
                let number = |number| EventNumber::new(number).unwrap();
                let (first, last) = (number(first), number(first + count));
                self.asked.extend(first.get()..=last.get());
                self.input(Input::Resend { first, last });
            }
            Step::Bar => {
                if let Some((attempt, None)) = self.flight {
                    self.input(Input::AttemptBarred { id: attempt.id });
                }
            }
            Step::Free => {
                if let Some((attempt, _)) = self.flight {
                    self.input(Input::AttemptFreed { id: attempt.id });
                }
            }
            Step::EndUnknown => {
                let id = AttemptId(u64::MAX);
                self.input(Input::AttemptEnded { id, outcome: Outcome::Success, jitter: 0 });
            }
            Step::Update { status, anew, max_count, heartbeat, end } => {
                self.update((status, anew), max_count, heartbeat, end);
            }
            Step::SetBack(seconds) => self.set_back(seconds),
            Step::Restart { cursor_lost } => self.restart(cursor_lost),
        }
    }

    /// Whoever keeps time by the clock has to go back with it; what was recorded stays as it is.
    fn set_back(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.now -= seconds;
        self.was_set_back = true;
        self.resume = crate::time::before(self.resume, by);
        self.unsent = self.unsent.saturating_sub(seconds);
        self.unheard.1 = self.unheard.1.saturating_sub(seconds);
        self.arrivals.values_mut().for_each(|at| *at -= seconds);
        if let Some((_, Some(timeout_at))) = &mut self.flight {
            *timeout_at = crate::time::before(*timeout_at, by);
        }
        self.delivery.set_back(by);
        self.twin.set_back(by);
        self.input(Input::Tick);
    }

    fn end(&mut self, outcome: Outcome) {
        let Some((attempt, _)) = self.flight.take() else {
            return;
        };
        match &outcome {
            Outcome::Unsent => self.unsent = self.now,
            Outcome::AwaitsConfirmation { until } | Outcome::Postponed { until } => {
                let until = until.duration_since(START).as_secs().cast_unsigned();
                self.unsent = self.now.max(until);
            }
            Outcome::Forgotten
            | Outcome::Gone { .. }
            | Outcome::Refused { .. }
            | Outcome::Rejected { .. }
            | Outcome::Retry { .. }
            | Outcome::Success => {}
        }
        self.note_heartbeat(attempt.kind, &outcome);
        match (&outcome, attempt.kind) {
            (Outcome::Success | Outcome::Forgotten, AttemptKind::Events { first, last }) => {
                self.delivered.extend(first.get()..=last.get());
                self.failed = None;
            }
            (Outcome::Success, _) => self.failed = None,
            (_, AttemptKind::Events { .. }) if !self.superseded => self.failed = Some(attempt.kind),
            (_, AttemptKind::Events { .. } | AttemptKind::Handshake | AttemptKind::Heartbeat) => {}
        }
        self.input(Input::AttemptEnded { id: attempt.id, outcome, jitter: 1 << 31 });
    }

    fn note_heartbeat(&mut self, kind: AttemptKind, outcome: &Outcome) {
        if kind != AttemptKind::Heartbeat || self.status != Error || self.superseded {
            return;
        }
        match outcome {
            Outcome::Success => self.unheard = (0, 0),
            Outcome::Refused { .. } | Outcome::Rejected { .. } | Outcome::Retry { .. } => {
                self.unheard = (self.unheard.0 + 1, self.now);
            }
            Outcome::AwaitsConfirmation { .. }
            | Outcome::Forgotten
            | Outcome::Gone { .. }
            | Outcome::Postponed { .. }
            | Outcome::Unsent => {}
        }
    }

    fn update(
        &mut self,
        (status, anew): (SubscriptionStatus, bool),
        max_count: u32,
        heartbeat: Option<u64>,
        end: Option<u64>,
    ) {
        let policy = self.delivery.settings().policy.clone();
        if policy.leaves_missed(self.status, status) {
            self.excused = self.last;
            // Recorded with the change, so that no crash can lose it.
            self.cursor = self.last;
            self.cursor_before = self.last;
        }
        if status != self.status {
            self.unheard = (0, 0);
        }
        self.status = status;
        self.since = self.now;
        self.failed = None;
        self.superseded = true;
        let settings = DeliverySettings {
            policy,
            heartbeat_period: heartbeat.map(Duration::from_secs),
            max_count: NonZeroU32::new(max_count),
            end: end.map(at),
            ..settings()
        };
        let cursor = EventNumber::new(self.cursor);
        self.input(Input::Updated { anew, cursor, settings, status });
    }

    fn restart(&mut self, cursor_lost: bool) {
        if cursor_lost {
            self.cursor = self.cursor_before;
            self.retries = self.retries_before;
            self.failed = None;
            self.unheard = (0, 0);
        }
        self.cursor_before = self.cursor;
        self.retries_before = self.retries;
        self.flight = None;
        let holding = self.retries.filter(|retries| retries.at >= at(self.since));
        self.resume = holding.map_or(START, |retries| retries.resume);
        self.unheard = holding.map_or((0, 0), |_| self.unheard);
        let repeat_last = holding.and_then(|retries| retries.repeat_last);
        self.failed.take_if(|failed| match failed {
            AttemptKind::Events { last, .. } => repeat_last != Some(*last),
            AttemptKind::Handshake | AttemptKind::Heartbeat => true,
        });
        let state = DeliveryState {
            status: self.status,
            cursor: EventNumber::new(self.cursor),
            last: self.last,
            since: at(self.since),
            retries: self.retries,
        };
        let settings = self.delivery.settings().clone();
        self.delivery = Delivery::new(settings, state, at(self.now));
        if self.was_set_back && !self.delivery.noted {
            // What was recorded by another clock may look older than it is.
            (self.resume, self.unheard, self.failed) = (START, (0, 0), None);
        }
        self.twin = self.delivery.clone();
        self.input(Input::Tick);
    }

    /// Does the same with the machine that is put away, and puts it away if it is at rest.
    fn twin_does_the_same(&mut self, input: Input, effects: &[Effect]) {
        let now = at(self.now);
        let mut same = Vec::new();
        self.twin.handle(input, now, &mut same);
        // A wait that is over says no more than that there is none.
        let now_at_least = |effect: &Effect| {
            let mut effect = effect.clone();
            if let Effect::NoteRetries(Some(retries)) = &mut effect {
                retries.resume = retries.resume.max(now);
            }
            effect
        };
        let of = |effects: &[Effect]| effects.iter().map(now_at_least).collect::<Vec<_>>();
        assert_eq!(of(&same), of(effects), "a machine made anew does the same");
        if let Some(silent_since) = self.twin.at_rest(now) {
            let cursor = EventNumber::new(self.twin.cursor);
            let status = self.twin.status();
            let last = if status == Active { self.twin.cursor } else { self.twin.last };
            let state = DeliveryState { status, cursor, last, since: now, retries: None };
            let anew = Delivery::new(self.twin.settings().clone(), state, now);
            self.twin = anew.numbered_from(self.twin.next_attempt()).resumed(silent_since);
            assert_eq!(self.twin.next_deadline(), self.delivery.next_deadline());
        }
    }

    fn input(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.delivery.handle(input.clone(), at(self.now), &mut effects);
        self.twin_does_the_same(input, &effects);
        // The caller asks before it starts what has waited.
        let delivery = &self.delivery;
        self.flight
            .take_if(|(attempt, started)| started.is_none() && !delivery.is_awaited(attempt.id));
        for effect in effects {
            self.check(effect);
        }
        assert_eq!(self.delivery.status(), self.status);
        if let Some(deadline) = self.delivery.next_deadline() {
            assert!(deadline > at(self.now), "no busy loop: {deadline} after {}", at(self.now));
        }
        self.check_waits();
    }

    /// Events that no attempt keeps waiting wait no longer than they may.
    fn check_waits(&self) {
        let waits = self.delivery.lag() > 0 && self.status == Active;
        if !waits || self.delivery.in_flight.is_some() || self.failed.is_some() {
            return;
        }
        let settings = self.delivery.settings();
        let window = settings.policy.coalesce_window;
        let window = settings.heartbeat_period.map_or(window, |period| period.min(window));
        let deadline = self.delivery.next_deadline().expect("an event waits");
        let next = self.attempted.max(self.cursor) + 1;
        // After a failure it is the wait before a retry that counts.
        if let Some(arrival) = self.arrivals.get(&next)
            && self.delivery.failures == 0
        {
            let latest = after(at(*arrival), window).max(after(at(self.unsent), UNSENT_PAUSE));
            // A restart goes by what was recorded before the clock was set back.
            let latest = latest.max(self.resume);
            assert!(deadline <= latest, "{next} is held back too long");
        }
    }

    fn check(&mut self, effect: Effect) {
        match effect {
            Effect::Attempt(attempt) => self.check_attempt(attempt),
            Effect::MoveCursor(number) => {
                assert!(number.get() > self.cursor && number.get() <= self.last);
                self.cursor_before = self.cursor;
                self.retries_before = self.retries;
                self.cursor = number.get();
            }
            Effect::NoteRetries(retries) => {
                self.retries = retries;
                self.resume = retries.map_or(START, |retries| retries.resume);
            }
            Effect::ResendEnded => {}
            Effect::SetStatus { status, error } => {
                let end = self.delivery.settings().end;
                let ended = end.is_some_and(|end| end <= at(self.now));
                match status {
                    Active => assert!(self.status == Requested && error.is_none()),
                    Error => assert!(is_sending(self.status) && error.is_some()),
                    Off => assert!(is_live(self.status) && (error.is_some() || ended)),
                    EnteredInError | Requested => panic!("only a client sets {status:?}"),
                }
                self.status = status;
                self.since = self.now;
                self.failed = None;
                self.superseded = true;
                self.unheard = (0, 0);
            }
        }
    }

    fn check_attempt(&mut self, attempt: Attempt) {
        assert!(self.flight.is_none(), "one attempt at a time");
        assert!(at(self.now) >= self.resume, "no retry comes early, restarts or not");
        match attempt.kind {
            AttemptKind::Events { first, last } => {
                assert_eq!(self.status, Active);
                assert!(last.get() <= self.last, "I3: only durable events");
                let resent = last.get() <= self.cursor
                    && (first.get()..=last.get()).all(|number| self.asked.contains(&number));
                let next = first.get() == self.cursor + 1;
                assert!(next || resent, "I4: in order, without gap");
                let limit = self.delivery.settings().max_count.unwrap().get();
                assert!(first <= last && last.get() - first.get() < u64::from(limit), "maxCount");
                self.attempted = self.attempted.max(last.get());
                if let Some(failed) = self.failed {
                    assert_eq!(attempt.kind, failed, "I4: a retry repeats the same events");
                }
            }
            AttemptKind::Handshake => assert_eq!(self.status, Requested),
            AttemptKind::Heartbeat => {
                let in_error = self.delivery.settings().policy.heartbeats_in_error;
                assert!(self.status == Active || self.status == Error && in_error);
                assert!(self.delivery.settings().heartbeat_period.is_some());
                assert_eq!(self.failed, None, "I4: nothing overtakes a batch to retry");
                if let (failures @ 1.., at) = self.unheard {
                    let wait = if failures == 1 { 5 } else { 10 };
                    assert!(self.now >= at + wait, "no dead channel is tried more often");
                }
            }
        }
        self.superseded = false;
        self.flight = Some((attempt, None));
    }

    /// Lets everything that is still to be sent succeed.
    fn settle(&mut self) {
        while self.flight.is_some() || is_sending(self.status) && self.delivery.lag() > 0 {
            if self.flight.is_some() {
                self.end(Outcome::Success);
            } else if let Some(deadline) = self.delivery.next_deadline() {
                let seconds = u64::try_from(deadline.duration_since(START).as_secs()).unwrap() + 1;
                self.now = self.now.max(seconds);
                self.input(Input::Tick);
            } else {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_sequence_of_inputs_keeps_the_invariants(
        policy in policy(),
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(policy);
        for step in steps {
            world.step(step);
        }
        world.settle();
        if world.status == Active {
            for number in world.excused + 1..=world.last {
                prop_assert!(world.delivered.contains(&number), "I5: {number} was never delivered");
            }
        }
    }
}
