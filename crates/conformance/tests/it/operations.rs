//! The operations on Subscription.

use cresset_conformance::{
    Answer, Client, Notification, Options, Receiver, Reply, Server, Status, Subscribe, Token,
    Version, patient, set, until, verifies,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::link;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// Name of a parameter, name of its value, value.
type Input<'i> = (&'i str, &'i str, &'i str);

fn parameters(inputs: &[Input<'_>]) -> Value {
    let parameters: Vec<Value> = inputs
        .iter()
        .map(|(name, value_name, value)| {
            let mut parameter = json!({"name": name});
            set(&mut parameter, &format!("/{value_name}"), *value);
            parameter
        })
        .collect();
    let mut body = json!({"resourceType": "Parameters"});
    if !parameters.is_empty() {
        body["parameter"] = parameters.into();
    }
    body
}

/// Ids in an answer of `$status`, sorted.
fn ids(base: &Client, answer: &Reply) -> Vec<String> {
    let statuses = Status::of_searchset(base.version, &answer.json());
    let mut ids: Vec<String> =
        statuses.iter().map(|status| status.subscription_id().to_owned()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn status_is_answered_for_one_and_for_many_by_get_and_by_post() {
    verifies!(
        "RQ-OP-01", "RQ-OP-02", "RQ-OP-03", "RQ-OP-04", "RQ-OP-05", "RQ-OP-07", "RQ-OP-09",
        "RQ-CF-03",
    );
    let server = Server::start().await;
    for base in server.bases() {
        for (id, status) in [("a", "requested"), ("b", "requested"), ("c", "off")] {
            base.save(&Subscribe::websocket(TOPIC).id(id).status(status).json(base.version)).await;
        }
        let one = base.get("Subscription/a/$status").await.expect(200);
        let statuses = Status::of_searchset(base.version, &one.json());
        assert_eq!(statuses.len(), 1);
        assert_eq!(statuses[0].subscription, format!("{}/Subscription/a", base.url));
        assert_eq!(statuses[0].status, "active");
        assert_eq!(statuses[0].topic.as_deref(), Some(TOPIC));
        let self_link = link(&one.json(), "self").expect("a self link");
        assert_eq!(self_link, format!("{}/Subscription/a/$status", base.url));

        let type_level = "Subscription/$status";
        for (query, wanted) in [
            ("", &["a", "b", "c"][..]),
            ("?id=a&id=c", &["a", "c"]),
            ("?id=a,c", &["a", "c"]),
            ("?id=a&id=nobody", &["a"]),
            ("?id=nobody", &[]),
            ("?status=off", &["c"]),
            ("?status=active&status=off", &["a", "b", "c"]),
            ("?status=active,off&id=b,c", &["b", "c"]),
            ("?status=error", &[]),
            ("?id=a&status=off", &[]),
        ] {
            let reply = base.get(&format!("{type_level}{query}")).await.expect(200);
            assert_eq!(ids(&base, &reply), wanted, "{query}");
        }
        base.get(&format!("{type_level}?status=nonsense")).await.refused(400);
        base.get(&format!("{type_level}?nonsense=a")).await.refused(400);
        base.get("Subscription/nobody/$status").await.refused_as(404, "not-found");

        let posts: [(&[Input<'_>], &[&str]); 7] = [
            (&[], &["a", "b", "c"]),
            (&[("id", "valueId", "a"), ("id", "valueId", "b")], &["a", "b"]),
            (&[("id", "valueString", "b")], &["b"]),
            (&[("id", "valueUri", "c")], &["c"]),
            (&[("id", "valueCode", "c")], &["c"]),
            (&[("status", "valueCode", "off")], &["c"]),
            (&[("status", "valueString", "active"), ("id", "valueString", "a,c")], &["a"]),
        ];
        for (inputs, wanted) in posts {
            let reply = base.post(type_level, &parameters(inputs)).await.expect(200);
            assert_eq!(ids(&base, &reply), wanted, "{inputs:?}");
        }
        let reply = base.post("Subscription/b/$status", &parameters(&[])).await.expect(200);
        assert_eq!(ids(&base, &reply), ["b"]);
        let reply = base.request(Method::POST, "Subscription/b/$status").send().await.expect(200);
        assert_eq!(ids(&base, &reply), ["b"]);
        // Ignored at instance level, as the operation says.
        let path = "Subscription/b/$status?id=a&status=off";
        assert_eq!(ids(&base, &base.get(path).await.expect(200)), ["b"]);
        for path in ["$status", "Patient/$status", "Patient/p/$status"] {
            base.get(path).await.refused(404);
        }
    }
}

#[tokio::test]
async fn status_counts_a_write_as_soon_as_it_is_answered() {
    verifies!("RQ-NB-40", "RQ-CF-03");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        for number in 1..=10 {
            base.create(&patient("x")).await;
            assert_eq!(base.count(&id).await, number);
        }
    }
}

#[tokio::test]
async fn status_works_in_error_and_off() {
    verifies!("RQ-OP-06", "RQ-ER-01", "RQ-ER-11");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    receiver.always("/broken", Answer::Status(500));
    for base in server.bases() {
        let broken = Subscribe::rest_hook(TOPIC, &receiver.endpoint("/broken"));
        let broken = base.subscribe(&broken).await;
        let off = base.subscribe(&Subscribe::websocket(TOPIC).status("off")).await;
        let status = base.wait_for_status(&broken, "error").await;
        assert_eq!(status.kind, "query-status");
        assert_eq!(base.status(&off).await.status, "off");
        let all = base.get("Subscription/$status?status=error,off").await.expect(200);
        assert_eq!(ids(&base, &all).len(), 2);
    }
}

#[tokio::test]
async fn events_are_answered_within_inclusive_bounds() {
    verifies!("RQ-OP-20", "RQ-OP-21", "RQ-OP-23", "RQ-OP-25", "RQ-OP-26", "RQ-ER-09");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let path = format!("Subscription/{id}/$events");
        let before = base.events(&id, "").await;
        assert_eq!((before.kind.as_str(), before.count), ("query-status", 0));
        for number in 1..=5 {
            base.save(&patient(&format!("p{number}"))).await;
        }
        let all = base.events(&id, "").await;
        assert_eq!((all.kind.as_str(), all.count), ("query-event", 5));
        assert_eq!(all.subscription, format!("{}/Subscription/{id}", base.url));
        for (query, wanted) in [
            ("", vec![1, 2, 3, 4, 5]),
            ("eventsSinceNumber=4", vec![4, 5]),
            ("eventsUntilNumber=2", vec![1, 2]),
            ("eventsSinceNumber=2&eventsUntilNumber=4", vec![2, 3, 4]),
            ("eventsSinceNumber=3&eventsUntilNumber=3", vec![3]),
            ("eventsSinceNumber=1&eventsUntilNumber=99", vec![1, 2, 3, 4, 5]),
            ("eventsSinceNumber=6", vec![]),
            ("eventsSinceNumber=18446744073709551615", vec![]),
        ] {
            let found = base.events(&id, query).await;
            assert_eq!(found.numbers(), wanted, "{query}");
            assert_eq!(found.count, 5, "{query}");
            let kind = if wanted.is_empty() { "query-status" } else { "query-event" };
            assert_eq!(found.kind, kind, "{query}");
            for event in &found.events {
                assert!(all.events.contains(event), "{query}");
            }
        }
        for query in [
            "eventsSinceNumber=4&eventsUntilNumber=2",
            "eventsSinceNumber=x",
            "eventsUntilNumber=-1",
            "eventsSinceNumber=1.5",
            "content=everything",
            "nonsense=1",
        ] {
            let reply = base.get(&format!("{path}?{query}")).await;
            assert!(matches!(reply.status, 400 | 422), "{reply}");
            reply.refused(reply.status);
        }
        let number = if base.version == Version::R5 { "valueInteger64" } else { "valueString" };
        let body =
            parameters(&[("eventsSinceNumber", number, "2"), ("eventsUntilNumber", number, "3")]);
        let posted = base.post(&path, &body).await.expect(200).json();
        assert_eq!(Notification::read(base.version, &posted).numbers(), [2, 3]);
        let posted = base.request(Method::POST, &path).send().await.expect(200).json();
        assert_eq!(Notification::read(base.version, &posted).numbers(), [1, 2, 3, 4, 5]);
        base.get("Subscription/$events").await.refused(404);
        base.get("Subscription/nobody/$events").await.refused(404);
        assert_eq!(base.count(&id).await, 5);
    }
}

#[tokio::test]
async fn events_show_no_more_than_the_subscription_may_have() {
    verifies!("RQ-OP-24");
    let server = Server::start().await;
    for base in server.bases() {
        let levels = ["empty", "id-only", "full-resource"];
        for (granted, content) in levels.iter().enumerate() {
            let id = base.subscribe(&Subscribe::websocket(TOPIC).content(content)).await;
            base.save(&patient("p")).await;
            for (wanted, asked) in levels.iter().enumerate() {
                let events = base.events(&id, &format!("content={asked}")).await;
                let shown = match (&events.events[0].focus, events.entries.first()) {
                    (None, None) => 0,
                    (Some(_), entry) if entry.is_none_or(|entry| entry.resource.is_none()) => 1,
                    (Some(_), Some(_)) => 2,
                    other => panic!("{other:?}"),
                };
                assert_eq!(shown, granted.min(wanted), "{content}, asked for {asked}");
            }
        }
    }
}

#[tokio::test]
async fn old_events_are_forgotten_and_numbers_stay() {
    verifies!("RQ-OP-22");
    let options = Options::default().set("retention.events-per-subscription-max", 3);
    let mut server = Server::start_with(options).await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        for number in 1..=8 {
            base.save(&patient(&format!("p{number}"))).await;
        }
        ids.push(id);
    }
    // Upkeep runs at the start.
    server.restart().await;
    for (base, id) in server.bases().iter().zip(&ids) {
        let what = format!("{} has forgotten", base.url);
        until(&what, || async {
            let events = base.events(id, "").await;
            assert_eq!(events.count, 8);
            (events.numbers() == [6, 7, 8]).then_some(())
        })
        .await;
        let part = base.events(id, "eventsSinceNumber=2&eventsUntilNumber=6").await;
        assert_eq!(part.numbers(), [6]);
        base.save(&patient("p9")).await;
        assert_eq!(base.events(id, "eventsSinceNumber=9").await.numbers(), [9]);
    }
}

#[tokio::test]
async fn a_binding_token_is_had_at_both_levels_by_get_and_by_post() {
    verifies!("RQ-OP-40", "RQ-OP-41", "RQ-OP-42", "RQ-CH-41");
    let server = Server::start().await;
    for base in server.bases() {
        for id in ["a", "b"] {
            base.save(&Subscribe::websocket(TOPIC).id(id).json(base.version)).await;
        }
        let endpoint = "http://127.0.0.1:8000/hook";
        let hook = Subscribe::rest_hook(TOPIC, endpoint).id("hook").status("off");
        base.save(&hook.json(base.version)).await;
        let operation = "Subscription/$get-ws-binding-token";
        let mut tokens = Vec::new();
        for (path, wanted) in [
            ("Subscription/a/$get-ws-binding-token".to_owned(), &["a"][..]),
            (operation.to_owned(), &["a", "b"]),
            (format!("{operation}?id=a&id=b"), &["a", "b"]),
            (format!("{operation}?id=b"), &["b"]),
        ] {
            let got = base.get(&path).await.expect(200);
            let posted = base.request(Method::POST, &path).send().await.expect(200);
            for reply in [got, posted] {
                let token = Token::read(&reply.json());
                assert_eq!(token.subscriptions, wanted, "{reply}");
                assert!(token.token.len() >= 32, "{reply}");
                let expires: jiff::Timestamp = token.expiration.parse().expect("a time");
                let left = expires.duration_since(jiff::Timestamp::now()).as_secs();
                assert!((1700..=1800).contains(&left), "30 minutes by default, not {left} s");
                assert!(token.url.starts_with("ws://127.0.0.1:"), "{reply}");
                tokens.push(token.token);
            }
        }
        let body = parameters(&[("id", "valueId", "a"), ("id", "valueString", "b")]);
        let token = Token::read(&base.post(operation, &body).await.expect(200).json());
        assert_eq!(token.subscriptions, ["a", "b"]);
        let count = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), count, "every token is another");
    }
}

#[tokio::test]
async fn no_token_is_given_for_what_has_no_websocket() {
    verifies!("RQ-OP-43");
    let server = Server::start().await;
    for base in server.bases() {
        let operation = "Subscription/$get-ws-binding-token";
        base.get(operation).await.refused(422);
        let endpoint = "http://127.0.0.1:8000/hook";
        let hook = Subscribe::rest_hook(TOPIC, endpoint).id("hook").status("off");
        base.save(&hook.json(base.version)).await;
        base.save(&Subscribe::websocket(TOPIC).id("web").json(base.version)).await;
        base.get("Subscription/hook/$get-ws-binding-token").await.refused(422);
        base.get(&format!("{operation}?id=web,hook")).await.refused(422);
        base.get(&format!("{operation}?id=web&id=nobody")).await.refused(404);
        base.get("Subscription/nobody/$get-ws-binding-token").await.refused(404);
        base.get(&format!("{operation}?id=not%20an%20id")).await.refused(400);
    }
}

#[tokio::test]
async fn events_that_retention_has_forgotten_are_left_out() {
    let mut server = Server::start().await;
    let base = server.base(Version::R4);
    let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
    for _ in 0..5 {
        base.save(&patient("p")).await;
    }
    let changed = server.options().clone().set("retention.events-per-subscription-max", 2);
    *server.options() = changed;
    server.restart().await;
    let base = server.base(Version::R4);
    until("the oldest are forgotten", || async {
        (base.events(&id, "eventsSinceNumber=1").await.numbers() == [4, 5]).then_some(())
    })
    .await;
    let below = base.events(&id, "eventsSinceNumber=1&eventsUntilNumber=3").await;
    assert_eq!((below.kind.as_str(), below.numbers()), ("query-status", Vec::new()));
    assert_eq!(base.count(&id).await, 5, "the count goes on");
}
