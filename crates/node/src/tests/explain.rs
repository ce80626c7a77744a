//! `$explain`: what it answers, to whom, and that it agrees with what happened.

use cresset_definitions::FhirVersion;
use cresset_fhir::ExplainInput;
use cresset_model::{ClientName, Interaction};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fixture::{Fixture, admin, encounter, topic};
use crate::{Caller, Explained, Kind, Right};

fn ended() -> Value {
    json!({"url": "queryCriteria", "extension": [
        {"url": "previous", "valueString": "status:not=finished"},
        {"url": "resultForCreate", "valueCode": "test-passes"},
        {"url": "current", "valueString": "status=finished"},
        {"url": "requireBoth", "valueBoolean": true},
    ]})
}

impl Fixture {
    async fn explained(&self, on: (&str, &str), input: ExplainInput) -> Value {
        let answer = self.node.explain(&admin(), FhirVersion::R4, on, input).await;
        serde_json::from_slice(&answer.unwrap_or_else(|error| panic!("{error}"))).unwrap()
    }
}

fn value(parts: &Value, name: &str) -> Value {
    let parts = parts["parameter"].as_array().or(parts["part"].as_array()).unwrap();
    let part = parts.iter().find(|one| one["name"] == name).and_then(Value::as_object);
    let value = part.and_then(|part| part.iter().find(|(name, _)| name.starts_with("value")));
    value.map_or(Value::Null, |(_, value)| value.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_of_each_stored_change_what_happened_to_it() {
    let fixture = Fixture::new();
    fixture.put(&topic("ended", &[ended()])).await.unwrap();
    let id = fixture.subscribe("ended", &["Encounter?patient=Patient/p"]).await;
    for (encounter_id, status, patient) in [
        ("a", "planned", "p"),
        ("a", "finished", "p"),
        ("a", "finished", "p"),
        ("b", "finished", "q"),
        ("c", "finished", "p"),
        ("a", "planned", "p"),
    ] {
        fixture.put(&encounter(encounter_id, status, patient)).await.unwrap();
    }
    fixture.delete("Encounter", "c").await;
    let mut told = Vec::new();
    for focus in ["a/_history/1", "a/_history/2", "a/_history/3", "b", "c/_history/1", "a", "c"] {
        let focus = ExplainInput::Focus(format!("Encounter/{focus}"));
        let answer = fixture.explained(("Subscription", &id), focus).await;
        told.push((
            value(&answer, "verdict").as_str() == Some("holds"),
            value(&answer, "interaction"),
        ));
    }
    let codes = ["create", "update", "update", "create", "create", "update", "delete"];
    let fires = [false, true, false, false, true, false, false];
    let expected: Vec<_> = fires.into_iter().zip(codes.map(Value::from)).collect();
    assert_eq!(told, expected);
    assert_eq!(
        fixture.events(&id).await,
        [(1, "Encounter/a".to_owned()), (2, "Encounter/c".to_owned())]
    );
    let newest = fixture.explained(("Subscription", &id), ExplainInput::Changes(100)).await;
    assert_eq!(
        (value(&newest, "looked-at"), value(&newest, "concerned"), value(&newest, "events")),
        (json!(9), json!(7), json!(2))
    );
    let changes: Vec<_> = newest["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["name"] == "change")
        .map(|one| value(one, "focus"))
        .collect();
    assert_eq!(changes, ["Encounter/a/_history/2", "Encounter/c/_history/1"]);
    let three = fixture.explained(("Subscription", &id), ExplainInput::Changes(3)).await;
    assert_eq!((value(&three, "looked-at"), value(&three, "events")), (json!(3), json!(1)));
    let topic = fixture.explained(("Basic", "ended"), ExplainInput::Changes(100)).await;
    assert_eq!(value(&topic, "events"), 3, "all patients: {topic}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_changes_go_back_to_the_oldest_looked_at_however_few_are_shown() {
    let fixture = Fixture::new();
    let start = fixture.clock.now().as_second();
    let at = |second: i64| Timestamp::from_second(start + second).unwrap();
    fixture.put(&topic("t", &[])).await.unwrap();
    for second in 1..=120 {
        fixture.clock.set(at(second));
        fixture.put(&encounter("e", "planned", "p")).await.unwrap();
    }
    for (count, second, looked_at, events) in [(200, 0, 121, 120), (110, 11, 110, 110)] {
        let input = ExplainInput::Changes(count);
        let on = ("Basic", "t");
        let explained = fixture.node.explained(&admin(), FhirVersion::R4, on, input).await;
        let Ok(Explained::Changes { found, since }) = explained else { panic!("{count} changes") };
        assert_eq!((found.looked_at, found.events), (looked_at, events));
        assert_eq!((since, found.changes.len()), (Some(at(second)), 100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_never_was_is_explained_from_its_states() {
    let fixture = Fixture::new();
    let criteria = json!({"url": "fhirPathCriteria", "valueString":
        "%previous.exists() and %current.subject.resolve().active = true"});
    fixture.put(&topic("active", &[criteria])).await.unwrap();
    let id = fixture.subscribe("active", &["patient=Patient/p"]).await;
    let states = |patient: &str| ExplainInput::States {
        previous: Some(encounter("x", "planned", patient)),
        current: Some(encounter("x", "planned", patient)),
    };
    let verdict = async |patient: &str| {
        let answer = fixture.explained(("Subscription", &id), states(patient)).await;
        value(&answer, "verdict").as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("p").await, "fails", "there is no such patient");
    fixture.put(&json!({"resourceType": "Patient", "id": "p", "active": true})).await.unwrap();
    assert_eq!(verdict("p").await, "holds");
    assert_eq!(verdict("q").await, "fails");
    let answer = fixture.explained(("Subscription", &id), states("q")).await;
    let filters: Vec<_> = answer["parameter"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["name"] == "filter")
        .collect();
    assert_eq!(value(filters[0], "value"), r#"{"reference":"Patient/q"}"#);
    let element = value(filters[0], "element");
    assert!(
        element.as_str().unwrap().starts_with("Subscription.criteria.extension[0]"),
        "{element}"
    );
    assert_eq!(fixture.status(&id).1, 0, "explaining is no event");
    assert_eq!(Interaction::Update.code(), value(&answer, "interaction"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_whom_the_subscription_belongs_to_and_who_may_read() {
    let fixture = Fixture::new();
    fixture.put(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let caller = |name: &str, rights: &[Right]| {
        Caller::new(ClientName::new(name).unwrap(), rights.iter().copied().collect())
    };
    let both = [Right::Read, Right::Subscribe];
    for (caller, on, kind) in [
        (
            caller("admin", &[Right::Subscribe]),
            ("Subscription", id.as_str()),
            Some(Kind::Forbidden),
        ),
        (caller("admin", &[Right::Read]), ("Subscription", id.as_str()), Some(Kind::Forbidden)),
        (caller("other", &both), ("Subscription", id.as_str()), Some(Kind::NotFound)),
        (caller("admin", &both), ("Subscription", "nobody"), Some(Kind::NotFound)),
        (caller("admin", &both), ("Subscription", id.as_str()), None),
        (caller("other", &[Right::Read]), ("Basic", "any"), None),
        (caller("other", &both), ("Basic", "none"), Some(Kind::NotFound)),
        (caller("other", &both), ("Encounter", "any"), Some(Kind::NotFound)),
    ] {
        let found =
            fixture.node.explain(&caller, FhirVersion::R4, on, ExplainInput::Changes(10)).await;
        assert_eq!(found.err().map(|error| error.kind()), kind, "{caller:?} {on:?}");
    }
    let states = |resource_type: &str| ExplainInput::States {
        previous: None,
        current: Some(json!({"resourceType": resource_type})),
    };
    for (input, kind) in [
        (states("Subscription"), Kind::Unprocessable),
        (states("Nothing"), Kind::Malformed),
        (ExplainInput::Focus("Encounter/none".to_owned()), Kind::NotFound),
        (ExplainInput::Focus("nonsense".to_owned()), Kind::NotFound),
        (ExplainInput::Focus(format!("Subscription/{id}")), Kind::Unprocessable),
        (
            ExplainInput::States {
                previous: Some(encounter("a", "planned", "p")),
                current: Some(json!({"resourceType": "Patient"})),
            },
            Kind::Malformed,
        ),
    ] {
        let found =
            fixture.node.explain(&admin(), FhirVersion::R4, ("Subscription", &id), input).await;
        assert_eq!(found.err().map(|error| error.kind()), Some(kind));
    }
}
