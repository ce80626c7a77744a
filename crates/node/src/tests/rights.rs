//! Who may ask about other resources than the one that changed: by filters, and by triggers.

use cresset_definitions::FhirVersion;
use cresset_model::ClientName;
use serde_json::{Value, json};

use super::fixture::{Fault, Fixture, admin, encounter, offering, subscription, topic};
use crate::{Authentication, Caller, Kind, Right, TokenHash};

const OFFERS: [&str; 5] =
    ["patient.gender", "patient in", "_has:Observation:encounter:status", "class in", "status"];

/// What asks about others, by each way there is.
const ASKING: [&str; 4] = [
    "patient.gender=female",
    "patient:in=Group/g",
    "_has:Observation:encounter:status=final",
    "class:in=ValueSet/v",
];

fn client(name: &str, rights: &[Right]) -> Caller {
    Caller::new(ClientName::new(name).unwrap(), rights.iter().copied().collect())
}

fn tokens(callers: &[&Caller]) -> Authentication {
    let known = callers.iter().map(|one| (TokenHash::of(one.client().as_str()), (*one).clone()));
    Authentication::tokens(known)
}

fn offered() -> Value {
    let mut topic = topic("any", &[]);
    topic["extension"].as_array_mut().unwrap().extend(OFFERS.iter().map(|text| offering(text)));
    topic
}

fn asking(id: &str, filter: &str) -> Value {
    let mut asked = subscription("any", &[filter]);
    asked["id"] = json!(id);
    asked
}

async fn with_sets(fixture: &Fixture) {
    fixture.put(&offered()).await.unwrap();
    fixture
        .put(&json!({"resourceType": "Group", "id": "g", "type": "person", "actual": true}))
        .await
        .unwrap();
    fixture.put(&json!({"resourceType": "ValueSet", "id": "v", "status": "active"})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_look_at_other_resources_take_the_right_to_read() {
    let seeing = client("seeing", &[Right::Subscribe, Right::Read]);
    let blind = client("blind", &[Right::Subscribe]);
    let fixture = Fixture::configured(|config| config.authentication = tokens(&[&seeing, &blind]));
    with_sets(&fixture).await;
    for (number, filter) in ASKING.into_iter().enumerate() {
        let (mine, other) = (format!("mine{number}"), format!("other{number}"));
        fixture.put_as(&seeing, &asking(&mine, filter)).await.unwrap();
        let refused = fixture.put_as(&blind, &asking(&other, filter)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden, "{filter}");
        assert!(refused.issues().to_string().contains("'read'"), "{refused}");
        let at = refused.issues().0[0].expression.as_deref().unwrap();
        assert!(at.starts_with("Subscription.criteria"), "{at}");
    }
    // A refusal tells nothing of whether the set is there.
    let absent = asking("absent", "patient:in=Group/nobody");
    assert_eq!(fixture.put_as(&blind, &absent).await.unwrap_err().kind(), Kind::Forbidden);
    // What asks only about the focus takes no more than it did.
    fixture.put_as(&blind, &asking("plain", "status=planned")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_gives_nobody_a_filter_that_the_owner_may_not_have() {
    let blind = client("blind", &[Right::Subscribe]);
    let fixture = Fixture::configured(|config| config.authentication = tokens(&[&blind]));
    with_sets(&fixture).await;
    fixture.put_as(&blind, &asking("s", "status=planned")).await.unwrap();
    let refused = fixture.put_as(&admin(), &asking("s", ASKING[0])).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    fixture.put(&encounter("e", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status("s").1, 1, "what was refused changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_loses_the_right_to_read_is_told_nothing_by_such_filters_any_more() {
    let before = client("ward", &[Right::Subscribe, Right::Read]);
    let after = client("ward", &[Right::Subscribe]);
    let fixture = Fixture::configured(|config| config.authentication = tokens(&[&before]));
    with_sets(&fixture).await;
    fixture.put(&json!({"resourceType": "Patient", "id": "p", "gender": "female"})).await.unwrap();
    fixture.put_as(&before, &asking("asking", ASKING[0])).await.unwrap();
    fixture.put_as(&before, &asking("plain", "status=planned")).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let fixture =
        fixture.restart_configured(|config| config.authentication = tokens(&[&after])).await;
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!((fixture.status("asking").1, fixture.status("plain").1), (1, 2));
    let told = fixture.status("asking").2;
    assert!(told[0].contains("'read'"), "{told:?}");
    // Nor when its topic is written anew.
    fixture.put(&offered()).await.unwrap();
    fixture.put(&encounter("c", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status("asking").0, "error");
    assert_eq!((fixture.status("asking").1, fixture.status("plain").1), (1, 3));
    let fixture =
        fixture.restart_configured(|config| config.authentication = tokens(&[&before])).await;
    fixture.put_as(&before, &asking("asking", ASKING[0])).await.unwrap();
    fixture.put(&encounter("d", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status("asking").1, 2, "it may ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_was_lost_is_missed_though_the_store_fails_at_the_start() {
    for fault in [Fault::Unavailable, Fault::UnknownDone, Fault::UnknownNotDone] {
        let before = client("ward", &[Right::Subscribe, Right::Read]);
        let after = client("ward", &[Right::Subscribe]);
        let fixture = Fixture::configured(|config| config.authentication = tokens(&[&before]));
        with_sets(&fixture).await;
        fixture.put_as(&before, &asking("s", ASKING[0])).await.unwrap();
        fixture.store.fail_next(fault);
        let fixture =
            fixture.restart_configured(|config| config.authentication = tokens(&[&after])).await;
        // By now the writer has read what the store holds.
        fixture.put(&encounter("a", "planned", "p")).await.unwrap();
        assert_eq!(fixture.status("s").0, "error");
        let read = fixture.node.read(&admin(), FhirVersion::R4, "Subscription", "s").await;
        let stored: Value = serde_json::from_slice(&read.unwrap().body).unwrap();
        assert_eq!(stored["status"], "error", "{fault:?}");
        assert_eq!(stored["meta"]["versionId"], "2", "{fault:?}: once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_look_at_other_resources_are_written_by_who_may_read() {
    let seeing = client("seeing", &[Right::Topics, Right::Read]);
    let blind = client("blind", &[Right::Topics]);
    let subscriber = client("subscriber", &[Right::Subscribe]);
    let fixture = Fixture::configured(|config| {
        config.authentication = tokens(&[&seeing, &blind, &subscriber]);
    });
    let fhir_path = |text: &str| json!({"url": "fhirPathCriteria", "valueString": text});
    let query = |text: &str| json!({"url": "queryCriteria", "extension": [{"url": "current", "valueString": text}]});
    for criteria in [
        fhir_path("%current.subject.resolve().gender = 'female'"),
        fhir_path("%current.participant.individual.where(resolve() is Practitioner).exists()"),
        query("patient.gender=female"),
        query("status=planned&_has:Observation:encounter:status=final"),
    ] {
        let topic = topic("any", std::slice::from_ref(&criteria));
        let refused = fixture.put_as(&blind, &topic).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden, "{criteria}");
        assert!(refused.issues().to_string().contains("'read'"), "{refused}");
        fixture.put_as(&seeing, &topic).await.unwrap();
    }
    for criteria in [fhir_path("%current.status = 'planned'"), query("status=planned")] {
        fixture.put_as(&blind, &topic("plain", &[criteria])).await.unwrap();
    }
    // Whoever may subscribe may know what its author has the topic tell.
    fixture.put_as(&seeing, &topic("any", &[query("patient.gender=female")])).await.unwrap();
    fixture.put(&json!({"resourceType": "Patient", "id": "p", "gender": "female"})).await.unwrap();
    let mut asked = subscription("any", &[]);
    asked["id"] = json!("s");
    fixture.put_as(&subscriber, &asked).await.unwrap();
    fixture.put(&encounter("e", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status("s").1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_as_criteria_takes_the_right_to_read() {
    let before = client("ward", &[Right::Subscribe, Right::Read]);
    let blind = client("blind", &[Right::Subscribe]);
    let after = client("ward", &[Right::Subscribe]);
    let fixture = Fixture::configured(|config| config.authentication = tokens(&[&before, &blind]));
    let classic = |id: &str| {
        let mut asked = subscription("any", &[]);
        let members = asked.as_object_mut().unwrap();
        members.retain(|name, _| !matches!(name.as_str(), "_criteria" | "meta"));
        asked["id"] = json!(id);
        asked["criteria"] = json!("Encounter?status=planned");
        asked["channel"] = json!({"type": "websocket"});
        asked
    };
    let refused = fixture.put_as(&blind, &classic("theirs")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    assert!(refused.issues().to_string().contains("'read'"), "{refused}");
    fixture.put_as(&before, &classic("s")).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let fixture =
        fixture.restart_configured(|config| config.authentication = tokens(&[&after])).await;
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status("s").1, 1, "who may not read any more is told nothing more");
}
