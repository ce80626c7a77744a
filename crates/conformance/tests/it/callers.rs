//! Callers: tokens, rights, and subscriptions that belong to those who created them.

use cresset_conformance::{
    Client, Filter, Options, Server, Socket, Subscribe, Version, patient, verifies,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::topic_forms::{path, topic, url};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn options() -> Options {
    Options::default()
        .client("ward", "ward-token-of-the-tests", &["read", "write", "subscribe"])
        .client("other", "other-token-of-the-tests", &["read", "write", "subscribe"])
        .client("reader", "reader-token-of-the-tests", &["read"])
        .client("writer", "writer-token-of-the-tests", &["write"])
        .client("subscriber", "subscriber-token-of-the-tests", &["subscribe"])
        .client("author", "author-token-of-the-tests", &["topics"])
        .client("boss", "boss-token-of-the-tests", &["admin"])
}

/// The same base as one of the clients.
fn as_client(base: &Client, name: &str) -> Client {
    base.with_bearer(&format!("{name}-token-of-the-tests"))
}

#[tokio::test]
async fn without_a_known_token_nothing_is_answered_but_metadata_and_health() {
    verifies!("RQ-SS-01");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        base.get("metadata").await.expect(200);
        let subscription = Subscribe::websocket(TOPIC).json(base.version);
        let batch = json!({"resourceType": "Bundle", "type": "batch"});
        for caller in
            [&base, &base.with_bearer("nonsense"), &base.with_bearer("Ward-token-of-the-tests")]
        {
            for reply in [
                caller.get("Patient/p").await,
                caller.get("Patient").await,
                caller.get("Patient/p/_history").await,
                caller.post("Patient", &patient("p")).await,
                caller.put("Patient/p", &patient("p")).await,
                caller.delete("Patient/p").await,
                caller.post("Subscription", &subscription).await,
                caller.get("Subscription/$status").await,
                caller.get("Subscription/$get-ws-binding-token").await,
                caller.get("Subscription/s/$events").await,
                caller.post("", &batch).await,
            ] {
                reply.refused_as(401, "login");
                assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply}");
            }
        }
        let basic = base.request(Method::GET, "Patient").header("authorization", "Basic d2FyZA==");
        basic.send().await.refused_as(401, "login");
        as_client(&base, "ward").get("Patient").await.expect(200);
        let lower = base
            .request(Method::GET, "Patient")
            .header("authorization", "bearer ward-token-of-the-tests");
        lower.send().await.expect(200);
    }
    let health = format!("{}/health/ready", server.url());
    server.base(Version::R4).get(&health).await.expect(200);
}

#[tokio::test]
async fn each_right_allows_its_own_and_nothing_else() {
    verifies!("RQ-SS-01", "RQ-SB-39");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let v = base.version;
        as_client(&base, "boss").save(&patient("p")).await;
        let trigger = json!({"resourceTrigger": [{"resource": "Patient"}]});
        let topic = topic(v, "t", trigger);
        let topic_path = path(v, "t");
        let subscription = Subscribe::websocket(TOPIC).json(v);
        for (name, [read, write, subscribe, topics]) in [
            ("reader", [true, false, false, false]),
            ("writer", [false, true, false, false]),
            ("subscriber", [false, false, true, false]),
            ("author", [false, false, false, true]),
            ("ward", [true, true, true, false]),
            ("boss", [true, true, true, true]),
        ] {
            let caller = as_client(&base, name);
            as_client(&base, "boss").save(&topic).await;
            let replies = [
                (read, caller.get("Patient/p").await),
                (read, caller.get("Patient").await),
                (read, caller.get("Patient/p/_history").await),
                (read, caller.get("Patient/p/_history/1").await),
                (write, caller.post("Patient", &patient("x")).await),
                (write, caller.put("Patient/x", &patient("x")).await),
                (write, caller.delete("Patient/x").await),
                (subscribe, caller.post("Subscription", &subscription).await),
                (subscribe, caller.get("Subscription").await),
                (subscribe, caller.get("Subscription/$status").await),
                (subscribe, caller.get("Subscription/$get-ws-binding-token").await),
                (topics, caller.put(&topic_path, &topic).await),
                (topics, caller.delete(&topic_path).await),
            ];
            for (allowed, reply) in replies {
                if allowed {
                    assert!(reply.status < 300, "{name}: {reply}");
                } else {
                    assert_eq!(reply.status, 403, "{name}: {reply}");
                    reply.refused_as(403, "forbidden");
                }
            }
            let entry = json!({
                "resource": patient("in-bundle"),
                "request": {"method": "PUT", "url": "Patient/in-bundle"},
            });
            let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
            let reply = caller.post("", &bundle).await;
            assert_eq!(reply.status, if write { 200 } else { 403 }, "{name}: {reply}");
        }
    }
}

#[tokio::test]
async fn questions_about_other_resources_take_the_right_to_read_them() {
    verifies!("RQ-SS-01");
    let server = Server::start_with(options().client(
        "asker",
        "asker-token-of-the-tests",
        &["subscribe", "read"],
    ))
    .await;
    for base in server.bases() {
        let v = base.version;
        let filter = |name: &str| json!({"resource": "Encounter", "filterParameter": name});
        let mut by_group = filter("patient");
        by_group["modifier"] = json!(["in"]);
        let members = json!({
            "resourceTrigger": [{"resource": "Encounter"}],
            "canFilterBy": [filter("patient.gender"), by_group],
        });
        as_client(&base, "boss").save(&topic(v, "asked", members)).await;
        for filter in [
            Filter::new("patient.gender", "female"),
            Filter::new("patient", "Group/nobody-knows").modifier("in"),
        ] {
            let asked = Subscribe::websocket(&url("asked")).filter(filter).json(v);
            let outcome = as_client(&base, "subscriber").post("Subscription", &asked).await;
            let outcome = outcome.refused_as(403, "forbidden");
            assert!(format!("{outcome:?}").contains("'read'"), "{outcome:?}");
        }
        let asked = Subscribe::websocket(&url("asked"))
            .filter(Filter::new("patient.gender", "female"))
            .json(v);
        as_client(&base, "asker").create(&asked).await;
        let expression = "%current.subject.resolve().gender = 'female'";
        let trigger = json!({"resource": "Encounter", "fhirPathCriteria": expression});
        let asking = topic(v, "asking", json!({"resourceTrigger": [trigger]}));
        let refused = as_client(&base, "author").put(&path(v, "asking"), &asking).await;
        refused.refused_as(403, "forbidden");
    }
}

/// What `caller` gets when it asks for the subscription of somebody else.
async fn check_hidden(caller: &Client, id: &str) {
    let subscription = format!("Subscription/{id}");
    for path in [
        subscription.clone(),
        format!("{subscription}/_history"),
        format!("{subscription}/_history/1"),
        format!("{subscription}/$status"),
        format!("{subscription}/$events"),
        format!("{subscription}/$get-ws-binding-token"),
        format!("Subscription/$get-ws-binding-token?id={id}"),
    ] {
        let reply = caller.get(&path).await;
        assert_eq!(reply.status, 404, "{reply}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("hidden"), "{reply}");
    }
    for search in ["Subscription", "Subscription?status=active", &format!("Subscription?_id={id}")]
    {
        let found = caller.read(search).await;
        assert_eq!(found["entry"].as_array().map_or(0, Vec::len), 0, "{found}");
    }
    for query in ["", "?status=active", &format!("?id={id}")] {
        let found = caller.read(&format!("Subscription/$status{query}")).await;
        assert_eq!(found["total"], 0, "{found}");
    }
    caller.delete(&subscription).await.refused(404);
    let takeover = Subscribe::websocket(TOPIC).id(id).json(caller.version);
    let reply = caller.put(&subscription, &takeover).await;
    assert!(matches!(reply.status, 403 | 404 | 409), "{reply}");
    let batch = |method: &str, url: &str| {
        json!({"resourceType": "Bundle", "type": "batch",
            "entry": [{"request": {"method": method, "url": url}}]})
    };
    for url in [subscription.clone(), format!("Subscription?_id={id}")] {
        let answer = caller.post("", &batch("GET", &url)).await.expect(200);
        assert!(!String::from_utf8_lossy(&answer.body).contains("hidden"), "{answer}");
    }
    let answer = caller.post("", &batch("DELETE", &subscription)).await.expect(200).json();
    assert_eq!(answer["entry"][0]["response"]["status"], "404", "{answer}");
}

#[tokio::test]
async fn others_see_nothing_of_a_subscription() {
    verifies!("RQ-SS-07", "RQ-OP-08", "RQ-OP-43", "RQ-SS-01");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let (ward, other) = (as_client(&base, "ward"), as_client(&base, "other"));
        let asked = Subscribe::websocket(TOPIC).header("X-Secret", "hidden").id("mine");
        ward.save(&asked.json(base.version)).await;
        ward.save(&patient("p")).await;
        check_hidden(&other, "mine").await;
        // Its creator and an admin see it whole.
        for caller in [&ward, &as_client(&base, "boss")] {
            let read = caller.read("Subscription/mine").await;
            assert!(read.to_string().contains("hidden"), "{read}");
            assert_eq!(caller.count("mine").await, 1);
            assert_eq!(caller.events("mine", "").await.numbers(), [1]);
            caller.token(&["mine"]).await;
            let found = caller.read("Subscription").await;
            assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
        }
        ward.remove("Subscription/mine").await;
        for path in
            ["Subscription/mine/_history", "Subscription/mine/_history/1", "Subscription/mine"]
        {
            let reply = other.get(path).await;
            assert!(matches!(reply.status, 404 | 410), "{reply}");
            assert!(!String::from_utf8_lossy(&reply.body).contains("hidden"), "{reply}");
        }
        ward.get("Subscription/mine/_history").await.expect(200);
    }
}

#[tokio::test]
async fn a_token_covers_only_the_callers_own_subscriptions() {
    verifies!("RQ-OP-42", "RQ-OP-43");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let (ward, other) = (as_client(&base, "ward"), as_client(&base, "other"));
        ward.save(&Subscribe::websocket(TOPIC).id("of-ward").json(base.version)).await;
        other.save(&Subscribe::websocket(TOPIC).id("of-other").json(base.version)).await;
        for (caller, own, foreign) in
            [(&ward, "of-ward", "of-other"), (&other, "of-other", "of-ward")]
        {
            let token = caller.token(&[]).await;
            assert_eq!(token.subscriptions, [own]);
            let query = format!("Subscription/$get-ws-binding-token?id={own}&id={foreign}");
            caller.get(&query).await.refused(404);
            // The token is all that a socket needs: a browser sends no Authorization.
            let mut socket = Socket::open(base.version, &token.url).await;
            socket.bind(&token).await;
            assert_eq!(socket.next().await.subscription_id(), own);
            ward.save(&patient("p")).await;
            assert_eq!(socket.event().await.subscription_id(), own);
        }
    }
}

#[tokio::test]
async fn an_admins_change_does_not_take_a_subscription_from_its_owner() {
    verifies!("RQ-SS-07");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let (ward, boss) = (as_client(&base, "ward"), as_client(&base, "boss"));
        ward.save(&Subscribe::websocket(TOPIC).id("kept").json(base.version)).await;
        boss.save(&Subscribe::websocket(TOPIC).id("kept").content("empty").json(base.version))
            .await;
        ward.read("Subscription/kept").await;
        check_hidden(&as_client(&base, "other"), "kept").await;
    }
}

#[tokio::test]
async fn a_client_may_have_only_so_many_subscriptions() {
    verifies!("RQ-SS-14");
    let options = options().set("limits.subscriptions-per-client-max", 4);
    let server = Server::start_with(options).await;
    let bases = server.bases();
    // The quota is one for all bases.
    for base in &bases {
        let (ward, other) = (as_client(base, "ward"), as_client(base, "other"));
        let asked: Value = Subscribe::websocket(TOPIC).json(base.version);
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(ward.create(&asked).await["id"].as_str().expect("an id").to_owned());
        }
        for base in &bases {
            let asked = Subscribe::websocket(TOPIC).json(base.version);
            let reply = as_client(base, "ward").post("Subscription", &asked).await;
            assert!(matches!(reply.status, 422 | 429), "{reply}");
            reply.refused(reply.status);
        }
        other.create(&asked).await;
        for id in &ids {
            ward.remove(&format!("Subscription/{id}")).await;
        }
        let again = ward.create(&asked).await;
        ward.remove(&format!("Subscription/{}", again["id"].as_str().expect("an id"))).await;
    }
}

#[tokio::test]
async fn who_may_not_read_gets_no_copies_of_resources() {
    verifies!("RQ-SB-39");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let full = Subscribe::websocket(TOPIC).content("full-resource").json(base.version);
        let reply = as_client(&base, "subscriber").post("Subscription", &full).await;
        reply.refused_as(403, "forbidden");
        as_client(&base, "ward").create(&full).await;
    }
}

#[tokio::test]
async fn the_id_of_a_deleted_subscription_stays_its_owners() {
    verifies!("RQ-SS-07");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let (ward, other) = (as_client(&base, "ward"), as_client(&base, "other"));
        let asked = Subscribe::websocket(TOPIC).id("mine").json(base.version);
        ward.save(&asked).await;
        ward.remove("Subscription/mine").await;
        other.put("Subscription/mine", &asked).await.refused_as(403, "forbidden");
        ward.save(&asked).await;
        other.put("Subscription/mine", &asked).await.refused_as(403, "forbidden");
    }
}

#[tokio::test]
async fn only_who_manages_topics_replaces_or_deletes_one() {
    let server = Server::start_with(options()).await;
    let base = server.base(Version::R4);
    let (author, writer) = (as_client(&base, "author"), as_client(&base, "writer"));
    let trigger = json!({"resourceTrigger": [{"resource": "Patient"}]});
    author.save(&topic(Version::R4, "t", trigger)).await;
    let plain = |id: &str| json!({"resourceType": "Basic", "id": id, "code": {"text": "note"}});
    writer.put("Basic/t", &plain("t")).await.refused_as(403, "forbidden");
    writer.delete("Basic/t").await.refused_as(403, "forbidden");
    let batch = json!({"resourceType": "Bundle", "type": "batch",
        "entry": [{"request": {"method": "DELETE", "url": "Basic/t"}}]});
    let answer = writer.post("", &batch).await.expect(200).json();
    assert_eq!(answer["entry"][0]["response"]["status"], "403", "{answer}");
    writer.save(&plain("n")).await;
    author.delete("Basic/n").await.refused_as(403, "forbidden");
    writer.remove("Basic/n").await;
    author.remove("Basic/t").await;
}
