//! XML in and out.

use cresset_conformance::{Options, Server, Subscribe, patient, verifies};
use reqwest::Method;
use serde_json::json;

const XML: &str = "application/fhir+xml";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn a_resource_comes_and_goes_in_xml() {
    let server = Server::start().await;
    for base in server.bases() {
        let body = "<Observation xmlns=\"http://hl7.org/fhir\"><status value=\"final\"/><code><text \
            value=\"a &lt; b\"/></code><valueQuantity><value value=\"1.00\"/></valueQuantity></Observation>";
        let created = base
            .request(Method::POST, "Observation")
            .header("accept", XML)
            .body_as(body, XML)
            .send()
            .await
            .expect(201);
        let mime = format!("{XML}; fhirVersion={}", base.version.mime());
        assert_eq!(created.header("content-type"), mime);
        let answer = text(&created.body);
        assert!(answer.contains("<meta><versionId value=\"1\"/>"), "{answer}");
        assert!(answer.ends_with(&body[body.find("<status").unwrap()..]), "{answer}");

        // The same as JSON, with its decimal as it was.
        let path = created.header("location").to_owned();
        let read = base.get(&path).await.expect(200);
        assert!(text(&read.body).contains("\"value\":1.00"), "{read}");
        for asked in
            [format!("{path}?_format=xml"), format!("{path}?_format=application/fhir%2Bxml")]
        {
            let again = base.get(&asked).await.expect(200);
            assert_eq!(text(&again.body), answer);
            assert_eq!(again.header("etag"), read.header("etag"));
        }
        let lines = base.get(&format!("{path}?_pretty=true")).await.expect(200);
        assert!(lines.body.contains(&b'\n'), "{lines}");
        assert_eq!(lines.json(), read.json());
    }
}

#[tokio::test]
async fn bundles_operations_and_refusals_have_a_form_in_xml() {
    verifies!("RQ-CF-08");
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        let in_xml = |path: &str| base.request(Method::GET, path).header("accept", XML).send();
        let found = in_xml("Patient?_id=p").await.expect(200);
        assert!(text(&found.body).contains("<resource><Patient><id value=\"p\"/>"), "{found}");
        let statement = in_xml("metadata").await.expect(200);
        assert!(text(&statement.body).contains("<format value=\"xml\"/>"), "{statement}");
        let status = in_xml("Subscription/$status").await.expect(200);
        assert!(text(&status.body).contains("<type value=\"searchset\"/>"), "{status}");
        for (path, expected) in
            [("Patient/none", 404), ("Nothing", 404), ("Patient?nothing=1", 400)]
        {
            let refused = in_xml(path).await.expect(expected);
            assert!(text(&refused.body).contains("<OperationOutcome xmlns"), "{refused}");
        }
        let transaction = "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"transaction\"/><entry><resource>\
            <Patient><active value=\"true\"/></Patient></resource><request><method value=\"POST\"/>\
            <url value=\"Patient\"/></request></entry></Bundle>";
        let request = base.request(Method::POST, "").body_as(transaction, "application/xml");
        let answer = request.send().await.expect(200).json();
        assert_eq!(answer["entry"][0]["response"]["status"], "201");
    }
}

#[tokio::test]
async fn xml_that_is_none_is_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    let attributes: String = (0..1_000_000).map(|number| format!(" a{number:x}=\"\"")).collect();
    let deep = "<extension url=\"a\">".repeat(200_000);
    let entity = "<!DOCTYPE Patient [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><Patient \
        xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/><name><family value=\"&a;\"/></name></Patient>";
    let patient = |inside: &str| {
        format!("<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/>{inside}</Patient>")
    };
    let external = format!("<!DOCTYPE Patient SYSTEM \"file:///etc/passwd\">{}", patient(""));
    for base in server.bases() {
        for body in [
            String::new(),
            json!({"resourceType": "Patient", "id": "p"}).to_string(),
            entity.to_owned(),
            external.clone(),
            patient("<nothing/>"),
            patient(&format!("<active value=\"true\"{attributes}/>")),
            patient(&deep),
        ] {
            let request = base.request(Method::PUT, "Patient/p").body_as(body, XML);
            let reply = request.send().await;
            reply.refused(400);
            assert!(!reply.to_string().contains("root:"), "{reply}");
        }
        let request = base.request(Method::PUT, "Patient/p");
        let other = format!("{XML}; fhirVersion=3.0");
        request.body_as(patient(""), &other).send().await.refused_as(415, "not-supported");
        base.get("Patient/p").await.refused(404);
    }
}

#[tokio::test]
async fn xml_of_a_caller_who_is_not_known_is_not_even_read() {
    verifies!("RQ-SS-01");
    let options = Options::default().client("ward", "ward-token-of-the-tests", &["write"]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        for (method, path) in [(Method::PUT, "Patient/p"), (Method::POST, "Patient")] {
            let request = base.request(method, path).body_as("<no xml", XML);
            request.send().await.refused_as(401, "login");
        }
        let known = base.with_bearer("ward-token-of-the-tests");
        known.request(Method::PUT, "Patient/p").body_as("<no xml", XML).send().await.refused(400);
    }
}

#[tokio::test]
async fn who_says_xml_and_sends_nothing_is_answered() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        let asked =
            |method: Method, path: &str| base.request(method, path).header("content-type", XML);
        asked(Method::GET, "Patient/p").send().await.expect(200);
        base.request(Method::GET, "metadata").body_as(" \n", XML).send().await.expect(200);
        asked(Method::DELETE, "Patient/p").send().await.expect(204);
        asked(Method::POST, "Patient").send().await.refused(400);
    }
}

#[tokio::test]
async fn whatever_the_server_says_it_says_in_xml_too() {
    verifies!("RQ-CF-08");
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        let topic = "http://cresset.test/topics/patient-any";
        let id = base.subscribe(&Subscribe::websocket(topic)).await;
        base.save(&patient("p")).await;
        let at = |name: &str| format!("Subscription/{id}/{name}");
        for (path, status, root) in [
            ("metadata".to_owned(), 200, "CapabilityStatement"),
            (format!("Subscription/{id}"), 200, "Subscription"),
            (at("$status"), 200, "Bundle"),
            (at("$events"), 200, "Bundle"),
            (at("$get-ws-binding-token"), 200, "Parameters"),
            (at("$explain?changes=5"), 200, "Parameters"),
            ("Patient/p/_history".to_owned(), 200, "Bundle"),
            ("Patient?_id=p".to_owned(), 200, "Bundle"),
            ("Patient/none".to_owned(), 404, "OperationOutcome"),
        ] {
            let asked = base.request(Method::GET, &path).header("accept", XML);
            let reply = asked.send().await.expect(status);
            let text = text(&reply.body);
            let start = format!("<{root} xmlns=\"http://hl7.org/fhir\">");
            assert!(text.contains(&start) && text.ends_with(&format!("</{root}>")), "{reply}");
        }
    }
}
