//! Counts of values by size, cheap enough for every change: one relaxed addition in a table and one
//! to the sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Most bounds of one histogram.
const BOUNDS_MAX: usize = 20;

/// Upper bounds of what takes microseconds to seconds: evaluations, commits.
pub(crate) const SHORT: &[u64] = &[
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    1_000_000, 5_000_000,
];
/// Upper bounds of what takes milliseconds to a minute: attempts, requests.
pub(crate) const LONG: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
/// Upper bounds of the time that an event may have to wait for its notification: up to days, with
/// the retries.
pub(crate) const LAG: &[u64] = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
    14_400_000_000,
    86_400_000_000,
];
/// Upper bounds of the number of changes in a group.
pub(crate) const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// How values are distributed since the start.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    /// By the first bound that a value is not above; those above all bounds follow the last.
    counts: [AtomicU64; BOUNDS_MAX + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one with these upper bounds, in ascending order: in microseconds for durations.
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= BOUNDS_MAX, "a histogram has room for its bounds");
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1],
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a duration.
    pub(crate) fn observe(&self, duration: Duration) {
        self.observe_value(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a value in the unit of the bounds.
    pub(crate) fn observe_value(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted, of durations: in seconds.
    pub(crate) fn seconds(&self) -> Distribution {
        self.distribution(MICROS)
    }

    /// What was counted, in the unit of the bounds.
    pub(crate) fn values(&self) -> Distribution {
        self.distribution(1.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
    fn distribution(&self, units: f64) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Distribution {
            bounds: self.bounds.iter().map(|bound| *bound as f64 / units).collect(),
            counts: counts.take(self.bounds.len() + 1).collect(),
            sum: self.sum.load(Ordering::Relaxed) as f64 / units,
        }
    }
}

/// How long requests took, for those who answer them.
#[derive(Debug)]
pub struct RequestHistogram(Histogram);

impl Default for RequestHistogram {
    fn default() -> Self {
        Self(Histogram::new(LONG))
    }
}

impl RequestHistogram {
    /// A request took so long.
    pub fn observe(&self, duration: Duration) {
        self.0.observe(duration);
    }

    /// How long they all took, in seconds.
    pub fn distribution(&self) -> Distribution {
        self.0.seconds()
    }
}

/// How values are distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Upper bounds, included, in ascending order.
    pub bounds: Vec<f64>,
    /// Values up to each bound and above the one before; one more, of those above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: f64,
}

impl Distribution {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_under_the_first_bound_that_it_is_not_above() {
        let sizes = Histogram::new(&[1, 4]);
        for value in [0, 1, 2, 4, 5, 6, 7] {
            sizes.observe_value(value);
        }
        let counted = sizes.values();
        assert_eq!(counted.counts, [2, 2, 3]);
        assert_eq!((counted.bounds.as_slice(), counted.sum), ([1.0, 4.0].as_slice(), 25.0));
        assert_eq!(counted.count(), 7);
    }

    #[test]
    fn durations_are_told_in_seconds() {
        let times = Histogram::new(LONG);
        times.observe(Duration::from_millis(1_500));
        times.observe(Duration::MAX);
        let counted = times.seconds();
        assert_eq!(counted.counts[LONG.partition_point(|bound| *bound < 1_500_000)], 1);
        assert_eq!(counted.counts.last(), Some(&1));
        assert_eq!(counted.bounds.first(), Some(&0.001));
    }
}
