//! One criterion: a parameter, a modifier, and what the values of a resource are asked for.
//!
//! `criterion/parse.rs` reads them. What other resources decide (chains, `_has`, membership in sets)
//! comes from a [`Lookup`]; what is not in it yet is a [`Problem`] that names it. Tests:
//! `criterion/tests.rs`, `set/tests.rs`, `path/tests.rs`.

use std::fmt;
use std::sync::Arc;

use cresset_model::{Comparator, Modifier};
use smallvec::SmallVec;
use smol_str::{SmolStr, format_smolstr};

use crate::index_key::{self, IndexKey};
use crate::lookup::{Answer, Lookup};
use crate::operand::{Operand, Operands};
use crate::problem::Undecided;
use crate::reference::{Reference, Target};
use crate::set::{Set, SetReader};
use crate::value::redact;
use crate::{Line, Need, Parameter, Problem, ProblemKind, ResourceValues, SearchValue, Span};

mod parse;
#[cfg(test)]
mod tests;

/// A search criterion, compiled: `name:modifier=value,value`.
#[derive(Clone, PartialEq, Eq)]
pub struct Criterion {
    parameter: &'static Parameter,
    modifier: Option<Modifier>,
    test: Test,
}

/// What a criterion asks of the values of its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Some value fits one of these.
    Any(Operands),
    /// Some value refers to a resource of one of these types that fits its criterion.
    Chained(Box<[(&'static str, Criterion)]>),
    /// Some resource refers to the one at hand and fits; the parameter is `_id`.
    Has(Arc<Has>),
    /// Some value is a member of one of these.
    In(Box<[Set]>),
    /// Whether there is no value (`:missing=true`) or one (`:missing=false`).
    Missing(bool),
    /// No value fits any of these; also without a value (`:not`).
    None(Box<[Operand]>),
    /// No value is a member of any of these; also without a value.
    NotIn(Box<[Set]>),
}

/// What is asked of the resources that refer to one (`_has`).
#[derive(Clone, PartialEq, Eq)]
pub struct Has {
    /// Their type.
    pub(crate) resource_type: &'static str,
    /// The parameter by which they refer to it.
    pub(crate) reference: &'static Parameter,
    /// What they have to fit.
    pub(crate) criterion: Criterion,
    /// How that was written, which tells it from others.
    pub(crate) source: SmolStr,
}

redact!(Has);

impl Has {
    /// The type of the resources that refer.
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// The parameter by which they refer.
    pub fn reference(&self) -> &'static Parameter {
        self.reference
    }

    /// What they have to fit.
    pub fn criterion(&self) -> &Criterion {
        &self.criterion
    }
}

impl Criterion {
    /// The parameter it is about.
    pub fn parameter(&self) -> &'static Parameter {
        self.parameter
    }

    /// Its modifier; `Type` for a resource type (`:Patient`), which the operands hold.
    pub fn modifier(&self) -> Option<Modifier> {
        self.modifier
    }

    /// What it asks, for callers that translate it into a query of their own.
    pub fn test(&self) -> &Test {
        &self.test
    }

    /// Whether the resource fits, given what was looked up for it.
    ///
    /// # Errors
    /// A [`Problem`] where that cannot be told; the caller treats it as "no" and reports it (I9).
    /// With [`Problem::missing`] it may look that up and ask again.
    pub fn matches(
        &self,
        values: &ResourceValues<'_>,
        lookup: &Lookup<'_>,
    ) -> Result<bool, Problem> {
        let found = values.of(self.parameter)?;
        let targets = self.parameter.targets();
        let any = |operands: &[Operand]| {
            found.iter().any(|value| operands.iter().any(|one| one.matches(value, targets)))
        };
        match &self.test {
            Test::Any(operands) => Ok(any(operands)),
            Test::Chained(criteria) => self.chained(criteria, found, lookup),
            Test::Has(has) => self.has(has, values, lookup),
            Test::In(sets) => self.is_member(sets, (values, lookup), false)?.unless(false),
            Test::Missing(missing) => Ok(found.is_empty() == *missing),
            Test::None(operands) => Ok(!any(operands)),
            Test::NotIn(sets) => self.is_member(sets, (values, lookup), true)?.unless(true),
        }
    }

    /// Whether a resource that a value refers to fits. References to elsewhere, to what is not there
    /// and to contained resources are not followed.
    fn chained(
        &self,
        criteria: &[(&'static str, Self)],
        found: &[SearchValue<'_>],
        lookup: &Lookup<'_>,
    ) -> Result<bool, Problem> {
        let mut undecided = Undecided::default();
        for value in found {
            let SearchValue::Reference(Reference {
                target: Target::Local { resource_type, id, .. },
                ..
            }) = value
            else {
                continue;
            };
            let Some((_, criterion)) = criteria.iter().find(|(one, _)| one == resource_type) else {
                continue;
            };
            let need = Need::Resource(format_smolstr!("{resource_type}/{id}"));
            for resource in self.looked_up(need, lookup, &mut undecided) {
                match criterion.matches(resource, lookup) {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(problem) => undecided.add(problem),
                }
            }
        }
        undecided.unless(false)
    }

    /// Whether a resource that refers to this one fits.
    fn has(
        &self,
        has: &Arc<Has>,
        values: &ResourceValues<'_>,
        lookup: &Lookup<'_>,
    ) -> Result<bool, Problem> {
        let mut undecided = Undecided::default();
        let (resource_type, Some(id)) = (values.resource_type(), values.id()) else {
            return Ok(false);
        };
        let target = format_smolstr!("{resource_type}/{id}");
        let need = Need::Referring(crate::Referring { has: Arc::clone(has), target });
        for resource in self.looked_up(need, lookup, &mut undecided) {
            let refers = resource.of(has.reference).map(|references| {
                references.iter().any(|value| is_local(value, resource_type, id))
            });
            let fits = match refers {
                Ok(true) => has.criterion.matches(resource, lookup),
                Ok(false) => Ok(false),
                Err(problem) => Err(problem),
            };
            match fits {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(problem) => undecided.add(problem),
            }
        }
        undecided.unless(false)
    }

    fn looked_up<'l, 'a>(
        &self,
        need: Need,
        lookup: &'l Lookup<'a>,
        undecided: &mut Undecided,
    ) -> &'l [ResourceValues<'a>] {
        let kind = match lookup.answer(&need) {
            Answer::Found(found) => return found,
            Answer::Missing => ProblemKind::Missing(vec![need]),
            Answer::Unavailable(reason) => ProblemKind::Unavailable(reason),
        };
        undecided.add(Problem::new(self.parameter, kind));
        &[]
    }

    /// Whether a value is in one of the sets: that decides as if there had been no problem.
    fn is_member(
        &self,
        sets: &[Set],
        (values, lookup): (&ResourceValues<'_>, &Lookup<'_>),
        asks_who_is_out: bool,
    ) -> Result<Membership, Problem> {
        let mut undecided = Undecided::default();
        let mut reader = SetReader::new(lookup, values.base_url(), asks_who_is_out);
        for value in values.of(self.parameter)? {
            for set in sets {
                match set.contains(value, &mut reader) {
                    Ok(true) => return Ok(Membership::Member),
                    Ok(false) => {}
                    Err(kind) => undecided.add(Problem::new(self.parameter, kind)),
                }
            }
        }
        Ok(Membership::NotSeen(undecided))
    }

    /// Keys of which a resource must have one for its parameter if this is to match; `None` where
    /// equality is not what it asks for.
    pub fn index_keys(&self) -> Option<SmallVec<[IndexKey; 2]>> {
        let Test::Any(operands) = &self.test else { return None };
        let seed = self.parameter.seed();
        operands.iter().map(|operand| index_key::operand_key(seed, operand)).collect()
    }

    /// Where a resource must have a value for its parameter if this is to match; `None` where it may
    /// be anywhere, or there is no order.
    pub fn span(&self) -> Option<(Line, Span)> {
        let Test::Any(operands) = &self.test else { return None };
        let mut spans = operands.iter().map(Span::of_operand);
        let (line, first) = spans.next()??;
        let hull = spans.try_fold(first, |hull, span| {
            let (other, span) = span?;
            (other == line).then(|| hull.hull(span))
        })?;
        (hull.low > i64::MIN || hull.high < i64::MAX).then_some((line, hull))
    }

    /// The comparators in its values.
    pub fn comparators(&self) -> Vec<Comparator> {
        match &self.test {
            Test::Any(operands) => operands.iter().flat_map(Operand::comparators).collect(),
            Test::None(operands) => operands.iter().flat_map(Operand::comparators).collect(),
            Test::Chained(criteria) => {
                criteria.iter().flat_map(|(_, criterion)| criterion.comparators()).collect()
            }
            Test::Has(has) => has.criterion.comparators(),
            Test::In(_) | Test::Missing(_) | Test::NotIn(_) => Vec::new(),
        }
    }

    /// Whether it may depend on other resources than the one it is asked of.
    pub fn needs_others(&self) -> bool {
        match &self.test {
            Test::Any(_) | Test::Missing(_) | Test::None(_) => false,
            Test::Chained(_) | Test::Has(_) | Test::In(_) | Test::NotIn(_) => true,
        }
    }

    /// The sets that it asks about, so that a caller can refuse it where they are not there.
    pub fn sets(&self) -> Vec<&Set> {
        match &self.test {
            Test::Any(_) | Test::Missing(_) | Test::None(_) => Vec::new(),
            Test::Chained(criteria) => {
                criteria.iter().flat_map(|(_, criterion)| criterion.sets()).collect()
            }
            Test::Has(has) => has.criterion.sets(),
            Test::In(sets) | Test::NotIn(sets) => sets.iter().collect(),
        }
    }

    /// The parameters by which resources have to be found to answer it, with their types.
    pub fn searches(&self) -> Vec<(&'static str, &'static str)> {
        match &self.test {
            Test::Any(_) | Test::Missing(_) | Test::None(_) => Vec::new(),
            Test::Chained(criteria) => {
                criteria.iter().flat_map(|(_, criterion)| criterion.searches()).collect()
            }
            Test::Has(has) => {
                let own = (has.resource_type, has.reference.code());
                std::iter::once(own).chain(has.criterion.searches()).collect()
            }
            Test::In(sets) | Test::NotIn(sets) => {
                sets.iter().filter_map(Set::searched_type).map(|one| (one, "url")).collect()
            }
        }
    }
}

/// What is known of membership.
enum Membership {
    Member,
    /// No set is known to have a value; some could perhaps not be read.
    NotSeen(Undecided),
}

impl Membership {
    /// The opposite of `none` for a member, `none` where surely no value is one.
    fn unless(self, none: bool) -> Result<bool, Problem> {
        match self {
            Self::Member => Ok(!none),
            Self::NotSeen(undecided) => undecided.unless(none),
        }
    }
}

/// Whether all criteria hold. One that does not hold decides, whatever another one's problem.
///
/// # Errors
/// A [`Problem`] where that cannot be told; the caller treats it as "no" and reports it (I9).
pub fn all_match(
    criteria: &[Criterion],
    values: &ResourceValues<'_>,
    lookup: &Lookup<'_>,
) -> Result<bool, Problem> {
    // One is the rule.
    if let [criterion] = criteria {
        return criterion.matches(values, lookup);
    }
    let mut undecided = Undecided::default();
    for criterion in criteria {
        match criterion.matches(values, lookup) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(problem) => undecided.add(problem),
        }
    }
    undecided.unless(true)
}

fn is_local(value: &SearchValue<'_>, wanted_type: &str, wanted_id: &str) -> bool {
    matches!(
        value,
        SearchValue::Reference(Reference { target: Target::Local { resource_type, id, .. }, .. })
            if *resource_type == wanted_type && *id == wanted_id
    )
}

impl fmt::Debug for Criterion {
    /// Without the values: they may be about a patient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Criterion({}", self.parameter.code())?;
        if let Some(modifier) = self.modifier {
            write!(f, ":{}", modifier.code())?;
        }
        f.write_str("=…)")
    }
}
