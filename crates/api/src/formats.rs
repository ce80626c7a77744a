//! The forms that bodies may have: XML in and out, and JSON for reading by eye.
//!
//! The handlers know JSON only. What comes as XML is made JSON before them, what a client wants as
//! XML is made XML behind them, refusals included. `_format` says it, or else `Accept`, where JSON is
//! preferred if it is as welcome as XML. XML costs a parse of the answer; JSON costs nothing here.
//! Nothing is read of a caller who is not known, and what is large is translated beside the threads
//! that serve connections, a few at a time (I10).

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, Format, json};
use cresset_node::{Error, Kind, SearchRequest};

use crate::context::{Context, read_body};
use crate::negotiate;
use crate::outcome::{FHIR_JSON, Refusal};

/// Answers larger than this are sent as JSON even to who wants XML or wants it pretty.
const TRANSLATED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bodies up to this are translated where they are: another thread would cost more.
const TRANSLATED_HERE_BYTES_MAX: usize = 32 * 1024;

/// What a client wants the answer to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    format: Format,
    /// The URL says so.
    is_named: bool,
    pretty: bool,
}

/// What the form of a search by POST says of its answer; a handler leaves it there as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    format: Option<Format>,
    pretty: bool,
}

impl Wish {
    /// Reads `_format` and `_pretty`.
    ///
    /// # Errors
    /// `NotAcceptable`.
    pub(crate) fn read(
        version: FhirVersion,
        parameters: &[(String, String)],
    ) -> Result<Self, Error> {
        let format = value_of(parameters, "_format");
        let format = format.map(|format| negotiate::named_format(version, format)).transpose()?;
        Ok(Self { format, pretty: value_of(parameters, "_pretty") == Some("true") })
    }

    /// Whether it has a say in the format, so that `Accept` has none.
    pub(crate) fn names_format(self) -> bool {
        self.format.is_some()
    }
}

fn value_of<'p>(parameters: &'p [(String, String)], name: &str) -> Option<&'p str> {
    parameters.iter().find_map(|(one, value)| (one == name).then_some(value.as_str()))
}

/// Makes JSON of an XML request, and of an answer what the client wants.
pub(crate) async fn translate(
    State(context): State<Context>,
    request: Request,
    next: Next,
) -> Response {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    let version = FhirVersion::ALL.into_iter().find(|version| version.path() == first);
    let Some(version) = version else { return next.run(request).await };
    let (request, wanted) = normalised(version, request);
    let answer = match read(&context, version, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => Refusal(error).into_response(),
    };
    match wanted.with(answer.extensions().get()) {
        Wanted { format: Format::Json, pretty: false, .. } => answer,
        wanted @ Wanted { .. } => written(&context, version, wanted, answer).await,
    }
}

impl Wanted {
    /// The same with what a form says; what the URL says comes first.
    fn with(self, wish: Option<&Wish>) -> Self {
        let Some(wish) = wish else { return self };
        let format = wish.format.filter(|_| !self.is_named).unwrap_or(self.format);
        Self { format, pretty: self.pretty || wish.pretty, ..self }
    }
}

/// The request without what only this layer understands, and what that was.
fn normalised(version: FhirVersion, mut request: Request) -> (Request, Wanted) {
    let query = request.uri().query().unwrap_or_default();
    let is_plain = !query.contains("_format") && !query.contains("_pretty");
    let parameters = if is_plain { Vec::new() } else { SearchRequest::parse(query).parameters };
    let pretty = value_of(&parameters, "_pretty") == Some("true");
    let named = value_of(&parameters, "_format");
    let is_named = named.is_some();
    let format = negotiate::wanted_format(version, request.headers(), named);
    if format == Format::Xml {
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(FHIR_JSON));
        if let Some(uri) = without_format(request.uri()) {
            *request.uri_mut() = uri;
        }
    }
    (request, Wanted { format, is_named, pretty })
}

/// The same URL without `_format`.
fn without_format(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    let kept: Vec<&str> =
        query.split('&').filter(|part| part.split('=').next() != Some("_format")).collect();
    let path = uri.path();
    let text = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// The request with its body as JSON. One without a body goes on as it is, whatever it is said to
/// be: clients set the header for all that they ask.
async fn read(context: &Context, version: FhirVersion, request: Request) -> Result<Request, Error> {
    if !is_xml(version, request.headers(), header::CONTENT_TYPE) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    if body.is_end_stream() {
        return Ok(Request::from_parts(parts, body));
    }
    context.node.authenticate(negotiate::text(&parts.headers, header::AUTHORIZATION))?;
    let bytes = read_body(context, &parts.headers, body).await?;
    parts.headers.remove(header::CONTENT_LENGTH);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let translated =
        aside(context, bytes.len(), move || Codec::of(version).json_of_xml(&bytes)).await?;
    let json = translated.map_err(|issues| Error::new(Kind::Malformed, issues))?;
    Ok(Request::from_parts(parts, Body::from(json)))
}

fn is_xml(version: FhirVersion, headers: &HeaderMap, name: header::HeaderName) -> bool {
    negotiate::text(headers, name).is_some_and(|value| negotiate::is_xml(value, version))
}

/// The answer in the form that is wanted; as it is if it is no FHIR in JSON, or too large.
async fn written(
    context: &Context,
    version: FhirVersion,
    wanted: Wanted,
    answer: Response,
) -> Response {
    let content_type = negotiate::text(answer.headers(), header::CONTENT_TYPE);
    let is_json = content_type.is_some_and(|value| value.starts_with(FHIR_JSON));
    let size = answer.body().size_hint().upper();
    if !is_json || size.is_none_or(|size| size > TRANSLATED_BYTES_MAX as u64) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let bytes = match to_bytes(body, TRANSLATED_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return Refusal(Error::internal(error)).into_response(),
    };
    let translated = aside(context, bytes.len(), move || match wanted.format {
        Format::Json => Ok(json::pretty(&bytes)),
        Format::Xml => Codec::of(version).xml_of_json(&bytes).map_err(Error::internal),
    });
    let body = match translated.await.flatten() {
        Ok(body) => body,
        Err(error) => return Refusal(error).into_response(),
    };
    if wanted.format == Format::Xml {
        parts.headers.insert(header::CONTENT_TYPE, xml_content_type(version));
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// Translates a body of this size: a large one on a thread that may take long, when there is room.
async fn aside<T, F>(context: &Context, size: usize, translate: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if size <= TRANSLATED_HERE_BYTES_MAX {
        return Ok(translate());
    }
    let permit = context.translations.clone().acquire_owned().await.map_err(Error::internal)?;
    let translated = tokio::task::spawn_blocking(move || {
        // Held until it has ended, also when nobody waits for it any more.
        let _permit = permit;
        translate()
    });
    translated.await.map_err(Error::internal)
}

/// `application/fhir+xml` of this version.
fn xml_content_type(version: FhirVersion) -> HeaderValue {
    HeaderValue::from_static(match version {
        FhirVersion::R4 => "application/fhir+xml; fhirVersion=4.0",
        FhirVersion::R4B => "application/fhir+xml; fhirVersion=4.3",
        FhirVersion::R5 => "application/fhir+xml; fhirVersion=5.0",
    })
}
