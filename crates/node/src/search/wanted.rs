//! The parameters about the answer: how many, in what order, with what beside them, and how much of
//! each.

use cresset_definitions::{Definitions, SearchKind};
use cresset_fhir::Part;
use cresset_model::{Issue, IssueCode, Issues};
use cresset_search::{Parameter, Scope};
use smol_str::SmolStr;

use super::include::IncludeRule;
use super::place::Place;
use crate::config::Limits;

/// Keys of one `_sort` (I10).
const SORT_KEYS_MAX: usize = 8;
/// Names in one `_elements` (I10).
const ELEMENTS_MAX: usize = 200;
/// Includes of one search (I10).
const INCLUDES_MAX: usize = 50;
/// The parameter that carries the place of a page.
pub(super) const CURSOR: &str = "_cursor";
/// Parameters of which a second one would contradict the first.
const ONCE: [&str; 5] = [CURSOR, "_count", "_elements", "_summary", "_total"];

/// What the answer is to be like.
pub(super) struct Wanted {
    /// Matches on a page.
    pub(super) count: usize,
    /// Only the total is asked for (`_summary=count`).
    pub(super) is_count_only: bool,
    pub(super) place: Option<Place>,
    pub(super) sort: Vec<SortKey>,
    pub(super) includes: Vec<IncludeRule>,
    pub(super) total: TotalMode,
    /// What of each resource is shown, matches and others.
    pub(super) summary: Option<Part>,
    /// What of each match is shown.
    pub(super) elements: Option<Part>,
    /// Those of [`ONCE`] that were there.
    seen: Vec<&'static str>,
}

/// One key of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SortKey {
    /// Code of the search parameter, which all types searched have.
    pub(super) code: SmolStr,
    pub(super) descending: bool,
}

/// Whether the total is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TotalMode {
    /// Exactly, whatever that costs within bounds.
    Accurate,
    /// As the index sees it.
    Estimate,
    /// Where it is known anyway.
    Known,
    /// Never.
    None,
}

impl Wanted {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            count: limits.search_count_default.min(limits.search_count_max),
            is_count_only: false,
            place: None,
            sort: Vec::new(),
            includes: Vec::new(),
            total: TotalMode::Known,
            summary: None,
            elements: None,
            seen: Vec::new(),
        }
    }

    /// Reads a parameter, if it is about the answer.
    pub(super) fn read(
        &mut self,
        scope: &Scope<'_>,
        types: &[&'static str],
        (name, value): (&str, &str),
        count_max: usize,
    ) -> Option<Result<(), Issues>> {
        if let Some(once) = ONCE.into_iter().find(|one| *one == name) {
            if self.seen.contains(&once) {
                return Some(Err(invalid(&format!("`{once}` may be there once"))));
            }
            self.seen.push(once);
        }
        Some(match name {
            CURSOR => self.read_place(value),
            "_contained" if value == "false" => Ok(()),
            "_contained" | "_containedType" | "_score" | "_graph" => Err(unsupported(name)),
            "_count" => parse_count(value, count_max).map(|count| self.count = count),
            "_elements" => self.read_elements(value),
            "_include" | "_include:iterate" | "_revinclude" | "_revinclude:iterate" => {
                if self.includes.len() == INCLUDES_MAX {
                    let text = format!("a search may have {INCLUDES_MAX} includes");
                    return Some(Err(Issue::error(IssueCode::OutOfBounds, text).into()));
                }
                IncludeRule::parse(scope, name, value).map(|rule| self.includes.push(rule))
            }
            "_include:recurse" | "_revinclude:recurse" => {
                let text = "`:recurse` is written `:iterate` since FHIR R4";
                Err(Issue::error(IssueCode::UnsupportedModifier, text).into())
            }
            "_sort" => self.read_sort(scope, types, value),
            "_summary" => self.read_summary(value),
            "_total" => self.read_total(value),
            _ => return None,
        })
    }

    fn read_place(&mut self, value: &str) -> Result<(), Issues> {
        let place = value.parse().map_err(|_| bad_place())?;
        self.place = Some(place);
        Ok(())
    }

    fn read_elements(&mut self, value: &str) -> Result<(), Issues> {
        let names: Vec<String> = value.split(',').map(str::trim).map(str::to_owned).collect();
        let is_name = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if names.len() > ELEMENTS_MAX || !names.iter().all(is_name) {
            return Err(invalid("`_elements` must be names of elements at the top of a resource"));
        }
        self.elements = Some(Part::Elements(names));
        Ok(())
    }

    fn read_sort(
        &mut self,
        scope: &Scope<'_>,
        types: &[&'static str],
        value: &str,
    ) -> Result<(), Issues> {
        let mut keys = Vec::new();
        for key in value.split(',') {
            if self.sort.len() + keys.len() == SORT_KEYS_MAX {
                let text = format!("`_sort` may have {SORT_KEYS_MAX} keys");
                return Err(Issue::error(IssueCode::OutOfBounds, text).into());
            }
            let (descending, code) = match key.trim().strip_prefix('-') {
                Some(code) => (true, code),
                None => (false, key.trim()),
            };
            for resource_type in types {
                let parameter = scope.parameters.get(resource_type, code);
                match parameter.filter(|one| one.check().is_ok()) {
                    Some(parameter) if can_sort(parameter) => {}
                    Some(_) | None => {
                        return Err(unsupported_text(
                            "`_sort` must name search parameters of all types searched, which have \
                             an order, each perhaps after a `-`",
                        ));
                    }
                }
            }
            keys.push(SortKey { code: SmolStr::new(code), descending });
        }
        // Not before all are read: what is ignored orders nothing.
        self.sort.append(&mut keys);
        Ok(())
    }

    fn read_summary(&mut self, value: &str) -> Result<(), Issues> {
        match value {
            "count" => self.is_count_only = true,
            "data" => self.summary = Some(Part::Data),
            "false" => self.summary = None,
            "text" => self.summary = Some(Part::Text),
            "true" => self.summary = Some(Part::Summary),
            _ => return Err(invalid("`_summary` must be true, text, data, count or false")),
        }
        Ok(())
    }

    fn read_total(&mut self, value: &str) -> Result<(), Issues> {
        self.total = match value {
            "accurate" => TotalMode::Accurate,
            "estimate" => TotalMode::Estimate,
            "none" => TotalMode::None,
            _ => return Err(invalid("`_total` must be none, estimate or accurate")),
        };
        Ok(())
    }

    /// Refuses what does not go together.
    pub(super) fn check(&self) -> Result<(), Issues> {
        if self.summary.is_some() && self.elements.is_some() {
            return Err(invalid("`_summary` and `_elements` do not go together"));
        }
        if self.summary == Some(Part::Text) && !self.includes.is_empty() {
            return Err(invalid("`_summary=text` and includes do not go together"));
        }
        let is_sorted_place = matches!(self.place, Some(Place::Sorted { .. }));
        if self.place.is_some() && is_sorted_place == self.sort.is_empty() {
            return Err(bad_place());
        }
        Ok(())
    }
}

/// Whether resources can be put in order by a parameter.
fn can_sort(parameter: &Parameter) -> bool {
    match parameter.kind() {
        SearchKind::Date
        | SearchKind::Number
        | SearchKind::Quantity
        | SearchKind::Reference
        | SearchKind::String
        | SearchKind::Token
        | SearchKind::Uri => !matches!(parameter.code(), "_in" | "_list"),
        SearchKind::Composite | SearchKind::Special => false,
    }
}

/// Reads `_type`.
pub(super) fn parse_types(definitions: &Definitions, value: &str) -> Result<Vec<String>, Issues> {
    let types: Vec<String> = value.split(',').map(str::trim).map(str::to_owned).collect();
    let is_known = |one: &String| definitions.is_resource(one) && one != "SubscriptionStatus";
    if !types.iter().all(is_known) {
        return Err(invalid("`_type` must name resource types of this FHIR version"));
    }
    Ok(types)
}

fn parse_count(value: &str, max: usize) -> Result<usize, Issues> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return Err(invalid("`_count` must be a number, 0 or more"));
    }
    // More digits than fit is more than the most there is.
    Ok(value.parse().unwrap_or(usize::MAX).min(max))
}

pub(super) fn bad_place() -> Issues {
    invalid("this is no place in a search of this server")
}

pub(super) fn invalid(text: &str) -> Issues {
    Issue::error(IssueCode::InvalidParameter, text).into()
}

fn unsupported(name: &str) -> Issues {
    unsupported_text(&format!("`{name}` is not supported"))
}

fn unsupported_text(text: &str) -> Issues {
    Issue::error(IssueCode::UnsupportedSearch, text).into()
}
