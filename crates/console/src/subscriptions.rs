//! Subscriptions, found by what they are.

use askama::Template;
use axum::extract::State;
use cresset_definitions::FhirVersion;
use cresset_model::{Position, SubscriptionStatus};
use cresset_node::{RosterLine, RosterQuery};
use url::form_urlencoded;

use crate::context::{Context, bad_input, now, version_of};
use crate::failure::Answer;
use crate::form::Form;
use crate::page::{Page, html};
use crate::session::Session;
use crate::text;

/// Subscriptions on a page.
const PAGE_LINES: usize = 50;

#[derive(Template)]
#[template(path = "subscriptions.html")]
struct SubscriptionsPage {
    page: Page,
    asked: Asked,
    statuses: Vec<&'static str>,
    versions: Vec<&'static str>,
    lines: Vec<Line>,
    /// The query of the next page.
    next: Option<String>,
    is_first: bool,
}

/// What the fields of the search hold.
struct Asked {
    id: String,
    status: String,
    version: String,
    topic: String,
    endpoint: String,
    owner: String,
}

/// A subscription as tables show it.
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) status: &'static str,
    pub(crate) since: String,
    pub(crate) topic: String,
    pub(crate) channel: String,
    pub(crate) endpoint: String,
    pub(crate) owner: String,
    pub(crate) events: String,
    pub(crate) lag: String,
    pub(crate) trouble: String,
}

impl Line {
    pub(crate) fn of(line: &RosterLine) -> Self {
        Self {
            path: format!("/subscriptions/{}/{}", line.version.path(), line.id),
            id: line.id.to_string(),
            version: line.version.path().to_uppercase(),
            status: line.status.code(),
            since: text::ago(line.since, now()),
            topic: line.topic.clone(),
            channel: line.channel.clone(),
            endpoint: line.endpoint.clone().unwrap_or_default(),
            owner: line.owner.clone(),
            events: text::count(line.events),
            lag: text::count(line.lag),
            trouble: line.trouble.clone().unwrap_or_default(),
        }
    }
}

impl Asked {
    fn of(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            id: text("id"),
            status: text("status"),
            version: text("version"),
            topic: text("topic"),
            endpoint: text("endpoint"),
            owner: text("owner"),
        }
    }

    /// The fields as a query.
    fn query(&self, before: u64) -> String {
        let fields = [
            ("id", &self.id),
            ("status", &self.status),
            ("version", &self.version),
            ("topic", &self.topic),
            ("endpoint", &self.endpoint),
            ("owner", &self.owner),
        ];
        let filled = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(filled).append_pair("before", &before.to_string());
        query.finish()
    }
}

/// `GET /console/subscriptions`
pub(crate) async fn page(State(context): State<Context>, session: Session, form: Form) -> Answer {
    let owned = |name: &str| form.filled(name).map(str::to_owned);
    let status = form.filled("status").map(|code| {
        SubscriptionStatus::from_code(code).ok_or_else(|| bad_input("there is no such status"))
    });
    let before = form.number("before")?.and_then(Position::new);
    let query = RosterQuery {
        version: form.filled("version").map(version_of).transpose()?,
        id: owned("id"),
        status: status.transpose()?,
        // Behind the bar is the version, which does not matter here.
        topic: owned("topic").and_then(|one| one.split('|').next().map(str::to_owned)),
        endpoint: owned("endpoint"),
        owner: owned("owner"),
        before,
    };
    let found = context.node.roster(&session.caller, query, PAGE_LINES).await?;
    let asked = Asked::of(&form);
    let last = found.lines.last().filter(|_| found.has_more);
    Ok(html(&SubscriptionsPage {
        page: Page::new(&context, Some(&session), "subscriptions"),
        next: last.map(|line| asked.query(line.created.get())),
        asked,
        statuses: SubscriptionStatus::ALL.iter().map(|status| status.code()).collect(),
        versions: FhirVersion::ALL.iter().map(|version| version.path()).collect(),
        lines: found.lines.iter().map(Line::of).collect(),
        is_first: before.is_none(),
    }))
}
