//! Channels: how bytes leave the house. One module per channel type.
//!
//! **For**: one attempt to hand a finished notification to a subscriber's endpoint, and the policy
//! of which endpoints may be spoken to at all.
//!
//! **Must not know**: FHIR, subscriptions, stores, retries. It gets bytes, an endpoint, headers and
//! a deadline; when to try, and again, is decided elsewhere. Nor does it bound how many attempts
//! run at once: its caller does.
//!
//! **Invariants**: no connection to a subscriber's endpoint is opened to an address the
//! [`AddressPolicy`] refuses, whatever name led to it (RQ-SS-08), unless a proxy makes the
//! connections; brokers are the operator's, who says where they are, and a subscriber says no more
//! than where in them, within a [`BrokerPolicy`]; no redirect is followed (RQ-CH-26); an attempt ends within its
//! deadline and keeps at most [`RESPONSE_TEXT_BYTES_MAX`] bytes of the response; no text made here
//! holds a header value, a body, an address or the query string of an endpoint.
//!
//! **Tests**: `address/tests.rs`, `endpoint/tests.rs`, `header/tests.rs`, `retry_after/tests.rs`,
//! `signature/tests.rs`, `broker/tests.rs`, `kafka/tests.rs`, `nats/tests.rs` are tables;
//! `rest_hook/tests.rs` speaks to receivers on loopback, `email/tests.rs` to a relay of its own.

mod address;
mod broker;
mod clients;
mod email;
mod endpoint;
mod header;
mod host;
mod kafka;
mod nats;
mod outcome;
mod proxy;
mod resolver;
mod rest_hook;
mod retry_after;
mod secret;
mod signature;
mod tls;

pub use address::{AddressPolicy, AddressRange, InvalidPrefix, parse_prefix};
pub use broker::{
    AllowedDestination, Broker, BrokerPolicy, DestinationRefusal, InvalidDestination,
    PUBLISHED_HEADERS_MAX, Publication, is_loopback, published_header_refusal,
};
pub use cresset_kafka::{InvalidAddress, Mechanism, ServerAddress};
pub use email::{
    Attachment, BodyKind, Email, EmailConfig, EmailError, MAIL_SUBJECT_LENGTH_MAX, Mail, Recipient,
    RecipientRefusal, Security, is_mail_domain,
};
pub use endpoint::{
    ENDPOINT_LENGTH_MAX, EndpointPolicy, EndpointRefusal, endpoint_refusal, is_local_endpoint,
};
pub use header::{HEADERS_MAX, HeaderRefusal, header_refusal};
pub use host::{HostPattern, InvalidHostPattern};
pub use ipnet::IpNet;
pub use kafka::{Kafka, KafkaConfig, KafkaLogin};
pub use nats::{Nats, NatsConfig, NatsLogin};
pub use outcome::{Failure, FailureKind, NoResponse, Outcome, ResponseText, SmtpSubject, Verdict};
pub use proxy::{InvalidProxyUrl, ProxyUrl};
pub use rest_hook::{Config, HostConfig, Method, RESPONSE_TEXT_BYTES_MAX, Request, RestHook};
pub use retry_after::RETRY_AFTER_MAX;
pub use secret::Secret;
pub use signature::{InvalidSigningKey, SIGNING_KEYS_MAX, SigningKey};
pub use tls::{BrokerTls, Error, Identity};
