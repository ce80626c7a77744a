use super::*;

fn notification(numbers: &[u64]) -> Arc<Notification> {
    notification_of("event-notification", numbers.last().copied(), numbers)
}

fn notification_of(kind: &str, count: Option<u64>, numbers: &[u64]) -> Arc<Notification> {
    let events: Vec<Value> =
        numbers.iter().map(|number| json!({ "eventNumber": number.to_string() })).collect();
    let status = json!({
        "resourceType": "SubscriptionStatus", "type": kind, "status": "active",
        "subscription": { "reference": "Subscription/a" }, "notificationEvent": events,
        "eventsSinceSubscriptionStart": count.map(|count| count.to_string()),
    });
    let bundle = json!({ "resourceType": "Bundle", "entry": [{ "resource": status }] });
    Arc::new(Notification::from_json(&bundle).unwrap())
}

#[test]
fn numbers_tell_what_came_twice_and_what_is_missing() {
    let mut sequence = Sequence::new(Start::Now, Limits::default());
    for (numbers, expect) in [
        (&[3][..], None),
        (&[3], Some("(sent before)")),
        (&[4, 5], None),
        (&[8], Some("(missing: 6 to 7)")),
        (&[7], None),
        (&[6], None),
        (&[8], Some("(sent before)")),
    ] {
        assert_eq!(told(&mut sequence, &notification(numbers)).as_deref(), expect, "{numbers:?}");
    }
}

#[test]
fn events_that_happened_before_the_handshake_are_new_when_they_come() {
    let endpoint = Endpoint {
        arguments: Receive {
            listen: "127.0.0.1:0".parse().unwrap(),
            key_file: None,
            fail: 0.0,
            fail_status: 503,
            slow: None,
            count: None,
            json: false,
        },
        taken: Mutex::default(),
        enough: Notify::new(),
    };
    for (notification, expect) in [
        (notification_of("handshake", Some(1), &[]), None),
        (notification(&[1]), None),
        (notification(&[1]), Some("(sent before)")),
    ] {
        assert_eq!(endpoint.take(&notification).as_deref(), expect, "{notification:?}");
    }
}
