//! `evaluate`: whose event a change is.
//!
//! For each topic with events about the type, first the candidates among its subscriptions are
//! found through the index, then its triggers are asked, then each candidate's filters. Topics
//! without candidates cost no trigger. Whatever cannot be evaluated lets no event through and is
//! reported (I9). Tests: `evaluate/tests.rs`; `evaluate/tests/properties.rs` compares with a scan.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cresset_model::{Canonical, SubscriptionKey};
use cresset_search::{Lookup, Need};

use crate::catalog::{Catalog, Slot};
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
    pub matches: Vec<Match>,
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

/// Finds the subscriptions that a change is an event of.
///
/// A panic in the evaluation of a topic is a problem of that topic.
pub fn evaluate(change: &ResourceChange<'_>, catalog: &Catalog, lookup: &Lookup<'_>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    let states = States::new(change, catalog.scope());
    let mut candidates = Vec::new();
    for slot in catalog.slots_of(change.resource_type) {
        if let Some(topic) = &slot.topic {
            let evaluator = Evaluator { states: &states, lookup, slot, topic };
            // A bug in one topic's evaluation keeps no event from the subscribers of others.
            let evaluated = catch_unwind(AssertUnwindSafe(|| {
                evaluator.topic(&mut candidates, &mut evaluation);
            }));
            if evaluated.is_err() {
                evaluator.report(None, &"the server failed at evaluating it", &mut evaluation);
            }
        }
    }
    evaluation.matches.sort_unstable_by_key(|found| found.subscription);
    evaluation
}

/// One topic and one change.
struct Evaluator<'r, 'e, 'l> {
    states: &'r States<'e>,
    lookup: &'e Lookup<'l>,
    slot: &'e Slot,
    topic: &'e Arc<CompiledTopic>,
}

impl<'e> Evaluator<'_, 'e, '_> {
    /// Adds the matches of the topic. `candidates` is room that the topics share.
    fn topic(&self, candidates: &mut Vec<&'e Entry>, evaluation: &mut Evaluation) {
        let resource_type = self.states.resource_type();
        let interaction = self.states.interaction();
        if self.topic.triggers(resource_type, interaction).next().is_none() {
            return;
        }
        let Some(values) = self.states.values(self.states.filtered()) else {
            self.report(None, &TriggerProblem::UnknownState, evaluation);
            return;
        };
        candidates.clear();
        self.slot.candidates(values, candidates, |problem| {
            self.report(None, &problem, evaluation);
        });
        if candidates.is_empty() || !self.fires(evaluation) {
            return;
        }
        candidates.sort_unstable_by_key(|entry| entry.key);
        candidates.dedup_by_key(|entry| entry.key);
        for entry in candidates.iter() {
            let Some(group) = entry.group(resource_type) else {
                continue;
            };
            match group.matches(values, self.lookup) {
                Ok(true) => evaluation
                    .matches
                    .push(Match { subscription: entry.key, topic: Arc::clone(self.topic) }),
                Ok(false) => {}
                Err(problem) if problem.missing().is_empty() => {
                    self.report(Some(entry.key), &problem, evaluation);
                }
                Err(problem) => evaluation.need(problem.missing()),
            }
        }
    }

    /// Whether one of the triggers fires (RQ-TP-20).
    fn fires(&self, evaluation: &mut Evaluation) -> bool {
        let topic: &'e CompiledTopic = self.topic;
        let mut missing = Vec::new();
        for trigger in topic.triggers(self.states.resource_type(), self.states.interaction()) {
            match trigger.fires(self.states, self.lookup) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(TriggerProblem::Missing(needs)) => missing.extend(needs),
                Err(problem) => self.report(None, &problem, evaluation),
            }
        }
        evaluation.need(&missing);
        false
    }

    fn report(
        &self,
        subscription: Option<SubscriptionKey>,
        problem: &dyn std::fmt::Display,
        evaluation: &mut Evaluation,
    ) {
        if evaluation.problems.len() < PROBLEMS_MAX {
            let topic = self.topic.canonical().clone();
            evaluation.problems.push(Problem { subscription, topic, text: problem.to_string() });
        } else {
            evaluation.problems_left_out += 1;
        }
    }
}
