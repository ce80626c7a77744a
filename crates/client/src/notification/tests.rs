use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::shared_data::shared;

fn numbers(notification: &Notification) -> Vec<u64> {
    notification.events.iter().map(|event| event.number.get()).collect()
}

#[test]
fn the_guides_examples_say_the_same_in_r4_and_r4b() {
    let expected = [
        ("empty", NotificationType::EventNotification, "active", Some(2), vec![2], 0),
        ("error", NotificationType::QueryStatus, "error", Some(3), vec![], 0),
        ("full-resource", NotificationType::EventNotification, "active", Some(2), vec![2], 1),
        ("handshake", NotificationType::Handshake, "requested", Some(0), vec![], 0),
        ("heartbeat", NotificationType::Heartbeat, "active", Some(2), vec![], 0),
        ("id-only", NotificationType::EventNotification, "active", Some(2), vec![2], 0),
        ("multi-resource", NotificationType::EventNotification, "active", Some(2), vec![2], 2),
    ];
    for (name, kind, status, count, events, entries) in expected {
        for version in ["r4", "r4b"] {
            let path = format!("ig-1.1.0/r4b/Bundle-{version}-notification-{name}.json");
            let Some(json) = shared(&path) else { return };
            let read =
                Notification::from_json(&json).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(read.kind, kind, "{path}");
            assert_eq!(read.status.map(SubscriptionStatus::code), Some(status), "{path}");
            assert_eq!(read.events_since_subscription_start, count, "{path}");
            assert_eq!(numbers(&read), events, "{path}");
            assert_eq!(read.entries.len(), entries, "{path}");
            assert_eq!(read.subscription_id(), "admission", "{path}");
        }
    }
}

#[test]
fn the_resources_of_a_notification_are_found_by_their_references() {
    for version in ["r4", "r4b"] {
        let path = format!("ig-1.1.0/r4b/Bundle-{version}-notification-multi-resource.json");
        let Some(json) = shared(&path) else { return };
        let read = Notification::from_json(&json).expect("an example");
        let event = &read.events[0];
        let focus = event.focus.as_ref().expect("a focus");
        assert_eq!(read.resource(focus).expect("sent along")["resourceType"], "Encounter");
        let context = &event.additional_context[0];
        assert_eq!(read.resource(context).expect("sent along")["resourceType"], "Patient");
    }
}

#[test]
fn the_examples_of_r5_and_of_other_servers_are_read() {
    let expected = [
        ("examples/R5/Bundle/notification-handshake.json", NotificationType::Handshake, 0),
        ("examples/R5/Bundle/notification-heartbeat.json", NotificationType::Heartbeat, 0),
        ("examples/R5/Bundle/notification-empty.json", NotificationType::EventNotification, 1),
        ("examples/R5/Bundle/notification-id-only.json", NotificationType::EventNotification, 1),
        (
            "examples/R5/Bundle/notification-full-resource.json",
            NotificationType::EventNotification,
            1,
        ),
        ("examples/R5/Bundle/notification-query-event.json", NotificationType::QueryEvent, 1),
        (
            "topics/fhir-candle/tests__r4__Bundle-notification-handshake.json",
            NotificationType::Handshake,
            0,
        ),
        (
            "topics/fhir-candle/tests__r4__Bundle-notification-id.json",
            NotificationType::EventNotification,
            1,
        ),
        (
            "topics/fhir-candle/tests__r4b__Bundle-notification-handshake.json",
            NotificationType::Handshake,
            0,
        ),
        (
            "topics/fhir-candle/tests__r5__Bundle-notification-handshake.json",
            NotificationType::Handshake,
            0,
        ),
    ];
    for (path, kind, least) in expected {
        let Some(json) = shared(path) else { return };
        let read = Notification::from_json(&json).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(read.kind, kind, "{path}");
        assert!(read.events.len() >= least, "{path}");
    }
    let Some(json) = shared("examples/R5/Bundle/notification-query-status.json") else { return };
    let statuses = Notification::statuses(&json).expect("an answer of $status");
    assert!(statuses.iter().all(|one| one.kind == NotificationType::QueryStatus), "{statuses:?}");
    assert!(!statuses.is_empty());
}

fn status(members: &Value) -> Value {
    let mut status = json!({
        "resourceType": "SubscriptionStatus", "type": "event-notification", "status": "active",
        "subscription": {"reference": "Subscription/a"}, "notificationEvent": [{"eventNumber": "1"}],
    });
    let object = status.as_object_mut().expect("an object");
    object.extend(members.as_object().expect("an object").clone());
    json!({"resourceType": "Bundle", "entry": [{"resource": status}]})
}

#[test]
fn numbers_are_text_or_numbers_and_nothing_else() {
    let largest = u64::MAX.to_string();
    for (sent, expected) in [
        (json!("7"), Some(7)),
        (json!(7), Some(7)),
        (json!(largest), Some(u64::MAX)),
        (json!("18446744073709551616"), None),
        (json!("0"), None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!(""), None),
        (json!("seven"), None),
        (Value::Null, None),
        (json!({"a": 1}), None),
    ] {
        let bundle = status(&json!({"notificationEvent": [{"eventNumber": sent}]}));
        let read = Notification::from_json(&bundle).ok();
        assert_eq!(read.map(|read| numbers(&read)[0]), expected, "{sent}");
    }
}

#[test]
fn what_is_no_notification_is_told_by_element_without_its_content() {
    for (bundle, expected) in [
        (json!({"resourceType": "Patient"}), "a Bundle that begins with a status was expected"),
        (
            json!({"resourceType": "Bundle", "entry": []}),
            "a Bundle that begins with a status was expected",
        ),
        (status(&json!({"type": "marker"})), "type of the notification is missing or not valid"),
        (
            status(&json!({"status": "marker"})),
            "status of the notification is missing or not valid",
        ),
        (
            status(&json!({"subscription": {}})),
            "subscription of the notification is missing or not valid",
        ),
        (
            status(&json!({"eventsSinceSubscriptionStart": "marker"})),
            "eventsSinceSubscriptionStart of the notification is missing or not valid",
        ),
    ] {
        let error = Notification::from_json(&bundle).expect_err("no notification");
        assert_eq!(error.to_string(), expected);
    }
    assert!(matches!(Notification::parse(b"{"), Err(Error::Json(_))));
}

#[test]
fn a_reference_finds_the_entry_of_its_type_and_id_only() {
    let mut bundle = status(&json!({}));
    let entries = bundle["entry"].as_array_mut().expect("entries");
    entries.push(json!({"fullUrl": "http://h/fhir/Patient/1", "resource": {"id": "1"}}));
    let read = Notification::from_json(&bundle).expect("a notification");
    for (literal, found) in [
        ("http://h/fhir/Patient/1", true),
        ("Patient/1", true),
        ("atient/1", false),
        ("Patient/11", false),
        ("http://other/Patient/1", false),
    ] {
        let reference = Reference { reference: Some(literal.to_owned()), json: Value::Null };
        assert_eq!(read.resource(&reference).is_some(), found, "{literal}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Notification::parse(&bytes).is_err());
    }

    #[test]
    fn no_element_of_another_type_makes_it_panic(
        member in prop::sample::select(vec![
            "type", "status", "subscription", "notificationEvent", "eventsSinceSubscriptionStart", "topic", "error",
        ]),
        value in prop::sample::select(vec![json!(1), json!("x"), json!([]), json!([1]), json!({}), Value::Null]),
    ) {
        // Which of them is read does not matter here.
        drop(Notification::from_json(&status(&json!({member: value}))));
    }
}
