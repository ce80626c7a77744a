//! `evaluate`: whose event a change is.
//!
//! First the candidates among the subscriptions of all topics are found through the index, then the
//! triggers of their topics are asked, then each candidate's filters. Topics without candidates cost
//! nothing. An occurrence that is no change ([`evaluate_occurrence`]) has its topic named, and fires
//! it; its candidates are found and asked in the same way. Whatever cannot be evaluated lets no
//! event through and is reported (I9). Tests: `evaluate/tests.rs`; `evaluate/tests/properties.rs`
//! compares with a scan.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cresset_model::{Canonical, SubscriptionKey};
use cresset_search::{Lookup, Need, ResourceValues, all_match};
use jiff::Timestamp;
use serde_json::Value;
use smallvec::SmallVec;

use crate::catalog::{Candidates, Catalog, Interest};
use crate::states::{ResourceChange, States};
use crate::subscription::Entry;
use crate::topic::CompiledTopic;
use crate::trigger::TriggerProblem;

#[cfg(test)]
mod tests;

/// Most problems that one evaluation reports; further ones are only counted.
pub const PROBLEMS_MAX: usize = 100;

/// Most look-ups that one evaluation asks for; the next one asks for more.
pub const MISSING_MAX: usize = 1_000;

/// A subscription that the change is an event of.
#[derive(Debug, Clone)]
pub struct Match {
    /// Which.
    pub subscription: SubscriptionKey,
    /// Its topic.
    pub topic: Arc<CompiledTopic>,
}

/// Something that could not be evaluated, and therefore let no event through (I9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The one subscription it is about; none if it is about the topic, and so about all of them.
    pub subscription: Option<SubscriptionKey>,
    /// The topic.
    pub topic: Canonical,
    /// What is wrong; holds nothing of the resource.
    pub text: String,
}

/// What an evaluation found.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// The subscriptions it is an event of, sorted by key, each once (I2).
    pub matches: SmallVec<[Match; 1]>,
    /// What could not be evaluated, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many further problems there were.
    pub problems_left_out: usize,
    /// What the answer depends on, at most [`MISSING_MAX`]: the caller looks it up and evaluates
    /// again with a [`Lookup`] that has it all. What it does not find in time it marks as
    /// unavailable, so that only what depends on it has no answer.
    pub missing: BTreeSet<Need>,
}

impl Evaluation {
    fn need(&mut self, needs: &[Need]) {
        for need in needs {
            if self.missing.len() < MISSING_MAX && !self.missing.contains(need) {
                self.missing.insert(need.clone());
            }
        }
    }
}

/// What is told of a topic whose evaluation panicked.
pub(crate) const FAILED: &str = "the server failed at evaluating it";

/// Finds the subscriptions that a change is an event of.
///
/// A panic in the evaluation of a topic is a problem of that topic.
pub fn evaluate(change: &ResourceChange<'_>, catalog: &Catalog, lookup: &Lookup<'_>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    if catalog.interest(change.resource_type, change.interaction) == Interest::None {
        return evaluation;
    }
    let states = States::new(change, catalog.scope());
    Evaluator { states: &states, lookup, catalog }.evaluate(&mut evaluation);
    evaluation.matches.sort_unstable_by_key(|found| found.subscription);
    evaluation
}

/// Something that happened and is no change of data (`eventTrigger`).
#[derive(Debug, Clone, Copy)]
pub struct Occurrence<'a> {
    /// The topic that it fires, one of the catalog. That it has such an event
    /// ([`CompiledTopic::types_of_event`]) is for the caller to see to.
    pub topic: &'a Arc<CompiledTopic>,
    /// Type of the focus.
    pub resource_type: &'a str,
    /// The focus, as it is.
    pub focus: &'a Value,
    /// When it happened.
    pub at: Timestamp,
}

/// Finds the subscriptions that an occurrence is an event of: those to its topic whose filters the
/// focus matches.
pub fn evaluate_occurrence(
    occurrence: &Occurrence<'_>,
    catalog: &Catalog,
    lookup: &Lookup<'_>,
) -> Evaluation {
    let Occurrence { topic, resource_type, focus, at } = *occurrence;
    let mut evaluation = Evaluation::default();
    let slot = catalog.slot_with(topic).filter(|_| topic.is_effective(at));
    let Some(slot) = slot else { return evaluation };
    let values = ResourceValues::new(catalog.scope(), resource_type, focus);
    let mut candidates = Candidates::new();
    catalog.index().candidates(&values, &mut candidates, |problem, slots| {
        for _ in slots.filter(|one| *one == slot) {
            report(topic, None, problem, &mut evaluation);
        }
    });
    candidates.retain(|entry| entry.slot() == slot);
    candidates.sort_unstable_by_key(|entry| entry.key());
    candidates.dedup_by_key(|entry| entry.key());
    add_matches(topic, &candidates, (&values, lookup), &mut evaluation);
    evaluation
}

/// One change and all topics.
struct Evaluator<'r, 'e, 'l> {
    states: &'r States<'e>,
    lookup: &'e Lookup<'l>,
    catalog: &'e Catalog,
}

impl<'e> Evaluator<'_, 'e, '_> {
    fn evaluate(&self, evaluation: &mut Evaluation) {
        let Some(values) = self.states.values(self.states.filtered()) else {
            for topic in self.catalog.listening().filter(|topic| self.is_told(topic)) {
                report(topic, None, &TriggerProblem::UnknownState, evaluation);
            }
            return;
        };
        let mut candidates = Candidates::new();
        self.catalog.index().candidates(values, &mut candidates, |problem, slots| {
            let topics = slots.filter_map(|slot| self.catalog.topic_at(slot));
            for topic in topics.filter(|topic| self.is_told(topic)) {
                report(topic, None, problem, evaluation);
            }
        });
        candidates.sort_unstable_by_key(|entry| (entry.slot(), entry.key()));
        candidates.dedup_by_key(|entry| entry.key());
        for entries in candidates.chunk_by(|a, b| a.slot() == b.slot()) {
            let topic = entries.first().and_then(|entry| self.catalog.topic_at(entry.slot()));
            let Some(topic) = topic.filter(|topic| topic.is_effective(self.states.at())) else {
                continue;
            };
            // A bug in one topic's evaluation keeps no event from the subscribers of others.
            let evaluated = catch_unwind(AssertUnwindSafe(|| {
                if self.fires(topic, evaluation) {
                    add_matches(topic, entries, (values, self.lookup), evaluation);
                }
            }));
            if evaluated.is_err() {
                report(topic, None, &FAILED, evaluation);
            }
        }
    }

    /// Whether the topic is in force and has a trigger for this type and interaction.
    fn is_told(&self, topic: &CompiledTopic) -> bool {
        let mut triggers = topic.triggers(self.states.resource_type(), self.states.interaction());
        triggers.next().is_some() && topic.is_effective(self.states.at())
    }

    /// Whether one of the topic's triggers fires (RQ-TP-20).
    fn fires(&self, topic: &'e CompiledTopic, evaluation: &mut Evaluation) -> bool {
        let mut missing = Vec::new();
        for trigger in topic.triggers(self.states.resource_type(), self.states.interaction()) {
            match trigger.fires(self.states, self.lookup) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(TriggerProblem::Missing(needs)) => missing.extend(needs),
                Err(problem) => report(topic, None, &problem, evaluation),
            }
        }
        evaluation.need(&missing);
        false
    }
}

/// Adds those of a topic's subscriptions whose filters hold.
fn add_matches(
    topic: &Arc<CompiledTopic>,
    entries: &[&Entry],
    (values, lookup): (&ResourceValues<'_>, &Lookup<'_>),
    evaluation: &mut Evaluation,
) {
    for entry in entries {
        let Some(criteria) = entry.criteria(values.resource_type()) else {
            continue;
        };
        // One criterion that does not hold decides, whatever another one's problem.
        match all_match(criteria, values, lookup) {
            Ok(true) => {
                let subscription = entry.key();
                evaluation.matches.push(Match { subscription, topic: Arc::clone(topic) });
            }
            Ok(false) => {}
            Err(problem) if problem.missing().is_empty() => {
                report(topic, Some(entry.key()), &problem, evaluation);
            }
            Err(problem) => evaluation.need(problem.missing()),
        }
    }
}

fn report(
    topic: &CompiledTopic,
    subscription: Option<SubscriptionKey>,
    problem: &dyn std::fmt::Display,
    evaluation: &mut Evaluation,
) {
    if evaluation.problems.len() < PROBLEMS_MAX {
        let topic = topic.canonical().clone();
        evaluation.problems.push(Problem { subscription, topic, text: problem.to_string() });
    } else {
        evaluation.problems_left_out += 1;
    }
}
