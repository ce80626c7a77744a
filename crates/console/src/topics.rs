//! The topics of a version.

use askama::Template;
use axum::extract::State;
use cresset_definitions::FhirVersion;
use cresset_node::TopicLine;

use crate::context::{Context, version_of};
use crate::failure::Answer;
use crate::form::Form;
use crate::page::{Page, go_to, html};
use crate::session::Session;
use crate::text;
use crate::words::{self, Sentence};

#[derive(Template)]
#[template(path = "topics.html")]
struct TopicsPage {
    page: Page,
    version: &'static str,
    versions: Vec<&'static str>,
    lines: Vec<TopicRow>,
}

struct TopicRow {
    id: String,
    title: String,
    url: String,
    status: &'static str,
    when: Vec<Sentence>,
    subscriptions: String,
}

impl TopicRow {
    fn of(line: &TopicLine) -> Self {
        let topic = &line.topic;
        let resource = topic.resource_triggers.iter().map(|one| words::resource_trigger(one).when);
        let event = topic.event_triggers.iter().map(|one| words::event_trigger(one).when);
        Self {
            id: line.id.to_string(),
            title: topic.title.clone().unwrap_or_else(|| line.id.to_string()),
            url: canonical(&topic.url, topic.version.as_deref()),
            status: topic.status.code(),
            when: resource.chain(event).collect(),
            subscriptions: text::count(line.subscriptions as u64),
        }
    }
}

/// A canonical with its version.
pub(crate) fn canonical(url: &str, version: Option<&str>) -> String {
    version.map_or_else(|| url.to_owned(), |version| format!("{url}|{version}"))
}

/// `GET /console/topics`: those of a version; with `url`, on to the one that has it.
pub(crate) async fn page(State(context): State<Context>, session: Session, query: Form) -> Answer {
    if let Some(url) = query.filled("url") {
        let url = url.split('|').next().unwrap_or_default();
        for version in FhirVersion::ALL {
            let lines = context.node.topic_lines(&session.caller, version).await?;
            if let Some(found) = lines.iter().find(|line| line.topic.url == url) {
                return Ok(go_to(&context, &format!("/topics/{}/{}", version.path(), found.id)));
            }
        }
    }
    let version = query.filled("version").map_or(Ok(FhirVersion::R4), version_of)?;
    let lines = context.node.topic_lines(&session.caller, version).await?;
    Ok(html(&TopicsPage {
        page: Page::new(&context, Some(&session), "topics"),
        version: version.path(),
        versions: FhirVersion::ALL.iter().map(|version| version.path()).collect(),
        lines: lines.iter().map(TopicRow::of).collect(),
    }))
}
