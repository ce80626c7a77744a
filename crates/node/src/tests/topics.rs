//! Topics that come, change and go under the subscriptions that use them.

use cresset_definitions::FhirVersion;
use serde_json::json;

use super::fixture::{Fixture, admin, encounter, subscription, topic};
use crate::{Effect, Kind, Representation, TopicFile};

fn only(interaction: &str) -> serde_json::Value {
    json!({"url": "supportedInteraction", "valueCode": interaction})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_topic_is_in_force_for_the_subscriptions_it_has() {
    let fixture = Fixture::new();
    fixture.put(&topic("any", &[only("create")])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    fixture.put(&topic("any", &[only("update")])).await.unwrap();
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    fixture.put(&encounter("b", "arrived", "p")).await.unwrap();
    let events = fixture.events(&id).await;
    assert_eq!(events, [(1, "Encounter/a".to_owned()), (2, "Encounter/b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_whose_topic_goes_leaves_active_with_the_reason() {
    let fixture = Fixture::new();
    fixture.put(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    assert_eq!(fixture.delete("Basic", "any").await, Effect::Deleted);
    let (status, _, errors) = fixture.status(&id);
    assert_eq!(status, "error");
    assert!(errors.iter().any(|error| error.contains("topic")), "{errors:?}");
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).1, 0);
    let fixture = fixture.restart().await;
    assert_eq!(fixture.status(&id).0, "error");
    let refused = fixture.create(&subscription("any", &[])).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unprocessable);
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_files_are_loaded_once_and_go_with_their_file() {
    let fixture = Fixture::new();
    let file = |id: &str| TopicFile {
        name: format!("{id}.json"),
        bytes: json!({
            "resourceType": "SubscriptionTopic",
            "id": id,
            "url": format!("http://test/topic/{id}"),
            "status": "active",
            "resourceTrigger": [{"resource": "Encounter"}],
        })
        .to_string()
        .into(),
        version: None,
    };
    let broken = TopicFile { name: "bad.json".to_owned(), bytes: "{".into(), version: None };
    let problems = fixture.node.load_topics(&[file("one"), file("two"), broken]).await.unwrap();
    assert!(problems.iter().all(|problem| problem.name == "bad.json"), "{problems:?}");
    assert_eq!(problems.len(), 3, "one for each base");
    let head = fixture.node.shared.head();
    let id = fixture.subscribe("two", &[]).await;
    assert!(fixture.node.load_topics(&[file("one"), file("two")]).await.unwrap().is_empty());
    assert_eq!(fixture.node.shared.head().map(|head| head.get()), head.map(|head| head.get() + 1));
    fixture.node.load_topics(&[file("one")]).await.unwrap();
    assert_eq!(fixture.status(&id).0, "error");
    fixture.subscribe("one", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_about_subscriptions_is_refused() {
    let fixture = Fixture::new();
    let mut about = topic("subs", &[]);
    about["extension"][1]["extension"][0]["valueUri"] = json!("Subscription");
    about["extension"][2]["extension"][0]["valueUri"] = json!("Subscription");
    about["extension"][2]["extension"][1]["valueString"] = json!("status");
    let refused = fixture.create(&about).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unprocessable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_comes_back_binds_those_that_lost_it() {
    let fixture = Fixture::new();
    fixture.put(&topic("any", &[])).await.unwrap();
    fixture.put(&topic("other", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    fixture.delete("Basic", "any").await;
    let fixture = fixture.restart().await;
    // Another topic is nothing to it.
    fixture.put(&topic("other", &[only("create")])).await.unwrap();
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).1, 0);
    fixture.put(&topic("any", &[])).await.unwrap();
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!(fixture.events(&id).await, [(1, "Encounter/b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_moved_in_the_group_that_changes_its_new_topic_gets_the_new_one() {
    let fixture = Fixture::new();
    fixture.put(&topic("one", &[])).await.unwrap();
    fixture.put(&topic("two", &[])).await.unwrap();
    let id = fixture.subscribe("one", &[]).await;
    let mut moved = subscription("two", &[]);
    moved["id"] = id.clone().into();
    let entry = |resource: serde_json::Value| {
        let url = format!(
            "{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        );
        json!({"resource": resource, "request": {"method": "PUT", "url": url}})
    };
    let entries = [entry(moved), entry(topic("two", &[only("update")]))];
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let bytes = bundle.to_string().into();
    let answer =
        fixture.node.bundle(&admin(), FhirVersion::R4, bytes, Representation::None).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("transaction-response"));
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).1, 0, "a create is no event of it any more");
    fixture.put(&encounter("a", "arrived", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).1, 1);
}
