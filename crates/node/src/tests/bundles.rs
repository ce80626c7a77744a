//! Transactions whose entries overlap, and answers that would hold too much.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::ENTRIES_MAX;
use serde_json::{Value, json};

use super::fixture::{Fixture, admin, encounter, topic};
use crate::{Error, Kind, Representation, SearchIndex};

const CRITERIA: &str = "identifier=urn:mrn|1";

fn fixture() -> Fixture {
    Fixture::configured(|config| {
        config.search.index = SearchIndex::Listed(vec!["identifier".to_owned()]);
    })
}

fn patient(value: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": value}]})
}

fn create(resource: &Value, criteria: Option<&str>) -> Value {
    let mut request = json!({"method": "POST", "url": resource["resourceType"]});
    if let Some(criteria) = criteria {
        request["ifNoneExist"] = json!(criteria);
    }
    json!({"resource": resource, "request": request})
}

fn request(method: &str, url: &str) -> Value {
    json!({"request": {"method": method, "url": url}})
}

async fn send(fixture: &Fixture, kind: &str, entries: &[Value]) -> Result<Value, Error> {
    let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
    let bytes = Bytes::from(bundle.to_string());
    let full = Representation::Full;
    let answer = fixture.node.bundle(&admin(), FhirVersion::R4, bytes, full).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

#[tokio::test]
async fn a_transaction_does_not_delete_what_another_entry_finds() {
    let fixture = fixture();
    let mut stored = patient("1");
    stored["id"] = json!("k");
    fixture.put(&stored).await.unwrap();
    for delete in ["Patient/k", "Patient?identifier=urn:mrn|1"] {
        let entries = [request("DELETE", delete), create(&patient("1"), Some(CRITERIA))];
        let error = send(&fixture, "transaction", &entries).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{delete}");
    }
    let found = send(&fixture, "transaction", &[create(&patient("1"), Some(CRITERIA))]).await;
    assert_eq!(found.unwrap()["entry"][0]["response"]["etag"], "W/\"1\"");
}

#[tokio::test]
async fn a_condition_that_found_nothing_is_met_by_its_own_entry_only() {
    let fixture = fixture();
    let conditional = create(&patient("1"), Some(CRITERIA));
    for other in [
        create(&patient("1"), Some("identifier=urn:mrn%7C1")),
        create(&patient("1"), Some("identifier=urn:mrn|1&_format=json")),
        create(&patient("1"), None),
    ] {
        let entries = [conditional.clone(), other.clone()];
        let error = send(&fixture, "transaction", &entries).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{other}");
    }
    // The id in the body of a create is not the one that it gets.
    let mut named = patient("2");
    named["id"] = json!("x");
    let entries = [create(&patient("1"), Some("_id=x")), create(&named, None)];
    send(&fixture, "transaction", &entries).await.unwrap();
}

#[tokio::test]
async fn a_bundle_of_too_many_entries_is_too_large_however_many_they_are() {
    let fixture = fixture();
    let max = fixture.node.shared.config.limits.bundle_entries_max;
    for kind in ["batch", "transaction"] {
        for count in [max + 1, ENTRIES_MAX + 1] {
            let entries = vec![request("DELETE", "Patient/nobody"); count];
            let error = send(&fixture, kind, &entries).await.unwrap_err();
            assert_eq!(error.kind(), Kind::TooLarge, "{kind} of {count}");
        }
    }
    let entries = vec![request("GET", "Patient/nobody"); max];
    send(&fixture, "batch", &entries).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_full_takes_no_further_resource() {
    let fixture = fixture();
    let size = 9 * 1024 * 1024;
    let large = json!({"resourceType": "Binary", "id": "b", "contentType": "text/plain",
        "data": "AAAA".repeat(size / 4)});
    fixture.put(&large).await.unwrap();
    let mut entries = vec![request("GET", "Binary/b"); 10];
    for kind in ["batch", "transaction"] {
        let answer = send(&fixture, kind, &entries).await.unwrap();
        let status = |entry: &Value| entry["response"]["status"].as_str().unwrap()[..3].to_owned();
        let statuses: Vec<_> = answer["entry"].as_array().unwrap().iter().map(status).collect();
        // Eight are more than 64 MiB.
        assert_eq!(statuses[..8], ["200"; 8], "{kind}");
        assert_eq!(statuses[8..], ["422"; 2], "{kind}");
    }
    let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Binary.contentType"},
        {"name": "value", "valueCode": "text/html"},
    ]}]});
    let mut patches = Vec::new();
    for number in 0..8 {
        let id = format!("b{number}");
        let mut one = large.clone();
        one["id"] = json!(id);
        fixture.put(&one).await.unwrap();
        let url = format!("Binary/{id}");
        patches.push(json!({"resource": patch, "request": {"method": "PATCH", "url": url}}));
    }
    let error = send(&fixture, "transaction", &patches).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooCostly);
    entries.insert(0, create(&patient("1"), None));
    entries.push(create(&patient("2"), None));
    let answer = send(&fixture, "transaction", &entries).await.unwrap();
    assert_eq!(answer["entry"][0]["resource"]["resourceType"], "Patient");
    assert_eq!(answer["entry"][11]["resource"], Value::Null);
    let issue = &answer["entry"][11]["response"]["outcome"]["issue"][0];
    assert_eq!(issue["code"], "too-costly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_too_many_events_is_refused_alone() {
    let fixture = Fixture::configured(|config| config.limits.write_events_max = 3);
    fixture.put(&topic("any", &[])).await.unwrap();
    let ids = [fixture.subscribe("any", &[]).await, fixture.subscribe("any", &[]).await];
    let puts = |range: std::ops::Range<usize>| -> Vec<Value> {
        let put = |number| {
            let resource = encounter(&format!("e{number}"), "planned", "p");
            let url = format!("Encounter/e{number}");
            json!({"resource": resource, "request": {"method": "PUT", "url": url}})
        };
        range.map(put).collect()
    };
    let error = send(&fixture, "transaction", &puts(0..2)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TooCostly);
    send(&fixture, "transaction", &puts(0..1)).await.unwrap();
    // Many writes at once go into as many groups as they need.
    let answer = send(&fixture, "batch", &puts(1..21)).await.unwrap();
    let entries = answer["entry"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["response"]["status"] == "201"), "{answer}");
    for id in ids {
        let focuses: Vec<_> = fixture.events(&id).await.into_iter().map(|one| one.1).collect();
        let expected: Vec<_> = (0..21).map(|number| format!("Encounter/e{number}")).collect();
        assert_eq!(focuses, expected);
    }
}

#[tokio::test]
async fn a_json_patch_in_a_transaction_may_refer_to_its_entries() {
    let fixture = fixture();
    fixture.put(&encounter("e", "planned", "p")).await.unwrap();
    let patch = |reference: &str| {
        let operations = json!([{"op": "add", "path": "/subject/reference", "value": reference}]);
        let data = STANDARD.encode(operations.to_string());
        let content_type = "application/json-patch+json";
        json!({
            "resource": {"resourceType": "Binary", "contentType": content_type, "data": data},
            "request": {"method": "PATCH", "url": "Encounter/e"},
        })
    };
    let mut created = create(&patient("1"), None);
    let full_url = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a";
    created["fullUrl"] = json!(full_url);
    let answer = send(&fixture, "transaction", &[created, patch(full_url)]).await.unwrap();
    let id = answer["entry"][0]["resource"]["id"].as_str().unwrap();
    let reference = &answer["entry"][1]["resource"]["subject"]["reference"];
    assert_eq!(*reference, format!("Patient/{id}"));
    let conditional = [patch("Patient?identifier=urn:mrn|1")];
    let error = send(&fixture, "transaction", &conditional).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unprocessable);
}
