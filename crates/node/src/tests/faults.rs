//! What happens to writes and to the state in memory when the store fails.

use cresset_model::SubscriptionStatus;

use super::fixture::{Fault, Fixture, encounter, subscription, topic};
use crate::Kind;
use crate::intent::{Job, StatusChange};

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
    fixture.node.writer.send(Job::Status(change)).await.unwrap();
    // The writer has got as far as this.
    fixture.node.writer.record(Vec::new()).await.unwrap();
    fixture.store.fail_subscriptions(false);
    assert_eq!(fixture.status(&id).0, "active");
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(fixture.status(&id).0, "off");
}
