//! A subscription in a catalog: one block of memory, since there may be millions of them.

use cresset_definitions::{Definitions, TypeDefinition};
use cresset_model::SubscriptionKey;
use cresset_search::Criterion;
use triomphe::ThinArc;

use super::{Group, Placement};
use crate::focus::TypeSet;

/// A subscription in a catalog; cheap to clone.
///
/// Its criteria lie in the same block, those of one group one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Entry(ThinArc<Header, Criterion>);

#[derive(Debug)]
struct Header {
    key: SubscriptionKey,
    asked: Asked,
}

/// Whose criteria they are.
#[derive(Debug)]
enum Asked {
    /// All of them one type's, which is the rule and takes no further memory.
    OfOne { slot: u32, placement: Placement, resource_type: &'static TypeDefinition },
    /// Those of several groups.
    OfSeveral { slot: u32, parts: Box<Parts> },
}

/// The groups; behind a thin pointer, so that those of one type pay for no wide one.
#[derive(Debug)]
struct Parts(Vec<Part>);

#[derive(Debug)]
struct Part {
    types: TypeSet,
    placement: Placement,
    /// Where its criteria begin.
    start: usize,
    /// Where they end.
    end: usize,
}

/// A group of a subscription in a catalog.
#[derive(Debug)]
pub(crate) struct Placed<'e> {
    pub(crate) types: TypeSet,
    pub(crate) placement: Placement,
    pub(crate) criteria: &'e [Criterion],
}

impl Entry {
    /// A subscription to the topic in `slot`, with its groups and where each is found.
    pub(crate) fn new(
        definitions: &Definitions,
        key: SubscriptionKey,
        slot: u32,
        groups: Vec<(Group, Placement)>,
    ) -> Self {
        let asked = match groups.as_slice() {
            [(Group { types: TypeSet::One(one), .. }, placement)] => {
                let of_one =
                    |resource_type| Asked::OfOne { slot, placement: *placement, resource_type };
                definitions.type_named(one).map(of_one)
            }
            _ => None,
        };
        let mut end = 0;
        let parts = groups.iter().map(|(group, placement)| {
            let start = end;
            end += group.criteria.len();
            Part { types: group.types.clone(), placement: *placement, start, end }
        });
        let asked = asked
            .unwrap_or_else(|| Asked::OfSeveral { slot, parts: Box::new(Parts(parts.collect())) });
        let criteria: Vec<_> = groups.into_iter().flat_map(|(group, _)| group.criteria).collect();
        Self(ThinArc::from_header_and_iter(Header { key, asked }, criteria.into_iter()))
    }

    pub(crate) fn key(&self) -> SubscriptionKey {
        self.0.header.header.key
    }

    /// The place of its topic.
    pub(crate) fn slot(&self) -> u32 {
        match self.asked() {
            Asked::OfOne { slot, .. } | Asked::OfSeveral { slot, .. } => *slot,
        }
    }

    /// What must all hold of events about this type; none if it gets none.
    pub(crate) fn criteria(&self, resource_type: &str) -> Option<&[Criterion]> {
        match self.asked() {
            Asked::OfOne { resource_type: one, .. } => {
                (one.name == resource_type).then_some(&self.0.slice)
            }
            Asked::OfSeveral { parts, .. } => {
                let part = parts.0.iter().find(|part| part.types.contains(resource_type))?;
                self.0.slice.get(part.start..part.end)
            }
        }
    }

    /// Its groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Placed<'_>> {
        let (one, parts) = match self.asked() {
            Asked::OfOne { placement, resource_type, .. } => {
                let types = TypeSet::One(resource_type.name);
                (Some(Placed { types, placement: *placement, criteria: &self.0.slice }), &[][..])
            }
            Asked::OfSeveral { parts, .. } => (None, parts.0.as_slice()),
        };
        let parts = parts.iter().map(|part| Placed {
            types: part.types.clone(),
            placement: part.placement,
            criteria: self.0.slice.get(part.start..part.end).unwrap_or_default(),
        });
        one.into_iter().chain(parts)
    }

    fn asked(&self) -> &Asked {
        &self.0.header.header.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_no_more_memory_than_it_needs() {
        assert_eq!((size_of::<Header>(), size_of::<Criterion>()), (24, 56));
        assert_eq!(size_of::<Option<Entry>>(), 8);
    }
}
