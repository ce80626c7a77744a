//! Reads notification Bundles of all versions into one form, as a subscriber does.

use cresset_definitions::FhirVersion;
use cresset_model::{
    Canonical, Coding, EventNumber, Interaction, Issue, IssueCode, Issues, NotificationType,
    Opaque, RelatedQuery, SubscriptionError, SubscriptionErrorCode, SubscriptionStatus,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::element::{Element, invalid, missing, unknown_code};
use crate::instant::parse_instant;
use crate::topic::read_coding;
use crate::urls;

/// What a notification says to the one who gets it, the same for all versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedNotification {
    /// `Bundle.id`.
    pub id: Option<String>,
    /// When the Bundle was built.
    pub timestamp: Option<Timestamp>,
    /// The Subscription as referred to.
    pub subscription: String,
    /// The topic, where told.
    pub topic: Option<Canonical>,
    /// The Subscription's status, where told.
    pub status: Option<SubscriptionStatus>,
    /// What kind of notification.
    pub notification_type: NotificationType,
    /// How many events there have been, where told.
    pub events_since_subscription_start: Option<u64>,
    /// The events, in the order they stand.
    pub events: Vec<ReceivedEvent>,
    /// Why the subscription is in error.
    pub errors: Vec<SubscriptionError>,
    /// The entries behind the status.
    pub entries: Vec<ReceivedEntry>,
}

/// One event of a [`ReceivedNotification`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its number.
    pub number: EventNumber,
    /// When it happened, where told.
    pub timestamp: Option<Timestamp>,
    /// Reference to what changed, where told.
    pub focus: Option<String>,
    /// References to what goes with it.
    pub additional_context: Vec<String>,
    /// Queries that tell more of it.
    pub related_queries: Vec<RelatedQuery>,
    /// What kinds of event it is of; only R4 tells.
    pub codes: Vec<Coding>,
}

/// One entry of a [`ReceivedNotification`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedEntry {
    /// Absolute URL.
    pub full_url: Option<String>,
    /// What was done to the resource; none where it only goes with another, or is not told.
    pub interaction: Option<Interaction>,
    /// The resource, where sent.
    pub resource: Option<Value>,
}

impl Eq for ReceivedEntry {}

/// Reads a notification Bundle.
///
/// # Errors
/// All issues found. Lenient where senders differ: numbers as JSON numbers (TR-03), references as
/// strings, no request and response.
pub(crate) fn decode_notification(
    version: FhirVersion,
    value: &Value,
) -> Result<ReceivedNotification, Issues> {
    let bundle = Element::resource(value, "Bundle")?;
    let mut issues = Issues::default();
    let entries = bundle.children("entry", &mut issues);
    let Some((first, rest)) = entries.split_first() else {
        issues.push(missing("entry").at(bundle.at("entry")));
        return Err(issues);
    };
    let status = first.child("resource", &mut issues).and_then(|resource| match version {
        FhirVersion::R4 => Status::of_parameters(&resource, &mut issues),
        FhirVersion::R4B | FhirVersion::R5 => Status::of_resource(&resource, &mut issues),
    });
    let Some(status) = status else {
        issues.push(missing("the status resource").at(first.at("resource")));
        return Err(issues);
    };
    let received = ReceivedNotification {
        id: bundle.string("id", &mut issues).map(str::to_owned),
        timestamp: read_instant(bundle.members.get("timestamp")),
        subscription: status.subscription,
        topic: status.topic,
        status: status.status,
        notification_type: status.notification_type,
        events_since_subscription_start: status.count,
        events: status.events,
        errors: status.errors,
        entries: rest.iter().map(|entry| decode_entry(entry, &mut issues)).collect(),
    };
    issues.into_result(received).map(|(received, _)| received)
}

fn decode_entry(entry: &Element<'_>, issues: &mut Issues) -> ReceivedEntry {
    let request = entry.child("request", issues);
    let method = request.and_then(|request| request.string("method", issues));
    let interaction = match method {
        Some("POST") => Some(Interaction::Create),
        Some("PUT" | "PATCH") => Some(Interaction::Update),
        Some("DELETE") => Some(Interaction::Delete),
        _ => None,
    };
    ReceivedEntry {
        full_url: entry.string("fullUrl", issues).map(str::to_owned),
        interaction,
        resource: entry.members.get("resource").cloned(),
    }
}

struct Status {
    subscription: String,
    topic: Option<Canonical>,
    status: Option<SubscriptionStatus>,
    notification_type: NotificationType,
    count: Option<u64>,
    events: Vec<ReceivedEvent>,
    errors: Vec<SubscriptionError>,
}

impl Status {
    /// Of R4B's and R5's SubscriptionStatus.
    fn of_resource(resource: &Element<'_>, issues: &mut Issues) -> Option<Self> {
        if resource.members.get("resourceType").is_none_or(|it| it != "SubscriptionStatus") {
            issues.push(wrong_status("SubscriptionStatus").at(resource.path.clone()));
            return None;
        }
        let mut events = Vec::new();
        for element in resource.children("notificationEvent", issues) {
            let references = element.members.get("additionalContext").and_then(Value::as_array);
            let number = element.members.get("eventNumber");
            events.push(ReceivedEvent {
                number: read_event_number(number, element.at("eventNumber"), issues)?,
                timestamp: read_instant(element.members.get("timestamp")),
                focus: element.members.get("focus").and_then(read_reference),
                additional_context: references
                    .into_iter()
                    .flatten()
                    .filter_map(read_reference)
                    .collect(),
                related_queries: element
                    .extensions(issues)
                    .iter()
                    .filter(|extension| extension.url == urls::RELATED_QUERY)
                    .filter_map(|extension| read_related_query(&extension.element, issues))
                    .collect(),
                codes: Vec::new(),
            });
        }
        let errors = resource.members.get("error").and_then(Value::as_array);
        let count = resource.members.get("eventsSinceSubscriptionStart");
        let topic = resource.string("topic", issues).map(Canonical::new);
        let status = resource.code("status", SubscriptionStatus::from_code, issues);
        let subscription = resource.members.get("subscription").and_then(read_reference);
        if subscription.is_none() {
            issues.push(missing("subscription").at(resource.at("subscription")));
        }
        resource.required("type", issues)?;
        Some(Self {
            notification_type: resource.code("type", NotificationType::from_code, issues)?,
            subscription: subscription?,
            topic,
            status,
            count: count.and_then(read_number),
            events,
            errors: errors.into_iter().flatten().map(read_error).collect(),
        })
    }

    /// Of R4's Parameters.
    fn of_parameters(resource: &Element<'_>, issues: &mut Issues) -> Option<Self> {
        if resource.members.get("resourceType").is_none_or(|it| it != "Parameters") {
            issues.push(wrong_status("Parameters").at(resource.path.clone()));
            return None;
        }
        let parameters = resource.children("parameter", issues);
        let named = |name: &str| value_of(&parameters, name);
        let mut events = Vec::new();
        for parameter in all_of(&parameters, "notification-event") {
            let parts = parameter.children("part", issues);
            let number = value_of(&parts, "event-number");
            events.push(ReceivedEvent {
                number: read_event_number(number, &parameter.path, issues)?,
                timestamp: read_instant(value_of(&parts, "timestamp")),
                focus: value_of(&parts, "focus").and_then(read_reference),
                additional_context: all_of(&parts, "additional-context")
                    .filter_map(|part| value(part).and_then(read_reference))
                    .collect(),
                related_queries: all_of(&parts, "related-query")
                    .filter_map(|part| {
                        let parts = part.children("part", issues);
                        let query_type = value_of(&parts, "query-type");
                        related_query(query_type, value_of(&parts, "query"))
                    })
                    .collect(),
                codes: all_of(&parts, "trigger")
                    .filter_map(|part| value(part).and_then(read_coding))
                    .collect(),
            });
        }
        let notification_type = named("type").and_then(Value::as_str);
        let Some(notification_type) = notification_type else {
            issues.push(missing("type").at(resource.at("parameter")));
            return None;
        };
        let subscription = named("subscription").and_then(read_reference);
        if subscription.is_none() {
            issues.push(missing("subscription").at(resource.at("parameter")));
        }
        let parsed = NotificationType::from_code(notification_type);
        if parsed.is_none() {
            issues.push(unknown_code(notification_type).at(resource.at("parameter")));
        }
        Some(Self {
            subscription: subscription?,
            topic: named("topic").and_then(Value::as_str).map(Canonical::new),
            status: named("status").and_then(Value::as_str).and_then(SubscriptionStatus::from_code),
            notification_type: parsed?,
            count: named("events-since-subscription-start").and_then(read_number),
            events,
            errors: all_of(&parameters, "error")
                .filter_map(|parameter| value(parameter).map(read_error))
                .collect(),
        })
    }
}

/// In R4B and R5, an extension (there is no element).
fn read_related_query(extension: &Element<'_>, issues: &mut Issues) -> Option<RelatedQuery> {
    let parts = extension.extensions(issues);
    let named = |name: &str| {
        parts.iter().find(|part| part.url == name).and_then(|part| value(&part.element))
    };
    related_query(named("queryType"), named("query"))
}

fn related_query(query_type: Option<&Value>, query: Option<&Value>) -> Option<RelatedQuery> {
    let query_type = query_type.filter(|it| it.is_object()).map(|it| Opaque(it.to_string()));
    Some(RelatedQuery { query_type, query: query?.as_str()?.to_owned() })
}

fn wrong_status(resource_type: &str) -> Issue {
    let text = format!("the first entry must hold a {resource_type}");
    Issue::error(IssueCode::WrongResourceType, text)
}

fn all_of<'e, 'a>(
    parameters: &'e [Element<'a>],
    name: &str,
) -> impl Iterator<Item = &'e Element<'a>> {
    parameters.iter().filter(move |parameter| {
        parameter.members.get("name").and_then(Value::as_str) == Some(name)
    })
}

fn value_of<'a>(parameters: &[Element<'a>], name: &str) -> Option<&'a Value> {
    all_of(parameters, name).next().and_then(value)
}

fn value<'a>(parameter: &Element<'a>) -> Option<&'a Value> {
    let mut members = parameter.members.iter();
    members.find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}

fn read_event_number(
    value: Option<&Value>,
    path: impl Into<String>,
    issues: &mut Issues,
) -> Option<EventNumber> {
    let number = value.and_then(read_number).and_then(EventNumber::new);
    if number.is_none() {
        issues.push(invalid("must be an event number").at(path));
    }
    number
}

fn read_number(value: &Value) -> Option<u64> {
    value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok())
}

fn read_instant(value: Option<&Value>) -> Option<Timestamp> {
    value.and_then(Value::as_str).and_then(parse_instant)
}

/// A Reference, or the bare string that some write.
fn read_reference(value: &Value) -> Option<String> {
    let reference = value.get("reference").unwrap_or(value);
    reference.as_str().map(str::to_owned)
}

fn read_error(value: &Value) -> SubscriptionError {
    let codings = value.get("coding").and_then(Value::as_array).into_iter().flatten();
    let code = codings
        .filter(|it| it.get("system").is_some_and(|it| it == urls::SUBSCRIPTION_ERROR))
        .filter_map(|coding| coding.get("code").and_then(Value::as_str))
        .find_map(SubscriptionErrorCode::from_code);
    let text = value.get("text").and_then(Value::as_str).unwrap_or_default();
    SubscriptionError { code, text: text.to_owned() }
}
