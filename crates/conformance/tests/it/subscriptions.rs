//! Subscriptions: what is accepted and shown, and the status machine.

use cresset_conformance::{
    Answer, Client, Options, Receiver, Reply, Server, Subscribe, Version, patient, set, verifies,
};
use reqwest::Method;
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn id_of(reply: &Reply) -> String {
    reply.json()["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_rest_hook_subscription_is_requested_then_active_and_shown_whole() {
    verifies!("RQ-SB-20", "RQ-SB-21", "RQ-SB-28", "RQ-CH-25", "RQ-CF-02", "RQ-CF-06");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))
            .header("Authorization", "Bearer  very secret")
            .header("X-Custom", "a: b; c=\"d\"")
            .timeout(7)
            .max_count(3)
            .end("2099-12-31T12:00:00.000+01:00")
            .json(base.version);
        let reply = base.post("Subscription", &asked).await.expect(201);
        let created = reply.json();
        assert_eq!(created["status"], "requested", "{reply}");
        assert!(reply.header("location").ends_with("/_history/1"), "{reply}");
        for (name, value) in asked.as_object().expect("an object") {
            assert_eq!(created[name], *value, "{name} in {reply}");
        }
        let id = id_of(&reply);
        let handshake = receiver.notification(base.version, &path).await;
        assert_eq!(
            (handshake.kind.as_str(), handshake.status.as_str()),
            ("handshake", "requested")
        );
        base.wait_for_status(&id, "active").await;
        let read = base.read(&format!("Subscription/{id}")).await;
        assert_eq!(read["status"], "active");
        for (name, value) in asked.as_object().expect("an object") {
            assert!(name == "status" || read[name] == *value, "{name} in {read}");
        }
    }
}

#[tokio::test]
async fn a_websocket_subscription_is_active_at_once_and_needs_no_endpoint() {
    verifies!("RQ-CH-40", "RQ-CH-53", "RQ-CF-02", "RQ-CF-06");
    let server = Server::start().await;
    for base in server.bases() {
        let created = base.create(&Subscribe::websocket(TOPIC).json(base.version)).await;
        assert_eq!(created["status"], "active", "{created}");
    }
    let base = server.base(Version::R5);
    let mut asked = Subscribe::websocket(TOPIC).json(Version::R5);
    set(&mut asked, "/endpoint", "wss://elsewhere.test/unused");
    let created = base.create(&asked).await;
    assert_eq!(created["endpoint"], "wss://elsewhere.test/unused");
    let token = base.token(&[created["id"].as_str().expect("an id")]).await;
    assert!(!token.url.contains("elsewhere"), "{token:?}");
}

#[tokio::test]
async fn every_content_level_is_accepted() {
    verifies!("RQ-CF-07", "RQ-SB-26");
    let server = Server::start().await;
    for base in server.bases() {
        for content in ["empty", "id-only", "full-resource"] {
            let id = base.subscribe(&Subscribe::websocket(TOPIC).content(content)).await;
            base.save(&patient("p")).await;
            assert_eq!(base.count(&id).await, 1, "{content}");
            base.remove(&format!("Subscription/{id}")).await;
        }
    }
}

#[tokio::test]
async fn subscriptions_are_created_changed_versioned_and_deleted_like_other_resources() {
    verifies!("RQ-SB-29");
    let server = Server::start().await;
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).id("mine").json(base.version);
        let created = base.put("Subscription/mine", &asked).await.expect(201);
        assert_eq!(created.header("etag"), "W/\"1\"");
        let stale = base.request(Method::PUT, "Subscription/mine").header("if-match", "W/\"7\"");
        stale.json(&asked).send().await.refused(412);
        let changed = Subscribe::websocket(TOPIC).id("mine").content("empty").json(base.version);
        base.put("Subscription/mine", &changed).await.expect(200);
        base.get("Subscription/mine/_history/1").await.expect(200);
        let history = base.read("Subscription/mine/_history").await;
        assert_eq!(history["total"], 2, "{history}");
        base.delete("Subscription/mine").await.expect(204);
        base.get("Subscription/mine").await.refused(410);
        base.get("Subscription/mine/$status").await.refused(404);
        // A new life under the same id has numbers of its own.
        base.put("Subscription/mine", &asked).await.expect(201);
        assert_eq!(base.count("mine").await, 0);
    }
}

#[tokio::test]
async fn the_counter_of_a_new_life_starts_anew_and_that_of_an_update_goes_on() {
    verifies!("RQ-NB-40", "RQ-NB-43", "RQ-SB-25");
    let mut server = Server::start().await;
    for base in server.bases() {
        let subscribe = Subscribe::websocket(TOPIC).id("s");
        base.save(&subscribe.json(base.version)).await;
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        base.save(&subscribe.clone().content("empty").json(base.version)).await;
        base.save(&patient("p")).await;
        assert_eq!(base.count("s").await, 3);
        base.remove("Subscription/s").await;
        base.save(&subscribe.json(base.version)).await;
        base.save(&patient("p")).await;
        assert_eq!(base.count("s").await, 1);
    }
    server.restart().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        let events = base.events("s", "").await;
        assert_eq!(events.numbers(), [1, 2]);
    }
}

#[tokio::test]
async fn only_the_server_makes_a_subscription_active_or_error() {
    verifies!("RQ-SB-23");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    receiver.always("/never", Answer::Never);
    for base in server.bases() {
        for status in ["active", "error", "requested"] {
            let endpoint = receiver.endpoint("/never");
            let asked = Subscribe::rest_hook(TOPIC, &endpoint).status(status);
            let reply = base.post("Subscription", &asked.json(base.version)).await;
            if reply.status == 201 {
                assert_eq!(reply.json()["status"], "requested", "{reply}");
            } else {
                assert_ne!(status, "requested", "{reply}");
                reply.refused(422);
            }
        }
    }
}

#[tokio::test]
async fn off_stays_off_and_nothing_is_counted() {
    verifies!("RQ-ER-11", "RQ-OP-06");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let mut statuses = vec!["off"];
        if base.version == Version::R5 {
            statuses.push("entered-in-error");
        }
        for status in statuses {
            let path = format!("/{}/{status}", base.version);
            let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).heartbeat_period(1);
            let id = base.subscribe(&asked).await;
            base.wait_for_status(&id, "active").await;
            base.save(&patient("p")).await;
            base.save(&asked.clone().id(&id).status(status).json(base.version)).await;
            base.save(&patient("p")).await;
            let now = base.status(&id).await;
            assert_eq!((now.status.as_str(), now.count), (status, 1));
            let events = base.events(&id, "").await;
            assert_eq!((events.status.as_str(), events.numbers()), (status, vec![1]));
            // Back again, and the counter goes on.
            base.save(&asked.id(&id).json(base.version)).await;
            base.wait_for_status(&id, "active").await;
            base.save(&patient("p")).await;
            assert_eq!(base.count(&id).await, 2);
        }
    }
}

#[tokio::test]
async fn a_changed_endpoint_or_header_is_shaken_hands_on_again() {
    verifies!("RQ-SB-25");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let version = base.version;
        let (first, second) = (format!("/{version}/first"), format!("/{version}/second"));
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&first));
        let id = base.subscribe(&asked).await;
        assert_eq!(receiver.notification(version, &first).await.kind, "handshake");
        base.wait_for_status(&id, "active").await;
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(version, &first).await.numbers(), [1]);

        let moved = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&second)).id(&id);
        base.save(&moved.json(version)).await;
        let handshake = receiver.notification(version, &second).await;
        assert_eq!((handshake.kind.as_str(), handshake.count), ("handshake", 1));
        base.wait_for_status(&id, "active").await;
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(version, &second).await.numbers(), [2]);

        base.save(&moved.header("X-New", "1").json(version)).await;
        let handshake = receiver.next(&second).await;
        assert_eq!(handshake.header("x-new"), ["1"]);
        assert_eq!(handshake.notification(version).kind, "handshake");
    }
}

#[tokio::test]
async fn a_change_is_validated_like_a_new_subscription() {
    verifies!("RQ-SB-25");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let bad = Subscribe::websocket("http://cresset.test/topics/none").id(&id);
        let path = format!("Subscription/{id}");
        base.put(&path, &bad.json(base.version)).await.refused_as(422, "not-supported");
        assert_eq!(base.read(&path).await["meta"]["versionId"], "1");
        base.save(&patient("p")).await;
        assert_eq!(base.count(&id).await, 1);
    }
}

#[tokio::test]
async fn what_is_out_of_bounds_is_adjusted_and_shown() {
    verifies!("RQ-SB-14", "RQ-SB-27");
    let options = Options::default()
        .set("subscriptions.heartbeat-min", "10s")
        .set("subscriptions.timeout-default", "20s")
        .set("subscriptions.timeout-max", "20s")
        .set("subscriptions.max-count-default", 50)
        .set("subscriptions.max-count-max", 50);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).heartbeat_period(2).timeout(999).max_count(100_000);
        let created = base.create(&asked.json(base.version)).await;
        let id = created["id"].as_str().expect("an id");
        let read = base.read(&format!("Subscription/{id}")).await;
        assert_eq!(created, read);
        assert_eq!(bounds(&read), [Some(10), Some(20), Some(50)], "{read}");
        let kept = Subscribe::websocket(TOPIC).heartbeat_period(30).timeout(5).max_count(7);
        let kept = base.create(&kept.json(base.version)).await;
        assert_eq!(bounds(&kept), [Some(30), Some(5), Some(7)], "{kept}");
    }
}

/// Heartbeat period, timeout and maxCount of a Subscription of any version.
fn bounds(subscription: &Value) -> [Option<u64>; 3] {
    let extensions = subscription["channel"]["extension"].as_array();
    [
        ("heartbeatPeriod", "heartbeat-period", "valueUnsignedInt"),
        ("timeout", "timeout", "valueUnsignedInt"),
        ("maxCount", "max-count", "valuePositiveInt"),
    ]
    .map(|(member, extension, value)| {
        let mut extensions = extensions.into_iter().flatten();
        let extension = extensions.find(|one| {
            let url = one["url"].as_str().expect("a url");
            url.ends_with(&format!("/backport-{extension}"))
        });
        extension.map_or(&subscription[member], |extension| &extension[value]).as_u64()
    })
}

#[tokio::test]
async fn what_r5_leaves_out_has_defaults_that_are_shown() {
    verifies!("RQ-SB-15", "RQ-SB-10", "RQ-SB-27");
    let server = Server::start().await;
    let base = server.base(Version::R5);
    let asked = json!({
        "resourceType": "Subscription",
        "status": "requested",
        "topic": TOPIC,
        "channelType": {"code": "websocket"},
    });
    let created = base.create(&asked).await;
    assert_eq!(created["contentType"], "application/fhir+json", "{created}");
    assert_eq!(created["content"], "empty", "{created}");
    let id = created["id"].as_str().expect("an id");
    let mut socket = base.listen(id).await;
    base.save(&patient("p")).await;
    let event = socket.event().await;
    assert!(event.events[0].focus.is_none() && event.entries.is_empty(), "{}", event.json);
}

#[tokio::test]
async fn a_client_cannot_write_the_error_of_a_subscription() {
    verifies!("RQ-SB-16");
    let server = Server::start().await;
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        let mut asked = Subscribe::websocket(TOPIC).json(base.version);
        set(&mut asked, "/error", "by the client");
        let reply = base.post("Subscription", &asked).await;
        match reply.status {
            201 => {
                let created = reply.json();
                assert!(created.get("error").is_none(), "{reply}");
                let status = base.status(created["id"].as_str().expect("an id")).await;
                assert!(status.errors.is_empty(), "{status:?}");
            }
            _ => drop(reply.refused_at(422, "Subscription.error")),
        }
    }
}

#[tokio::test]
async fn the_end_switches_a_subscription_off() {
    verifies!("RQ-SB-12", "RQ-SB-13");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let work = server.bases().map(|base| {
        let endpoint = receiver.endpoint(&format!("/{}", base.version));
        async move {
            check_end(&base, Subscribe::websocket(TOPIC)).await;
            check_end(&base, Subscribe::rest_hook(TOPIC, &endpoint)).await;
        }
    });
    futures_util::future::join_all(work).await;
}

async fn check_end(base: &Client, asked: Subscribe) {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1500);
    let id = base.subscribe(&asked.end(&format!("{soon:.3}"))).await;
    base.wait_for_status(&id, "active").await;
    base.save(&patient("p")).await;
    let before = base.count(&id).await;
    assert!(before >= 1);
    base.wait_for_status(&id, "off").await;
    let last = base.count(&id).await;
    let read = base.read(&format!("Subscription/{id}")).await;
    assert_eq!(read["status"], "off", "{read}");
    base.save(&patient("p")).await;
    assert_eq!(base.count(&id).await, last);
}

#[tokio::test]
async fn an_end_in_the_past_is_no_reason_to_refuse_nor_to_switch_off() {
    verifies!("RQ-SB-13");
    let mut server = Server::start().await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).end("2020-12-31T12:00:00Z");
        let created = base.create(&asked.json(base.version)).await;
        assert_eq!(created["status"], "active", "{created}");
        ids.push(created["id"].as_str().expect("an id").to_owned());
    }
    server.restart().await;
    for (base, id) in server.bases().iter().zip(&ids) {
        base.save(&patient("p")).await;
        let status = base.status(id).await;
        assert_eq!((status.status.as_str(), status.count), ("active", 1));
    }
}

#[tokio::test]
async fn the_channel_extension_overrides_the_core_code() {
    verifies!("RQ-SB-09", "RQ-CF-12");
    let server = Server::start().await;
    let url =
        "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-channel-type";
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        let with_code = |system: &str, code: &str| {
            let mut asked = Subscribe::websocket(TOPIC).json(base.version);
            set(&mut asked, "/channel/type", "rest-hook");
            let coding = json!({"system": system, "code": code});
            let extension = json!([{"url": url, "valueCoding": coding}]);
            set(&mut asked, "/channel/_type", json!({"extension": extension}));
            asked
        };
        let core = "http://terminology.hl7.org/CodeSystem/subscription-channel-type";
        let created = base.create(&with_code(core, "websocket")).await;
        assert_eq!(created["status"], "active", "{created}");
        base.token(&[created["id"].as_str().expect("an id")]).await;
        let zulip = with_code("http://x.test/channels", "zulip");
        base.post("Subscription", &zulip).await.refused_as(422, "not-supported");
    }
}

#[tokio::test]
async fn accepted_topics_are_advertised_in_the_form_that_was_accepted() {
    verifies!("RQ-OP-61", "RQ-OP-60", "RQ-CF-05");
    let server = Server::start().await;
    let base = server.base(Version::R4);
    let advertised = crate::capability::advertised_topics(&base).await;
    assert!(advertised.iter().any(|one| one.starts_with(TOPIC)), "{advertised:?}");
    for canonical in &advertised {
        let created = base.create(&Subscribe::websocket(canonical).json(Version::R4)).await;
        assert_eq!(created["criteria"], canonical.as_str());
    }
}
