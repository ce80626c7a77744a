//! Conditions, conditional references and patches in batch and transaction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cresset_conformance::{Client, Server, Subscribe, patient, verifies};
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn identified(value: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": value}]})
}

fn about(reference: &str) -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": reference},
    })
}

fn entry(method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({"request": {"method": method, "url": url}});
    if let Some(resource) = resource {
        entry["resource"] = resource;
    }
    entry
}

fn unless(criteria: &str, full_url: &str, resource: Value) -> Value {
    let mut entry =
        entry("POST", resource["resourceType"].as_str().expect("a type"), Some(resource.clone()));
    entry["fullUrl"] = full_url.into();
    entry["request"]["ifNoneExist"] = criteria.into();
    entry
}

fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

fn statuses(answer: &Value) -> Vec<&str> {
    let entries = answer["entry"].as_array().expect("entries").iter();
    entries.map(|entry| entry["response"]["status"].as_str().expect("a status")).collect()
}

/// What an entry's answer says of where the resource is, as `Type/id`.
fn located(answer: &Value, index: usize) -> String {
    let location = answer["entry"][index]["response"]["location"].as_str().expect("a location");
    location.split("/_history").next().expect("a resource").to_owned()
}

async fn transact(base: &Client, entries: Vec<Value>) -> Value {
    base.post("", &bundle("transaction", entries)).await.expect(200).json()
}

#[tokio::test]
async fn a_conditional_create_in_a_transaction_makes_one_and_is_referred_to() {
    verifies!("RQ-TP-35");
    let server = Server::start().await;
    for base in server.bases() {
        let subscription = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let entries = || {
            vec![
                unless(
                    "identifier=urn:mrn|1",
                    "urn:uuid:0d5f6e2c-6b3b-4a8e-9a0e-2f1f6d1f0001",
                    identified("1"),
                ),
                entry(
                    "POST",
                    "Observation",
                    Some(about("urn:uuid:0d5f6e2c-6b3b-4a8e-9a0e-2f1f6d1f0001")),
                ),
                entry("POST", "Observation", Some(about("Patient?identifier=urn:mrn|1"))),
            ]
        };
        let first = transact(&base, entries()).await;
        assert_eq!(statuses(&first), ["201", "201", "201"], "{first}");
        let second = transact(&base, entries()).await;
        assert_eq!(statuses(&second), ["200", "201", "201"], "{second}");
        let patient = located(&first, 0);
        assert_eq!(located(&second, 0), patient);
        for (answer, index) in [(&first, 1), (&first, 2), (&second, 1), (&second, 2)] {
            let observation = base.read(&located(answer, index)).await;
            assert_eq!(observation["subject"]["reference"], patient.as_str(), "{observation}");
        }
        assert_eq!(base.count(&subscription).await, 1);
    }
}

#[tokio::test]
async fn what_fails_a_transaction_names_its_entry_and_nothing_happens() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("there")).await;
        base.create(&identified("twice")).await;
        base.create(&identified("twice")).await;
        let good = || entry("PUT", "Patient/new", Some(patient("new")));
        let mut stale = entry("PUT", "Patient/there", Some(patient("there")));
        stale["request"]["ifMatch"] = json!("W/\"7\"");
        let same = "identifier=urn:mrn|new";
        for (entries, status, place) in [
            (vec![good(), stale], 412, "Bundle.entry[1]"),
            (
                vec![
                    good(),
                    entry("POST", "Observation", Some(about("Patient?identifier=urn:mrn|none"))),
                ],
                412,
                "Bundle.entry[1]",
            ),
            (
                vec![
                    good(),
                    entry("POST", "Observation", Some(about("Patient?identifier=urn:mrn|twice"))),
                ],
                412,
                "Bundle.entry[1]",
            ),
            (
                vec![good(), unless("identifier=urn:mrn|twice", "urn:uuid:1", identified("twice"))],
                412,
                "Bundle.entry[1]",
            ),
            (vec![good(), good()], 400, "Bundle.entry[1]"),
            (
                vec![
                    good(),
                    entry("PATCH", "Patient/new", Some(json!({"resourceType": "Parameters"}))),
                ],
                400,
                "Bundle.entry[1]",
            ),
            (
                vec![
                    unless(same, "urn:uuid:1", identified("new")),
                    unless(same, "urn:uuid:2", identified("new")),
                ],
                400,
                "Bundle.entry[1]",
            ),
            (
                vec![good(), entry("POST", "Patient/x/y", Some(patient("x")))],
                422,
                "Bundle.entry[1]",
            ),
        ] {
            let reply = base.post("", &bundle("transaction", entries)).await;
            reply.refused_at(status, place);
            base.get("Patient/new").await.refused(404);
        }
    }
}

#[tokio::test]
async fn updates_deletes_and_patches_by_condition_work_in_both() {
    let server = Server::start().await;
    for base in server.bases() {
        for kind in ["batch", "transaction"] {
            for number in ["1", "2", "3", "4"] {
                base.create(&identified(&format!("{kind}-{number}"))).await;
            }
            let url = |number: &str| format!("Patient?identifier=urn:mrn|{kind}-{number}");
            let operations = json!([{"op": "add", "path": "/active", "value": true}]).to_string();
            let binary = json!({
                "resourceType": "Binary",
                "contentType": "application/json-patch+json",
                "data": STANDARD.encode(operations),
            });
            let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
                {"name": "type", "valueCode": "delete"},
                {"name": "path", "valueString": "Patient.identifier"},
            ]}]});
            let mut updated = identified(&format!("{kind}-1"));
            updated["active"] = json!(false);
            let mut known = entry("GET", "Patient/known", None);
            base.save(&patient("known")).await;
            let version = base.read("Patient/known").await["meta"]["versionId"].clone();
            known["request"]["ifNoneMatch"] = format!("W/{version}").into();
            let entries = vec![
                entry("GET", &url("3"), None),
                entry("PUT", &url("1"), Some(updated)),
                entry("PATCH", &url("2"), Some(binary)),
                entry("PATCH", &url("4"), Some(parameters)),
                entry("DELETE", &url("3"), None),
                known,
                entry("HEAD", "Patient/known", None),
            ];
            let answer = base.post("", &bundle(kind, entries)).await.expect(200).json();
            assert_eq!(
                statuses(&answer),
                ["200", "200", "200", "200", "204", "304", "200"],
                "{answer}"
            );
            // Reads come last.
            assert_eq!(answer["entry"][0]["resource"]["total"], 0, "{answer}");
            assert_eq!(base.read(&located(&answer, 1)).await["active"], false);
            assert_eq!(base.read(&located(&answer, 2)).await["active"], true);
            assert_eq!(base.read(&located(&answer, 3)).await.get("identifier"), None);
            assert_eq!(answer["entry"][6].get("resource"), None, "{answer}");
        }
    }
}

#[tokio::test]
async fn entries_are_answered_in_the_form_that_is_preferred() {
    let server = Server::start().await;
    for base in server.bases() {
        let body = bundle("transaction", vec![entry("PUT", "Patient/p", Some(patient("p")))]);
        let ask = |prefer: &str| {
            base.request(reqwest::Method::POST, "").json(&body).header("prefer", prefer).send()
        };
        let answer = ask("return=representation").await.expect(200).json();
        assert_eq!(answer["entry"][0]["resource"]["id"], "p", "{answer}");
        let answer = ask("return=OperationOutcome").await.expect(200).json();
        let outcome = &answer["entry"][0]["response"]["outcome"];
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{answer}");
        let answer = ask("return=minimal").await.expect(200).json();
        assert_eq!(answer["entry"][0].get("resource"), None, "{answer}");
    }
}

#[tokio::test]
async fn a_transaction_of_twenty_thousand_entries_is_refused() {
    let server = Server::start().await;
    let base = server.base(cresset_conformance::Version::R4);
    for count in [10_001, 20_001] {
        let entries =
            vec![entry("POST", "Patient", Some(json!({"resourceType": "Patient"}))); count];
        let reply = base.post("", &bundle("transaction", entries)).await;
        assert!(matches!(reply.status, 400 | 413), "{}", reply.status);
    }
    assert!(base.read("Patient/_history").await.get("entry").is_none());
}
