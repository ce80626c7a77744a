//! What the memory store holds: the log and its views.

use std::collections::BTreeMap;
use std::ops::Bound;

use cresset_model::{
    Base, Change, Interaction, Position, ResourceId, ResourceKey, ResourceType, SubscriptionKey,
    VersionId,
};

use super::events::Life;
use super::index::Index;
use crate::{
    Appended, Error, Group, IndexBatch, PAGE_BYTES_MAX, PAGE_MAX, Record, SubscriptionLife,
    TokenRecord, plan,
};

#[derive(Debug, Default)]
pub(super) struct State {
    /// The change at position n is at n - 1.
    changes: Vec<Change>,
    versions: BTreeMap<ResourceKey, BTreeMap<VersionId, Position>>,
    pub(super) lives: BTreeMap<SubscriptionKey, Life>,
    pub(super) tokens: BTreeMap<[u8; 32], TokenRecord>,
    /// Where the next step of forgetting goes on.
    pub(super) sweep: Option<SubscriptionKey>,
    index: Index,
}

impl State {
    pub(super) fn head(&self) -> Option<Position> {
        Position::new(self.changes.len() as u64)
    }

    pub(super) fn append(&mut self, group: &Group) -> Result<Appended, Error> {
        group.check(self.head())?;
        let plan = plan(group, |key| Ok(self.lives.get(&key).map(Life::counter)))?;
        for entry in &group.entries {
            let change = &entry.change;
            if let Some(SubscriptionLife::Begins { owner }) = &entry.subscription {
                let life = Life::begin(change, owner.clone());
                self.lives.insert(SubscriptionKey::created_at(change.position), life);
            }
            self.versions
                .entry(change.key.clone())
                .or_default()
                .insert(change.version, change.position);
            self.changes.push(change.clone());
        }
        for event in &plan.events {
            if let Some(life) = self.lives.get_mut(&event.subscription) {
                life.push(*event);
            }
        }
        for (key, counter) in &plan.counters {
            if let Some(life) = self.lives.get_mut(key) {
                assert_eq!(life.last(), counter.last, "I1: numbers without gap");
                life.settle(counter);
            }
        }
        for record in &group.records {
            match record {
                Record::Cursor { .. } => {}
                Record::Error { subscription, error } => {
                    if let Some(life) = self.lives.get_mut(subscription) {
                        life.take_error(error.as_ref());
                    }
                }
                Record::Retries { subscription, retries } => {
                    if let Some(life) = self.lives.get_mut(subscription) {
                        life.take_retries(*retries);
                    }
                }
                Record::Token(token) => {
                    self.tokens.insert(token.hash, token.clone());
                }
                Record::TokenRevoked(hash) => {
                    self.tokens.remove(hash);
                }
            }
        }
        Ok(Appended { events: plan.events })
    }

    pub(super) fn change(&self, position: Position) -> Option<&Change> {
        let index = usize::try_from(position.get()).ok()?.checked_sub(1)?;
        self.changes.get(index)
    }

    pub(super) fn changes(&self, after: Option<Position>, limit: usize) -> Vec<Change> {
        let start = after.map_or(0, |after| usize::try_from(after.get()).unwrap_or(usize::MAX));
        page(self.changes.iter().skip(start), limit)
    }

    fn newest(&self, key: &ResourceKey) -> Option<&Change> {
        let (_, position) = self.versions.get(key)?.last_key_value()?;
        self.change(*position)
    }

    pub(super) fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, Error> {
        if keys.len() > PAGE_MAX {
            return Err(Error::invalid("more keys than a page may have"));
        }
        Ok(keys.iter().map(|key| self.newest(key).cloned()).collect())
    }

    pub(super) fn version(&self, key: &ResourceKey, version: VersionId) -> Option<Change> {
        let position = self.versions.get(key)?.get(&version)?;
        self.change(*position).cloned()
    }

    pub(super) fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Vec<Change> {
        let Some(versions) = self.versions.get(key) else { return Vec::new() };
        let below = before.map_or(Bound::Unbounded, Bound::Excluded);
        let versions = versions.range((Bound::Unbounded, below)).rev();
        page(versions.filter_map(|(_, position)| self.change(*position)), limit)
    }

    pub(super) fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Vec<Change> {
        let of_type = |key: &ResourceKey| key.base == base && key.resource_type == *resource_type;
        // The lowest id there can be, as a bound that a key can be made of.
        let first = after.cloned().or_else(|| ResourceId::new("-").ok());
        let Some(id) = first else { return Vec::new() };
        let start = ResourceKey { base, resource_type: resource_type.clone(), id };
        let start = if after.is_some() { Bound::Excluded(start) } else { Bound::Included(start) };
        let found = self
            .versions
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| of_type(key))
            .filter_map(|(_, versions)| self.change(*versions.last_key_value()?.1))
            .filter(|change| change.interaction != Interaction::Delete);
        page(found, limit)
    }

    pub(super) fn token(&self, hash: &[u8; 32]) -> Option<TokenRecord> {
        self.tokens.get(hash).cloned()
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn index_batch(&mut self, batch: &IndexBatch) -> Result<(), Error> {
        if Some(batch.upto) > self.head() {
            return Err(Error::invalid("an index batch from beyond the head"));
        }
        self.index.step(batch)
    }

    pub(super) fn prepare_index(&mut self, scheme: u64) {
        self.index.prepare(scheme);
    }
}

/// Takes changes up to the bounds of a page.
fn page<'c>(changes: impl Iterator<Item = &'c Change>, limit: usize) -> Vec<Change> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for change in changes.take(limit.min(PAGE_MAX)) {
        page.push(change.clone());
        bytes += change.body.len();
        if bytes >= PAGE_BYTES_MAX {
            break;
        }
    }
    page
}
