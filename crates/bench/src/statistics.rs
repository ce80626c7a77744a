//! Percentiles of latencies and ratios of paired runs.
//!
//! Percentiles are nearest-rank over all samples, never interpolated or bucketed: a p99 is a latency that
//! somebody had.

use std::time::Duration;

use serde::Serialize;

/// Latencies of one run, every one kept.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    nanoseconds: Vec<u64>,
}

/// Percentiles of a set of latencies, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// How many samples.
    pub samples: usize,
    /// Half are at most this.
    pub p50_us: f64,
    /// 99 of 100 are at most this.
    pub p99_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// Median and range of a figure over the pairs of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Samples {
    /// Adds one latency.
    pub fn push(&mut self, latency: Duration) {
        self.nanoseconds.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all latencies of another run.
    pub fn extend(&mut self, other: &Self) {
        self.nanoseconds.extend_from_slice(&other.nanoseconds);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.nanoseconds.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.nanoseconds.is_empty()
    }

    /// The percentiles, or nothing without samples.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        Some(Latency {
            samples: sorted.len(),
            p50_us: microseconds(rank(&sorted, 50)),
            p99_us: microseconds(rank(&sorted, 99)),
            max_us: microseconds(max),
        })
    }
}

impl Spread {
    /// Median and range of some figures, or nothing without figures.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> =
            figures.into_iter().filter(|figure| figure.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median: round(median), low: round(low), high: round(high) })
    }

    /// Median and range of the ratios of paired figures.
    #[must_use]
    pub fn of_ratios(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        Self::of(pairs.into_iter().map(|(ours, theirs)| ours / theirs))
    }
}

/// Nearest-rank percentile of sorted values; the caller made sure that there is one.
fn rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

#[expect(clippy::cast_precision_loss, reason = "a latency needs no 52 bits")]
fn microseconds(nanoseconds: u64) -> f64 {
    round(nanoseconds as f64 / 1_000.0)
}

/// Three decimals: more would only look exact.
#[must_use]
pub fn round(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

/// `amount / count` as a rounded figure.
#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
#[must_use]
pub fn per(amount: f64, count: u64) -> f64 {
    round(amount / count as f64)
}

/// `count` in a second.
#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
#[must_use]
pub fn rate(count: u64, elapsed: Duration) -> f64 {
    round(count as f64 / elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests;
