//! The options of a small node, for tests and the simulation.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use cresset_channel::{AddressPolicy, EndpointPolicy};
use cresset_engine::{BreakerPolicy, RetryPolicy};

use crate::caller::Authentication;
use crate::config::{
    Config, DeliveryConfig, Limits, MessageEvent, RecoveryConfig, RetentionConfig, SearchConfig,
    SearchIndex, SubscriptionConfig, TopicConfig, ValidationLevel, WebsocketConfig,
};

impl Config {
    /// Of a node that anybody may ask and that has room for little. What a test is about it sets itself.
    pub fn small(base_url: &str) -> Self {
        let few = NonZeroU32::new(100).unwrap_or(NonZeroU32::MAX);
        let size = |size| NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN);
        Self {
            base_url: base_url.to_owned(),
            authentication: Authentication::None,
            limits: Limits {
                write_events_max: 100_000,
                body_bytes_max: 10 * 1024 * 1024,
                bundle_entries_max: 100,
                search_count_default: 50,
                search_count_max: 100,
                subscriptions_per_client_max: 1_000,
                write_queue_max: 100,
                reads_max: 4,
            },
            topics: TopicConfig { accept_draft: false },
            subscriptions: SubscriptionConfig {
                heartbeat_min: Duration::from_secs(1),
                timeout_max: Duration::from_secs(60),
                max_count_max: few,
                includes_per_event_max: 5,
                endpoints: EndpointPolicy {
                    addresses: AddressPolicy { allow_local: true, ..AddressPolicy::default() },
                    https_only: false,
                },
            },
            delivery: DeliveryConfig {
                retry: RetryPolicy::default(),
                concurrency_max: size(8),
                concurrency_per_host_max: size(4),
                bytes_in_flight_max: size(1 << 20),
                breaker: BreakerPolicy::default(),
                traceparent: false,
                message_event: MessageEvent {
                    system: format!("{base_url}/events"),
                    code: "notification".to_owned(),
                },
                attempts_per_subscription_max: size(10),
                attempts_max: size(100),
            },
            email: None,
            audit: None,
            tracer: None,
            recovery: RecoveryConfig { events_per_second: few },
            websocket: WebsocketConfig {
                token_lifetime: Duration::from_secs(1_800),
                bind_deadline: Duration::from_secs(30),
                expiry_grace: Duration::from_secs(5),
                max_count_default: few,
                sockets_max: 4,
                sockets_unbound_max: 2,
            },
            retention: RetentionConfig {
                events_keep: Duration::from_secs(86_400),
                events_per_subscription_max: 1_000,
            },
            search: SearchConfig {
                index: SearchIndex::None,
                wait_max: Duration::from_secs(10),
                concurrency_max: 2,
            },
            validation: ValidationLevel::Strict,
        }
    }
}
