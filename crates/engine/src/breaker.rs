//! `Breaker`: the machine that keeps a server from wasting attempts on a host that does not answer.
//!
//! It is shared by all subscriptions with an endpoint at one host. It counts failures in a row that
//! speak against the host (no connection, no answer, overload), opens after so many, and then lets
//! one attempt through now and then, a probe, whose success closes it again. It does not know which
//! attempts wait; its caller keeps them and asks again when it was told to. It has no clock: `now`
//! and jitter are values.
//!
//! Its invariants are the property tests in `breaker/tests.rs`: while it is open no attempt is let
//! through before the time it named; at most one probe is under way; a success always closes it; it
//! never stays shut without naming a time to ask again.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;

use crate::retry::jittered;
use crate::time::{after, before};

#[cfg(test)]
mod tests;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures_max: NonZeroU32,
    /// From opening to the first probe; doubled with every probe that fails.
    pub pause_min: Duration,
    /// Longest pause between probes.
    pub pause_max: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures_max: NonZeroU32::new(10).expect("not zero"),
            pause_min: Duration::from_secs(5),
            pause_max: Duration::from_secs(5 * 60),
        }
    }
}

/// What an attempt was let through as; comes back with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The host is thought to be well.
    Normal,
    /// It is to find out whether the host is well again.
    Probe(u64),
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Now. The caller owes [`Breaker::ended`] for it.
    Pass(Pass),
    /// Not before; ask again then, or when an attempt at this host has ended.
    Wait(Timestamp),
}

/// What the end of an attempt says about its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers; what it answers to this endpoint is another matter.
    Good,
    /// It does not answer, or says that it is overloaded.
    Bad,
    /// Nothing: the attempt never reached it.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Attempts are let through.
    Closed { failures: u32 },
    /// None is, before this time.
    Open { until: Timestamp, pause: Duration },
    /// One is under way; another may go if nothing is heard of it by then.
    Probing { number: u64, lost_at: Timestamp, pause: Duration },
}

/// The breaker of one host.
#[derive(Debug, Clone)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    probes: u64,
}

impl Breaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::Closed { failures: 0 }, probes: 0 }
    }

    /// Takes in that the caller's clock was set back by so much: what it waits for comes as much earlier by it.
    pub fn set_back(&mut self, by: Duration) {
        match &mut self.state {
            State::Closed { .. } => {}
            State::Open { until: at, .. } | State::Probing { lost_at: at, .. } => {
                *at = before(*at, by);
            }
        }
    }

    /// Whether attempts are kept back.
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { .. } | State::Probing { .. } => true,
        }
    }

    /// Whether anything speaks against the host.
    pub fn is_suspect(&self) -> bool {
        match self.state {
            State::Closed { failures } => failures > 0,
            State::Open { .. } | State::Probing { .. } => true,
        }
    }

    /// Asks for an attempt that will have ended, as far as anybody can tell, after `time_max`.
    pub fn permit(&mut self, time_max: Duration, now: Timestamp) -> Permit {
        let (due, pause) = match self.state {
            State::Closed { .. } => return Permit::Pass(Pass::Normal),
            State::Open { until, pause } => (until, pause),
            State::Probing { lost_at, pause, .. } => (lost_at, pause),
        };
        if now < due {
            return Permit::Wait(due);
        }
        self.probes += 1;
        let number = self.probes;
        self.state = State::Probing { number, lost_at: after(now, time_max), pause };
        Permit::Pass(Pass::Probe(number))
    }

    /// Takes the end of an attempt that was let through, with which it may open or close.
    ///
    /// `jitter` is uniform over all `u32`, and moves the next probe.
    pub fn ended(&mut self, pass: Pass, health: Health, jitter: u32, now: Timestamp) {
        match (health, self.state) {
            (Health::Good, _) => self.state = State::Closed { failures: 0 },
            (Health::Bad, State::Closed { failures }) => {
                let failures = failures.saturating_add(1);
                self.state = State::Closed { failures };
                if failures >= self.policy.failures_max.get() {
                    self.open(self.policy.pause_min, jitter, now);
                }
            }
            (Health::Bad, State::Probing { number, pause, .. }) if pass == Pass::Probe(number) => {
                self.open(pause.saturating_mul(2), jitter, now);
            }
            (Health::Unknown, State::Probing { number, pause, .. })
                if pass == Pass::Probe(number) =>
            {
                // The next one may be the probe.
                self.state = State::Open { until: now, pause };
            }
            // What began before it opened says nothing new.
            (Health::Bad, State::Open { .. } | State::Probing { .. }) | (Health::Unknown, _) => {}
        }
    }

    fn open(&mut self, pause: Duration, jitter: u32, now: Timestamp) {
        let pause = pause.min(self.policy.pause_max);
        self.state = State::Open { until: after(now, jittered(pause, jitter)), pause };
    }
}
