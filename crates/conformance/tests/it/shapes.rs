//! What goes with the focus of an event, events that are no changes, and when topics are in force.

use cresset_conformance::{
    Client, Filter, Notification, Options, Receiver, Server, Subscribe, Version, encounter,
    patient, verifies,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::topic_forms::{path, topic, url};

const RELATED_QUERY: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-related-query";

/// Reverse includes need an index.
fn options() -> Options {
    Options::default().set("search.index", vec!["Observation.encounter", "status"])
}

/// Every change of an encounter, with its patient and what was observed; two shapes for one type.
fn shaped() -> Value {
    json!({
        "resourceTrigger": [{"resource": "Encounter"}],
        "notificationShape": [
            {
                "resource": "Encounter",
                "include": ["Encounter:patient&iterate=Patient.link"],
                "extension": [{"url": RELATED_QUERY, "extension": [
                    {"url": "queryType", "valueCoding": {"code": "prescribed"}},
                    {"url": "query", "valueString": "http://cresset.test/$prescribed?x=[id]"},
                ]}],
            },
            {"resource": "http://hl7.org/fhir/StructureDefinition/Encounter", "revInclude": ["Observation:encounter"]},
        ],
    })
}

fn observation(id: &str, encounter: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
        "encounter": {"reference": format!("Encounter/{encounter}")},
    })
}

/// What goes with each event, and whether it is sent, is there or is not told at all.
fn check(base: &Client, content: &str, told: &Notification, expected: &[&str]) {
    let json = &told.json;
    let urls: Vec<_> = expected.iter().map(|one| format!("{}/{one}", base.url)).collect();
    let text = json.to_string();
    if content == "empty" {
        assert!(told.entries.is_empty() && told.events[0].additional_context.is_empty(), "{json}");
        assert!(!text.contains("Observation") && !text.contains("$prescribed"), "{json}");
        return;
    }
    assert_eq!(told.events[0].additional_context, urls, "RQ-NB-28: {json}");
    assert!(text.contains("http://cresset.test/$prescribed?x=[id]"), "{json}");
    for url in urls {
        let entries: Vec<_> = told.entries.iter().filter(|entry| entry.full_url == url).collect();
        assert_eq!(entries.len(), 1, "each once: {json}");
        assert_eq!(entries[0].method, "GET", "{json}");
        assert_eq!(entries[0].resource.is_some(), content == "full-resource", "RQ-TP-61: {json}");
    }
    let full_urls: Vec<_> = told.entries.iter().map(|entry| entry.full_url.clone()).collect();
    let mut once = full_urls.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), full_urls.len(), "{json}");
}

#[tokio::test]
async fn includes_go_along_alike_by_rest_hook_by_websocket_and_in_events() {
    verifies!("RQ-TP-60", "RQ-TP-61", "RQ-TP-62", "RQ-TP-63", "RQ-NB-28", "RQ-ER-15");
    let server = Server::start_with(options()).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let v = base.version;
        base.save(&topic(v, "shaped", shaped())).await;
        base.save(&patient("p")).await;
        base.save(&observation("o", "e")).await;
        for content in ["empty", "id-only", "full-resource"] {
            let path = format!("/{v}/{content}");
            let hook =
                Subscribe::rest_hook(&url("shaped"), &receiver.endpoint(&path)).content(content);
            let hook = base.subscribe(&hook).await;
            base.wait_for_status(&hook, "active").await;
            receiver.notification(v, &path).await;
            let web = Subscribe::websocket(&url("shaped")).content(content);
            let web = base.subscribe(&web).await;
            let mut socket = base.listen(&web).await;
            base.save(&encounter(v, "e", "planned", "p")).await;
            let expected = ["Patient/p", "Observation/o"];
            let by_hook = receiver.event(v, &path).await;
            let by_socket = socket.event().await;
            // Changed meanwhile: the event is told as it was.
            base.save(&patient("p")).await;
            base.save(&observation("later", "e")).await;
            let again = base.events(&web, "").await;
            for told in [&by_hook, &by_socket, &again] {
                check(&base, content, told, &expected);
            }
            assert_eq!(by_hook.events, by_socket.events);
            assert_eq!(by_socket.events, again.events);
            for id in [&hook, &web] {
                base.remove(&format!("Subscription/{id}")).await;
            }
            base.remove("Observation/later").await;
            base.remove("Encounter/e").await;
        }
    }
}

#[tokio::test]
async fn topics_whose_includes_cannot_work_are_refused_or_taken_with_a_warning() {
    verifies!("RQ-TP-62");
    let server = Server::start_with(options()).await;
    for base in server.bases() {
        let of = |include: &str| {
            let mut members = shaped();
            members["notificationShape"][0]["include"] = json!([include]);
            topic(base.version, "t", members)
        };
        let at = path(base.version, "t");
        for refused in ["*", "Encounter:*", "Encounter", "Nothing:patient"] {
            base.put(&at, &of(refused)).await.refused(422);
        }
        base.put(&at, &of("Encounter:observation")).await.expect(201);
    }
}

#[tokio::test]
async fn includes_go_only_to_those_who_may_read() {
    verifies!("RQ-SS-12", "RQ-NB-12");
    let options = options()
        .client("boss", "boss-token-of-the-tests", &["admin"])
        .client("reader", "reader-token-of-the-tests", &["read", "subscribe"])
        .client("blind", "blind-token-of-the-tests", &["subscribe"]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let v = base.version;
        let as_client = |name: &str| base.with_bearer(&format!("{name}-token-of-the-tests"));
        let boss = as_client("boss");
        boss.save(&topic(v, "shaped", shaped())).await;
        let wanted = Subscribe::websocket(&url("shaped"));
        let ids = (
            as_client("reader").subscribe(&wanted).await,
            as_client("blind").subscribe(&wanted).await,
        );
        boss.save(&patient("p")).await;
        boss.save(&encounter(v, "e", "planned", "p")).await;
        let seen = as_client("reader").events(&ids.0, "").await;
        assert_eq!(seen.events[0].additional_context, [format!("{}/Patient/p", base.url)]);
        let seen = as_client("blind").events(&ids.1, "").await;
        assert_eq!(seen.events[0].additional_context, [""; 0]);
        assert_eq!(seen.entries.len(), 1, "{}", seen.json);
    }
}

/// A topic on encounters that are told to be admitted.
pub(crate) fn admissions() -> Value {
    json!({
        "eventTrigger": [{
            "description": "Admitted.",
            "event": {"coding": [{"system": "http://v2", "code": "A01"}]},
            "resource": "http://hl7.org/fhir/StructureDefinition/Encounter",
        }],
        "canFilterBy": [{"resource": "Encounter", "filterParameter": "patient"}],
    })
}

/// Parameters that tell of such an event.
pub(crate) fn admitted(focus: &str, more: &[Value]) -> Value {
    let mut parameters = vec![
        json!({"name": "event", "valueCoding": {"system": "http://v2", "code": "A01"}}),
        json!({"name": "focus", "valueReference": {"reference": focus}}),
    ];
    parameters.extend(more.iter().cloned());
    json!({"resourceType": "Parameters", "parameter": parameters})
}

async fn notify(base: &Client, path: &str, parameters: &Value) -> u64 {
    let answer = base.post(path, parameters).await.expect(200).json();
    assert_eq!(answer["parameter"][0]["name"], "count", "{answer}");
    answer["parameter"][0]["valueInteger"].as_u64().expect("a count")
}

#[tokio::test]
async fn events_that_are_no_changes_are_numbered_filtered_and_sent() {
    verifies!("RQ-TP-34", "RQ-TP-20", "RQ-NB-12", "RQ-NB-40", "RQ-NB-43");
    let mut server = Server::start().await;
    let mut subscriptions = Vec::new();
    for base in server.bases() {
        let v = base.version;
        base.save(&topic(v, "admissions", admissions())).await;
        base.save(&patient("p")).await;
        base.save(&encounter(v, "e", "planned", "p")).await;
        base.save(&encounter(v, "f", "planned", "q")).await;
        let wanted = Subscribe::websocket(&url("admissions")).content("full-resource");
        let all = base.subscribe(&wanted).await;
        let one = wanted.filter(Filter::new("patient", "Patient/p").of("Encounter"));
        let one = base.subscribe(&one).await;
        let mut socket = base.listen(&all).await;
        let at = format!("{}/$notify-event", path(v, "admissions"));
        let context = json!({"name": "context", "valueReference": {"reference": "Patient/p"}});
        assert_eq!(notify(&base, &at, &admitted("Encounter/e", &[context])).await, 2);
        // A change of the focus is no event of this topic.
        base.save(&encounter(v, "e", "in-progress", "p")).await;
        let by_url = json!({"name": "topic", "valueCanonical": url("admissions")});
        let on_type = format!("{}/$notify-event", path(v, "").trim_end_matches('/'));
        let absolute = format!("{}/Encounter/f", base.url);
        assert_eq!(notify(&base, &on_type, &admitted(&absolute, &[by_url])).await, 1);
        let first = socket.event().await;
        assert_eq!((first.numbers(), first.foci()), (vec![1], vec!["Encounter/e".to_owned()]));
        assert_eq!(first.events[0].additional_context, [format!("{}/Patient/p", base.url)]);
        let resource = first.entries[0].resource.as_ref().expect("the focus");
        assert_eq!(
            (first.entries[0].method.as_str(), &resource["status"]),
            ("GET", &json!("planned"))
        );
        assert_eq!(socket.event().await.numbers(), [2]);
        let history = base.get("Encounter/e/_history").await.expect(200).json();
        assert_eq!(history["total"], 2, "an event is no version: {history}");
        subscriptions.push((all, one, first));
    }
    server.restart().await;
    for (base, (all, one, first)) in server.bases().iter().zip(&subscriptions) {
        let events = base.events(all, "").await;
        assert_eq!((events.numbers(), events.foci()[1].as_str()), (vec![1, 2], "Encounter/f"));
        // The same after a restart, on another port, and a change.
        let told = |one: &Notification| {
            let event = &one.events[0];
            (
                event.number,
                event.timestamp.clone(),
                event.relative_focus(),
                one.entries[0].resource.clone(),
            )
        };
        assert_eq!(told(&events), told(first));
        assert_eq!(base.events(one, "").await.numbers(), [1]);
        let at = format!("{}/$notify-event", path(base.version, "admissions"));
        assert_eq!(notify(base, &at, &admitted("Encounter/e", &[])).await, 2);
        assert_eq!(base.count(all).await, 3);
    }
}

#[tokio::test]
async fn events_that_a_topic_does_not_have_are_refused() {
    verifies!("RQ-TP-34", "RQ-SS-01");
    let options = Options::default()
        .client("boss", "boss-token-of-the-tests", &["admin"])
        .client("system", "system-token-of-the-tests", &["notify"])
        .client("writer", "writer-token-of-the-tests", &["read", "write", "subscribe", "topics"]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let v = base.version;
        let as_client = |name: &str| base.with_bearer(&format!("{name}-token-of-the-tests"));
        let (boss, system) = (as_client("boss"), as_client("system"));
        boss.save(&topic(v, "admissions", admissions())).await;
        boss.save(&encounter(v, "e", "planned", "p")).await;
        boss.save(&patient("p")).await;
        let at = format!("{}/$notify-event", path(v, "admissions"));
        let good = admitted("Encounter/e", &[]);
        assert_eq!(notify(&system, &at, &good).await, 0);
        as_client("writer").post(&at, &good).await.refused_as(403, "forbidden");
        system.get(&at).await.refused(405);
        for focus in ["Patient/p", "Encounter/nothing"] {
            system.post(&at, &admitted(focus, &[])).await.refused_at(422, "focus");
        }
        let mut other = good.clone();
        other["parameter"][0]["valueCoding"]["code"] = json!("A02");
        let outcome = system.post(&at, &other).await.refused_at(422, "event");
        assert!(format!("{outcome:?}").contains("http://v2|A01"), "{outcome:?}");
        let nobody = json!({"name": "nobody", "valueString": "x"});
        system.post(&at, &admitted("Encounter/e", &[nobody])).await.refused(400);
        system.post(&at, &json!({"resourceType": "Parameters"})).await.refused(400);
        let unknown = format!("{}/$notify-event", path(v, "nothing"));
        system.post(&unknown, &good).await.refused(404);
        let on_type = format!("{}/$notify-event", path(v, "").trim_end_matches('/'));
        system.post(&on_type, &good).await.refused(400);
        let nothing = json!({"resourceType": "Parameters"});
        system.post("Patient/p/$notify-event", &nothing).await.refused(404);
        let text = base.request(Method::POST, &at).body_as("x", "text/plain");
        text.send().await.refused(401);
    }
}

#[tokio::test]
async fn the_operation_is_told_of_and_defined() {
    let server = Server::start().await;
    for base in server.bases() {
        let capability = base.get("metadata").await.expect(200).json();
        let resource_type = match base.version {
            Version::R4 => "Basic",
            Version::R4B | Version::R5 => "SubscriptionTopic",
        };
        let resources = capability["rest"][0]["resource"].as_array().expect("resources");
        let resource = resources.iter().find(|one| one["type"] == resource_type).expect("topics");
        let operations = resource["operation"].as_array().expect("operations");
        let operation = operations.iter().find(|one| one["name"] == "notify-event");
        let operation = operation.expect("notify-event");
        let file = format!(
            "{}/../../docs/operations/{resource_type}-notify-event.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let definition = std::fs::read(&file).expect("the definition");
        let definition: Value = serde_json::from_slice(&definition).expect("JSON");
        assert_eq!(operation["definition"], definition["url"]);
        assert_eq!(operation["name"], definition["code"]);
        assert_eq!(definition["resource"], json!([resource_type]));
    }
}

#[tokio::test]
async fn a_topic_has_events_within_its_period_only() {
    verifies!("RQ-TP-09");
    let server = Server::start().await;
    for base in server.bases() {
        for (period, expected) in [
            (json!({"start": "2020", "end": "2099"}), 1),
            (json!({"start": "2099"}), 0),
            (json!({"end": "2020-05-01T10:00:00Z"}), 0),
        ] {
            let members = json!({
                "resourceTrigger": [{"resource": "Patient"}], "effectivePeriod": period,
            });
            base.save(&topic(base.version, "timed", members)).await;
            let id = base.subscribe(&Subscribe::websocket(&url("timed"))).await;
            base.save(&patient("p")).await;
            assert_eq!(base.count(&id).await, expected, "{period}");
        }
        let members = json!({
            "resourceTrigger": [{"resource": "Patient"}], "effectivePeriod": {"start": "soon"},
        });
        let timed = topic(base.version, "timed", members);
        base.put(&path(base.version, "timed"), &timed).await.refused(400);
    }
}

#[tokio::test]
async fn what_derives_from_a_topic_keeps_its_filters_and_types() {
    verifies!("RQ-TP-07");
    let server = Server::start().await;
    for base in server.bases() {
        let v = base.version;
        let filter = |name: &str| json!({"resource": "Encounter", "filterParameter": name});
        let parent = json!({
            "resourceTrigger": [{"resource": "Encounter"}], "canFilterBy": [filter("patient")],
        });
        base.save(&topic(v, "parent", parent)).await;
        let derived = |resource: &str, filters: &[Value]| {
            let members = json!({
                "derivedFrom": [url("parent")],
                "resourceTrigger": [{"resource": resource}],
                "canFilterBy": filters,
            });
            topic(v, "derived", members)
        };
        let at = path(v, "derived");
        let more = [filter("patient"), filter("status")];
        base.put(&at, &derived("Encounter", &more)).await.expect(201);
        base.put(&at, &derived("Encounter", &more[1..])).await.refused(422);
        base.put(&at, &derived("Patient", &more)).await.refused(422);
    }
}
