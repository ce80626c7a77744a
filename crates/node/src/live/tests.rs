//! Numbers, cursors and positions of one subscription in memory.

use std::num::NonZeroU32;

use cresset_model::{Canonical, PayloadContent, Subscription};

use super::*;
use crate::settings::SettingsCache;

fn subscription() -> LiveSubscription {
    let settings = Subscription {
        status: SubscriptionStatus::Active,
        topic: Canonical::new("http://example.org/topic"),
        end: None,
        filters: Vec::new(),
        channel_type: ChannelType::Websocket,
        endpoint: None,
        headers: Vec::new(),
        heartbeat_period: None,
        timeout: None,
        max_count: NonZeroU32::new(3),
        retry_period: None,
        mime_type: None,
        content: PayloadContent::Empty,
    };
    LiveSubscription::new(
        SubscriptionKey::created_at(Position::FIRST),
        (Base::new(1), ResourceId::new("s").unwrap()),
        Arc::new(ClientName::new("app").unwrap()),
        (SettingsCache::default().share(settings), SubscriptionStatus::Active),
        Timestamp::UNIX_EPOCH,
    )
}

fn number(number: u64) -> EventNumber {
    EventNumber::new(number).unwrap()
}

fn append(subscription: &LiveSubscription, numbers: std::ops::RangeInclusive<u64>) {
    for one in numbers {
        let position = Position::new(one * 10).unwrap();
        let key = subscription.key;
        subscription.state().append(Event { subscription: key, number: number(one), position });
    }
}

#[test]
fn positions_are_known_for_the_newest_events_after_the_cursor() {
    let subscription = subscription();
    append(&subscription, 1..=100);
    let state = subscription.state();
    assert_eq!(state.positions(number(36), number(37)), None, "36 is older than what is kept");
    let found = state.positions(number(37), number(38)).unwrap();
    assert_eq!(
        found,
        [(number(37), Position::new(370).unwrap()), (number(38), Position::new(380).unwrap())]
    );
    assert_eq!(state.positions(number(100), number(101)), None, "101 does not exist");
}

#[test]
fn the_cursor_never_goes_back() {
    let subscription = subscription();
    append(&subscription, 1..=5);
    let mut state = subscription.state();
    state.move_cursor(number(4));
    state.move_cursor(number(2));
    assert_eq!(state.cursor, Some(number(4)));
    assert_eq!(state.positions(number(5), number(5)).unwrap().len(), 1);
    assert_eq!(state.positions(number(4), number(5)), None);
}

#[test]
fn a_status_that_is_read_from_the_store_and_was_not_known_counts_as_a_change() {
    let subscription = subscription();
    let mut state = subscription.state();
    let settings = state.settings.clone();
    state.restore(settings.clone(), SubscriptionStatus::Active, Timestamp::UNIX_EPOCH, 0);
    assert_eq!(state.revision, 0, "nothing was changed");
    state.restore(settings, SubscriptionStatus::Off, Timestamp::UNIX_EPOCH, 0);
    assert_eq!((state.status, state.revision), (SubscriptionStatus::Off, 1));
}

#[test]
#[should_panic(expected = "I1")]
fn a_gap_in_the_numbers_stops_it() {
    append(&subscription(), 2..=2);
}

#[test]
fn owners_are_counted_over_inserts_and_removes() {
    let live = Live::default();
    let one = Arc::new(subscription());
    live.insert(one.clone());
    assert_eq!(live.count_of(&one.owner), 1);
    assert!(live.find(one.base, &one.id).is_some());
    assert!(live.remove(one.key).is_some() && live.remove(one.key).is_none());
    assert_eq!(live.count_of(&one.owner), 0);
    assert!(live.find(one.base, &one.id).is_none());
}

#[test]
fn clients_of_many_subscriptions_are_named_once() {
    let live = Live::default();
    let one = Arc::new(subscription());
    live.insert(one.clone());
    assert!(Arc::ptr_eq(&live.owner(&ClientName::new("app").unwrap()), &one.owner));
}

#[test]
fn trouble_comes_and_goes_by_parts() {
    let subscription = subscription();
    let mut state = subscription.state();
    let error = SubscriptionError { code: None, text: "gone".to_owned() };
    state.set_error(Some(error.clone()));
    state.set_problem(Some("bad filter".to_owned()));
    assert_eq!((state.error(), state.problem()), (Some(&error), Some("bad filter")));
    state.set_error(None);
    assert_eq!((state.error(), state.problem()), (None, Some("bad filter")));
    state.set_problem(None);
    assert!(state.trouble.is_none());
}

#[test]
fn an_idle_subscription_is_small() {
    // With the two counts of its Arc it fits a block of 160 bytes.
    assert!(size_of::<LiveSubscription>() <= 144, "{}", size_of::<LiveSubscription>());
}

#[test]
fn losses_that_follow_each_other_are_told_as_one() {
    let subscription = subscription();
    let lost = |first, last| {
        let range = Range { first: number(first), last: number(last) };
        subscription.state().set_loss(range);
        let told = subscription.state().loss().map(str::to_owned).unwrap_or_default();
        told.split(" were").next().map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(lost(1, 1), "events 1 to 1");
    assert_eq!(lost(2, 3), "events 1 to 3");
    assert_eq!(lost(7, 8), "events 7 to 8", "the newest, where some were sent in between");
}
