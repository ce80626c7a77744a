//! A compiled `resourceTrigger`: whether a change of a resource is an event of the topic.
//!
//! The interactions gate the criteria (RQ-TP-21). Without criteria every listed interaction fires
//! (RQ-TP-22). With `fhirPathCriteria` the expression decides (RQ-TP-28, RQ-TP-30): its result must
//! be the single boolean true; anything else, an error included, does not fire. Where it has no
//! answer and the topic states the same as a query too, the query decides: published topics join
//! booleans with `|`, which on an update yields two (TR-19).
//! Tests: `topic/tests.rs`, `evaluate/tests.rs`.

use cresset_fhirpath::{Context, EvaluationError, Expression};
use cresset_model::Interaction;
use cresset_search::{Criterion, Lookup, Need};
use smol_str::SmolStr;

use crate::query::{QueryProblem, QueryTest};
use crate::states::{States, When};

/// Most steps that one trigger expression may take on one change (I10).
pub const TRIGGER_STEPS_MAX: u32 = 100_000;

/// The variables of `fhirPathCriteria`.
pub(crate) const PREVIOUS: &str = "previous";
/// See [`PREVIOUS`].
pub(crate) const CURRENT: &str = "current";

/// A set of interactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interactions(u8);

impl Interactions {
    /// These; none listed means all (RQ-TP-21).
    pub(crate) fn listed(listed: &[Interaction]) -> Self {
        let all = [Interaction::Create, Interaction::Delete, Interaction::Update];
        let listed = if listed.is_empty() { &all } else { listed };
        Self(listed.iter().fold(0, |set, interaction| set | Self::bit(*interaction)))
    }

    pub(crate) fn contains(self, interaction: Interaction) -> bool {
        self.0 & Self::bit(interaction) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Interaction> {
        [Interaction::Create, Interaction::Update, Interaction::Delete]
            .into_iter()
            .filter(move |interaction| self.contains(*interaction))
    }

    const fn bit(interaction: Interaction) -> u8 {
        match interaction {
            Interaction::Create => 1,
            Interaction::Delete => 2,
            Interaction::Update => 4,
        }
    }
}

/// What decides once the interaction fits.
#[derive(Debug)]
pub(crate) enum TriggerTest {
    Always,
    FhirPath(Box<FhirPathTest>),
    Query(Box<QueryTest>),
}

/// An expression, and the query that decides where it has no answer.
#[derive(Debug)]
pub(crate) struct FhirPathTest {
    pub(crate) expression: Expression,
    pub(crate) otherwise: Option<QueryTest>,
}

/// A compiled `resourceTrigger`.
#[derive(Debug)]
pub(crate) struct Trigger {
    pub(crate) interactions: Interactions,
    pub(crate) test: TriggerTest,
}

/// Why a trigger has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TriggerProblem {
    #[error("fhirPathCriteria: {0}")]
    Evaluation(EvaluationError),
    /// These have to be looked up first.
    #[error("other resources are needed")]
    Missing(Vec<Need>),
    #[error("fhirPathCriteria: the result is not a boolean")]
    NotBoolean,
    #[error("queryCriteria: {0}")]
    Query(QueryProblem),
    #[error("fhirPathCriteria: {0}")]
    Unavailable(&'static str),
    #[error("the resource is not known")]
    UnknownState,
}

impl Trigger {
    /// Whether the change is an event.
    ///
    /// # Errors
    ///
    /// It cannot be told: the trigger does not fire. With [`TriggerProblem::Missing`] the caller
    /// may fetch and ask again; anything else is to be reported (I9).
    pub(crate) fn fires<'e>(
        &'e self,
        states: &States<'e>,
        lookup: &'e Lookup<'_>,
    ) -> Result<bool, TriggerProblem> {
        if !self.interactions.contains(states.interaction()) {
            return Ok(false);
        }
        match &self.test {
            TriggerTest::Always => Ok(true),
            TriggerTest::FhirPath(test) => match (test.holds(states, lookup), &test.otherwise) {
                (Err(problem), Some(query)) if problem.is_no_answer() => {
                    query_holds(query, states, lookup)
                }
                (answer, _) => answer,
            },
            TriggerTest::Query(query) => query_holds(query, states, lookup),
        }
    }

    /// Whether its query decided, since its expression has no answer.
    pub(crate) fn fell_back<'e>(&'e self, states: &States<'e>, lookup: &'e Lookup<'_>) -> bool {
        let TriggerTest::FhirPath(test) = &self.test else { return false };
        test.otherwise.is_some()
            && test.holds(states, lookup).is_err_and(|problem| problem.is_no_answer())
    }

    /// The criteria of its queries.
    pub(crate) fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        let query = match &self.test {
            TriggerTest::Always => None,
            TriggerTest::FhirPath(test) => test.otherwise.as_ref(),
            TriggerTest::Query(query) => Some(&**query),
        };
        query.into_iter().flat_map(|query| query.criteria())
    }

    /// Whether it may look at other resources than the one that changed.
    pub(crate) fn asks_others(&self) -> bool {
        let resolves = match &self.test {
            TriggerTest::Always | TriggerTest::Query(_) => false,
            TriggerTest::FhirPath(test) => test.expression.resolves(),
        };
        resolves || self.criteria().any(Criterion::needs_others)
    }

    /// Whether the state before an update matters.
    pub(crate) fn needs_previous(&self) -> bool {
        match &self.test {
            TriggerTest::Always => false,
            TriggerTest::FhirPath(test) => {
                test.needs_previous()
                    || test.otherwise.as_ref().is_some_and(QueryTest::needs_previous)
            }
            TriggerTest::Query(query) => query.needs_previous(),
        }
    }
}

impl TriggerProblem {
    /// Whether it is the expression itself that has no answer, and not what it was to look at.
    const fn is_no_answer(&self) -> bool {
        match self {
            Self::Evaluation(_) | Self::NotBoolean => true,
            Self::Missing(_) | Self::Query(_) | Self::Unavailable(_) | Self::UnknownState => false,
        }
    }
}

fn query_holds(
    query: &QueryTest,
    states: &States<'_>,
    lookup: &Lookup<'_>,
) -> Result<bool, TriggerProblem> {
    query.holds(states, lookup).map_err(|problem| match problem.missing() {
        [] => TriggerProblem::Query(problem),
        needs => TriggerProblem::Missing(needs.to_vec()),
    })
}

impl FhirPathTest {
    /// Whether the expression may ask for the state before.
    fn needs_previous(&self) -> bool {
        self.expression.asks_for(PREVIOUS)
    }

    /// Whether the expression is true over both states, the state after the change as its focus,
    /// or the one before a delete (RQ-TP-29).
    fn holds<'e>(
        &'e self,
        states: &States<'e>,
        lookup: &'e Lookup<'_>,
    ) -> Result<bool, TriggerProblem> {
        holds(&self.expression, self.needs_previous(), states, lookup)
    }
}

fn holds<'e>(
    expression: &'e Expression,
    needs_previous: bool,
    states: &States<'e>,
    lookup: &'e Lookup<'_>,
) -> Result<bool, TriggerProblem> {
    let previous = states.resource(When::Previous);
    let current = states.resource(When::Current);
    let known = match states.interaction() {
        Interaction::Create => current.is_some(),
        Interaction::Delete => previous.is_some(),
        // An empty `%previous` would read as a create; whoever does not ask for it is not given it.
        Interaction::Update => current.is_some() && (previous.is_some() || !needs_previous),
    };
    if !known {
        return Err(TriggerProblem::UnknownState);
    }
    let variables = [(PREVIOUS, previous), (CURRENT, current)];
    let context = Context {
        variables: &variables,
        resolver: lookup,
        step_max: TRIGGER_STEPS_MAX,
        ..Context::new(current.or(previous), states.resource_type())
    };
    let result = expression.evaluate(&context).map_err(|error| {
        let EvaluationError::Missing(references) = error else {
            return TriggerProblem::Evaluation(error);
        };
        match references.iter().find_map(|reference| lookup.unavailable(reference)) {
            Some(reason) => TriggerProblem::Unavailable(reason),
            None => {
                let needs = references.iter().map(|one| Need::Resource(SmolStr::new(one)));
                TriggerProblem::Missing(needs.collect())
            }
        }
    })?;
    match &result[..] {
        [] => Ok(false),
        [item] => item.as_bool().ok_or(TriggerProblem::NotBoolean),
        _ => Err(TriggerProblem::NotBoolean),
    }
}
