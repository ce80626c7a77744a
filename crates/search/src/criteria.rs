//! Criteria: a search string, all of whose parameters a resource must fit.

use cresset_model::{Issue, IssueCode, Issues, split_modifier};

use crate::{Criterion, Lookup, Problem, ResourceValues, Scope, all_match, syntax};

/// The longest search string that is read (I10).
pub const CRITERIA_BYTES_MAX: usize = 65_536;
/// The most parameters of one search string (I10).
pub const CRITERIA_COUNT_MAX: usize = 100;

/// A search string, compiled: every criterion must hold (a parameter given twice is two of them).
#[derive(Debug, Clone, PartialEq)]
pub struct Criteria(Box<[Criterion]>);

impl Criteria {
    /// Compiles a search string such as `status:not=planned&patient=Patient/123`.
    ///
    /// It may be percent-encoded or not (RQ-TP-31, see [`decode`](crate::decode)), and may begin
    /// with `?` or, for the type it is for, `Type?`.
    ///
    /// # Errors
    /// All issues of all parameters, not only the first. A string without a parameter is refused
    /// too: it would hold for everything.
    pub fn parse(scope: &Scope<'_>, resource_type: &str, query: &str) -> Result<Self, Issues> {
        let invalid = |text: String| Issue::error(IssueCode::InvalidSearchValue, text);
        if query.len() > CRITERIA_BYTES_MAX {
            let text = format!("criteria may have {CRITERIA_BYTES_MAX} bytes");
            return Err(Issue::error(IssueCode::OutOfBounds, text).into());
        }
        let query = strip_type(resource_type, query).ok_or_else(|| {
            invalid(format!(
                "criteria must be name=value, joined with &, perhaps after `{resource_type}?`"
            ))
        })?;
        let mut criteria = Vec::new();
        let mut issues = Issues::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if criteria.len() + issues.0.len() == CRITERIA_COUNT_MAX {
                let text = format!("criteria may have {CRITERIA_COUNT_MAX} parameters");
                return Err(Issue::error(IssueCode::OutOfBounds, text).into());
            }
            match parse_pair(scope, resource_type, pair) {
                Ok(criterion) => criteria.push(criterion),
                Err(found) => issues.0.extend(found.0),
            }
        }
        if criteria.is_empty() && issues.0.is_empty() {
            issues.push(invalid("criteria must have a parameter".into()));
        }
        issues.into_result(Self(criteria.into_boxed_slice())).map(|(criteria, _)| criteria)
    }

    /// Whether the resource fits all of them, given what was looked up for it.
    ///
    /// # Errors
    /// As [`all_match`].
    pub fn matches(
        &self,
        values: &ResourceValues<'_>,
        lookup: &Lookup<'_>,
    ) -> Result<bool, Problem> {
        all_match(&self.0, values, lookup)
    }

    /// The criteria, in the order written.
    pub fn criteria(&self) -> &[Criterion] {
        &self.0
    }
}

impl FromIterator<Criterion> for Criteria {
    /// All of these; none of them hold for everything.
    fn from_iter<I: IntoIterator<Item = Criterion>>(criteria: I) -> Self {
        Self(criteria.into_iter().collect())
    }
}

/// The query without a leading `?` or `Type?` of this type; `None` if it begins with anything else
/// that ends with `?`.
fn strip_type<'q>(resource_type: &str, query: &'q str) -> Option<&'q str> {
    let name_end = query.find(['?', '=', '&']).unwrap_or(query.len());
    match query[name_end..].strip_prefix('?') {
        None => Some(query),
        Some(rest) if name_end == 0 || &query[..name_end] == resource_type => Some(rest),
        Some(_) => None,
    }
}

fn parse_pair(scope: &Scope<'_>, resource_type: &str, pair: &str) -> Result<Criterion, Issues> {
    let invalid = |text: &str| Issue::error(IssueCode::InvalidSearchValue, text);
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        invalid("each of the criteria must be name=value; a & in a value is written %26")
    })?;
    let encoding = |_| invalid("criteria must be UTF-8 where they are percent-encoded");
    let name = syntax::decode(name).map_err(encoding)?;
    let value = syntax::decode(value).map_err(encoding)?;
    let (name, modifier) = split_modifier(&name);
    Criterion::new(scope, resource_type, name, modifier, None, &value)
}

#[cfg(test)]
mod tests;
