//! Responses with FHIR's headers.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cresset_definitions::FhirVersion;
use cresset_fhir::{etag, render_outcome};
use cresset_model::{Change, Issue, IssueCode, Issues, Severity};
use cresset_node::{Effect, SearchAnswer, Written};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::context::{Context, Request};
use crate::negotiate::{self, Return};

/// `application/fhir+json` of this version.
pub(crate) fn content_type(version: FhirVersion) -> HeaderValue {
    HeaderValue::from_static(match version {
        FhirVersion::R4 => "application/fhir+json; fhirVersion=4.0",
        FhirVersion::R4B => "application/fhir+json; fhirVersion=4.3",
        FhirVersion::R5 => "application/fhir+json; fhirVersion=5.0",
    })
}

/// 200 with a body of this version.
pub(crate) fn json(version: FhirVersion, body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    ([(header::CONTENT_TYPE, content_type(version))], body).into_response()
}

/// A searchset with its ETag.
pub(crate) fn search(version: FhirVersion, answer: SearchAnswer) -> Response {
    let mut response = json(version, answer.body);
    insert(response.headers_mut(), header::ETAG, &answer.etag);
    response
}

/// The client has this searchset already.
pub(crate) fn search_not_modified(etag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    insert(response.headers_mut(), header::ETAG, etag);
    response
}

/// What became of a write, with as much of the resource as the request prefers.
pub(crate) fn written_as_wanted(
    context: &Context,
    version: FhirVersion,
    request: &Request,
    change: &Written,
) -> Response {
    let base_url = context.node.base_url_of(version);
    written(version, &base_url, change, negotiate::wanted_return(&request.headers))
}

/// A version of a resource, with ETag and Last-Modified.
pub(crate) fn resource(version: FhirVersion, change: &Change) -> Response {
    let mut response = json(version, change.body.clone());
    version_headers(response.headers_mut(), change);
    response
}

/// The client has this version already.
pub(crate) fn not_modified(change: &Change) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    version_headers(response.headers_mut(), change);
    response
}

/// The answer to a create, update or delete.
pub(crate) fn written(
    version: FhirVersion,
    base_url: &str,
    written: &Written,
    wanted: Return,
) -> Response {
    let status = match written.effect {
        Effect::Created => StatusCode::CREATED,
        Effect::Deleted | Effect::Untouched => StatusCode::NO_CONTENT,
        Effect::Found | Effect::Updated => StatusCode::OK,
    };
    let change = match written.effect {
        Effect::Created | Effect::Deleted | Effect::Found | Effect::Updated => {
            written.change.as_deref()
        }
        Effect::Untouched => None,
    };
    let body = match (written.effect, wanted) {
        (Effect::Deleted | Effect::Untouched, _) | (_, Return::Minimal) => None,
        (Effect::Created | Effect::Found | Effect::Updated, Return::Representation) => {
            change.map(|change| change.body.clone())
        }
        (Effect::Created | Effect::Found | Effect::Updated, Return::Outcome) => {
            Some(Bytes::from(render_outcome(&told(&written.warnings))))
        }
    };
    let mut response = match body {
        Some(body) => (status, json(version, body)).into_response(),
        None => status.into_response(),
    };
    let headers = response.headers_mut();
    if let Some(change) = change {
        version_headers(headers, change);
        if written.effect != Effect::Deleted {
            let location = format!("{base_url}/{}/_history/{}", change.key, change.version);
            insert(headers, header::LOCATION, &location);
        }
    }
    response
}

/// The warnings, or the word that all is well.
fn told(warnings: &Issues) -> Issues {
    if !warnings.0.is_empty() {
        return warnings.clone();
    }
    Issue { severity: Severity::Information, ..Issue::warning(IssueCode::Done, "done") }.into()
}

fn version_headers(headers: &mut HeaderMap, change: &Change) {
    insert(headers, header::ETAG, &etag(change.version));
    if let Some(date) = http_date(change.at) {
        insert(headers, header::LAST_MODIFIED, &date);
    }
}

/// The form of dates in HTTP headers.
fn http_date(at: Timestamp) -> Option<String> {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
