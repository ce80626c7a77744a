//! How far repeating what failed has come.

use jiff::Timestamp;

use crate::EventNumber;

/// Where the retries of a subscription stand, kept so that a restart goes on from there: a server
/// that is started over and over neither hammers a receiver nor gives it the whole schedule anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Failures in a row. None where attempts are only kept back from a host that does not answer.
    pub failures: u32,
    /// How many of the last of them were rejections.
    pub rejections: u32,
    /// Since when nothing has succeeded.
    pub failing_since: Timestamp,
    /// Nothing is sent before.
    pub resume: Timestamp,
    /// The last event of the batch that is repeated; the first is the one above the cursor.
    pub repeat_last: Option<EventNumber>,
    /// When this was so. A status given later makes it void.
    pub at: Timestamp,
}
