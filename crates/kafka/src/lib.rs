//! A producer for Apache Kafka: one record at a time, acknowledged by all replicas in sync.
//!
//! **For**: at-least-once publishing by a caller who keeps what was not acknowledged and tries again
//! by a schedule of its own. **Owns** the connections to the brokers and what is known of the
//! cluster. The messages themselves are coded by `kafka-protocol`, generated from Kafka's schemas
//! (docs/adr/0003).
//!
//! **Must not know**: FHIR, channels, retries. It reads no files and no environment, and does not
//! log.
//!
//! **Invariants**: [`Producer::send`] gives [`Placed`] only when the broker has confirmed with
//! `acks=all`; an error tells whether the record may have been written all the same; records with
//! one key go to one partition, the one that Java's clients choose; no record, key, header or
//! credential stands in an error or in `Debug` output. Every answer is bounded before it is read.
//!
//! **Tests**: `partition.rs`, `scram/tests.rs` are tables; `producer/tests.rs` speaks to a broker of
//! its own, with TLS and SASL; `crates/conformance/tests/it/kafka.rs` speaks to librdkafka's.

mod cluster;
mod config;
mod connection;
mod error;
mod login;
mod partition;
mod producer;
mod record;
mod scram;
mod wire;

pub use config::{Config, InvalidAddress, Login, Mechanism, ServerAddress};
pub use error::Error;
pub use producer::{Placed, Producer};
pub use record::Record;
