//! What operators look at and do: `/admin/…`, for the right `admin` only; JSON of our own, but for the
//! audit trail.
//!
//! `docs/operating.md` tells what the members mean, `docs/resend.md` what a recovery does, `docs/audit.md`
//! what is in the trail.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cresset_fhir::{json as fhir_json, parse_instant};
use cresset_model::{IssueCode, ResourceId};
use cresset_node::{AttemptRecord, AuditQuery, Caller, Error, Kind, RecoverySubject, Right};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::context::{Answer, Context, Request, read_body, version_of};
use crate::negotiate;
use crate::outcome::FHIR_JSON;

/// `GET /admin/subscriptions/[id]/attempts`
pub(crate) async fn attempts(
    State(context): State<Context>,
    Path(id): Path<String>,
    request: Request,
) -> Answer<Response> {
    let caller = caller(&context, &request)?;
    let unknown = |_| {
        let text = "there is no such subscription";
        Error::of(Kind::NotFound, IssueCode::ResourceNotFound, text)
    };
    let id = ResourceId::new(&id).map_err(unknown)?;
    let found = context.node.attempts(&caller, &id)?;
    let subscriptions: Vec<Value> = found
        .into_iter()
        .map(|one| {
            json!({
                "id": id.as_str(),
                "fhirVersion": one.version.mime(),
                "status": one.status.code(),
                "lag": one.lag,
                "attempts": one.attempts.iter().map(attempt).collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(answer(&json!({ "subscriptions": subscriptions })))
}

/// `GET /admin/delivery`
pub(crate) async fn delivery(State(context): State<Context>, request: Request) -> Answer<Response> {
    let caller = caller(&context, &request)?;
    let figures = context.node.delivery_figures(&caller).await?;
    let attempts = figures.attempts.iter();
    let attempts: serde_json::Map<_, _> =
        attempts.map(|(outcome, count)| (outcome.as_str().to_owned(), json!(count))).collect();
    let statuses: Vec<Value> = figures
        .statuses
        .iter()
        .map(|one| {
            json!({
                "status": one.status.code(),
                "subscriptions": one.subscriptions,
                "lag": one.lag,
            })
        })
        .collect();
    let age = figures.oldest_undelivered_age.map(|age| age.as_secs_f64());
    Ok(answer(&json!({
        "attempts": attempts,
        "statuses": statuses,
        "oldestUndeliveredSeconds": age,
        "subscriptionsNotIndexed": figures.not_indexed,
    })))
}

/// `GET /admin/audit/[version]`: the newest entries of the audit trail, as a Bundle of AuditEvents.
pub(crate) async fn audit(
    State(context): State<Context>,
    Path(version): Path<String>,
    request: Request,
) -> Answer<Response> {
    let caller = caller(&context, &request)?;
    let version = version_of(&version)?;
    let query = audit_query(&request)?;
    let entries = context.node.audit_trail(&caller, version, query).await?;
    let mut body = br#"{"resourceType":"Bundle","type":"collection""#.to_vec();
    for (index, entry) in entries.iter().enumerate() {
        // FHIR knows no empty lists.
        body.extend_from_slice(if index == 0 { br#","entry":["# } else { b"," });
        // They are nowhere else to be read, so their names are those they have wherever they are (bdl-15 of R5).
        let id = serde_json::from_slice::<Value>(entry).map_err(Error::internal)?;
        let id = id["id"].as_str().unwrap_or_default();
        body.extend_from_slice(format!(r#"{{"fullUrl":"urn:uuid:{id}","resource":"#).as_bytes());
        body.extend_from_slice(entry);
        body.push(b'}');
    }
    body.extend_from_slice(if entries.is_empty() { b"}" } else { b"]}" });
    let mime = format!("{FHIR_JSON}; fhirVersion={}", version.mime());
    Ok(([(header::CONTENT_TYPE, mime)], body).into_response())
}

fn audit_query(request: &Request) -> Result<AuditQuery, Error> {
    let mut query = AuditQuery::default();
    for (name, value) in request.parameters() {
        let wrong = |what: &str| bad(format!("`{name}` must be {what}"));
        match name.as_str() {
            "_count" => {
                let count = value.parse().map_err(|_| wrong("a number"))?;
                query.count = Some(count);
            }
            "since" => {
                let since = parse_instant(&value);
                query.since = Some(since.ok_or_else(|| wrong("an instant"))?);
            }
            "subscription" => {
                let id = ResourceId::new(&value).map_err(|_| wrong("the id of a Subscription"))?;
                query.subscription = Some(id);
            }
            _ => return Err(bad("known are _count, since and subscription".to_owned())),
        }
    }
    Ok(query)
}

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn attempt(record: &AttemptRecord) -> Value {
    json!({
        "at": record.at.to_string(),
        "durationMs": u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX),
        "notificationType": record.notification_type.code(),
        "firstEvent": record.events.map(|(first, _)| first.get()),
        "lastEvent": record.events.map(|(_, last)| last.get()),
        "outcome": record.outcome.as_str(),
        "httpStatus": record.http_status,
        "smtpCode": record.smtp_code,
        "detail": record.detail,
        "response": record.response,
    })
}

fn caller(context: &Context, request: &Request) -> Result<Caller, Error> {
    context.node.authenticate(negotiate::text(&request.headers, header::AUTHORIZATION))
}

/// `POST /admin/recover`: events since an instant, sent again to an endpoint or for a topic.
pub(crate) async fn recover(
    State(context): State<Context>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let caller = caller(&context, &request)?;
    caller.require(Right::Admin)?;
    let bytes = read_body(&context, &request.headers, body).await?;
    let body = fhir_json::parse(&bytes).map_err(|issues| Error::new(Kind::Malformed, issues))?;
    let (subject, since) = asked(&body)?;
    let recovery = context.node.recover(&caller, &subject, since).await?;
    Ok(answer(&json!({
        "subscriptions": recovery.subscriptions,
        "events": recovery.events,
        "forgotten": recovery.forgotten,
        "skipped": recovery.skipped,
    })))
}

/// Whose events, and since when.
fn asked(body: &Value) -> Result<(RecoverySubject, Timestamp), Error> {
    const MEMBERS: [&str; 3] = ["endpoint", "since", "topic"];
    let members = body.as_object().ok_or_else(|| bad("the body must be an object".to_owned()))?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let unknown: String = unknown.chars().take(64).collect();
        return Err(bad(format!("the member `{unknown}` is not known")));
    }
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(bad(format!("`{name}` must be a text that is not empty"))),
    };
    let subject = match (text("endpoint")?, text("topic")?) {
        (Some(start), None) => RecoverySubject::Endpoint(start),
        (None, Some(url)) => RecoverySubject::Topic(url),
        (None, None) | (Some(_), Some(_)) => {
            return Err(bad("give either `endpoint` or `topic`".to_owned()));
        }
    };
    let since = text("since")?.as_deref().and_then(parse_instant).ok_or_else(|| {
        bad("`since` must be an instant, such as 2026-01-31T12:00:00Z".to_owned())
    })?;
    Ok((subject, since))
}

fn bad(text: String) -> Error {
    Error::of(Kind::Malformed, IssueCode::InvalidParameter, text)
}
