//! Events that are no change of data: `$notify-event`.

use cresset_definitions::FhirVersion;
use cresset_fhir::NotifyEvent;
use cresset_model::{Canonical, ClientName, Coding, PayloadContent};
use serde_json::{Value, json};

use super::fixture::{Fault, Fixture, admin, encounter, topic};
use crate::{Caller, Error, HistoryOf, HistoryQuery, Kind, Right};

/// A topic on Encounters that are told to be admitted, and not on their changes.
fn admissions() -> Value {
    const BASE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
    let mut topic = topic("any", &[]);
    topic["extension"][1] = json!({
        "url": format!("{BASE}.eventTrigger"),
        "extension": [
            {"url": "event", "valueCodeableConcept": {"coding": [{"system": "http://v2", "code": "A01"}]}},
            {"url": "resource", "valueUri": "Encounter"},
        ],
    });
    topic
}

fn event(focus: &str, context: &[&str]) -> NotifyEvent {
    NotifyEvent {
        topic: None,
        event: vec![Coding { system: Some("http://v2".into()), code: "A01".into() }],
        focus: focus.to_owned(),
        context: context.iter().map(|one| (*one).to_owned()).collect(),
    }
}

/// How many subscriptions got it.
async fn notify(fixture: &Fixture, event: NotifyEvent) -> Result<u64, Error> {
    let id = event.topic.is_none().then_some("any");
    let answer = fixture.node.notify_event(&admin(), FhirVersion::R4, id, event).await?;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    Ok(answer["parameter"][0]["valueInteger"].as_u64().unwrap())
}

/// A node with the topic and two Encounters.
async fn prepared() -> Fixture {
    let fixture = Fixture::new();
    fixture.put(&admissions()).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.put(&encounter("b", "planned", "q")).await.unwrap();
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_numbered_for_those_whose_filters_its_focus_matches() {
    let fixture = prepared().await;
    let all = fixture.subscribe("any", &[]).await;
    let one = fixture.subscribe("any", &["Encounter?patient=Patient/p"]).await;
    assert_eq!(notify(&fixture, event("Encounter/a", &[])).await.unwrap(), 2);
    assert_eq!(notify(&fixture, event("http://test/r4/Encounter/b", &[])).await.unwrap(), 1);
    fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    let by_url = NotifyEvent {
        topic: Some(Canonical::new("http://test/topic/any")),
        ..event("Encounter/a", &["Encounter/b"])
    };
    assert_eq!(notify(&fixture, by_url).await.unwrap(), 2);
    let expected = |ids: &[&str]| -> Vec<(u64, String)> {
        (1..).zip(ids).map(|(number, id)| (number, format!("Encounter/{id}"))).collect()
    };
    assert_eq!(fixture.events(&all).await, expected(&["a", "b", "a"]));
    let fixture = fixture.restart().await;
    assert_eq!(fixture.events(&all).await, expected(&["a", "b", "a"]));
    assert_eq!(fixture.events(&one).await, expected(&["a", "a"]));
    assert_eq!(notify(&fixture, event("Encounter/a", &[])).await.unwrap(), 2);
    assert_eq!(fixture.status(&all).1, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_tells_its_focus_and_context_as_they_were_and_no_change() {
    let fixture = prepared().await;
    let id = {
        let mut wanted = super::fixture::subscription("any", &[]);
        wanted["channel"]["_payload"]["extension"][0]["valueCode"] = json!("full-resource");
        Fixture::id(&fixture.create(&wanted).await.unwrap())
    };
    notify(&fixture, event("Encounter/a", &["Encounter/b", "Encounter/a"])).await.unwrap();
    fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    fixture.delete("Encounter", "b").await;
    let bundle = fixture.events_bundle(&id, PayloadContent::FullResource).await;
    let entries = bundle["entry"].as_array().unwrap();
    let shown: Vec<_> = entries[1..]
        .iter()
        .map(|entry| {
            let (request, resource) = (&entry["request"], &entry["resource"]);
            (request["method"].as_str(), request["url"].as_str(), resource["status"].as_str())
        })
        .collect();
    let told = |url| (Some("GET"), Some(url), Some("planned"));
    assert_eq!(shown, [told("Encounter/a"), told("Encounter/b")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_no_version_of_anything_and_nobody_finds_it() {
    let fixture = prepared().await;
    fixture.subscribe("any", &[]).await;
    notify(&fixture, event("Encounter/a", &[])).await.unwrap();
    let of = HistoryOf::Instance("Encounter", "a");
    let query = HistoryQuery { count: 10, ..HistoryQuery::default() };
    let history = fixture.node.history(&admin(), FhirVersion::R4, of, query).await.unwrap();
    assert_eq!((history.changes.len(), history.total), (1, Some(1)));
    // Nor does the history of the base show what is no change.
    let all =
        fixture.node.history(&admin(), FhirVersion::R4, HistoryOf::Base, query).await.unwrap();
    assert!(all.changes.iter().all(|change| !change.body.is_empty()));
    assert!(all.changes.iter().any(|change| change.key.to_string() == "Encounter/a"));
    let page = fixture.node.read(&admin(), FhirVersion::R4, "CressetOccurrence", "x").await;
    assert_eq!(page.unwrap_err().kind(), Kind::NotFound);
    // The index goes on behind it.
    fixture.put(&encounter("c", "planned", "p")).await.unwrap();
    let request = crate::SearchRequest::parse("status=planned");
    let target = crate::SearchTarget::Type("Encounter");
    let found = fixture.node.search(&admin(), FhirVersion::R4, target, &request).await;
    let found: Value = serde_json::from_slice(&found.unwrap().body).unwrap();
    assert_eq!(found["total"], json!(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_not_written() {
    let fixture = prepared().await;
    fixture.subscribe("any", &["Encounter?patient=Patient/p"]).await;
    let head = fixture.node.shared.head();
    assert_eq!(notify(&fixture, event("Encounter/b", &[])).await.unwrap(), 0);
    assert_eq!(fixture.node.shared.head(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_the_topic_says_or_not_here_is_refused() {
    let fixture = prepared().await;
    let id = fixture.subscribe("any", &[]).await;
    let patient = json!({"resourceType": "Patient", "id": "p"});
    fixture.put(&patient).await.unwrap();
    fixture.delete("Encounter", "b").await;
    let other = Coding { system: Some("http://v2".into()), code: "A02".into() };
    let cases = [
        (NotifyEvent { event: vec![other], ..event("Encounter/a", &[]) }, Kind::Unprocessable),
        (event("Patient/p", &[]), Kind::Unprocessable),
        (event("Encounter/nothing", &[]), Kind::Unprocessable),
        (event("Encounter/b", &[]), Kind::Unprocessable),
        (event("Encounter/a", &["Patient/nothing"]), Kind::Unprocessable),
        (event("http://elsewhere/Encounter/a", &[]), Kind::Malformed),
        (event("Subscription/x", &[]), Kind::Malformed),
        (
            NotifyEvent { topic: Some(Canonical::new("http://x")), ..event("Encounter/a", &[]) },
            Kind::Unprocessable,
        ),
    ];
    for (event, kind) in cases {
        let text = format!("{event:?}");
        assert_eq!(notify(&fixture, event).await.unwrap_err().kind(), kind, "{text}");
    }
    let version = FhirVersion::R4;
    let input = || event("Encounter/a", &[]);
    let unknown = fixture.node.notify_event(&admin(), version, Some("nothing"), input()).await;
    assert_eq!(unknown.unwrap_err().kind(), Kind::NotFound);
    let unnamed = fixture.node.notify_event(&admin(), version, None, input()).await;
    assert_eq!(unnamed.unwrap_err().kind(), Kind::Malformed);
    let rights = [Right::Read, Right::Write, Right::Subscribe, Right::Topics];
    let caller = Caller::new(ClientName::new("c").unwrap(), rights.into_iter().collect());
    let refused = fixture.node.notify_event(&caller, version, Some("any"), input()).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Forbidden);
    let caller = Caller::new(ClientName::new("c").unwrap(), [Right::Notify].into_iter().collect());
    fixture.node.notify_event(&caller, version, Some("any"), input()).await.unwrap();
    assert_eq!(fixture.status(&id).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_loses_and_doubles_no_event() {
    let fixture = prepared().await;
    let id = fixture.subscribe("any", &[]).await;
    fixture.store.fail_next(Fault::Unavailable);
    let failed = notify(&fixture, event("Encounter/a", &[])).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unavailable);
    fixture.store.fail_next(Fault::UnknownDone);
    let failed = notify(&fixture, event("Encounter/a", &[])).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Timeout);
    assert_eq!(notify(&fixture, event("Encounter/b", &[])).await.unwrap(), 1);
    let expected = [(1, "Encounter/a".to_owned()), (2, "Encounter/b".to_owned())];
    assert_eq!(fixture.events(&id).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_period_a_topic_tells_nobody_and_says_so() {
    let fixture = prepared().await;
    fixture.subscribe("any", &[]).await;
    let mut later = admissions();
    later["extension"].as_array_mut().unwrap().push(json!({
        "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.effectivePeriod",
        "valuePeriod": {"start": "2027"},
    }));
    fixture.put(&later).await.unwrap();
    let event = event("Encounter/a", &[]);
    let answer = fixture.node.notify_event(&admin(), FhirVersion::R4, Some("any"), event).await;
    let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
    assert_eq!(answer["parameter"][0]["valueInteger"], json!(0));
    assert_eq!(answer["parameter"][1]["resource"]["issue"][0]["severity"], json!("warning"));
}
