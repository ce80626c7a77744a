//! What operators do over HTTP: plain JSON, outside the bases of FHIR.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cresset_fhir::{json as fhir_json, parse_instant};
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, RecoverySubject};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::context::{Answer, Context, Request, read_body};
use crate::negotiate;

/// `POST /admin/recover`: events since an instant, sent again to an endpoint or for a topic.
pub(crate) async fn recover(
    State(context): State<Context>,
    request: Request,
    body: Body,
) -> Answer<Response> {
    let authorization = negotiate::text(&request.headers, header::AUTHORIZATION);
    let caller = context.node.authenticate(authorization)?;
    caller.require(cresset_node::Right::Admin)?;
    let bytes = read_body(&context, &request.headers, body).await?;
    let body = fhir_json::parse(&bytes).map_err(|issues| Error::new(Kind::Malformed, issues))?;
    let (subject, since) = asked(&body)?;
    let recovery = context.node.recover(&caller, &subject, since).await?;
    let answer = json!({
        "subscriptions": recovery.subscriptions,
        "events": recovery.events,
        "forgotten": recovery.forgotten,
        "skipped": recovery.skipped,
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
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
