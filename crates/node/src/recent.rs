//! The newest changes, kept in memory so that a notification right after its write reads no disk.
//!
//! A cache and no more: whoever misses here reads the log (I8).

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use cresset_model::{Change, Position};

/// Bytes of resource bodies kept at most; the newest change is kept whatever its size.
pub(crate) const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Changes kept at most.
pub(crate) const RECENT_CHANGES_MAX: usize = 16_384;

/// The tail of the change log.
#[derive(Default)]
pub(crate) struct Recent(RwLock<Tail>);

#[derive(Default)]
struct Tail {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
}

impl Recent {
    /// Adds changes that follow those already there; drops the oldest beyond the bounds.
    pub(crate) fn push(&self, changes: impl IntoIterator<Item = Arc<Change>>) {
        let mut tail = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            if tail.changes.back().is_some_and(|last| last.position.next() != change.position) {
                tail.changes.clear();
                tail.bytes = 0;
            }
            tail.bytes += change.body.len();
            tail.changes.push_back(change);
            while tail.changes.len() > 1
                && (tail.bytes > RECENT_BYTES_MAX || tail.changes.len() > RECENT_CHANGES_MAX)
            {
                if let Some(dropped) = tail.changes.pop_front() {
                    tail.bytes -= dropped.body.len();
                }
            }
        }
    }

    /// The change at this position, if it is still here.
    pub(crate) fn get(&self, position: Position) -> Option<Arc<Change>> {
        let tail = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let first = tail.changes.front()?.position.get();
        let index = usize::try_from(position.get().checked_sub(first)?).ok()?;
        tail.changes.get(index).cloned()
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

    fn change(position: u64, bytes: usize) -> Arc<Change> {
        Arc::new(Change {
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
        })
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
