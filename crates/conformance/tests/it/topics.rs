//! Topics as resources: from the folder, by REST, changed, retired and gone.

use cresset_conformance::{
    Client, Filter, Options, Server, Subscribe, Version, encounter, patient, set, verifies,
};
use serde_json::{Value, json};

use crate::topic_forms::{path, topic, url};

/// Every new patient.
fn patient_created() -> Value {
    json!({"resourceTrigger": [{"resource": "Patient", "supportedInteraction": ["create"]}]})
}

async fn count_of(base: &Client, subscription: &str) -> u64 {
    base.status(subscription).await.count
}

#[tokio::test]
async fn topics_of_the_folder_are_for_all_bases_and_those_of_its_subfolders_for_one() {
    verifies!("RQ-CF-01", "RQ-TP-04", "RQ-TP-01");
    let server = Server::start().await;
    for base in server.bases() {
        for id in ["encounter-start", "observation-created", "patient-any", "visit-or-finding"] {
            let stored = base.read(&path(base.version, id)).await;
            assert_eq!(stored["id"], id, "{stored}");
            let topic = format!("http://cresset.test/topics/{id}");
            base.subscribe(&Subscribe::websocket(&topic)).await;
        }
        let only = Subscribe::websocket("http://cresset.test/topics/only-in-r5");
        let reply = base.post("Subscription", &only.json(base.version)).await;
        match base.version {
            Version::R5 => drop(reply.expect(201)),
            Version::R4 | Version::R4B => drop(reply.refused_as(422, "not-supported")),
        }
    }
}

#[tokio::test]
async fn the_same_topic_fires_alike_in_every_version() {
    verifies!("RQ-TP-04", "RQ-TP-20");
    let server = Server::start().await;
    let mut told = Vec::new();
    for base in server.bases() {
        let subscription = base
            .subscribe(&Subscribe::websocket("http://cresset.test/topics/encounter-start"))
            .await;
        for status in ["planned", "in-progress", "in-progress", "onhold", "in-progress"] {
            // R5 calls it on-hold; any other status does.
            let status = if status == "onhold" { "cancelled" } else { status };
            base.save(&encounter(base.version, "e", status, "p")).await;
        }
        base.save(&encounter(base.version, "f", "in-progress", "p")).await;
        base.remove("Encounter/f").await;
        let events = base.events(&subscription, "").await;
        told.push((events.numbers(), events.foci()));
    }
    let foci = ["Encounter/e", "Encounter/e", "Encounter/f"].map(str::to_owned).to_vec();
    assert_eq!(told, vec![(vec![1, 2, 3], foci); 3]);
}

#[tokio::test]
async fn a_topic_made_by_rest_is_live_at_once_and_after_a_restart() {
    verifies!("RQ-TP-02", "RQ-TP-03", "RQ-NB-43");
    let mut server = Server::start().await;
    let mut subscriptions = Vec::new();
    for base in server.bases() {
        let born = topic(base.version, "born", patient_created());
        base.put(&path(base.version, "born"), &born).await.expect(201);
        let subscription = base.subscribe(&Subscribe::websocket(&url("born"))).await;
        base.create(&patient("x")).await;
        assert_eq!(count_of(&base, &subscription).await, 1);
        subscriptions.push(subscription);
    }
    server.restart().await;
    for (base, subscription) in server.bases().iter().zip(&subscriptions) {
        assert_eq!(count_of(base, subscription).await, 1);
        base.create(&patient("x")).await;
        assert_eq!(count_of(base, subscription).await, 2);
        base.subscribe(&Subscribe::websocket(&url("born"))).await;
        let read = base.read(&path(base.version, "born")).await;
        assert_eq!(read["meta"]["versionId"], "1", "{read}");
    }
}

#[tokio::test]
async fn a_changed_topic_takes_its_subscriptions_along() {
    let server = Server::start().await;
    for base in server.bases() {
        let version = base.version;
        base.save(&topic(version, "moving", patient_created())).await;
        let subscription = base.subscribe(&Subscribe::websocket(&url("moving"))).await;
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        assert_eq!(count_of(&base, &subscription).await, 1);
        let updates = json!({"resourceTrigger": [{"resource": "Patient", "supportedInteraction": ["update"]}]});
        base.save(&topic(version, "moving", updates)).await;
        base.save(&patient("p")).await;
        assert_eq!(count_of(&base, &subscription).await, 2);
        base.save(&patient("q")).await;
        assert_eq!(count_of(&base, &subscription).await, 2);
        assert_eq!(base.status(&subscription).await.status, "active");
    }
}

#[tokio::test]
async fn a_deleted_topic_ends_its_subscriptions_with_the_reason() {
    verifies!("RQ-TP-05", "RQ-SB-30");
    let mut server = Server::start().await;
    let mut subscriptions = Vec::new();
    for base in server.bases() {
        let version = base.version;
        base.save(&topic(version, "gone", patient_created())).await;
        let subscribe = Subscribe::websocket(&url("gone"));
        let subscription = base.subscribe(&subscribe).await;
        base.save(&patient("p")).await;
        base.remove(&path(version, "gone")).await;
        base.post("Subscription", &subscribe.json(version)).await.refused_as(422, "not-supported");
        let status = base.wait_for_status(&subscription, "error").await;
        assert!(!status.errors.is_empty(), "{status:?}");
        base.save(&patient("q")).await;
        assert_eq!(count_of(&base, &subscription).await, 1);
        subscriptions.push(subscription);
    }
    server.restart().await;
    for (base, subscription) in server.bases().iter().zip(&subscriptions) {
        let status = base.status(subscription).await;
        assert_eq!((status.status.as_str(), status.count), ("error", 1));
        // The topic comes back, and the client asks for the subscription again.
        base.save(&topic(base.version, "gone", patient_created())).await;
        base.save(&Subscribe::websocket(&url("gone")).id(subscription).json(base.version)).await;
        base.save(&patient("r")).await;
        let status = base.wait_for_status(subscription, "active").await;
        assert_eq!(status.count, 2, "{status:?}");
    }
}

#[tokio::test]
async fn only_active_topics_take_subscriptions() {
    let server = Server::start().await;
    let lenient = Server::start_with(Options::default().set("topics.accept-draft", true)).await;
    for (server, draft) in [(&server, 422), (&lenient, 201)] {
        for base in server.bases() {
            let version = base.version;
            let with_status = |status: &str| {
                let mut members = patient_created();
                set(&mut members, "/status", status);
                topic(version, "t", members)
            };
            let subscribe = Subscribe::websocket(&url("t")).json(version);
            base.save(&with_status("draft")).await;
            let reply = base.post("Subscription", &subscribe).await;
            assert_eq!(reply.status, draft, "{reply}");
            base.save(&with_status("active")).await;
            let kept = base.create(&subscribe).await["id"].as_str().expect("an id").to_owned();
            base.save(&with_status("retired")).await;
            base.post("Subscription", &subscribe).await.refused_as(422, "not-supported");
            base.create(&patient("x")).await;
            assert_eq!(count_of(&base, &kept).await, 1, "a retired topic keeps what it has");
        }
    }
}

#[tokio::test]
async fn a_version_behind_the_canonical_is_exact_and_none_means_the_newest() {
    verifies!("RQ-TP-05");
    let server = Server::start().await;
    for base in server.bases() {
        let version = base.version;
        let versioned = |id: &str, number: &str, interaction: &str| {
            let members = json!({
                "url": url("versioned"),
                "version": number,
                "resourceTrigger": [{"resource": "Patient", "supportedInteraction": [interaction]}],
            });
            topic(version, id, members)
        };
        base.save(&versioned("v1", "1.9.0", "create")).await;
        base.save(&versioned("v2", "1.10.0", "delete")).await;
        let canonical = url("versioned");
        let subscribe = async |end: &str| {
            base.subscribe(&Subscribe::websocket(&format!("{canonical}{end}"))).await
        };
        let (old, new, any) =
            (subscribe("|1.9.0").await, subscribe("|1.10.0").await, subscribe("").await);
        let none = Subscribe::websocket(&format!("{canonical}|2.0.0")).json(version);
        base.post("Subscription", &none).await.refused_as(422, "not-supported");
        base.save(&patient("p")).await;
        let counts = async || {
            (count_of(&base, &old).await, count_of(&base, &new).await, count_of(&base, &any).await)
        };
        assert_eq!(counts().await, (1, 0, 0), "{version}");
        base.remove("Patient/p").await;
        assert_eq!(counts().await, (1, 1, 1), "{version}");
    }
}

#[tokio::test]
async fn a_topic_that_cannot_be_evaluated_is_refused_and_not_stored() {
    verifies!("RQ-TP-06", "RQ-TP-21");
    let server = Server::start().await;
    let trigger = |criteria: Value| json!({"resourceTrigger": [{"resource": "Patient", "queryCriteria": criteria}]});
    let cases = [
        ("no trigger", json!({})),
        ("an unknown type", json!({"resourceTrigger": [{"resource": "Nothing"}]})),
        ("a type that is a status", json!({"resourceTrigger": [{"resource": "Parameters"}]})),
        (
            "an unknown interaction",
            json!({"resourceTrigger": [{"resource": "Patient", "supportedInteraction": ["patch"]}]}),
        ),
        ("an unknown parameter", trigger(json!({"current": "nonsense=1"}))),
        ("a parameter of another type", trigger(json!({"current": "value-quantity=1"}))),
        ("an unknown modifier", trigger(json!({"current": "gender:nonsense=male"}))),
        ("a modifier of another kind", trigger(json!({"current": "birthdate:exact=2000"}))),
        ("a date that is none", trigger(json!({"previous": "birthdate=soon"}))),
        ("an empty value", trigger(json!({"current": "gender="}))),
        ("criteria without a test", trigger(json!({"requireBoth": true}))),
        (
            "an unknown result",
            trigger(json!({"current": "gender=male", "resultForCreate": "passes"})),
        ),
        (
            "an event trigger of an unknown type",
            json!({"eventTrigger": [{
                "event": {"coding": [{"system": "http://x.test", "code": "A01"}]},
                "resource": "Nothing",
            }]}),
        ),
        ("no status", json!({"status": null, "resourceTrigger": [{"resource": "Patient"}]})),
        ("no url", json!({"url": null, "resourceTrigger": [{"resource": "Patient"}]})),
    ];
    for base in server.bases() {
        for (what, members) in &cases {
            let mut bad = topic(base.version, "bad", json!({}));
            if !members.as_object().expect("members").values().any(Value::is_null) {
                bad = topic(base.version, "bad", members.clone());
            } else if base.version == Version::R4 {
                continue;
            } else {
                for (name, value) in members.as_object().expect("members") {
                    set(&mut bad, &format!("/{name}"), value.clone());
                }
            }
            let reply = base.put(&path(base.version, "bad"), &bad).await;
            assert_eq!(reply.status, 422, "{what}: {reply}");
            let outcome = reply.refused(422);
            assert!(
                outcome.issues.iter().all(|issue| !issue.expression.is_empty()),
                "{what}: {reply}"
            );
            base.get(&path(base.version, "bad")).await.refused(404);
        }
        let good = topic(base.version, "bad", patient_created());
        base.put(&path(base.version, "bad"), &good).await.expect(201);
        base.put(&path(base.version, "bad"), &topic(base.version, "bad", json!({})))
            .await
            .refused(422);
        let subscription = base.subscribe(&Subscribe::websocket(&url("bad"))).await;
        base.create(&patient("x")).await;
        assert_eq!(count_of(&base, &subscription).await, 1, "the good version is in force");
    }
}

#[tokio::test]
async fn a_filter_goes_by_code_common_parameter_label_or_canonical() {
    verifies!("RQ-TP-50", "RQ-TP-51", "RQ-TP-53");
    let server = Server::start().await;
    let gender = "http://hl7.org/fhir/SearchParameter/individual-gender";
    let members = json!({
        "resourceTrigger": [{"resource": "Patient"}],
        "canFilterBy": [
            {"resource": "Patient", "filterParameter": "gender", "filterDefinition": gender},
            {"resource": "Patient", "filterParameter": "_id"},
            {"resource": "Patient", "filterParameter": "hub.sex", "filterDefinition": gender},
            {"resource": "Patient", "filterParameter": gender, "filterDefinition": gender},
            {"resource": "Resource", "filterParameter": "_tag"},
        ],
    });
    for base in server.bases() {
        base.save(&topic(base.version, "filters", members.clone())).await;
        let mut subscriptions = Vec::new();
        for (parameter, value) in [
            ("gender", "female"),
            ("_id", "wanted"),
            ("hub.sex", "female"),
            (gender, "female"),
            ("_tag", "http://x.test|marked"),
        ] {
            let filter = Filter::new(parameter, value);
            let subscribe = Subscribe::websocket(&url("filters")).filter(filter);
            subscriptions.push((parameter, base.subscribe(&subscribe).await));
        }
        let mut wanted = patient("wanted");
        set(&mut wanted, "/gender", "female");
        set(&mut wanted, "/meta", json!({"tag": [{"system": "http://x.test", "code": "marked"}]}));
        base.save(&wanted).await;
        let mut other = patient("other");
        set(&mut other, "/gender", "male");
        base.save(&other).await;
        for (parameter, subscription) in subscriptions {
            let events = base.events(&subscription, "").await;
            assert_eq!(events.foci(), ["Patient/wanted"], "{parameter}");
        }
    }
}

#[tokio::test]
async fn modifiers_that_the_search_parameter_lacks_are_warned_of_and_refused_when_used() {
    verifies!("RQ-TP-52");
    let server = Server::start().await;
    let members = json!({
        "resourceTrigger": [{"resource": "Patient"}],
        "canFilterBy": [{"resource": "Patient", "filterParameter": "birthdate", "modifier": ["exact"]}],
    });
    for base in server.bases() {
        let stored = topic(base.version, "illegal", members.clone());
        let put = base.request(reqwest::Method::PUT, &path(base.version, "illegal"));
        let reply = put.header("prefer", "return=OperationOutcome").json(&stored).send().await;
        if reply.status == 201 {
            let warned = reply.json()["issue"]
                .as_array()
                .is_some_and(|issues| issues.iter().any(|issue| issue["severity"] == "warning"));
            assert!(warned, "{reply}");
            let filter = Filter::new("birthdate", "2000").modifier("exact");
            let subscribe = Subscribe::websocket(&url("illegal")).filter(filter);
            base.post("Subscription", &subscribe.json(base.version)).await.refused(422);
        } else {
            // R4B has no code for it at all.
            reply.refused(if base.version == Version::R4B { 400 } else { 422 });
        }
    }
}
