//! Spans in order: those that overlap a given one are found without looking at the others.
//!
//! Spans lie by their length, in levels of doubling length, and within a level by their start. One
//! that overlaps a place starts at most its length before it, so that of what is looked at in a level
//! about half overlaps. Spans without end lie in levels of their own, by the end they have; of those
//! everything that is looked at overlaps. Tests: `catalog/tests.rs`.

use cresset_model::SubscriptionKey;
use cresset_search::Span;
use imbl::OrdMap;

use super::index::Candidates;
use crate::subscription::Entry;

/// The level of spans without a low end, by their high end; below are those with both ends.
const WITHOUT_LOW: u8 = 65;
/// The level of spans without a high end, by their low end.
const WITHOUT_HIGH: u8 = 66;

/// Where a span lies: its level, its place there, and the number of its subscription.
type Place = (u8, i64, u64);

/// Subscriptions by a span each.
#[derive(Debug, Clone, Default)]
pub(super) struct Intervals {
    places: OrdMap<Place, Entry>,
    /// How many spans each level has that has any.
    levels: OrdMap<u8, usize>,
}

impl Intervals {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn insert(&mut self, span: Span, entry: &Entry) {
        let place = place(span, entry.key());
        if self.places.insert(place, entry.clone()).is_none() {
            *self.levels.entry(place.0).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, span: Span, key: SubscriptionKey) {
        let place = place(span, key);
        if self.places.remove(&place).is_none() {
            return;
        }
        let level = place.0;
        if let Some(count) = self.levels.get_mut(&level) {
            *count -= 1;
            if *count == 0 {
                self.levels.remove(&level);
            }
        }
    }

    /// Adds all whose span overlaps this one, and some others.
    pub(super) fn overlapping<'i>(&'i self, span: Span, found: &mut Candidates<'i>) {
        for level in self.levels.keys().copied() {
            let (low, high) = match level {
                WITHOUT_LOW => (span.low, i64::MAX),
                WITHOUT_HIGH => (i64::MIN, span.high),
                _ => (span.low.saturating_sub_unsigned(longest(level)), span.high),
            };
            let places = self.places.range((level, low, 0)..=(level, high, u64::MAX));
            found.extend(places.map(|(_, entry)| entry));
        }
    }
}

fn place(span: Span, key: SubscriptionKey) -> Place {
    let (level, at) = match (span.low, span.high) {
        (i64::MIN, high) => (WITHOUT_LOW, high),
        (low, i64::MAX) => (WITHOUT_HIGH, low),
        (low, high) => {
            let length = high.abs_diff(low);
            // At most 64: as many bits as a length has.
            let bits = u64::BITS - length.leading_zeros();
            (u8::try_from(bits).unwrap_or(u8::MAX), low)
        }
    };
    (level, at, key.position().get())
}

/// The longest span of a level with both ends.
fn longest(level: u8) -> u64 {
    u64::MAX.checked_shr(u64::BITS - u32::from(level)).unwrap_or_default()
}
