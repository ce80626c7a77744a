//! What goes with the focus of an event, by the topic's shape.

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, PayloadContent};
use serde_json::{Value, json};

use super::fixture::{Fixture, admin, encounter, offering, subscription, topic};
use crate::{Authentication, Caller, Representation, Right, Rights, TokenHash};

const BASE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";

/// A topic on Encounters that includes the patient, and what was observed.
fn shaped() -> Value {
    let mut topic = topic("any", &[]);
    topic["extension"].as_array_mut().unwrap().push(json!({
        "url": format!("{BASE}.notificationShape"),
        "extension": [
            {"url": "resource", "valueUri": "Encounter"},
            {"url": "include", "valueString": "Encounter:patient"},
            {"url": "revInclude", "valueString": "Observation:encounter"},
            {"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-related-query",
             "extension": [{"url": "query", "valueString": "http://test/$more"}]},
        ],
    }));
    topic
}

fn wanted(content: &str) -> Value {
    let mut wanted = subscription("any", &[]);
    wanted["channel"]["_payload"]["extension"][0]["valueCode"] = json!(content);
    wanted
}

fn patient(id: &str) -> Value {
    json!({"resourceType": "Patient", "id": id})
}

fn observation(id: &str, encounter: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"},
        "encounter": {"reference": format!("Encounter/{encounter}")},
    })
}

/// A node with the topic, and a full-resource subscription to it.
async fn subscribed(fixture: &Fixture) -> String {
    fixture.put(&shaped()).await.unwrap();
    Fixture::id(&fixture.create(&wanted("full-resource")).await.unwrap())
}

/// The events of a bundle, each with what goes with it.
fn contexts(bundle: &Value) -> Vec<Vec<String>> {
    let parameters = bundle["entry"][0]["resource"]["parameter"].as_array().unwrap();
    let events = parameters.iter().filter(|one| one["name"] == "notification-event");
    events
        .map(|event| {
            let parts = event["part"].as_array().unwrap().iter();
            let context = parts.filter(|part| part["name"] == "additional-context");
            context.map(|part| relative(&part["valueReference"]["reference"])).collect()
        })
        .collect()
}

/// Each entry behind the status: its URL, and the version of the resource that is in it.
fn entries(bundle: &Value) -> Vec<(String, Option<String>)> {
    let entries = bundle["entry"].as_array().unwrap()[1..].iter();
    entries
        .map(|entry| {
            let version = entry["resource"]["meta"]["versionId"].as_str().map(str::to_owned);
            (relative(&entry["fullUrl"]), version)
        })
        .collect()
}

fn relative(url: &Value) -> String {
    url.as_str().unwrap().trim_start_matches("http://test/r4/").to_owned()
}

fn some(name: &str, version: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(version.to_owned()))
}

fn has_error(bundle: &Value) -> bool {
    let parameters = bundle["entry"][0]["resource"]["parameter"].as_array().unwrap();
    parameters.iter().any(|parameter| parameter["name"] == "error")
}

#[tokio::test(flavor = "multi_thread")]
async fn includes_follow_the_content_level() {
    let fixture = Fixture::new();
    let id = subscribed(&fixture).await;
    fixture.put(&patient("p")).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.clock.set("2026-01-01T00:00:01Z".parse().unwrap());
    fixture.put(&observation("o", "a")).await.unwrap();
    fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    let full = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(contexts(&full), [vec!["Patient/p"], vec!["Patient/p", "Observation/o"]]);
    assert_eq!(
        entries(&full),
        [
            some("Encounter/a", "1"),
            some("Patient/p", "1"),
            some("Encounter/a", "2"),
            some("Observation/o", "1"),
        ]
    );
    assert!(full.to_string().contains("http://test/$more"));
    assert!(!has_error(&full));
    let ids = fixture.events_bundle(&id, PayloadContent::IdOnly).await;
    assert_eq!(contexts(&ids), contexts(&full));
    let names: Vec<_> =
        ["Encounter/a", "Patient/p", "Observation/o"].map(|name| (name.to_owned(), None)).into();
    assert_eq!(entries(&ids), names);
    let empty = fixture.events_bundle(&id, PayloadContent::Empty).await;
    let text = empty.to_string();
    assert!(!text.contains("Patient") && !text.contains("Observation") && !text.contains("$more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iterate_is_followed_from_what_goes_along_once_and_within_bounds() {
    let fixture = Fixture::new();
    let mut topic = shaped();
    let parts = topic["extension"].as_array_mut().unwrap();
    parts.truncate(3);
    parts.push(json!({"url": format!("{BASE}.notificationShape"), "extension": [
        {"url": "resource", "valueUri": "Encounter"},
        {"url": "include", "valueString": "Encounter:patient&iterate=Patient.link"},
    ]}));
    fixture.put(&topic).await.unwrap();
    let id = Fixture::id(&fixture.create(&wanted("id-only")).await.unwrap());
    let linked = |id: &str, others: &[&str]| {
        let link = |other: &&str| json!({"type": "seealso", "other": {"reference": format!("Patient/{other}")}});
        let links: Vec<Value> = others.iter().map(link).collect();
        json!({"resourceType": "Patient", "id": id, "link": links})
    };
    // In a circle, with one that is not there, and with one that is known in two ways.
    for patient in [
        linked("p", &["q", "nobody", "r"]),
        linked("q", &["p", "r"]),
        linked("r", &["s"]),
        linked("s", &["q"]),
        linked("far", &["f1", "f2", "f3", "f4", "f5", "f6", "f7"]),
    ] {
        fixture.put(&patient).await.unwrap();
    }
    for number in 1..8 {
        fixture.put(&patient(&format!("f{number}"))).await.unwrap();
    }
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.put(&encounter("b", "planned", "s")).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::IdOnly).await;
    let all = |ids: [&str; 4]| ids.map(|id| format!("Patient/{id}")).to_vec();
    assert_eq!(contexts(&bundle), [all(["p", "q", "r", "s"]), all(["s", "q", "p", "r"])]);
    assert!(!has_error(&bundle));
    fixture.put(&encounter("c", "planned", "far")).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::IdOnly).await;
    let told = contexts(&bundle).pop().unwrap();
    assert_eq!(told.len(), 5, "as many as may go along: {told:?}");
    assert!(has_error(&bundle), "what is left out is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_references_are_followed_and_no_more() {
    let fixture = Fixture::new();
    let mut topic = shaped();
    let parts = topic["extension"].as_array_mut().unwrap();
    parts.truncate(3);
    parts.push(json!({"url": format!("{BASE}.notificationShape"), "extension": [
        {"url": "resource", "valueUri": "Encounter"},
        {"url": "include", "valueString": "Encounter:episode-of-care"},
        {"url": "include", "valueString": "Encounter:patient"},
    ]}));
    fixture.put(&topic).await.unwrap();
    let id = Fixture::id(&fixture.create(&wanted("id-only")).await.unwrap());
    fixture.put(&patient("p")).await.unwrap();
    // None of these is here: each costs a look, and at last there is none left for the patient.
    for (number, has_patient) in [(999, true), (1_000, false)] {
        let nobody = |n| json!({"reference": format!("EpisodeOfCare/{n}")});
        let mut encounter = encounter(&format!("e{number}"), "planned", "p");
        encounter["episodeOfCare"] = (0..number).map(nobody).collect();
        fixture.put(&encounter).await.unwrap();
        let bundle = fixture.events_bundle(&id, PayloadContent::IdOnly).await;
        assert_eq!(!contexts(&bundle).pop().unwrap().is_empty(), has_patient, "{number}");
        assert_eq!(has_error(&bundle), !has_patient, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_with_what_was_there_when_it_happened() {
    let fixture = Fixture::new();
    let id = subscribed(&fixture).await;
    fixture.put(&patient("p")).await.unwrap();
    fixture.put(&observation("before", "a")).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let first = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    fixture.clock.set("2026-01-01T00:00:01Z".parse().unwrap());
    fixture.put(&patient("p")).await.unwrap();
    fixture.put(&observation("before", "a")).await.unwrap();
    fixture.put(&observation("later", "a")).await.unwrap();
    let again = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(entries(&again), entries(&first));
    assert_eq!(
        entries(&again),
        [some("Encounter/a", "1"), some("Patient/p", "1"), some("Observation/before", "1")]
    );
    fixture.delete("Patient", "p").await;
    let fixture = fixture.restart().await;
    let again = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(entries(&again), entries(&first));
    fixture.clock.set("2026-01-01T00:00:02Z".parse().unwrap());
    fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(
        contexts(&bundle)[1],
        ["Observation/before", "Observation/later"],
        "the patient was deleted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_of_one_transaction_see_one_another() {
    let fixture = Fixture::new();
    let id = subscribed(&fixture).await;
    let entry = |resource: Value| {
        let url = format!(
            "{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        json!({"resource": resource, "request": {"method": "PUT", "url": url}})
    };
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry(encounter("a", "planned", "p")),
            entry(observation("o", "a")),
            entry(patient("p")),
        ],
    });
    let bytes = Bytes::from(bundle.to_string());
    fixture.node.bundle(&admin(), FhirVersion::R4, bytes, Representation::None).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::IdOnly).await;
    assert_eq!(contexts(&bundle), [["Patient/p", "Observation/o"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_focus_is_told_with_what_it_referred_to() {
    let fixture = Fixture::new();
    let id = subscribed(&fixture).await;
    fixture.put(&patient("p")).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.delete("Encounter", "a").await;
    let bundle = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(contexts(&bundle), [["Patient/p"], ["Patient/p"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn includes_are_bounded_and_what_is_left_out_is_told() {
    let fixture = Fixture::new();
    let id = subscribed(&fixture).await;
    fixture.put(&patient("p")).await.unwrap();
    for number in 0..4 {
        fixture.put(&observation(&format!("o{number}"), "a")).await.unwrap();
    }
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(contexts(&bundle)[0].len(), 5);
    assert!(!has_error(&bundle), "there was room for all");
    fixture.put(&observation("o4", "a")).await.unwrap();
    fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(contexts(&bundle)[1].len(), 5);
    assert!(has_error(&bundle));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_include_that_cannot_be_found_keeps_no_event_back() {
    let fixture = Fixture::new();
    let id = subscribed(&fixture).await;
    fixture.put(&patient("p")).await.unwrap();
    fixture.put(&observation("o", "a")).await.unwrap();
    fixture.store.fail_searches();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.put(&encounter("b", "planned", "nobody")).await.unwrap();
    let bundle = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    assert_eq!(contexts(&bundle), [vec!["Patient/p"], vec![]]);
    assert!(has_error(&bundle));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_may_not_read_gets_no_includes() {
    let caller = |name: &str, rights: &[Right]| {
        Caller::new(ClientName::new(name).unwrap(), rights.iter().copied().collect::<Rights>())
    };
    let seeing = caller("seeing", &[Right::Subscribe, Right::Read]);
    let blind = caller("blind", &[Right::Subscribe]);
    let tokens = [&seeing, &blind].map(|one| (TokenHash::of(one.client().as_str()), one.clone()));
    let fixture = Fixture::configured(|config| {
        config.authentication = Authentication::tokens(tokens);
    });
    fixture.put(&shaped()).await.unwrap();
    let mut ids = Vec::new();
    for caller in [seeing, blind] {
        let bytes = Bytes::from(wanted("id-only").to_string());
        let created = fixture.node.create(&caller, FhirVersion::R4, "Subscription", bytes).await;
        ids.push(Fixture::id(&created.unwrap()));
    }
    fixture.put(&patient("p")).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let of_seeing = fixture.events_bundle(&ids[0], PayloadContent::IdOnly).await;
    assert_eq!(contexts(&of_seeing), [["Patient/p"]]);
    let of_blind = fixture.events_bundle(&ids[1], PayloadContent::IdOnly).await;
    assert_eq!(contexts(&of_blind), [[""; 0]]);
    assert!(!of_blind.to_string().contains("Patient/p"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reverse_include_that_is_not_indexed_is_taken_with_a_warning() {
    let fixture = Fixture::new();
    let written = fixture.put(&shaped()).await.unwrap();
    assert!(written.warnings.0.is_empty(), "{}", written.warnings);
    let mut other = shaped();
    other["extension"][3]["extension"][2]["valueString"] = json!("Provenance:target");
    let written = fixture.put(&other).await.unwrap();
    assert_eq!(written.warnings.0.len(), 1);
    assert!(written.warnings.to_string().contains("Provenance.target"), "{}", written.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offered_filter_that_is_not_indexed_is_taken_with_a_warning() {
    let fixture = Fixture::new();
    let mut topic = topic("any", &[]);
    let parts = topic["extension"].as_array_mut().unwrap();
    parts.push(offering("_has:Observation:encounter:status"));
    parts.push(offering("patient._has:Condition:subject:code"));
    let written = fixture.put(&topic).await.unwrap();
    let [warning] = written.warnings.0.as_slice() else { panic!("{}", written.warnings) };
    assert!(warning.text.contains("`Condition.subject`"), "{warning:?}");
    assert!(warning.text.contains("search.index"), "{warning:?}");
    let at = warning.expression.as_deref().unwrap();
    assert_eq!(at, "SubscriptionTopic.canFilterBy[2].filterParameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_breaks_what_it_derives_from_is_refused() {
    let fixture = Fixture::new();
    fixture.put(&topic("parent", &[])).await.unwrap();
    let mut derived = topic("derived", &[]);
    let parts = derived["extension"].as_array_mut().unwrap();
    parts.push(json!({
        "url": format!("{BASE}.derivedFrom"), "valueCanonical": "http://test/topic/parent",
    }));
    fixture.put(&derived).await.unwrap();
    derived["extension"].as_array_mut().unwrap().remove(2);
    let refused = fixture.put(&derived).await.unwrap_err();
    assert_eq!(refused.kind(), crate::Kind::Unprocessable);
    assert!(refused.issues().to_string().contains("patient"), "{}", refused.issues());
}
