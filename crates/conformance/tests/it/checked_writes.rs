//! Validation on write, its levels, and `$validate`.

use cresset_conformance::{Options, Server, patient};
use reqwest::Method;
use serde_json::{Value, json};

/// A Patient with three things wrong, and where.
fn wrong() -> (Value, [&'static str; 3]) {
    let patient = json!({
        "resourceType": "Patient",
        "id": "p",
        "gender": "unheard-of",
        "nonsense": 1,
        "name": [{"family": 7}],
    });
    (patient, ["Patient.gender", "Patient.nonsense", "Patient.name[0].family"])
}

#[tokio::test]
async fn a_write_is_refused_with_all_that_is_wrong_and_where() {
    let server = Server::start().await;
    for base in server.bases() {
        let (patient, elements) = wrong();
        for reply in [base.post("Patient", &patient).await, base.put("Patient/p", &patient).await] {
            for element in elements {
                reply.refused_at(400, element);
            }
        }
        let entry = json!({"resource": patient, "request": {"method": "POST", "url": "Patient"}});
        let bundle = |kind| json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
        let reply = base.post("", &bundle("transaction")).await;
        reply.refused_at(400, "Bundle.entry[0].resource.nonsense");
        let batch = base.post("", &bundle("batch")).await.expect(200).json();
        assert_eq!(batch["entry"][0]["response"]["status"], "400", "{batch}");
        base.get("Patient/p").await.refused(404);
    }
}

#[tokio::test]
async fn a_lenient_server_stores_what_is_wrong_and_warns() {
    let server = Server::start_with(Options::default().set("validation.level", "lenient")).await;
    for base in server.bases() {
        let (patient, _) = wrong();
        let request = base.request(Method::PUT, "Patient/p").json(&patient);
        let told =
            request.header("prefer", "return=OperationOutcome").send().await.expect(201).json();
        let issues = told["issue"].as_array().expect("issues");
        assert_eq!(issues.len(), 3, "{told}");
        assert!(issues.iter().all(|issue| issue["severity"] == "warning"), "{told}");
        assert_eq!(base.read("Patient/p").await["nonsense"], 1);
    }
}

#[tokio::test]
async fn a_server_that_does_not_look_says_nothing() {
    let server = Server::start_with(Options::default().set("validation.level", "off")).await;
    for base in server.bases() {
        let (patient, _) = wrong();
        let request = base.request(Method::PUT, "Patient/p").json(&patient);
        let told =
            request.header("prefer", "return=OperationOutcome").send().await.expect(201).json();
        assert_eq!(told["issue"][0]["severity"], "information", "{told}");
    }
}

/// The elements that an OperationOutcome with errors names.
fn elements(outcome: &Value) -> Vec<&str> {
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    let issues = outcome["issue"].as_array().expect("issues").iter();
    let errors = issues.filter(|issue| issue["severity"] == "error");
    errors.filter_map(|issue| issue["expression"][0].as_str()).collect()
}

#[tokio::test]
async fn validate_tells_what_a_write_would_be_refused_for() {
    let server = Server::start().await;
    for base in server.bases() {
        let (bad, places) = wrong();
        let call = |resource: &Value, mode: &str| {
            json!({"resourceType": "Parameters", "parameter": [
                {"name": "resource", "resource": resource},
                {"name": "mode", "valueCode": mode},
            ]})
        };
        for body in [bad.clone(), call(&bad, "create")] {
            let told = base.post("Patient/$validate", &body).await.expect(200).json();
            for place in places {
                assert!(elements(&told).contains(&place), "{told}");
            }
        }
        let good = patient("p");
        let told = base.post("Patient/$validate", &good).await.expect(200).json();
        assert_eq!(told["issue"][0]["severity"], "information", "{told}");
        let told =
            base.post("Patient/q/$validate", &call(&good, "update")).await.expect(200).json();
        assert_eq!(elements(&told), ["Patient.id"], "{told}");
        let told = base.post("Observation/$validate", &good).await.expect(200).json();
        assert!(elements(&told).contains(&"resourceType"), "{told}");
        let profiled =
            base.post("Patient/$validate?profile=http://x.test/p", &good).await.expect(200);
        assert_eq!(profiled.json()["issue"][0]["severity"], "warning", "{profiled}");
        base.get("Patient/p").await.refused(404);
        base.save(&good).await;
        base.post("Patient/p/$validate?mode=delete", &json!({"resourceType": "Parameters"}))
            .await
            .expect(200);
        base.post("Patient/q/$validate?mode=delete", &json!({"resourceType": "Parameters"}))
            .await
            .refused(404);
        base.post("Patient/$validate?mode=merge", &good).await.refused(400);
        base.post("Patient/$validate?other=1", &good).await.refused(400);
        base.post("Nothing/$validate", &good).await.refused(404);
    }
}
