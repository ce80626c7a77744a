//! Conditional interactions and patches: decided in the writer's order, whatever the index lags.

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, IssueCode, ResourceId};
use serde_json::{Value, json};

use super::fixture::{Fixture, admin, encounter, subscription, topic};
use crate::interactions::Aim;
use crate::{
    Caller, Condition, Effect, Error, HistoryOf, HistoryQuery, Kind, Node, Patch, Right,
    SearchIndex, Target, Written,
};

const CRITERIA: &str = "identifier=urn:mrn|1";
/// Clients at the same time.
const CLIENTS: usize = 32;
/// Patches at the same time: more than the rounds of one that others come in between of.
const PATCHES: usize = 100;

fn fixture() -> Fixture {
    Fixture::configured(|config| {
        let codes = ["identifier", "status", "Encounter.date"].map(str::to_owned);
        config.search.index = SearchIndex::Listed(codes.to_vec());
    })
}

fn patient(number: usize) -> Bytes {
    let identifier = json!([{"system": "urn:mrn", "value": number.to_string()}]);
    Bytes::from(json!({"resourceType": "Patient", "identifier": identifier}).to_string())
}

async fn create(node: &Arc<Node>, criteria: &str, body: Bytes) -> Result<Written, Error> {
    node.create_unless_found(&admin(), FhirVersion::R4, ("Patient", criteria), body).await
}

async fn patients(fixture: &Fixture) -> Vec<(String, u64)> {
    let query = HistoryQuery { count: 1_000, ..HistoryQuery::default() };
    let of = HistoryOf::Type("Patient");
    let page = fixture.node.history(&admin(), FhirVersion::R4, of, query).await.unwrap();
    page.changes.iter().map(|one| (one.key.id.to_string(), one.version.get())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_on_one_condition_make_one_resource() {
    let fixture = fixture();
    let creates = (0..CLIENTS).map(|_| {
        let node = fixture.node.clone();
        tokio::spawn(async move { create(&node, CRITERIA, patient(1)).await.unwrap() })
    });
    let creates: Vec<_> = creates.collect();
    let mut effects = Vec::new();
    let mut ids = Vec::new();
    for create in creates {
        let written = create.await.unwrap();
        effects.push(written.effect);
        ids.push(Fixture::id(&written));
    }
    assert_eq!(effects.iter().filter(|one| **one == Effect::Created).count(), 1);
    assert!(effects.iter().all(|one| matches!(one, Effect::Created | Effect::Found)));
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(patients(&fixture).await, [(ids[0].clone(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_patches_all_take_effect() {
    let fixture = fixture();
    let list = json!({"resourceType": "Patient", "id": "p", "address": [{"city": "first"}]});
    fixture.put(&list).await.unwrap();
    let patches = (0..PATCHES).map(|number| {
        let node = fixture.node.clone();
        let value = json!({"city": format!("c{number}")});
        let operations = json!([{"op": "add", "path": "/address/-", "value": value}]);
        tokio::spawn(async move {
            let target = ("Patient", Target::Id("p".to_owned()));
            let patch = Patch::Json(operations);
            node.patch(&admin(), FhirVersion::R4, target, Condition::None, patch).await.unwrap()
        })
    });
    let patches: Vec<_> = patches.collect();
    for patch in patches {
        assert_eq!(patch.await.unwrap().effect, Effect::Updated);
    }
    let read = fixture.node.read(&admin(), FhirVersion::R4, "Patient", "p").await.unwrap();
    let value: Value = serde_json::from_slice(&read.body).unwrap();
    assert_eq!(value["address"].as_array().unwrap().len(), PATCHES + 1, "{value}");
    assert_eq!(read.version.get(), PATCHES as u64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_sees_what_was_written_and_deleted_just_before() {
    let fixture = fixture();
    for round in 0..5 {
        let created = create(&fixture.node, CRITERIA, patient(1)).await.unwrap();
        assert_eq!(created.effect, Effect::Created, "{round}");
        let found = create(&fixture.node, CRITERIA, patient(1)).await.unwrap();
        assert_eq!(found.effect, Effect::Found);
        assert_eq!(Fixture::id(&found), Fixture::id(&created));
        let target = ("Patient", CRITERIA);
        let gone =
            fixture.node.delete_found(&admin(), FhirVersion::R4, target, Condition::None).await;
        assert_eq!(gone.unwrap().effect, Effect::Deleted);
        let again =
            fixture.node.delete_found(&admin(), FhirVersion::R4, target, Condition::None).await;
        assert_eq!(again.unwrap().effect, Effect::Untouched);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_matches_are_refused_and_change_nothing() {
    let fixture = fixture();
    for _ in 0..2 {
        let body: Value = serde_json::from_slice(&patient(1)).unwrap();
        fixture.create(&body).await.unwrap();
    }
    let error = create(&fixture.node, CRITERIA, patient(1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::VersionMismatch);
    assert_eq!(error.issues().0[0].code, IssueCode::SeveralMatches);
    let target = ("Patient", CRITERIA);
    let error = fixture.node.delete_found(&admin(), FhirVersion::R4, target, Condition::None).await;
    assert_eq!(error.unwrap_err().kind(), Kind::VersionMismatch);
    assert_eq!(patients(&fixture).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_holds_after_a_restart_too() {
    let fixture = fixture();
    create(&fixture.node, CRITERIA, patient(1)).await.unwrap();
    let fixture = fixture
        .restart_configured(|config| {
            config.search.index = SearchIndex::Listed(vec!["identifier".to_owned()]);
        })
        .await;
    let found = create(&fixture.node, CRITERIA, patient(1)).await.unwrap();
    assert_eq!(found.effect, Effect::Found);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_without_an_equality_hold_as_well() {
    let fixture = fixture();
    let mut first = encounter("a", "planned", "p");
    first["period"] = json!({"start": "2024-01-01"});
    fixture.put(&first).await.unwrap();
    let mut changed = first.clone();
    changed["status"] = json!("arrived");
    let body = Bytes::from(changed.to_string());
    let target = ("Encounter", "date=ge2023-12-31&date=le2024-01-02");
    let node = &fixture.node;
    let updated =
        node.update_found(&admin(), FhirVersion::R4, target, Condition::None, body).await.unwrap();
    assert_eq!((updated.effect, Fixture::id(&updated)), (Effect::Updated, "a".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_take_the_right_to_read() {
    let fixture = fixture();
    let writer = Caller::new(admin().client().clone(), [Right::Write].into_iter().collect());
    let target = ("Patient", CRITERIA);
    let asked = fixture.node.create_unless_found(&writer, FhirVersion::R4, target, patient(1));
    assert_eq!(asked.await.unwrap_err().kind(), Kind::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_that_cannot_be_decided_are_refused() {
    let fixture = fixture();
    let long = "identifier=1&".repeat(21);
    for criteria in
        ["", "_format=json", "family=x", "nothing=1", "general-practitioner.name=x", &long]
    {
        let error = create(&fixture.node, criteria, patient(1)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{criteria}");
    }
    assert!(patients(&fixture).await.is_empty());
}

#[tokio::test]
async fn a_patch_makes_no_resource_larger_than_a_body_may_be() {
    let fixture = Fixture::configured(|config| config.limits.body_bytes_max = 4_096);
    fixture.put(&json!({"resourceType": "Patient", "id": "p"})).await.unwrap();
    let patch = |bytes: usize| {
        let node = fixture.node.clone();
        let value = json!([{"family": "x".repeat(bytes)}]);
        let patch = Patch::Json(json!([{"op": "add", "path": "/name", "value": value}]));
        let target = ("Patient", Target::Id("p".to_owned()));
        async move { node.patch(&admin(), FhirVersion::R4, target, Condition::None, patch).await }
    };
    patch(3_000).await.unwrap();
    assert_eq!(patch(5_000).await.unwrap_err().kind(), Kind::TooLarge);
}

#[tokio::test]
async fn a_subscription_that_is_not_live_yet_is_found_by_its_owner() {
    let fixture = fixture();
    fixture.put(&topic("t", &[])).await.unwrap();
    let client = |name: &str| {
        Caller::new(ClientName::new(name).unwrap(), [Right::Subscribe].into_iter().collect())
    };
    let mut asked = subscription("t", &[]);
    asked["id"] = json!("s");
    fixture.put_as(&client("mine"), &asked).await.unwrap();
    // As between the moment when a group is durable and the one when it is applied.
    let live = &fixture.node.shared.live;
    let key = live
        .find(crate::bases::base_of(FhirVersion::R4), &ResourceId::new("s").unwrap())
        .unwrap()
        .key;
    live.remove(key).unwrap();
    let selector =
        fixture.node.selector(FhirVersion::R4, "Subscription", "status=requested,active");
    let selector = selector.unwrap();
    for (name, count) in [("mine", 1), ("other", 0)] {
        let selection = fixture.node.selected(&client(name), &selector).unwrap();
        assert_eq!(selection.found.len(), count, "{name}");
    }
}

#[tokio::test]
async fn what_comes_to_no_write_takes_the_right_to_write_as_well() {
    let fixture = fixture();
    let reader = Caller::new(ClientName::new("r").unwrap(), [Right::Read].into_iter().collect());
    fixture.create(&serde_json::from_slice(&patient(1)).unwrap()).await.unwrap();
    let (node, of) = (&fixture.node, ("Patient", CRITERIA));
    let found = node.create_unless_found(&reader, FhirVersion::R4, of, patient(1)).await;
    assert_eq!(found.unwrap_err().kind(), Kind::Forbidden);
    let of = ("Patient", "identifier=urn:mrn|2");
    let none = node.delete_found(&reader, FhirVersion::R4, of, Condition::None).await;
    assert_eq!(none.unwrap_err().kind(), Kind::Forbidden);
}

#[tokio::test]
async fn if_match_with_an_asterisk_takes_a_resource_that_exists() {
    let fixture = fixture();
    let put = || async {
        let body = Bytes::from(json!({"resourceType": "Patient", "id": "p"}).to_string());
        let (of, condition) = (("Patient", "p"), Condition::IfExists);
        fixture.node.update(&admin(), FhirVersion::R4, of, condition, body).await
    };
    assert_eq!(put().await.unwrap_err().kind(), Kind::VersionMismatch);
    fixture.put(&json!({"resourceType": "Patient", "id": "p"})).await.unwrap();
    assert_eq!(put().await.unwrap().effect, Effect::Updated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_not_answered_with_what_does_not_fit_any_more() {
    let fixture = fixture();
    let node = &fixture.node;
    create(node, CRITERIA, patient(1)).await.unwrap();
    let selector = node.selector(FhirVersion::R4, "Patient", CRITERIA).unwrap();
    let selection = node.selected(&admin(), &selector).unwrap();
    let aim = || {
        let condition = Some((&*selector, &selection));
        node.aim_create(FhirVersion::R4, selector.resource_type(), condition)
    };
    assert!(matches!(aim(), Ok(Aim::Nothing(_))));
    let id = selection.found.first().unwrap().id.as_str();
    fixture.put(&json!({"resourceType": "Patient", "id": id})).await.unwrap();
    assert!(aim().is_err_and(|error| error.is_stale()));
}
