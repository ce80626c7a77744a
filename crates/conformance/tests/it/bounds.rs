//! What the operator lets subscriptions of a client be: topics and content levels, also after a change
//! of mind.

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, Version, patient, verifies,
};
use reqwest::Method;
use serde_json::json;

const TOPIC: &str = "http://cresset.test/topics/patient-any";
const OTHER: &str = "http://cresset.test/topics/encounter-start";

fn with_boss() -> Options {
    Options::default().client("boss", "boss-token-of-the-tests", &["admin"])
}

/// An admin, and a client without bounds so far.
fn options() -> Options {
    with_boss().client("ward", "ward-token-of-the-tests", &["read", "write", "subscribe"])
}

fn as_client(base: &Client, name: &str) -> Client {
    base.with_bearer(&format!("{name}-token-of-the-tests"))
}

async fn restart_with(server: &mut Server, options: Options) {
    *server.options() = options;
    server.restart().await;
}

#[tokio::test]
async fn a_client_subscribes_to_its_topics_and_with_its_content_levels_only() {
    verifies!("RQ-SS-02", "RQ-SS-04");
    let bounded = options().of_client("topics", vec![TOPIC]).of_client("content-max", "id-only");
    let server = Server::start_with(bounded).await;
    for base in server.bases() {
        let (ward, boss) = (as_client(&base, "ward"), as_client(&base, "boss"));
        let asked = |topic: &str, content: &str, id: &str| {
            Subscribe::websocket(topic).content(content).id(id).json(base.version)
        };
        let path = "Subscription/bounded";
        let too_much = [asked(TOPIC, "full-resource", "bounded"), asked(OTHER, "empty", "bounded")];
        for refused in &too_much {
            ward.put(path, refused).await.refused_as(403, "forbidden");
            ward.post("Subscription", refused).await.refused_as(403, "forbidden");
            ward.post("Subscription/$validate", refused).await.refused_as(403, "forbidden");
        }
        ward.save(&asked(TOPIC, "empty", "bounded")).await;
        ward.save(&asked(TOPIC, "id-only", "bounded")).await;
        // Nor does an admin make more of it than its client may have.
        let topic = if base.version.is_backport() { "/criteria" } else { "/topic" };
        let patch = json!([{"op": "replace", "path": topic, "value": OTHER}]).to_string();
        for caller in [&ward, &boss] {
            for refused in &too_much {
                caller.put(path, refused).await.refused_as(403, "forbidden");
            }
            let patched = caller.request(Method::PATCH, path);
            let patched = patched.body_as(patch.clone(), "application/json-patch+json");
            patched.send().await.refused_as(403, "forbidden");
        }
        boss.save(&asked(OTHER, "full-resource", "of-boss")).await;
        let criteria = json!({
            "resourceType": "Subscription", "status": "requested", "reason": "a test",
            "criteria": "Patient?active=true", "channel": {"type": "websocket"},
        });
        if base.version.is_backport() {
            ward.post("Subscription", &criteria).await.refused_as(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_subscription_whose_client_loses_the_right_to_it_ends_with_the_reason() {
    verifies!("RQ-SS-03");
    let topic_of_others = "none of those that its client may subscribe to";
    for (withdrawn, reason) in [
        (options().of_client("content-max", "id-only"), "id-only at most"),
        (options().of_client("topics", vec![OTHER]), topic_of_others),
        (options().of_client("rights", vec!["write", "subscribe"]), "id-only at most"),
        (options().of_client("rights", vec!["write", "read"]), "lacks the right 'subscribe'"),
        (with_boss(), "not known here any more"),
    ] {
        let mut server = Server::start_with(options()).await;
        for base in server.bases() {
            let (ward, boss) = (as_client(&base, "ward"), as_client(&base, "boss"));
            let full = Subscribe::websocket(TOPIC).content("full-resource");
            ward.save(&full.clone().id("withdrawn").json(base.version)).await;
            ward.save(&full.clone().id("off").status("off").json(base.version)).await;
            boss.save(&full.id("kept").json(base.version)).await;
            boss.save(&patient("p")).await;
        }
        restart_with(&mut server, withdrawn).await;
        for base in server.bases() {
            let boss = as_client(&base, "boss");
            let told = boss.read("Subscription/withdrawn/$status").await.to_string();
            assert!(told.contains(reason), "{told}");
            let stored = boss.read("Subscription/withdrawn").await;
            assert_eq!(stored["status"], "error");
            for (id, status) in [("withdrawn", "error"), ("off", "off"), ("kept", "active")] {
                assert_eq!(boss.status(id).await.status, status, "{reason}");
            }
            boss.save(&patient("q")).await;
            assert_eq!(boss.count("withdrawn").await, 1, "nothing is an event for it any more");
            assert_eq!(boss.count("kept").await, 2);
            let events = as_client(&base, "ward").get("Subscription/withdrawn/$events").await;
            assert!(matches!(events.status, 401 | 403), "{events}");
        }
        // Once is enough.
        server.restart().await;
        for base in server.bases() {
            let boss = as_client(&base, "boss");
            let history = boss.read("Subscription/withdrawn/_history").await;
            assert_eq!(history["total"], 2, "{history}");
        }
    }
}

#[tokio::test]
async fn what_waits_for_a_client_is_not_sent_when_it_lost_the_right_and_it_may_begin_again() {
    verifies!("RQ-SS-03");
    let mut server = Server::start_with(options()).await;
    let receiver = Receiver::start().await;
    let path = |version: Version| format!("/{version}/ward");
    for base in server.bases() {
        let ward = as_client(&base, "ward");
        let path = path(base.version);
        let full = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).content("full-resource");
        ward.save(&full.id("ward").json(base.version)).await;
        ward.wait_for_status("ward", "active").await;
        receiver.notification(base.version, &path).await;
        receiver.always(&path, Answer::Never);
        ward.save(&patient("p")).await;
        receiver.event(base.version, &path).await;
    }
    let tried = |version| receiver.all(&path(version)).len();
    restart_with(&mut server, options().of_client("content-max", "id-only")).await;
    for base in server.bases() {
        let before = tried(base.version);
        let (boss, sentinel) = (as_client(&base, "boss"), format!("/{}/boss", base.version));
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&sentinel)).id("boss");
        boss.save(&asked.json(base.version)).await;
        boss.wait_for_status("boss", "active").await;
        boss.save(&patient("q")).await;
        receiver.event(base.version, &sentinel).await;
        assert_eq!(boss.status("ward").await.status, "error");
        assert_eq!(tried(base.version), before, "neither what waited nor a heartbeat");
        receiver.always(&path(base.version), Answer::Status(200));
    }
    restart_with(&mut server, options()).await;
    for base in server.bases() {
        let ward = as_client(&base, "ward");
        assert_eq!(ward.status("ward").await.status, "error", "only its client takes it up again");
        let path = path(base.version);
        let again = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).content("full-resource");
        ward.save(&again.id("ward").json(base.version)).await;
        ward.wait_for_status("ward", "active").await;
        ward.save(&patient("r")).await;
        let event = loop {
            let event = receiver.event(base.version, &path).await;
            if event.numbers() != [1] {
                break event;
            }
        };
        assert_eq!(event.numbers(), [2]);
    }
}
