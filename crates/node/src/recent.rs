//! The newest changes, kept in memory so that a notification right after its write reads no disk.
//!
//! A cache and no more: whoever misses here reads the log (I8).

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use cresset_model::{Change, Position};
use cresset_store::IndexRow;

/// Bytes of resource bodies and index rows kept at most; the newest change is kept whatever its
/// size. A row counts without its longer texts, which the body holds, too.
pub(crate) const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Changes kept at most.
pub(crate) const RECENT_CHANGES_MAX: usize = 16_384;

/// A change, and what the search index is to hold of it where that is known already.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) change: Arc<Change>,
    pub(crate) rows: Option<Arc<[IndexRow]>>,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.change.body.len() + self.rows.as_deref().map_or(0, size_of_val)
    }
}

/// The tail of the change log.
#[derive(Default)]
pub(crate) struct Recent(RwLock<Tail>);

#[derive(Default)]
struct Tail {
    changes: VecDeque<Kept>,
    bytes: usize,
}

impl Tail {
    fn index(&self, position: Position) -> Option<usize> {
        let first = self.changes.front()?.change.position.get();
        usize::try_from(position.get().checked_sub(first)?).ok()
    }
}

impl Recent {
    /// Adds changes that follow those already there; drops the oldest beyond the bounds.
    pub(crate) fn push(&self, changes: impl IntoIterator<Item = Kept>) {
        let mut tail = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for kept in changes {
            let change = &kept.change;
            let gap = |last: &Kept| last.change.position.next() != change.position;
            if tail.changes.back().is_some_and(gap) {
                tail.changes.clear();
                tail.bytes = 0;
            }
            tail.bytes += kept.bytes();
            tail.changes.push_back(kept);
            while tail.changes.len() > 1
                && (tail.bytes > RECENT_BYTES_MAX || tail.changes.len() > RECENT_CHANGES_MAX)
            {
                if let Some(dropped) = tail.changes.pop_front() {
                    tail.bytes -= dropped.bytes();
                }
            }
        }
    }

    /// The change at this position, if it is still here.
    pub(crate) fn get(&self, position: Position) -> Option<Arc<Change>> {
        let tail = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tail.changes.get(tail.index(position)?).map(|kept| kept.change.clone())
    }

    /// Up to `limit` changes that follow this position, if all from there on are still here.
    pub(crate) fn after(&self, position: Option<Position>, limit: usize) -> Option<Vec<Kept>> {
        let tail = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let next = position.map_or(Position::FIRST, Position::next);
        let start = tail.index(next).filter(|start| *start < tail.changes.len())?;
        Some(tail.changes.range(start..).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cresset_model::{
        Base, ClientName, Interaction, ResourceId, ResourceKey, ResourceType, VersionId,
    };
    use jiff::Timestamp;

    use super::*;

    fn change(position: u64, bytes: usize) -> Kept {
        let change = Change {
            position: Position::new(position).unwrap(),
            key: ResourceKey {
                base: Base::new(1),
                resource_type: ResourceType::new("Patient").unwrap(),
                id: ResourceId::new("p").unwrap(),
            },
            version: VersionId::FIRST,
            interaction: Interaction::Update,
            at: Timestamp::UNIX_EPOCH,
            author: ClientName::new("a").unwrap(),
            body: Bytes::from(vec![0; bytes]),
            trace: None,
        };
        Kept { change: Arc::new(change), rows: None }
    }

    #[test]
    fn the_oldest_go_when_the_bounds_are_reached_and_the_newest_stays() {
        let recent = Recent::default();
        recent.push([change(5, 10), change(6, RECENT_BYTES_MAX), change(7, 1)]);
        let held = |number| recent.get(Position::new(number).unwrap()).is_some();
        assert!(!held(5) && !held(6) && held(7) && !held(8));
        recent.push([change(8, RECENT_BYTES_MAX * 2)]);
        assert!(!held(7) && held(8));
    }

    #[test]
    fn a_gap_forgets_what_was_before_it() {
        let recent = Recent::default();
        recent.push([change(5, 1), change(9, 1)]);
        assert!(recent.get(Position::new(5).unwrap()).is_none());
        assert_eq!(recent.get(Position::new(9).unwrap()).unwrap().position.get(), 9);
    }
}
