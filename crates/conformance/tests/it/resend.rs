//! `$resend`, and recovery of a whole endpoint or topic.

use std::collections::BTreeSet;

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, patient, verifies,
};
use jiff::Timestamp;
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// An active rest-hook subscription that was sent this many events, one by one.
async fn sent(base: &Client, receiver: &Receiver, path: &str, events: u64) -> String {
    let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(path));
    let id = base.subscribe(&asked).await;
    base.wait_for_status(&id, "active").await;
    for number in 1..=events {
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, path).await.numbers(), [number]);
    }
    // The receiver has the last one; the server knows that once it can be sent again.
    let last = format!("?eventsSinceNumber={events}");
    while base.get(&format!("Subscription/{id}/$resend{last}")).await.status != 200 {}
    assert_eq!(receiver.event(base.version, path).await.numbers(), [events]);
    id
}

/// Has events sent again, once the server knows that the last ones have arrived.
async fn resend(base: &Client, id: &str, parameters: &[Value]) -> Value {
    let mut body = json!({"resourceType": "Parameters"});
    if !parameters.is_empty() {
        body["parameter"] = parameters.into();
    }
    loop {
        let reply = base.post(&format!("Subscription/{id}/$resend"), &body).await;
        if reply.status != 409 {
            return reply.expect(200).json();
        }
    }
}

/// The numbers of the next events at a path, until there are this many.
async fn numbers(base: &Client, receiver: &Receiver, path: &str, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        numbers.extend(receiver.event(base.version, path).await.numbers());
    }
    numbers
}

#[tokio::test]
async fn a_range_is_sent_again_with_its_numbers_and_times_and_changes_nothing_else() {
    verifies!("RQ-OP-63", "RQ-ER-15");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let id = sent(&base, &receiver, &path, 4).await;
        let pulled = base.events(&id, "").await;
        let number = |name: &str, number: &str| json!({"name": name, "valueString": number});
        let range = [number("eventsSinceNumber", "2"), number("eventsUntilNumber", "3")];
        let outcome = resend(&base, &id, &range).await;
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        assert_eq!(outcome["issue"][0]["severity"], "information", "{outcome}");
        let again = receiver.event(base.version, &path).await;
        assert_eq!(again.numbers(), [2, 3]);
        assert_eq!(again.count, 3, "as when they were sent first");
        for (one, other) in again.events.iter().zip(&pulled.events[1..]) {
            assert_eq!((&one.timestamp, &one.focus), (&other.timestamp, &other.focus));
        }

        // Events may share a millisecond, so their times tell how far an instant reaches.
        let at = |index: usize| pulled.events[index].timestamp.parse::<Timestamp>().unwrap();
        let first = pulled.events[0].timestamp.clone();
        let third = pulled.events[2].timestamp.clone();
        let from_third = (0..4).position(|index| at(index) >= at(2)).unwrap() as u64 + 1;
        let to_third = (0..4).filter(|index| at(*index) <= at(2)).count() as u64;
        let until = |time: &str| json!({"name": "eventsUntilInstant", "valueInstant": time});
        let since = |time: &str| json!({"name": "eventsSinceInstant", "valueInstant": time});
        for (parameters, expected) in [
            (vec![since(&third)], from_third..=4),
            (vec![until(&third)], 1..=to_third),
            (vec![since(&first), until(&third)], 1..=to_third),
            (vec![], 1..=4),
        ] {
            resend(&base, &id, &parameters).await;
            let expected: Vec<u64> = expected.collect();
            assert_eq!(numbers(&base, &receiver, &path, expected.len()).await, expected);
        }
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, &path).await.numbers(), [5]);
        assert_eq!(base.count(&id).await, 5);
        base.remove(&format!("Subscription/{id}")).await;
    }
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_refused_and_what_is_forgotten_is_told() {
    verifies!("RQ-OP-63", "RQ-ER-11");
    let mut server = Server::start().await;
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let id = sent(&base, &receiver, &path, 3).await;
        let resend = format!("Subscription/{id}/$resend");
        for (query, status, kind) in [
            ("?eventsSinceNumber=4", 422, "not-found"),
            ("?eventsSinceNumber=3&eventsUntilNumber=2", 422, "invalid"),
            ("?eventsSinceInstant=2026-01-01", 400, "invalid"),
            ("?eventsSinceNumber=x", 400, "invalid"),
            ("?eventsSinceNumber=1&eventsSinceNumber=2", 400, "invalid"),
            ("?content=empty", 400, "invalid"),
        ] {
            base.get(&format!("{resend}{query}")).await.refused_as(status, kind);
        }
        base.get("Subscription/nobody/$resend").await.refused_as(404, "not-found");
        base.get("Subscription/$resend").await.refused(404);
        let socket = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, &path).await.numbers(), [4]);
        base.get(&format!("Subscription/{socket}/$resend")).await.refused(422);
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).id(&id);
        ids.push((id, asked));
    }
    let changed = server.options().clone().set("retention.events-per-subscription-max", 2);
    *server.options() = changed;
    server.restart().await;
    for (base, (id, asked)) in server.bases().iter().zip(ids) {
        let path = format!("/{}", base.version);
        let resend = format!("Subscription/{id}/$resend");
        loop {
            let oldest = base.events(&id, "eventsSinceNumber=1").await.numbers();
            if oldest == [3, 4] {
                break;
            }
        }
        // After the restart the last events may be sent once more, which the server waits for.
        let outcome = loop {
            let reply = base.get(&format!("{resend}?eventsSinceNumber=2")).await;
            if reply.status == 200 {
                break reply.json();
            }
        };
        assert_eq!(outcome["issue"][1]["severity"], "warning", "{outcome}");
        while receiver.event(base.version, &path).await.numbers() != [3, 4] {}
        base.get(&format!("{resend}?eventsUntilNumber=2")).await.refused_as(422, "not-found");
        base.save(&asked.status("off").json(base.version)).await;
        base.get(&resend).await.refused_as(409, "conflict");
    }
}

#[tokio::test]
async fn a_resend_that_fails_is_retried_and_then_ends_with_the_subscription_in_error() {
    verifies!("RQ-OP-63", "RQ-CH-03");
    let options = Options::default().set("rest-hook.retry-schedule", vec!["50ms"]);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let id = sent(&base, &receiver, &path, 2).await;
        receiver.script(&path, [Answer::Status(503)]);
        resend(&base, &id, &[]).await;
        assert_eq!(numbers(&base, &receiver, &path, 4).await, [1, 2, 1, 2], "the same again");
        receiver.always(&path, Answer::Status(503));
        resend(&base, &id, &[]).await;
        base.wait_for_status(&id, "error").await;
        base.get(&format!("Subscription/{id}/$resend")).await.refused_as(409, "conflict");
        base.remove(&format!("Subscription/{id}")).await;
    }
}

#[tokio::test]
async fn only_the_owner_or_an_admin_has_events_sent_again_and_only_an_admin_recovers() {
    verifies!("RQ-OP-63", "RQ-SS-01");
    let token = |name: &str| format!("{name}-token-of-the-tests");
    let rights = ["read", "write", "subscribe"];
    let options = Options::default()
        .client("ward", &token("ward"), &rights)
        .client("other", &token("other"), &rights)
        .client("boss", &token("boss"), &["admin"]);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let [ward, other, boss] =
            ["ward", "other", "boss"].map(|one| base.with_bearer(&token(one)));
        let path = format!("/{}", base.version);
        let id = sent(&ward, &receiver, &path, 1).await;
        let resend = format!("Subscription/{id}/$resend");
        other.get(&resend).await.refused(404);
        self::resend(&boss, &id, &[]).await;
        assert_eq!(receiver.event(base.version, &path).await.numbers(), [1]);
        let body = json!({"topic": TOPIC, "since": "2026-01-01T00:00:00Z"});
        assert_eq!(recover(&ward, &body).await.0, 403);
        assert_eq!(recover(&base.with_bearer("nonsense"), &body).await.0, 401);
        ward.remove(&format!("Subscription/{id}")).await;
    }
}

/// Status and answer of `POST /admin/recover`, which stands beside the bases.
async fn recover(base: &Client, body: &Value) -> (u16, Value) {
    let reply = base.post("../admin/recover", body).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn an_endpoint_gets_everything_since_an_instant_again_at_a_bounded_rate() {
    verifies!("RQ-OP-63");
    let options = Options::default().set("recovery.events-per-second", 20);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let mut off = Vec::new();
    for base in server.bases() {
        for path in ["lost", "elsewhere", "lost/off"] {
            let path = format!("/{path}/{}", base.version);
            let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path));
            let id = base.subscribe(&asked).await;
            base.wait_for_status(&id, "active").await;
            if path.contains("off") {
                off.push(asked.id(&id));
            }
        }
    }
    for base in server.bases() {
        base.save(&patient("p")).await;
        let path = format!("/lost/{}", base.version);
        assert_eq!(receiver.event(base.version, &path).await.numbers(), [1]);
    }
    let since = server.bases()[0].read("Patient/p").await["meta"]["lastUpdated"].clone();
    for base in server.bases() {
        for _ in 0..9 {
            base.save(&patient("p")).await;
        }
        let path = format!("/lost/{}", base.version);
        assert_eq!(numbers(&base, &receiver, &path, 9).await, (2..=10).collect::<Vec<_>>());
        let path = format!("/elsewhere/{}", base.version);
        assert_eq!(numbers(&base, &receiver, &path, 10).await, (1..=10).collect::<Vec<_>>());
    }
    for (base, asked) in server.bases().iter().zip(off) {
        base.save(&asked.status("off").json(base.version)).await;
    }
    for (body, what) in [
        (json!({"since": since}), "neither"),
        (json!({"since": since, "topic": TOPIC, "endpoint": "http://"}), "both"),
        (json!({"topic": TOPIC}), "no instant"),
        (json!({"topic": TOPIC, "since": "yesterday"}), "no instant"),
        (json!({"topic": TOPIC, "since": since, "until": since}), "unknown"),
        (json!([]), "no object"),
    ] {
        let (status, outcome) = recover(&server.bases()[0], &body).await;
        assert_eq!((status, &outcome["resourceType"]), (400, &json!("OperationOutcome")), "{what}");
    }
    let before: Vec<usize> = server
        .bases()
        .iter()
        .map(|base| receiver.all(&format!("/elsewhere/{}", base.version)).len())
        .collect();
    let body = json!({"endpoint": receiver.endpoint("/lost/"), "since": since});
    let begun = std::time::Instant::now();
    let (status, answer) = recover(&server.bases()[0], &body).await;
    assert_eq!((status, &answer["subscriptions"], &answer["skipped"]), (200, &json!(3), &json!(3)));
    let events = answer["events"].as_u64().expect("a number");
    assert!((27..=30).contains(&events), "{answer}");
    for base in server.bases() {
        let path = format!("/lost/{}", base.version);
        // The last may have been on its way still when the recovery was asked for.
        let mut missing: BTreeSet<u64> = (2..=9).collect();
        while !missing.is_empty() {
            for number in receiver.event(base.version, &path).await.numbers() {
                missing.remove(&number);
            }
        }
    }
    // 27 events at 20 a second, of which the first second's part may go out at once.
    assert!(begun.elapsed().as_millis() >= 300, "{:?}", begun.elapsed());
    for (base, before) in server.bases().iter().zip(before) {
        let path = format!("/elsewhere/{}", base.version);
        assert_eq!(receiver.all(&path).len(), before, "not asked for");
    }
}
