//! How often, when and how much is sent: the operator's policy for attempts.
//!
//! It holds no state; [`Delivery`](crate::Delivery) counts failures and asks it for the next delay.
//! Tests: `delivery/tests.rs`.

use std::num::NonZeroU32;
use std::time::Duration;

use cresset_model::SubscriptionStatus;

use crate::delivery::is_sending;

/// Most delays that a [`RetrySchedule`] may list.
pub const RETRIES_MAX: usize = 64;

/// Longest wait before a retry, whatever the schedule or a `Retry-After` header asks for.
///
/// Chance may lengthen it by [`JITTER_SHARE`].
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// As [`RETRY_DELAY_MAX`], lengthened by chance as far as it can be.
pub(crate) const RETRY_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60 * 6 / 5);

/// The part of a delay by which chance shortens or lengthens it at most.
pub const JITTER_SHARE: f64 = 0.2;

/// The draw that leaves a delay as it is.
pub const JITTER_MIDDLE: u32 = 1 << 31;

/// The ladder of retries: over 41 hours, in seconds.
const RETRIES_DEFAULT: [u64; 8] = [5, 30, 120, 900, 3_600, 14_400, 43_200, 86_400];

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Most events in one notification where the subscription does not say (`maxCount`).
pub const EVENTS_PER_NOTIFICATION_DEFAULT: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// Most events in one notification, whatever `maxCount` allows.
pub const EVENTS_PER_NOTIFICATION_MAX: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// Most events in one notification of a subscription with this `maxCount` (RQ-SB-07, TR-39).
pub fn batch_limit(max_count: Option<NonZeroU32>, default: NonZeroU32) -> NonZeroU32 {
    max_count.unwrap_or(default).min(EVENTS_PER_NOTIFICATION_MAX)
}

/// The delays between the attempts of one notification; as many retries as delays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Box<[Duration]>);

impl RetrySchedule {
    /// Takes the delays, each cut to [`RETRY_DELAY_MAX`]; none if there are over [`RETRIES_MAX`].
    pub fn new(delays: &[Duration]) -> Option<Self> {
        (delays.len() <= RETRIES_MAX)
            .then(|| Self(delays.iter().map(|delay| (*delay).min(RETRY_DELAY_MAX)).collect()))
    }

    /// A schedule of whole seconds, for defaults that are visibly within the bounds.
    fn seconds(delays: &[u64]) -> Self {
        Self(delays.iter().map(|delay| Duration::from_secs(*delay)).collect())
    }

    /// How many retries there are.
    pub fn steps(&self) -> usize {
        self.0.len()
    }

    /// How long to wait after this many failures in a row; none when it is time to give up.
    ///
    /// `jitter` is uniform over all `u32`; it shortens or lengthens the delay by up to
    /// [`JITTER_SHARE`], so that subscriptions which failed together do not all come back together.
    /// An endpoint that asked for a longer wait (`Retry-After`) gets that, and up to [`JITTER_SHARE`]
    /// more: it asked all of its subscriptions at the same time.
    pub(crate) fn delay(
        &self,
        failures: u32,
        jitter: u32,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let index = usize::try_from(failures).ok()?.checked_sub(1)?;
        let delay = *self.0.get(index)?;
        Some(wait(delay, jitter, retry_after))
    }

    /// The same, staying at the last delay for ever; what was asked for only, of an empty schedule.
    pub(crate) fn delay_for_ever(
        &self,
        failures: u32,
        jitter: u32,
        retry_after: Option<Duration>,
    ) -> Duration {
        let last = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let delay = self.delay(failures.min(last), jitter, retry_after);
        delay.unwrap_or_else(|| wait(Duration::ZERO, jitter, retry_after))
    }

    /// How long it takes at least, apart from chance, until all retries are used up.
    pub(crate) fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

/// A delay by the schedule, or as long as was asked for, whichever is longer.
fn wait(delay: Duration, jitter: u32, retry_after: Option<Duration>) -> Duration {
    let asked = retry_after.unwrap_or_default().min(RETRY_DELAY_MAX);
    jittered(delay, jitter).max(asked.mul_f64(1.0 + JITTER_SHARE * share(jitter)))
}

/// A draw as a number from 0 to 1.
fn share(jitter: u32) -> f64 {
    f64::from(jitter) / 2f64.powi(32)
}

/// A delay, shortened or lengthened by chance; `jitter` is uniform over all `u32`.
pub(crate) fn jittered(delay: Duration, jitter: u32) -> Duration {
    delay.mul_f64(1.0 - JITTER_SHARE + 2.0 * JITTER_SHARE * share(jitter))
}

/// When attempts are made and repeated, for all subscriptions of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// From acceptance to the first handshake, so that the answer is out first (RQ-CH-27, TR-07).
    pub handshake_delay: Duration,
    /// Retries of a handshake before the status becomes `error` (RQ-SB-22).
    pub handshake_retries: RetrySchedule,
    /// Retries of events and heartbeats inside `active` (TR-14).
    pub retries: RetrySchedule,
    /// Longest wait that an endpoint's `Retry-After` can ask for.
    pub retry_after_max: Duration,
    /// Retries of what the receiver rejects ([`Outcome::Rejected`](crate::Outcome::Rejected))
    /// before the status becomes `error`.
    pub rejection_retries_max: u32,
    /// The status becomes `off` when nothing has succeeded for this long; none for never.
    pub off_after: Option<Duration>,
    /// Whether heartbeats go on in `error` (RQ-CH-08, RQ-ER-02).
    pub heartbeats_in_error: bool,
    /// How long an event waits for others to share its notification with; zero for not at all.
    pub coalesce_window: Duration,
    /// Upper bound of one attempt where the subscription has no `timeout` (RQ-SB-06).
    pub timeout_default: Duration,
    /// Most events in one notification where the subscription has no `maxCount`.
    pub max_count_default: NonZeroU32,
    /// Send what was missed in `error` or `off` once the client has asked for a handshake again.
    ///
    /// Off by default: the client pulls missed events with `$events` (RQ-ER-10).
    pub flush_missed: bool,
}

impl RetryPolicy {
    /// Whether events that were not sent by then stay missed when a client changes the status so: it
    /// takes up again after a status in which nothing was sent, and pulls them itself (RQ-ER-10).
    ///
    /// The writer of the change records that with it, as a cursor. What happens between the change and
    /// the handshake that follows is sent like that of a new subscription (RQ-ER-12).
    pub fn leaves_missed(&self, before: SubscriptionStatus, status: SubscriptionStatus) -> bool {
        !self.flush_missed && !is_sending(before) && is_sending(status)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            handshake_delay: Duration::from_secs(1),
            handshake_retries: RetrySchedule::seconds(&[2, 4, 8, 15, 30]),
            retries: RetrySchedule::seconds(&RETRIES_DEFAULT),
            retry_after_max: HOUR,
            rejection_retries_max: 3,
            off_after: Some(5 * DAY),
            heartbeats_in_error: true,
            coalesce_window: Duration::ZERO,
            timeout_default: Duration::from_secs(30),
            max_count_default: EVENTS_PER_NOTIFICATION_DEFAULT,
            flush_missed: false,
        }
    }
}
