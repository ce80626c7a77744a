use super::*;

fn notification(numbers: &[u64]) -> Arc<Notification> {
    let events: Vec<Value> =
        numbers.iter().map(|number| json!({ "eventNumber": number.to_string() })).collect();
    let status = json!({
        "resourceType": "SubscriptionStatus", "type": "event-notification", "status": "active",
        "subscription": { "reference": "Subscription/a" }, "notificationEvent": events,
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
