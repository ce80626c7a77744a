use std::num::NonZeroU64;

use proptest::prelude::*;

use super::*;

fn notification(kind: NotificationType, count: Option<u64>, numbers: &[u64]) -> Arc<Notification> {
    let event = |number: &u64| Event {
        number: NonZeroU64::new(*number).expect("not zero"),
        timestamp: None,
        focus: None,
        additional_context: Vec::new(),
    };
    Arc::new(Notification {
        kind,
        status: None,
        subscription: "Subscription/a".to_owned(),
        topic: None,
        events_since_subscription_start: count,
        events: numbers.iter().map(event).collect(),
        errors: Vec::new(),
        entries: Vec::new(),
    })
}

fn events(numbers: &[u64]) -> Arc<Notification> {
    let count = numbers.iter().max().copied();
    notification(NotificationType::EventNotification, count, numbers)
}

fn handshake(count: u64) -> Arc<Notification> {
    notification(NotificationType::Handshake, Some(count), &[])
}

fn answer(count: u64, numbers: &[u64]) -> Arc<Notification> {
    notification(NotificationType::QueryEvent, Some(count), numbers)
}

/// What was decided since: numbers as they are, lost ones negative.
fn decided(sequence: &mut Sequence) -> Vec<i64> {
    let mut all = Vec::new();
    let signed = |number: u64| i64::try_from(number).expect("small");
    while let Some(step) = sequence.next_step() {
        match step {
            Step::Event(arrival) => all.push(signed(arrival.event.number.get())),
            Step::Lost(range) => all.extend(range.map(|number| -signed(number))),
        }
    }
    all
}

fn sequence(start: Start) -> Sequence {
    Sequence::new(start, Limits { missing_max: 50, early_max: 4, page: 3 })
}

#[track_caller]
fn check(
    start: Start,
    notifications: &[Arc<Notification>],
    expect: &[i64],
    wanted: Option<(u64, u64)>,
) {
    let mut sequence = sequence(start);
    for notification in notifications {
        sequence.take(notification.clone()).expect("true numbers");
    }
    assert_eq!(decided(&mut sequence), expect);
    assert_eq!(sequence.wanted(), wanted.map(|(from, until)| from..=until));
}

#[test]
fn each_event_comes_once_and_in_order_and_what_is_missing_is_wanted() {
    let zero = Start::After(0);
    check(zero, &[events(&[1]), events(&[2, 3])], &[1, 2, 3], None);
    check(zero, &[events(&[2, 1]), events(&[1, 2, 3])], &[1, 2, 3], None);
    check(zero, &[events(&[1]), events(&[3]), events(&[2])], &[1, 2, 3], None);
    check(zero, &[events(&[1]), events(&[4])], &[1], Some((2, 3)));
    check(zero, &[handshake(5)], &[], Some((1, 3)));
    check(zero, &[handshake(0)], &[], None);
    check(Start::After(4), &[handshake(5), events(&[5])], &[5], None);
    check(Start::Now, &[handshake(7), events(&[8])], &[8], None);
    check(Start::Now, &[events(&[7, 8])], &[7, 8], None);
    check(Start::Now, &[], &[], None);
    let heartbeat = notification(NotificationType::Heartbeat, Some(3), &[]);
    check(zero, &[events(&[1]), heartbeat], &[1], Some((2, 3)));
    let silent = notification(NotificationType::Heartbeat, None, &[]);
    check(zero, &[silent], &[], None);
    // More come early than are kept; the highest are asked for again.
    check(zero, &[events(&[2, 3, 4, 5, 6, 7]), events(&[1])], &[1, 2, 3, 4, 5], Some((6, 7)));
}

#[test]
fn what_the_server_does_not_give_is_lost_and_told() {
    let mut sequence = sequence(Start::After(0));
    sequence.take(events(&[9])).expect("true");
    assert_eq!(sequence.wanted(), Some(1..=3));
    assert_eq!(sequence.missing(), 8);
    sequence.answered(answer(9, &[2])).expect("true");
    assert_eq!(sequence.wanted(), Some(1..=1), "what was left out is asked for by itself");
    sequence.answered(answer(9, &[])).expect("true");
    assert_eq!(decided(&mut sequence), [-1, 2]);
    assert_eq!(sequence.wanted(), Some(3..=8), "twice as many after nothing");
    sequence.refused();
    assert_eq!(decided(&mut sequence), [-3, -4, -5, -6, -7, -8, 9]);
    assert_eq!((sequence.wanted(), sequence.cursor(), sequence.missing()), (None, Some(9), 0));
}

#[test]
fn numbers_that_cannot_be_true_are_faults_and_change_nothing() {
    let mut sequence = sequence(Start::After(10));
    let far = Fault::TooFar { cursor: 10, told: 61, max: 50 };
    assert_eq!(sequence.take(events(&[11, 61])), Err(far));
    assert_eq!(sequence.take(handshake(u64::MAX)).map_err(|_| ()), Err(()));
    assert_eq!(sequence.take(handshake(9)), Err(Fault::Reset { cursor: 10, told: 9 }));
    assert_eq!((decided(&mut sequence), sequence.wanted()), (vec![], None));
    sequence.take(events(&[11])).expect("true");
    assert_eq!(decided(&mut sequence), [11]);
    let mut last = Sequence::new(Start::After(u64::MAX - 1), Limits::default());
    last.take(events(&[u64::MAX])).expect("the last there is");
    assert_eq!((last.cursor(), last.wanted()), (Some(u64::MAX), None));
}

/// What may come over a channel: any part of what there is, in any order, or what is not so.
fn any_notification(max: u64) -> impl Strategy<Value = Arc<Notification>> {
    let kinds = prop_oneof![
        Just(NotificationType::EventNotification),
        Just(NotificationType::Handshake),
        Just(NotificationType::Heartbeat),
    ];
    let numbers = prop::collection::vec(1..=max, 0..5);
    (kinds, prop::option::of(0..=max), numbers)
        .prop_map(|(kind, count, numbers)| notification(kind, count, &numbers))
}

proptest! {
    /// An honest server over a channel that loses, doubles and reorders.
    #[test]
    fn of_an_honest_server_every_event_arrives_once_and_in_order(
        order in prop::collection::vec(1..=40_u64, 0..60), kept_from in 1..=40_u64, page in 1..9_usize,
    ) {
        let mut sequence = sequence(Start::After(0));
        let mut all = Vec::new();
        let mut asked = 0;
        let count = order.iter().copied().max().unwrap_or(0);
        for number in order {
            sequence.take(events(&[number])).expect("true");
            while let Some(range) = sequence.wanted() {
                let there: Vec<u64> = range.filter(|number| *number >= kept_from).take(page).collect();
                sequence.answered(answer(count, &there)).expect("true");
                asked += 1;
                prop_assert!(asked <= 80);
            }
            all.extend(decided(&mut sequence));
        }
        let numbers: Vec<i64> = all.iter().map(|number| number.abs()).collect();
        let expected: Vec<i64> = (1..=i64::try_from(count).expect("small")).collect();
        prop_assert_eq!(numbers, expected);
        prop_assert!(all.iter().all(|number| *number > 0 || number.unsigned_abs() < kept_from));
    }

    /// Any server at all.
    #[test]
    fn no_server_makes_it_loop_grow_or_repeat(
        told in prop::collection::vec((any_notification(120), any_notification(120)), 0..40),
    ) {
        let mut sequence = sequence(Start::After(0));
        let mut last = 0;
        for (notification, answer) in told {
            let (before, fault) = (sequence.cursor(), sequence.take(notification).is_err());
            prop_assert!(!fault || sequence.cursor() == before);
            let mut asked = 0;
            while sequence.wanted().is_some() {
                let _told_or_not = sequence.answered(answer.clone());
                asked += 1;
                prop_assert!(asked <= 2 * 120, "endless");
            }
            for number in decided(&mut sequence) {
                prop_assert_eq!(number.unsigned_abs(), last + 1);
                last += 1;
            }
            prop_assert!(sequence.early.len() <= 4);
            prop_assert_eq!(sequence.cursor(), Some(last));
        }
    }
}
