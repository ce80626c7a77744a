//! What a store may forget, and how much of it in one step.

use jiff::Timestamp;

/// Most events, tokens and subscriptions that one [`crate::Store::forget`] looks at, each.
pub const FORGET_STEP_MAX: usize = 10_000;

/// What to keep. `None` keeps everything.
///
/// Only the oldest events of a subscription go, so what is kept has no gap; numbers stay what
/// they are (RQ-OP-22). Retention wins over cursors: whoever sees
/// [`crate::SubscriptionRecord::oldest`] above `cursor + 1` must report a loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events of changes before this time go.
    pub events_before: Option<Timestamp>,
    /// More events than this of one subscription go, oldest first.
    pub events_per_subscription_max: Option<u64>,
    /// Tokens that expired before this time go.
    pub tokens_expired_before: Option<Timestamp>,
}

/// What one step of forgetting did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Events removed.
    pub events: u64,
    /// Ended subscriptions removed, with the last of their events.
    pub subscriptions: u64,
    /// Tokens removed.
    pub tokens: u64,
    /// Whether every subscription has been looked at since the sweep began. Call again at once
    /// while this is false; later, when there may be more to forget, if it is true.
    pub finished: bool,
}
