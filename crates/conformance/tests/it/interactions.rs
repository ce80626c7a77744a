//! Conditional interactions, patches, histories of types and bases, and HEAD, over HTTP.

use cresset_conformance::{Client, Options, Server, patient};
use reqwest::Method;
use serde_json::{Value, json};

fn identified(value: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": value}]})
}

fn conditional(base: &Client, method: Method, value: &str) -> cresset_conformance::Request {
    base.request(method, &format!("Patient?identifier=urn:mrn|{value}"))
}

#[tokio::test]
async fn a_conditional_create_makes_one_resource() {
    let server = Server::start().await;
    for base in server.bases() {
        let create = || {
            let request = base.request(Method::POST, "Patient").json(&identified("1"));
            request.header("if-none-exist", "identifier=urn:mrn|1").send()
        };
        let first = create().await.expect(201);
        let second = create().await.expect(200);
        assert_eq!(second.header("location"), first.header("location"));
        assert_eq!(second.body, first.body);
        base.create(&identified("1")).await;
        create().await.refused_as(412, "multiple-matches");
        let request = base.request(Method::POST, "Patient").json(&identified("1"));
        request.header("if-none-exist", "nothing=1").send().await.refused(400);
    }
}

#[tokio::test]
async fn a_conditional_update_creates_updates_or_is_refused() {
    let server = Server::start().await;
    for base in server.bases() {
        let mut body = identified("1");
        let created = conditional(&base, Method::PUT, "1").json(&body).send().await.expect(201);
        let id = created.json()["id"].as_str().expect("an id").to_owned();
        body["active"] = json!(true);
        let updated = conditional(&base, Method::PUT, "1").json(&body).send().await.expect(200);
        assert_eq!(updated.header("etag"), "W/\"2\"");
        assert_eq!(updated.json()["id"], id.as_str());
        let stale = conditional(&base, Method::PUT, "1").json(&body).header("if-match", "W/\"1\"");
        stale.send().await.refused(412);
        body["id"] = json!("other");
        conditional(&base, Method::PUT, "1").json(&body).send().await.refused_at(400, "Patient.id");
        let named = conditional(&base, Method::PUT, "2").json(&body).send().await.expect(201);
        assert_eq!(named.json()["id"], "other");
        let taken = conditional(&base, Method::PUT, "3").json(&body).send().await;
        taken.refused_as(409, "conflict");
        base.create(&identified("1")).await;
        body.as_object_mut().expect("an object").remove("id");
        conditional(&base, Method::PUT, "1").json(&body).send().await.refused(412);
        base.request(Method::PUT, "Patient").json(&body).send().await.refused(400);
    }
}

#[tokio::test]
async fn a_conditional_delete_deletes_one() {
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.create(&identified("1")).await["id"].as_str().expect("an id").to_owned();
        conditional(&base, Method::DELETE, "1").send().await.expect(204);
        base.get(&format!("Patient/{id}")).await.refused(410);
        conditional(&base, Method::DELETE, "1").send().await.expect(204);
        base.create(&identified("1")).await;
        base.create(&identified("1")).await;
        conditional(&base, Method::DELETE, "1").send().await.refused_as(412, "multiple-matches");
        base.request(Method::DELETE, "Patient").send().await.refused(400);
    }
}

#[tokio::test]
async fn a_reader_is_told_when_nothing_changed() {
    let server = Server::start().await;
    for base in server.bases() {
        let saved = base.put("Patient/p", &patient("p")).await.expect(201);
        let modified = saved.header("last-modified").to_owned();
        let asked = |name: &str, value: &str| {
            base.request(Method::GET, "Patient/p").header(name, value).send()
        };
        asked("if-none-match", "W/\"1\"").await.expect(304);
        asked("if-none-match", "W/\"7\", W/\"1\"").await.expect(304);
        asked("if-none-match", "W/\"2\"").await.expect(200);
        asked("if-modified-since", &modified).await.expect(304);
        asked("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT").await.expect(200);
        asked("if-modified-since", "no date").await.expect(200);
    }
}

#[tokio::test]
async fn heads_answer_as_gets_without_a_body() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        for path in ["Patient/p", "Patient?_id=p", "metadata", "Patient/p/_history", "_history"] {
            let (head, get) = (base.request(Method::HEAD, path).send(), base.get(path));
            let (head, get) = (head.await.expect(200), get.await.expect(200));
            assert!(head.body.is_empty(), "{path}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        }
        let missing = base.request(Method::HEAD, "Patient/nobody").send().await;
        assert_eq!(missing.status, 404);
    }
}

fn json_patch(base: &Client, path: &str, operations: &Value) -> cresset_conformance::Request {
    let body = operations.to_string();
    base.request(Method::PATCH, path).body_as(body, "application/json-patch+json")
}

#[tokio::test]
async fn a_json_patch_changes_what_it_names_and_nothing_else() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        let add = json!([{"op": "add", "path": "/birthDate", "value": "1930-01-01"}]);
        let patched = json_patch(&base, "Patient/p", &add).send().await.expect(200);
        assert_eq!(patched.header("etag"), "W/\"2\"");
        assert_eq!(patched.json()["birthDate"], "1930-01-01");
        assert_eq!(base.read("Patient/p").await, patched.json());
        let stale = json_patch(&base, "Patient/p", &add).header("if-match", "W/\"1\"");
        stale.send().await.refused(412);
        for (operations, status) in [
            (json!([{"op": "test", "path": "/birthDate", "value": "1931"}]), 422),
            (json!([{"op": "remove", "path": "/photo"}]), 422),
            (json!([{"op": "add", "path": "/nonsense", "value": 1}]), 422),
            (json!([{"op": "replace", "path": "/id", "value": "other"}]), 422),
            (json!([{"op": "replace", "path": "/resourceType", "value": "Person"}]), 422),
            (json!([{"op": "replace", "path": "", "value": 1}]), 422),
            (json!([{"op": "add", "path": "birthDate", "value": 1}]), 400),
            (json!({"op": "add"}), 400),
        ] {
            json_patch(&base, "Patient/p", &operations).send().await.refused(status);
        }
        // None of those changed anything.
        assert_eq!(base.read("Patient/p").await["meta"]["versionId"], "2");
        json_patch(&base, "Patient/nobody", &add).send().await.refused(404);
        let odd = base
            .request(Method::PATCH, "Patient/p")
            .body_as("<diff/>", "application/xml-patch+xml");
        odd.send().await.refused(415);
    }
}

#[tokio::test]
async fn a_fhirpath_patch_is_taken_as_json_and_xml_and_by_condition() {
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.create(&identified("1")).await["id"].as_str().expect("an id").to_owned();
        let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "add"},
            {"name": "path", "valueString": "Patient"},
            {"name": "name", "valueString": "birthDate"},
            {"name": "value", "valueDate": "1930-01-01"},
        ]}]});
        let patched = conditional(&base, Method::PATCH, "1").json(&patch).send().await.expect(200);
        assert_eq!(patched.json()["birthDate"], "1930-01-01");
        let xml = concat!(
            r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>"#,
            r#"<part><name value="type"/><valueCode value="delete"/></part>"#,
            r#"<part><name value="path"/><valueString value="Patient.birthDate"/></part>"#,
            "</parameter></Parameters>"
        );
        let request = base.request(Method::PATCH, &format!("Patient/{id}"));
        let patched = request.body_as(xml, "application/fhir+xml").send().await.expect(200);
        assert_eq!(patched.json().get("birthDate"), None);
        conditional(&base, Method::PATCH, "2").json(&patch).send().await.refused(404);
        base.create(&identified("1")).await;
        conditional(&base, Method::PATCH, "1").json(&patch).send().await.refused(412);
    }
}

#[tokio::test]
async fn a_patch_of_a_hundred_thousand_operations_is_refused() {
    let server = Server::start().await;
    let base = server.base(cresset_conformance::Version::R4);
    base.save(&patient("p")).await;
    let operation = json!({"op": "add", "path": "/active", "value": true});
    let operations = Value::Array(vec![operation; 100_000]);
    json_patch(&base, "Patient/p", &operations).send().await.refused_as(422, "too-costly");
    assert_eq!(base.read("Patient/p").await["meta"]["versionId"], "1");
}

/// The versions of a page as `Type/id/version`.
fn versions(page: &Value) -> Vec<String> {
    let entries = page["entry"].as_array().into_iter().flatten();
    let version = |entry: &Value| {
        let url = entry["fullUrl"].as_str().expect("a full URL");
        let (rest, id) = url.rsplit_once('/').expect("an id");
        let etag = entry["response"]["etag"].as_str().expect("an ETag");
        format!(
            "{}/{id}/{}",
            rest.rsplit('/').next().expect("a type"),
            etag.replace(['W', '/', '"'], "")
        )
    };
    entries.map(version).collect()
}

fn next(page: &Value) -> Option<String> {
    let links = page["link"].as_array().expect("links");
    let next = links.iter().find(|link| link["relation"] == "next")?;
    next["url"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn histories_of_a_type_and_a_base_page_stably_while_data_changes() {
    let options = Options::default().set("search.index", "none");
    let server = Server::start_with(options).await;
    for base in server.bases() {
        for id in ["a", "b", "c"] {
            base.save(&patient(id)).await;
        }
        base.save(&json!({"resourceType": "Practitioner", "id": "d"})).await;
        base.remove("Patient/b").await;
        let first = base.read("Patient/_history?_count=2").await;
        assert_eq!(first["type"], "history");
        assert_eq!(versions(&first), ["Patient/b/2", "Patient/c/1"]);
        assert_eq!(first["entry"][0]["request"]["method"], "DELETE", "{first}");
        assert_eq!(first["entry"][0].get("resource"), None, "{first}");
        base.save(&patient("late")).await;
        let second = base.read(&next(&first).expect("a next page")).await;
        assert_eq!(versions(&second), ["Patient/b/1", "Patient/a/1"]);
        let all = base.read("_history?_count=3").await;
        assert_eq!(versions(&all), ["Patient/late/1", "Patient/b/2", "Practitioner/d/1"]);
        let since = all["entry"][2]["response"]["lastModified"].as_str().expect("a time");
        let recent = versions(&base.read(&format!("_history?_since={since}")).await);
        assert!(recent.starts_with(&versions(&all)), "{recent:?}");
        assert!(base.read("_history?_since=2100").await.get("entry").is_none());
        assert!(base.read("Patient/_history?_at=2001").await.get("entry").is_none());
        base.get("Nothing/_history").await.refused(404);
        for query in ["_since=yesterday", "_at=x", "_count=-1", "_sort=x", "_since=2024&_at=2024"] {
            base.get(&format!("Patient/_history?{query}")).await.refused(400);
        }
    }
}

#[tokio::test]
async fn the_history_at_a_time_shows_what_was_current_then() {
    let server = Server::start().await;
    for base in server.bases() {
        let first = base.save(&patient("p")).await;
        let second = base.save(&patient("p")).await;
        let at =
            |version: &Value| version["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
        if at(&first) == at(&second) {
            continue;
        }
        for path in ["Patient/p/_history", "Patient/_history", "_history"] {
            let then = base.read(&format!("{path}?_at={}", at(&first))).await;
            let mut then = versions(&then);
            // Of the base, the topics were current then, too.
            then.retain(|version| version.starts_with("Patient/"));
            assert_eq!(then, ["Patient/p/1"], "{path}");
            let later = base.read(&format!("{path}?_at={}", at(&second))).await;
            assert!(versions(&later).contains(&"Patient/p/2".to_owned()), "{path}: {later}");
        }
    }
}
