//! The store: a locked directory, the log in it, and the index beside the log.

use std::fs;
use std::path::{Path, PathBuf};

use cresset_model::{
    Base, Change, Event, EventNumber, Position, ResourceId, ResourceKey, ResourceType,
    SubscriptionKey, VersionId,
};
use cresset_store::{
    Appended, ChangeLog, Error, Forgotten, Group, IndexBatch, Page, Query, Retention, Store,
    SubscriptionRecord, TokenRecord,
};

use crate::connection::flush_directory;
use crate::fault::Fault;
use crate::index::SearchIndex;
use crate::lock::DirectoryLock;
use crate::log::{Limits, Log};

/// The file of the log.
const LOG: &str = "log.db";
/// The file of the search index.
const INDEX: &str = "index.db";
/// What SQLite appends to the name of a file for the log of its own.
const WRITE_AHEAD: &str = "-wal";

/// A [`Store`] in a directory on disk.
///
/// Reads run beside each other and beside one append. What `append` has acknowledged is on the
/// disk; to be dropped is all the store needs to be closed.
#[derive(Debug)]
pub struct EmbeddedStore {
    directory: PathBuf,
    // Dropped in this order: the lock goes last.
    index: SearchIndex,
    log: Log,
    _lock: DirectoryLock,
}

impl EmbeddedStore {
    /// Opens the store in a directory, which is created if it is not there.
    ///
    /// A log of an older format is migrated. A search index that is missing, damaged, of another
    /// format or of another log is emptied: its position is `None` then.
    ///
    /// # Errors
    ///
    /// `InUse` if another process has the directory open; `NewerFormat` and `Corrupt` as they
    /// say; `Unavailable` if the directory cannot be created, read or written.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Ok(Self::open_with(directory, Limits::default())?)
    }

    /// The same with so many versions, events and cursor moves in memory before they are written to the views, at
    /// least one. For tests: what can be read is the same, what is written when is not.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_with_tail(directory: &Path, tail_weight_max: usize) -> Result<Self, Error> {
        Ok(Self::open_with(directory, Limits { tail_weight_max, ..Limits::default() })?)
    }

    pub(crate) fn open_with(directory: &Path, limits: Limits) -> Result<Self, Fault> {
        let lock = DirectoryLock::take(directory)?;
        let log = Log::open(&directory.join(LOG), limits)?;
        let index = SearchIndex::open(
            &directory.join(INDEX),
            log.identity(),
            log.head()?,
            limits.pending_documents_max,
        )?;
        flush_directory(directory)?;
        Ok(Self { directory: directory.to_owned(), index, log, _lock: lock })
    }
}

impl ChangeLog for EmbeddedStore {
    fn head(&self) -> Result<Option<Position>, Error> {
        Ok(self.log.head()?)
    }

    fn append(&self, group: &Group) -> Result<Appended, Error> {
        self.log.append(group)
    }

    fn changes(&self, after: Option<Position>, limit: usize) -> Result<Vec<Change>, Error> {
        Ok(self.log.changes(after, limit)?)
    }

    fn change(&self, position: Position) -> Result<Option<Change>, Error> {
        Ok(self.log.change(position)?)
    }

    fn changes_at(
        &self,
        positions: &[Position],
        bytes_max: usize,
    ) -> Result<Vec<Option<Change>>, Error> {
        Ok(self.log.changes_at(positions, bytes_max)?)
    }
}

impl Store for EmbeddedStore {
    fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, Error> {
        Ok(self.log.current(keys)?)
    }

    fn version(&self, key: &ResourceKey, version: VersionId) -> Result<Option<Change>, Error> {
        Ok(self.log.version(key, version)?)
    }

    fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        Ok(self.log.history(key, before, limit)?)
    }

    fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        Ok(self.log.resources(base, resource_type, after, limit)?)
    }

    fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRecord>, Error> {
        Ok(self.log.subscriptions(after, limit)?)
    }

    fn subscription(&self, key: SubscriptionKey) -> Result<Option<SubscriptionRecord>, Error> {
        Ok(self.log.subscription(key)?)
    }

    fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        Ok(self.log.events(subscription, from, to, limit)?)
    }

    fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error> {
        Ok(self.log.token(hash)?)
    }

    fn forget(&self, retention: &Retention, limit: usize) -> Result<Forgotten, Error> {
        self.log.forget(retention, limit)
    }

    fn index_position(&self) -> Result<Option<Position>, Error> {
        Ok(self.index.position())
    }

    fn index(&self, batch: &IndexBatch) -> Result<(), Error> {
        if Some(batch.upto) > self.log.head()? {
            return Err(Error::invalid("an index batch from beyond the head"));
        }
        self.index.step(batch)
    }

    fn prepare_index(&self, scheme: u64) -> Result<(), Error> {
        Ok(self.index.prepare(scheme)?)
    }

    fn flush_index(&self) -> Result<(), Error> {
        self.index.flush()
    }

    fn bytes_on_disk(&self) -> Vec<(&'static str, u64)> {
        let bytes =
            |name: &str| fs::metadata(self.directory.join(name)).ok().map(|file| file.len());
        let files = [("log", LOG), ("index", INDEX)];
        let sizes = files.into_iter().filter_map(|(part, file)| {
            // There is none while nothing was written.
            let ahead = bytes(&format!("{file}{WRITE_AHEAD}")).unwrap_or_default();
            Some((part, bytes(file)? + ahead))
        });
        sizes.collect()
    }

    fn search(&self, query: &Query) -> Result<Page, Error> {
        self.index.search(query)
    }
}
