use std::num::NonZeroU64;
use std::sync::Arc;

use cresset_client::{Entry, Event, Notification, NotificationType, Reference};

use super::*;

fn arrival() -> Arrival {
    let reference = "http://h/Encounter/1";
    let event = Event {
        number: NonZeroU64::new(7).unwrap(),
        timestamp: Some("2026-01-01T00:00:00Z".to_owned()),
        focus: Some(Reference {
            reference: Some(reference.to_owned()),
            json: json!({ "reference": reference }),
        }),
        additional_context: Vec::new(),
    };
    let entry = Entry {
        full_url: Some(reference.to_owned()),
        resource: Some(json!({ "resourceType": "Encounter" })),
        method: Some("PUT".to_owned()),
        url: None,
    };
    let notification = Notification {
        kind: NotificationType::EventNotification,
        status: None,
        subscription: "Subscription/a".to_owned(),
        topic: None,
        events_since_subscription_start: Some(7),
        events: vec![event.clone()],
        errors: Vec::new(),
        entries: vec![entry],
    };
    Arrival { event, notification: Arc::new(notification) }
}

#[test]
fn an_event_is_a_line_or_an_object_with_its_resource() {
    let json = as_json(&arrival());
    assert_eq!(
        (&json["event"], &json["resource"]["resourceType"]),
        (&json!(7), &json!("Encounter"))
    );
    let arguments = Tail {
        server: crate::cli::remote::Server { server: String::new(), token_file: None },
        topic: None,
        filters: Vec::new(),
        content: cresset_client::PayloadContent::IdOnly,
        heartbeat_period: None,
        subscription: None,
        after: None,
        count: None,
        tries: None,
        keep: false,
        json: false,
    };
    let line = Shown::new(&arguments).line(&arrival());
    assert_eq!(line, "7 2026-01-01T00:00:00Z http://h/Encounter/1 PUT");
}

#[test]
fn a_topic_is_offered_in_any_version() {
    for (offered, asked, expect) in [
        ("http://t/1", "http://t/1", true),
        ("http://t/1|2.0", "http://t/1", true),
        ("http://t/1", "http://t/1|2.0", true),
        ("http://t/11", "http://t/1", false),
    ] {
        assert_eq!(is_of(offered, asked), expect, "{offered} {asked}");
    }
}
