//! The operations on Subscription: `$status`, `$events`, `$get-ws-binding-token`, `$resend` (RQ
//! section 7), and two of our own: `$explain`, also on topics, and `$notify-event` on topics, by
//! POST only.
//!
//! Each of the others can be called by GET with its parameters in the query, and by POST with a Parameters
//! resource (RQ-OP-01, RQ-OP-20, RQ-OP-41).

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawPathParams, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use cresset_definitions::FhirVersion;
use cresset_fhir::{
    Codec, json, parse_explain, parse_instant, parse_notify_event, parse_parameters,
};
use cresset_model::{EventNumber, IssueCode, PayloadContent, ResourceId, SubscriptionStatus};
use cresset_node::{Caller, Error, EventsQuery, Kind, ResendQuery};
use jiff::Timestamp;

use crate::context::{Answer, Context, Request, version_of};
use crate::outcome::Refusal;
use crate::resources::unknown_operation;
use crate::validate::validate;
use crate::{respond, search};

/// Ids that one call may name.
const IDS_MAX: usize = 10_000;

/// The input of an operation: names and values as text.
type Parameters = Vec<(String, String)>;

/// Refuses a method that is a resource's where an operation is, and the other way round, and tells those that there
/// are (RFC 9110, 15.5.6): axum has both at one path.
pub(crate) async fn methods(
    parameters: RawPathParams,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let parameters: Vec<_> = parameters.iter().map(|(_, value)| value).collect();
    // Who asks for a base that is not there hears of that.
    if parameters.first().is_none_or(|version| version_of(version).is_err()) {
        return next.run(request).await;
    }
    let allowed = match parameters.as_slice() {
        [version, resource_type, .., name] if name.starts_with('$') => {
            let topic = version_of(version)
                .is_ok_and(|version| is_notify_event(version, resource_type, name));
            if topic || *name == "$validate" { "POST" } else { "GET, HEAD, POST" }
        }
        [_, _, _] => "GET, HEAD, PUT, PATCH, DELETE",
        // A compartment.
        [_, _, _, _] => "GET, HEAD",
        _ => return next.run(request).await,
    };
    if allowed.split(", ").any(|one| one == request.method().as_str()) {
        return next.run(request).await;
    }
    let text = format!("{} is not supported here; what is, is {allowed}", request.method());
    let error = Error::of(Kind::MethodNotAllowed, IssueCode::MethodNotAllowed, text);
    ([(header::ALLOW, allowed)], Refusal(error)).into_response()
}

/// `POST [base]/[type]/$operation`
pub(crate) async fn on_type(
    State(context): State<Context>,
    Path((version, resource_type, name)): Path<(String, String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    if is_notify_event(version, &resource_type, &name) {
        return notify_event(&context, version, None, &caller, (&request, body)).await;
    }
    if name == "$validate" {
        let target = (resource_type.as_str(), None);
        return validate(&context, version, target, (&request, body)).await;
    }
    let parameters = input(&context, version, &request, body).await?;
    type_level(&context, version, &resource_type, &name, &caller, parameters).await
}

/// `GET [base]/[type]/$operation`
pub(crate) async fn on_type_by_get(
    context: &Context,
    version: FhirVersion,
    resource_type: &str,
    name: &str,
    request: &Request,
) -> Answer<Response> {
    let caller = request.caller(context, version)?;
    type_level(context, version, resource_type, name, &caller, request.parameters()).await
}

/// `GET [base]/[type]/[id]/$operation`, or a search of a compartment.
pub(crate) async fn on_instance_by_get(
    State(context): State<Context>,
    Path((version, resource_type, id, name)): Path<(String, String, String, String)>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    if !name.starts_with('$') {
        let place = (resource_type.as_str(), id.as_str(), name.as_str());
        return search::of_compartment(&context, version, place, &request).await;
    }
    let caller = request.caller(&context, version)?;
    if name == "$explain" {
        return explain(&context, version, (&resource_type, &id), &caller, (&request, None)).await;
    }
    let parameters = request.parameters();
    instance_level(&context, version, (&resource_type, &id), &name, &caller, parameters).await
}

/// `POST [base]/[type]/[id]/$operation`
pub(crate) async fn on_instance(
    State(context): State<Context>,
    Path((version, resource_type, id, name)): Path<(String, String, String, String)>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let version = version_of(&version)?;
    let caller = request.caller(&context, version)?;
    if name == "$explain" {
        let body = Some(body);
        return explain(&context, version, (&resource_type, &id), &caller, (&request, body)).await;
    }
    if is_notify_event(version, &resource_type, &name) {
        return notify_event(&context, version, Some(&id), &caller, (&request, body)).await;
    }
    if name == "$validate" {
        let target = (resource_type.as_str(), Some(id.as_str()));
        return validate(&context, version, target, (&request, body)).await;
    }
    let parameters = input(&context, version, &request, body).await?;
    instance_level(&context, version, (&resource_type, &id), &name, &caller, parameters).await
}

/// `$explain` on a subscription or topic.
async fn explain(
    context: &Context,
    version: FhirVersion,
    (resource_type, id): (&str, &str),
    caller: &Caller,
    (request, body): (&Request, Option<Body>),
) -> Answer<Response> {
    let bytes = match body {
        Some(body) => crate::context::read_body(context, &request.headers, body).await?,
        None => Bytes::new(),
    };
    let malformed = |issues| Error::new(Kind::Malformed, issues);
    let value = if bytes.iter().all(u8::is_ascii_whitespace) {
        None
    } else {
        crate::negotiate::check_content_type(version, &request.headers)?;
        Some(json::parse(&bytes).map_err(malformed)?)
    };
    let input = parse_explain(value.as_ref(), &request.parameters()).map_err(malformed)?;
    let answer = context.node.explain(caller, version, (resource_type, id), input).await?;
    Ok(respond::json(version, answer))
}

fn is_notify_event(version: FhirVersion, resource_type: &str, name: &str) -> bool {
    name == "$notify-event" && resource_type == Codec::of(version).topic_type()
}

async fn notify_event(
    context: &Context,
    version: FhirVersion,
    id: Option<&str>,
    caller: &Caller,
    (request, body): (&Request, Body),
) -> Answer<Response> {
    let bytes = request.json_body(context, version, body).await?;
    let read = json::parse(&bytes).and_then(|value| parse_notify_event(&value));
    let input = read.map_err(|issues| Error::new(Kind::Malformed, issues))?;
    let answer = context.node.notify_event(caller, version, id, input).await?;
    Ok(respond::json(version, answer))
}

/// The parameters of a POST: a Parameters resource, or nothing; those of the URL count too.
async fn input(
    context: &Context,
    version: FhirVersion,
    request: &Request,
    body: Body,
) -> Result<Parameters, Error> {
    let mut parameters = request.parameters();
    let bytes = crate::context::read_body(context, &request.headers, body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(parameters);
    }
    crate::negotiate::check_content_type(version, &request.headers)?;
    let read = json::parse(&bytes).and_then(|value| parse_parameters(&value));
    parameters.extend(read.map_err(|issues| Error::new(Kind::Malformed, issues))?);
    Ok(parameters)
}

async fn type_level(
    context: &Context,
    version: FhirVersion,
    resource_type: &str,
    name: &str,
    caller: &Caller,
    parameters: Parameters,
) -> Answer<Response> {
    if resource_type != "Subscription" {
        return Err(unknown_operation(version, name));
    }
    let answer = match name {
        "$status" => {
            check_names(&parameters, &["id", "status"])?;
            let ids = ids(&parameters);
            let statuses = statuses(&parameters)?;
            let self_url = self_url(context, version, "Subscription/$status", &parameters);
            let node = &context.node;
            node.subscription_statuses(caller, version, &ids?, &statuses, &self_url)?
        }
        "$get-ws-binding-token" => {
            check_names(&parameters, &["id"])?;
            context.node.binding_token(caller, version, &ids(&parameters)?).await?
        }
        _ => return Err(unknown_operation(version, name)),
    };
    Ok(respond::json(version, answer))
}

async fn instance_level(
    context: &Context,
    version: FhirVersion,
    (resource_type, id): (&str, &str),
    name: &str,
    caller: &Caller,
    parameters: Parameters,
) -> Answer<Response> {
    if resource_type != "Subscription" {
        return Err(unknown_operation(version, name));
    }
    let unknown = |_| {
        let text = format!("Subscription/{id} is not known here");
        Error::of(Kind::NotFound, IssueCode::ResourceNotFound, text)
    };
    let id = ResourceId::new(id).map_err(unknown)?;
    let node = &context.node;
    let answer = match name {
        "$status" => {
            let path = format!("Subscription/{id}/$status");
            let self_url = self_url(context, version, &path, &parameters);
            node.subscription_status(caller, version, &id, &self_url)?
        }
        "$events" => {
            let query = events_query(&parameters)?;
            node.subscription_events(caller, version, &id, query).await?
        }
        "$get-ws-binding-token" => node.binding_token(caller, version, &[id]).await?,
        "$resend" => {
            let query = resend_query(&parameters)?;
            node.resend_events(caller, version, &id, query).await?
        }
        _ => return Err(unknown_operation(version, name)),
    };
    Ok(respond::json(version, answer))
}

/// Refuses parameters that the operation does not have: one misspelt would widen the answer.
fn check_names(parameters: &Parameters, known: &[&str]) -> Result<(), Error> {
    const FORM: [&str; 2] = ["_format", "_pretty"];
    let unknown = parameters
        .iter()
        .find(|(name, _)| !known.contains(&name.as_str()) && !FORM.contains(&name.as_str()));
    match unknown {
        Some((name, _)) => {
            Err(bad_parameter(name, &format!("is not known; known are {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

fn bad_parameter(name: &str, what: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let text = format!("the parameter `{name}` {what}");
    Error::of(Kind::Malformed, IssueCode::InvalidParameter, text)
}

/// All values of a parameter: it may be repeated, and hold a list (RQ-OP-02).
fn values<'p>(parameters: &'p Parameters, name: &str) -> impl Iterator<Item = &'p str> {
    let of_name: Vec<&'p str> = parameters
        .iter()
        .filter(|(one, _)| one == name)
        .flat_map(|(_, value)| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .collect();
    of_name.into_iter()
}

/// The ids named; `Subscription/x` is read as `x`.
fn ids(parameters: &Parameters) -> Result<Vec<ResourceId>, Error> {
    let read: Result<Vec<_>, _> = values(parameters, "id")
        .map(|id| ResourceId::new(id.strip_prefix("Subscription/").unwrap_or(id)))
        .collect();
    let ids = read.map_err(|_| bad_parameter("id", "must be the id of a Subscription"))?;
    if ids.len() > IDS_MAX {
        return Err(bad_parameter("id", &format!("may be repeated at most {IDS_MAX} times")));
    }
    Ok(ids)
}

fn statuses(parameters: &Parameters) -> Result<Vec<SubscriptionStatus>, Error> {
    let read: Option<Vec<_>> =
        values(parameters, "status").map(SubscriptionStatus::from_code).collect();
    read.ok_or_else(|| bad_parameter("status", "must be a status of a Subscription"))
}

fn events_query(parameters: &Parameters) -> Result<EventsQuery, Error> {
    check_names(parameters, &["eventsSinceNumber", "eventsUntilNumber", "content"])?;
    let (since, until) = event_numbers(parameters)?;
    let content =
        match values(parameters, "content").next() {
            Some(code) => Some(PayloadContent::from_code(code).ok_or_else(|| {
                bad_parameter("content", "must be empty, id-only or full-resource")
            })?),
            None => None,
        };
    Ok(EventsQuery { since, until, content })
}

fn resend_query(parameters: &Parameters) -> Result<ResendQuery, Error> {
    const INSTANTS: [&str; 2] = ["eventsSinceInstant", "eventsUntilInstant"];
    let [since, until] = INSTANTS;
    check_names(parameters, &["eventsSinceNumber", "eventsUntilNumber", since, until])?;
    let instant = |name: &str| -> Result<Option<Timestamp>, Error> {
        let Some(value) = single(parameters, name)? else { return Ok(None) };
        let bad = || bad_parameter(name, "must be an instant, such as 2026-01-31T12:00:00Z");
        parse_instant(value).map(Some).ok_or_else(bad)
    };
    let (since_instant, until_instant) = (instant(since)?, instant(until)?);
    let (since, until) = event_numbers(parameters)?;
    Ok(ResendQuery { since, until, since_instant, until_instant })
}

/// `eventsSinceNumber` and `eventsUntilNumber`.
fn event_numbers(
    parameters: &Parameters,
) -> Result<(Option<EventNumber>, Option<EventNumber>), Error> {
    let number = |name: &str| -> Result<Option<u64>, Error> {
        let Some(value) = single(parameters, name)? else { return Ok(None) };
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad_parameter(name, "must be an event number"));
        }
        Ok(Some(value.parse().unwrap_or(u64::MAX)))
    };
    let since = number("eventsSinceNumber")?;
    let until = number("eventsUntilNumber")?;
    if until == Some(0) {
        return Err(bad_parameter("eventsUntilNumber", "must be 1 or more: numbers start at 1"));
    }
    // Since 0 is since the first: there is nothing below 1.
    let since = since.and_then(|since| EventNumber::new(since.max(1)));
    Ok((since, until.and_then(EventNumber::new)))
}

/// The value of a parameter that may be given once.
fn single<'p>(parameters: &'p Parameters, name: &str) -> Result<Option<&'p str>, Error> {
    let mut found = parameters.iter().filter(|(one, _)| one == name);
    let value = found.next().map(|(_, value)| value.as_str());
    match found.next() {
        Some(_) => Err(bad_parameter(name, "may be given once")),
        None => Ok(value),
    }
}

/// What was asked, for the searchset's self link (RQ-OP-05).
fn self_url(
    context: &Context,
    version: FhirVersion,
    path: &str,
    parameters: &Parameters,
) -> String {
    let base = context.node.base_url_of(version);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if matches!(name.as_str(), "id" | "status") {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}/{path}{mark}{query}")
}
