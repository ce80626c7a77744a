//! A store in memory: for simulation, for tests, and as the plainest statement of the contract.
//!
//! Deterministic: ordered maps only, no clock, no randomness. It keeps what it was told for as
//! long as it lives, so a simulated crash is to drop everything around it.

mod events;
mod index;
mod state;

#[cfg(test)]
mod tests;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cresset_model::{
    Base, Change, Event, EventNumber, Position, ResourceId, ResourceKey, ResourceType,
    SubscriptionKey, VersionId,
};

use self::state::State;
use crate::{
    Appended, ChangeLog, Error, Forgotten, Group, IndexBatch, Page, Query, Retention, Store,
    SubscriptionRecord, TokenRecord,
};

/// A [`Store`] that lives in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: RwLock<State>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic elsewhere cannot leave the state half changed: it is changed only after everything
    // that may fail.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChangeLog for MemoryStore {
    fn head(&self) -> Result<Option<Position>, Error> {
        Ok(self.read().head())
    }

    fn append(&self, group: &Group) -> Result<Appended, Error> {
        self.write().append(group)
    }

    fn changes(&self, after: Option<Position>, limit: usize) -> Result<Vec<Change>, Error> {
        Ok(self.read().changes(after, limit))
    }

    fn change(&self, position: Position) -> Result<Option<Change>, Error> {
        Ok(self.read().change(position).cloned())
    }
}

impl Store for MemoryStore {
    fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, Error> {
        self.read().current(keys)
    }

    fn version(&self, key: &ResourceKey, version: VersionId) -> Result<Option<Change>, Error> {
        Ok(self.read().version(key, version))
    }

    fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        Ok(self.read().history(key, before, limit))
    }

    fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        Ok(self.read().resources(base, resource_type, after, limit))
    }

    fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRecord>, Error> {
        Ok(self.read().subscriptions(after, limit))
    }

    fn subscription(&self, key: SubscriptionKey) -> Result<Option<SubscriptionRecord>, Error> {
        Ok(self.read().subscription(key))
    }

    fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        Ok(self.read().events(subscription, from, to, limit))
    }

    fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, Error> {
        Ok(self.read().token(hash))
    }

    fn forget(&self, retention: &Retention, limit: usize) -> Result<Forgotten, Error> {
        Ok(self.write().forget(retention, limit))
    }

    fn index_position(&self) -> Result<Option<Position>, Error> {
        Ok(self.read().index().position())
    }

    fn index(&self, batch: &IndexBatch) -> Result<(), Error> {
        self.write().index_batch(batch)
    }

    fn prepare_index(&self, scheme: u64) -> Result<(), Error> {
        self.write().prepare_index(scheme);
        Ok(())
    }

    fn flush_index(&self) -> Result<(), Error> {
        Ok(())
    }

    fn search(&self, query: &Query) -> Result<Page, Error> {
        self.read().index().search(query)
    }
}
