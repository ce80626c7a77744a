//! Which changes become events of whom, and in which order that takes effect.

use cresset_definitions::FhirVersion;
use cresset_model::VersionId;
use serde_json::json;

use super::fixture::{Fixture, admin, encounter, subscription, topic};
use crate::{Condition, Effect, Kind, Representation};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_an_event_of_the_subscriptions_that_were_there_before_it() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let topic_id = "any";
    fixture.put(&encounter("before", "planned", "p")).await.unwrap();
    let all = fixture.subscribe(topic_id, &[]).await;
    let one = fixture.subscribe(topic_id, &["Encounter?patient=Patient/p"]).await;
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.put(&encounter("b", "planned", "q")).await.unwrap();
    assert_eq!(fixture.delete("Encounter", "a").await, Effect::Deleted);
    let expected = |ids: &[&str]| -> Vec<(u64, String)> {
        (1..).zip(ids).map(|(number, id)| (number, format!("Encounter/{id}"))).collect()
    };
    assert_eq!(fixture.events(&all).await, expected(&["a", "b", "a"]));
    assert_eq!(fixture.events(&one).await, expected(&["a", "a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_refused_is_no_event() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let wrong = Condition::IfMatch(VersionId::new(7).unwrap());
    let refused = fixture.put_if(&encounter("a", "arrived", "p"), wrong).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::VersionMismatch);
    assert_eq!(fixture.delete("Encounter", "nobody").await, Effect::Untouched);
    assert_eq!(fixture.status(&id).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_all_or_nothing_and_one_event_per_entry() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let entry = |resource: serde_json::Value, url: &str| json!({"resource": resource, "request": {"method": "PUT", "url": url}});
    let bundle = |second: serde_json::Value| {
        json!({
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [entry(encounter("a", "planned", "p"), "Encounter/a"), second],
        })
    };
    let send = |bundle: serde_json::Value| {
        let bytes = bytes::Bytes::from(bundle.to_string());
        let node = fixture.node.clone();
        async move { node.bundle(&admin(), FhirVersion::R4, bytes, Representation::None).await }
    };
    let mut stale = entry(encounter("b", "planned", "p"), "Encounter/b");
    stale["request"]["ifMatch"] = json!("W/\"3\"");
    assert_eq!(send(bundle(stale)).await.unwrap_err().kind(), Kind::VersionMismatch);
    let missing = fixture.node.read(&admin(), FhirVersion::R4, "Encounter", "a").await;
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(fixture.status(&id).1, 0);
    send(bundle(entry(encounter("b", "planned", "p"), "Encounter/b"))).await.unwrap();
    assert_eq!(fixture.status(&id).1, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_on_after_a_restart() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &["Encounter?patient=Patient/p"]).await;
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let fixture = fixture.restart().await;
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    fixture.put(&encounter("c", "planned", "q")).await.unwrap();
    let events = fixture.events(&id).await;
    assert_eq!(events, [(1, "Encounter/a".to_owned()), (2, "Encounter/b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_created_again_under_its_id_counts_from_one() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let mut wanted = subscription("any", &[]);
    wanted["id"] = json!("s");
    fixture.put(&wanted).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.delete("Subscription", "s").await, Effect::Deleted);
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    fixture.put(&wanted).await.unwrap();
    fixture.put(&encounter("c", "planned", "p")).await.unwrap();
    assert_eq!(fixture.events("s").await, [(1, "Encounter/c".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_is_neither_evaluated_nor_counted_and_still_answers() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let mut wanted = subscription("any", &[]);
    wanted["id"] = json!("s");
    fixture.put(&wanted).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    wanted["status"] = json!("off");
    fixture.put(&wanted).await.unwrap();
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status("s"), ("off".to_owned(), 1, Vec::new()));
    wanted["status"] = json!("requested");
    fixture.put(&wanted).await.unwrap();
    fixture.put(&encounter("c", "planned", "p")).await.unwrap();
    let events = fixture.events("s").await;
    assert_eq!(events, [(1, "Encounter/a".to_owned()), (2, "Encounter/c".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_cannot_be_evaluated_lets_nothing_through_and_fails_no_write() {
    let fixture = Fixture::new();
    // Two items where one boolean is asked for: an error on every update (TR-19).
    let union = "(%previous.empty() | (%previous.status != 'x')) and %current.exists()";
    let criteria = json!({"url": "fhirPathCriteria", "valueString": union});
    fixture.create(&topic("union", &[criteria])).await.unwrap();
    let id = fixture.subscribe("union", &[]).await;
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).1, 1, "on create there is one item");
    let updated = fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    assert_eq!(updated.effect, Effect::Updated);
    assert_eq!(fixture.status(&id).1, 1);
}
