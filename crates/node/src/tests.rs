//! The node as a whole, over the memory store: what is decided, what becomes visible, what
//! happens when the store fails.

mod bundles;
mod conditional;
mod events;
mod explain;
mod faults;
mod filter_forms;
pub(crate) mod fixture;
mod includes;
mod lookups;
mod mails;
mod occurrences;
mod operators;
mod published_topics;
mod rights;
mod search;
mod sockets;
mod topics;
mod two_ways;
