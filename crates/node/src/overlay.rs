//! The newest version of each resource a group touches: as stored, then as the group makes it.

use std::sync::Arc;

use cresset_model::{Change, ResourceKey};
use cresset_store::{Error, PAGE_MAX, Store};
use rustc_hash::FxHashMap;

/// Current versions, with the writes of the open group on top.
#[derive(Default)]
pub(crate) struct Overlay {
    known: FxHashMap<ResourceKey, Option<Arc<Change>>>,
    undo: Vec<(ResourceKey, Option<Option<Arc<Change>>>)>,
}

impl Overlay {
    /// Reads the current versions of these resources, in one go.
    pub(crate) fn load(&mut self, store: &dyn Store, keys: &[ResourceKey]) -> Result<(), Error> {
        for keys in keys.chunks(PAGE_MAX) {
            for (key, change) in keys.iter().zip(store.current(keys)?) {
                self.known.entry(key.clone()).or_insert_with(|| change.map(Arc::new));
            }
        }
        Ok(())
    }

    /// The newest version, read from the store where it is not known yet.
    pub(crate) fn current(
        &mut self,
        store: &dyn Store,
        key: &ResourceKey,
    ) -> Result<Option<Arc<Change>>, Error> {
        if !self.known.contains_key(key) {
            self.load(store, std::slice::from_ref(key))?;
        }
        Ok(self.known.get(key).cloned().flatten())
    }

    /// What the group makes of a resource.
    pub(crate) fn set(&mut self, change: Arc<Change>) {
        let key = change.key.clone();
        let before = self.known.insert(key.clone(), Some(change));
        self.undo.push((key, before));
    }

    /// A mark to go back to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Takes back what was set since the mark.
    pub(crate) fn rollback(&mut self, mark: usize) {
        for (key, before) in self.undo.drain(mark..).rev() {
            match before {
                Some(before) => self.known.insert(key, before),
                None => self.known.remove(&key),
            };
        }
    }
}
