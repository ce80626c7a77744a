//! A search as it came in, and as it is understood.

use cresset_definitions::Definitions;
use cresset_model::{Issue, IssueCode, Issues, ResourceId, Severity, split_modifier};
use cresset_search::{Criterion, Lookup, Problem, ResourceValues, Scope, Test, all_match};

use super::type_named;
use super::wanted::{CURSOR, Wanted, invalid, parse_types};
use crate::caller::{Caller, Right};
use crate::draft::check_indexed;
use crate::error::{Error, Kind};
use crate::resources::require_read;
use crate::shared::Shared;

/// Search parameters in one request (I10).
const PARAMETERS_MAX: usize = 100;
/// Parameters about the form of the answer that every request may carry.
const FORM: [&str; 2] = ["_format", "_pretty"];
/// What a lenient request has ignored; that a type has no such parameter says the least of it.
const IGNORABLE: [IssueCode; 2] = [IssueCode::UnknownSearchParameter, IssueCode::UnsupportedSearch];
/// What stands for the resource itself among the parameters by which one belongs to a compartment.
const ITSELF: &str = "{def}";

/// A search as it came in.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// Names and values, decoded, in order.
    pub parameters: Vec<(String, String)>,
    /// Ignore parameters that are not known instead of refusing (`Prefer: handling=lenient`).
    pub lenient: bool,
}

impl SearchRequest {
    /// Reads a query string or a form body; a plus sign is a space there.
    pub fn parse(query: &str) -> Self {
        let parameters = url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self { parameters, lenient: false }
    }
}

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchTarget<'t> {
    /// The resources of a type that belong to the compartment of a resource.
    Compartment {
        /// The type of that resource, such as `Patient`.
        compartment: &'t str,
        /// Its id.
        id: &'t str,
        /// The type; all that may belong to one where it is none.
        resource_type: Option<&'t str>,
    },
    /// Resources of all types, or of those in `_type`.
    System,
    /// Resources of a type.
    Type(&'t str),
}

impl<'t> SearchTarget<'t> {
    /// A compartment as a path names it: `*` stands for all types.
    pub fn in_compartment(compartment: &'t str, id: &'t str, resource_type: &'t str) -> Self {
        let resource_type = (resource_type != "*").then_some(resource_type);
        Self::Compartment { compartment, id, resource_type }
    }
}

/// What is asked of the resources of one type.
pub(super) struct Asking {
    pub(super) resource_type: &'static str,
    /// All must hold.
    pub(super) criteria: Vec<Criterion>,
    /// One must hold, if there are any.
    pub(super) compartment: Vec<Criterion>,
}

impl Asking {
    /// Nothing yet.
    pub(super) fn new(resource_type: &'static str) -> Self {
        Self { resource_type, criteria: Vec::new(), compartment: Vec::new() }
    }

    /// Whether every resource of the type fits.
    pub(super) fn is_everything(&self) -> bool {
        self.criteria.is_empty() && self.compartment.is_empty()
    }

    pub(super) fn matches(
        &self,
        values: &ResourceValues<'_>,
        lookup: &Lookup<'_>,
    ) -> Result<bool, Problem> {
        // These ask of the resource alone; one that cannot be read does not hold.
        let belongs = |one: &Criterion| one.matches(values, lookup).unwrap_or(false);
        if !self.compartment.is_empty() && !self.compartment.iter().any(belongs) {
            return Ok(false);
        }
        all_match(&self.criteria, values, lookup)
    }
}

/// A search as it is understood.
pub(super) struct Asked {
    pub(super) askings: Vec<Asking>,
    pub(super) wanted: Wanted,
    /// Where the search is, below the base.
    pub(super) path: String,
    /// What the self link says.
    pub(super) used: Vec<(String, String)>,
    /// What was ignored.
    pub(super) warnings: Issues,
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// As `Node::search`.
    pub(super) fn read(
        shared: &Shared,
        caller: &Caller,
        scope: &Scope<'_>,
        target: SearchTarget<'_>,
        request: &SearchRequest,
    ) -> Result<Self, Error> {
        if request.parameters.len() > PARAMETERS_MAX {
            let text = format!("a search may have at most {PARAMETERS_MAX} parameters");
            return Err(Error::of(Kind::Malformed, IssueCode::UnsupportedSearch, text));
        }
        let Place { path, askings, are_named } = Place::of(caller, scope, target, request)?;
        let wanted = Wanted::new(&shared.config.limits);
        let (used, warnings) = (Vec::new(), Issues::default());
        let reader = Reader { shared, caller, scope, are_named };
        let mut asked = Self { askings, wanted, path, used, warnings };
        let mut issues = Issues::default();
        // The order is asked of the types that the criteria leave.
        let is_sort = |(name, _): &&(String, String)| name == "_sort";
        let (sorts, others): (Vec<_>, Vec<_>) = request.parameters.iter().partition(is_sort);
        for (name, value) in others.into_iter().chain(sorts) {
            if FORM.contains(&name.as_str()) {
                continue;
            }
            match reader.read(&mut asked, target, (name, value))? {
                Ok(()) if name == CURSOR => {}
                Ok(()) => asked.used.push((name.clone(), value.clone())),
                Err(found) => issues.0.extend(found.0.into_iter().map(|one: Issue| {
                    if one.expression.is_none() { one.at(name.clone()) } else { one }
                })),
            }
        }
        issues.0.extend(asked.wanted.check().err().into_iter().flat_map(|issues| issues.0));
        reader.check_includes(&asked)?;
        let is_ignorable = |issue: &Issue| request.lenient && IGNORABLE.contains(&issue.code);
        if !issues.0.iter().all(is_ignorable) {
            return Err(Error::new(Kind::Malformed, issues));
        }
        let ignored = |issue| Issue { severity: Severity::Warning, ..issue };
        asked.warnings = Issues(issues.0.into_iter().map(ignored).collect());
        Ok(asked)
    }
}

/// The types that are searched.
struct Place {
    /// Below the base.
    path: String,
    askings: Vec<Asking>,
    /// The request names the types, so that each must have every parameter.
    are_named: bool,
}

impl Place {
    fn of(
        caller: &Caller,
        scope: &Scope<'_>,
        target: SearchTarget<'_>,
        request: &SearchRequest,
    ) -> Result<Self, Error> {
        let definitions = scope.parameters.definitions();
        match target {
            SearchTarget::Compartment { compartment, id, resource_type } => {
                Self::of_compartment(caller, scope, (compartment, id, resource_type), request)
            }
            SearchTarget::System => {
                let types = named_types(caller, definitions, request)?;
                let are_named = types.is_some();
                let types = types.unwrap_or_else(|| all_types(caller, definitions));
                let askings = types.into_iter().map(Asking::new).collect();
                Ok(Self { path: String::new(), askings, are_named })
            }
            SearchTarget::Type(resource_type) => {
                let resource_type = type_named(definitions.version(), resource_type)?;
                require_read(caller, resource_type)?;
                let askings = vec![Asking::new(resource_type)];
                Ok(Self { path: format!("/{resource_type}"), askings, are_named: true })
            }
        }
    }

    fn of_compartment(
        caller: &Caller,
        scope: &Scope<'_>,
        (compartment, id, resource_type): (&str, &str, Option<&str>),
        request: &SearchRequest,
    ) -> Result<Self, Error> {
        caller.require(Right::Read)?;
        let definitions = scope.parameters.definitions();
        let unknown = |text: &str| Error::of(Kind::NotFound, IssueCode::UnknownPath, text);
        if !definitions.compartments().any(|one| one == compartment) {
            let compartments: Vec<_> = definitions.compartments().collect();
            let text = format!("the types that have compartments are {}", compartments.join(", "));
            return Err(unknown(&text));
        }
        if ResourceId::new(id).is_err() {
            return Err(unknown("no resource has such an id"));
        }
        let named = match resource_type {
            Some(one) => Some(vec![type_named(definitions.version(), one)?]),
            None => named_types(caller, definitions, request)?,
        };
        let (shown, are_named) = (resource_type.unwrap_or("*"), named.is_some());
        let types = named.unwrap_or_else(|| all_types(caller, definitions));
        let mut askings = Vec::new();
        for resource_type in types {
            let belongs = belonging(scope, resource_type, (compartment, id))?;
            if !belongs.is_empty() {
                askings.push(Asking { compartment: belongs, ..Asking::new(resource_type) });
            }
        }
        if askings.is_empty() {
            return Err(unknown("resources of this type belong to no such compartment"));
        }
        let path = format!("/{compartment}/{id}/{shown}");
        Ok(Self { path, askings, are_named })
    }
}

/// The types in `_type`; none if there is no such parameter.
fn named_types(
    caller: &Caller,
    definitions: &Definitions,
    request: &SearchRequest,
) -> Result<Option<Vec<&'static str>>, Error> {
    let mut of_name = request.parameters.iter().filter(|(name, _)| name == "_type");
    let types = match (of_name.next(), of_name.next()) {
        (None, _) => return Ok(None),
        (Some((_, value)), None) => parse_types(definitions, value),
        (Some(_), Some(_)) => Err(invalid("`_type` may be there once")),
    };
    let mut named: Vec<&'static str> = Vec::new();
    for one in types.map_err(|issues| Error::new(Kind::Malformed, issues))? {
        let one = type_named(definitions.version(), &one)?;
        require_read(caller, one)?;
        if !named.contains(&one) {
            named.push(one);
        }
    }
    Ok(Some(named))
}

/// The types that the caller may search.
fn all_types(caller: &Caller, definitions: &Definitions) -> Vec<&'static str> {
    let all = definitions.resource_types().filter(|one| *one != "SubscriptionStatus");
    all.filter(|one| require_read(caller, one).is_ok()).collect()
}

/// What has to hold of a resource of a type for it to belong to a compartment: one of these.
///
/// # Errors
/// `Internal` for what cannot be asked; nothing that HL7 names is, as a test sees.
fn belonging(
    scope: &Scope<'_>,
    resource_type: &str,
    (compartment, id): (&str, &str),
) -> Result<Vec<Criterion>, Error> {
    let criterion = |code: &str, value: &str| {
        Criterion::new(scope, resource_type, code, None, None, value).map_err(Error::internal)
    };
    let codes = scope.parameters.definitions().compartment(compartment, resource_type);
    let reference = format!("{compartment}/{id}");
    let codes = codes.iter().filter(|code| **code != ITSELF);
    let refers = codes.map(|code| criterion(code, &reference));
    // A resource is in its own compartment, also where that is not listed.
    let is_itself = (resource_type == compartment).then(|| criterion("_id", id));
    is_itself.into_iter().chain(refers).collect()
}

struct Reader<'r> {
    shared: &'r Shared,
    caller: &'r Caller,
    scope: &'r Scope<'r>,
    /// The request names the types, so that each must have every parameter.
    are_named: bool,
}

impl Reader<'_> {
    /// Reads one parameter; the outer error is no question of its form.
    fn read(
        &self,
        asked: &mut Asked,
        target: SearchTarget<'_>,
        (name, value): (&str, &str),
    ) -> Result<Result<(), Issues>, Error> {
        let is_of_types = match target {
            SearchTarget::Compartment { resource_type, .. } => resource_type.is_none(),
            SearchTarget::System => true,
            SearchTarget::Type(_) => false,
        };
        if name == "_type" && is_of_types {
            return Ok(Ok(()));
        }
        let types: Vec<_> = asked.askings.iter().map(|asking| asking.resource_type).collect();
        let count_max = self.shared.config.limits.search_count_max;
        if let Some(read) = asked.wanted.read(self.scope, &types, (name, value), count_max) {
            return Ok(read);
        }
        let (mut criteria, mut failed) = (Vec::with_capacity(types.len()), Vec::new());
        for resource_type in types {
            match self.criterion(resource_type, name, value) {
                Ok(criterion) => {
                    self.check_rights(&criterion)?;
                    criteria.push(Some(criterion));
                }
                Err(issues) => {
                    criteria.push(None);
                    failed.push(issues);
                }
            }
        }
        if self.are_named && !failed.is_empty() {
            return Ok(Err(Issues(failed.into_iter().flat_map(|issues| issues.0).collect())));
        }
        if failed.len() == criteria.len()
            && let Some(issues) = failed.into_iter().max_by_key(weight)
        {
            return Ok(Err(issues));
        }
        // A search of all types is one of those that have the parameter.
        let askings = std::mem::take(&mut asked.askings).into_iter().zip(criteria);
        asked.askings = askings
            .filter_map(|(mut asking, criterion)| {
                asking.criteria.push(criterion?);
                Some(asking)
            })
            .collect();
        Ok(Ok(()))
    }

    fn criterion(&self, resource_type: &str, name: &str, value: &str) -> Result<Criterion, Issues> {
        let (code, modifier) = split_modifier(name);
        let criterion = Criterion::new(self.scope, resource_type, code, modifier, None, value)?;
        check_indexed(&self.shared.config.search.index, criterion.searches().into_iter())?;
        Ok(criterion)
    }

    /// Refuses what would tell of resources that the caller may not read.
    fn check_rights(&self, criterion: &Criterion) -> Result<(), Error> {
        match criterion.test() {
            Test::Any(_) | Test::Missing(_) | Test::None(_) => Ok(()),
            Test::Chained(criteria) => criteria.iter().try_for_each(|(resource_type, inner)| {
                require_read(self.caller, resource_type)?;
                self.check_rights(inner)
            }),
            Test::Has(has) => {
                require_read(self.caller, has.resource_type())?;
                self.check_rights(has.criterion())
            }
            Test::In(_) | Test::NotIn(_) => self.caller.require(Right::Read),
        }
    }

    /// Refuses includes of types that the caller may not read.
    fn check_includes(&self, asked: &Asked) -> Result<(), Error> {
        let mut types = asked.wanted.includes.iter().flat_map(|rule| rule.named_types());
        types.try_for_each(|resource_type| require_read(self.caller, resource_type))
    }
}

/// How much is told of a parameter by what is wrong with it in a type.
fn weight(issues: &Issues) -> Option<usize> {
    let weight_of =
        |code: IssueCode| IGNORABLE.iter().position(|one| *one == code).unwrap_or(IGNORABLE.len());
    issues.0.iter().map(|issue| weight_of(issue.code)).max()
}

#[cfg(test)]
mod tests;
