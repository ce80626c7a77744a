//! How long to wait before the next try: longer each time, and not as long as all others do.

use std::time::Duration;

/// Delays that double from `first` up to `max`, each shortened by chance by up to half, so that clients of a server
/// that comes back do not all come at once. Pure: chance is given.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    tries: u32,
}

impl Backoff {
    /// Begins with `first`; never more than `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, tries: 0 }
    }

    /// How many delays were taken since the last success.
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// It worked: the next delay is the first again.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next delay. `chance` is any number, all equally likely.
    pub fn next_delay(&mut self, chance: u32) -> Duration {
        let whole = self.first.saturating_mul(1 << self.tries.min(20)).min(self.max);
        self.tries = self.tries.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

/// A number that nobody can foresee, for [`Backoff::next_delay`].
pub(crate) fn chance() -> u32 {
    // Without chance, clients wait alike; that is no reason to fail.
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_most_and_begin_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let longest: Vec<_> = (0..5).map(|_| backoff.next_delay(u32::MAX).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 5, 5]);
        assert_eq!(backoff.next_delay(0), Duration::from_millis(2500));
        backoff.reset();
        assert_eq!(backoff.next_delay(u32::MAX), Duration::from_secs(1));
        for _ in 0..100 {
            assert!(backoff.next_delay(7) <= Duration::from_secs(5));
        }
    }
}
