//! What the node may be told from outside.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use cresset_channel::EndpointPolicy;
use cresset_engine::{BreakerPolicy, RetryPolicy};

use crate::audit::AuditConfig;
use crate::caller::Authentication;
use crate::email::EmailConfig;
use crate::spans::Tracer;

/// The node's options; the binary fills them from its configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// URL under which clients reach the server, without a slash at the end and without the
    /// version (`http://127.0.0.1:8080`).
    pub base_url: String,
    /// How callers are known.
    pub authentication: Authentication,
    /// Bounds.
    pub limits: Limits,
    /// Topics.
    pub topics: TopicConfig,
    /// What subscriptions may ask for.
    pub subscriptions: SubscriptionConfig,
    /// Sending to endpoints.
    pub delivery: DeliveryConfig,
    /// Mails; none where the channel is not switched on.
    pub email: Option<EmailConfig>,
    /// Sending again what was lost.
    pub recovery: RecoveryConfig,
    /// Sockets.
    pub websocket: WebsocketConfig,
    /// How long events are kept.
    pub retention: RetentionConfig,
    /// REST search.
    pub search: SearchConfig,
    /// What happens to resources whose form is wrong.
    pub validation: ValidationLevel,
    /// The audit trail, if one is kept.
    pub audit: Option<AuditConfig>,
    /// What makes spans for a collector of traces, if there is one.
    pub tracer: Option<Tracer>,
}

/// Bounds of requests and of what clients may hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's body, and of what a patch makes of a resource.
    pub body_bytes_max: usize,
    /// Entries of a batch or transaction.
    pub bundle_entries_max: usize,
    /// Events that one write, such as a transaction, may be; at most three quarters of what a group
    /// of the store may hold.
    pub write_events_max: usize,
    /// Resources on a page of a search when the client names no `_count`.
    pub search_count_default: usize,
    /// Resources on a page of a search at most.
    pub search_count_max: usize,
    /// Subscriptions of one client.
    pub subscriptions_per_client_max: usize,
    /// Requests that wait for the writer.
    pub write_queue_max: usize,
    /// Reads of the store at the same time.
    pub reads_max: usize,
}

/// How topics are treated.
#[derive(Debug, Clone)]
pub struct TopicConfig {
    /// Whether subscriptions may name topics with status `draft` (RQ-TP-09).
    pub accept_draft: bool,
}

/// What subscriptions may ask for.
#[derive(Debug, Clone)]
pub struct SubscriptionConfig {
    /// Shortest heartbeat period; shorter ones are raised to it.
    pub heartbeat_min: Duration,
    /// Longest timeout; longer ones are lowered to it.
    pub timeout_max: Duration,
    /// Largest `maxCount`; larger ones are lowered to it.
    pub max_count_max: NonZeroU32,
    /// Resources that go with one event at most; further ones are left out, and that is told.
    pub includes_per_event_max: usize,
    /// What endpoints may be (RQ-CH-28, RQ-SS-08).
    pub endpoints: EndpointPolicy,
}

/// Sending to endpoints.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// When to try again, and when to give up.
    pub retry: RetryPolicy,
    /// Attempts at the same time.
    pub concurrency_max: NonZeroUsize,
    /// Of these, attempts to one host.
    pub concurrency_per_host_max: NonZeroUsize,
    /// Bytes of the notifications under way.
    pub bytes_in_flight_max: NonZeroUsize,
    /// When a host counts as dead, and when it is tried again.
    pub breaker: BreakerPolicy,
    /// Whether requests have a header `traceparent`.
    pub traceparent: bool,
    /// How FHIR messages tell what they are about.
    pub message_event: MessageEvent,
    /// Attempts of one subscription that are remembered.
    pub attempts_per_subscription_max: NonZeroUsize,
    /// Attempts of all subscriptions that are remembered.
    pub attempts_max: NonZeroUsize,
}

/// The coding in `MessageHeader.event` of notifications (RQ-CH-82).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// Its system.
    pub system: String,
    /// Its code.
    pub code: String,
}

/// Sending again what was lost.
#[derive(Debug, Clone)]
pub struct RecoveryConfig {
    /// Events that a recovery sends in a second, over all subscriptions.
    pub events_per_second: NonZeroU32,
}

/// Sockets.
#[derive(Debug, Clone)]
pub struct WebsocketConfig {
    /// How long a binding token can be used.
    pub token_lifetime: Duration,
    /// How long a socket may stay without a binding.
    pub bind_deadline: Duration,
    /// How long after its token expired a binding goes on.
    pub expiry_grace: Duration,
    /// Most events in one frame where the subscription has no `maxCount`.
    pub max_count_default: NonZeroU32,
    /// Sockets at the same time.
    pub sockets_max: usize,
    /// Sockets without a binding at the same time.
    pub sockets_unbound_max: usize,
}

/// How long events are kept for `$events` (RQ-OP-22).
#[derive(Debug, Clone)]
pub struct RetentionConfig {
    /// Age at which events are forgotten.
    pub events_keep: Duration,
    /// Newest events kept of each subscription.
    pub events_per_subscription_max: u64,
}

/// REST search.
#[derive(Debug, Clone)]
pub struct SearchConfig {
    /// What the index on disk holds.
    pub index: SearchIndex,
    /// How long a search waits for the index to have seen what was written before it, and how long
    /// for its turn.
    pub wait_max: Duration,
    /// Searches at the same time.
    pub concurrency_max: usize,
}

/// Which search parameters the index on disk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchIndex {
    /// Every one that is defined.
    All,
    /// These codes, on every type that defines them.
    Listed(Vec<String>),
    /// None; only `_id` and `_lastUpdated` can be searched.
    None,
}

/// What happens to a resource that a client writes and whose form is not that of its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationLevel {
    /// It is stored; the answer tells what is wrong as warnings.
    Lenient,
    /// It is not looked at.
    Off,
    /// It is refused, with all that is wrong.
    Strict,
}
