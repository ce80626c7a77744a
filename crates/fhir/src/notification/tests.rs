//! Tests of what a notification says, by rule and by HL7's examples. Exact bytes: `src/golden.rs`.

use std::collections::BTreeMap;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::{
    EventNumber, Interaction, Notification, NotificationEvent, NotificationResource,
    NotificationType, Opaque, PayloadContent, RelatedQuery, ResourceId, ResourceType,
    SubscriptionError, SubscriptionErrorCode, SubscriptionStatus, VersionId,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_data::{arbitrary_value, shared_values};
use crate::{Codec, json};

/// A resource at a version, with bytes unless it was deleted.
pub(crate) fn resource(
    name: &str,
    version: u64,
    interaction: Option<Interaction>,
) -> NotificationResource {
    let (resource_type, id) = name.split_once('/').unwrap();
    let body = format!(
        "{{\"resourceType\":\"{resource_type}\",\"id\":\"{id}\",\
         \"meta\":{{\"versionId\":\"{version}\"}}, \"kept\": 1.00}}\n"
    );
    NotificationResource {
        resource_type: ResourceType::new(resource_type).unwrap(),
        id: ResourceId::new(id).unwrap(),
        version: VersionId::new(version).unwrap(),
        interaction,
        body: (interaction != Some(Interaction::Delete)).then(|| Bytes::from(body)),
    }
}

pub(crate) fn event(
    number: u64,
    focus: NotificationResource,
    additional_context: Vec<NotificationResource>,
) -> NotificationEvent {
    let timestamp = format!("2026-01-01T00:00:0{number}.5Z").parse().unwrap();
    let number = EventNumber::new(number).unwrap();
    let related_queries = Vec::new();
    let codes = Vec::new();
    NotificationEvent { number, timestamp, focus, additional_context, related_queries, codes }
}

pub(crate) fn notification(
    notification_type: NotificationType,
    content: PayloadContent,
    events: Vec<NotificationEvent>,
) -> Notification {
    Notification {
        id: "0b5d1f0a-0000-4000-8000-000000000001".to_owned(),
        status_id: "0b5d1f0a-0000-4000-8000-000000000002".to_owned(),
        timestamp: "2026-01-01T00:01:00Z".parse().unwrap(),
        base_url: "https://host/base".to_owned(),
        subscription: ResourceId::new("s1").unwrap(),
        topic: cresset_model::Canonical::new("http://example.org/topic|1.0"),
        status: SubscriptionStatus::Active,
        notification_type,
        events_since_subscription_start: events.last().map_or(0, |event| event.number.get()),
        events,
        errors: Vec::new(),
        content,
    }
}

fn rendered(version: FhirVersion, notification: &Notification) -> Value {
    let mut out = Vec::new();
    Codec::of(version).render_notification(notification, &mut out);
    json::parse(&out).unwrap()
}

/// `METHOD url status [+]` of each entry behind the status; `+` where there is a resource.
fn exchanges(version: FhirVersion, notification: &Notification) -> Vec<String> {
    let bundle = rendered(version, notification);
    let entries = bundle["entry"].as_array().unwrap()[1..].iter();
    let shown = entries.map(|entry| {
        let (request, status) = (&entry["request"], &entry["response"]["status"]);
        let resource = if entry.get("resource").is_some() { " +" } else { "" };
        let status = status.as_str().unwrap_or("-");
        let url = request["url"].as_str().unwrap();
        format!("{} {url} {status}{resource}", request["method"].as_str().unwrap())
    });
    shown.collect()
}

fn events() -> Vec<NotificationEvent> {
    use Interaction::{Create, Delete, Update};
    let patient = || resource("Patient/p", 3, None);
    vec![
        event(1, resource("Encounter/a", 1, Some(Create)), vec![patient()]),
        event(2, resource("Encounter/b", 5, Some(Delete)), vec![patient()]),
        event(3, resource("Encounter/a", 2, Some(Update)), vec![patient()]),
    ]
}

#[test]
fn empty_tells_events_and_nothing_of_them() {
    for version in FhirVersion::ALL {
        let content = PayloadContent::Empty;
        for kind in NotificationType::ALL {
            let bundle = rendered(version, &notification(*kind, content, events()));
            let text = bundle.to_string();
            assert_eq!(bundle["entry"].as_array().unwrap().len(), 1);
            assert!(!text.contains("Encounter") && !text.contains("Patient"), "{text}");
            let told = text.contains("http://example.org/topic|1.0");
            assert_eq!(told, *kind == NotificationType::QueryStatus, "{text}");
        }
    }
}

#[test]
fn id_only_has_an_entry_without_resource_for_each_full_url() {
    let notification =
        notification(NotificationType::EventNotification, PayloadContent::IdOnly, events());
    assert_eq!(
        exchanges(FhirVersion::R4, &notification),
        ["POST Encounter 201", "GET Patient/p 200", "DELETE Encounter/b 204"]
    );
    assert_eq!(
        exchanges(FhirVersion::R5, &notification),
        ["POST Encounter -", "GET Patient/p -", "DELETE Encounter/b -"]
    );
}

#[test]
fn full_resource_has_each_version_once_and_what_has_no_resource_last() {
    let notification =
        notification(NotificationType::EventNotification, PayloadContent::FullResource, events());
    assert_eq!(
        exchanges(FhirVersion::R4B, &notification),
        [
            "POST Encounter 201 +",
            "GET Patient/p 200 +",
            "PUT Encounter/a 200 +",
            "DELETE Encounter/b 204"
        ]
    );
}

#[test]
fn what_changed_and_also_goes_along_is_told_as_changed() {
    let focus = resource("Patient/p", 3, Some(Interaction::Update));
    let first = resource("Encounter/a", 1, Some(Interaction::Update));
    let events =
        vec![event(1, first, vec![resource("Patient/p", 3, None)]), event(2, focus, Vec::new())];
    for content in [PayloadContent::IdOnly, PayloadContent::FullResource] {
        let kind = NotificationType::EventNotification;
        let told = exchanges(FhirVersion::R4, &notification(kind, content, events.clone()));
        assert_eq!(told.len(), 2);
        assert!(told[1].starts_with("PUT Patient/p 200"), "{told:?}");
    }
}

#[test]
fn a_resource_that_may_not_be_sent_is_told_without_it() {
    let mut hidden = resource("Patient/p", 3, None);
    hidden.body = None;
    let mut focus = resource("Encounter/a", 2, Some(Interaction::Update));
    focus.body = None;
    let kind = NotificationType::EventNotification;
    let events = vec![event(1, focus, vec![hidden])];
    let notification = notification(kind, PayloadContent::FullResource, events);
    assert_eq!(
        exchanges(FhirVersion::R4, &notification),
        ["PUT Encounter/a 200", "GET Patient/p 404"]
    );
}

#[test]
fn stored_bytes_are_spliced_in_as_they_are() {
    let kind = NotificationType::EventNotification;
    for version in FhirVersion::ALL {
        let mut out = Vec::new();
        let notification = notification(kind, PayloadContent::FullResource, events());
        Codec::of(version).render_notification(&notification, &mut out);
        let text = String::from_utf8(out).unwrap();
        let stored = notification.events[0].focus.body.as_deref().unwrap().trim_ascii();
        assert!(text.contains(std::str::from_utf8(stored).unwrap()));
    }
}

fn related_queries() -> Vec<RelatedQuery> {
    let query_type = Some(Opaque(r#"{"code":"a","system":"http://example.org"}"#.to_owned()));
    let query = |query: &str| query.to_owned();
    vec![
        RelatedQuery { query_type, query: query("http://example.org/$a") },
        RelatedQuery { query_type: None, query: query("http://example.org/$b") },
    ]
}

#[test]
fn all_versions_decode_to_the_same() {
    for kind in NotificationType::ALL {
        for content in PayloadContent::ALL {
            let mut sent = notification(*kind, *content, events());
            sent.events[1].related_queries = related_queries();
            sent.status = SubscriptionStatus::Error;
            sent.errors = vec![
                SubscriptionError {
                    code: Some(SubscriptionErrorCode::ErrorResponse),
                    text: "HTTP status 503".to_owned(),
                },
                SubscriptionError { code: None, text: "other".to_owned() },
            ];
            let decoded = FhirVersion::ALL.map(|version| {
                Codec::of(version).parse_notification(&rendered(version, &sent)).unwrap()
            });
            assert_eq!(decoded[0], decoded[1]);
            assert_eq!(decoded[1], decoded[2]);
            assert_eq!(decoded[0].errors, sent.errors);
            assert_eq!(decoded[0].events_since_subscription_start, Some(3));
            assert_eq!(decoded[0].timestamp, Some(sent.timestamp));
            assert_eq!(decoded[0].events[1].timestamp, Some(sent.events[1].timestamp));
            let focus = (*content != PayloadContent::Empty)
                .then(|| "https://host/base/Encounter/b".to_owned());
            assert_eq!(decoded[0].events[1].focus, focus);
            let queries = if focus.is_some() { related_queries() } else { Vec::new() };
            assert_eq!(decoded[0].events[1].related_queries, queries);
        }
    }
}

#[test]
fn numbers_hold_64_bits() {
    let mut sent = notification(NotificationType::Heartbeat, PayloadContent::IdOnly, Vec::new());
    sent.events_since_subscription_start = u64::MAX;
    for version in FhirVersion::ALL {
        let decoded = Codec::of(version).parse_notification(&rendered(version, &sent)).unwrap();
        assert_eq!(decoded.events_since_subscription_start, Some(u64::MAX));
    }
}

#[test]
fn a_status_searchset_has_a_self_link_and_full_urls() {
    let one = notification(NotificationType::QueryStatus, PayloadContent::IdOnly, Vec::new());
    for version in FhirVersion::ALL {
        let url = "https://host/base/Subscription/$status?status=active";
        let bytes = Codec::of(version).render_status_searchset(&[one.clone(), one.clone()], url);
        let bundle = json::parse(&bytes).unwrap();
        assert_eq!(bundle["type"], "searchset");
        assert_eq!(bundle["total"], json!(2));
        assert_eq!(bundle["link"], json!([{ "relation": "self", "url": url }]));
        let entry = &bundle["entry"][1];
        assert_eq!(entry["search"], json!({ "mode": "match" }));
        assert!(entry.get("request").is_none() && entry.get("response").is_none());
        assert_eq!(entry["fullUrl"], json!(format!("urn:uuid:{}", one.status_id)));
        let none = Codec::of(version).render_status_searchset(&[], url);
        assert!(json::parse(&none).unwrap().get("entry").is_none());
    }
}

/// Builds the notification that would be sent to say what was received.
fn as_sent(received: &ReceivedNotification, bundle: &Value) -> Notification {
    let (base_url, subscription) = received.subscription.rsplit_once("/Subscription/").unwrap();
    let entry_of =
        |url: &str| received.entries.iter().find(|entry| entry.full_url.as_deref() == Some(url));
    let resource = |url: &str| {
        let mut parts = url.rsplit('/');
        let (id, resource_type) = (parts.next().unwrap(), parts.next().unwrap());
        let entry = entry_of(url);
        NotificationResource {
            resource_type: ResourceType::new(resource_type).unwrap(),
            id: ResourceId::new(id).unwrap(),
            version: VersionId::FIRST,
            interaction: entry.and_then(|entry| entry.interaction),
            body: entry.and_then(|it| it.resource.as_ref()).map(|it| it.to_string().into()),
        }
    };
    let some_focus = || resource("x/Encounter/1");
    let events = received.events.iter().map(|event| NotificationEvent {
        number: event.number,
        timestamp: event.timestamp.unwrap(),
        focus: event.focus.as_deref().map_or_else(some_focus, resource),
        additional_context: event.additional_context.iter().map(|url| resource(url)).collect(),
        related_queries: event.related_queries.clone(),
        codes: event.codes.clone(),
    });
    let has_focus = received.events.iter().any(|event| event.focus.is_some());
    let content = if received.entries.iter().any(|entry| entry.resource.is_some()) {
        PayloadContent::FullResource
    } else if has_focus || received.events.is_empty() {
        PayloadContent::IdOnly
    } else {
        PayloadContent::Empty
    };
    Notification {
        id: received.id.clone().unwrap(),
        status_id: bundle["entry"][0]["resource"]["id"].as_str().unwrap().to_owned(),
        timestamp: received.timestamp.unwrap(),
        base_url: base_url.to_owned(),
        subscription: ResourceId::new(subscription).unwrap(),
        topic: received.topic.clone().unwrap(),
        status: received.status.unwrap(),
        notification_type: received.notification_type,
        events_since_subscription_start: received.events_since_subscription_start.unwrap(),
        events: events.collect(),
        errors: received.errors.clone(),
        content,
    }
}

/// Instants as we write them, and without what we leave out by rule.
fn normalised(value: &Value) -> Value {
    match value {
        Value::String(text) => crate::instant::parse_instant(text)
            .map_or_else(|| value.clone(), |it| json!(instant(it))),
        Value::Array(items) => Value::Array(items.iter().map(normalised).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, value)| (name.clone(), normalised(value))).collect(),
        ),
        Value::Bool(_) | Value::Null | Value::Number(_) => value.clone(),
    }
}

#[test]
fn the_guides_examples_decode_and_render_back_equal() {
    let mut seen = 0;
    for (version, folder, prefix) in [
        (FhirVersion::R4, "ig-1.1.0/r4", "Bundle-r4-"),
        (FhirVersion::R4, "ig-1.1.0/r4b", "Bundle-r4-"),
        (FhirVersion::R4B, "ig-1.1.0/r4b", "Bundle-r4b-"),
    ] {
        for (path, mut bundle) in shared_values(folder, prefix) {
            let received = Codec::of(version).parse_notification(&bundle).unwrap();
            let sent = as_sent(&received, &bundle);
            let mut ours = rendered(version, &sent);
            if sent.content == PayloadContent::Empty {
                leave_out_topic(&mut bundle);
            }
            if sent.content == PayloadContent::IdOnly {
                // The guide's examples have no entries for them; they are allowed (RQ-NB-24).
                ours["entry"].as_array_mut().unwrap().truncate(1);
            }
            bundle.as_object_mut().unwrap().remove("text");
            assert_eq!(normalised(&ours), normalised(&bundle), "{path:?}");
            let in_all = FhirVersion::ALL.map(|version| {
                Codec::of(version).parse_notification(&rendered(version, &sent)).unwrap()
            });
            assert!(in_all.iter().all(|one| *one == in_all[0]), "{path:?} in all versions");
            seen += 1;
        }
    }
    println!("{seen} notifications");
}

/// What a notification says, without what an example is named and where its resources are.
fn said(received: &ReceivedNotification) -> String {
    let events = received.events.iter().map(|one| {
        let ReceivedEvent { number, timestamp, focus, additional_context, .. } = one;
        format!("{number} {timestamp:?} {focus:?} {additional_context:?}")
    });
    let events: Vec<_> = events.collect();
    let ReceivedNotification { subscription, topic, status, notification_type, errors, .. } =
        received;
    let count = received.events_since_subscription_start;
    let said = format!(
        "{notification_type:?} {status:?} {topic:?} {subscription} {count:?} {events:?} {errors:?}"
    );
    said.replace("/R4B/", "/R5/")
}

#[test]
fn hl7s_examples_say_the_same_in_each_version() {
    let all = |version, folder, prefix: &str| -> BTreeMap<String, String> {
        let files = shared_values(folder, prefix).into_iter();
        let notifications = files.filter(|(_, bundle)| bundle["type"] != "message");
        let read = notifications.map(|(path, bundle)| {
            let name = path.file_name().unwrap().to_string_lossy().replacen(prefix, "", 1);
            (name, said(&Codec::of(version).parse_notification(&bundle).unwrap()))
        });
        read.collect()
    };
    for (one, other) in [
        (
            all(FhirVersion::R4, "ig-1.1.0/r4b", "Bundle-r4-"),
            all(FhirVersion::R4B, "ig-1.1.0/r4b", "Bundle-r4b-"),
        ),
        (
            all(FhirVersion::R4B, "examples/R4B/Bundle", "notification-"),
            all(FhirVersion::R5, "examples/R5/Bundle", "notification-"),
        ),
    ] {
        let mut compared = 0;
        for (name, said) in one.iter().filter(|(name, _)| other.contains_key(*name)) {
            // R4B's carries the topic, against the advice (TR-17).
            if name != "empty.json" || one.len() == other.len() {
                assert_eq!(*said, other[name], "{name}");
                compared += 1;
            }
        }
        assert!(one.is_empty() || compared >= 6, "{compared} examples");
    }
}

/// The guide's `empty` examples carry the topic, against its own advice (TR-17).
fn leave_out_topic(bundle: &mut Value) {
    let status = &mut bundle["entry"][0]["resource"];
    status.as_object_mut().unwrap().remove("topic");
    if let Some(parameters) = status.get_mut("parameter").and_then(Value::as_array_mut) {
        parameters.retain(|parameter| parameter["name"] != "topic");
    }
}

#[test]
fn notifications_of_others_decode() {
    let mut seen = 0;
    for (version, folder, prefix) in [
        (FhirVersion::R4, "ig-1.2.0-ballot", "Bundle-r4-"),
        (FhirVersion::R4B, "ig-1.2.0-ballot", "Bundle-r4b-"),
        (FhirVersion::R4, "topics/davinci-cdex", "cdex-task-inline-scenario1-subscription-notif"),
        (FhirVersion::R4, "topics/fhir-candle", "tests__r4__Bundle-"),
        (FhirVersion::R4B, "topics/fhir-candle", "tests__r4b__Bundle-"),
        (FhirVersion::R5, "topics/fhir-candle", "tests__r5__Bundle-"),
        (FhirVersion::R4B, "examples/R4B/Bundle", "notification-"),
        (FhirVersion::R5, "examples/R5/Bundle", "notification-"),
    ] {
        for (path, bundle) in shared_values(folder, prefix) {
            if bundle["type"] == "message" {
                continue;
            }
            let decoded = Codec::of(version).parse_notification(&bundle);
            let decoded = decoded.unwrap_or_else(|issues| panic!("{path:?}: {issues}"));
            assert!(decoded.events_since_subscription_start.is_some(), "{path:?}");
            let with_query = path.to_string_lossy().contains("with-query");
            let queries = decoded.events.iter().map(|event| event.related_queries.len());
            assert_eq!(queries.sum::<usize>() > 0, with_query, "{path:?}");
            seen += 1;
        }
    }
    println!("{seen} notifications");
}

prop_compose! {
    /// A focus or something that goes with one: few names, so that they meet.
    fn some_resource(interaction: Option<Interaction>)(
        name in prop::sample::select(&["Encounter/a", "Encounter/b", "Patient/p", "Patient/q"][..]),
        version in 1..3_u64,
        hidden in prop::bool::weighted(0.2),
    ) -> NotificationResource {
        let mut resource = resource(name, version, interaction);
        resource.body = resource.body.filter(|_| !hidden);
        resource
    }
}

prop_compose! {
    fn some_event()(
        focus in prop::sample::select(
            &[None, Some(Interaction::Create), Some(Interaction::Update), Some(Interaction::Delete)][..]
        ).prop_flat_map(some_resource),
        context in prop::collection::vec(some_resource(None), 0..4),
    ) -> (NotificationResource, Vec<NotificationResource>) {
        (focus, context)
    }
}

proptest! {
    /// RQ-NB-32: whatever goes with whatever, an entry is not said twice, and nothing is missing.
    #[test]
    fn each_resource_stands_once(events in prop::collection::vec(some_event(), 1..6)) {
        let events: Vec<_> = (1..)
            .zip(events)
            .map(|(number, (focus, context))| event(number, focus, context))
            .collect();
        for content in PayloadContent::ALL {
            let kind = NotificationType::EventNotification;
            let sent = notification(kind, *content, events.clone());
            for version in FhirVersion::ALL {
                let bundle = rendered(version, &sent);
                let entries = &bundle["entry"].as_array().unwrap()[1..];
                let mut keys: Vec<_> = entries.iter().map(|entry| {
                    let version = entry["resource"]["meta"]["versionId"].as_str().unwrap_or("-");
                    (entry["fullUrl"].as_str().unwrap().to_owned(), version.to_owned())
                }).collect();
                let count = keys.len();
                keys.sort();
                keys.dedup();
                prop_assert_eq!(keys.len(), count);
                let mut expected: Vec<_> = events.iter().flat_map(|event| {
                    std::iter::once(&event.focus).chain(&event.additional_context)
                }).map(|one| {
                    let sent = *content == PayloadContent::FullResource && one.body.is_some();
                    let version = if sent { one.version.to_string() } else { "-".to_owned() };
                    (format!("https://host/base/{}/{}", one.resource_type, one.id), version)
                }).collect();
                expected.sort();
                expected.dedup();
                if *content == PayloadContent::Empty {
                    expected.clear();
                }
                prop_assert_eq!(keys, expected);
            }
        }
    }

    #[test]
    fn reading_any_notification_never_panics(inner in arbitrary_value(), r4 in any::<bool>()) {
        let name = if r4 { "Parameters" } else { "SubscriptionStatus" };
        let mut resource = inner.clone();
        if let Some(members) = resource.as_object_mut() {
            members.insert("resourceType".to_owned(), json!(name));
            members.insert("notificationEvent".to_owned(), inner);
        }
        let bundle = json!({ "resourceType": "Bundle", "entry": [{ "resource": resource }] });
        for version in FhirVersion::ALL {
            drop(Codec::of(version).parse_notification(&bundle));
        }
    }
}
