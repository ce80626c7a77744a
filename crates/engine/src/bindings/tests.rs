//! Table tests of the socket machine; its properties are in `tests/properties.rs`.

use cresset_model::Position;

use super::*;

mod properties;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
const HOUR: u64 = 3_600;

fn at(seconds: u64) -> Timestamp {
    after(START, Duration::from_secs(seconds))
}

fn key(number: u64) -> SubscriptionKey {
    SubscriptionKey::created_at(Position::new(number).unwrap())
}

/// Subscription `number` with nothing sent yet, batches of 2, a token for an hour.
fn bound(number: u64, last: u64) -> Bound {
    Bound {
        subscription: key(number),
        token: TokenId(1),
        expires: at(HOUR),
        heartbeat_period: None,
        max_count: NonZeroU32::new(2),
        cursor: None,
        last,
    }
}

fn socket() -> Bindings {
    Bindings::new(BindingSettings::default(), START)
}

fn words(intent: FrameIntent) -> String {
    let subscription = intent.subscription;
    match intent.kind {
        FrameKind::Events { first, last } => format!("{subscription}: events {first}-{last}"),
        FrameKind::Handshake => format!("{subscription}: handshake"),
        FrameKind::Heartbeat => format!("{subscription}: heartbeat"),
    }
}

/// Writes all that is due at this second and tells what it was.
fn written(socket: &mut Bindings, seconds: u64) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some(intent) = socket.next_frame(at(seconds)) {
        frames.push(words(intent));
        socket.frame_sent(at(seconds));
    }
    frames
}

#[test]
fn each_subscription_gets_its_handshake_and_then_its_events_in_turn() {
    let mut socket = socket();
    socket.bind(bound(1, 5), START).unwrap();
    socket.bind(bound(2, 0), START).unwrap();
    socket.bind(bound(3, 3), START).unwrap();
    let expected = [
        "1: handshake",
        "2: handshake",
        "3: handshake",
        "1: events 1-2",
        "3: events 1-2",
        "1: events 3-4",
        "3: events 3-3",
        "1: events 5-5",
    ];
    assert_eq!(written(&mut socket, 1), expected);
    assert_eq!(written(&mut socket, 1), [""; 0]);
}

#[test]
fn a_socket_resumes_after_what_an_earlier_one_was_sent() {
    let mut socket = socket();
    socket.bind(Bound { cursor: EventNumber::new(4), ..bound(1, 5) }, START).unwrap();
    assert_eq!(written(&mut socket, 1), ["1: handshake", "1: events 5-5"]);
}

#[test]
fn a_frame_under_way_holds_back_the_next() {
    let mut socket = socket();
    socket.bind(bound(1, 1), START).unwrap();
    assert!(socket.next_frame(START).is_some());
    socket.appended(key(1), 1_000_000);
    assert_eq!(socket.next_frame(START), None);
    assert_eq!(socket.frame_sent(START), None, "a handshake moves no cursor");
    assert_eq!(socket.next_frame(START).map(words).as_deref(), Some("1: events 1-2"));
    let moved = MovedCursor { subscription: key(1), cursor: EventNumber::new(2).unwrap() };
    assert_eq!(socket.frame_sent(START), Some(moved));
    assert_eq!(socket.frame_sent(START), None);
}

#[test]
fn a_renewal_brings_a_handshake_and_sends_nothing_twice() {
    let mut socket = socket();
    socket.bind(bound(1, 2), START).unwrap();
    assert_eq!(written(&mut socket, 1), ["1: handshake", "1: events 1-2"]);
    let renewal = Bound { token: TokenId(2), expires: at(2 * HOUR), ..bound(1, 3) };
    socket.bind(renewal, at(2)).unwrap();
    assert_eq!(written(&mut socket, 2), ["1: handshake", "1: events 3-3"]);
    socket.token_revoked(TokenId(1));
    assert_eq!(socket.close(at(HOUR + 60)), None, "the newer token counts");
    assert_eq!(socket.close(at(2 * HOUR + 5)), Some(CloseReason::Expired));
}

#[test]
fn a_bind_while_a_handshake_is_under_way_brings_another_one() {
    let mut socket = socket();
    socket.bind(bound(1, 0), START).unwrap();
    assert!(socket.next_frame(START).is_some());
    socket.bind(bound(1, 0), START).unwrap();
    socket.frame_sent(START);
    assert_eq!(written(&mut socket, 0), ["1: handshake"]);
}

#[test]
fn heartbeats_fill_silence_per_subscription() {
    let mut socket = socket();
    let beating = |number, period| Bound {
        heartbeat_period: Some(Duration::from_secs(period)),
        ..bound(number, 0)
    };
    socket.bind(beating(1, 60), START).unwrap();
    socket.bind(beating(2, 90), START).unwrap();
    socket.bind(beating(3, 0), START).unwrap();
    written(&mut socket, 0);
    assert_eq!(socket.next_deadline(), at(60));
    assert_eq!(written(&mut socket, 60), ["1: heartbeat"]);
    socket.appended(key(2), 1);
    assert_eq!(written(&mut socket, 80), ["2: events 1-1"]);
    assert_eq!(written(&mut socket, 119), [""; 0]);
    assert_eq!(written(&mut socket, 120), ["1: heartbeat"]);
    assert_eq!(written(&mut socket, 170), ["2: heartbeat"]);
}

#[test]
fn heartbeats_move_with_a_clock_that_is_set_back() {
    let mut socket = socket();
    let heartbeat_period = Some(Duration::from_secs(60));
    socket.bind(Bound { heartbeat_period, ..bound(1, 0) }, at(1_000)).unwrap();
    assert_eq!(written(&mut socket, 1_000), ["1: handshake"]);
    socket.set_back(Duration::from_secs(900));
    assert_eq!((written(&mut socket, 100), socket.next_deadline()), (Vec::new(), at(160)));
    assert_eq!(written(&mut socket, 160), ["1: heartbeat"]);
}

#[test]
fn heartbeats_do_not_pile_up_behind_a_slow_reader() {
    let mut socket = socket();
    let period = Some(Duration::from_secs(10));
    socket.bind(Bound { heartbeat_period: period, ..bound(1, 0) }, START).unwrap();
    assert!(socket.next_frame(START).is_some());
    for seconds in [10, 20, 30] {
        assert_eq!(socket.close(at(seconds)), None);
        assert!(socket.next_deadline() > at(seconds), "no busy loop");
    }
    socket.frame_sent(at(31));
    assert_eq!(written(&mut socket, 31), [""; 0], "the frame written broke the silence");
    assert_eq!(written(&mut socket, 41), ["1: heartbeat"]);
}

#[test]
fn a_resend_repeats_frames_and_lets_new_events_have_their_turn() {
    let mut socket = socket();
    socket.bind(bound(1, 6), START).unwrap();
    let number = |number| EventNumber::new(number).unwrap();
    assert!(!socket.resend(key(1), number(1), number(2)), "nothing was sent yet");
    socket.updated(key(1), None, NonZeroU32::new(3));
    written(&mut socket, 0);
    assert!(socket.resend(key(1), number(2), number(99)));
    assert!(!socket.resend(key(1), number(2), number(3)), "one at a time");
    assert!(!socket.resend(key(2), number(2), number(3)), "not bound");
    socket.appended(key(1), 7);
    let frames = ["1: events 2-4", "1: events 7-7", "1: events 5-6"];
    assert_eq!(written(&mut socket, 1), frames);
    assert!(!socket.is_resending(key(1)));
    socket.appended(key(1), 8);
    assert_eq!(written(&mut socket, 2), ["1: events 8-8"], "the cursor stayed");
    assert!(socket.resend(key(1), number(1), number(1)));
    socket.removed(key(1));
    assert!(!socket.is_resending(key(1)));
}

#[test]
fn settings_of_a_changed_subscription_hold_at_once() {
    let mut socket = socket();
    socket.bind(bound(1, 3), START).unwrap();
    socket.updated(key(1), Some(Duration::from_secs(5)), NonZeroU32::new(1));
    let events = ["1: events 1-1", "1: events 2-2", "1: events 3-3"];
    assert_eq!(written(&mut socket, 0)[1..], events);
    assert_eq!(written(&mut socket, 5), ["1: heartbeat"]);
    socket.updated(key(1), None, None);
    assert_eq!(written(&mut socket, 100), [""; 0]);
}

#[test]
fn an_unbound_socket_is_closed_at_the_bind_deadline() {
    let mut socket = socket();
    assert_eq!(socket.next_deadline(), at(30));
    assert_eq!(socket.close(at(29)), None);
    assert_eq!(socket.close(at(30)), Some(CloseReason::NotBound));
    socket.bind(bound(1, 0), at(30)).unwrap();
    assert_eq!(socket.close(at(31)), None);
}

#[test]
fn an_expired_token_ends_only_what_it_covers() {
    let mut socket = socket();
    socket.bind(Bound { expires: at(60), ..bound(1, 0) }, START).unwrap();
    socket.bind(Bound { expires: at(90), ..bound(2, 0) }, START).unwrap();
    written(&mut socket, 0);
    for number in [1, 2] {
        socket.appended(key(number), 1);
    }
    assert_eq!(written(&mut socket, 64), ["1: events 1-1", "2: events 1-1"], "within the grace");
    for number in [1, 2] {
        socket.appended(key(number), 2);
    }
    assert_eq!(socket.next_deadline(), at(65));
    assert_eq!(written(&mut socket, 65), ["2: events 2-2"]);
    assert_eq!(socket.close(at(94)), None);
    assert_eq!(socket.close(at(95)), Some(CloseReason::Expired));
    assert_eq!(CloseReason::Expired.code(), 1008);
}

#[test]
fn what_ended_is_not_served_and_the_last_one_closes_the_socket() {
    let mut socket = socket();
    socket.bind(Bound { token: TokenId(7), ..bound(1, 9) }, START).unwrap();
    socket.bind(bound(2, 9), START).unwrap();
    socket.token_revoked(TokenId(7));
    assert_eq!(socket.subscriptions().collect::<Vec<_>>(), [key(2)]);
    assert_eq!(socket.next_frame(START).map(words).as_deref(), Some("2: handshake"));
    socket.removed(key(2));
    assert_eq!(socket.frame_sent(START), None);
    assert_eq!(socket.next_frame(START), None);
    assert!(socket.next_deadline() <= START);
    assert_eq!(socket.close(START), Some(CloseReason::SubscriptionEnded));
}

#[test]
fn what_a_client_lets_go_gets_no_more_frames_and_the_socket_stays() {
    let mut socket = socket();
    socket.bind(Bound { token: TokenId(7), ..bound(1, 9) }, START).unwrap();
    socket.let_go(TokenId(7), at(100));
    assert_eq!(socket.next_frame(at(100)), None);
    assert_eq!(socket.close(at(100)), None, "it may bind again");
    socket.bind(bound(2, 0), at(101)).unwrap();
    assert_eq!(written(&mut socket, 101), ["2: handshake"]);
    socket.let_go(TokenId(7), at(102));
    assert_eq!(socket.subscriptions().collect::<Vec<_>>(), [key(2)]);
    let rest: Vec<_> = socket.bindings.iter().map(|binding| binding.token).collect();
    rest.into_iter().for_each(|token| socket.let_go(token, at(200)));
    assert_eq!(socket.close(at(10_000)), Some(CloseReason::NotBound));
}

#[test]
fn what_is_not_bound_is_ignored() {
    let mut socket = socket();
    socket.appended(key(1), 5);
    socket.updated(key(1), None, None);
    socket.removed(key(1));
    socket.token_revoked(TokenId(1));
    assert_eq!(socket.next_frame(START), None);
    assert_eq!(socket.close(START), None);
}

#[test]
fn a_socket_takes_a_bounded_number_of_bindings() {
    let mut socket = socket();
    for number in 1..=BINDINGS_PER_SOCKET_MAX {
        socket.bind(bound(number as u64, 0), START).unwrap();
    }
    let one_more = bound(BINDINGS_PER_SOCKET_MAX as u64 + 1, 0);
    assert_eq!(socket.bind(one_more, START), Err(TooManyBindings));
    assert_eq!(socket.bind(bound(1, 0), START), Ok(()), "a renewal is no further binding");
}
