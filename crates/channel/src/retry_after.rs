//! The `Retry-After` header: seconds, or a date in any of HTTP's three forms (RFC 9110, 10.2.3).
//!
//! Pure: a date means something only beside the time it is read at, so that comes in. Its tests are
//! in `retry_after/tests.rs`.

use std::time::Duration;

use jiff::Timestamp;

/// Longest wait that is taken from an endpoint; a longer one counts as this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait, seen from `now`; none where the value is neither form. A date that has passed
/// is a wait of zero.
pub(crate) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        if value.is_empty() {
            return None;
        }
        // Digits that do not fit into 64 bits are a very long wait, not a bad value.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        let date = Timestamp::try_from(date).ok()?;
        Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests;
