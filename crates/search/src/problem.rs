//! A parameter that cannot be evaluated on a resource.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Need, Parameter};

/// Why a search parameter gave no answer for a resource; the caller must fail closed (I9).
///
/// Its text names the parameter and the reason, never content of the resource.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("search parameter {code} of {resource_type} cannot be evaluated: {kind}")]
pub struct Problem {
    code: &'static str,
    resource_type: &'static str,
    kind: ProblemKind,
}

/// The reasons there are.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The expression failed on this resource.
    #[error("its expression fails on the resource")]
    Expression,
    /// A value has a type the parameter reads, but not its form.
    #[error("the resource holds a {0} that cannot be read")]
    Malformed(&'static str),
    /// Other resources have to be looked up first.
    #[error("it needs {} other resources", .0.len())]
    Missing(Vec<Need>),
    /// The parameter belongs to another resource type, or to another FHIR version.
    #[error("the resource has another type")]
    OtherType,
    /// The expression took more steps than [`crate::STEPS_MAX`].
    #[error("its expression takes too many steps")]
    StepLimit,
    /// The resource holds more values than [`crate::VALUES_MAX`].
    #[error("the resource holds too many values")]
    TooManyValues,
    /// What it depends on cannot be told, for this reason.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The expression depends on what other resources hold.
    #[error("its expression needs other resources")]
    Unresolved,
    /// This server cannot compile the expression, or there is none.
    #[error("this server does not support it")]
    Unsupported,
}

impl Problem {
    pub(crate) fn new(parameter: &Parameter, kind: ProblemKind) -> Self {
        Self { code: parameter.code(), resource_type: parameter.resource_type(), kind }
    }

    /// The code of the parameter.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Why.
    pub fn kind(&self) -> &ProblemKind {
        &self.kind
    }

    /// What has to be looked up before there is an answer.
    pub fn missing(&self) -> &[Need] {
        if let ProblemKind::Missing(needs) = &self.kind { needs } else { &[] }
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({self})")
    }
}

impl fmt::Debug for ProblemKind {
    /// As `Display`: the references in `Missing` may name patients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The problems of several tests, while one of them may still decide.
#[derive(Default)]
pub(crate) struct Undecided {
    missing: Option<Problem>,
    other: Option<Problem>,
}

impl Undecided {
    pub(crate) fn add(&mut self, problem: Problem) {
        match (&mut self.missing, problem.kind) {
            (Some(missing), ProblemKind::Missing(needs)) => {
                if let ProblemKind::Missing(all) = &mut missing.kind {
                    all.extend(needs);
                }
            }
            (missing @ None, ProblemKind::Missing(needs)) => {
                *missing = Some(Problem { kind: ProblemKind::Missing(needs), ..problem });
            }
            (_, kind) => {
                self.other.get_or_insert(Problem { kind, ..problem });
            }
        }
    }

    /// What nothing has decided: what is missing first, since one of those may still decide.
    ///
    /// # Errors
    /// The problem, if there was one.
    pub(crate) fn unless(self, decided: bool) -> Result<bool, Problem> {
        self.missing.or(self.other).map_or(Ok(decided), Err)
    }
}

/// As [`Undecided`], of several tests within one parameter.
#[derive(Default)]
pub(crate) struct Open {
    missing: BTreeSet<Need>,
    other: Option<ProblemKind>,
}

impl Open {
    pub(crate) fn add(&mut self, problem: ProblemKind) {
        if let ProblemKind::Missing(needs) = problem {
            self.missing.extend(needs);
        } else {
            self.other.get_or_insert(problem);
        }
    }

    /// See [`Undecided::unless`].
    ///
    /// # Errors
    /// The problem, if there was one.
    pub(crate) fn unless(self, decided: bool) -> Result<bool, ProblemKind> {
        if !self.missing.is_empty() {
            return Err(ProblemKind::Missing(self.missing.into_iter().collect()));
        }
        self.other.map_or(Ok(decided), Err)
    }
}
