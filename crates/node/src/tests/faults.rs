//! What happens to writes and to the state in memory when the store fails.

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::{EventNumber, SubscriptionStatus};
use cresset_store::Store as _;
use serde_json::{Value, json};

use super::fixture::{Fault, Fixture, admin, config, encounter, subscription, topic};
use crate::intent::{Job, StatusChange};
use crate::shared::Shared;
use crate::upkeep::write_cursors;
use crate::writer::{Writer, WriterHandle};
use crate::{Brokers, Condition, Kind, Node};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_not_in_force() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let kept = fixture.subscribe("any", &[]).await;
    fixture.store.fail_next(Fault::Unavailable);
    let refused = fixture.create(&subscription("any", &[])).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    fixture.store.fail_next(Fault::Unavailable);
    let refused = fixture.put(&encounter("a", "planned", "p")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert_eq!(fixture.status(&kept).1, 0);
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!(fixture.events(&kept).await, [(1, "Encounter/b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_is_read_back_before_the_next() {
    for (fault, done) in [(Fault::UnknownDone, true), (Fault::UnknownNotDone, false)] {
        let fixture = Fixture::new();
        fixture.create(&topic("any", &[])).await.unwrap();
        let id = fixture.subscribe("any", &[]).await;
        fixture.store.fail_next(fault);
        let error = fixture.put(&encounter("a", "planned", "p")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "it may have been done");
        fixture.put(&encounter("b", "planned", "p")).await.unwrap();
        let focus: Vec<String> =
            fixture.events(&id).await.into_iter().map(|(_, focus)| focus).collect();
        let expected: &[&str] =
            if done { &["Encounter/a", "Encounter/b"] } else { &["Encounter/b"] };
        assert_eq!(focus, expected, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_status_that_could_not_be_made_is_made_with_the_next_group() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let live = fixture.live(&id);
    let change = StatusChange {
        subscription: live.key,
        revision: live.state().revision,
        to: SubscriptionStatus::Off,
        error: None,
        supersedes: false,
    };
    fixture.store.fail_subscriptions(true);
    // Asked for again, it is the same.
    for change in [change.clone(), change] {
        fixture.node.writer.send(Job::Status(change)).await.unwrap();
    }
    // The writer has got as far as this.
    fixture.node.writer.record(Vec::new()).await.unwrap();
    fixture.store.fail_subscriptions(false);
    assert_eq!(fixture.status(&id).0, "active");
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).0, "off");
    let read = fixture.node.read(&admin(), FhirVersion::R4, "Subscription", &id).await.unwrap();
    let stored: Value = serde_json::from_slice(&read.body).unwrap();
    assert_eq!(stored["meta"]["versionId"], "2", "active, and off once");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_that_the_store_refused_are_written_with_the_next() {
    for fault in [Fault::Unavailable, Fault::UnknownDone, Fault::UnknownNotDone] {
        let fixture = Fixture::new();
        fixture.create(&topic("any", &[])).await.unwrap();
        let id = fixture.subscribe("any", &[]).await;
        fixture.put(&encounter("a", "planned", "p")).await.unwrap();
        let key = fixture.live(&id).key;
        let node = &fixture.node;
        node.shared.cursors.note(key, EventNumber::FIRST);
        fixture.store.fail_next(fault);
        write_cursors(&node.shared, &node.writer).await;
        write_cursors(&node.shared, &node.writer).await;
        let record = fixture.store.subscription(key).unwrap().expect("a subscription");
        assert_eq!(record.cursor, Some(EventNumber::FIRST), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_client_switched_off_stays_off_though_nobody_knew_whether_that_was_written() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let mut asked = subscription("any", &[]);
    asked["id"] = json!("s");
    asked["channel"]["type"] = json!("rest-hook");
    asked["channel"]["endpoint"] = json!("http://127.0.0.1:8089/hook");
    fixture.put(&asked).await.unwrap();
    assert_eq!(fixture.status("s").0, "requested");
    let clock = fixture.clock.clone();
    let store = fixture.stop().await;
    let shared = Arc::new(Shared::new(config(), Brokers::default(), store.clone(), clock));
    let writer = Writer::new(shared.clone()).unwrap();
    let (handle, mut jobs) = WriterHandle::new(1);
    let node = Node { shared: shared.clone(), writer: handle };
    asked["status"] = json!("off");
    let bytes = Bytes::from(asked.to_string());
    let switching = tokio::spawn(async move {
        let target = ("Subscription", "s");
        node.update(&admin(), FhirVersion::R4, target, Condition::None, bytes).await
    });
    let live = shared.live.all().pop().unwrap();
    let change = StatusChange {
        subscription: live.key,
        revision: live.state().revision,
        to: SubscriptionStatus::Active,
        error: None,
        supersedes: false,
    };
    // Both wait before the writer begins, so they are one group.
    let (queue, group) = WriterHandle::new(2);
    queue.send(jobs.recv().await.expect("the update")).await.unwrap();
    queue.send(Job::Status(change)).await.unwrap();
    store.fail_next(Fault::UnknownDone);
    let writing = tokio::task::spawn_blocking(move || writer.run(group));
    assert_eq!(switching.await.unwrap().unwrap_err().kind(), Kind::Timeout);
    // The next group reads back what became of it, and has the change of status, which was kept.
    queue.record(Vec::new()).await.unwrap();
    assert_eq!(live.state().status, SubscriptionStatus::Off);
    drop(queue);
    writing.await.unwrap();
}
