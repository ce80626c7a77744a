//! What the server asks of a store beyond the log itself.

use cresset_model::{
    Base, Change, Event, EventNumber, Position, ResourceId, ResourceKey, ResourceType,
    SubscriptionKey, VersionId,
};

use crate::{
    ChangeLog, Error, Forgotten, IndexBatch, Page, Query, Retention, SubscriptionRecord,
    TokenRecord,
};

/// Most changes of one page.
pub const PAGE_MAX: usize = 1_000;
/// Bytes of bodies after which a page of changes ends.
pub const PAGE_BYTES_MAX: usize = 64 << 20;
/// Most events of one page.
pub const EVENTS_PAGE_MAX: usize = 10_000;
/// Most subscriptions of one page.
pub const SUBSCRIPTIONS_PAGE_MAX: usize = 10_000;

/// Everything the server keeps: the log, views of it by resource and by subscription, tokens, and
/// the search index.
///
/// Every call may block, as [`ChangeLog`] says; [`forget`](Self::forget) and
/// [`index`](Self::index) write and may wait for a writer. A `limit` above the page's bound
/// counts as the bound. All reads fail with `Unavailable` (try again) or `Corrupt` (stop) only,
/// where nothing else is said.
pub trait Store: ChangeLog {
    /// The newest version of each resource, in the order of `keys`; a deleted one is a change
    /// with `Interaction::Delete`.
    ///
    /// # Errors
    ///
    /// `Invalid` for more than [`PAGE_MAX`] keys.
    fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, Error>;

    /// One version of a resource.
    fn version(&self, key: &ResourceKey, version: VersionId) -> Result<Option<Change>, Error>;

    /// Versions of a resource below `before`, newest first; all from the newest on if `None`.
    ///
    /// The end is an empty page; a page also ends after [`PAGE_BYTES_MAX`].
    fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error>;

    /// Newest versions of the resources of a type that are not deleted, in order of id.
    ///
    /// The end is an empty page; a page also ends after [`PAGE_BYTES_MAX`].
    fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error>;

    /// Subscriptions that are alive, in order of key.
    ///
    /// The end is an empty page.
    fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRecord>, Error>;

    /// One subscription, if it is alive.
    fn subscription(&self, key: SubscriptionKey) -> Result<Option<SubscriptionRecord>, Error>;

    /// Events of a subscription with numbers `from` to `to`, both included, that are still kept,
    /// in order of number and without gap. Also of an ended subscription.
    fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Result<Vec<Event>, Error>;

    /// The token with this hash, expired or not, unless it is revoked or forgotten.
    fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error>;

    /// One bounded step of upkeep: looks at up to `limit` subscriptions, events and tokens (at
    /// most [`crate::FORGET_STEP_MAX`]), where the last step stopped, and removes what
    /// `retention` does not keep.
    ///
    /// # Errors
    ///
    /// As [`ChangeLog::append`], but never `Fenced`. Forgetting twice has the effect of once, so
    /// `Unknown` is answered by calling again.
    fn forget(&self, retention: &Retention, limit: usize) -> Result<Forgotten, Error>;

    /// The position up to which the search index has seen the log; `None` for an empty index,
    /// which is to be built from the first change on. After a crash it may be lower than it was.
    fn index_position(&self) -> Result<Option<Position>, Error>;

    /// Moves the search index on: replaces the rows of each document and sets the index position
    /// to `batch.upto`, in one step. A batch at or below the index position has no effect.
    ///
    /// The caller ensures that the batch holds every resource that changed between the index
    /// position and `upto`, with its newest version up to there.
    ///
    /// # Errors
    ///
    /// `Invalid` if `upto` is above the head or a document has too many rows. `Unavailable`: try
    /// again.
    fn index(&self, batch: &IndexBatch) -> Result<(), Error>;

    /// Empties the search index if it was built by another scheme: its position is `None` then,
    /// and its cursors expire. What was built before a scheme was ever named has scheme 0.
    ///
    /// The caller names by `scheme` what goes into the index and how, and calls this before the
    /// first [`index`](Self::index).
    fn prepare_index(&self, scheme: u64) -> Result<(), Error>;

    /// Writes what the index holds in memory only, and frees that memory. Changes nothing that
    /// can be seen; meant for idle moments.
    fn flush_index(&self) -> Result<(), Error>;

    /// Bytes that the store takes on disk, by what they are for; nothing where it is in memory, and
    /// of what cannot be seen. For those who watch it: nothing else goes by it.
    fn bytes_on_disk(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Resources that match the query, as the index sees them.
    ///
    /// Whoever needs to find what was written before waits until
    /// [`index_position`](Self::index_position) has reached it.
    ///
    /// Order and paging: see [`Page`].
    ///
    /// # Errors
    ///
    /// `CursorExpired` if the cursor is of an earlier index.
    fn search(&self, query: &Query) -> Result<Page, Error>;
}
