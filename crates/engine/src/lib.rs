//! What decides: which change is an event of which subscription, and when what is sent.
//!
//! Everything here is pure. State, input and `now` go in, values that describe effects come out:
//! no clock, no randomness, no I/O, no async, no logging. Nothing here knows a FHIR version on
//! the wire, a store or a channel.
//!
//! * [`Delivery`] is the machine of one subscription that the server sends to (rest-hook):
//!   handshake, events, heartbeats, retries, status.
//! * [`Bindings`] is the machine of one websocket: a cursor per subscription bound to it.

mod bindings;
mod delivery;
mod retry;
mod time;

pub use bindings::{
    BINDINGS_PER_SOCKET_MAX, BindingSettings, Bindings, Bound, CloseReason, FrameIntent, FrameKind,
    MovedCursor, TokenId, TooManyBindings,
};
pub use delivery::{
    Attempt, AttemptId, AttemptKind, Delivery, DeliverySettings, DeliveryState, Effect, Input,
    OUTCOME_GRACE, Outcome,
};
pub use retry::{
    EVENTS_PER_NOTIFICATION_DEFAULT, EVENTS_PER_NOTIFICATION_MAX, RETRIES_MAX, RETRY_DELAY_MAX,
    RetryPolicy, RetrySchedule, batch_limit,
};
