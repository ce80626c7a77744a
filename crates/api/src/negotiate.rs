//! What the headers and `_format` of a request ask for.

use axum::http::{HeaderMap, HeaderName, header};
use cresset_definitions::FhirVersion;
use cresset_fhir::Format;
use cresset_model::{Change, IssueCode, VersionId};
use cresset_node::{Condition, Error, Kind};
use jiff::fmt::rfc2822;

/// What a client wants back from a write (`Prefer: return=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Return {
    /// Nothing.
    Minimal,
    /// An OperationOutcome.
    Outcome,
    /// The resource. The default: clients of the backport guide need it (TR-08).
    Representation,
}

/// The value of a header as text, if it is there and is text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The form that a client wants the answer in: what `_format` says, else what `Accept` likes best.
///
/// JSON where JSON is as welcome as XML, and where neither is, which the handlers then refuse.
pub(crate) fn wanted_format(
    version: FhirVersion,
    headers: &HeaderMap,
    format: Option<&str>,
) -> Format {
    if let Some(format) = format {
        return read_format(version, format).unwrap_or(Format::Json);
    }
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut json, mut xml) = (0.0_f32, 0.0_f32);
    for range in ranges.flat_map(|value| value.split(',')) {
        let (range, weight) = weighed(range);
        let essence = range.split(';').next().unwrap_or_default().trim();
        if matches!(essence, "*/*" | "application/*") || is_json(&range, version) {
            json = json.max(weight);
        } else if is_xml(&range, version) {
            xml = xml.max(weight);
        }
    }
    if xml > json { Format::Xml } else { Format::Json }
}

/// The form that `_format` names.
///
/// # Errors
/// `NotAcceptable` for one that is neither JSON nor XML of this version.
pub(crate) fn named_format(version: FhirVersion, format: &str) -> Result<Format, Error> {
    read_format(version, format).ok_or_else(|| not_acceptable(version))
}

/// What a value of `_format` says, in a URL or in a form; nothing if it is no form of this version.
fn read_format(version: FhirVersion, format: &str) -> Option<Format> {
    // A plus sign that was not encoded has become a space.
    let (essence, parameters) = format.split_at(format.find(';').unwrap_or(format.len()));
    let format = format!("{}{parameters}", essence.trim().replace(' ', "+"));
    if is_xml(&format, version) {
        return Some(Format::Xml);
    }
    is_json(&format, version).then_some(Format::Json)
}

/// A media range without its weight, and the weight: 1 unless it says another (RFC 9110, 12.4.2).
fn weighed(range: &str) -> (String, f32) {
    let is_weight = |part: &&str| part.trim_start().to_ascii_lowercase().starts_with("q=");
    let weight = range.split(';').find(is_weight).and_then(|part| part.trim()[2..].parse().ok());
    let others: Vec<&str> = range.split(';').filter(|part| !is_weight(part)).collect();
    (others.join(";"), weight.unwrap_or(1.0_f32).clamp(0.0, 1.0))
}

/// Refuses with 406 what asks for anything but JSON in this version.
pub(crate) fn check_accept(
    version: FhirVersion,
    headers: &HeaderMap,
    format: Option<&str>,
) -> Result<(), Error> {
    if let Some(format) = format {
        // What wants XML has been made to want JSON before.
        let wants_json = read_format(version, format) == Some(Format::Json);
        return if wants_json { Ok(()) } else { Err(not_acceptable(version)) };
    }
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut ranges = accepted.iter().flat_map(|value| value.split(',')).peekable();
    let any = ranges.peek().is_none()
        || ranges.any(|range| {
            let essence = range.split(';').next().unwrap_or_default().trim();
            matches!(essence, "*/*" | "application/*") || is_json(range, version)
        });
    if any { Ok(()) } else { Err(not_acceptable(version)) }
}

fn not_acceptable(version: FhirVersion) -> Error {
    let text = format!(
        "this server sends application/fhir+json and application/fhir+xml, each with fhirVersion={}",
        version.mime()
    );
    Error::of(Kind::NotAcceptable, IssueCode::NotAcceptable, text)
}

/// Refuses with 415 a body that is not said to be JSON of this version.
pub(crate) fn check_content_type(version: FhirVersion, headers: &HeaderMap) -> Result<(), Error> {
    let content_type = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    if is_json(content_type, version) {
        return Ok(());
    }
    let text = format!(
        "send the body as application/fhir+json or application/fhir+xml (fhirVersion {})",
        version.mime()
    );
    Err(Error::of(Kind::UnsupportedMediaType, IssueCode::UnsupportedMediaType, text))
}

/// Whether a media type is JSON, and of this version where it names one.
fn is_json(media_type: &str, version: FhirVersion) -> bool {
    const KNOWN: [&str; 5] =
        ["application/fhir+json", "application/json", "application/json+fhir", "json", "text/json"];
    is_one_of(media_type, &KNOWN, version)
}

/// Whether a media type is XML, and of this version where it names one.
pub(crate) fn is_xml(media_type: &str, version: FhirVersion) -> bool {
    const KNOWN: [&str; 5] =
        ["application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml", "xml"];
    is_one_of(media_type, &KNOWN, version)
}

fn is_one_of(media_type: &str, known: &[&str], version: FhirVersion) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    known.iter().any(|one| one.eq_ignore_ascii_case(essence))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("fhirversion") => {
                let value = value.trim().trim_matches('"');
                value == version.mime() || value == version.full()
            }
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

/// `Prefer: return=…`; unknown preferences are ignored, as RFC 7240 says.
pub(crate) fn wanted_return(headers: &HeaderMap) -> Return {
    let preferences = preferences(headers);
    let wanted = preferences.iter().find_map(|(name, value)| (name == "return").then_some(value));
    match wanted.map(String::as_str) {
        Some("minimal") => Return::Minimal,
        Some("operationoutcome") => Return::Outcome,
        Some(_) | None => Return::Representation,
    }
}

/// Whether the client wants unknown search parameters ignored (`Prefer: handling=lenient`).
pub(crate) fn is_lenient(headers: &HeaderMap) -> bool {
    preferences(headers).iter().any(|(name, value)| name == "handling" && value == "lenient")
}

fn preferences(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .map(|(name, value)| {
            let value = value.trim().trim_matches('"').to_ascii_lowercase();
            (name.trim().to_ascii_lowercase(), value)
        })
        .collect()
}

/// `If-Match` and `If-None-Match` of a write.
pub(crate) fn condition(headers: &HeaderMap) -> Result<Condition, Error> {
    let unreadable = |name: &str, form: &str| {
        let text = format!("{name} must be {form}");
        Error::of(Kind::Malformed, IssueCode::InvalidPrecondition, text)
    };
    if let Some(value) = headers.get(header::IF_MATCH) {
        if value == "*" {
            return Ok(Condition::IfExists);
        }
        let version = value.to_str().ok().and_then(etag_version);
        return version
            .map(Condition::IfMatch)
            .ok_or_else(|| unreadable("If-Match", "an ETag such as W/\"3\""));
    }
    match headers.get(header::IF_NONE_MATCH) {
        Some(value) if value == "*" => Ok(Condition::IfNoneMatch),
        Some(_) => Err(unreadable("If-None-Match", "* on a write")),
        None => Ok(Condition::None),
    }
}

/// The version in an ETag: `W/"3"`, or `"3"`.
pub(crate) fn etag_version(etag: &str) -> Option<VersionId> {
    let etag = etag.trim();
    let quoted = etag.strip_prefix("W/").unwrap_or(etag);
    let number = quoted.strip_prefix('"')?.strip_suffix('"')?;
    VersionId::new(number.parse().ok()?)
}

/// Whether a reader has this version already: `If-None-Match`, or else `If-Modified-Since`.
pub(crate) fn is_known(headers: &HeaderMap, change: &Change) -> bool {
    let is_listed = |value: &str| {
        value.trim() == "*"
            || value.split(',').filter_map(etag_version).any(|one| one == change.version)
    };
    if headers.contains_key(header::IF_NONE_MATCH) {
        return text(headers, header::IF_NONE_MATCH).is_some_and(is_listed);
    }
    let since = text(headers, header::IF_MODIFIED_SINCE);
    let since = since.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    // The header has whole seconds.
    since.is_some_and(|since| change.at.as_second() <= since.as_second())
}

#[cfg(test)]
mod tests;
