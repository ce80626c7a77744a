//! Cases of retention (RQ-OP-22).

use cresset_model::SubscriptionKey;

use super::{Builder, Fixture, at, number};
use crate::{Entry, Forgotten, Retention, Store};

/// Appends three subscriptions with 10, 5 and 0 events, and ends the second.
fn fill(fixture: &mut impl Fixture) -> (Builder, [SubscriptionKey; 3]) {
    let mut build = Builder::new();
    let (first, a) = build.begin("Subscription/a");
    let (second, b) = build.begin("Subscription/b");
    let (third, c) = build.begin("Subscription/c");
    let mut entries: Vec<Entry> = vec![first, second, third];
    entries.extend((0..5).map(|_| build.events(&[a])));
    entries.extend((0..5).map(|_| build.events(&[a, b])));
    entries.push(build.end("Subscription/b", b));
    fixture.store().append(&entries.into()).unwrap();
    (build, [a, b, c])
}

fn kept(store: &dyn Store, subscription: SubscriptionKey) -> Vec<u64> {
    let events = store.events(subscription, number(1), number(1_000_000), 100_000).unwrap();
    events.iter().map(|event| event.number.get()).collect()
}

/// Calls until the sweep is through.
fn sweep(store: &dyn Store, retention: &Retention, limit: usize) -> Forgotten {
    let mut sum = Forgotten::default();
    for _ in 0..1_000 {
        let done = store.forget(retention, limit).unwrap();
        assert!(done.events <= limit as u64 && done.tokens <= limit as u64);
        sum.events += done.events;
        sum.subscriptions += done.subscriptions;
        if done.finished {
            return Forgotten { finished: true, ..sum };
        }
    }
    panic!("forgetting does not end");
}

/// Events of changes before a time go.
pub fn forgetting_by_age_takes_the_oldest(fixture: &mut impl Fixture) {
    let (_, [a, b, _]) = fill(fixture);
    let retention = Retention { events_before: Some(at(10)), ..Retention::default() };
    let done = sweep(fixture.store(), &retention, 100);
    // Positions 4 to 9 are before: six of a, one of b.
    assert_eq!((done.events, done.subscriptions), (7, 0));
    for _ in 0..2 {
        assert_eq!(kept(fixture.store(), a), [7, 8, 9, 10]);
        assert_eq!(kept(fixture.store(), b), [2, 3, 4, 5]);
        let record = fixture.store().subscription(a).unwrap().unwrap();
        assert_eq!((record.events, record.oldest), (10, Some(number(7))));
        fixture.reopen();
    }
    assert_eq!(sweep(fixture.store(), &retention, 100).events, 0);
}

/// The newest of each subscription stay.
pub fn forgetting_by_count_keeps_the_newest(fixture: &mut impl Fixture) {
    let (_, [a, b, c]) = fill(fixture);
    let retention = Retention { events_per_subscription_max: Some(3), ..Retention::default() };
    assert_eq!(sweep(fixture.store(), &retention, 100).events, 7 + 2);
    fixture.reopen();
    assert_eq!(kept(fixture.store(), a), [8, 9, 10]);
    assert_eq!(kept(fixture.store(), b), [3, 4, 5]);
    assert_eq!(fixture.store().subscription(c).unwrap().unwrap().oldest, None);
}

/// Numbers go on after everything was forgotten, also across restarts.
pub fn forgetting_never_renumbers(fixture: &mut impl Fixture) {
    let (mut build, [a, _, c]) = fill(fixture);
    let retention = Retention { events_per_subscription_max: Some(0), ..Retention::default() };
    sweep(fixture.store(), &retention, 100);
    for expected in 11..15 {
        let record = fixture.store().subscription(a).unwrap().unwrap();
        assert_eq!((record.events, record.oldest), (expected - 1, None));
        let events = fixture.store().append(&build.events(&[a, c]).into()).unwrap().events;
        assert_eq!(events[0].number, number(expected));
        assert_eq!(kept(fixture.store(), a), [expected]);
        let record = fixture.store().subscription(a).unwrap().unwrap();
        assert_eq!((record.events, record.oldest), (expected, Some(number(expected))));
        if expected % 2 == 0 {
            fixture.reopen();
        }
        assert_eq!(sweep(fixture.store(), &retention, 100).events, 2);
        if expected % 3 == 0 {
            fixture.reopen();
        }
        assert_eq!(kept(fixture.store(), a), [0; 0]);
    }
}

/// An ended subscription without events is of no use to anybody; one that lives stays.
pub fn ended_subscriptions_go_with_their_last_event(fixture: &mut impl Fixture) {
    let (mut build, [a, b, c]) = fill(fixture);
    let retention = Retention { events_per_subscription_max: Some(0), ..Retention::default() };
    assert_eq!(sweep(fixture.store(), &retention, 100).subscriptions, 1);
    fixture.reopen();
    let store = fixture.store();
    let keys: Vec<_> =
        store.subscriptions(None, 9).unwrap().iter().map(|record| record.key).collect();
    assert_eq!(keys, [a, c]);
    assert_eq!(kept(store, b), [0; 0]);
    assert!(store.append(&build.events(&[b]).into()).is_err());
}

/// Whatever the limit, steps end and come to the same.
pub fn forgetting_is_bounded_per_step(fixture: &mut impl Fixture) {
    let (_, [a, b, _]) = fill(fixture);
    let retention = Retention { events_per_subscription_max: Some(2), ..Retention::default() };
    let done = sweep(fixture.store(), &retention, 3);
    assert_eq!(done.events, 8 + 3);
    assert_eq!(kept(fixture.store(), a), [9, 10]);
    assert_eq!(kept(fixture.store(), b), [4, 5]);
    let one = Retention { events_per_subscription_max: Some(0), ..Retention::default() };
    assert_eq!(sweep(fixture.store(), &one, 1).events, 4);
}
