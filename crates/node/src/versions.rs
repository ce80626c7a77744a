//! Which version of a resource was the current one then.

use cresset_model::{Change, VersionId};
use cresset_store::{Error, Store};

/// The last version, from this one back, of which something holds that also holds of every version
/// before it; and how many versions were looked at.
///
/// Versions have no gap, so it is looked for by ever longer steps back, and then by halves: a
/// resource that was changed a thousand times since costs twenty reads, one that was changed once
/// costs one.
///
/// # Errors
/// The store cannot answer.
pub(crate) fn last_that(
    store: &dyn Store,
    newest: Change,
    holds: impl Fn(&Change) -> bool,
) -> Result<(Option<Change>, usize), Error> {
    let mut looks = 1;
    if holds(&newest) {
        return Ok((Some(newest), looks));
    }
    // It holds of `low`, which is `found`, or is before the first; it does not hold of `high`.
    let (mut low, mut high, mut step) = (0, newest.version.get(), 1);
    let mut found = None;
    while high - low > 1 {
        let number = high.saturating_sub(step).max(low + (high - low) / 2);
        let version = VersionId::new(number).map(|number| store.version(&newest.key, number));
        looks += 1;
        match version.transpose()?.flatten() {
            Some(change) if !holds(&change) => high = number,
            version => (low, found) = (number, version),
        }
        step = step.saturating_mul(2);
    }
    Ok((found, looks))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cresset_model::{
        Base, ClientName, Interaction, Position, ResourceId, ResourceKey, ResourceType,
    };
    use cresset_store::{ChangeLog as _, Entry, Group, MemoryStore};
    use jiff::Timestamp;

    use super::*;

    fn change(number: u64) -> Change {
        Change {
            position: Position::new(number).unwrap(),
            key: ResourceKey {
                base: Base::new(1),
                resource_type: ResourceType::new("Patient").unwrap(),
                id: ResourceId::new("p").unwrap(),
            },
            version: VersionId::new(number).unwrap(),
            interaction: Interaction::Update,
            at: Timestamp::UNIX_EPOCH,
            author: ClientName::new("a").unwrap(),
            body: Bytes::from_static(b"{}"),
            trace: None,
        }
    }

    #[test]
    fn it_is_found_wherever_it_is_with_few_looks() {
        const NEWEST: u64 = 1_000;
        let store = MemoryStore::default();
        let entries = (1..=NEWEST).map(|number| Entry {
            change: change(number),
            events: Vec::new(),
            subscription: None,
        });
        store.append(&Group { entries: entries.collect(), records: Vec::new() }).unwrap();
        for last in 0..=NEWEST {
            let holds = |change: &Change| change.version.get() <= last;
            let (found, looks) = last_that(&store, change(NEWEST), holds).unwrap();
            assert_eq!(found.map_or(0, |found| found.version.get()), last);
            assert!(looks <= 21, "{last}: {looks}");
        }
    }
}
