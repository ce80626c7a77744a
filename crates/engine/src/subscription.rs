//! A compiled subscription: its filters as criteria, per focus type of its topic.
//!
//! Several filters must all hold (RQ-FL-05). A filter is for the type it names; other types are
//! not held against it (RQ-FL-06). One without a type is asked of every focus type; one where the
//! topic does not offer it has no events (RQ-FL-07). What the topic does not offer, or what cannot be evaluated, refuses the
//! subscription and is never ignored (RQ-FL-11, TR-21). Tests: `subscription/tests.rs`.

use std::sync::Arc;

use cresset_search::{Criterion, Set};
use smallvec::SmallVec;

use crate::focus::TypeSet;
use crate::topic::CompiledTopic;

mod compile;
mod entry;
mod reach;
#[cfg(test)]
mod tests;

pub(crate) use compile::compile;
pub(crate) use entry::{Entry, Placed};

/// Most filters of one subscription (I10).
pub const FILTERS_MAX: usize = 100;

/// A subscription that changes can be matched with.
#[derive(Debug, Clone)]
pub struct CompiledSubscription {
    pub(crate) topic: Arc<CompiledTopic>,
    pub(crate) slot: u32,
    pub(crate) groups: Groups,
}

impl CompiledSubscription {
    /// Its topic, in the version that its canonical meant when it was compiled.
    pub fn topic(&self) -> &Arc<CompiledTopic> {
        &self.topic
    }

    /// The sets that its filters ask about, so that it can be refused where they are not there.
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        self.criteria().flat_map(Criterion::sets)
    }

    /// Whether its filters may look at other resources than the focus: which events it gets tells
    /// of them too.
    pub fn asks_others(&self) -> bool {
        self.criteria().any(Criterion::needs_others)
    }

    /// The parameters by which resources have to be found to evaluate its filters, with their types.
    pub fn searches(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.criteria().flat_map(Criterion::searches)
    }

    /// What it asks of events about this type; none if it gets none.
    pub(crate) fn group(&self, resource_type: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.types.contains(resource_type))
    }

    fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        self.groups.iter().flat_map(|group| &group.criteria)
    }
}

/// What a subscription asks of each focus type; one group with one criterion is the rule.
pub(crate) type Groups = SmallVec<[Group; 1]>;

/// Focus types with the same criteria.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) types: TypeSet,
    /// All must hold; none means that every event of the types is wanted.
    pub(crate) criteria: SmallVec<[Criterion; 1]>,
}

/// Which of its criteria a group is found by in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// By the keys of this one.
    Keys(u8),
    /// By none: it stands in the residual list.
    Residual,
    /// By the span of this one and of the others of its parameter.
    Span(u8),
}
