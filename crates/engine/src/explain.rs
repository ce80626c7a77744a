//! `explain`: why a change is an event of a topic or subscription, or is not.
//!
//! It asks the same compiled triggers and criteria as [`evaluate`](crate::evaluate) and adds what
//! they saw. Nothing of a subscription's text is kept in the catalog, so its filters come in again as
//! they were read, and each is compiled alone to see which criterion is its. Tests:
//! `explain/tests.rs`, among them that it always answers as `evaluate` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use cresset_fhirpath::{Context, Expression, parts};
use cresset_model::{
    CriteriaResult, ExplainedTest, ExplainedTrigger, Explanation, Filter, Interaction,
    QueryCriteria, ResourceTrigger, Subscription, Verdict,
};
use cresset_search::{Criteria, Criterion, Lookup, Need, ResourceValues, all_match};

use crate::catalog::Catalog;
use crate::focus;
use crate::query::QueryTest;
use crate::states::{ResourceChange, States, When};
use crate::subscription::{self, CompiledSubscription};
use crate::topic::{self, CompiledTopic};
use crate::trigger::{CURRENT, PREVIOUS, TRIGGER_STEPS_MAX, Trigger, TriggerProblem, TriggerTest};

#[cfg(test)]
mod tests;

/// Most values that one test shows; further ones are counted.
pub const EXPLAINED_VALUES_MAX: usize = 20;

/// Most characters of one value that are shown.
pub const EXPLAINED_TEXT_MAX: usize = 300;

/// Most steps that one part of an expression may take: all parts together cost no more than a few
/// evaluations of the whole.
const PART_STEPS_MAX: u32 = 2_000;

/// What an explanation is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A subscription, compiled by the catalog, and as it was read.
    Subscription(&'a CompiledSubscription, &'a Subscription),
    /// A topic: whether any subscription without filters would get an event.
    Topic(&'a Arc<CompiledTopic>),
}

/// Explains a change.
///
/// The second value is what is missing, as with [`evaluate`](crate::evaluate): for the caller to look
/// up and to ask again with.
pub fn explain(
    change: &ResourceChange<'_>,
    catalog: &Catalog,
    subject: Subject<'_>,
    lookup: &Lookup<'_>,
) -> (Explanation, BTreeSet<Need>) {
    let states = States::new(change, catalog.scope());
    let topic = match subject {
        Subject::Subscription(compiled, _) => compiled.topic(),
        Subject::Topic(topic) => topic,
    };
    let mut explainer = Explainer {
        catalog,
        states: &states,
        lookup,
        topic,
        problems: Vec::new(),
        missing: BTreeSet::new(),
    };
    let triggers = explainer.triggers();
    let fired = any_of(triggers.iter().map(|trigger| trigger.verdict));
    if fired == Verdict::Holds {
        explainer.missing.clear();
    }
    let (filtered, filters) = match subject {
        Subject::Subscription(compiled, read) => explainer.filters(compiled, read),
        Subject::Topic(_) => (Verdict::Holds, Vec::new()),
    };
    let chosen = match subject {
        Subject::Subscription(compiled, _) => compiled.group(change.resource_type).is_some(),
        Subject::Topic(_) => true,
    };
    let (verdict, summary) = match topic.is_effective(change.at) {
        true if fired == Verdict::Holds && !chosen => {
            let summary = match topic.topic().filters_choose_types {
                true => "the filters of the subscription choose other types of resources",
                false => "a filter that names no type cannot be asked of this type of resource",
            };
            (Verdict::Fails, summary)
        }
        true => conclusion(fired, filtered, subject),
        false => (Verdict::Fails, "the topic is outside of its effectivePeriod then"),
    };
    let explanation = Explanation {
        topic: topic.canonical().clone(),
        resource_type: change.resource_type.to_owned(),
        interaction: change.interaction,
        verdict,
        summary: summary.to_owned(),
        triggers,
        filters,
        problems: explainer.problems,
        missing: explainer.missing.iter().map(Need::shown).collect(),
    };
    (explanation, explainer.missing)
}

/// What of the parts makes the whole.
fn conclusion(fired: Verdict, filtered: Verdict, subject: Subject<'_>) -> (Verdict, &'static str) {
    match (fired, filtered) {
        (Verdict::NotAsked, _) => (Verdict::Fails, "no trigger of the topic is for such a change"),
        (Verdict::Fails, _) => (Verdict::Fails, "no trigger of the topic fires"),
        (_, Verdict::Fails) => (Verdict::Fails, "a filter of the subscription does not hold"),
        (Verdict::Holds, Verdict::Holds | Verdict::NotAsked) => match subject {
            Subject::Subscription(..) => {
                (Verdict::Holds, "a trigger fires and all filters hold: it is an event")
            }
            Subject::Topic(_) => (Verdict::Holds, "a trigger fires: it is an event of the topic"),
        },
        (Verdict::Unknown, _) => {
            (Verdict::Unknown, "a trigger cannot be evaluated, so nothing is sent")
        }
        (Verdict::Holds, Verdict::Unknown) => {
            (Verdict::Unknown, "a filter cannot be evaluated, so nothing is sent")
        }
    }
}

/// Holds if one does; else unknown if one is; not asked if all are.
fn any_of(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.fold(Verdict::NotAsked, |all, one| match (all, one) {
        (Verdict::Holds, _) | (_, Verdict::Holds) => Verdict::Holds,
        (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
        (Verdict::Fails, _) | (_, Verdict::Fails) => Verdict::Fails,
        (Verdict::NotAsked, Verdict::NotAsked) => Verdict::NotAsked,
    })
}

/// One change, one topic.
struct Explainer<'r, 'e, 'l> {
    catalog: &'e Catalog,
    states: &'r States<'e>,
    lookup: &'e Lookup<'l>,
    topic: &'e Arc<CompiledTopic>,
    problems: Vec<String>,
    missing: BTreeSet<Need>,
}

impl<'e> Explainer<'_, 'e, '_> {
    fn triggers(&mut self) -> Vec<ExplainedTrigger> {
        let topic: &'e CompiledTopic = self.topic;
        let triggers = topic.topic().resource_triggers.iter().enumerate();
        let explained = triggers
            .filter_map(|(index, source)| Some(self.trigger(index, source, topic.trigger(index)?)));
        explained.collect()
    }

    fn trigger(
        &mut self,
        index: usize,
        source: &'e ResourceTrigger,
        trigger: &'e Trigger,
    ) -> ExplainedTrigger {
        let element = format!("SubscriptionTopic.resourceTrigger[{index}]");
        let (resource_type, interaction) = (self.states.resource_type(), self.states.interaction());
        let not_for = |what: &str| ExplainedTrigger {
            element: element.clone(),
            verdict: Verdict::NotAsked,
            reason: Some(format!("it is not for {what}")),
            criteria: Vec::new(),
        };
        if !self.topic.is_about(index, resource_type) {
            return not_for(&format!("changes of {resource_type}"));
        }
        if !trigger.interactions.contains(interaction) {
            return not_for(interaction.code());
        }
        let (verdict, reason) = match trigger.fires(self.states, self.lookup) {
            Ok(fires) => (Verdict::from(fires), None),
            Err(TriggerProblem::Missing(needs)) => {
                self.missing.extend(needs);
                (Verdict::Unknown, Some("other resources are needed".to_owned()))
            }
            Err(problem) => {
                self.problems.push(problem.to_string());
                (Verdict::Unknown, Some(problem.to_string()))
            }
        };
        let fell_back = trigger.fell_back(self.states, self.lookup);
        let written = source.query_criteria.as_ref();
        let criteria = match &trigger.test {
            TriggerTest::Always => Vec::new(),
            TriggerTest::FhirPath(test) => {
                let mut tests = self.expression(&test.expression, source, &element);
                if let (true, Some(query)) = (fell_back, &test.otherwise) {
                    tests.extend(self.query(query, written, &element));
                }
                tests
            }
            TriggerTest::Query(query) => self.query(query, written, &element),
        };
        let decided = "fhirPathCriteria has no single answer, so queryCriteria decides";
        let reason = reason.or_else(|| fell_back.then(|| decided.to_owned()));
        let always = criteria.is_empty() && verdict == Verdict::Holds;
        let reason = reason.or_else(|| always.then(|| "it has no criteria".to_owned()));
        ExplainedTrigger { element, verdict, reason, criteria }
    }

    /// What a query asks of each state.
    fn query(
        &self,
        query: &QueryTest,
        written: Option<&QueryCriteria>,
        element: &str,
    ) -> Vec<ExplainedTest> {
        let Some(written) = written else { return Vec::new() };
        let element = format!("{element}.queryCriteria");
        let parts = [
            (When::Previous, "previous", &query.previous, &written.previous),
            (When::Current, "current", &query.current, &written.current),
        ];
        let mut tests = Vec::from_iter(supplied(written, self.states.interaction(), &element));
        for (when, name, criteria, text) in parts {
            if let (Some(criteria), Some(text)) = (criteria, text) {
                let element = format!("{element}.{name}");
                tests.extend(self.criteria(when, criteria, text, &element));
            }
        }
        tests
    }

    /// The criteria of one search string.
    fn criteria(
        &self,
        when: When,
        criteria: &Criteria,
        text: &str,
        element: &str,
    ) -> Vec<ExplainedTest> {
        let query = text.split_once('?').filter(|(start, _)| !start.contains('='));
        let query = query.map_or(text, |(_, query)| query);
        let written = query.split('&').filter(|pair| !pair.is_empty());
        let tests = criteria.criteria().iter().zip(written).map(|(criterion, written)| match self
            .states
            .values(when)
        {
            Some(values) => test(element, written, criterion, (values, self.lookup)),
            None => {
                let reason = match self.states.interaction() {
                    Interaction::Create => "there is no state before a create",
                    Interaction::Delete => "there is no state after a delete",
                    Interaction::Update => "this state is not known",
                };
                not_asked(element, written, reason)
            }
        });
        tests.collect()
    }

    /// What the parts of an expression yield, and the sides of the comparisons among them.
    fn expression(
        &self,
        whole: &'e Expression,
        source: &ResourceTrigger,
        element: &str,
    ) -> Vec<ExplainedTest> {
        let element = format!("{element}.fhirPathCriteria");
        let mut tests = vec![self.part(whole, whole.source(), &element, TRIGGER_STEPS_MAX)];
        let pieces = parts(whole.source());
        let alone = pieces.len() == 1;
        let texts = pieces.iter().flat_map(|part| {
            let whole = (!alone).then_some(part.text);
            whole.into_iter().chain(part.sides.iter().copied())
        });
        for text in texts {
            // A part may need a variable that another part defines.
            let compiled = topic::compile_expression(&self.catalog.scope(), text, &source.resource);
            if let Some(expression) = compiled {
                tests.push(self.part(&expression, text, &element, PART_STEPS_MAX));
            }
        }
        tests
    }

    fn part(
        &self,
        expression: &Expression,
        text: &str,
        element: &str,
        step_max: u32,
    ) -> ExplainedTest {
        let current = self.states.resource(When::Current);
        let previous = self.states.resource(When::Previous);
        let variables = [(PREVIOUS, previous), (CURRENT, current)];
        let context = Context {
            variables: &variables,
            resolver: self.lookup,
            step_max,
            ..Context::new(current.or(previous), self.states.resource_type())
        };
        match expression.evaluate(&context) {
            Ok(items) => {
                let holds = items.len() == 1 && items[0].as_bool() == Some(true);
                let shown = items.iter().take(EXPLAINED_VALUES_MAX);
                let seen = (shown.map(|item| item.text().into_owned()).collect(), items.len());
                with_values(told(element, text, holds.into(), None), seen)
            }
            Err(error) => told(element, text, Verdict::Unknown, Some(error.to_string())),
        }
    }

    /// The filters of a subscription, and what they come to.
    fn filters(
        &mut self,
        compiled: &CompiledSubscription,
        read: &Subscription,
    ) -> (Verdict, Vec<ExplainedTest>) {
        let resource_type = self.states.resource_type();
        let Some(values) = self.states.values(self.states.filtered()) else {
            self.problems.push(TriggerProblem::UnknownState.to_string());
            return (Verdict::Unknown, Vec::new());
        };
        let group = compiled.group(resource_type);
        let matches = group.map(|group| all_match(&group.criteria, values, self.lookup));
        let verdict = match matches {
            None => Verdict::Fails,
            Some(Ok(holds)) => holds.into(),
            Some(Err(problem)) => {
                if problem.missing().is_empty() {
                    self.problems.push(problem.to_string());
                }
                self.missing.extend(problem.missing().iter().cloned());
                Verdict::Unknown
            }
        };
        let filters = read.filters.iter().enumerate().map(|(index, filter)| {
            let element = format!("Subscription.filterBy[{index}]");
            match self.criterion(compiled, read, filter) {
                Some(criterion) => {
                    test(&element, &written(filter), &criterion, (values, self.lookup))
                }
                None if self.is_label(compiled, filter) => {
                    let reason = Some("each event of the topic is of this kind".to_owned());
                    told(&element, &written(filter), Verdict::Holds, reason)
                }
                None => {
                    not_asked(&element, &written(filter), &format!("it is not for {resource_type}"))
                }
            }
        });
        (verdict, filters.collect())
    }

    /// Whether a filter asks for a kind of event, of those about the type at hand.
    fn is_label(&self, compiled: &CompiledSubscription, filter: &Filter) -> bool {
        let definitions = self.catalog.scope().parameters.definitions();
        let resource_type = self.states.resource_type();
        let is_for = filter.resource_type.as_deref().is_none_or(|written| {
            let named = focus::resource_type(definitions, written);
            named.is_ok_and(|named| definitions.is_subtype(resource_type, named))
        });
        let mut offers = compiled.topic().offers().iter();
        is_for
            && offers.any(|offer| {
                offer.is_named(&filter.parameter)
                    && !offer.codes().is_empty()
                    && offer.focus_types().any(|one| one == resource_type)
            })
    }

    /// The criterion that a filter is for the type at hand.
    fn criterion(
        &self,
        compiled: &CompiledSubscription,
        read: &Subscription,
        filter: &Filter,
    ) -> Option<Criterion> {
        let alone = Subscription { filters: vec![filter.clone()], ..read.clone() };
        let topic = Arc::clone(compiled.topic());
        let alone =
            subscription::compile(&self.catalog.scope(), &alone, topic, compiled.slot).ok()?;
        let resource_type = self.states.resource_type();
        let group = alone.groups.iter().find(|group| group.types.contains(resource_type))?;
        group.criteria.first().cloned()
    }
}

/// The results that the topic lays down for the state that is not there.
fn supplied(
    criteria: &QueryCriteria,
    interaction: Interaction,
    element: &str,
) -> Option<ExplainedTest> {
    let (name, result) = match interaction {
        Interaction::Create => ("resultForCreate", criteria.result_for_create),
        Interaction::Delete => ("resultForDelete", criteria.result_for_delete),
        Interaction::Update => return None,
    };
    let result = result?;
    let reason = Some("laid down by the topic".to_owned());
    let passes = result == CriteriaResult::TestPasses;
    Some(told(&format!("{element}.{name}"), result.code(), passes.into(), reason))
}

fn not_asked(element: &str, text: &str, reason: &str) -> ExplainedTest {
    told(element, text, Verdict::NotAsked, Some(reason.to_owned()))
}

fn told(element: &str, text: &str, verdict: Verdict, reason: Option<String>) -> ExplainedTest {
    let (element, text) = (element.to_owned(), cut(text));
    ExplainedTest { element, text, verdict, reason, values: Vec::new(), values_left_out: 0 }
}

/// A criterion, what came of it, and what its parameter finds.
fn test(
    element: &str,
    text: &str,
    criterion: &Criterion,
    (values, lookup): (&ResourceValues<'_>, &Lookup<'_>),
) -> ExplainedTest {
    let (verdict, reason) = match criterion.matches(values, lookup) {
        Ok(holds) => (holds.into(), None),
        Err(problem) => (Verdict::Unknown, Some(problem.to_string())),
    };
    let seen = values.seen(criterion.parameter(), EXPLAINED_VALUES_MAX);
    with_values(told(element, text, verdict, reason), seen)
}

/// Adds the first values seen, of which there were so many.
fn with_values(mut test: ExplainedTest, (values, count): (Vec<String>, usize)) -> ExplainedTest {
    test.values_left_out = count - values.len();
    test.values = values.iter().map(|value| cut(value)).collect();
    test
}

/// A filter as one would write it.
fn written(filter: &Filter) -> String {
    let resource = filter.resource_type.as_deref().map(|one| format!("{one}?")).unwrap_or_default();
    let modifier = filter.modifier.map(|one| format!(":{}", one.code())).unwrap_or_default();
    let comparator = filter.comparator.map_or("", |one| one.code());
    format!("{resource}{}{modifier}={comparator}{}", filter.parameter, filter.value)
}

/// A text, cut to a bounded length.
fn cut(text: &str) -> String {
    match text.char_indices().nth(EXPLAINED_TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
