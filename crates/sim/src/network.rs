//! Receivers behind endpoints, and the network to them.

use std::time::Duration;

use cresset_channel::{Failure, FailureKind, NoResponse, Outcome, Verdict};
use cresset_model::SubscriptionKey;
use cresset_node::Sending;

use crate::agenda::Step;
use crate::checkers::{Checked, Heard, Sent, Violation};
use crate::prng::Prng;
use crate::scenario::HOSTS;
use crate::wire::Notification;
use crate::world::World;

/// How a host takes notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// 429 or 503, with or without `Retry-After`.
    Busy,
    /// Every other one fails.
    Flapping,
    /// 410.
    Gone,
    /// No answer ever; nothing is taken.
    Hanging,
    /// Answers after the node has given up; everything is taken.
    Late,
    /// Everything is taken, and the connection breaks before the answer.
    LosingAnswers,
    /// 400 or 404.
    Rejecting,
    /// No connection.
    Unreachable,
    /// As it should be.
    Well,
}

const TROUBLES: [Mode; 10] = [
    Mode::Busy,
    Mode::Flapping,
    Mode::Gone,
    Mode::Hanging,
    Mode::Hanging,
    Mode::Late,
    Mode::LosingAnswers,
    Mode::LosingAnswers,
    Mode::Rejecting,
    Mode::Unreachable,
];

/// A notification on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    key: SubscriptionKey,
    host: usize,
    run: u64,
    /// The node that sent it.
    incarnation: u64,
    notification: Notification,
    outcome: Outcome,
    /// The task that sends it dies without a word.
    dies: bool,
    /// It is still to arrive, or its outcome still to be told.
    arrives: bool,
    told: bool,
}

/// What becomes of one notification.
struct Course {
    outcome: Verdict,
    /// When the node knows, and when the receiver takes it, in milliseconds from now.
    known: u64,
    taken: Option<u64>,
}

/// The host of an endpoint, by its number.
pub(crate) fn host_of(endpoint: &str) -> usize {
    let digits = endpoint.trim_start_matches("https://host");
    digits.bytes().next().map_or(0, |digit| usize::from(digit.wrapping_sub(b'0')))
}

impl Mode {
    /// The next one of a host in trouble.
    pub(crate) fn draw(draw: &mut Prng) -> Self {
        if draw.chance(450) { Self::Well } else { draw.pick(&TROUBLES) }
    }

    fn course(self, timeout: u64, draw: &mut Prng) -> Course {
        let quick = draw.between(1, 300).min(timeout);
        let well = |quick| Course {
            outcome: Verdict::Success { status: 200 },
            known: quick,
            taken: Some(quick / 2),
        };
        let failed = |kind, known| {
            let outcome = Verdict::Failure(Failure { kind, detail: "planted".to_owned() });
            Course { outcome, known, taken: None }
        };
        let answered = |status, retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            failed(FailureKind::Response { status, retry_after }, quick)
        };
        let silent = |kind, known| failed(FailureKind::NoResponse(kind), known);
        match self {
            Self::Well => well(quick),
            Self::Flapping if draw.chance(500) => well(quick),
            Self::Flapping => answered(500, None),
            Self::Gone => answered(410, None),
            Self::Rejecting => answered(draw.pick(&[400, 404]), None),
            Self::Busy => {
                let after = draw.pick(&[None, Some(1), Some(60), Some(86_400)]);
                answered(draw.pick(&[429, 503]), after)
            }
            Self::Unreachable => silent(NoResponse::Connect, quick),
            Self::Hanging => silent(NoResponse::Timeout, timeout),
            Self::Late => {
                let taken = Some(timeout / 2 + draw.between(0, timeout * 2));
                Course { taken, ..silent(NoResponse::Timeout, timeout) }
            }
            Self::LosingAnswers => {
                Course { taken: Some(quick / 2), ..silent(NoResponse::Interrupted, quick) }
            }
        }
    }
}

/// What a verdict says of a subscription.
fn heard(verdict: &Verdict) -> Heard {
    match verdict {
        Verdict::Published | Verdict::Success { .. } => Heard::Success,
        Verdict::Failure(Failure { kind: FailureKind::Response { status, .. }, .. }) => {
            match status {
                410 => Heard::Gone,
                429 | 500.. => Heard::Failure,
                _ => Heard::Rejection,
            }
        }
        Verdict::Failure(_) => Heard::Failure,
    }
}

impl World {
    /// Takes what the node sends.
    pub(crate) fn dispatch(&mut self, sendings: Vec<Sending>) -> Checked {
        for sending in sendings {
            self.dispatch_one(sending)?;
        }
        Ok(())
    }

    fn dispatch_one(&mut self, sending: Sending) -> Checked {
        let Sending { run, subscription: key, id, request } = sending;
        let host = host_of(request.endpoint.as_str());
        let timeout = u64::try_from(request.deadline.as_millis()).expect("a short time");
        let Some(notification) = Notification::read(&request.body) else {
            return Err(Violation::new("gapless", format!("a notification of {id} is none")));
        };
        self.flights_begun += 1;
        let flight = self.flights_begun;
        self.note(&format!(
            "  send {flight} to host {host}: {} of {id}, {} events {:?}",
            notification.kind,
            notification.status,
            notification.range()
        ));
        self.checkers.sent(Sent { key, flight }, &notification, self.now)?;
        self.checkers.isolation.began(host)?;
        self.report.attempts += 1;
        let mode = self.hosts[host];
        let mut course = mode.course(timeout, &mut self.draws.receivers);
        let mut dies = false;
        if host != 0 && !self.is_calm {
            let draw = &mut self.draws.network;
            if draw.chance(self.scenario.outcomes_late) {
                course.known = timeout + draw.between(0, 60_000);
            }
            dies = draw.chance(self.scenario.outcomes_lost);
        }
        let duration = Duration::from_millis(course.known);
        let outcome = Outcome { verdict: course.outcome, duration, text: None };
        self.agenda.plan(self.now + course.known, Step::Outcome(flight));
        if let Some(taken) = course.taken {
            self.agenda.plan(self.now + taken, Step::Arrive(flight));
        }
        let incarnation = self.incarnation;
        let arrives = course.taken.is_some();
        let told = false;
        self.flights.insert(
            flight,
            Flight { key, host, run, incarnation, notification, outcome, dies, arrives, told },
        );
        Ok(())
    }

    /// A receiver takes a notification.
    pub(crate) fn arrive(&mut self, flight: u64) -> Checked {
        let Some(one) = self.flights.get_mut(&flight) else { return Ok(()) };
        one.arrives = false;
        self.report.taken += 1;
        let checked = self.checkers.taken(one.key, &one.notification);
        if one.told {
            self.flights.remove(&flight);
        }
        checked
    }

    /// The node hears what came of an attempt, if it is still the one that made it.
    pub(crate) fn outcome(&mut self, flight: u64) {
        let Some(one) = self.flights.get_mut(&flight) else { return };
        one.told = true;
        let (run, outcome, dies) = (one.run, one.outcome.clone(), one.dies);
        if one.incarnation == self.incarnation
            && let Some(node) = &mut self.node
        {
            self.checkers.isolation.ended(one.host);
            let heard = if dies { Heard::Failure } else { heard(&outcome.verdict) };
            self.checkers.status.heard(one.key, one.host, heard);
            if let Some((_, last)) = one.notification.range() {
                let succeeded = outcome.is_success() && !dies;
                self.checkers.order.outcome(one.key, flight, last, succeeded);
            }
            if dies {
                node.attempt_lost(run);
            } else {
                node.attempt_ended(run, outcome);
            }
            self.plan_deliver(0);
            self.plan_cursors();
        }
        if self.flights.get(&flight).is_some_and(|one| !one.arrives) {
            self.flights.remove(&flight);
        }
    }

    /// Hosts fall ill and get well.
    pub(crate) fn trouble_hosts(&mut self) {
        for host in 1..HOSTS {
            if self.draws.receivers.chance(500) {
                self.hosts[host] = Mode::draw(&mut self.draws.receivers);
            }
        }
        self.note(&format!("  hosts {:?}", self.hosts));
    }
}
