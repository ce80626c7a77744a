//! What the index is asked, so that as little as possible is looked at.
//!
//! A chain is followed from its end: the resources that it asks of are searched first, and then
//! references to them. `_has` is followed from the resources that refer, sets of resources from
//! what they list. Where that gives more than [`JOINED_MAX`], it narrows nothing down: each
//! candidate that other parameters leave is looked at; if there are no others, the search is refused.

use std::sync::Arc;

use cresset_fhir::json;
use cresset_model::{Modifier, ResourceId};
use cresset_search::{
    Criterion, Has, Parameter, Reference, ResourceValues, SearchValue, Set, Target, Test,
};
use cresset_store::{Clause, Condition, Test as IndexTest};
use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};

use super::finder::{Finder, Referring};
use super::request::Asking;
use crate::draft::look_up_stored;
use crate::error::Error;
use crate::indexer::is_searchable;
use crate::rows;

/// Resources that a chain, `_has` or a set may lead to for the index to be asked about each (I10).
const JOINED_MAX: usize = 1_000;

/// What the index is asked.
pub(super) struct Narrowed {
    pub(super) clauses: Vec<Clause>,
    /// A chain leads to too many resources, and nothing else narrows the search down.
    pub(super) is_hopeless: bool,
}

/// What the index can be asked for one criterion.
enum Narrow {
    Clause(Clause),
    /// Nothing.
    Everything,
    /// It would be, but for what it leads to.
    TooMany,
}

impl Finder<'_> {
    /// What the index is asked; none if nothing can match.
    pub(super) fn narrow(&mut self, asking: &Asking) -> Result<Option<Narrowed>, Error> {
        let mut clauses = Vec::new();
        let mut is_hopeless = false;
        for criterion in &asking.criteria {
            match self.narrowing(asking.resource_type, criterion)? {
                Narrow::Clause(clause) if clause.any.is_empty() => return Ok(None),
                Narrow::Clause(clause) => clauses.push(clause),
                Narrow::Everything => {}
                Narrow::TooMany => is_hopeless = true,
            }
        }
        clauses.extend(self.compartment(asking));
        let is_hopeless = is_hopeless && clauses.is_empty();
        Ok(Some(Narrowed { clauses, is_hopeless }))
    }

    fn narrowing(
        &mut self,
        resource_type: &'static str,
        criterion: &Criterion,
    ) -> Result<Narrow, Error> {
        let parameter = criterion.parameter();
        match criterion.test() {
            Test::Any(_) | Test::Missing(_) => {
                let clause = self.clause(resource_type, criterion);
                Ok(clause.map_or(Narrow::Everything, Narrow::Clause))
            }
            Test::Chained(parts) if self.holds(resource_type, parameter) => {
                self.chained(parameter, parts)
            }
            Test::Has(has) => self.has(resource_type, has),
            Test::In(sets) => Ok(self.members(resource_type, criterion, sets)),
            Test::Chained(_) | Test::None(_) | Test::NotIn(_) => Ok(Narrow::Everything),
        }
    }

    /// Whether the index holds a parameter.
    fn holds(&self, resource_type: &str, parameter: &Parameter) -> bool {
        is_searchable(&self.shared.config.search.index, resource_type, parameter.code())
    }

    fn clause(&self, resource_type: &str, criterion: &Criterion) -> Option<Clause> {
        self.holds(resource_type, criterion.parameter()).then(|| rows::clause(criterion))?
    }

    /// One clause for all ways to belong to a compartment, if the index holds each.
    fn compartment(&self, asking: &Asking) -> Option<Clause> {
        let clauses = asking.compartment.iter().map(|one| self.clause(asking.resource_type, one));
        let clauses: Option<Vec<Clause>> = clauses.collect();
        let any: Vec<Condition> = clauses?.into_iter().flat_map(|clause| clause.any).collect();
        (!any.is_empty()).then_some(Clause { any, negated: false })
    }

    /// References to what fits the end of a chain.
    fn chained(
        &mut self,
        parameter: &Parameter,
        parts: &[(&'static str, Criterion)],
    ) -> Result<Narrow, Error> {
        let mut any = Vec::new();
        for (resource_type, criterion) in parts {
            let asking = asking(resource_type, criterion);
            let Some(found) = self.all(&asking, JOINED_MAX - any.len())? else {
                return Ok(Narrow::TooMany);
            };
            any.extend(found.iter().map(|change| Condition::Value {
                parameter: SmolStr::new_static(parameter.code()),
                test: IndexTest::Reference {
                    resource_type: Some(SmolStr::new_static(resource_type)),
                    id: SmolStr::new(change.key.id.as_str()),
                },
            }));
        }
        Ok(Narrow::Clause(Clause { any, negated: false }))
    }

    /// What is referred to by resources that fit; who refers to what is kept for the judgement.
    fn has(&mut self, resource_type: &str, has: &Arc<Has>) -> Result<Narrow, Error> {
        let asking = asking(has.resource_type(), has.criterion());
        let Some(found) = self.all(&asking, JOINED_MAX)? else { return Ok(Narrow::TooMany) };
        let mut referring = Referring::default();
        let mut any = Vec::new();
        for change in found {
            let Ok(value) = json::parse(&change.body).map(Arc::new) else { continue };
            let values = ResourceValues::new(self.scope, has.resource_type(), &value);
            for id in referred(&values, has.reference(), resource_type) {
                let target = format_smolstr!("{resource_type}/{id}");
                any.extend(ResourceId::new(id).ok().map(Condition::Id));
                referring.entry(target).or_default().push(value.clone());
            }
        }
        if any.len() > JOINED_MAX {
            return Ok(Narrow::TooMany);
        }
        self.referring.push((has.clone(), referring));
        Ok(Narrow::Clause(Clause { any, negated: false }))
    }

    /// Members of Groups, Lists and CareTeams. Whatever else is in a set is told by each resource.
    fn members(&self, resource_type: &str, criterion: &Criterion, sets: &[Set]) -> Narrow {
        let parameter = criterion.parameter();
        let is_itself = criterion.modifier().is_none();
        let is_of_references =
            criterion.modifier() == Some(Modifier::In) && self.holds(resource_type, parameter);
        let mut any = Vec::new();
        for set in sets {
            let Set::Members { .. } = set else { return Narrow::Everything };
            let Ok(listing) = look_up_stored(self.shared, self.base, &set.need()) else {
                return Narrow::Everything;
            };
            let mut references = Vec::new();
            listing.iter().for_each(|value| collect_references(value, &mut references));
            for (of, id) in references {
                if is_itself && of == resource_type {
                    any.extend(ResourceId::new(id).ok().map(Condition::Id));
                } else if is_of_references {
                    let (of, id) = (SmolStr::new(of), SmolStr::new(id));
                    let test = IndexTest::Reference { resource_type: Some(of), id };
                    let parameter = SmolStr::new_static(parameter.code());
                    any.push(Condition::Value { parameter, test });
                }
            }
        }
        if any.len() > JOINED_MAX || !(is_itself || is_of_references) {
            return Narrow::Everything;
        }
        Narrow::Clause(Clause { any, negated: false })
    }
}

fn asking(resource_type: &'static str, criterion: &Criterion) -> Asking {
    Asking { criteria: vec![criterion.clone()], ..Asking::new(resource_type) }
}

/// Ids of the resources of a type that a parameter refers to; nothing if it cannot be read.
pub(super) fn referred<'a>(
    values: &ResourceValues<'a>,
    parameter: &'static Parameter,
    resource_type: &str,
) -> Vec<&'a str> {
    let found = values.of(parameter).unwrap_or_default().iter();
    let ids = found.filter_map(|value| {
        let SearchValue::Reference(Reference { target, .. }) = value else { return None };
        let Target::Local { resource_type: of, id, .. } = target else { return None };
        (*of == resource_type).then_some(*id)
    });
    ids.collect()
}

/// Type and id of everything that a resource refers to, wherever it does.
fn collect_references<'v>(value: &'v Value, references: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|one| collect_references(one, references)),
        Value::Object(members) => {
            for (name, member) in members {
                let Some(text) = member.as_str().filter(|_| name == "reference") else {
                    collect_references(member, references);
                    continue;
                };
                // Absolute ones and those of versions too: the last `Type/id` in them.
                let path = text.split("/_history/").next().unwrap_or_default();
                let mut parts = path.rsplit('/');
                if let (Some(id), Some(of)) = (parts.next(), parts.next()) {
                    references.push((of, id));
                }
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}
