//! The loop without a runtime: what it starts, and what it remembers.

use std::num::NonZeroU32;

use cresset_engine::Health;
use cresset_model::{
    Base, Canonical, ClientName, Event, Position, ResourceId, Subscription, SubscriptionError,
};
use cresset_store::MemoryStore;

use super::send::{Letter, Unsent};
use super::*;
use crate::clock::Clock;
use crate::notify::Overflow;
use crate::shared::Brokers;
use crate::tests::fixture::config;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
const HEARTBEAT: Duration = Duration::from_secs(60);

/// A loop with so many active subscriptions with heartbeats, and its clock.
struct Rig {
    delivery: DeliveryLoop,
    clock: Clock,
}

fn at(seconds: u64) -> Timestamp {
    after(START, Duration::from_secs(seconds))
}

fn asked() -> Subscription {
    Subscription {
        status: SubscriptionStatus::Active,
        topic: Canonical::new("http://example.org/topic"),
        end: Some(at(365 * 24 * 60 * 60)),
        filters: Vec::new(),
        channel_type: ChannelType::RestHook,
        endpoint: Some("http://127.0.0.1:9/hook".to_owned()),
        headers: Vec::new(),
        heartbeat_period: Some(HEARTBEAT),
        timeout: None,
        max_count: NonZeroU32::new(3),
        retry_period: None,
        mime_type: None,
        content: cresset_model::PayloadContent::IdOnly,
    }
}

impl Rig {
    fn new(subscriptions: u64) -> Self {
        Self::of(subscriptions, SubscriptionStatus::Active)
    }

    fn of(subscriptions: u64, status: SubscriptionStatus) -> Self {
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::default());
        let shared = Arc::new(Shared::new(config(), Brokers::default(), store, clock.clone()));
        for number in 1..=subscriptions {
            let live = LiveSubscription::new(
                SubscriptionKey::created_at(Position::new(number).unwrap()),
                (Base::new(1), ResourceId::new(&format!("s{number}")).unwrap()),
                Arc::new(ClientName::new("app").unwrap()),
                (shared.settings.share(asked()), status),
                START,
            );
            shared.live.insert(Arc::new(live));
        }
        let mut draw = 0_u32;
        let jitter = move || {
            // Every value once, far from the one before it.
            draw = draw.wrapping_add(2_654_435_769);
            draw
        };
        Self { delivery: DeliveryLoop::new(shared, Box::new(jitter)), clock }
    }

    /// What is sent once the clock shows this.
    fn at(&mut self, now: Timestamp) -> Vec<Start> {
        self.clock.set(now);
        self.delivery.enqueue_deadlines();
        self.delivery.start();
        self.delivery.starts.drain(..).collect()
    }

    fn ended(&mut self, start: &Start, outcome: Outcome) {
        let sent = Sent { outcome, health: Health::Good };
        self.delivery.attempt_ended(start.run, Some(sent));
    }
}

#[test]
fn heartbeats_after_a_restart_are_spread_over_their_period() {
    let mut rig = Rig::new(1_000);
    let mut quarters = [0; 4];
    for (quarter, count) in (1..).zip(&mut quarters) {
        let now = at(quarter * 15);
        let mut started = rig.at(now);
        while !started.is_empty() {
            *count += started.len();
            started.iter().for_each(|start| rig.ended(start, Outcome::Success));
            // What waited for their places.
            started = rig.at(now);
        }
    }
    assert!(quarters.iter().all(|count| (200..300).contains(count)), "{quarters:?}");
}

#[test]
fn many_that_are_put_away_get_their_heartbeats_and_take_no_more_than_an_entry() {
    const MANY: u64 = 50_000;
    let mut rig = Rig::new(MANY);
    rig.delivery.machines_kept = 0;
    for minute in 1..=3 {
        let (mut heartbeats, mut quarter) = (0, 0);
        while quarter < 4 {
            quarter += 1;
            let now = at(minute * 60 + quarter * 15);
            let mut started = rig.at(now);
            while !started.is_empty() {
                heartbeats += started.len();
                started.iter().for_each(|start| rig.ended(start, Outcome::Success));
                started = rig.at(now);
            }
        }
        let expected = usize::try_from(MANY).unwrap();
        assert_eq!(heartbeats, expected, "minute {minute}");
        let (machines, entries) = (rig.delivery.slots.len(), rig.delivery.heap.len());
        assert_eq!(machines, 0, "minute {minute}");
        assert!(entries <= 3 * expected + DEADLINES_OLD_MAX, "{entries}");
    }
}

#[test]
fn what_waits_for_a_status_goes_out_though_nobody_says_that_it_is_durable() {
    let mut rig = Rig::of(1, SubscriptionStatus::Requested);
    let handshake = rig.at(at(10)).pop().expect("a handshake");
    rig.ended(&handshake, Outcome::Success);
    assert!(rig.at(at(70)).is_empty(), "it is not durable yet");
    handshake.live.state().status = SubscriptionStatus::Active;
    let swept = after(at(70), SWEEP_PERIOD);
    assert_eq!(rig.at(swept).len(), 1, "the heartbeat");
}

#[test]
fn a_status_that_nobody_wrote_down_is_asked_for_again() {
    let mut rig = Rig::of(1, SubscriptionStatus::Requested);
    let handshake = rig.at(at(10)).pop().expect("a handshake");
    rig.ended(&handshake, Outcome::Success);
    let asked = |rig: &mut Rig| rig.delivery.statuses.drain(..).map(|it| it.to).collect::<Vec<_>>();
    assert_eq!(asked(&mut rig), [SubscriptionStatus::Active]);
    assert!(rig.at(at(70)).is_empty());
    assert_eq!(asked(&mut rig), [], "the writer has it, or has given up");
    let swept = after(at(70), SWEEP_PERIOD);
    assert!(rig.at(swept).is_empty());
    assert!(rig.at(after(swept, SWEEP_PERIOD)).is_empty());
    assert_eq!(asked(&mut rig), [SubscriptionStatus::Active], "once, while nobody takes it");
}

#[test]
fn what_waits_moves_with_a_clock_that_is_set_back() {
    for machines_kept in [0, MACHINES_KEPT] {
        let mut rig = Rig::new(3);
        rig.delivery.machines_kept = machines_kept;
        let started = rig.at(at(10_000));
        assert_eq!(started.len(), 3);
        started[1..].iter().for_each(|start| rig.ended(start, Outcome::Success));
        let reason = SubscriptionError { code: None, text: "HTTP status 503".to_owned() };
        rig.ended(&started[0], Outcome::Retry { reason, retry_after: None });
        assert!(rig.at(at(100)).is_empty());
        assert_eq!(rig.at(at(107)).len(), 1, "the retry, {machines_kept}");
        assert_eq!(rig.at(at(160)).len(), 2, "the heartbeats, {machines_kept}");
    }
}

#[test]
fn what_lost_hints_told_of_is_found() {
    let mut rig = Rig::new(2);
    rig.delivery.machines_kept = 0;
    let beaten = rig.at(at(60));
    beaten.iter().for_each(|start| rig.ended(start, Outcome::Success));
    assert_eq!((beaten.len(), rig.delivery.slots.len()), (2, 0));
    let shared = rig.delivery.shared.clone();
    // One asks for heartbeats more often than the machine was put away for.
    let often = Subscription { heartbeat_period: Some(Duration::from_secs(1)), ..asked() };
    let settings = shared.settings.share(often);
    let (one, other) = (&beaten[0].live, &beaten[1].live);
    let rare = Subscription { heartbeat_period: Some(Duration::from_secs(86_400)), ..asked() };
    for live in [one, other] {
        let settings = shared.settings.share(rare.clone());
        live.state().take_settings(settings, SubscriptionStatus::Active, at(60));
        shared.delivery.give(live.key);
    }
    rig.delivery.take_hints();
    assert!(rig.at(at(61)).is_empty());
    one.state().take_settings(settings, SubscriptionStatus::Active, at(62));
    let swept = after(at(61), SWEEP_PERIOD);
    assert_eq!(rig.at(swept).len(), 1, "its heartbeat");
    // Of the other, what it was sent is asked for again.
    let number = EventNumber::FIRST;
    other.state().append(Event { subscription: other.key, number, position: Position::FIRST });
    other.state().move_cursor(number);
    assert!(shared.delivery.resend(other.key, Range { first: number, last: number }));
    drop(shared.delivery.take());
    assert_eq!(rig.at(after(swept, SWEEP_PERIOD)).len(), 1, "its event");
}

#[test]
fn each_message_that_repeats_none_has_a_name_of_its_own() {
    let mut rig = Rig::new(1);
    let failure = || Outcome::Retry {
        reason: SubscriptionError { code: None, text: "HTTP status 503".to_owned() },
        retry_after: None,
    };
    let one = |rig: &mut Rig, seconds| {
        let mut started = rig.at(at(seconds));
        assert_eq!(started.len(), 1, "at {seconds}");
        started.remove(0)
    };
    let first = one(&mut rig, 60);
    rig.ended(&first, failure());
    let again = one(&mut rig, 66);
    assert_eq!(again.nonce, first.nonce, "the same heartbeat");
    rig.ended(&again, failure());
    let number = EventNumber::FIRST;
    let (live, shared) = (first.live.clone(), rig.delivery.shared.clone());
    live.state().append(Event { subscription: live.key, number, position: Position::FIRST });
    shared.delivery.give(live.key);
    rig.delivery.take_hints();
    let event = one(&mut rig, 66 + 40);
    rig.ended(&event, Outcome::Success);
    let next = one(&mut rig, 66 + 40 + 60);
    assert_ne!(next.nonce, first.nonce, "another heartbeat, which the receiver has not had");
}

#[test]
fn another_endpoint_without_a_handshake_waits_for_nothing() {
    let mut rig = Rig::new(1);
    let started = rig.at(at(60));
    let (live, shared) = (started[0].live.clone(), rig.delivery.shared.clone());
    let topic = Canonical::new(&cresset_model::criteria_topic_url("Observation"));
    let moved = |endpoint: &str| {
        let endpoint = Some(endpoint.to_owned());
        let asked =
            Subscription { endpoint, topic: topic.clone(), heartbeat_period: None, ..asked() };
        live.state().take_settings(
            shared.settings.share(asked),
            SubscriptionStatus::Active,
            at(60),
        );
        shared.delivery.give(live.key);
    };
    rig.ended(&started[0], Outcome::Success);
    moved("http://127.0.0.1:9/dead");
    let number = EventNumber::FIRST;
    live.state().append(Event { subscription: live.key, number, position: Position::FIRST });
    rig.delivery.take_hints();
    let dead = rig.at(at(61));
    let reason = SubscriptionError { code: None, text: "HTTP status 503".to_owned() };
    let retry_after = Some(Duration::from_secs(3_000));
    rig.ended(&dead[0], Outcome::Retry { reason, retry_after });
    moved("http://127.0.0.1:9/well");
    rig.delivery.take_hints();
    let well = rig.at(at(62));
    assert_eq!(well.len(), 1);
    assert_eq!(well[0].addressee.endpoint.as_ref().map(url::Url::path), Some("/well"));
}

#[test]
fn what_waits_for_a_status_goes_out_once_it_is_read_from_the_store() {
    let mut rig = Rig::of(1, SubscriptionStatus::Requested);
    let handshake = rig.at(at(10)).pop().expect("a handshake");
    rig.ended(&handshake, Outcome::Success);
    assert!(rig.at(at(70)).is_empty(), "it is not durable yet");
    let live = handshake.live;
    let settings = live.state().settings.clone();
    live.state().restore(settings, SubscriptionStatus::Active, at(70), 0);
    rig.delivery.shared.hint_all(&live);
    rig.delivery.take_hints();
    let started = rig.at(at(70));
    assert_eq!(started.len(), 1, "the heartbeat");
    rig.ended(&started[0], Outcome::Success);
    assert!(rig.at(at(71)).is_empty(), "and that once");
}

#[test]
fn deadlines_that_others_took_the_place_of_do_not_pile_up() {
    let mut rig = Rig::new(1);
    let mut heartbeats = 0;
    for minute in 1..5_000 {
        for start in rig.at(at(minute * 60)) {
            heartbeats += 1;
            rig.ended(&start, Outcome::Success);
        }
    }
    assert!(heartbeats > 4_000, "{heartbeats}");
    let kept = rig.delivery.heap.len();
    assert!(kept <= DEADLINES_OLD_MAX + 3, "{kept} entries for one subscription");
}

#[test]
fn an_attempt_under_way_is_the_only_one_whatever_the_clock_shows() {
    let mut rig = Rig::new(1);
    let started = rig.at(at(60));
    assert_eq!(started.len(), 1);
    assert!(rig.at(at(24 * 60 * 60)).is_empty(), "the clock jumps");
    rig.delivery.attempt_ended(started[0].run, None);
    let mut again = rig.at(at(24 * 60 * 60));
    assert!(again.is_empty(), "a task that died is a failure like others");
    again = rig.at(at(24 * 60 * 60 + 6));
    assert_eq!(again.len(), 1);
}

#[tokio::test]
async fn what_was_begun_before_a_change_is_not_sent_as_the_client_asks_since() {
    let mut rig = Rig::new(1);
    let mut started = rig.at(at(60));
    let start = started.pop().unwrap();
    let (shared, live) = (rig.delivery.shared.clone(), start.live.clone());
    let letter = Letter::new(&shared, start);
    assert!(letter.render(&shared, Overflow::Bare).await.is_ok());
    let content = cresset_model::PayloadContent::FullResource;
    let endpoint = Some("https://example.org/hook".to_owned());
    let settings = shared.settings.share(Subscription { content, endpoint, ..asked() });
    live.state().take_settings(settings, SubscriptionStatus::Active, at(60));
    let rendered = letter.render(&shared, Overflow::Bare).await;
    assert!(matches!(rendered, Err(Unsent::Changed)));
}

#[tokio::test]
async fn what_is_not_stored_any_more_is_neither_sent_nor_a_success() {
    let mut rig = Rig::new(1);
    let beaten = rig.at(at(60));
    rig.ended(&beaten[0], Outcome::Success);
    let (shared, live) = (rig.delivery.shared.clone(), beaten[0].live.clone());
    let number = EventNumber::FIRST;
    live.state().append(Event { subscription: live.key, number, position: Position::FIRST });
    shared.delivery.give(live.key);
    rig.delivery.take_hints();
    let letter = Letter::new(&shared, rig.at(at(61)).pop().expect("an attempt"));
    let Err(unsent) = letter.render(&shared, Overflow::Bare).await else { panic!("it is gone") };
    assert!(matches!(unsent, Unsent::Nothing));
    assert_eq!(letter.ended(&shared, Err(unsent)).outcome, Outcome::Forgotten);
}
