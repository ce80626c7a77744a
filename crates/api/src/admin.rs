//! What operators may look at: `GET /admin/…`, JSON of our own, for the right `admin` only.
//!
//! `docs/operating.md` tells what the members mean.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cresset_model::{IssueCode, ResourceId};
use cresset_node::{AttemptRecord, Caller, Error, Kind};
use serde_json::{Value, json};

use crate::context::{Answer, Context, Request};
use crate::negotiate;

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
    })))
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
        "detail": record.detail,
        "response": record.response,
    })
}

fn caller(context: &Context, request: &Request) -> Result<Caller, Error> {
    context.node.authenticate(negotiate::text(&request.headers, header::AUTHORIZATION))
}
