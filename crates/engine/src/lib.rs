//! What decides: which change is an event of which subscription, and when what is sent.
//!
//! Everything here is pure. State, input and `now` go in, values that describe effects come out:
//! no clock, no randomness, no I/O, no async, no logging. Nothing here knows a FHIR version on
//! the wire, a store or a channel.
//!
//! * [`Catalog`] holds the topics and subscriptions in force; [`evaluate`] says whose event a
//!   change is.
//! * [`explain`] says why a change is an event of a subscription or is not.
//! * [`Delivery`] is the machine of one subscription that the server sends to (rest-hook):
//!   handshake, events, heartbeats, retries, status.
//! * [`Breaker`] is the machine of one host that endpoints have: whether it is worth an attempt.
//! * [`Bindings`] is the machine of one websocket: a cursor per subscription bound to it.

mod bindings;
mod breaker;
mod catalog;
mod delivery;
mod evaluate;
mod explain;
#[cfg(test)]
mod fixtures;
mod focus;
mod offer;
mod query;
mod retry;
mod shape;
mod states;
mod subscription;
mod time;
mod topic;
mod trigger;

pub use bindings::{
    BINDINGS_PER_SOCKET_MAX, BindingSettings, Bindings, Bound, CloseReason, FrameIntent, FrameKind,
    MovedCursor, TokenId, TooManyBindings,
};
pub use breaker::{Breaker, BreakerPolicy, Health, Pass, Permit};
pub use catalog::{Catalog, Interest};
pub use cresset_search::{Lookup, Need};
pub use delivery::{
    Attempt, AttemptId, AttemptKind, Delivery, DeliverySettings, DeliveryState, Effect, Input,
    OUTCOME_GRACE, Outcome, UNSENT_PAUSE,
};
pub use evaluate::{
    Evaluation, MISSING_MAX, Match, Occurrence, PROBLEMS_MAX, Problem, evaluate,
    evaluate_occurrence,
};
pub use explain::{EXPLAINED_TEXT_MAX, EXPLAINED_VALUES_MAX, Subject, explain};
pub use retry::{
    EVENTS_PER_NOTIFICATION_DEFAULT, EVENTS_PER_NOTIFICATION_MAX, JITTER_MIDDLE, JITTER_SHARE,
    RETRIES_MAX, RETRY_DELAY_MAX, RetryPolicy, RetrySchedule, batch_limit,
};
pub use shape::{INCLUDES_MAX, Include, Iterate, RevInclude, Shape};
pub use states::ResourceChange;
pub use subscription::{CompiledSubscription, FILTERS_MAX};
pub use topic::{CompiledTopic, OFFERS_MAX, TRIGGERS_MAX};
pub use trigger::TRIGGER_STEPS_MAX;
