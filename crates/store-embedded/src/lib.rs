//! The default store of Cresset: SQLite, in one directory on disk (docs/adr/0001).
//!
//! The directory holds `log.db` (the change log with its views: the truth), `index.db` (the
//! search index: may be deleted while the server is stopped, and is rebuilt) and `lock`.
//!
//! What a write must do is append. A group of changes becomes rows at the end of one table, in
//! one transaction, with one flush. The views by resource and by subscription, whose rows lie all
//! over the file, are kept in memory first ([`tail`]) and written out in order, a slice with each
//! later group ([`fold`]); after a crash they are read from the log again. So an event costs the
//! same whether its subscription is one of ten or of a million.
//!
//! This crate knows nothing of HTTP, channels or FHIR. It has no clock, and one thread
//! ([`checkpoint`]), which ends with the store.
//! Its tests: the contract suite of `cresset-store` with a large and with a tiny tail
//! (tests.rs), files of every format (schema/tests.rs), faults (log/tests.rs).

mod checkpoint;
mod codec;
mod connection;
mod fault;
mod fold;
mod index;
mod lock;
mod log;
mod names;
mod readers;
mod run;
mod schema;
mod store;
mod tail;
#[cfg(test)]
mod tests;

pub use store::EmbeddedStore;
