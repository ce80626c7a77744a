//! The conformance suite: the real binary over real HTTP and websockets.
//!
//! Each module holds one subject; a test goes through all versions that its requirements name.

mod capability;
mod rest;
mod search;
mod subscriptions;
mod topic_forms;
mod topics;
mod transactions;
mod triggers;
mod validation;
