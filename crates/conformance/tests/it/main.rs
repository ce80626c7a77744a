//! The conformance suite: the real binary over real HTTP and websockets.
//!
//! Each module holds one subject; a test goes through all versions that its requirements name.

mod bad_input;
mod callers;
mod capability;
mod checked_writes;
mod classic;
mod clients;
mod command_line;
mod crash;
mod delivery;
mod egress;
mod email;
mod explain;
mod expressions;
mod filters;
mod formats;
mod interactions;
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
mod search_answers;
mod search_joins;
mod shapes;
mod signatures;
mod subscriptions;
mod topic_forms;
mod topics;
mod transaction_conditions;
mod transactions;
mod triggers;
mod validation;
mod web;
mod websocket;
mod xml_notifications;
