//! The operators' pages, at `/console`: rendered on the server, with small plain scripts and nothing
//! from elsewhere.
//!
//! It asks [`cresset_node::Node`] what the pages show and has it do what their buttons say, as the
//! API does; it knows no store and no channel. Who uses it has logged in as an admin
//! ([`session`](mod@session)), every form carries what only its own pages know ([`form`](mod@form)), and
//! templates escape all that they show.
//!
//! Bounds (I10): sessions, wrong logins, bytes of a form, live streams, lines of a page. Tests:
//! `tests.rs` asks the routes; `crates/conformance` has a browser use them.

mod assets;
mod chart;
mod console;
mod context;
mod explain;
mod failure;
mod form;
mod live;
mod login;
mod overview;
mod page;
mod samples;
mod session;
mod stream;
mod subscription;
mod subscriptions;
mod text;
mod topic;
mod topics;
mod try_it;
mod words;

#[cfg(test)]
mod tests;

pub use console::{Config, Password, router};
