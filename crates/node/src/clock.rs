//! The one place of this crate that reads the clock, and sees when it is set back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Source of `now`, to the millisecond, as `meta.lastUpdated` shows it.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// Since when time passes.
    System(Instant),
    Manual(Arc<Manual>),
}

struct Manual {
    /// What it shows.
    millis: AtomicI64,
    /// How far it was moved forward in all.
    passed: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that only `set` moves, for tests.
    pub fn manual(now: Timestamp) -> Self {
        let millis = AtomicI64::new(now.as_millisecond());
        Self(Source::Manual(Arc::new(Manual { millis, passed: AtomicI64::new(0) })))
    }

    /// Moves a manual clock; does nothing to the machine's. Moved back, it is one that was set: no time passes.
    pub fn set(&self, now: Timestamp) {
        match &self.0 {
            Source::System(_) => {}
            Source::Manual(manual) => {
                let before = manual.millis.swap(now.as_millisecond(), Ordering::SeqCst);
                manual.passed.fetch_add((now.as_millisecond() - before).max(0), Ordering::SeqCst);
            }
        }
    }

    /// How much time has passed since some moment, whoever sets the clock.
    fn passed(&self) -> Duration {
        match &self.0 {
            Source::System(since) => since.elapsed(),
            Source::Manual(manual) => {
                Duration::from_millis(manual.passed.load(Ordering::SeqCst).unsigned_abs())
            }
        }
    }

    /// The time now, cut to milliseconds.
    pub fn now(&self) -> Timestamp {
        let millis = match &self.0 {
            Source::System(_) => Timestamp::now().as_millisecond(),
            Source::Manual(manual) => manual.millis.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Steps of a clock back that are noticed; less only makes time stand still for as long.
const SET_BACK_MIN: Duration = Duration::from_secs(1);

/// The time for who waits: it runs back only where that is told, so that what waits can move with it.
pub(crate) struct Watch {
    now: Timestamp,
    passed: Duration,
}

impl Watch {
    /// One that begins now.
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { now: clock.now(), passed: clock.passed() }
    }

    /// The time when the clock was looked at last.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Looks at the clock; by how much it was set back since the last look, if it was.
    pub(crate) fn look(&mut self, clock: &Clock) -> Option<Duration> {
        // Before and after: a thread may be kept waiting in between for longer than a step takes.
        let (passed, now, passed_at_most) = (clock.passed(), clock.now(), clock.passed());
        let passed = passed.saturating_sub(std::mem::replace(&mut self.passed, passed_at_most));
        let due = self.now.checked_add(passed).unwrap_or(Timestamp::MAX);
        let by = Duration::try_from(due.duration_since(now)).unwrap_or_default();
        let was_set = by >= SET_BACK_MIN;
        self.now = if was_set { now } else { self.now.max(now) };
        was_set.then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_step_back_is_seen_though_time_has_passed_since_the_last_look() {
        let clock = Clock::manual(at(1_000));
        let mut watch = Watch::new(&clock);
        clock.set(at(1_050));
        assert_eq!((watch.look(&clock), watch.now()), (None, at(1_050)));
        clock.set(at(1_090));
        clock.set(at(1_060));
        assert_eq!(watch.look(&clock), Some(Duration::from_secs(30)));
        assert_eq!((watch.look(&clock), watch.now()), (None, at(1_060)));
        clock.set(at(5_000));
        assert_eq!((watch.look(&clock), watch.now()), (None, at(5_000)), "as after a long sleep");
    }

    #[test]
    fn by_a_little_time_stands_still() {
        let clock = Clock::manual(at(1_000));
        let mut watch = Watch::new(&clock);
        clock.set(Timestamp::from_millisecond(999_500).unwrap());
        assert_eq!((watch.look(&clock), watch.now()), (None, at(1_000)));
    }

    #[test]
    fn the_machines_clock_is_not_set_back_between_two_looks() {
        let clock = Clock::system();
        let mut watch = Watch::new(&clock);
        assert_eq!(watch.look(&clock), None);
    }
}
