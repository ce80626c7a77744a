//! Notifications as a subscriber reads them: by hand from JSON, with all rules of the frame
//! checked (RQ section 6).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::version::Version;
use crate::wire;

/// Where the guide's profiles are defined.
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";

/// A notification Bundle, or what `$events` answers.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Type: `handshake`, `heartbeat`, `event-notification`, `query-status` or `query-event`.
    pub kind: String,
    /// Status of the subscription.
    pub status: String,
    /// The topic, where told.
    pub topic: Option<String>,
    /// Reference to the subscription.
    pub subscription: String,
    /// Events since the subscription's start.
    pub count: u64,
    /// The events.
    pub events: Vec<NotifiedEvent>,
    /// Errors, as CodeableConcepts.
    pub errors: Vec<Value>,
    /// The entries behind the status.
    pub entries: Vec<Entry>,
    /// The Bundle.
    pub json: Value,
}

/// One event in a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifiedEvent {
    /// Its number.
    pub number: u64,
    /// When it happened.
    pub timestamp: String,
    /// What changed, where told.
    pub focus: Option<String>,
    /// What goes with it.
    pub additional_context: Vec<String>,
}

/// One entry behind the status.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `fullUrl`
    pub full_url: String,
    /// The resource, where sent.
    pub resource: Option<Value>,
    /// `request.method`
    pub method: String,
    /// `request.url`
    pub url: String,
    /// `response.status`
    pub status: Option<String>,
}

/// A status resource: Parameters in R4, SubscriptionStatus in R4B and R5.
#[derive(Debug, Clone)]
pub struct Status {
    /// The status resource's id.
    pub id: String,
    /// Type of the notification.
    pub kind: String,
    /// Status of the subscription.
    pub status: String,
    /// The topic, where told.
    pub topic: Option<String>,
    /// Reference to the subscription.
    pub subscription: String,
    /// Events since the subscription's start.
    pub count: u64,
    /// The events.
    pub events: Vec<NotifiedEvent>,
    /// Errors, as CodeableConcepts.
    pub errors: Vec<Value>,
}

impl Notification {
    /// Reads a notification and checks its frame.
    ///
    /// # Panics
    /// If a rule of the version is broken; the message names it.
    pub fn read(version: Version, json: &Value) -> Self {
        wire::keep(version, json.to_string().as_bytes());
        check_bundle(version, json);
        let entries = json["entry"].as_array().unwrap_or_else(|| panic!("no entries: {json}"));
        let status = Status::read(version, &entries[0]["resource"]);
        let full_url = &entries[0]["fullUrl"];
        assert_eq!(*full_url, format!("urn:uuid:{}", status.id), "RQ-NB-07: {json}");
        check_status_request(version, &entries[0], &status);
        check_numbers(&status, json);
        let entries: Vec<Entry> =
            entries[1..].iter().map(|entry| Entry::read(version, entry)).collect();
        check_distinct(&entries, json);
        Self {
            kind: status.kind,
            status: status.status,
            topic: status.topic,
            subscription: status.subscription,
            count: status.count,
            events: status.events,
            errors: status.errors,
            entries,
            json: json.clone(),
        }
    }

    /// Id of the subscription.
    pub fn subscription_id(&self) -> &str {
        last_part(&self.subscription)
    }

    /// The events' numbers.
    pub fn numbers(&self) -> Vec<u64> {
        self.events.iter().map(|event| event.number).collect()
    }

    /// The events' foci as `Type/id`.
    pub fn foci(&self) -> Vec<String> {
        self.events.iter().map(NotifiedEvent::relative_focus).collect()
    }
}

impl NotifiedEvent {
    /// The focus as `Type/id`.
    ///
    /// # Panics
    /// If none is told.
    pub fn relative_focus(&self) -> String {
        let focus = self.focus.as_deref().expect("a focus");
        let mut parts = focus.rsplit('/');
        let (id, resource_type) = (parts.next().expect("an id"), parts.next().expect("a type"));
        format!("{resource_type}/{id}")
    }
}

impl Entry {
    fn read(version: Version, entry: &Value) -> Self {
        let full_url = text(&entry["fullUrl"], entry);
        assert!(full_url.starts_with("http://"), "RQ-NB-07: {entry}");
        assert!(!full_url.contains("/_history"), "RQ-NB-07: {entry}");
        let resource = entry.get("resource").cloned();
        if let Some(resource) = &resource {
            let end = format!(
                "/{}/{}",
                text(&resource["resourceType"], entry),
                text(&resource["id"], entry)
            );
            assert!(full_url.ends_with(&end), "RQ-NB-07: {entry}");
        }
        let status = match version {
            Version::R4 | Version::R4B => Some(text(&entry["response"]["status"], entry)),
            Version::R5 => {
                assert!(entry.get("response").is_none(), "RQ-NB-08: {entry}");
                None
            }
        };
        let method = text(&entry["request"]["method"], entry);
        Self { full_url, resource, method, url: text(&entry["request"]["url"], entry), status }
    }
}

impl Status {
    /// Reads a status resource.
    ///
    /// # Panics
    /// If it is none of this version.
    pub fn read(version: Version, resource: &Value) -> Self {
        let status = match version {
            Version::R4 => Self::read_parameters(resource),
            Version::R4B | Version::R5 => Self::read_subscription_status(resource),
        };
        let reference = &status.subscription;
        assert!(reference.contains("/Subscription/"), "RQ-NB-03: {resource}");
        assert!(!reference.contains("/_history"), "TR-30: {resource}");
        status
    }

    /// The status resources in the answer of `$status` (RQ-OP-05).
    ///
    /// # Panics
    /// If a rule of the answer is broken.
    pub fn of_searchset(version: Version, bundle: &Value) -> Vec<Self> {
        assert_eq!(bundle["resourceType"], "Bundle", "{bundle}");
        assert_eq!(bundle["type"], "searchset", "RQ-OP-05: {bundle}");
        let links = bundle["link"].as_array().expect("links");
        let own = links.iter().filter(|link| link["relation"] == "self").count();
        assert_eq!(own, 1, "RQ-OP-05: {bundle}");
        let none = Vec::new();
        let entries = bundle["entry"].as_array().unwrap_or(&none);
        assert_eq!(bundle["total"], entries.len(), "RQ-OP-05: {bundle}");
        let read = entries.iter().map(|entry| {
            assert!(entry.get("request").is_none(), "RQ-OP-05: {entry}");
            assert!(entry.get("response").is_none(), "RQ-OP-05: {entry}");
            assert_eq!(entry["search"]["mode"], "match", "RQ-OP-05: {entry}");
            let status = Self::read(version, &entry["resource"]);
            assert_eq!(entry["fullUrl"], format!("urn:uuid:{}", status.id), "RQ-OP-05: {entry}");
            assert_eq!(status.kind, "query-status", "RQ-OP-04: {entry}");
            status
        });
        read.collect()
    }

    /// Id of the subscription.
    pub fn subscription_id(&self) -> &str {
        last_part(&self.subscription)
    }

    fn read_parameters(resource: &Value) -> Self {
        assert_eq!(resource["resourceType"], "Parameters", "RQ-NB-03: {resource}");
        let profile = format!("{GUIDE}/backport-subscription-status-r4");
        assert_eq!(resource["meta"]["profile"][0], profile, "RQ-NB-03: {resource}");
        let parameters = resource["parameter"].as_array().expect("parameters");
        Self {
            id: text(&resource["id"], resource),
            kind: part(parameters, "type", "valueCode"),
            status: part(parameters, "status", "valueCode"),
            topic: parts(parameters, "topic", "valueCanonical").pop(),
            subscription: text(
                &named(parameters, "subscription").next().expect("a subscription")["valueReference"]
                    ["reference"],
                resource,
            ),
            count: number(&part(parameters, "events-since-subscription-start", "valueString")),
            events: named(parameters, "notification-event")
                .map(|event| {
                    let event = event["part"].as_array().expect("parts");
                    NotifiedEvent {
                        number: number(&part(event, "event-number", "valueString")),
                        timestamp: part(event, "timestamp", "valueInstant"),
                        focus: references(event, "focus").pop(),
                        additional_context: references(event, "additional-context"),
                    }
                })
                .collect(),
            errors: named(parameters, "error")
                .map(|error| error["valueCodeableConcept"].clone())
                .collect(),
        }
    }

    fn read_subscription_status(resource: &Value) -> Self {
        assert_eq!(resource["resourceType"], "SubscriptionStatus", "RQ-NB-03: {resource}");
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let count = text(&resource["eventsSinceSubscriptionStart"], resource);
        Self {
            id: text(&resource["id"], resource),
            kind: text(&resource["type"], resource),
            status: text(&resource["status"], resource),
            topic: resource["topic"].as_str().map(str::to_owned),
            subscription: text(&resource["subscription"]["reference"], resource),
            count: number(&count),
            events: list(&resource["notificationEvent"])
                .iter()
                .map(|event| NotifiedEvent {
                    number: number(&text(&event["eventNumber"], event)),
                    timestamp: text(&event["timestamp"], event),
                    focus: event["focus"]["reference"].as_str().map(str::to_owned),
                    additional_context: list(&event["additionalContext"])
                        .iter()
                        .map(|context| text(&context["reference"], event))
                        .collect(),
                })
                .collect(),
            errors: list(&resource["error"]),
        }
    }
}

fn check_bundle(version: Version, json: &Value) {
    assert_eq!(json["resourceType"], "Bundle", "{json}");
    let (bundle_type, profile) = match version {
        Version::R4 => ("history", Some("backport-subscription-notification-r4")),
        Version::R4B => ("history", Some("backport-subscription-notification")),
        Version::R5 => ("subscription-notification", None),
    };
    assert_eq!(json["type"], bundle_type, "RQ-NB-01, RQ-NB-02: {json}");
    assert!(json.get("total").is_none(), "RQ-NB-09: {json}");
    assert!(json["id"].is_string(), "RQ-NB-09: {json}");
    assert!(is_instant(&text(&json["timestamp"], json)), "RQ-NB-09: {json}");
    if let Some(profile) = profile {
        assert_eq!(json["meta"]["profile"][0], format!("{GUIDE}/{profile}"), "RQ-NB-09: {json}");
    }
}

fn check_status_request(version: Version, entry: &Value, status: &Status) {
    match version {
        Version::R4 | Version::R4B => {
            assert_eq!(entry["request"]["method"], "GET", "RQ-NB-05: {entry}");
            let end = format!("Subscription/{}/$status", last_part(&status.subscription));
            assert!(text(&entry["request"]["url"], entry).ends_with(&end), "RQ-NB-05: {entry}");
            assert_eq!(entry["response"]["status"], "200", "RQ-NB-05: {entry}");
        }
        Version::R5 => assert!(entry.get("response").is_none(), "RQ-NB-08: {entry}"),
    }
}

/// Numbers rise by one, and the highest is the count when the Bundle was made (RQ-NB-41).
fn check_numbers(status: &Status, json: &Value) {
    let numbers: Vec<u64> = status.events.iter().map(|event| event.number).collect();
    let rising = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(rising, "RQ-NB-41: {numbers:?} in {json}");
    assert!(numbers.first().is_none_or(|first| *first >= 1), "RQ-NB-40: {json}");
    for event in &status.events {
        assert!(is_instant(&event.timestamp), "RQ-NB-22: {json}");
    }
    match status.kind.as_str() {
        "event-notification" => {
            assert_eq!(numbers.last(), Some(&status.count), "RQ-NB-41: {json}");
        }
        "query-event" => {
            assert!(!numbers.is_empty(), "RQ-OP-25: {json}");
            assert!(numbers.last() <= Some(&status.count), "RQ-OP-23: {json}");
        }
        "handshake" | "heartbeat" | "query-status" => {
            assert!(numbers.is_empty(), "RQ-CH-10: {json}");
        }
        other => panic!("no notification type: {other}"),
    }
}

/// No full URL comes twice with the same version (RQ-NB-32).
fn check_distinct(entries: &[Entry], json: &Value) {
    let mut seen = BTreeSet::new();
    for entry in entries {
        let version = entry.resource.as_ref().map(|resource| &resource["meta"]["versionId"]);
        let version = version.and_then(Value::as_str);
        assert!(seen.insert((&entry.full_url, version)), "RQ-NB-32: {json}");
    }
}

fn is_instant(text: &str) -> bool {
    text.len() >= 20 && text.contains('T') && (text.ends_with('Z') || text.contains('+'))
}

fn named<'a>(parameters: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    parameters.iter().filter(move |parameter| parameter["name"] == name)
}

fn parts(parameters: &[Value], name: &str, value: &str) -> Vec<String> {
    named(parameters, name).map(|parameter| text(&parameter[value], parameter)).collect()
}

/// The value of what stands once.
fn part(parameters: &[Value], name: &str, value: &str) -> String {
    let mut found = parts(parameters, name, value);
    assert_eq!(found.len(), 1, "{name} in {parameters:?}");
    found.pop().expect("one, see above")
}

fn references(parameters: &[Value], name: &str) -> Vec<String> {
    let reference = |parameter: &Value| text(&parameter["valueReference"]["reference"], parameter);
    named(parameters, name).map(reference).collect()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("RQ-NB-42: {text} is no number"))
}

fn text(value: &Value, within: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} should be a string in {within}")).to_owned()
}

fn last_part(url: &str) -> &str {
    url.rsplit('/').next().expect("split gives at least one part")
}
