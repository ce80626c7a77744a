//! Who may go, who waits, and who is let go on.

use std::num::{NonZeroU32, NonZeroUsize};

use cresset_engine::{
    BreakerPolicy, Delivery, DeliverySettings, DeliveryState, Effect, Input, JITTER_MIDDLE,
    RetryPolicy,
};
use cresset_model::{Position, SubscriptionStatus};

use super::*;
use crate::config::MessageEvent;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START.as_second() + seconds).unwrap()
}

/// Four attempts at once, two to a host, two to hosts in trouble; dead after two failures, for 5 s.
fn hosts() -> Hosts {
    hosts_with(4, 2)
}

fn hosts_with(places: usize, places_per_host: usize) -> Hosts {
    Hosts::new(&DeliveryConfig {
        retry: RetryPolicy::default(),
        concurrency_max: NonZeroUsize::new(places).unwrap(),
        concurrency_per_host_max: NonZeroUsize::new(places_per_host).unwrap(),
        bytes_in_flight_max: NonZeroUsize::MIN,
        breaker: BreakerPolicy {
            failures_max: NonZeroU32::new(2).unwrap(),
            pause_min: Duration::from_secs(5),
            pause_max: Duration::from_secs(5),
        },
        traceparent: false,
        message_event: MessageEvent {
            system: "http://test/events".to_owned(),
            code: "notification".to_owned(),
        },
        attempts_per_subscription_max: NonZeroUsize::MIN,
        attempts_max: NonZeroUsize::MIN,
    })
}

fn host(name: &str) -> HostName {
    name.into()
}

/// An attempt of a subscription.
fn entry(number: u64) -> (SubscriptionKey, Attempt) {
    let settings = DeliverySettings {
        heartbeat_period: None,
        timeout: None,
        max_count: None,
        retry_period: None,
        end: None,
        policy: Arc::new(RetryPolicy::default()),
    };
    let status = SubscriptionStatus::Active;
    let state = DeliveryState { status, cursor: None, last: 1, since: START, retries: None };
    let mut effects = Vec::new();
    Delivery::new(settings, state, START).handle(Input::Tick, START, &mut effects);
    let Some(Effect::Attempt(attempt)) = effects.pop() else { panic!("an event is to be sent") };
    (SubscriptionKey::created_at(Position::new(number).unwrap()), attempt)
}

fn offer(hosts: &mut Hosts, name: &str, number: u64, seconds: i64) -> Turn {
    hosts.offer(&host(name), entry(number), at(seconds), |_| true)
}

fn go(hosts: &mut Hosts, name: &str, number: u64, seconds: i64) -> Place {
    match offer(hosts, name, number, seconds) {
        Turn::Go(place) => place,
        Turn::Wait | Turn::Barred => panic!("{number} does not go"),
    }
}

/// Serves what was released; the subscriptions that go.
fn released(hosts: &mut Hosts, seconds: i64) -> Vec<(u64, Place)> {
    let mut gone = Vec::new();
    while let Some(name) = hosts.released.pop_front() {
        if let Some((key, _, place)) = hosts.next(&name, at(seconds), |_| true) {
            gone.push((key.position().get(), place));
        }
    }
    gone
}

fn numbers(gone: &[(u64, Place)]) -> Vec<u64> {
    gone.iter().map(|(number, _)| *number).collect()
}

/// Who is barred with it.
fn ended(hosts: &mut Hosts, place: &Place, health: Health, seconds: i64) -> Vec<u64> {
    let Turned { is_open, waiting } = hosts.ended(place, health, JITTER_MIDDLE, at(seconds));
    let waiting = waiting.iter().map(|(key, _)| key.position().get());
    waiting.filter(|_| is_open).collect()
}

/// Has a host answer well once.
fn know(hosts: &mut Hosts, name: &str) {
    let place = go(hosts, name, 1, 0);
    ended(hosts, &place, Health::Good, 0);
}

/// What the counts must say, found out by counting.
fn counted(hosts: &Hosts) -> (usize, usize) {
    let waiting = hosts.hosts.values().map(|host| host.waiting.len()).sum();
    (waiting, hosts.hosts.values().filter(|host| host.breaker.is_open()).count())
}

#[test]
fn what_waits_and_what_is_kept_back_from_is_counted() {
    let mut hosts = hosts();
    know(&mut hosts, "other");
    let (first, second) = (go(&mut hosts, "slow", 1, 0), go(&mut hosts, "slow", 2, 0));
    offer(&mut hosts, "slow", 3, 0);
    offer(&mut hosts, "slow", 4, 0);
    assert_eq!((hosts.waiting_and_open(), counted(&hosts)), ((2, 0), (2, 0)));
    ended(&mut hosts, &first, Health::Bad, 1);
    ended(&mut hosts, &second, Health::Bad, 1);
    assert_eq!((hosts.waiting_and_open(), counted(&hosts)), ((2, 1), (2, 1)));
    released(&mut hosts, 1);
    hosts.wake(host("slow"), at(10));
    let gone = released(&mut hosts, 10);
    assert_eq!(numbers(&gone), [3], "the probe");
    assert_eq!(hosts.waiting_and_open(), (1, 1));
    let turned = hosts.ended(&gone[0].1, Health::Good, JITTER_MIDDLE, at(11));
    assert_eq!((turned.is_open, turned.waiting.len()), (false, 1), "who waits is barred no more");
    let gone = released(&mut hosts, 11);
    assert_eq!((numbers(&gone), hosts.waiting_and_open()), (vec![4], (0, 0)));
    assert_eq!(counted(&hosts), (0, 0));
}

#[test]
fn a_host_has_so_many_places_and_the_rest_wait_in_their_order() {
    let mut hosts = hosts();
    know(&mut hosts, "other");
    let first = go(&mut hosts, "slow", 1, 0);
    go(&mut hosts, "slow", 2, 0);
    for number in 3..6 {
        assert!(matches!(offer(&mut hosts, "slow", number, 0), Turn::Wait));
    }
    go(&mut hosts, "other", 9, 0);
    assert_eq!(numbers(&released(&mut hosts, 0)), [] as [u64; 0]);
    assert_eq!(ended(&mut hosts, &first, Health::Good, 1), [] as [u64; 0]);
    let next = released(&mut hosts, 1);
    assert_eq!(numbers(&next), [3]);
    assert!(matches!(offer(&mut hosts, "slow", 6, 1), Turn::Wait), "behind those that wait");
    ended(&mut hosts, &next[0].1, Health::Good, 2);
    assert_eq!(numbers(&released(&mut hosts, 2)), [4]);
}

#[test]
fn hosts_that_hang_all_of_a_sudden_do_not_take_the_last_places() {
    let mut hosts = hosts_with(16, 8);
    ["a", "b", "c", "d", "well"].iter().for_each(|name| know(&mut hosts, name));
    let mut places = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let asked = (1..=8).map(|number| offer(&mut hosts, name, number, 0));
        let gone: Vec<_> = asked
            .filter_map(|turn| match turn {
                Turn::Go(place) => Some(place),
                Turn::Wait | Turn::Barred => None,
            })
            .collect();
        places.push(gone);
    }
    assert_eq!(places.iter().map(Vec::len).collect::<Vec<_>>(), [8, 4, 2, 1]);
    let well = go(&mut hosts, "well", 1, 0);
    ended(&mut hosts, &well, Health::Good, 0);
    assert_eq!(numbers(&released(&mut hosts, 0)), [] as [u64; 0]);
    for place in &places[0] {
        ended(&mut hosts, place, Health::Good, 1);
    }
    ended(&mut hosts, &places[1][0], Health::Good, 1);
    assert_eq!(numbers(&released(&mut hosts, 1)), [5, 6, 7, 8], "there are free ones");
}

#[test]
fn names_that_nobody_has_heard_of_leave_room_for_hosts_that_answered() {
    let mut hosts = hosts_with(16, 8);
    know(&mut hosts, "well");
    let new: Vec<_> =
        (1..=20).map(|number| offer(&mut hosts, &format!("new-{number}"), number, 0)).collect();
    let gone = |turn: &&Turn| matches!(turn, Turn::Go(_));
    assert_eq!(new.iter().filter(gone).count(), 8);
    (1..=4).for_each(|number| drop(go(&mut hosts, "well", number, 0)));
    let Some(Turn::Go(first)) = new.first() else { panic!("it has a place") };
    ended(&mut hosts, first, Health::Good, 1);
    assert_eq!(numbers(&released(&mut hosts, 1)), [9], "one after the other");
}

#[test]
fn a_dead_host_keeps_its_own_waiting_until_a_probe_succeeds() {
    let mut hosts = hosts();
    let places = [go(&mut hosts, "dead", 1, 0), go(&mut hosts, "dead", 2, 0)];
    assert!(matches!(offer(&mut hosts, "dead", 3, 0), Turn::Wait));
    assert_eq!(ended(&mut hosts, &places[0], Health::Bad, 0), [] as [u64; 0]);
    assert_eq!(ended(&mut hosts, &places[1], Health::Bad, 0), [3], "told that it is barred");
    assert_eq!(numbers(&released(&mut hosts, 0)), [] as [u64; 0]);
    assert!(matches!(offer(&mut hosts, "dead", 4, 1), Turn::Barred));
    let (wake, name) = hosts.wakes.pop().expect("somebody has to come back");
    assert_eq!(wake, at(5));
    hosts.wake(name, wake);
    let probe = released(&mut hosts, 5);
    assert_eq!(numbers(&probe), [3], "one only");
    ended(&mut hosts, &probe[0].1, Health::Good, 6);
    assert_eq!(numbers(&released(&mut hosts, 6)), [4]);
}

#[test]
fn hosts_in_trouble_together_leave_room_for_the_others() {
    let mut hosts = hosts();
    know(&mut hosts, "well");
    for name in ["a", "b", "c"] {
        let place = go(&mut hosts, name, 1, 0);
        // Kept by another attempt, and one failure so that it is suspect.
        ended(&mut hosts, &place, Health::Bad, 0);
    }
    let first = go(&mut hosts, "a", 1, 1);
    go(&mut hosts, "b", 2, 1);
    assert!(matches!(offer(&mut hosts, "c", 3, 1), Turn::Wait), "half of the places are taken");
    go(&mut hosts, "well", 4, 1);
    ended(&mut hosts, &first, Health::Good, 2);
    assert_eq!(numbers(&released(&mut hosts, 2)), [3]);
}

#[test]
fn room_that_one_host_does_not_take_is_offered_to_the_next() {
    let mut hosts = hosts();
    for name in ["a", "b", "c", "d"] {
        let place = go(&mut hosts, name, 1, 0);
        ended(&mut hosts, &place, Health::Bad, 0);
    }
    let first = go(&mut hosts, "a", 1, 1);
    go(&mut hosts, "b", 2, 1);
    for (name, number) in [("c", 3), ("d", 4)] {
        assert!(matches!(offer(&mut hosts, name, number, 1), Turn::Wait));
    }
    ended(&mut hosts, &first, Health::Good, 2);
    let mut gone = Vec::new();
    while let Some(name) = hosts.released.pop_front() {
        // Nobody waits for the third any more.
        let next = hosts.next(&name, at(2), |(key, _)| key.position().get() != 3);
        gone.extend(next.map(|(key, ..)| key.position().get()));
    }
    assert_eq!(gone, [4]);
}

#[test]
fn room_among_hosts_in_trouble_that_one_needs_no_more_is_offered_to_the_next() {
    let mut hosts = hosts_with(8, 4);
    let first = go(&mut hosts, "a", 1, 0);
    go(&mut hosts, "a", 2, 0);
    go(&mut hosts, "a", 3, 0);
    let own = go(&mut hosts, "answers", 4, 0);
    for (name, number) in [("b", 5), ("answers", 6), ("c", 7)] {
        assert!(matches!(offer(&mut hosts, name, number, 0), Turn::Wait));
    }
    ended(&mut hosts, &own, Health::Good, 1);
    assert_eq!(numbers(&released(&mut hosts, 1)), [5, 6], "it is known, and still stands in line");
    go(&mut hosts, "answers", 8, 1);
    assert!(matches!(offer(&mut hosts, "answers", 9, 1), Turn::Wait), "it has its share");
    ended(&mut hosts, &first, Health::Good, 2);
    assert_eq!(numbers(&released(&mut hosts, 2)), [9, 7]);
}

#[test]
fn what_nobody_waits_for_leaves_the_queue() {
    let mut hosts = hosts();
    let place = go(&mut hosts, "slow", 1, 0);
    go(&mut hosts, "slow", 2, 0);
    for number in 3..1_000 {
        hosts.offer(&host("slow"), entry(number), at(0), |(key, _)| key.position().get() > 990);
    }
    assert!(hosts.hosts[&host("slow")].waiting.len() < 2 * WAITING_MIN);
    ended(&mut hosts, &place, Health::Good, 1);
    let only = |entry: &(SubscriptionKey, Attempt)| entry.0.position().get() == 999;
    let next = hosts.next(&host("slow"), at(1), only);
    assert_eq!(next.map(|(key, ..)| key.position().get()), Some(999));
}

#[test]
fn hosts_that_nobody_speaks_to_are_forgotten() {
    let mut hosts = hosts();
    let place = go(&mut hosts, "well", 1, 0);
    ended(&mut hosts, &place, Health::Good, 0);
    assert!(hosts.hosts[&host("well")].is_known);
    let place = go(&mut hosts, "unknown", 1, 0);
    ended(&mut hosts, &place, Health::Unknown, 0);
    assert!(!hosts.hosts.contains_key(&host("unknown")));
    for number in 0..=HOSTS_IDLE_MAX + 10 {
        let place = go(&mut hosts, &format!("dead-{number}"), 1, 0);
        ended(&mut hosts, &place, Health::Bad, 0);
    }
    assert!(hosts.hosts.len() <= HOSTS_IDLE_MAX + 1);
}
