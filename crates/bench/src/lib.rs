//! Measures Cresset from outside, as a black box over HTTP and websockets, beside baselines of known cost.
//!
//! What is measured and why is in `docs/performance.md`. The rule of the house: a headline is a ratio within one
//! run (ours and the baseline interleaved), the primary metric is the server's CPU time per unit of work, and a
//! run that fails its audit has no number.
//!
//! Pure pieces ([`audit`], [`statistics`], [`observation`], [`notification`], the parsers of [`http`] and
//! [`process`]) have their tests beside them; the whole program is run small by `tests/it`.
//!
//! This crate must not know any other crate of the workspace: a benchmark that shares code with what it measures
//! cannot be trusted to notice when that code changes.

pub mod audit;
pub mod baseline;
pub mod churn;
pub mod delivery;
pub mod http;
pub mod load;
pub mod machine;
pub mod main_path;
pub mod matching;
pub mod notification;
pub mod observation;
pub mod process;
pub mod receiver;
pub mod report;
pub mod rest;
pub mod settle;
pub mod socket;
pub mod statistics;
pub mod summary;
pub mod target;
