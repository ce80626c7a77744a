//! `queryCriteria`: searches over the states before and after a change (RQ section 2.4).
//!
//! Where the standard leaves a choice:
//!
//! * `resultForCreate` and `resultForDelete` stand for the test that cannot be made, also where
//!   the topic has no such test; that is how the standard's table reads.
//! * Absent, they count as failed (RQ-TP-26): nothing is told that nobody asked for.
//! * A test that the topic does not have and no result stands for is left out; it does not count
//!   as passed (RQ-TP-27).
//!
//! A test that cannot be evaluated never makes a trigger fire by itself (I9). Tests:
//! `query/tests.rs`.

use cresset_model::{CriteriaResult, Interaction};
use cresset_search::{Criteria, Criterion, Lookup, Need, Problem};

use crate::states::{States, When};

#[cfg(test)]
mod tests;

/// Compiled `queryCriteria`.
#[derive(Debug)]
pub(crate) struct QueryTest {
    pub(crate) previous: Option<Criteria>,
    pub(crate) current: Option<Criteria>,
    pub(crate) result_for_create: Option<CriteriaResult>,
    pub(crate) result_for_delete: Option<CriteriaResult>,
    pub(crate) require_both: bool,
}

/// One of the two tests, for one interaction.
#[derive(Clone, Copy)]
enum Part<'t> {
    /// Its result is laid down.
    Known(bool),
    /// It takes no part.
    LeftOut,
    /// These criteria decide on this state.
    Test(When, &'t Criteria),
}

/// What can be said of a trigger and an interaction without looking at a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foresight {
    /// It fires every time.
    Always,
    /// It depends on the resource.
    Depends,
    /// It never fires.
    Never,
}

impl QueryTest {
    /// Whether the criteria hold for a change.
    ///
    /// # Errors
    ///
    /// A test that decides could not be evaluated: the trigger does not fire, and the problem is
    /// to be reported.
    pub(crate) fn holds(
        &self,
        states: &States<'_>,
        lookup: &Lookup<'_>,
    ) -> Result<bool, QueryProblem> {
        let mut undecided: Option<QueryProblem> = None;
        let mut any = false;
        for part in self.parts(states.interaction()) {
            let passed = match part {
                Part::Known(passed) => Ok(passed),
                Part::LeftOut => continue,
                Part::Test(when, criteria) => test(states, when, criteria, lookup),
            };
            match passed {
                // One test decides: a failed one where both must pass, a passed one where either
                // suffices.
                Ok(passed) if passed != self.require_both => return Ok(passed),
                Ok(_) => any = true,
                // What has to be looked up may still decide, so it goes first.
                Err(problem) => {
                    if undecided.as_ref().is_none_or(|other| other.missing().is_empty()) {
                        undecided = Some(problem);
                    }
                }
            }
        }
        undecided.map_or(Ok(any && self.require_both), Err)
    }

    /// What is known beforehand about an interaction, for the warnings of a topic (TR-18).
    pub(crate) fn foresee(&self, interaction: Interaction) -> Foresight {
        let mut depends = false;
        let mut known = None;
        for part in self.parts(interaction) {
            match part {
                Part::Known(passed) if passed != self.require_both => {
                    return if passed { Foresight::Always } else { Foresight::Never };
                }
                Part::Known(passed) => known = Some(passed),
                Part::LeftOut => {}
                Part::Test(..) => depends = true,
            }
        }
        match (depends, known) {
            (true, _) => Foresight::Depends,
            (false, Some(true)) => Foresight::Always,
            (false, Some(false) | None) => Foresight::Never,
        }
    }

    /// The criteria of both tests.
    pub(crate) fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        [&self.previous, &self.current].into_iter().flatten().flat_map(Criteria::criteria)
    }

    /// Whether the state before an update matters.
    pub(crate) fn needs_previous(&self) -> bool {
        self.previous.is_some()
    }

    fn parts(&self, interaction: Interaction) -> [Part<'_>; 2] {
        let current = made(When::Current, self.current.as_ref());
        let previous = made(When::Previous, self.previous.as_ref());
        // The test that cannot be made is known before the other one is.
        match interaction {
            Interaction::Create => {
                [supplied(self.result_for_create, self.previous.is_some()), current]
            }
            Interaction::Delete => {
                [supplied(self.result_for_delete, self.current.is_some()), previous]
            }
            Interaction::Update => [current, previous],
        }
    }
}

/// A test that can be made, if the topic has it.
fn made(when: When, criteria: Option<&Criteria>) -> Part<'_> {
    criteria.map_or(Part::LeftOut, |criteria| Part::Test(when, criteria))
}

/// What stands for a test that cannot be made.
fn supplied<'t>(result: Option<CriteriaResult>, is_tested: bool) -> Part<'t> {
    match result {
        Some(CriteriaResult::TestFails) => Part::Known(false),
        Some(CriteriaResult::TestPasses) => Part::Known(true),
        None if is_tested => Part::Known(false),
        None => Part::LeftOut,
    }
}

/// Why criteria have no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryProblem {
    #[error(transparent)]
    Search(#[from] Problem),
    #[error("the state before or after the change is not known")]
    UnknownState,
}

impl QueryProblem {
    /// What has to be looked up before there is an answer.
    pub(crate) fn missing(&self) -> &[Need] {
        match self {
            Self::Search(problem) => problem.missing(),
            Self::UnknownState => &[],
        }
    }
}

fn test(
    states: &States<'_>,
    when: When,
    criteria: &Criteria,
    lookup: &Lookup<'_>,
) -> Result<bool, QueryProblem> {
    let values = states.values(when).ok_or(QueryProblem::UnknownState)?;
    Ok(criteria.matches(values, lookup)?)
}
