//! What goes into the delivery machine and what comes out of it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cresset_model::{EventNumber, Retries, SubscriptionError, SubscriptionStatus};
use jiff::Timestamp;

use crate::retry::RetryPolicy;

/// What the subscription and the operator ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Longest silence; none or zero means no heartbeats (RQ-SB-05, RQ-CH-07, RQ-SB-14).
    pub heartbeat_period: Option<Duration>,
    /// Upper bound of one attempt (RQ-SB-06).
    pub timeout: Option<Duration>,
    /// Most events in one notification (RQ-SB-07).
    pub max_count: Option<NonZeroU32>,
    /// How long at most what fails is repeated, within the operator's schedule; counted from the
    /// first failure. A longer wait ends with it, whoever asked for it.
    pub retry_period: Option<Duration>,
    /// When to switch it off (RQ-SB-12); see [`DeliverySettings::end_in_force`].
    pub end: Option<Timestamp>,
    /// The operator's part.
    pub policy: Arc<RetryPolicy>,
}

impl DeliverySettings {
    /// The `end` to observe, for a subscription that was accepted (created or last updated by
    /// its client) at this time.
    ///
    /// One that had passed by then is not observed: a subscription that came with a past `end`
    /// is not switched off at once (RQ-SB-13, TR-10).
    pub fn end_in_force(end: Option<Timestamp>, accepted: Timestamp) -> Option<Timestamp> {
        end.filter(|end| *end > accepted)
    }
}

/// Where a subscription stands, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryState {
    /// Its status.
    pub status: SubscriptionStatus,
    /// The last event whose delivery was confirmed, if any was.
    pub cursor: Option<EventNumber>,
    /// The last event number given; 0 if there was none.
    pub last: u64,
    /// When it got its status.
    pub since: Timestamp,
    /// Where its retries stood, as last recorded ([`Effect::NoteRetries`]).
    pub retries: Option<Retries>,
}

/// Names one attempt of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub(super) u64);

impl AttemptId {
    /// The first attempt of the first machine.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an attempt sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    /// These events, both ends included.
    Events {
        /// The first.
        first: EventNumber,
        /// The last.
        last: EventNumber,
    },
    /// That the channel still works.
    Heartbeat,
    /// Whether the channel works.
    Handshake,
}

/// One try to send one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its name; comes back in [`Input::AttemptEnded`].
    pub id: AttemptId,
    /// What it sends.
    pub kind: AttemptKind,
    /// Whether one before it tried to send the same; if not, it is another message to the receiver, though it may
    /// say no more than the last one.
    pub repeats: bool,
    /// Whether these events were sent before, and somebody asked for them again.
    pub resends: bool,
    /// When the caller gives up on it, counted from its start.
    pub timeout: Duration,
}

impl Attempt {
    /// Whether nothing but a name of its own tells its message from others like it: new events have numbers.
    pub fn has_nonce(&self) -> bool {
        self.resends || !matches!(self.kind, AttemptKind::Events { .. })
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver was asked to confirm that it wants the notifications (RQ-CH-65), and has until
    /// then to do it; whoever hears of that makes the subscription active. Handshakes only.
    AwaitsConfirmation {
        /// When it becomes an error that there was no answer.
        until: Timestamp,
    },
    /// There was nothing to send any more, mostly because retention has forgotten all of these events: no success,
    /// since nobody was heard, but there is nothing to repeat either. Of a handshake or heartbeat, there is nothing
    /// that it would have to say, and it counts as one that was taken.
    Forgotten,
    /// The receiver says that the endpoint is no more (HTTP 410): the status becomes `off`
    /// (RQ-CH-26).
    Gone {
        /// For `$status`.
        reason: SubscriptionError,
    },
    /// Nothing was sent, because the receiver was sent enough: no failure of the receiver's.
    Postponed {
        /// From when on it may be sent.
        until: Timestamp,
    },
    /// It may not be sent at all, so that repeating it is of no use.
    ///
    /// A handshake is retried all the same, because a receiver may not listen yet (TR-07).
    Refused {
        /// For `$status`.
        reason: SubscriptionError,
    },
    /// The receiver says that what was sent is wrong (HTTP 4xx): worth a few retries, as receivers
    /// err while they are being set up, but not the whole schedule.
    Rejected {
        /// For `$status`.
        reason: SubscriptionError,
    },
    /// It failed in a way that may pass.
    Retry {
        /// For `$status`.
        reason: SubscriptionError,
        /// How long the receiver asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The receiver took it.
    Success,
    /// Nothing was sent, for want of room: no failure of the receiver's, to be made up for soon.
    Unsent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Events up to this number are durable now.
    Appended {
        /// The last number given.
        last: u64,
    },
    /// An attempt ended. One that is not in flight (any more) is ignored.
    AttemptEnded {
        /// Which.
        id: AttemptId,
        /// How.
        outcome: Outcome,
        /// Drawn by the caller, uniform over all `u32`.
        jitter: u32,
    },
    /// An attempt waits because its host does not answer: time runs for it as if it had failed, so
    /// that the status becomes `error` when the schedule would have been used up.
    AttemptBarred {
        /// Which.
        id: AttemptId,
    },
    /// The host of an attempt that was barred answers again: from now on it waits for its turn like others.
    AttemptFreed {
        /// Which.
        id: AttemptId,
    },
    /// An attempt is being sent now: its timeout begins. [`Input::AttemptEnded`] follows, at the
    /// latest [`OUTCOME_GRACE`](crate::OUTCOME_GRACE) after it.
    ///
    /// Until then it waits for room, for as long as it takes. The caller asks
    /// [`Delivery::is_awaited`] before it sends: much may have happened meanwhile.
    AttemptStarted {
        /// Which.
        id: AttemptId,
    },
    /// The subscription was deleted: nothing is sent and no effect is given any more (RQ-ER-13).
    Removed,
    /// These events are to be sent again, with their numbers; those above the cursor are left to
    /// the ordinary way. Only in `active`, and ignored while another is under way;
    /// [`Effect::ResendEnded`] tells when it is over.
    Resend {
        /// The first.
        first: EventNumber,
        /// The last.
        last: EventNumber,
    },
    /// A deadline may have come.
    Tick,
    /// The subscription was changed by its client or an operator.
    ///
    /// With status `requested` a handshake follows (RQ-SB-24, RQ-SB-25). Never fed for a status
    /// that [`Effect::SetStatus`] asked for: the machine knows that one.
    Updated {
        /// Whether what failed before says nothing any more, though no handshake follows: it may be another
        /// endpoint now.
        anew: bool,
        /// Events up to this one need no attempt any more: delivered, or missed and recorded so with
        /// the change ([`RetryPolicy::leaves_missed`]).
        cursor: Option<EventNumber>,
        /// The settings from now on.
        settings: DeliverySettings,
        /// The status from now on.
        status: SubscriptionStatus,
    },
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this, and report how it ended.
    Attempt(Attempt),
    /// Record that events up to this one need no attempt any more. It only ever goes up.
    MoveCursor(EventNumber),
    /// Record where the retries stand, with the cursor; none when nothing is repeated any more. In
    /// `error`, what is recorded is when a heartbeat succeeded last, and how many have failed since.
    NoteRetries(Option<Retries>),
    /// A re-send is over: all of it has arrived, or the status has changed before, or there was
    /// nothing to send.
    ResendEnded,
    /// Record the status, and why. No error given means that none is known any more.
    SetStatus {
        /// The new status.
        status: SubscriptionStatus,
        /// The reason, for `$status` (RQ-ER-05).
        error: Option<SubscriptionError>,
    },
}
