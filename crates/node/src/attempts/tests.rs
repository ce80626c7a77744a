//! Bounds and blots.

use cresset_model::Position;

use super::*;

fn key(number: u64) -> SubscriptionKey {
    SubscriptionKey::created_at(Position::new(number).unwrap())
}

fn record(seconds: i64, outcome: AttemptOutcome) -> AttemptRecord {
    AttemptRecord {
        at: Timestamp::from_second(seconds).unwrap(),
        duration: Duration::ZERO,
        notification_type: NotificationType::Heartbeat,
        events: None,
        outcome,
        http_status: None,
        smtp_code: None,
        detail: None,
        response: None,
    }
}

fn attempts(per_subscription: usize, all: usize) -> Attempts {
    let bound = |number| NonZeroUsize::new(number).unwrap();
    Attempts::new(bound(per_subscription), bound(all))
}

fn seconds(attempts: &Attempts, number: u64) -> Vec<i64> {
    attempts.of(key(number)).iter().map(|record| record.at.as_second()).collect()
}

#[test]
fn the_newest_of_each_subscription_and_of_all_are_kept() {
    let attempts = attempts(2, 4);
    for (subscription, second) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
        attempts.record(key(subscription), record(second, AttemptOutcome::Success));
    }
    assert_eq!((seconds(&attempts, 1), seconds(&attempts, 2)), (vec![2, 3], vec![4]));
    for second in 5..8 {
        attempts.record(key(3), record(second, AttemptOutcome::NoResponse));
    }
    assert_eq!(seconds(&attempts, 1), [3], "the oldest of all went first");
    assert_eq!((seconds(&attempts, 2), seconds(&attempts, 3)), (vec![4], vec![6, 7]));
    attempts.forget(key(2));
    assert_eq!(seconds(&attempts, 2), [] as [i64; 0]);
}

#[test]
fn a_million_subscriptions_cost_no_more_than_the_bound() {
    let attempts = attempts(20, 1_000);
    for number in 1..=1_000_000 {
        attempts.record(key(number), record(0, AttemptOutcome::Success));
    }
    let kept = attempts.kept();
    assert_eq!((kept.of.len(), kept.len), (1_000, 1_000));
    assert!(kept.order.len() <= 2_000, "{}", kept.order.len());
}

#[test]
fn one_that_fails_often_pushes_out_nothing_of_the_others() {
    let attempts = attempts(3, 6);
    attempts.record(key(1), record(1, AttemptOutcome::NoResponse));
    for second in 2..1_000 {
        attempts.record(key(2), record(second, AttemptOutcome::NoResponse));
    }
    assert_eq!((seconds(&attempts, 1), seconds(&attempts, 2)), (vec![1], vec![997, 998, 999]));
    assert!(attempts.kept().order.len() <= 12, "what is gone is not remembered for ever");
    // Nor when there is no room left.
    attempts.record(key(3), record(1_000, AttemptOutcome::Success));
    attempts.record(key(4), record(1_001, AttemptOutcome::Success));
    attempts.record(key(2), record(1_002, AttemptOutcome::Success));
    assert_eq!((seconds(&attempts, 1), seconds(&attempts, 2)), (vec![1], vec![998, 999, 1_002]));
    // The oldest goes for one that has no more than its subscription.
    attempts.record(key(5), record(1_003, AttemptOutcome::Success));
    assert_eq!((seconds(&attempts, 1), seconds(&attempts, 5)), (vec![], vec![1_003]));
    attempts.record(key(3), record(1_004, AttemptOutcome::Success));
    assert_eq!(
        (seconds(&attempts, 2), seconds(&attempts, 3)),
        (vec![999, 1_002], vec![1_000, 1_004])
    );
    assert_eq!(attempts.kept().len, 6);
}

#[test]
fn what_is_forgotten_with_its_subscription_leaves_room() {
    let attempts = attempts(2, 2);
    attempts.record(key(1), record(1, AttemptOutcome::Success));
    attempts.record(key(2), record(2, AttemptOutcome::Success));
    attempts.forget(key(1));
    attempts.record(key(3), record(3, AttemptOutcome::Success));
    assert_eq!((seconds(&attempts, 2), seconds(&attempts, 3)), (vec![2], vec![3]));
}

#[test]
fn what_an_endpoint_repeats_of_secrets_is_blotted_out() {
    let secrets = ["Bearer s3cr3t-token", "key=hidden&a=b"];
    for (text, expected) in [
        ("all is well", "all is well"),
        ("got Bearer s3cr3t-token from you", "got […] from you"),
        ("token s3cr3t-token, query hidden", "token […], query […]"),
        ("cut at s3cr3t-to", "cut at […]"),
    ] {
        assert_eq!(without_secrets(text, secrets.into_iter()), expected);
    }
}
