//! One subscription: what it asks for, its events and attempts, and what an operator can do about it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use cresset_definitions::FhirVersion;
use cresset_fhir::json;
use cresset_model::{EventNumber, ResourceId, Subscription, SubscriptionStatus};
use cresset_node::{
    AttemptRecord, Condition, Error, EventLine, Patch, ResendQuery, SubscriptionDetail, Target,
};
use serde_json::{Value, json as value};

use crate::context::{Context, bad_input, not_found, now, version_of};
use crate::failure::{Answer, Failure};
use crate::form::{Form, Post};
use crate::page::{Page, html};
use crate::session::Session;
use crate::subscriptions::Line;
use crate::text;
use crate::words::{self, Sentence};

#[derive(Template)]
#[template(path = "subscription.html")]
struct SubscriptionPage {
    page: Page,
    line: Line,
    notice: &'static str,
    settings: Vec<(&'static str, String)>,
    filters: Vec<Sentence>,
    headers: Vec<String>,
    events: Vec<EventRow>,
    attempts: Vec<AttemptRow>,
    /// Where it is kept that somebody saw what was sent.
    witness: &'static str,
    delivered: String,
    oldest: String,
    is_off: bool,
    is_active: bool,
}

struct EventRow {
    number: u64,
    at: String,
    date: String,
    focus: String,
    interaction: &'static str,
    is_delivered: bool,
}

/// An attempt as tables show it.
pub(crate) struct AttemptRow {
    pub(crate) at: String,
    pub(crate) date: String,
    pub(crate) kind: &'static str,
    /// First and last event, if there are any.
    pub(crate) events: Option<(u64, u64)>,
    pub(crate) outcome: &'static str,
    pub(crate) is_success: bool,
    pub(crate) code: String,
    pub(crate) duration: String,
    pub(crate) detail: String,
    pub(crate) response: String,
}

impl AttemptRow {
    pub(crate) fn of(record: &AttemptRecord) -> Self {
        let code = record.http_status.map(|code| format!("HTTP {code}"));
        let code = code.or(record.smtp_code.map(|code| format!("SMTP {code}")));
        Self {
            at: text::clock(record.at),
            date: record.at.to_string(),
            kind: record.notification_type.code(),
            events: record.events.map(|(first, last)| (first.get(), last.get())),
            outcome: record.outcome.as_str(),
            is_success: record.outcome == cresset_node::AttemptOutcome::Success,
            code: code.unwrap_or_default(),
            duration: text::duration(record.duration),
            detail: record.detail.clone().unwrap_or_default(),
            response: record.response.clone().unwrap_or_default(),
        }
    }
}

/// The subscription that a path names.
pub(crate) struct Named {
    version: FhirVersion,
    id: ResourceId,
}

/// Version and id in a path.
type Parts = Path<(String, String)>;

impl Named {
    fn of(Path((version, id)): Parts) -> Result<Self, Error> {
        let id = ResourceId::new(&id).map_err(|_| not_found("there is no such subscription"))?;
        Ok(Self { version: version_of(&version)?, id })
    }

    /// Goes back to the page, which tells what was done.
    fn done(&self, context: &Context, done: &str) -> Response {
        let (root, version, id) = (&context.root, self.version.path(), &self.id);
        Redirect::to(&format!("{root}/subscriptions/{version}/{id}?done={done}")).into_response()
    }

    /// Changes the resource by a JSON Patch.
    async fn patch(
        &self,
        context: &Context,
        session: &Session,
        condition: Condition,
        operations: Value,
    ) -> Result<(), Error> {
        let target = ("Subscription", Target::Id(self.id.to_string()));
        let patch = Patch::Json(operations);
        let (node, caller) = (&context.node, &session.caller);
        node.patch(caller, self.version, target, condition, patch).await?;
        Ok(())
    }

    async fn ask_status(
        &self,
        context: &Context,
        session: &Session,
        status: SubscriptionStatus,
    ) -> Result<(), Error> {
        let status = value!([{"op": "replace", "path": "/status", "value": status.code()}]);
        self.patch(context, session, Condition::None, status).await
    }
}

/// `GET /console/subscriptions/[version]/[id]`
pub(crate) async fn page(
    State(context): State<Context>,
    parts: Parts,
    session: Session,
    query: Form,
) -> Answer {
    let named = Named::of(parts)?;
    let detail =
        context.node.subscription_detail(&session.caller, named.version, &named.id).await?;
    Ok(html(&shown(&context, &session, &detail, notice(query.text("done")))))
}

fn shown(
    context: &Context,
    session: &Session,
    detail: &SubscriptionDetail,
    notice: &'static str,
) -> SubscriptionPage {
    let subscription = &detail.subscription;
    let cursor = detail.cursor.map_or(0, EventNumber::get);
    let event = |event: &EventLine| EventRow {
        number: event.number.get(),
        at: text::ago(event.at, now()),
        date: event.at.to_string(),
        focus: event.focus.clone(),
        interaction: event.interaction.map_or("event", |one| one.code()),
        is_delivered: event.number.get() <= cursor,
    };
    let status = detail.line.status;
    SubscriptionPage {
        page: Page::new(context, Some(session), "subscriptions"),
        line: Line::of(&detail.line),
        notice,
        settings: settings(subscription),
        filters: subscription.filters.iter().map(words::filter).collect(),
        headers: subscription.headers.iter().map(|one| one.name.clone()).collect(),
        events: detail.events.iter().map(event).collect(),
        attempts: detail.attempts.iter().map(AttemptRow::of).collect(),
        witness: context.witness(),
        delivered: text::count(cursor),
        oldest: detail.oldest.map_or_else(|| "none".to_owned(), |one| text::count(one.get())),
        is_off: matches!(status, SubscriptionStatus::Off | SubscriptionStatus::EnteredInError),
        is_active: status == SubscriptionStatus::Active,
    }
}

/// What a subscription asks for besides its topic, filters and endpoint.
fn settings(subscription: &Subscription) -> Vec<(&'static str, String)> {
    let length = |one: Option<std::time::Duration>| one.map(text::duration);
    let mime_type = subscription.mime_type.as_ref().map(|one| one.as_str().to_owned());
    let all = [
        ("Content", Some(subscription.content.code().to_owned())),
        ("MIME type", mime_type),
        ("Heartbeat period", length(subscription.heartbeat_period)),
        ("Timeout", length(subscription.timeout)),
        ("Most events in a notification", subscription.max_count.map(|one| one.to_string())),
        ("Retried for at most", length(subscription.retry_period)),
        ("Ends", subscription.end.map(|one| one.to_string())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn notice(done: &str) -> &'static str {
    match done {
        "handshake" => "A handshake was asked for.",
        "off" => "The subscription is turned off.",
        "resend" => "The events are being sent again.",
        "secret" => "The header has its new value.",
        _ => "",
    }
}

/// `POST …/handshake`: what a client does that asks for `requested`.
pub(crate) async fn handshake(State(context): State<Context>, parts: Parts, post: Post) -> Answer {
    let named = Named::of(parts)?;
    named.ask_status(&context, &post.session, SubscriptionStatus::Requested).await?;
    Ok(named.done(&context, "handshake"))
}

/// `POST …/off`
pub(crate) async fn turn_off(State(context): State<Context>, parts: Parts, post: Post) -> Answer {
    let named = Named::of(parts)?;
    named.ask_status(&context, &post.session, SubscriptionStatus::Off).await?;
    Ok(named.done(&context, "off"))
}

/// `POST …/resend`: the events `since` to `until`.
pub(crate) async fn resend(State(context): State<Context>, parts: Parts, post: Post) -> Answer {
    let named = Named::of(parts)?;
    let (since, until) = range(&post.form)?;
    let query = ResendQuery { since, until, ..ResendQuery::default() };
    let (node, caller) = (&context.node, &post.session.caller);
    node.resend_events(caller, named.version, &named.id, query).await?;
    Ok(named.done(&context, "resend"))
}

/// The fields `since` and `until`.
fn range(form: &Form) -> Result<(Option<EventNumber>, Option<EventNumber>), Error> {
    let since = form.number("since")?.and_then(EventNumber::new);
    Ok((since, form.number("until")?.and_then(EventNumber::new)))
}

/// `POST …/secret`: a header gets another value.
pub(crate) async fn rotate_secret(
    State(context): State<Context>,
    parts: Parts,
    post: Post,
) -> Answer {
    let named = Named::of(parts)?;
    let (name, secret) = (post.form.text("header"), post.form.text("value"));
    if secret.is_empty() {
        return Err(bad_input("the new value is empty").into());
    }
    let (node, caller) = (&context.node, &post.session.caller);
    let stored = node.read(caller, named.version, "Subscription", named.id.as_str()).await?;
    let resource = json::parse(&stored.body).map_err(Error::internal)?;
    let operation = replacing_header(named.version, &resource, name, secret)
        .ok_or_else(|| bad_input("the subscription has no such header"))?;
    let condition = Condition::IfMatch(stored.version);
    named.patch(&context, &post.session, condition, value!([operation])).await?;
    Ok(named.done(&context, "secret"))
}

/// The operation of a JSON Patch that gives the first header of a name another value.
fn replacing_header(
    version: FhirVersion,
    resource: &Value,
    name: &str,
    secret: &str,
) -> Option<Value> {
    let (list, path) = match version {
        FhirVersion::R4 | FhirVersion::R4B => (&resource["channel"]["header"], "/channel/header"),
        FhirVersion::R5 => (&resource["parameter"], "/parameter"),
    };
    let is_named = |one: &Value| match version {
        FhirVersion::R4 | FhirVersion::R4B => one
            .as_str()
            .and_then(|line| line.split_once(':'))
            .is_some_and(|(one, _)| one.trim() == name),
        FhirVersion::R5 => one["name"] == name,
    };
    let index = list.as_array()?.iter().position(is_named)?;
    Some(match version {
        FhirVersion::R4 | FhirVersion::R4B => {
            value!({"op": "replace", "path": format!("{path}/{index}"), "value": format!("{name}: {secret}")})
        }
        FhirVersion::R5 => {
            value!({"op": "replace", "path": format!("{path}/{index}/value"), "value": secret})
        }
    })
}

#[derive(Template)]
#[template(path = "payload.html")]
struct PayloadPage {
    page: Page,
    version: &'static str,
    id: String,
    first: u64,
    last: u64,
    witness: &'static str,
    payload: String,
}

/// `POST …/payload`: what the events `since` to `until` tell, which is content of resources.
pub(crate) async fn payload(State(context): State<Context>, parts: Parts, post: Post) -> Answer {
    let named = Named::of(parts)?;
    let (Some(since), Some(until)) = range(&post.form)? else {
        return Err(Failure(bad_input("name the first and the last event")));
    };
    let (node, caller) = (&context.node, &post.session.caller);
    let bundle = node.shown_events(caller, named.version, &named.id, (since, until)).await?;
    let bundle = std::str::from_utf8(&bundle).map_err(Error::internal)?;
    Ok(html(&PayloadPage {
        page: Page::new(&context, Some(&post.session), "subscriptions"),
        version: named.version.path(),
        id: named.id.to_string(),
        first: since.get(),
        last: until.get(),
        witness: context.witness(),
        payload: text::indented(bundle),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_in_the_form_of_its_version() {
        let classic = value!({"channel": {"header": ["X-A: 1", "Authorization: Bearer old"]}});
        let native = value!({"parameter": [{"name": "Authorization", "value": "Bearer old"}]});
        for (version, resource, path, expect) in [
            (FhirVersion::R4, &classic, "/channel/header/1", "Authorization: Bearer new"),
            (FhirVersion::R4B, &classic, "/channel/header/1", "Authorization: Bearer new"),
            (FhirVersion::R5, &native, "/parameter/0/value", "Bearer new"),
        ] {
            let operation = replacing_header(version, resource, "Authorization", "Bearer new");
            let operation = operation.unwrap();
            assert_eq!((&operation["path"], &operation["value"]), (&value!(path), &value!(expect)));
            assert_eq!(replacing_header(version, resource, "Other", "x"), None);
        }
    }
}
