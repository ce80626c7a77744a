//! Notifications as they come, over a websocket of the browser's own.
//!
//! The page subscribes to what was picked and gets a binding token, as any client does; the script
//! binds, shows what comes, and tells of numbers that are missing. The subscription ends with the page,
//! or by its `end` where the page could not say goodbye.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::json;
use cresset_model::{Comparator, FilterDefinition, PayloadContent, ResourceId, Topic};
use cresset_node::{Condition, Error, TopicLine};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json as value};

use crate::context::{Context, bad_input, not_found, now, version_of};
use crate::failure::Answer;
use crate::form::{Form, Post};
use crate::page::{Page, html};
use crate::session::Session;
use crate::topics::canonical;
use crate::words;

/// How long a subscription of this page lasts if nobody ends it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// Most filters of a topic that the page offers.
const FILTERS_MAX: usize = 50;

const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    page: Page,
    choices: Vec<Choice>,
    /// What was picked, as `version/id`.
    picked: String,
    title: String,
    filters: Vec<Field>,
}

/// A topic that can be picked.
struct Choice {
    value: String,
    label: String,
}

/// A filter that can be filled in.
struct Field {
    index: usize,
    label: String,
    /// What may stand between name and value.
    hows: Vec<How>,
}

/// A comparator or a modifier, as it is written and in words.
struct How {
    code: String,
    words: &'static str,
}

impl Field {
    fn of((index, definition): (usize, &FilterDefinition)) -> Self {
        let (label, _) = words::offered(definition);
        // The same as none.
        let comparators = definition.comparators.iter().filter(|one| **one != Comparator::Eq);
        let comparators = comparators
            .map(|one| How { code: one.code().to_owned(), words: words::comparator(*one) });
        let modifiers = definition.modifiers.iter();
        let modifiers = modifiers
            .map(|one| How { code: format!(":{}", one.code()), words: words::modifier(*one) });
        Self { index, label, hows: comparators.chain(modifiers).collect() }
    }
}

/// The topics of a version that take new subscriptions.
async fn topics(
    context: &Context,
    session: &Session,
    version: FhirVersion,
) -> Result<Vec<TopicLine>, Error> {
    let mut lines = context.node.topic_lines(&session.caller, version).await?;
    lines.retain(|line| line.takes_subscriptions);
    Ok(lines)
}

/// One of these topics, by `version/id`.
async fn picked(
    context: &Context,
    session: &Session,
    name: &str,
) -> Result<(FhirVersion, Topic), Error> {
    let (version, id) = name.split_once('/').ok_or_else(|| bad_input("pick a topic"))?;
    let version = version_of(version)?;
    let lines = topics(context, session, version).await?;
    let found = lines.into_iter().find(|line| line.id.as_str() == id);
    found.map(|line| (version, line.topic)).ok_or_else(|| not_found("no such topic is in force"))
}

/// `GET /console/live`
pub(crate) async fn page(State(context): State<Context>, session: Session, query: Form) -> Answer {
    let mut choices = Vec::new();
    for version in FhirVersion::ALL {
        for line in topics(&context, &session, version).await? {
            let title = line.topic.title.clone().unwrap_or_else(|| line.id.to_string());
            choices.push(Choice {
                value: format!("{}/{}", version.path(), line.id),
                label: format!("{} · {title}", version.path().to_uppercase()),
            });
        }
    }
    let name = query.text("topic").to_owned();
    let topic = match name.is_empty() {
        true => None,
        false => Some(picked(&context, &session, &name).await?.1),
    };
    let offered = topic.iter().flat_map(|topic| topic.can_filter_by.iter().take(FILTERS_MAX));
    Ok(html(&LivePage {
        page: Page::new(&context, Some(&session), "live"),
        choices,
        title: topic.as_ref().and_then(|topic| topic.title.clone()).unwrap_or_default(),
        filters: offered.enumerate().map(Field::of).collect(),
        picked: name,
    }))
}

/// A filter as it was filled in.
struct Filled<'f> {
    definition: &'f FilterDefinition,
    how: &'f str,
    value: &'f str,
}

/// `POST /console/live/start`: subscribes, and answers with what the script needs to listen.
pub(crate) async fn start(State(context): State<Context>, post: Post) -> Answer {
    let Post { session, form } = &post;
    let (version, topic) = picked(&context, session, form.text("topic")).await?;
    let content = PayloadContent::from_code(form.text("content")).unwrap_or(PayloadContent::IdOnly);
    let names: Vec<_> =
        (0..FILTERS_MAX).map(|index| (format!("filter-{index}"), format!("how-{index}"))).collect();
    let filters = topic.can_filter_by.iter().zip(&names).filter_map(|(definition, (name, how))| {
        Some(Filled { definition, how: form.text(how), value: form.filled(name)? })
    });
    let filters: Vec<Filled<'_>> = filters.collect();
    let end = now().checked_add(LIFETIME).map_err(Error::internal)?;
    let asked = subscription(version, &topic, &filters, (content, end));
    let (node, caller) = (&context.node, &session.caller);
    let created =
        node.create(caller, version, "Subscription", Bytes::from(asked.to_string())).await?;
    let id = created.change.map(|change| change.key.id.clone());
    let id = id.ok_or_else(|| Error::internal("a subscription that was not created"))?;
    let token = node.binding_token(caller, version, std::slice::from_ref(&id)).await?;
    let token = json::parse(&token).map_err(Error::internal)?;
    let part = |name: &str| {
        let parameters = token["parameter"].as_array().into_iter().flatten();
        let mut named = parameters.filter(|one| one["name"] == name);
        named.next().and_then(Value::as_object).and_then(|one| {
            one.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value.clone())
        })
    };
    let answer = value!({
        "version": version.path(),
        "id": id.as_str(),
        "token": part("token"),
        "url": part("websocket-url"),
    });
    Ok(as_json(&answer))
}

/// `POST /console/live/end`: ends the subscription that the page made.
pub(crate) async fn end(State(context): State<Context>, post: Post) -> Answer {
    let version = version_of(post.form.text("version"))?;
    let id = post.form.text("id");
    let caller = &post.session.caller;
    let id = ResourceId::new(id).map_err(|_| not_found("there is no such subscription"))?;
    let detail = context.node.subscription_detail(caller, version, &id).await?;
    if detail.line.owner != caller.client().as_str() || detail.line.channel != "websocket" {
        return Err(bad_input("this is no subscription of the page").into());
    }
    let target = ("Subscription", id.as_str());
    context.node.delete(caller, version, target, Condition::None).await?;
    Ok(as_json(&value!({})))
}

fn as_json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// A websocket subscription in the form of its version.
fn subscription(
    version: FhirVersion,
    topic: &Topic,
    filters: &[Filled<'_>],
    (content, end): (PayloadContent, Timestamp),
) -> Value {
    let url = canonical(&topic.url, topic.version.as_deref());
    let reason = "Watched at the console";
    match version {
        FhirVersion::R4 | FhirVersion::R4B => {
            let mut asked = value!({
                "resourceType": "Subscription",
                "status": "requested",
                "end": end.to_string(),
                "reason": reason,
                "criteria": url,
                "channel": {
                    "type": "websocket",
                    "payload": "application/fhir+json",
                    "_payload": {"extension": [{
                        "url": format!("{GUIDE}/backport-payload-content"),
                        "valueCode": content.code(),
                    }]},
                },
            });
            let extensions: Vec<Value> = filters
                .iter()
                .map(|filter| {
                    value!({
                        "url": format!("{GUIDE}/backport-filter-criteria"),
                        "valueString": filter.criteria(),
                    })
                })
                .collect();
            if !extensions.is_empty() {
                asked["_criteria"] = value!({"extension": extensions});
            }
            asked
        }
        FhirVersion::R5 => {
            let mut asked = value!({
                "resourceType": "Subscription",
                "status": "requested",
                "end": end.to_string(),
                "reason": reason,
                "topic": url,
                "channelType": {
                    "system": "http://terminology.hl7.org/CodeSystem/subscription-channel-type",
                    "code": "websocket",
                },
                "contentType": "application/fhir+json",
                "content": content.code(),
            });
            if !filters.is_empty() {
                asked["filterBy"] = filters.iter().map(Filled::element).collect();
            }
            asked
        }
    }
}

impl Filled<'_> {
    /// As a search string: `Type?name:modifier=prefixvalue`, with what ends a value escaped (RQ-FL-02).
    fn criteria(&self) -> String {
        let name = &self.definition.filter_parameter;
        let (modifier, prefix) =
            if self.how.starts_with(':') { (self.how, "") } else { ("", self.how) };
        let resource_type = self.resource_type().map_or_else(String::new, |one| format!("{one}?"));
        let value = self.value.replace('%', "%25").replace('&', "%26");
        format!("{resource_type}{name}{modifier}={prefix}{value}")
    }

    /// As `filterBy`.
    fn element(&self) -> Value {
        let name = self.definition.filter_parameter.as_str();
        let mut element = value!({"filterParameter": name, "value": self.value});
        if let Some(resource_type) = self.resource_type() {
            element["resourceType"] = resource_type.into();
        }
        match self.how.strip_prefix(':') {
            Some(modifier) => element["modifier"] = modifier.into(),
            None if !self.how.is_empty() => element["comparator"] = self.how.into(),
            None => {}
        }
        element
    }

    fn resource_type(&self) -> Option<&str> {
        self.definition.resource.as_deref().and_then(|url| url.rsplit('/').next())
    }
}
