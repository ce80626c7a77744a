//! Why a change is an event of a subscription or topic, or is not: `$explain` with a form.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, EXPLAINED_CHANGES_MAX, ExplainInput, ExplainedChange, json};
use cresset_model::{ExplainedTest, ExplainedTrigger, Explanation, Verdict};
use cresset_node::{Error, Explained, Kind};
use serde_json::Value;

use crate::context::{Context, bad_input, status_of, version_of};
use crate::failure::{Answer, Told};
use crate::form::{Form, Post};
use crate::page::{Page, html};
use crate::session::Session;

/// Changes that are gone over where no number is given.
const CHANGES_DEFAULT: u64 = 100;

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    page: Page,
    versions: Vec<&'static str>,
    asked: Asked,
    issues: Vec<Told>,
    answers: Vec<ExplanationPart>,
    summary: String,
}

/// What the fields hold.
#[derive(Default)]
struct Asked {
    version: String,
    subscription: String,
    topic: String,
    focus: String,
    changes: String,
    previous: String,
    current: String,
}

/// An explanation as it is shown.
struct ExplanationPart {
    /// Which change it is about, if it is one of several.
    change: String,
    verdict: Shown,
    summary: String,
    topic: String,
    what: String,
    triggers: Vec<TriggerPart>,
    filters: Vec<TestPart>,
    problems: Vec<String>,
    missing: Vec<String>,
}

struct TriggerPart {
    element: String,
    verdict: Shown,
    reason: String,
    tests: Vec<TestPart>,
}

struct TestPart {
    element: String,
    text: String,
    verdict: Shown,
    reason: String,
    values: Vec<String>,
    left_out: usize,
}

/// A verdict in words, and the class that colours it.
struct Shown {
    text: &'static str,
    class: &'static str,
}

impl Shown {
    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fails => Self { text: "fails", class: "off" },
            Verdict::Holds => Self { text: "holds", class: "active" },
            Verdict::NotAsked => Self { text: "not asked", class: "off" },
            Verdict::Unknown => Self { text: "unknown", class: "error" },
        }
    }
}

impl TestPart {
    fn of(test: ExplainedTest) -> Self {
        Self {
            element: test.element,
            text: test.text,
            verdict: Shown::of(test.verdict),
            reason: test.reason.unwrap_or_default(),
            values: test.values,
            left_out: test.values_left_out,
        }
    }
}

impl ExplanationPart {
    fn of(change: String, explanation: Explanation) -> Self {
        let trigger = |trigger: ExplainedTrigger| TriggerPart {
            element: trigger.element,
            verdict: Shown::of(trigger.verdict),
            reason: trigger.reason.unwrap_or_default(),
            tests: trigger.criteria.into_iter().map(TestPart::of).collect(),
        };
        Self {
            change,
            verdict: match explanation.verdict {
                Verdict::Holds => Shown { text: "an event", class: "active" },
                Verdict::Fails | Verdict::NotAsked => Shown { text: "no event", class: "off" },
                Verdict::Unknown => Shown { text: "unknown", class: "error" },
            },
            summary: explanation.summary,
            topic: explanation.topic.to_string(),
            what: format!(
                "{} of a resource of type {}",
                explanation.interaction.code(),
                explanation.resource_type
            ),
            triggers: explanation.triggers.into_iter().map(trigger).collect(),
            filters: explanation.filters.into_iter().map(TestPart::of).collect(),
            problems: explanation.problems,
            missing: explanation.missing,
        }
    }

    fn of_several(one: ExplainedChange) -> Self {
        let change = format!("{}/_history/{} at {}", one.reference, one.version, one.at);
        Self::of(change, one.explanation)
    }
}

impl Asked {
    fn of(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            version: text("version"),
            subscription: text("subscription"),
            topic: text("topic"),
            focus: text("focus"),
            changes: text("changes"),
            previous: text("previous"),
            current: text("current"),
        }
    }

    /// What is asked about: a type and an id.
    fn about(&self, version: FhirVersion) -> Result<(&'static str, &str), Error> {
        match (self.subscription.as_str(), self.topic.as_str()) {
            ("", "") => Err(bad_input("name a subscription or a topic")),
            (id, "") => Ok(("Subscription", id)),
            ("", id) => Ok((Codec::of(version).topic_type(), id)),
            (_, _) => Err(bad_input("name a subscription or a topic, not both")),
        }
    }

    /// The change: the first way of naming one that is filled in.
    fn input(&self, changes: Option<u64>) -> Result<ExplainInput, Error> {
        if !self.previous.is_empty() || !self.current.is_empty() {
            let (previous, current) = (state(&self.previous)?, state(&self.current)?);
            return Ok(ExplainInput::States { previous, current });
        }
        if !self.focus.is_empty() {
            return Ok(ExplainInput::Focus(self.focus.clone()));
        }
        let count = changes.unwrap_or(CHANGES_DEFAULT).max(1);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(ExplainInput::Changes(count.min(EXPLAINED_CHANGES_MAX)))
    }
}

/// A resource that was pasted, if there is one.
fn state(text: &str) -> Result<Option<Value>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = json::parse(text.as_bytes());
    parsed.map(Some).map_err(|issues| Error::new(Kind::Malformed, issues))
}

impl ExplainPage {
    fn new(context: &Context, session: &Session, form: &Form) -> Self {
        Self {
            page: Page::new(context, Some(session), "explain"),
            versions: FhirVersion::ALL.iter().map(|version| version.path()).collect(),
            asked: Asked::of(form),
            issues: Vec::new(),
            answers: Vec::new(),
            summary: String::new(),
        }
    }
}

/// `GET /console/explain`, with what is known already in the query.
pub(crate) async fn page(
    State(context): State<Context>,
    session: Session,
    query: Form,
) -> Response {
    html(&ExplainPage::new(&context, &session, &query))
}

/// `POST /console/explain`
pub(crate) async fn answer(State(context): State<Context>, post: Post) -> Answer {
    let page = ExplainPage::new(&context, &post.session, &post.form);
    match explained(&context, &post, &page.asked).await {
        Ok(Explained::Change(explanation)) => {
            let answers = vec![ExplanationPart::of(String::new(), *explanation)];
            Ok(html(&ExplainPage { answers, ..page }))
        }
        Ok(Explained::Changes { found, since: _ }) => {
            let summary = format!(
                "Of the newest {} changes of the log, {} are about types of the topic, and {} are events.",
                found.looked_at, found.concerned, found.events
            );
            let answers = found.changes.into_iter().rev().map(ExplanationPart::of_several);
            Ok(html(&ExplainPage { answers: answers.collect(), summary, ..page }))
        }
        Err(error) => {
            let status: StatusCode = status_of(&error);
            let issues = error.issues().0.iter().map(Told::of).collect();
            Ok((status, html(&ExplainPage { issues, ..page })).into_response())
        }
    }
}

async fn explained(context: &Context, post: &Post, asked: &Asked) -> Result<Explained, Error> {
    let version = version_of(&asked.version)?;
    let input = asked.input(post.form.number("changes")?)?;
    let about = asked.about(version)?;
    context.node.explained(&post.session.caller, version, about, input).await
}
