//! What a store of Cresset must do, one that does it in memory, and the suite that proves both.
//!
//! [`ChangeLog`] and [`Store`] are the whole of what the rest of the server knows about
//! persistence: an ordered log of changes, the events that subscriptions got of them, a little
//! bookkeeping, and a search index folded from the log. This crate knows nothing of HTTP, of
//! channels, of FHIR versions or of SQL.
//!
//! Invariants kept here, each with its cases in [`contract`]: I1 (numbers 1, 2, 3 … without gap,
//! given in [`plan`] and nowhere else), I2 (a position is appended once; one change gives a
//! subscription at most one event), I10 (every page, group and value has a named bound).
//!
//! The traits are synchronous (docs/adr/0002): whoever calls from an async task hands the call to
//! a thread that may block.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod crash;
mod error;
mod group;
mod index;
mod log;
mod matching;
mod memory;
mod plan;
mod query;
mod record;
mod retention;
mod store;

pub use crash::crash_point;
pub use error::Error;
pub use group::{
    Appended, Entry, GROUP_ENTRIES_MAX, GROUP_EVENTS_MAX, GROUP_RECORDS_MAX, Group, Record,
    SubscriptionLife,
};
pub use index::{
    INDEX_DOCUMENTS_MAX, INDEX_ROWS_MAX, INDEX_VALUE_BYTES_MAX, IndexBatch, IndexDocument,
    IndexRow, IndexedValue, clip,
};
pub use log::ChangeLog;
pub use memory::MemoryStore;
pub use plan::{Counter, Plan, plan};
pub use query::{
    Clause, Condition, Found, InvalidCursor, Page, Query, SEARCH_PAGE_MAX, SEARCH_SCAN_MAX,
    SEARCH_TOTAL_MAX, SearchCursor, SystemTest, Test, Total,
};
pub use record::{SubscriptionRecord, TOKEN_SUBSCRIPTIONS_MAX, TokenRecord};
pub use retention::{FORGET_STEP_MAX, Forgotten, Retention};
pub use store::{EVENTS_PAGE_MAX, PAGE_BYTES_MAX, PAGE_MAX, SUBSCRIPTIONS_PAGE_MAX, Store};
