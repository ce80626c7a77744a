//! The conformance suite: the real binary over real HTTP and websockets.
//!
//! Each module holds one subject; a test goes through all versions that its requirements name.

mod bad_input;
mod callers;
mod capability;
mod crash;
mod delivery;
mod egress;
mod email;
mod explain;
mod expressions;
mod filters;
mod formats;
mod kafka;
mod life;
mod message;
mod misbehaving;
mod nats;
mod notifications;
mod operations;
mod packs;
mod recovery;
mod replay;
mod resend;
mod rest;
mod rest_hook;
mod search;
mod shapes;
mod signatures;
mod subscriptions;
mod topic_forms;
mod topics;
mod transactions;
mod triggers;
mod validation;
mod websocket;
