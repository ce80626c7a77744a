//! Batch and transaction Bundles that come in: entries with the bytes of their resources.

use std::ops::Range;

use cresset_model::{Issue, IssueCode, IssueKind, Issues};
use serde_json::Value;

use crate::element::{Element, invalid, missing};
use crate::json::{elements, object, without_bom};
use crate::response::BundleKind;

#[cfg(test)]
mod tests;

/// Most entries of one Bundle.
pub const ENTRIES_MAX: usize = 20_000;

/// HTTP method of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl Method {
    fn from_code(code: &str) -> Option<Self> {
        match code {
            "DELETE" => Some(Self::Delete),
            "GET" => Some(Self::Get),
            "HEAD" => Some(Self::Head),
            "PATCH" => Some(Self::Patch),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            _ => None,
        }
    }
}

/// A Bundle of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestBundle<'b> {
    /// All or nothing, or each for itself.
    pub kind: BundleKind,
    /// The entries in order. In a batch a bad entry is an error of its own; a transaction with
    /// one is refused as a whole.
    pub entries: Vec<Result<RequestEntry<'b>, Issues>>,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestEntry<'b> {
    /// What others in the Bundle call the resource.
    pub full_url: Option<&'b str>,
    /// What to do.
    pub method: Method,
    /// Where, relative to the base.
    pub url: &'b str,
    /// `If-Match`.
    pub if_match: Option<&'b str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'b str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'b str>,
    /// `If-None-Exist`.
    pub if_none_exist: Option<&'b str>,
    /// The resource, if there is one.
    pub resource: Option<RequestResource<'b>>,
}

/// The resource of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestResource<'b> {
    /// As it came.
    pub bytes: &'b [u8],
    /// The same, parsed.
    pub value: &'b Value,
}

/// Reads a Bundle of type batch or transaction. `value` must be `bytes`, parsed.
///
/// # Errors
/// Not a Bundle, of another type, with more than [`ENTRIES_MAX`] entries, or a transaction with a
/// bad entry; then all issues of all entries.
pub fn parse_bundle<'b>(value: &'b Value, bytes: &'b [u8]) -> Result<RequestBundle<'b>, Issues> {
    let root = Element::resource(value, "Bundle")?;
    let kind = parse_kind(&root)?;
    let mut issues = Issues::default();
    let present = root.members.contains_key("entry");
    let elements = if present { root.children("entry", &mut issues) } else { Vec::new() };
    if elements.len() > ENTRIES_MAX {
        let text = format!("there are more than {ENTRIES_MAX} entries");
        let issue = Issue::error(IssueCode::InvalidBundle, text).of_kind(IssueKind::TooCostly);
        return Err(issue.at("Bundle.entry").into());
    }
    if issues.has_errors() {
        return Err(issues);
    }
    let bytes = without_bom(bytes);
    let ranges = resource_ranges(bytes).filter(|ranges| ranges.len() == elements.len());
    let Some(ranges) = ranges.or_else(|| elements.is_empty().then(Vec::new)) else {
        return Err(Issue::error(IssueCode::InvalidBundle, "the Bundle has no entries").into());
    };
    let mut entries = Vec::with_capacity(elements.len());
    for (element, range) in elements.iter().zip(ranges) {
        let entry = parse_entry(element, range.map(|range| &bytes[range]));
        if let (BundleKind::Transaction, Err(found)) = (kind, &entry) {
            issues.0.extend(found.0.iter().cloned());
        }
        entries.push(entry);
    }
    if issues.has_errors() { Err(issues) } else { Ok(RequestBundle { kind, entries }) }
}

fn parse_kind(root: &Element<'_>) -> Result<BundleKind, Issues> {
    match root.members.get("type").and_then(Value::as_str) {
        Some("batch") => Ok(BundleKind::Batch),
        Some("transaction") => Ok(BundleKind::Transaction),
        _ => {
            let text = "the Bundle must be of type batch or transaction";
            Err(Issue::error(IssueCode::InvalidBundle, text).at("Bundle.type").into())
        }
    }
}

fn parse_entry<'b>(
    element: &Element<'b>,
    bytes: Option<&'b [u8]>,
) -> Result<RequestEntry<'b>, Issues> {
    let mut issues = Issues::default();
    let full_url = element.string("fullUrl", &mut issues);
    let resource = element.members.get("resource");
    if !element.members.contains_key("request") {
        issues.push(missing("request").at(element.at("request")));
    }
    let Some(request) = element.child("request", &mut issues) else { return Err(issues) };
    request.required("method", &mut issues);
    let method = request.code("method", Method::from_code, &mut issues);
    let url = request.required("url", &mut issues);
    let [if_match, if_none_match, if_modified_since, if_none_exist] =
        ["ifMatch", "ifNoneMatch", "ifModifiedSince", "ifNoneExist"]
            .map(|name| request.string(name, &mut issues));
    check_resource(element, method, resource, &mut issues);
    match (method, url, issues.has_errors()) {
        (Some(method), Some(url), false) => Ok(RequestEntry {
            full_url,
            method,
            url,
            if_match,
            if_none_match,
            if_modified_since,
            if_none_exist,
            resource: bytes.zip(resource).map(|(bytes, value)| RequestResource { bytes, value }),
        }),
        _ => Err(issues),
    }
}

/// A resource where the method sends one, and only there (bdl-3c of R5).
fn check_resource(
    element: &Element<'_>,
    method: Option<Method>,
    resource: Option<&Value>,
    issues: &mut Issues,
) {
    let sends = match method {
        Some(Method::Patch | Method::Post | Method::Put) => true,
        Some(Method::Delete | Method::Get | Method::Head) => false,
        None => return,
    };
    let path = element.at("resource");
    match resource {
        None if sends => issues.push(missing("resource").at(path)),
        Some(_) if !sends => {
            issues.push(invalid("this method has no resource").at(path));
        }
        Some(resource) if !resource.is_object() => {
            issues.push(invalid("must be an object").at(path));
        }
        Some(_) | None => {}
    }
}

/// Where each entry's resource stands; none for an entry without one.
fn resource_ranges(bytes: &[u8]) -> Option<Vec<Option<Range<usize>>>> {
    let root = object(bytes, 0..bytes.len())?;
    let entries = elements(bytes, root.member(bytes, "entry")?.value.clone())?;
    let range = |entry| {
        let entry = object(bytes, entry)?;
        Some(entry.member(bytes, "resource").map(|member| member.value.clone()))
    };
    entries.into_iter().map(range).collect()
}
