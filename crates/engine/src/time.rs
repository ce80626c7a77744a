//! Arithmetic on points in time that cannot fail.

use std::time::Duration;

use jiff::Timestamp;

/// `duration` after `start`, or the last representable moment where that lies beyond it.
pub(crate) fn after(start: Timestamp, duration: Duration) -> Timestamp {
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// `duration` before `end`, or the first representable moment where that lies before it.
pub(crate) fn before(end: Timestamp, duration: Duration) -> Timestamp {
    end.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// The earlier of two moments that may not exist.
pub(crate) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}
