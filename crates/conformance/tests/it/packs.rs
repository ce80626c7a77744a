//! The packs of published topics: each topic takes subscriptions and is fired by an example.

use cresset_conformance::{
    Client, Filter, Options, Server, Subscribe, Version, encounter, observation, patient, set,
    verifies,
};
use serde_json::{Value, json};

const PACKS: [&str; 5] = ["backport", "davinci-pas", "gematik-isik", "hl7-r5", "us-core"];

/// The changes that fire a topic once, after some that do not; a `null` deletes what came before.
struct Example {
    version: Version,
    topic: &'static str,
    filter: Option<Filter>,
    changes: Vec<Value>,
}

fn claim_response(id: &str, outcome: &str) -> Value {
    json!({
        "resourceType": "ClaimResponse", "id": id, "status": "active", "use": "preauthorization",
        "outcome": outcome, "created": "2026-01-01", "type": {"text": "x"},
        "patient": {"reference": "Patient/p"}, "insurer": {"display": "x"},
    })
}

fn examples() -> Vec<Example> {
    let of_patient = || Some(Filter::new("patient", "Patient/p").of("Encounter"));
    let visit = |version, statuses: [&str; 2]| -> Vec<Value> {
        let other = encounter(version, "other", "cancelled", "p");
        let states = statuses.iter().map(|status| encounter(version, "e", status, "p"));
        std::iter::once(other).chain(states).collect()
    };
    let example = |version, topic, filter, changes| Example { version, topic, filter, changes };
    let mut merged = patient("old");
    set(
        &mut merged,
        "/link",
        json!([{"other": {"reference": "Patient/new"}, "type": "replaced-by"}]),
    );
    let of_type = |id: &str| Some(Filter::new("_id", id).of("Patient"));
    let (r4, r4b, r5) = (Version::R4, Version::R4B, Version::R5);
    vec![
        example(
            r4,
            "http://hl7.org/fhir/uv/subscriptions-backport/SubscriptionTopic/r4-encounter-complete",
            None,
            visit(r4, ["planned", "finished"]),
        ),
        example(
            r4b,
            "http://hl7.org/fhir/uv/subscriptions-backport/SubscriptionTopic/r4b-encounter-complete",
            None,
            visit(r4b, ["planned", "finished"]),
        ),
        example(
            r4,
            "http://hl7.org/SubscriptionTopic/admission",
            of_patient(),
            visit(r4, ["planned", "in-progress"]),
        ),
        example(
            r4b,
            "http://hl7.org/SubscriptionTopic/admission",
            of_patient(),
            visit(r4b, ["planned", "in-progress"]),
        ),
        example(
            r4b,
            "http://example.org/FHIR/R4B/SubscriptionTopic/admission",
            of_patient(),
            visit(r4b, ["planned", "in-progress"]),
        ),
        example(
            r5,
            "http://example.org/FHIR/R5/SubscriptionTopic/admission",
            of_patient(),
            visit(r5, ["planned", "in-progress"]),
        ),
        example(
            r5,
            "http://example.org/FHIR/R5/SubscriptionTopic/example",
            None,
            visit(r5, ["planned", "completed"]),
        ),
        example(
            r4,
            "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed",
            of_patient(),
            vec![encounter(r4, "other", "planned", "q"), encounter(r4, "e", "planned", "p")],
        ),
        example(
            r4,
            "https://gematik.de/fhir/isik/SubscriptionTopic/patient-merge",
            of_type("old"),
            vec![patient("new"), patient("old"), merged.clone(), merged],
        ),
        example(
            r4,
            "http://hl7.org/fhir/us/davinci-pas/SubscriptionTopic/PASSubscriptionTopic",
            None,
            vec![
                claim_response("c", "queued"),
                claim_response("c", "complete"),
                claim_response("c", "complete"),
            ],
        ),
    ]
}

async fn fires(base: &Client, example: &Example) {
    let subscribe = Subscribe::websocket(example.topic);
    let subscribe = match &example.filter {
        Some(filter) => subscribe.filter(filter.clone()),
        None => subscribe,
    };
    let subscription = base.subscribe(&subscribe).await;
    for change in &example.changes {
        base.save(change).await;
    }
    assert_eq!(base.count(&subscription).await, 1, "{}", example.topic);
    for change in &example.changes {
        let (resource_type, id) = (&change["resourceType"], &change["id"]);
        let path =
            format!("{}/{}", resource_type.as_str().expect("a type"), id.as_str().expect("an id"));
        base.delete(&path).await;
    }
}

#[tokio::test]
async fn each_topic_of_each_pack_is_fired_by_an_example() {
    let packs: Vec<&str> = PACKS.to_vec();
    let server = Server::start_with(Options::default().set("topics.packs", packs)).await;
    for example in examples() {
        fires(&server.base(example.version), &example).await;
    }
    let log = server.log();
    assert!(!log.contains("a topic was left out"), "{log}");
    let without = Server::start().await;
    let refused = Subscribe::websocket("http://hl7.org/SubscriptionTopic/admission");
    let base = without.base(Version::R4);
    base.post("Subscription", &refused.json(Version::R4)).await.refused_as(422, "not-supported");
}

#[tokio::test]
async fn the_filter_in_of_the_encounter_topics_is_about_the_subject() {
    verifies!("RQ-FL-12", "RQ-TP-51");
    const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/SubscriptionTopic";
    let packs = vec!["backport", "hl7-r5"];
    let server = Server::start_with(Options::default().set("topics.packs", packs)).await;
    for base in server.bases() {
        let v = base.version;
        let (topic, last) = match v {
            Version::R4 => (format!("{GUIDE}/r4-encounter-complete"), "finished"),
            Version::R4B => (format!("{GUIDE}/r4b-encounter-complete"), "finished"),
            Version::R5 => {
                ("http://example.org/FHIR/R5/SubscriptionTopic/example".to_owned(), "completed")
            }
        };
        let mut group = json!({
            "resourceType": "Group", "id": "g", "type": "person",
            "member": [{"entity": {"reference": "Patient/p"}}],
        });
        match v {
            Version::R4 | Version::R4B => set(&mut group, "/actual", json!(true)),
            Version::R5 => set(&mut group, "/membership", json!("enumerated")),
        }
        for resource in [patient("p"), patient("q"), group] {
            base.save(&resource).await;
        }
        let asked = Subscribe::websocket(&topic).filter(Filter::new("_in", "Group/g"));
        let id = base.subscribe(&asked).await;
        for (visit, subject) in [("of-q", "q"), ("of-p", "p")] {
            for status in ["planned", last] {
                base.save(&encounter(v, visit, status, subject)).await;
            }
        }
        assert_eq!(base.events(&id, "").await.foci(), ["Encounter/of-p"], "{topic}");
    }
}

#[tokio::test]
async fn an_identifier_without_its_modifier_is_refused_where_a_reference_is_asked_for() {
    verifies!(R4: "RQ-FL-11");
    const PAS: &str = "http://hl7.org/fhir/us/davinci-pas/SubscriptionTopic/PASSubscriptionTopic";
    let packs = vec!["davinci-pas"];
    let server = Server::start_with(Options::default().set("topics.packs", packs)).await;
    let base = server.base(Version::R4);
    let filter = || Filter::new("orgIdentifier", "http://npi.test|1234");
    let asked = |filter| Subscribe::websocket(PAS).filter(filter).json(Version::R4);
    let refused = base.post("Subscription", &asked(filter())).await;
    let outcome = format!("{:?}", refused.refused(422));
    assert!(outcome.contains("the modifier `identifier`"), "{outcome}");
    base.create(&asked(filter().modifier("identifier"))).await;
}

const FEED: &str = "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed";

/// A subscription to the feed with these strings as its filters.
fn to_feed(strings: &[&str]) -> Value {
    const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
    let mut asked = Subscribe::websocket(FEED).json(Version::R4);
    let extension = |text: &&str| json!({"url": format!("{GUIDE}/backport-filter-criteria"), "valueString": text});
    if !strings.is_empty() {
        let extensions: Vec<Value> = strings.iter().map(extension).collect();
        set(&mut asked, "/_criteria", json!({"extension": extensions}));
    }
    asked
}

#[tokio::test]
async fn filters_of_the_feed_of_us_core_choose_the_types_and_the_kind_of_event() {
    verifies!(R4: "RQ-FL-07");
    let server = Server::start_with(Options::default().set("topics.packs", vec!["us-core"])).await;
    let base = server.base(Version::R4);
    let cases: [(&[&str], &[&str]); 8] = [
        (&[], &["Encounter/e", "Encounter/of-q", "Observation/o", "Condition/c"]),
        (&["patient=Patient/p"], &["Encounter/e", "Observation/o", "Condition/c"]),
        (&["Encounter?patient=Patient/p"], &["Encounter/e"]),
        (&["Encounter?patient=p&trigger=feed-event"], &["Encounter/e"]),
        (&["Encounter?trigger=feed-event"], &["Encounter/e", "Encounter/of-q"]),
        (
            &[
                "Encounter?patient=p&trigger=feed-event",
                "Observation?patient=p&category=vital-signs",
            ],
            &["Encounter/e", "Observation/o"],
        ),
        (&["Observation?patient=p&category=laboratory"], &[]),
        (
            &["patient=Patient/p", "Observation.category=laboratory"],
            &["Encounter/e", "Condition/c"],
        ),
    ];
    let mut ids = Vec::new();
    for (strings, _) in cases {
        let created = base.create(&to_feed(strings)).await;
        ids.push(created["id"].as_str().expect("an id").to_owned());
    }
    base.save(&encounter(Version::R4, "e", "planned", "p")).await;
    base.save(&encounter(Version::R4, "of-q", "planned", "q")).await;
    base.save(&observation("o", "p", 70.0)).await;
    let subject = json!({"reference": "Patient/p"});
    base.save(&json!({"resourceType": "Condition", "id": "c", "subject": subject})).await;
    for ((strings, wanted), id) in cases.iter().zip(&ids) {
        let told = base.events(id, "").await;
        assert_eq!(told.foci(), *wanted, "{strings:?}");
        let codes = told.json.to_string().matches("\"feed-event\"").count();
        assert_eq!(codes, wanted.len(), "each event says of what kind it is: {}", told.json);
    }
    for refused in ["Encounter?trigger=update", "Encounter?patient=p&trigger=feed-event,update"] {
        let reply = base.post("Subscription", &to_feed(&[refused])).await;
        let outcome = reply.refused_at(422, "Subscription.criteria");
        let text = format!("{outcome:?}");
        assert!(text.contains("feed-event") && !text.contains("update"), "{text}");
    }
    let explained = format!("Subscription/{}/$explain?focus=Observation/o", ids[2]);
    let explained = base.read(&explained).await.to_string();
    assert!(explained.contains("choose other types"), "{explained}");
}
