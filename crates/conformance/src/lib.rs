//! The black-box harness of the conformance tests: the real binary, spoken to as clients and
//! endpoints do.
//!
//! It starts `cresset` from the target folder of the test that runs ([`Server`]), sends it HTTP
//! ([`Client`]), listens on websockets ([`Socket`]) and is an endpoint itself ([`Receiver`],
//! and [`Rogue`] for what no HTTP server does); brokers are others' programs that it starts
//! ([`NatsServer`], [`KafkaCluster`], and [`Relay`] for mails), and so are clients ([`node`],
//! [`python`], [`Chromium`], and [`Browser`] to drive it). What
//! it reads it reads by hand from JSON ([`Notification`]), never with the product's own code, and
//! it checks the frame rules of every notification that it reads. Nothing here sleeps: it waits
//! for a condition, with a deadline ([`until`]).
//!
//! The tests are in `tests/it`. A test names the requirements it proves with [`verifies!`];
//! `cargo xtask conformance` lists them in `docs/conformance.md`.

mod bad_relay;
mod browser;
mod client;
mod detour;
mod kafka;
mod metrics;
mod nats;
mod notification;
mod program;
mod receiver;
mod relay;
mod reply;
mod resource;
mod rogue;
mod server;
mod socket;
mod subscription;
mod tls_front;
mod verifies;
mod version;
mod wait;
mod wire;

pub use bad_relay::{BadRelay, Manner};
pub use browser::{Browser, Look};
pub use client::{Client, Request, Token};
pub use detour::Detour;
pub use kafka::{KafkaCluster, KafkaRecord};
pub use metrics::Metrics;
pub use nats::{NatsMessage, NatsServer};
pub use notification::{Entry, Notification, NotifiedEvent, Status};
pub use program::{Chromium, medplum, node, python, schemathesis};
pub use receiver::{Answer, Receiver, Sent};
pub use relay::{LINK_BASE_URL, Relay, TakenMail};
pub use reply::{Outcome, OutcomeIssue, Reply};
pub use resource::{encounter, observation, patient};
pub use rogue::{Misbehaviour, Rogue};
pub use server::{Options, Server, cresset, example};
pub use socket::{Closed, Socket};
pub use subscription::{Channel, Filter, Subscribe, set};
pub use tls_front::TlsFront;
pub use verifies::Proof;
pub use version::Version;
pub use wait::{PATIENCE, until};
