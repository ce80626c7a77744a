//! A sample that is written, and followed on its way: stored, matched, numbered, sent, acknowledged.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::json;
use cresset_model::{Interaction, IssueCode};
use cresset_node::{Condition, Error, Followed, FollowedSubscription, Kind, Written};
use tokio::time::Duration;

use crate::context::{Context, bad_input, status_of, version_of};
use crate::failure::{Answer, Told};
use crate::form::{Form, Post};
use crate::page::{Page, go_to, html};
use crate::session::Session;
use crate::stream::{self, Parts};
use crate::subscription::AttemptRow;
use crate::subscriptions::Line;
use crate::text;

/// How often it is looked where the change is.
const PERIOD: Duration = Duration::from_millis(500);

/// The samples: what they are called, and what they are in R4 and R4B, and in R5.
const SAMPLES: [(&str, &str, &str); 3] = [
    (
        "Encounter",
        r#"{
  "resourceType": "Encounter",
  "status": "in-progress",
  "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
  "subject": { "reference": "Patient/example" }
}"#,
        r#"{
  "resourceType": "Encounter",
  "status": "in-progress",
  "class": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" }] }],
  "subject": { "reference": "Patient/example" }
}"#,
    ),
    ("Observation", OBSERVATION, OBSERVATION),
    ("Patient", PATIENT, PATIENT),
];

const OBSERVATION: &str = r#"{
  "resourceType": "Observation",
  "status": "final",
  "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4", "display": "Heart rate" }] },
  "subject": { "reference": "Patient/example" },
  "valueQuantity": { "value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min" }
}"#;

const PATIENT: &str = r#"{
  "resourceType": "Patient",
  "name": [{ "family": "Example", "given": ["Erin"] }],
  "gender": "female"
}"#;

#[derive(Template)]
#[template(path = "try.html")]
struct TryPage {
    page: Page,
    versions: Vec<&'static str>,
    version: &'static str,
    samples: Vec<&'static str>,
    sample: &'static str,
    resource: String,
    issues: Vec<Told>,
}

impl TryPage {
    fn new(context: &Context, session: &Session, version: FhirVersion, sample: &str) -> Self {
        let found = SAMPLES.iter().find(|(name, ..)| *name == sample).unwrap_or(&SAMPLES[0]);
        let resource = match version {
            FhirVersion::R4 | FhirVersion::R4B => found.1,
            FhirVersion::R5 => found.2,
        };
        Self {
            page: Page::new(context, Some(session), "try"),
            versions: FhirVersion::ALL.iter().map(|version| version.path()).collect(),
            version: version.path(),
            samples: SAMPLES.iter().map(|(name, ..)| *name).collect(),
            sample: found.0,
            resource: resource.to_owned(),
            issues: Vec::new(),
        }
    }
}

/// `GET /console/try`
pub(crate) async fn page(State(context): State<Context>, session: Session, query: Form) -> Answer {
    let version = query.filled("version").map_or(Ok(FhirVersion::R4), version_of)?;
    Ok(html(&TryPage::new(&context, &session, version, query.text("sample"))))
}

/// `POST /console/try`: writes what the form holds, and goes on to where it is followed.
pub(crate) async fn write(State(context): State<Context>, post: Post) -> Answer {
    let version = version_of(post.form.text("version"))?;
    match written(&context, &post, version).await {
        Ok(written) => {
            let change =
                written.change.ok_or_else(|| Error::internal("a write without a change"))?;
            let (key, number) = (&change.key, change.version);
            let (resource_type, id) = (&key.resource_type, &key.id);
            let path = format!("/try/{}/{resource_type}/{id}/{number}", version.path());
            Ok(go_to(&context, &path))
        }
        Err(error) => {
            let page = TryPage::new(&context, &post.session, version, "");
            let resource = post.form.text("resource").to_owned();
            let issues = error.issues().0.iter().map(Told::of).collect();
            let page = TryPage { resource, issues, ..page };
            Ok((status_of(&error), html(&page)).into_response())
        }
    }
}

/// Creates a resource without an id; creates or updates one with.
async fn written(context: &Context, post: &Post, version: FhirVersion) -> Result<Written, Error> {
    let text = post.form.text("resource");
    let parsed = json::parse(text.as_bytes());
    let value = parsed.map_err(|issues| Error::new(Kind::Malformed, issues))?;
    let resource_type = value["resourceType"].as_str().ok_or_else(|| {
        Error::of(Kind::Malformed, IssueCode::WrongResourceType, "it has no resourceType")
    })?;
    let (node, caller) = (&context.node, &post.session.caller);
    let bytes = Bytes::from(text.to_owned());
    match value["id"].as_str() {
        None => node.create(caller, version, resource_type, bytes).await,
        Some(id) => {
            let target = (resource_type, id);
            node.update(caller, version, target, Condition::None, bytes).await
        }
    }
}

#[derive(Template)]
#[template(path = "followed.html")]
struct FollowedPage {
    page: Page,
    reference: String,
    stream: String,
    steps: StepsPart,
}

/// Where a change is on its way.
#[derive(Template)]
#[template(path = "followed_steps.html")]
struct StepsPart {
    root: String,
    what: &'static str,
    reference: String,
    position: String,
    stored: String,
    matched: String,
    delivered: &'static str,
    rows: Vec<StepRow>,
    left_out: usize,
    is_done: bool,
}

/// Where it is on its way to a subscription.
struct StepRow {
    line: Line,
    number: String,
    sent: Vec<AttemptRow>,
    acknowledged: String,
    is_delivered: bool,
}

impl StepRow {
    fn of(one: &FollowedSubscription) -> Self {
        let success = one.attempts.iter().find(|attempt| {
            attempt.outcome == cresset_node::AttemptOutcome::Success && one.is_delivered
        });
        let at = success.and_then(|attempt| attempt.at.checked_add(attempt.duration).ok());
        let acknowledged = match (one.number, at) {
            (None, _) => String::new(),
            (Some(_), Some(at)) => text::clock(at),
            (Some(_), None) if one.is_delivered => "delivered".to_owned(),
            (Some(_), None) => "not yet".to_owned(),
        };
        Self {
            line: Line::of(&one.line),
            number: one.number.map_or_else(|| "no event".to_owned(), |number| number.to_string()),
            sent: one.attempts.iter().map(AttemptRow::of).collect(),
            acknowledged,
            is_delivered: one.is_delivered,
        }
    }
}

impl StepsPart {
    fn of(context: &Context, followed: &Followed) -> Self {
        let change = &followed.change;
        let count = followed.subscriptions.len() + followed.left_out;
        let (resource_type, id) = (&change.key.resource_type, &change.key.id);
        let subscriptions = &followed.subscriptions;
        let any = subscriptions.iter().any(|one| one.number.is_some());
        let all = subscriptions.iter().all(|one| one.number.is_none() || one.is_delivered);
        Self {
            root: context.root.clone(),
            what: match change.interaction {
                Interaction::Create => "created",
                Interaction::Delete => "deleted",
                Interaction::Update => "updated",
            },
            reference: format!("{resource_type}/{id}/_history/{}", change.version),
            position: text::count(change.position.get()),
            stored: text::clock(change.at),
            matched: match count {
                0 => "no subscription".to_owned(),
                1 => "1 subscription".to_owned(),
                _ => format!("{} subscriptions", text::count(count as u64)),
            },
            rows: followed.subscriptions.iter().map(StepRow::of).collect(),
            left_out: followed.left_out,
            delivered: match (all, followed.left_out) {
                (false, _) => "not to all yet",
                (true, 1..) => "not known of all",
                (true, 0) if any => "to all",
                (true, 0) => "nobody to tell",
            },
            is_done: all && followed.left_out == 0,
        }
    }
}

/// Version, type, id and version of a resource in a path.
type Parts4 = Path<(String, String, String, String)>;

/// What a path names.
fn named(
    Path((version, resource_type, id, number)): Parts4,
) -> Result<(FhirVersion, String), Error> {
    if number.parse::<u64>().is_err() {
        return Err(bad_input("that is no version"));
    }
    Ok((version_of(&version)?, format!("{resource_type}/{id}/_history/{number}")))
}

/// `GET /console/try/[version]/[type]/[id]/[number]`
pub(crate) async fn followed(
    State(context): State<Context>,
    parts: Parts4,
    session: Session,
) -> Answer {
    let (version, reference) = named(parts)?;
    let matched = context.node.matched(&session.caller, version, reference.clone()).await?;
    let found = context.node.followed(&session.caller, matched).await?;
    let path = reference.replace("_history/", "");
    Ok(html(&FollowedPage {
        page: Page::new(&context, Some(&session), "try"),
        stream: format!("{}/try/{}/{path}/stream", context.root, version.path()),
        reference,
        steps: StepsPart::of(&context, &found),
    }))
}

/// `GET /console/try/[version]/[type]/[id]/[number]/stream`
pub(crate) async fn stream(
    State(context): State<Context>,
    parts: Parts4,
    session: Session,
) -> Answer {
    let (version, reference) = named(parts)?;
    let caller = session.caller.clone();
    // Of one that came later the change is no event, so who is told does not change.
    let matched = context.node.matched(&caller, version, reference).await?;
    stream::of_parts(context, session, PERIOD, move |context| {
        let (caller, matched) = (caller.clone(), matched.clone());
        async move {
            // What cannot be read now may be the next time.
            let Ok(found) = context.node.followed(&caller, matched).await else {
                return Some(Parts::new());
            };
            Some(vec![("steps", StepsPart::of(&context, &found).render().ok()?)])
        }
    })
}
