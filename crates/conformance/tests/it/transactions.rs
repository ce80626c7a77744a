//! Batch and transaction bundles.

use cresset_conformance::{Client, Server, Subscribe, Version, patient, verifies};
use reqwest::Method;
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn entry(method: &str, url: &str, resource: Option<Value>) -> Value {
    let mut entry = json!({"request": {"method": method, "url": url}});
    if let Some(resource) = resource {
        entry["resource"] = resource;
    }
    entry
}

fn bundle(kind: &str, entries: Vec<Value>) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

/// The status of each answer, up to the first blank.
fn statuses(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().expect("entries").iter();
    let status = |entry: &Value| {
        let status = entry["response"]["status"].as_str().expect("a status");
        status.split(' ').next().unwrap_or_default().to_owned()
    };
    entries.map(status).collect()
}

async fn counted(base: &Client) -> String {
    base.subscribe(&Subscribe::websocket(TOPIC).content("full-resource")).await
}

#[tokio::test]
async fn entries_of_a_batch_stand_for_themselves() {
    verifies!("RQ-TP-35");
    let server = Server::start().await;
    for base in server.bases() {
        let subscription = counted(&base).await;
        base.save(&patient("there")).await;
        base.save(&patient("doomed")).await;
        let batch = bundle(
            "batch",
            vec![
                entry("POST", "Patient", Some(patient("ignored"))),
                entry("PUT", "Patient/put", Some(patient("put"))),
                entry("PUT", "Patient/put-wrong", Some(patient("other"))),
                entry("DELETE", "Patient/doomed", None),
                entry("GET", "Patient/there", None),
                entry("GET", "Patient/nobody", None),
                entry("POST", "Nothing", Some(json!({"resourceType": "Nothing"}))),
                entry("GET", "Patient?_id=there", None),
                entry("GET", "Patient/there/*?_type=Patient", None),
            ],
        );
        let answer = base.post("", &batch).await.expect(200).json();
        assert_eq!(answer["type"], "batch-response", "{answer}");
        let wanted = ["201", "201", "400", "204", "200", "404", "404", "200", "200"];
        assert_eq!(statuses(&answer), wanted, "{answer}");
        let created = answer["entry"][0]["response"]["location"].as_str().expect("a location");
        base.get(created).await.expect(200);
        assert_eq!(answer["entry"][1]["response"]["etag"], "W/\"1\"", "{answer}");
        assert!(answer["entry"][1]["response"]["lastModified"].is_string(), "{answer}");
        let outcome = &answer["entry"][2]["response"]["outcome"];
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{answer}");
        assert_eq!(answer["entry"][4]["resource"]["id"], "there", "{answer}");
        for searched in [7, 8] {
            let found = &answer["entry"][searched]["resource"];
            assert_eq!(found["type"], "searchset", "{answer}");
            assert_eq!(found["entry"][0]["resource"]["id"], "there", "{answer}");
        }
        base.get("Patient/doomed").await.refused(410);
        base.get("Patient/put-wrong").await.refused(404);
        // Two before the batch; a create, a create by PUT and a delete in it.
        let events = base.events(&subscription, "").await;
        assert_eq!(events.count, 5, "{}", events.json);
    }
}

#[tokio::test]
async fn a_transaction_rewrites_references_and_gives_an_event_for_each_entry() {
    verifies!("RQ-TP-35", "RQ-NB-41");
    let server = Server::start().await;
    for base in server.bases() {
        let subscription = counted(&base).await;
        let urn = |number: u32| format!("urn:uuid:00000000-0000-4000-8000-00000000000{number}");
        let mut father = entry("POST", "Patient", Some(patient("x")));
        father["fullUrl"] = urn(1).into();
        let mut child = patient("x");
        child["link"] = json!([{"other": {"reference": urn(1)}, "type": "seealso"}]);
        child["text"] = json!({"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">no link</div>"});
        let mut child = entry("POST", "Patient", Some(child));
        child["fullUrl"] = urn(2).into();
        let list = json!({
            "resourceType": "Observation", "id": "both", "status": "final",
            "code": {"text": urn(1)},
            "subject": {"reference": urn(2)},
            "focus": [{"reference": urn(1)}, {"reference": "Patient/elsewhere"}],
        });
        let mut both = entry("PUT", "Observation/both", Some(list));
        both["fullUrl"] = urn(3).into();
        let answer = base.post("", &bundle("transaction", vec![both, father, child])).await;
        let answer = answer.expect(200).json();
        assert_eq!(answer["type"], "transaction-response", "{answer}");
        assert_eq!(statuses(&answer), ["201", "201", "201"], "{answer}");
        let id = |index: usize| {
            let location = answer["entry"][index]["response"]["location"].as_str();
            let location = location.expect("a location").split("/_history").next();
            let (_, id) = location.expect("a part").rsplit_once('/').expect("an id");
            format!("Patient/{id}")
        };
        let both = base.read("Observation/both").await;
        assert_eq!(both["subject"]["reference"], id(2), "{both}");
        assert_eq!(both["code"]["text"], urn(1), "{both}");
        assert_eq!(both["focus"][0]["reference"], id(1), "{both}");
        assert_eq!(both["focus"][1]["reference"], "Patient/elsewhere", "{both}");
        let child = base.read(&id(2)).await;
        assert_eq!(child["link"][0]["other"]["reference"], id(1), "{child}");
        let events = base.events(&subscription, "").await;
        assert_eq!(events.numbers(), [1, 2]);
        assert_eq!(events.foci(), [id(1), id(2)]);
    }
}

#[tokio::test]
async fn a_transaction_happens_whole_or_not_at_all() {
    verifies!("RQ-TP-33");
    let server = Server::start().await;
    for base in server.bases() {
        let subscription = counted(&base).await;
        base.save(&patient("there")).await;
        let mut stale = entry("PUT", "Patient/there", Some(patient("there")));
        stale["request"]["ifMatch"] = "W/\"9\"".into();
        let mut exists = entry("PUT", "Patient/there", Some(patient("there")));
        exists["request"]["ifNoneMatch"] = "*".into();
        let topicless = Subscribe::websocket("http://cresset.test/topics/none").json(base.version);
        for (bad, status) in [
            (entry("PUT", "Patient/a", Some(patient("b"))), 400),
            (entry("POST", "Patient", Some(json!({"resourceType": "Observation"}))), 400),
            (entry("POST", "Nothing", Some(json!({"resourceType": "Nothing"}))), 404),
            (entry("PUT", "Patient/x", None), 400),
            (stale, 412),
            (exists, 412),
            (entry("POST", "Subscription", Some(topicless)), 422),
            (entry("PUT", "Patient/good", Some(patient("good"))), 400),
        ] {
            let good = entry("PUT", "Patient/good", Some(patient("good")));
            let delete = entry("DELETE", "Patient/there", None);
            let unrelated = bad["request"]["url"] != "Patient/there";
            let mut entries = vec![good];
            if unrelated {
                entries.push(delete);
            }
            entries.push(bad.clone());
            let reply = base.post("", &bundle("transaction", entries)).await;
            reply.refused(status);
            base.get("Patient/good").await.refused(404);
            assert_eq!(base.read("Patient/there").await["meta"]["versionId"], "1", "{bad}");
            assert_eq!(base.count(&subscription).await, 1, "{bad}");
        }
    }
}

#[tokio::test]
async fn a_bundle_that_is_none_is_refused() {
    let server = Server::start().await;
    for base in server.bases() {
        base.post("", &bundle("collection", vec![])).await.refused_at(400, "Bundle.type");
        base.post("", &patient("p")).await.refused(400);
        let entry = json!({"resource": patient("p")});
        base.post("", &bundle("transaction", vec![entry])).await.refused_at(400, "request");
        base.post("", &bundle("batch", vec![])).await.refused_at(400, "Bundle.entry");
        let empty = json!({"resourceType": "Bundle", "type": "batch"});
        base.post("", &empty).await.expect(200);
        base.request(Method::POST, "").body("{").send().await.refused(400);
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_names_its_entry_and_undoes_all() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("there")).await;
        let mut stale = entry("PUT", "Patient/there", Some(patient("there")));
        stale["request"]["ifMatch"] = "W/\"7\"".into();
        let entries = vec![entry("PUT", "Patient/new", Some(patient("new"))), stale];
        let reply = base.post("", &bundle("transaction", entries)).await;
        reply.refused_at(412, "Bundle.entry[1]");
        base.get("Patient/new").await.refused(404);
    }
}

#[tokio::test]
async fn a_transaction_of_thousands_of_known_resources_is_one_change() {
    let server = Server::start().await;
    let base = server.base(Version::R5);
    let subscription = base.subscribe(&Subscribe::websocket(TOPIC)).await;
    let put = |number: usize| {
        let id = format!("p{number}");
        entry("PUT", &format!("Patient/{id}"), Some(patient(&id)))
    };
    for round in 1..=2 {
        let all = bundle("transaction", (0..2_500).map(put).collect());
        let answer = base.post("", &all).await.expect(200).json();
        assert_eq!(answer["entry"].as_array().map(Vec::len), Some(2_500));
        assert_eq!(answer["entry"][2_499]["response"]["etag"], format!("W/\"{round}\""));
    }
    assert_eq!(base.count(&subscription).await, 5_000);
}
