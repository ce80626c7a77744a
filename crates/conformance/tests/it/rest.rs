//! REST on single resources: read, vread, create, update, delete, history, and their headers.

use std::collections::BTreeSet;

use cresset_conformance::{Options, Server, Version, patient};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_created_resource_is_read_at_its_location() {
    let server = Server::start().await;
    for base in server.bases() {
        let body = json!({"resourceType": "Patient", "active": true});
        let created = base.post("Patient", &body).await.expect(201);
        let resource = created.json();
        let id = resource["id"].as_str().expect("an id");
        assert_eq!(resource["meta"]["versionId"], "1", "{created}");
        assert!(resource["meta"]["lastUpdated"].is_string(), "{created}");
        assert_eq!(resource["active"], true, "{created}");
        assert_eq!(created.header("location"), format!("{}/Patient/{id}/_history/1", base.url));
        assert_eq!(created.header("etag"), "W/\"1\"");
        assert!(created.header("last-modified").ends_with(" GMT"), "{created}");
        let mime = format!("application/fhir+json; fhirVersion={}", base.version.mime());
        assert_eq!(created.header("content-type"), mime);

        let read = base.get(&format!("Patient/{id}")).await.expect(200);
        assert_eq!(read.body, created.body);
        for header in ["etag", "last-modified", "content-type"] {
            assert_eq!(read.header(header), created.header(header), "{read}");
        }
        let version = base.get(created.header("location")).await.expect(200);
        assert_eq!(version.body, created.body);
        for other in server.bases().iter().filter(|other| other.version != base.version) {
            other.get(&format!("Patient/{id}")).await.refused_as(404, "not-found");
        }
    }
}

#[tokio::test]
async fn an_id_is_given_by_the_server_on_post() {
    let server = Server::start().await;
    for base in server.bases() {
        let created = base.create(&patient("mine")).await;
        assert_ne!(created["id"], "mine", "{created}");
        base.get("Patient/mine").await.refused(404);
    }
}

#[tokio::test]
async fn versions_follow_each_other_and_stay_readable() {
    let server = Server::start().await;
    for base in server.bases() {
        let first = base.put("Patient/p", &patient("p")).await.expect(201);
        assert_eq!(first.header("location"), format!("{}/Patient/p/_history/1", base.url));
        let mut changed = patient("p");
        changed["active"] = false.into();
        let second = base.put("Patient/p", &changed).await.expect(200);
        assert_eq!(second.header("etag"), "W/\"2\"");
        assert_eq!(second.json()["active"], false);
        assert_eq!(base.read("Patient/p").await["active"], false);
        let old = base.get("Patient/p/_history/1").await.expect(200);
        assert_eq!(old.body, first.body);
        base.get("Patient/p/_history/3").await.refused(404);
        base.get("Patient/p/_history/x").await.refused(404);

        base.delete("Patient/p").await.expect(204);
        base.get("Patient/p").await.refused_as(410, "deleted");
        base.get("Patient/p/_history/3").await.refused_as(410, "deleted");
        base.get("Patient/p/_history/2").await.expect(200);
        base.delete("Patient/p").await.expect(204);
        base.delete("Patient/never").await.expect(204);
        base.get("Patient/never").await.refused_as(404, "not-found");

        let again = base.put("Patient/p", &patient("p")).await.expect(201);
        assert_eq!(again.header("etag"), "W/\"4\"");
        base.get("Patient/p").await.expect(200);
    }
}

#[tokio::test]
async fn a_history_tells_every_version_newest_first() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        base.remove("Patient/p").await;
        base.save(&patient("p")).await;
        let history = base.read("Patient/p/_history").await;
        assert_eq!(history["type"], "history", "{history}");
        assert_eq!(history["total"], 4, "{history}");
        let entries = history["entry"].as_array().expect("entries");
        let of = |pointer: &str| -> Vec<String> {
            let values = entries.iter().map(|entry| entry.pointer(pointer));
            values.map(|value| value.map_or_else(String::new, text)).collect()
        };
        assert_eq!(of("/request/method"), ["POST", "DELETE", "PUT", "POST"], "{history}");
        assert_eq!(of("/response/etag"), ["W/\"4\"", "W/\"3\"", "W/\"2\"", "W/\"1\""]);
        assert_eq!(of("/resource/meta/versionId"), ["4", "", "2", "1"], "{history}");
        let full_url = format!("{}/Patient/p", base.url);
        assert!(of("/fullUrl").iter().all(|url| *url == full_url), "{history}");

        // The same in pages.
        let mut next = Some(format!("{}/Patient/p/_history?_count=3", base.url));
        let mut paged = Vec::new();
        while let Some(url) = next {
            let page = base.read(&url).await;
            let entries = page["entry"].as_array().expect("entries").clone();
            assert!(entries.len() <= 3, "{page}");
            paged.extend(entries);
            next = link(&page, "next");
        }
        assert_eq!(paged, *entries);
        base.get("Patient/never/_history").await.refused(404);
    }
}

#[tokio::test]
async fn conditional_writes_are_refused_when_the_version_is_another() {
    let server = Server::start().await;
    for base in server.bases() {
        let put = |name: &'static str, value: &'static str| {
            base.request(Method::PUT, "Patient/p").header(name, value).json(&patient("p")).send()
        };
        put("if-match", "W/\"1\"").await.refused(412);
        put("if-none-match", "*").await.expect(201);
        put("if-none-match", "*").await.refused_as(412, "conflict");
        put("if-match", "W/\"1\"").await.expect(200);
        put("if-match", "W/\"1\"").await.refused_as(412, "conflict");
        put("if-match", "\"2\"").await.expect(200);
        put("if-match", "two").await.refused(400);
        assert_eq!(base.read("Patient/p").await["meta"]["versionId"], "3");

        let delete = |value: &'static str| {
            base.request(Method::DELETE, "Patient/p").header("if-match", value).send()
        };
        delete("W/\"2\"").await.refused(412);
        base.get("Patient/p").await.expect(200);
        delete("W/\"3\"").await.expect(204);

        base.save(&patient("q")).await;
        let read = |value: &'static str| {
            base.request(Method::GET, "Patient/q").header("if-none-match", value).send()
        };
        let unchanged = read("W/\"1\"").await.expect(304);
        assert!(unchanged.body.is_empty());
        assert_eq!(unchanged.header("etag"), "W/\"1\"");
        read("W/\"7\"").await.expect(200);
    }
}

#[tokio::test]
async fn prefer_says_what_a_write_answers() {
    let server = Server::start().await;
    for base in server.bases() {
        let create = |prefer: &'static str| {
            base.request(Method::POST, "Patient")
                .header("prefer", prefer)
                .json(&patient("x"))
                .send()
        };
        let minimal = create("return=minimal").await.expect(201);
        assert!(minimal.body.is_empty(), "{minimal}");
        base.get(minimal.header("location")).await.expect(200);
        let full = create("return=representation").await.expect(201);
        assert_eq!(full.json()["resourceType"], "Patient");
        let told = create("return=OperationOutcome").await.expect(201);
        assert_eq!(told.json()["resourceType"], "OperationOutcome", "{told}");
        let issue = &told.json()["issue"][0];
        assert_eq!(issue["severity"], "information", "{told}");
        assert_eq!(issue["details"]["coding"][0]["code"], "S0052", "{told}");
        assert!(told.header("location").contains("/Patient/"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_as_fhir_has_it() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        for (method, path) in [
            (Method::POST, "Patient/p"),
            (Method::DELETE, "metadata"),
            (Method::PATCH, "metadata"),
            (Method::PUT, "Patient/p/_history"),
        ] {
            let reply = base.request(method, path).json(&patient("p")).send().await;
            reply.refused_as(405, "not-supported");
        }
        for path in ["Nothing", "Nothing/p", "patient/p", "Patient/p/nothing/more", "Patient/p/$no"]
        {
            base.get(path).await.refused(404);
        }
        let root = base.url.rsplit_once('/').expect("a base").0;
        base.get(&format!("{root}/r6/Patient/p")).await.refused(404);
        base.get(&format!("{root}/")).await.refused(404);

        for accept in [
            "application/fhir+xml; fhirVersion=3.0",
            "text/turtle",
            "application/fhir+json; fhirVersion=3.0",
        ] {
            let request = base.request(Method::GET, "Patient/p").header("accept", accept);
            request.send().await.refused_as(406, "not-supported");
        }
        base.get("Patient/p?_format=ttl").await.refused(406);
        for accept in ["*/*", "application/json", "text/html, application/fhir+json;q=0.5"] {
            base.request(Method::GET, "Patient/p")
                .header("accept", accept)
                .send()
                .await
                .expect(200);
        }
        base.get("Patient/p?_format=json").await.expect(200);

        let body = patient("p").to_string();
        for content_type in ["text/plain", "text/turtle", "application/fhir+json; fhirVersion=1.0"]
        {
            let request = base.request(Method::PUT, "Patient/p");
            let reply = request.body_as(body.clone(), content_type).send().await;
            reply.refused_as(415, "not-supported");
        }
        let own =
            format!("application/fhir+json; charset=utf-8; fhirVersion={}", base.version.mime());
        for content_type in ["application/json", own.as_str()] {
            let request = base.request(Method::PUT, "Patient/p");
            request.body_as(body.clone(), content_type).send().await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_error_names_the_element() {
    let server = Server::start().await;
    for base in server.bases() {
        base.post("Patient", &json!({"resourceType": "Observation"}))
            .await
            .refused_at(400, "resourceType");
        base.put("Patient/p", &patient("q")).await.refused_at(400, "Patient.id");
        base.put("Patient/p", &json!({"resourceType": "Patient"}))
            .await
            .refused_at(400, "Patient.id");
    }
}

/// Decimals, unknown elements, order, white space and escapes that a parser might change.
const ODD: &str = "{\n\t\"zeta\" : [ 1.00, 1e-7, -0.0, 100000000000000000000.000001, {} ],\r\n  \
    \"resourceType\":\"Observation\" ,\"status\":\"final\",\"_status\":{\"extension\":[{\"url\":\
    \"http://x.test/\\u00e9\",\"valueDecimal\":0.10}]},  \"code\":{\"text\":\"caf\\u00E9 \\/ \
    \\ud83d\\ude00 \u{e9}\\n\"},\"valueQuantity\":{\"value\":80.500,\"unknownElement\":null},\
    \"alpha\":{\"b\":1,\"a\":2} \n}\n";

#[tokio::test]
async fn a_resource_comes_back_byte_for_byte_apart_from_id_and_meta() {
    // Strict, it would be refused for what is odd about it.
    let server = Server::start_with(Options::default().set("validation.level", "lenient")).await;
    for base in server.bases() {
        let created = base.request(Method::POST, "Observation").body(ODD).send().await.expect(201);
        let location = created.header("location").to_owned();
        let reads = [
            created.body.clone(),
            base.get(&location).await.expect(200).body,
            base.get(location.split("/_history").next().expect("an id")).await.expect(200).body,
        ];
        for body in reads {
            let body = String::from_utf8(body.to_vec()).expect("UTF-8");
            assert!(is_one_insertion(ODD, &body), "{body}");
        }
    }
}

#[tokio::test]
async fn an_id_and_meta_that_are_there_are_changed_in_their_place() {
    let server = Server::start().await;
    for base in server.bases() {
        let sent = "{\"resourceType\":\"Patient\", \"active\": true, \"meta\" : {\"tag\":[{\"code\":\
            \"x\"}] , \"versionId\":\"77\",\"lastUpdated\":\"2001-02-03T04:05:06Z\", \"source\":\"urn:x\"},\
            \"id\":\"odd-one\" }";
        let request = base.request(Method::PUT, "Patient/odd-one").body(sent);
        let answered = request.send().await.expect(201);
        let at = answered.json()["meta"]["lastUpdated"].as_str().expect("an instant").to_owned();
        let wanted = sent.replace("\"77\"", "\"1\"").replace("2001-02-03T04:05:06Z", &at);
        let read = base.get("Patient/odd-one").await.expect(200);
        assert_eq!(String::from_utf8_lossy(&read.body), wanted);
    }
}

/// Whether the longer text is the shorter one with something put in at one place.
fn is_one_insertion(short: &str, long: &str) -> bool {
    let pairs = |pair: &(u8, u8)| pair.0 == pair.1;
    let before = short.bytes().zip(long.bytes()).take_while(pairs).count();
    let after = short.bytes().rev().zip(long.bytes().rev()).take_while(pairs).count();
    long.len() > short.len() && before + after >= short.len()
}

#[tokio::test]
async fn resources_of_every_version_have_a_place() {
    let server = Server::start().await;
    for (version, only) in [
        (Version::R4, "MedicinalProduct"),
        (Version::R4B, "SubscriptionTopic"),
        (Version::R5, "ActorDefinition"),
    ] {
        for base in server.bases() {
            let status = base.get(&format!("{only}/none")).await.refused(404);
            let unknown =
                status.issues.iter().any(|issue| issue.text.contains("no such resource type"));
            let known = version == base.version
                || (only == "SubscriptionTopic" && base.version == Version::R5);
            assert_eq!(unknown, !known, "{only} in {}", base.version);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array().into_iter().flatten();
    let mut found = links.filter(|link| link["relation"] == relation);
    found.next().map(|link| text(&link["url"]))
}

#[tokio::test]
async fn a_method_that_is_not_there_names_those_that_are() {
    let server = Server::start().await;
    for base in server.bases() {
        for (method, path, allowed) in [
            (Method::DELETE, "Patient/p/_history", "GET, HEAD"),
            (Method::DELETE, "SubscriptionTopic/t/$validate", "POST"),
            (Method::GET, "Patient/$validate", "POST"),
            (Method::GET, "Patient/p/$validate", "POST"),
            (Method::POST, "metadata", "GET, HEAD"),
            (Method::POST, "Patient/p", "DELETE, GET, HEAD, PATCH, PUT"),
            (Method::POST, "Patient/p/Observation", "GET, HEAD"),
            (Method::PUT, "Patient/p/_history", "GET, HEAD"),
            (Method::PUT, "Patient/p/Observation", "GET, HEAD"),
            (Method::PUT, "Subscription/$status", "GET, HEAD, POST"),
            (Method::PUT, "Subscription/s/$status", "GET, HEAD, POST"),
            (Method::TRACE, "Patient/p", "DELETE, GET, HEAD, PATCH, PUT"),
        ] {
            let reply = base.request(method, path).send().await;
            reply.refused_as(405, "not-supported");
            let named: BTreeSet<_> = reply.header("allow").split(',').map(str::trim).collect();
            assert_eq!(named.into_iter().collect::<Vec<_>>().join(", "), allowed, "{path}");
        }
        let elsewhere = format!("{}/fhir/Patient/p", server.url());
        base.request(Method::POST, &elsewhere).send().await.refused(404);
    }
}
