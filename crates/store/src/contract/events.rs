//! Cases of subscriptions, event numbers (I1, I2) and cursors.

use cresset_model::{
    Event, EventNumber, Retries, SubscriptionError, SubscriptionErrorCode, SubscriptionKey,
};

use super::{Builder, Fixture, at, client, key, number, position, subscription};
use crate::{EVENTS_PAGE_MAX, Entry, Error, Group, Record, Store, SubscriptionLife};

fn numbers(store: &dyn Store, subscription: SubscriptionKey) -> Vec<u64> {
    let events = store.events(subscription, number(1), number(u64::MAX >> 1), usize::MAX).unwrap();
    events.iter().map(|event| event.number.get()).collect()
}

/// 1, 2, 3 … however the events are spread over groups, and however often the process dies.
pub fn numbers_have_no_gap_across_groups_and_restarts(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (first, a) = build.begin("Subscription/a");
    let (second, b) = build.begin("Subscription/b");
    fixture.store().append(&vec![first, second].into()).unwrap();
    let mut given = Vec::new();
    for round in 0..12 {
        let entries: Vec<_> =
            (0..round).map(|n| build.events(&[b, a][usize::from(n % 3 == 0)..])).collect();
        given.extend(fixture.store().append(&entries.into()).unwrap().events);
        if round % 4 == 0 {
            fixture.reopen();
        }
    }
    for (key, count) in [(a, 66), (b, 40)] {
        let of: Vec<Event> =
            given.iter().copied().filter(|event| event.subscription == key).collect();
        assert_eq!(
            of.iter().map(|event| event.number.get()).collect::<Vec<_>>(),
            (1..=count).collect::<Vec<_>>()
        );
        assert!(of.windows(2).all(|pair| pair[0].position < pair[1].position));
        let store = fixture.store();
        assert_eq!(store.events(key, number(1), number(1_000), 1_000).unwrap(), of);
        assert_eq!(store.subscription(key).unwrap().unwrap().events, count);
    }
}

/// One change gives a subscription at most one event (I2).
pub fn a_subscription_named_twice_gets_one_event(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let (first, a) = build.begin("Subscription/a");
    let (second, b) = build.begin("Subscription/b");
    store.append(&vec![first, second].into()).unwrap();
    let group = vec![build.events(&[a, b, a, a, b]), build.events(&[b, a, b])];
    let events = store.append(&group.into()).unwrap().events;
    let event = |subscription, value, at| Event {
        subscription,
        number: number(value),
        position: position(at),
    };
    assert_eq!(events, [event(a, 1, 3), event(b, 1, 3), event(b, 2, 4), event(a, 2, 4)]);
    fixture.reopen();
    assert_eq!(numbers(fixture.store(), a), [1, 2]);
}

/// Unknown, ended or of the future: no event, and an ended one does not end again.
pub fn a_subscription_that_is_not_alive_gets_no_event(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    let end = build.end("Subscription/a", a);
    fixture.store().append(&vec![begin, end].into()).unwrap();
    for _ in 0..2 {
        for key in [a, subscription(2), subscription(3), subscription(99)] {
            let refused = fixture.store().append(&build.clone().events(&[key]).into());
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
        }
        let again = Entry {
            subscription: Some(SubscriptionLife::Ends(a)),
            ..build.clone().put("Patient/1")
        };
        assert!(matches!(fixture.store().append(&again.into()), Err(Error::Invalid { .. })));
        fixture.reopen();
    }
    assert_eq!(fixture.store().head().unwrap(), Some(position(2)));
}

/// A change that creates or deletes a subscription may be an event of it too.
pub fn events_of_the_same_entry_may_begin_and_end_a_subscription(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let (mut begin, a) = build.begin("Subscription/a");
    begin.events = vec![a];
    let mut end = build.end("Subscription/a", a);
    end.events = vec![a];
    let events = store.append(&vec![begin, end].into()).unwrap().events;
    assert_eq!(events.iter().map(|event| event.number.get()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.subscription(a).unwrap(), None);
    assert_eq!(numbers(store, a), [1, 2]);
}

/// Deleted and created again under the same id: another life, with numbers of its own.
pub fn a_recreated_subscription_counts_from_one(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, first) = build.begin("Subscription/a");
    let events = vec![begin, build.events(&[first]), build.end("Subscription/a", first)];
    fixture.store().append(&events.into()).unwrap();
    fixture.reopen();
    let store = fixture.store();
    let (begin, second) = build.begin("Subscription/a");
    let group = Group {
        entries: vec![begin, build.events(&[second])],
        records: vec![Record::Cursor { subscription: first, number: number(1) }],
    };
    store.append(&group).unwrap();
    assert_eq!(numbers(store, first), [1]);
    assert_eq!(numbers(store, second), [1]);
    let records = store.subscriptions(None, 9).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].key, records[0].cursor), (second, None));
    assert_eq!(records[0].resource, key("Subscription/a"));
}

/// What an ended subscription was told stays readable until retention takes it.
pub fn an_ended_subscription_keeps_its_events(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    let entries = vec![begin, build.events(&[a]), build.end("Subscription/a", a)];
    fixture.store().append(&entries.into()).unwrap();
    for _ in 0..2 {
        assert_eq!(numbers(fixture.store(), a), [1]);
        assert_eq!(fixture.store().subscriptions(None, 9).unwrap(), []);
        fixture.reopen();
    }
}

/// Bounds are inclusive; the limit and the page's bound hold.
pub fn events_are_read_by_number(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    let (second, b) = build.begin("Subscription/b");
    let count = EVENTS_PAGE_MAX as u64 + 500;
    let mut entries = vec![begin, second];
    entries.extend((0..count).map(|_| build.events(&[a, b])));
    for entries in entries.chunks(1_000) {
        fixture.store().append(&entries.to_vec().into()).unwrap();
    }
    let check = |store: &dyn Store, from, to, limit, expected: std::ops::Range<u64>| {
        let events = store.events(a, number(from), number(to), limit).unwrap();
        let numbers: Vec<_> = events.iter().map(|event| event.number.get()).collect();
        assert_eq!(numbers, expected.collect::<Vec<_>>(), "{from} {to} {limit}");
        assert!(events.iter().all(|event| event.position.get() == event.number.get() + 2));
    };
    for _ in 0..2 {
        let store = fixture.store();
        check(store, 1, 3, 10, 1..4);
        check(store, 5, 5, 10, 5..6);
        check(store, 5, 4, 10, 0..0);
        check(store, 5, 900, 10, 5..15);
        check(store, count - 1, u64::MAX, 10, count - 1..count + 1);
        check(store, count + 1, u64::MAX, 10, 0..0);
        check(store, 2, u64::MAX, usize::MAX, 2..EVENTS_PAGE_MAX as u64 + 2);
        check(store, 1, 9, 0, 0..0);
        fixture.reopen();
    }
}

/// A lower cursor has no effect, whether in the same group or later.
pub fn a_cursor_never_moves_back(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    let mut entries = vec![begin];
    entries.extend((0..5).map(|_| build.events(&[a])));
    fixture.store().append(&entries.into()).unwrap();
    let cursors = |numbers: &[u64]| Group {
        entries: Vec::new(),
        records: numbers
            .iter()
            .map(|n| Record::Cursor { subscription: a, number: number(*n) })
            .collect(),
    };
    for (moves, expected) in [(&[2_u64][..], 2), (&[1], 2), (&[4, 3], 4), (&[3, 5, 4], 5)] {
        fixture.store().append(&cursors(moves)).unwrap();
        fixture.reopen();
        let record = fixture.store().subscription(a).unwrap().unwrap();
        assert_eq!(record.cursor, Some(number(expected)), "{moves:?}");
    }
    let unknown = Record::Cursor { subscription: subscription(77), number: number(1) };
    fixture.store().append(&Group { entries: Vec::new(), records: vec![unknown] }).unwrap();
}

/// Nothing that was not sent can be confirmed.
pub fn a_cursor_above_the_last_number_is_refused(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    fixture.store().append(&begin.into()).unwrap();
    let record = Record::Cursor { subscription: a, number: number(1) };
    let group = Group { entries: Vec::new(), records: vec![record] };
    assert!(matches!(fixture.store().append(&group), Err(Error::Invalid { .. })));
    // The events of the same group count.
    let group = Group { entries: vec![build.events(&[a])], ..group };
    fixture.store().append(&group).unwrap();
    let record = fixture.store().subscription(a).unwrap().unwrap();
    assert_eq!((record.events, record.cursor), (1, Some(number(1))));
}

/// In order of key, the dead left out, each with its counters.
pub fn subscriptions_come_in_pages(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let mut keys = Vec::new();
    let mut entries = Vec::new();
    for n in 0..40 {
        let (begin, key) = build.begin(&format!("Subscription/{n}"));
        entries.push(begin);
        entries.push(build.events(&[key]));
        keys.push(key);
    }
    entries.extend(
        (0..40).step_by(4).map(|n: usize| build.end(&format!("Subscription/{n}"), keys[n])),
    );
    fixture.store().append(&entries.into()).unwrap();
    for _ in 0..2 {
        let store = fixture.store();
        let mut records = Vec::new();
        loop {
            let after = records.last().map(|record: &crate::SubscriptionRecord| record.key);
            let page = store.subscriptions(after, 7).unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 7);
            records.extend(page);
        }
        let alive: Vec<_> = (0..40).filter(|n| n % 4 != 0).map(|n: usize| keys[n]).collect();
        assert_eq!(records.iter().map(|record| record.key).collect::<Vec<_>>(), alive);
        for record in records {
            assert_eq!((record.events, record.oldest), (1, Some(number(1))));
            assert_eq!((record.cursor, record.owner), (None, client("subscriber")));
        }
        fixture.reopen();
    }
}

/// The last reason recorded stays until it is taken back; one for an ended subscription is ignored.
pub fn the_reason_of_an_error_is_kept(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    fixture.store().append(&begin.into()).unwrap();
    let reason = |code| SubscriptionError { code, text: "HTTP status 500".to_owned() };
    let record = |error: Option<SubscriptionError>| Group {
        entries: Vec::new(),
        records: vec![Record::Error { subscription: a, error }],
    };
    for error in
        [Some(reason(Some(SubscriptionErrorCode::ErrorResponse))), Some(reason(None)), None]
    {
        fixture.store().append(&record(error.clone())).unwrap();
        for _ in 0..2 {
            assert_eq!(fixture.store().subscription(a).unwrap().unwrap().error, error);
            assert_eq!(fixture.store().subscriptions(None, 9).unwrap()[0].error, error);
            fixture.reopen();
        }
    }
    fixture.store().append(&build.end("Subscription/a", a).into()).unwrap();
    fixture.store().append(&record(Some(reason(None)))).unwrap();
}

/// Where retries stand outlives the process, until it is said anew, and ends with the subscription.
pub fn the_place_of_retries_is_kept(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    fixture.store().append(&begin.into()).unwrap();
    let record = |retries| Group {
        entries: Vec::new(),
        records: vec![Record::Retries { subscription: a, retries }],
    };
    let barred = Retries {
        failures: 0,
        rejections: 0,
        failing_since: at(1),
        resume: at(2),
        repeat_last: None,
        at: at(3),
    };
    let failed = Retries {
        failures: u32::MAX,
        rejections: 7,
        resume: at(1 << 32),
        repeat_last: EventNumber::new(u64::MAX >> 1),
        ..barred
    };
    for retries in [Some(barred), Some(failed), None] {
        fixture.store().append(&record(retries)).unwrap();
        for _ in 0..2 {
            assert_eq!(fixture.store().subscription(a).unwrap().unwrap().retries, retries);
            assert_eq!(fixture.store().subscriptions(None, 9).unwrap()[0].retries, retries);
            fixture.reopen();
        }
    }
    fixture.store().append(&build.end("Subscription/a", a).into()).unwrap();
    fixture.store().append(&record(Some(barred))).unwrap();
}
