//! The newest part of the log's views, in memory until it is folded into the file.
//!
//! Everything here is also in the log, from which it is read again when the store is opened. It
//! answers before the file does: what is in the tail is newer than what the file's views hold.
//!
//! Two overlays at most: the active one, which grows with each append, and a frozen one, which is
//! being folded. Readers hold the lock around them for as long as it takes to copy an answer.

use std::collections::{BTreeMap, VecDeque};

use cresset_model::{Position, ResourceId, SubscriptionKey};
use cresset_store::Error;
use smallvec::SmallVec;

use crate::fold::Progress;

/// A resource, with its type by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) base: u8,
    pub(crate) resource_type: i64,
    pub(crate) id: ResourceId,
}

/// A version of a resource and the position of its change.
pub(crate) type Version = (u64, u64);

/// Consecutive events of one subscription.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    /// Number of the first one here.
    pub(crate) first: u64,
    /// Positions of `first`, `first + 1` …
    pub(crate) positions: VecDeque<u64>,
}

impl Events {
    /// The last number here; `first - 1` if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.positions.len() as u64 - 1
    }

    /// Removes everything up to `number`.
    pub(crate) fn trim(&mut self, number: u64) {
        while self.first <= number && self.positions.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// Views of a stretch of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    pub(crate) versions: BTreeMap<Slot, SmallVec<[Version; 1]>>,
    pub(crate) events: BTreeMap<SubscriptionKey, Events>,
    pub(crate) cursors: BTreeMap<SubscriptionKey, u64>,
    /// How much is in it: versions, events and cursor moves.
    pub(crate) weight: usize,
}

impl Overlay {
    pub(crate) fn push_version(&mut self, slot: Slot, version: Version) {
        self.weight += 1;
        self.versions.entry(slot).or_default().push(version);
    }

    /// Adds the next event of a subscription.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is not the next (I1).
    pub(crate) fn push_event(
        &mut self,
        subscription: SubscriptionKey,
        number: u64,
        position: u64,
    ) -> Result<(), Error> {
        self.weight += 1;
        let events = self.events.entry(subscription).or_default();
        if events.positions.is_empty() {
            events.first = number;
        } else if number != events.last() + 1 || events.positions.back() >= Some(&position) {
            return Err(Error::corrupt("the log holds event numbers with a gap"));
        }
        events.positions.push_back(position);
        Ok(())
    }

    pub(crate) fn move_cursor(&mut self, subscription: SubscriptionKey, number: u64) {
        self.weight += 1;
        let cursor = self.cursors.entry(subscription).or_default();
        *cursor = number.max(*cursor);
    }
}

/// An overlay that is being folded.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) overlay: Overlay,
    /// It reaches up to this position.
    pub(crate) upto: u64,
    /// And up to this row of `cursor_move`.
    pub(crate) upto_move: u64,
    pub(crate) progress: Progress,
}

/// What is in memory of the log's views.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The last position that readers may see.
    pub(crate) head: Option<Position>,
    pub(crate) active: Overlay,
    pub(crate) frozen: Option<Frozen>,
    /// Counts frozen overlays that are folded; whoever reads the file first and the tail after
    /// it must begin again when this has moved.
    pub(crate) folded: u64,
}

impl Tail {
    fn overlays(&self) -> impl Iterator<Item = &Overlay> {
        std::iter::once(&self.active).chain(self.frozen.iter().map(|frozen| &frozen.overlay))
    }

    /// The newest version of a resource, if it is here.
    pub(crate) fn current(&self, slot: &Slot) -> Option<Version> {
        self.overlays().find_map(|overlay| overlay.versions.get(slot)?.last().copied())
    }

    /// All versions of a resource that are here, newest first.
    pub(crate) fn versions(&self, slot: &Slot) -> Vec<Version> {
        self.overlays()
            .filter_map(|overlay| overlay.versions.get(slot))
            .flat_map(|versions| versions.iter().rev().copied())
            .collect()
    }

    /// The last number given to a subscription, if it got one here.
    pub(crate) fn last_event(&self, key: SubscriptionKey) -> Option<u64> {
        self.overlays()
            .filter_map(|overlay| overlay.events.get(&key))
            .find(|events| !events.positions.is_empty())
            .map(Events::last)
    }

    /// The lowest number here of a subscription's events.
    pub(crate) fn lowest_event(&self, key: SubscriptionKey) -> Option<u64> {
        self.overlays()
            .filter_map(|overlay| overlay.events.get(&key))
            .filter(|events| !events.positions.is_empty())
            .map(|events| events.first)
            .min()
    }

    /// The cursor of a subscription, if it moved here.
    pub(crate) fn cursor(&self, key: SubscriptionKey) -> Option<u64> {
        self.overlays().find_map(|overlay| overlay.cursors.get(&key).copied())
    }

    /// Numbers and positions of the events here from `from` to `to`, at most `limit`, and the
    /// lowest number that is here at all.
    pub(crate) fn events(
        &self,
        key: SubscriptionKey,
        from: u64,
        to: u64,
        limit: usize,
    ) -> (Option<u64>, Vec<(u64, u64)>) {
        let frozen = self.frozen.as_ref().map(|frozen| &frozen.overlay);
        let oldest_first = frozen.into_iter().chain(std::iter::once(&self.active));
        let mut lowest = None;
        let mut found = Vec::new();
        for events in oldest_first.filter_map(|overlay| overlay.events.get(&key)) {
            if events.positions.is_empty() {
                continue;
            }
            lowest = lowest.or(Some(events.first));
            let skip = usize::try_from(from.saturating_sub(events.first)).unwrap_or(usize::MAX);
            let numbered = (events.first..).zip(events.positions.iter().copied()).skip(skip);
            let within = numbered.take_while(|(number, _)| *number <= to);
            found.extend(within.take(limit - found.len()));
        }
        (lowest, found)
    }

    /// Forgets events of a subscription up to `number`.
    pub(crate) fn trim(&mut self, key: SubscriptionKey, number: u64) {
        let frozen = self.frozen.as_mut().map(|frozen| &mut frozen.overlay);
        for overlay in std::iter::once(&mut self.active).chain(frozen) {
            if let Some(events) = overlay.events.get_mut(&key) {
                events.trim(number);
                if events.positions.is_empty() {
                    overlay.events.remove(&key);
                }
            }
        }
    }
}
