//! Rates of the last minutes: counters taken every few seconds, for as long as the server runs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cresset_model::NotificationType;
use cresset_node::{AttemptOutcome, Figures};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use crate::context::{Context, operator};

/// How often counters are taken, and what is shown renewed.
pub(crate) const PERIOD: Duration = Duration::from_secs(2);
/// Rates that are kept: of five minutes.
pub(crate) const KEPT_MAX: usize = 150;

/// Rates since the start, the newest last.
#[derive(Default)]
pub(crate) struct Samples(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    last: Option<(Instant, Traffic)>,
    rates: VecDeque<Rates>,
}

/// What has happened since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    changes: u64,
    delivered: u64,
    failed: u64,
}

impl Traffic {
    fn of(figures: &Figures) -> Self {
        let changes = figures.changes.iter().map(|one| one.count).sum();
        let mut traffic = Self { changes, ..Self::default() };
        for attempt in figures.channels.iter().flat_map(|channel| &channel.attempts) {
            let is_event = attempt.notification_type == NotificationType::EventNotification;
            match attempt.outcome {
                AttemptOutcome::Success if is_event => traffic.delivered += attempt.count,
                AttemptOutcome::Success => {}
                AttemptOutcome::DnsResolution
                | AttemptOutcome::ErrorResponse
                | AttemptOutcome::NoResponse
                | AttemptOutcome::Refused
                | AttemptOutcome::Unsent => traffic.failed += attempt.count,
            }
        }
        traffic
    }
}

/// What happened in a second, on average of one period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) changes: f64,
    pub(crate) delivered: f64,
    pub(crate) failed: f64,
}

impl Samples {
    /// Takes in what has happened; the first time makes no rate yet.
    pub(crate) fn take(&self, at: Instant, now: Traffic) {
        let mut taken = self.taken();
        if let Some((before, last)) = taken.last.replace((at, now)) {
            let seconds = at.duration_since(before).as_secs_f64();
            let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
            if taken.rates.len() == KEPT_MAX {
                taken.rates.pop_front();
            }
            taken.rates.push_back(Rates {
                changes: rate(now.changes, last.changes),
                delivered: rate(now.delivered, last.delivered),
                failed: rate(now.failed, last.failed),
            });
        }
    }

    /// The rates, oldest first.
    pub(crate) fn rates(&self) -> Vec<Rates> {
        self.taken().rates.iter().copied().collect()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes samples until the node stops.
pub(crate) async fn take(context: Context) {
    let operator = operator();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while context.node.is_ready() {
        let at = ticks.tick().await;
        match context.node.figures(&operator) {
            Ok(figures) => context.samples.take(at, Traffic::of(&figures)),
            Err(error) => tracing::error!(%error, "counters cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_came_in_a_period_and_the_oldest_go() {
        let samples = Samples::default();
        let start = Instant::now();
        for round in 0..=u32::try_from(KEPT_MAX + 5).unwrap() {
            let traffic = Traffic { changes: u64::from(round) * 6, ..Traffic::default() };
            samples.take(start + PERIOD * round, traffic);
        }
        let rates = samples.rates();
        assert_eq!(rates.len(), KEPT_MAX);
        assert_eq!(rates[0], Rates { changes: 3.0, ..Rates::default() });
    }
}
