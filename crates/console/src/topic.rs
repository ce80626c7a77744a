//! One topic: what it says in plain words, what is to be said about it, who listens; and its editor.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, ExplainInput, ExplainedChanges, json, parse_topic_any};
use cresset_model::{Change, ResourceId, Topic, VersionId};
use cresset_node::{
    CONFIGURATION, Condition, Error, Explained, Kind, RosterQuery, TopicCheck, Written, check_topic,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::context::{Context, bad_input, not_found, now, status_of, version_of};
use crate::failure::{Answer, Told};
use crate::form::{Form, Post};
use crate::page::{Page, go_to, html};
use crate::session::Session;
use crate::subscriptions::Line;
use crate::text;
use crate::topics::canonical;
use crate::words::{self, TriggerWords};

/// Subscriptions that are shown with a topic.
const LINES_MAX: usize = 20;

/// Newest changes of the log that are gone over to see how many are events of the topic.
const CHANGES_LOOKED_AT: usize = 200;

#[derive(Template)]
#[template(path = "topic.html")]
struct TopicPage {
    page: Page,
    version: &'static str,
    id: String,
    title: String,
    url: String,
    status: &'static str,
    description: String,
    is_from_file: bool,
    is_saved: bool,
    takes_subscriptions: bool,
    triggers: Vec<TriggerWords>,
    filters: Vec<OfferedFilter>,
    issues: Vec<Told>,
    recent: String,
    subscriptions: String,
    lines: Vec<Line>,
    resource: String,
}

struct OfferedFilter {
    name: String,
    words: String,
    description: String,
}

#[derive(Template)]
#[template(path = "topic_edit.html")]
struct EditPage {
    page: Page,
    version: &'static str,
    versions: Vec<&'static str>,
    /// Empty for a new one.
    id: String,
    /// The version that was read.
    read: String,
    resource: String,
    check: CheckPart,
}

/// What is to be said about a topic that somebody writes.
#[derive(Template)]
#[template(path = "topic_check.html")]
struct CheckPart {
    is_good: bool,
    issues: Vec<Told>,
    triggers: Vec<TriggerWords>,
}

impl CheckPart {
    fn of(version: FhirVersion, bytes: &[u8]) -> Self {
        let TopicCheck { issues, .. } = check_topic(bytes, &[version]);
        let issues: Vec<_> = issues.into_iter().map(|(_, issue)| issue).collect();
        let is_good = !issues.iter().any(|issue| issue.severity == cresset_model::Severity::Error);
        let topic = json::parse(bytes).ok().and_then(|value| parse_topic_any(&value).ok());
        Self {
            is_good,
            issues: issues.iter().map(Told::of).collect(),
            triggers: topic.as_ref().map(triggers).unwrap_or_default(),
        }
    }
}

fn triggers(topic: &Topic) -> Vec<TriggerWords> {
    let resource = topic.resource_triggers.iter().map(words::resource_trigger);
    resource.chain(topic.event_triggers.iter().map(words::event_trigger)).collect()
}

/// Reads the topic that a path names.
async fn stored(
    context: &Context,
    session: &Session,
    version: FhirVersion,
    id: &str,
) -> Result<(Change, Topic), Error> {
    let codec = Codec::of(version);
    let stored = context.node.read(&session.caller, version, codec.topic_type(), id).await?;
    let value = json::parse(&stored.body).map_err(Error::internal)?;
    let topic = codec.parse_topic(&value).map_err(|_| not_found("there is no such topic"))?;
    Ok((stored, topic))
}

/// `GET /console/topics/[version]/[id]`
pub(crate) async fn page(
    State(context): State<Context>,
    Path((version, id)): Path<(String, String)>,
    session: Session,
    query: Form,
) -> Answer {
    let version = version_of(&version)?;
    let (stored, topic) = stored(&context, &session, version, &id).await?;
    let roster = RosterQuery {
        version: Some(version),
        topic: Some(topic.url.to_string()),
        ..RosterQuery::default()
    };
    let found = context.node.roster(&session.caller, roster, LINES_MAX).await?;
    let lines = context.node.topic_lines(&session.caller, version).await?;
    let usable = lines.into_iter().find(|line| line.id.as_str() == id);
    // One that is retired keeps the subscriptions that it has.
    let is_in_force =
        usable.as_ref().is_some_and(|line| line.takes_subscriptions || line.subscriptions > 0);
    let recent = match is_in_force {
        true => recent(&context, &session, version, &id).await?,
        false => "It is not in force: no change is an event of it.".to_owned(),
    };
    let filters = topic.can_filter_by.iter().map(|one| {
        let (name, words) = words::offered(one);
        OfferedFilter { name, words, description: one.description.clone().unwrap_or_default() }
    });
    let page = TopicPage {
        page: Page::new(&context, Some(&session), "topics"),
        version: version.path(),
        title: topic.title.clone().unwrap_or_else(|| id.clone()),
        id,
        url: canonical(&topic.url, topic.version.as_deref()),
        status: topic.status.code(),
        description: topic.description.clone().unwrap_or_default(),
        is_from_file: stored.author.as_str() == CONFIGURATION,
        is_saved: query.text("done") == "saved",
        triggers: triggers(&topic),
        filters: filters.collect(),
        issues: CheckPart::of(version, &stored.body).issues,
        recent,
        takes_subscriptions: usable.as_ref().is_some_and(|line| line.takes_subscriptions),
        subscriptions: usable
            .map_or_else(String::new, |line| text::count(line.subscriptions as u64)),
        lines: found.lines.iter().map(Line::of).collect(),
        resource: text::indented(&String::from_utf8_lossy(&stored.body)),
    };
    Ok(html(&page))
}

/// How many of the newest changes are events of the topic.
async fn recent(
    context: &Context,
    session: &Session,
    version: FhirVersion,
    id: &str,
) -> Result<String, Error> {
    let on = (Codec::of(version).topic_type(), id);
    let input = ExplainInput::Changes(CHANGES_LOOKED_AT);
    let explained = context.node.explained(&session.caller, version, on, input).await?;
    let Explained::Changes { found, since } = explained else { return Ok(String::new()) };
    Ok(counted(&found, since, now()))
}

/// What was found in words: the rate is that since the oldest change that was looked at.
fn counted(found: &ExplainedChanges, since: Option<Timestamp>, now: Timestamp) -> String {
    let length = since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
    let rate = length.and_then(|length| {
        let frequency = text::frequency(found.events as u64, length)?;
        Some(format!(", {frequency} over the last {}", text::duration(length)))
    });
    format!(
        "Of the newest {} changes of the log, {} are about its types and {} are events of it{}.",
        found.looked_at,
        found.concerned,
        found.events,
        rate.unwrap_or_default()
    )
}

/// `GET /console/topics/new`
pub(crate) async fn new(State(context): State<Context>, session: Session, query: Form) -> Answer {
    let version = query.filled("version").map_or(Ok(FhirVersion::R4), version_of)?;
    let resource = include_str!("../assets/topic.json").to_owned();
    Ok(html(&EditPage::new(&context, &session, version, resource)))
}

impl EditPage {
    fn new(context: &Context, session: &Session, version: FhirVersion, resource: String) -> Self {
        Self {
            page: Page::new(context, Some(session), "topics"),
            version: version.path(),
            versions: FhirVersion::ALL.iter().map(|version| version.path()).collect(),
            id: String::new(),
            read: String::new(),
            check: CheckPart::of(version, resource.as_bytes()),
            resource,
        }
    }
}

/// `GET /console/topics/[version]/[id]/edit`
pub(crate) async fn edit(
    State(context): State<Context>,
    Path((version, id)): Path<(String, String)>,
    session: Session,
) -> Answer {
    let version = version_of(&version)?;
    let (stored, _) = stored(&context, &session, version, &id).await?;
    let resource = text::indented(&String::from_utf8_lossy(&stored.body));
    let page = EditPage::new(&context, &session, version, resource);
    Ok(html(&EditPage { id, read: stored.version.to_string(), ..page }))
}

/// `POST /console/topics/check`: what is to be said about a text, as a part of a page.
pub(crate) async fn check(post: Post) -> Answer {
    let version = version_of(post.form.text("version"))?;
    Ok(html(&CheckPart::of(version, post.form.text("resource").as_bytes())))
}

/// `POST /console/topics/save`
pub(crate) async fn save(State(context): State<Context>, post: Post) -> Answer {
    let version = version_of(post.form.text("version"))?;
    match written(&context, &post, version).await {
        Ok(written) => {
            let id = written.change.map(|change| change.key.id.to_string()).unwrap_or_default();
            Ok(go_to(&context, &format!("/topics/{}/{id}?done=saved", version.path())))
        }
        Err(error) => Ok(again(&context, &post, version, &error)),
    }
}

/// The editor with what was written and why it was refused.
fn again(context: &Context, post: &Post, version: FhirVersion, error: &Error) -> Response {
    let form = &post.form;
    let page = EditPage::new(context, &post.session, version, form.text("resource").to_owned());
    let issues = error.issues().0.iter().map(Told::of).collect();
    let check = CheckPart { is_good: false, issues, ..page.check };
    let (id, read) = (form.text("id").to_owned(), form.text("read").to_owned());
    (status_of(error), html(&EditPage { id, read, check, ..page })).into_response()
}

/// Writes a topic; one in another version's form in that of its own.
async fn written(context: &Context, post: &Post, version: FhirVersion) -> Result<Written, Error> {
    let (form, caller) = (&post.form, &post.session.caller);
    let codec = Codec::of(version);
    let text = form.text("resource");
    let malformed = |issues| Error::new(Kind::Malformed, issues);
    let value = json::parse(text.as_bytes()).map_err(malformed)?;
    let id = form.text("id");
    let bytes = if codec.is_topic(&value) && (id.is_empty() || value.get("id").is_some()) {
        Bytes::from(text.to_owned())
    } else if codec.is_topic(&value) {
        // It has the id of what is edited.
        let id = Value::from(id).to_string();
        json::set_member(text.as_bytes(), "id", id.as_bytes()).map_err(malformed)?.into()
    } else {
        let topic =
            parse_topic_any(&value).map_err(|issues| Error::new(Kind::Unprocessable, issues))?;
        let named = value["id"].as_str().and_then(|id| ResourceId::new(id).ok());
        let named = ResourceId::new(id).ok().or(named);
        let fallback = || ResourceId::new("new").map_err(Error::internal);
        Bytes::from(codec.render_topic(&topic, &named.map_or_else(fallback, Ok)?))
    };
    if id.is_empty() {
        return context.node.create(caller, version, codec.topic_type(), bytes).await;
    }
    let read = form.number("read")?.and_then(VersionId::new);
    let condition = Condition::IfMatch(read.ok_or_else(|| bad_input("the version is missing"))?);
    context.node.update(caller, version, (codec.topic_type(), id), condition, bytes).await
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn the_rate_is_that_since_the_oldest_change_looked_at() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (events, seconds, expect) in [
            (120, Some(60), "120 are events of it, 2.0 a second over the last 60 s."),
            (200, Some(7_200), "200 are events of it, 1.7 a minute over the last 2 h."),
            (0, Some(60), "0 are events of it, 0 a day over the last 60 s."),
            (3, Some(0), "3 are events of it."),
            // Clocks that do not agree.
            (3, Some(-60), "3 are events of it."),
            (0, None, "0 are events of it."),
        ] {
            let found = ExplainedChanges {
                looked_at: 200,
                concerned: 200,
                events,
                // As many as are shown.
                changes: VecDeque::new(),
            };
            let since =
                seconds.map(|seconds| Timestamp::from_second(now.as_second() - seconds).unwrap());
            let told = counted(&found, since, now);
            assert!(told.ends_with(expect), "{told}");
        }
    }
}
