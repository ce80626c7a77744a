//! Filters as subscribers write them: the strings of the backport extension (RQ-FL-01 to 04,
//! TR-01) and what they share with R5's `filterBy`.
//!
//! Knows no topic: whether a filter is offered is for the engine to say. Here a text becomes a
//! [`Filter`] or is refused; nothing is ever dropped, for a filter ignored is data disclosed
//! (RQ-FL-11).

use cresset_definitions::Definitions;
use cresset_model::{Comparator, Filter, Issue, IssueCode, Issues, Modifier};
use smol_str::SmolStr;

use crate::element::{invalid, shortened, type_name};

#[cfg(test)]
mod tests;

/// Most filters of one subscription.
pub const FILTERS_MAX: usize = 100;
/// Longest filter.
pub const FILTER_BYTES_MAX: usize = 16 * 1024;

/// Reads one string of the backport extension, which may hold several filters joined by `&`.
///
/// The forms: `param=value`, `param:modifier=value`, `Type.param…`, `Type?param…`.
pub(crate) fn parse_filter_criteria(
    definitions: &Definitions,
    text: &str,
    path: &str,
    filters: &mut Vec<Filter>,
    issues: &mut Issues,
) {
    let mut refuse = |issue: Issue| issues.push(issue.at(path));
    if text.len() > FILTER_BYTES_MAX {
        return refuse(too_long());
    }
    let (resource_type, pairs) = match split_type(definitions, text) {
        Ok(split) => split,
        Err(issue) => return refuse(issue),
    };
    let before = filters.len();
    for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
        match parse_pair(definitions, resource_type, pair) {
            Ok(filter) => filters.push(filter),
            Err(issue) => return refuse(issue),
        }
    }
    if filters.len() == before {
        refuse(invalid("a filter must be written `parameter=value`"));
    }
}

/// Takes `Type?` off the front, if it is there.
fn split_type<'t>(
    definitions: &Definitions,
    text: &'t str,
) -> Result<(Option<&'t str>, &'t str), Issue> {
    let head = text.split('=').next().unwrap_or_default();
    match head.split_once('?') {
        None => Ok((None, text)),
        // A parameter that is a URL may hold a question mark of its own.
        Some((before, _)) if is_url(before) => Ok((None, text)),
        Some(("", _)) => Ok((None, &text[1..])),
        Some((name, _)) if definitions.is_resource(name) => {
            Ok((Some(name), &text[name.len() + 1..]))
        }
        Some((name, _)) => Err(unknown_type(name)),
    }
}

fn parse_pair(
    definitions: &Definitions,
    resource_type: Option<&str>,
    pair: &str,
) -> Result<Filter, Issue> {
    let Some((name, value)) = pair.split_once('=') else {
        return Err(invalid("a filter must be written `parameter=value`"));
    };
    let (name, value) = (percent_decoded(name), percent_decoded(value));
    let (resource_type, name) = match (resource_type, name.split_once('.')) {
        // RQ-FL-03: `Encounter.patient` is a type and a parameter, `patient.gender` is a chain.
        (None, Some((prefix, rest))) if definitions.is_resource(prefix) => (Some(prefix), rest),
        _ => (resource_type, name.as_str()),
    };
    let (parameter, suffix) = split_suffix(definitions, name)?;
    let mut filter = Filter {
        resource_type: resource_type.map(SmolStr::new),
        parameter: SmolStr::new(parameter),
        comparator: None,
        modifier: None,
        value,
    };
    match suffix {
        Suffix::None => {}
        Suffix::Comparator(comparator) => filter.comparator = Some(comparator),
        Suffix::Modifier(modifier) => filter.modifier = Some(modifier),
        // `subject:Patient=1` says `subject:type=Patient/1`: what is no reference has no such modifier.
        Suffix::Type(target) => {
            filter.modifier = Some(Modifier::Type);
            filter.value = with_type(target, &filter.value)?;
        }
    }
    check_filter(filter)
}

/// What holds for a filter however it is written. Reads `id` as `_id` (RQ-FL-13).
pub(crate) fn check_filter(mut filter: Filter) -> Result<Filter, Issue> {
    if filter.value.len() > FILTER_BYTES_MAX {
        return Err(too_long());
    }
    if filter.parameter.is_empty() || filter.value.is_empty() {
        return Err(invalid("a filter must have a parameter and a value"));
    }
    let texts = [filter.parameter.as_str(), filter.value.as_str()];
    if texts.iter().any(|text| text.chars().any(char::is_control)) {
        return Err(invalid("a filter holds control characters"));
    }
    if filter.parameter == "id" {
        // `Patient/123` as its value is for the criterion to read, which knows the type searched.
        filter.parameter = SmolStr::new("_id");
    }
    if filter.comparator.is_some() && starts_with_prefix(&filter.value) {
        return Err(invalid("a filter has a comparator and a prefix in its value; use one"));
    }
    Ok(filter)
}

/// A type that a filter names, bare or as the URL of its definition (RQ-FL-09).
pub(crate) fn parse_filter_type<'t>(
    definitions: &Definitions,
    text: &'t str,
) -> Result<&'t str, Issue> {
    let name = type_name(text);
    let known = definitions.is_resource(name) || matches!(name, "Resource" | "DomainResource");
    if known { Ok(name) } else { Err(unknown_type(name)) }
}

enum Suffix<'n> {
    Comparator(Comparator),
    Modifier(Modifier),
    None,
    Type(&'n str),
}

/// Takes the modifier, comparator or type off a parameter name.
fn split_suffix<'n>(
    definitions: &Definitions,
    name: &'n str,
) -> Result<(&'n str, Suffix<'n>), Issue> {
    let (parameter, Some(suffix)) = cresset_model::split_modifier(name) else {
        return Ok((name, Suffix::None));
    };
    if let Some(modifier) = Modifier::from_code(suffix) {
        return Ok((parameter, Suffix::Modifier(modifier)));
    }
    // R4B counts comparators as modifiers (TR-23): `length:gt=5`.
    if let Some(comparator) = Comparator::from_code(suffix) {
        return Ok((parameter, Suffix::Comparator(comparator)));
    }
    if definitions.is_resource(suffix) {
        return Ok((parameter, Suffix::Type(suffix)));
    }
    let text = format!("the modifier `{}` is not known", shortened(suffix));
    Err(Issue::error(IssueCode::UnsupportedModifier, text))
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "urn:"].iter().any(|scheme| text.starts_with(scheme))
}

/// Whether a value starts like `ge2000` (RQ-FL-08, TR-22).
fn starts_with_prefix(value: &str) -> bool {
    let prefix = value.get(..2).and_then(Comparator::from_code);
    let next = value.as_bytes().get(2);
    prefix.is_some() && next.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
}

/// `Patient/1,Patient/2` of `1,2`; references to other types and URNs are refused.
fn with_type(target: &str, value: &str) -> Result<String, Issue> {
    map_alternatives(value, |reference| {
        let resource = reference.split("/_history/").next().unwrap_or_default();
        match resource.rsplit('/').nth(1) {
            None if !reference.contains(':') => Ok(format!("{target}/{reference}")),
            Some(of) if of == target => Ok(reference.to_owned()),
            Some(_) | None => {
                Err(invalid("a filter names a type, and a reference that is not of this type"))
            }
        }
    })
}

/// Changes each of the alternatives between commas that no backslash escapes.
fn map_alternatives(
    value: &str,
    change: impl Fn(&str) -> Result<String, Issue>,
) -> Result<String, Issue> {
    let mut changed = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, character) in value.char_indices() {
        if character == ',' && !escaped {
            changed.push(change(&value[start..at])?);
            start = at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    changed.push(change(&value[start..])?);
    Ok(changed.join(","))
}

/// The text with `%2F` and the like decoded; as it is if what comes out would not be UTF-8.
///
/// A plus sign stays: it stands in time zones more often than for a blank.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

fn unknown_type(name: &str) -> Issue {
    invalid(format!("`{}` is no resource type of this FHIR version", shortened(name)))
}

fn too_long() -> Issue {
    Issue::error(
        IssueCode::OutOfBounds,
        format!("a filter is longer than {FILTER_BYTES_MAX} bytes"),
    )
}
