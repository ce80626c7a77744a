//! HTTP: FHIR REST, operations, websocket upgrade, health, metrics.
//!
//! It turns requests into calls of [`cresset_node::Node`] and what comes back into responses. It
//! knows no store and no channel, and decides nothing: what a caller may do, what a search means
//! and what a subscription is are the node's business.
//!
//! Bounds (I10): body size, header time, connections, frame size; see [`Config`]. Tests:
//! `tests.rs` beside each module; the whole over real HTTP in `crates/conformance`.

mod admin;
mod context;
mod fallback;
mod formats;
mod health;
mod history;
mod http_figures;
mod mail_links;
mod medplum;
mod metrics;
mod negotiate;
mod operations;
mod outcome;
mod patch;
mod resources;
mod respond;
mod router;
mod search;
mod server;
mod validate;
mod web;
mod websocket;

pub use metrics::MetricsAccess;
pub use server::{Config, Server};
