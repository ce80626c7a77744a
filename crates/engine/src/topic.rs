//! A compiled topic: its triggers by focus type, and the filters it offers.
//!
//! It is made once, when the topic is created or read from the store, by
//! [`Catalog::compile_topic`](crate::Catalog::compile_topic), and shared by every catalog that
//! has it. It does not know the subscriptions of the topic. Tests: `topic/tests.rs`.

use std::collections::BTreeMap;

use cresset_model::{Canonical, Coding, Interaction, Topic, is_criteria_topic};
use cresset_search::{Criterion, Set};
use jiff::Timestamp;
use smallvec::SmallVec;

use crate::catalog::Interest;
use crate::focus::TypeSet;
use crate::offer::Offer;
use crate::shape::{Shape, Shapes};
use crate::trigger::Trigger;

mod compile;
mod criteria;
mod lint;
#[cfg(test)]
mod tests;

pub(crate) use compile::{compile, compile_expression};
pub(crate) use criteria::criteria_topic;

/// Most resource triggers, and most event triggers, of one topic.
pub const TRIGGERS_MAX: usize = 100;

/// Most filters that one topic may offer.
pub const OFFERS_MAX: usize = 200;

/// A topic that changes can be evaluated against.
#[derive(Debug)]
pub struct CompiledTopic {
    topic: Topic,
    canonical: Canonical,
    triggers: Box<[Trigger]>,
    /// Which triggers each focus type has, by index.
    by_type: BTreeMap<&'static str, SmallVec<[u16; 4]>>,
    event_triggers: Box<[EventTest]>,
    focus_types: TypeSet,
    offers: Box<[Offer]>,
    shapes: Shapes,
    effective: Effective,
}

/// A compiled `eventTrigger`.
#[derive(Debug)]
pub(crate) struct EventTest {
    /// Codes of the one occurrence.
    event: Box<[Coding]>,
    types: Vec<&'static str>,
}

impl EventTest {
    /// Whether one of the codings means this occurrence. As in a search, one without a system
    /// means its code in any.
    fn is_of(&self, event: &[Coding]) -> bool {
        event.iter().any(|asked| {
            self.event.iter().any(|own| {
                own.code == asked.code && (asked.system.is_none() || own.system == asked.system)
            })
        })
    }
}

/// `effectivePeriod`, in microseconds since 1970, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effective {
    start: i64,
    end: i64,
}

impl Effective {
    const ALWAYS: Self = Self { start: i64::MIN, end: i64::MAX };
}

impl CompiledTopic {
    /// The topic as it was read.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Its URL, with its version if it has one.
    pub fn canonical(&self) -> &Canonical {
        &self.canonical
    }

    /// The types its events can be about, sorted.
    pub fn focus_types(&self) -> &[&'static str] {
        self.focus_types.as_slice()
    }

    /// Which states its triggers look at, for one type and interaction.
    pub(crate) fn interest(&self, resource_type: &str, interaction: Interaction) -> Interest {
        let triggers = self.triggers(resource_type, interaction);
        let needed = triggers.map(|trigger| match interaction {
            Interaction::Create => Interest::Current,
            Interaction::Delete => Interest::Previous,
            Interaction::Update if trigger.needs_previous() => Interest::CurrentAndPrevious,
            Interaction::Update => Interest::Current,
        });
        needed.max().unwrap_or(Interest::None)
    }

    /// The parameters by which resources have to be found to evaluate its criteria, with their types.
    pub fn searches(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.triggers.iter().flat_map(Trigger::criteria).flat_map(Criterion::searches)
    }

    /// The sets that its criteria ask about, so that its author can be told where they are not there.
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        self.triggers.iter().flat_map(Trigger::criteria).flat_map(Criterion::sets)
    }

    /// The parameters by which resources have to be found to answer the filters that it offers, by
    /// the index of each in `canFilterBy`.
    pub fn offered_searches(
        &self,
    ) -> impl Iterator<Item = (usize, &[(&'static str, &'static str)])> {
        self.offers.iter().map(Offer::searches).enumerate()
    }

    /// Whether its triggers may look at other resources than the one that changed: what fires it
    /// tells of them too.
    pub fn asks_others(&self) -> bool {
        self.triggers.iter().any(Trigger::asks_others)
    }

    /// Whether it is in force then; outside of its period nothing is an event (RQ-TP-09).
    pub fn is_effective(&self, at: Timestamp) -> bool {
        let at = at.as_microsecond();
        self.effective.start <= at && at < self.effective.end
    }

    /// What goes with a focus of this type, if anything does.
    pub fn shape(&self, resource_type: &str) -> Option<&Shape> {
        self.shapes.get(resource_type)
    }

    /// What goes with a focus of any type.
    pub fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.shapes.values()
    }

    /// The codes of the occurrences that are events (RQ-TP-34).
    pub fn event_codes(&self) -> impl Iterator<Item = &Coding> {
        self.event_triggers.iter().flat_map(|trigger| &trigger.event)
    }

    /// The types of which the focus of this occurrence may be; none if it is no event.
    pub fn types_of_event(&self, event: &[Coding]) -> Vec<&'static str> {
        let triggers = self.event_triggers.iter().filter(|trigger| trigger.is_of(event));
        let mut types: Vec<_> = triggers.flat_map(|trigger| trigger.types.clone()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    pub(crate) fn types(&self) -> &TypeSet {
        &self.focus_types
    }

    pub(crate) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Whether subscriptions may filter by every search parameter of its types, as a search does: it is
    /// what criteria are about (RQ-SB-02).
    pub(crate) fn offers_all(&self) -> bool {
        is_criteria_topic(&self.canonical.url)
    }

    /// The compiled form of the resource trigger with this index in the topic.
    pub(crate) fn trigger(&self, index: usize) -> Option<&Trigger> {
        self.triggers.get(index)
    }

    /// Whether the resource trigger with this index is about a focus type.
    pub(crate) fn is_about(&self, index: usize, resource_type: &str) -> bool {
        let triggers = self.by_type.get(resource_type).into_iter().flatten();
        triggers.into_iter().any(|one| usize::from(*one) == index)
    }

    /// The triggers of a focus type for an interaction.
    pub(crate) fn triggers<'t>(
        &'t self,
        resource_type: &str,
        interaction: Interaction,
    ) -> impl Iterator<Item = &'t Trigger> + use<'t> {
        self.by_type
            .get(resource_type)
            .into_iter()
            .flatten()
            .map(|index| &self.triggers[usize::from(*index)])
            .filter(move |trigger| trigger.interactions.contains(interaction))
    }
}
