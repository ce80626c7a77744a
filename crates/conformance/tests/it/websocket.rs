//! The websocket channel: binding, frames, renewal, and every way it ends.

use std::collections::BTreeSet;

use cresset_conformance::{
    Client, Closed, Options, Server, Socket, Subscribe, Token, Version, patient, until, verifies,
};
use futures_util::future::join_all;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const TOPIC: &str = "http://cresset.test/topics/patient-any";
/// Close code of a socket whose token or deadline is no good.
const POLICY: u16 = 1008;

/// Several websocket subscriptions.
async fn subscribe(base: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(base.subscribe(&Subscribe::websocket(TOPIC)).await);
    }
    ids
}

fn as_strs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

/// Reads one handshake for each of these subscriptions, in any order.
async fn shake_hands(socket: &mut Socket, ids: &[&str]) {
    let mut missing: BTreeSet<&str> = ids.iter().copied().collect();
    while !missing.is_empty() {
        let handshake = socket.next().await;
        assert_eq!(handshake.kind, "handshake", "{}", handshake.json);
        assert!(missing.remove(handshake.subscription_id()), "{}", handshake.json);
        assert!(handshake.events.is_empty() && handshake.entries.is_empty());
    }
}

async fn open(base: &Client, token: &Token) -> Socket {
    Socket::open(base.version, &token.url).await
}

#[tokio::test]
async fn every_form_of_the_bind_is_answered_with_a_handshake_for_each_subscription() {
    verifies!("RQ-CH-42", "RQ-CH-43", "RQ-CH-44", "RQ-CH-10", "RQ-CH-41");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 3).await;
        let token = base.token(&as_strs(&ids)).await;
        let secret = &token.token;
        for bind in [
            format!("bind-with-token {secret}"),
            format!("bind-with-token: {secret}"),
            format!("  bind-with-token \t{secret} \n"),
            format!("bind-with-token:{secret}").replace(':', ": "),
            format!("{{\"type\":\"bind-with-token\",\"payload\":{{\"token\":\"{secret}\"}}}}"),
        ] {
            let mut socket = open(&base, &token).await;
            socket.send(bind).await;
            shake_hands(&mut socket, &as_strs(&ids)).await;
            socket.close().await;
        }
    }
}

#[tokio::test]
async fn each_notification_is_one_frame_in_order_without_acknowledgement() {
    verifies!("RQ-CH-45", "RQ-CH-47", "RQ-NB-41");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 1).await;
        let mut socket = base.listen(&ids[0]).await;
        for number in 1..=5 {
            base.save(&patient("p")).await;
            let told = socket.event().await;
            assert_eq!((told.numbers(), told.subscription_id()), (vec![number], ids[0].as_str()));
        }
    }
}

#[tokio::test]
async fn one_socket_serves_many_subscriptions_and_each_ends_alone() {
    verifies!("RQ-CH-52", "RQ-CH-48", "RQ-ER-13");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 20).await;
        let (first, second) = ids.split_at(12);
        let token = base.token(&as_strs(first)).await;
        let mut socket = open(&base, &token).await;
        socket.bind(&token).await;
        shake_hands(&mut socket, &as_strs(first)).await;
        // A second token on the same socket.
        socket.bind(&base.token(&as_strs(second)).await).await;
        shake_hands(&mut socket, &as_strs(second)).await;

        base.save(&patient("p")).await;
        collect(&mut socket, &as_strs(&ids), 1).await;
        base.remove(&format!("Subscription/{}", ids[0])).await;
        base.save(&patient("p")).await;
        collect(&mut socket, &as_strs(&ids[1..]), 2).await;
        base.save(&patient("p")).await;
        collect(&mut socket, &as_strs(&ids[1..]), 3).await;
    }
}

/// Reads the event with this number of each subscription, and of no other.
async fn collect(socket: &mut Socket, ids: &[&str], number: u64) {
    let mut missing: BTreeSet<&str> = ids.iter().copied().collect();
    while !missing.is_empty() {
        let told = socket.event().await;
        assert_eq!(told.numbers(), [number], "{}", told.json);
        assert!(missing.remove(told.subscription_id()), "{}", told.json);
    }
}

#[tokio::test]
async fn what_was_missed_while_away_comes_after_the_next_bind_in_order() {
    verifies!("RQ-CH-51", "RQ-ER-09", "RQ-NB-43");
    let mut server = Server::start().await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let id = subscribe(&base, 1).await.remove(0);
        // Nobody has bound yet.
        for _ in 0..3 {
            base.save(&patient("p")).await;
        }
        let mut socket = base.listen(&id).await;
        read_up_to(&mut socket, 0, 3).await;
        base.save(&patient("p")).await;
        assert_eq!(socket.event().await.numbers(), [4]);
        socket.close().await;
        for _ in 0..5 {
            base.save(&patient("p")).await;
        }
        assert_eq!(base.status(&id).await.status, "active");
        let mut socket = base.listen(&id).await;
        read_up_to(&mut socket, 4, 9).await;
        base.save(&patient("p")).await;
        assert_eq!(socket.event().await.numbers(), [10]);
        socket.close().await;
        base.save(&patient("p")).await;
        ids.push(id);
    }
    // Also over a restart, at least once.
    server.restart().await;
    for (base, id) in server.bases().iter().zip(&ids) {
        base.save(&patient("p")).await;
        let mut socket = base.listen(id).await;
        let first = socket.event().await;
        assert!(first.numbers()[0] <= 11, "{}", first.json);
        if first.count < 12 {
            read_up_to(&mut socket, first.count, 12).await;
        }
    }
}

/// Reads all events behind one number up to another, each once and in order.
async fn read_up_to(socket: &mut Socket, after: u64, last: u64) {
    let mut next = after + 1;
    while next <= last {
        let numbers = socket.event().await.numbers();
        assert_eq!(numbers, (next..next + numbers.len() as u64).collect::<Vec<_>>());
        next += numbers.len() as u64;
    }
    assert_eq!(next, last + 1);
}

#[tokio::test]
async fn a_token_may_be_used_again_and_survives_a_restart() {
    verifies!("RQ-OP-42", "RQ-CH-41");
    let mut server = Server::start().await;
    let mut held = Vec::new();
    for base in server.bases() {
        let ids = subscribe(&base, 2).await;
        let token = base.token(&as_strs(&ids)).await;
        for _ in 0..2 {
            let mut socket = open(&base, &token).await;
            socket.bind(&token).await;
            shake_hands(&mut socket, &as_strs(&ids)).await;
        }
        held.push((ids, token));
    }
    server.restart().await;
    for (base, (ids, token)) in server.bases().iter().zip(&held) {
        // The server has another port now; the token is the same.
        let url = base.token(&as_strs(ids)).await.url;
        let mut socket = Socket::open(base.version, &url).await;
        socket.bind(token).await;
        shake_hands(&mut socket, &as_strs(ids)).await;
    }
}

#[tokio::test]
async fn a_bad_token_gives_no_handshake_and_a_close() {
    verifies!("RQ-CH-50", "RQ-OP-42");
    let server = Server::start().await;
    let stranger = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 1).await;
        let token = base.token(&as_strs(&ids)).await;
        let foreign = stranger.base(base.version);
        let foreign_ids = subscribe(&foreign, 1).await;
        let foreign = foreign.token(&as_strs(&foreign_ids)).await;
        let long = format!("bind-with-token {}", "a".repeat(5_000));
        for bind in [
            "bind-with-token nonsense".to_owned(),
            format!("bind-with-token {}x", token.token),
            format!("bind-with-token {}", foreign.token),
            "bind-with-token".to_owned(),
            format!("bind {}", ids[0]),
            "{\"type\":\"bind-with-token\"}".to_owned(),
            "{".to_owned(),
            String::new(),
            long,
        ] {
            let mut socket = open(&base, &token).await;
            socket.send(bind.clone()).await;
            let closed = socket.closed().await;
            assert_eq!(closed.code, POLICY, "{bind:.60}: {closed:?}");
            assert!(!closed.reason.is_empty(), "{bind:.60}");
        }
    }
}

#[tokio::test]
async fn a_token_dies_with_its_subscription() {
    verifies!("RQ-OP-42", "RQ-ER-13");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 2).await;
        let token = base.token(&as_strs(&ids)).await;
        let lone = base.token(&[&ids[0]]).await;
        let mut bound = open(&base, &lone).await;
        bound.bind(&lone).await;
        shake_hands(&mut bound, &[&ids[0]]).await;
        base.remove(&format!("Subscription/{}", ids[0])).await;
        let closed = bound.closed().await;
        assert!(matches!(closed.code, 1000 | POLICY), "{closed:?}");
        // What the token covered besides is still served.
        let mut socket = open(&base, &token).await;
        socket.bind(&token).await;
        shake_hands(&mut socket, &[&ids[1]]).await;
        let mut socket = open(&base, &lone).await;
        socket.bind(&lone).await;
        assert_eq!(socket.closed().await.code, POLICY);
        // A new life under the old id is not what the token was for.
        base.save(&Subscribe::websocket(TOPIC).id(&ids[0]).json(base.version)).await;
        let mut socket = open(&base, &lone).await;
        socket.bind(&lone).await;
        assert_eq!(socket.closed().await.code, POLICY);
    }
}

#[tokio::test]
async fn a_subscription_that_is_switched_off_leaves_its_sockets() {
    verifies!("RQ-ER-11", "RQ-OP-42");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 1).await;
        let token = base.token(&as_strs(&ids)).await;
        let mut socket = open(&base, &token).await;
        socket.bind(&token).await;
        shake_hands(&mut socket, &as_strs(&ids)).await;
        let off = Subscribe::websocket(TOPIC).id(&ids[0]).status("off");
        base.save(&off.json(base.version)).await;
        let closed = socket.closed().await;
        assert!(matches!(closed.code, 1000 | POLICY), "{closed:?}");
        let mut socket = open(&base, &token).await;
        socket.bind(&token).await;
        assert_eq!(socket.closed().await.code, POLICY);
    }
}

#[tokio::test]
async fn an_expired_token_ends_the_binding_unless_it_was_renewed() {
    verifies!("RQ-CH-49", "RQ-CH-48", "RQ-OP-42");
    let options = Options::default()
        .set("websocket.token-lifetime", "2s")
        .set("websocket.expiry-grace", "300ms");
    let server = Server::start_with(options).await;
    let work = server.bases().map(|base| async move {
        let ids = subscribe(&base, 2).await;
        let token = base.token(&as_strs(&ids)).await;
        let mut left = open(&base, &token).await;
        left.bind(&token).await;
        shake_hands(&mut left, &as_strs(&ids)).await;
        let mut renewed = open(&base, &token).await;
        renewed.bind(&token).await;
        shake_hands(&mut renewed, &as_strs(&ids)).await;
        base.save(&patient("p")).await;
        collect(&mut renewed, &as_strs(&ids), 1).await;

        let half = token.expiration.parse::<jiff::Timestamp>().expect("a time");
        let half = half - jiff::SignedDuration::from_millis(700);
        until("the token is about to expire", || async {
            (jiff::Timestamp::now() >= half).then_some(())
        })
        .await;
        renewed.bind(&base.token(&as_strs(&ids)).await).await;
        shake_hands(&mut renewed, &as_strs(&ids)).await;

        let closed = loop {
            match left.next_or_closed().await {
                Ok(told) => assert_eq!(told.numbers(), [1], "{}", told.json),
                Err(closed) => break closed,
            }
        };
        assert_eq!(closed.code, POLICY, "{closed:?}");
        // The old token is of no use any more, and the renewed binding goes on.
        let mut late = open(&base, &token).await;
        late.bind(&token).await;
        assert_eq!(late.closed().await.code, POLICY);
        base.save(&patient("p")).await;
        collect(&mut renewed, &as_strs(&ids), 2).await;
    });
    join_all(work).await;
}

#[tokio::test]
async fn a_socket_that_does_not_bind_in_time_is_closed() {
    verifies!("RQ-CH-50");
    let options = Options::default().set("websocket.bind-deadline", "1s");
    let server = Server::start_with(options).await;
    let work = server.bases().map(|base| async move {
        let ids = subscribe(&base, 1).await;
        let token = base.token(&as_strs(&ids)).await;
        let mut silent = open(&base, &token).await;
        let closed = silent.closed().await;
        assert_eq!(closed.code, POLICY, "{closed:?}");
    });
    join_all(work).await;
}

#[tokio::test]
async fn frames_that_are_too_large_or_binary_close_the_socket() {
    verifies!("RQ-CH-50");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 1).await;
        let token = base.token(&as_strs(&ids)).await;
        for message in [
            Message::text("x".repeat(2 * 1024 * 1024)),
            Message::text("x".repeat(100 * 1024)),
            Message::binary(vec![0_u8; 10]),
        ] {
            let mut socket = open(&base, &token).await;
            let what = format!("{} bytes", message.len());
            socket.send_message(message).await;
            let Closed { code, .. } = socket.closed().await;
            // 1006: what is not read when a socket is closed resets the connection.
            assert!(matches!(code, 1003 | 1006 | 1009), "{what}: {code}");
        }
        let mut socket = open(&base, &token).await;
        let frame = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
        socket.send_message(Message::Frame(frame)).await;
        assert_eq!(socket.closed().await.code, 1007, "not UTF-8");
        // The server is well, and so is the subscription.
        let mut socket = base.listen(&ids[0]).await;
        base.save(&patient("p")).await;
        assert_eq!(socket.event().await.numbers(), [1]);
    }
}

#[tokio::test]
async fn a_plain_request_at_the_websocket_url_is_refused() {
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 1).await;
        let token = base.token(&as_strs(&ids)).await;
        let url = token.url.replace("ws://", "http://");
        base.get(&url).await.refused(400);
        let wrong = Socket::try_open(Version::R4, &token.url.replace("/r", "/x")).await;
        assert!(matches!(wrong, Err(Some(404))));
    }
}

#[tokio::test]
async fn two_sockets_of_one_subscription_both_get_every_event() {
    verifies!("RQ-CH-47", "RQ-CH-51");
    let server = Server::start().await;
    for base in server.bases() {
        let ids = subscribe(&base, 1).await;
        let mut one = base.listen(&ids[0]).await;
        let mut other = base.listen(&ids[0]).await;
        for number in 1..=3 {
            base.save(&patient("p")).await;
            assert_eq!(one.event().await.numbers(), [number]);
            assert_eq!(other.event().await.numbers(), [number]);
        }
        other.close().await;
        base.save(&patient("p")).await;
        assert_eq!(one.event().await.numbers(), [4]);
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_no_memory_and_misses_nothing() {
    const WRITES: u64 = 600;
    let server = Server::start().await;
    let base = server.base(Version::R4);
    let subscribe = Subscribe::websocket(TOPIC).content("full-resource").max_count(1);
    let id = base.subscribe(&subscribe).await;
    let mut slow = base.listen(&id).await;
    let mut large = patient("large");
    large["text"] = serde_json::json!({
        "status": "generated",
        "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", "x".repeat(100_000)),
    });
    base.save(&large).await;
    let before = server.memory_bytes();
    for _ in 1..WRITES {
        base.save(&large).await;
    }
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < 56 * 1024 * 1024, "{grown} bytes for {} MB of events", WRITES / 10);
    read_up_to(&mut slow, 0, WRITES).await;
}

#[tokio::test]
async fn what_was_missed_comes_in_frames_of_bounded_size() {
    let server = Server::start().await;
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).content("full-resource").max_count(100);
        let id = base.subscribe(&asked).await;
        for number in 0..12 {
            let mut large = patient(&format!("p{number}"));
            large["name"][0]["text"] = "x".repeat(60 << 10).into();
            base.save(&large).await;
        }
        let mut socket = base.listen(&id).await;
        let (mut numbers, mut frames) = (Vec::new(), 0);
        while numbers.len() < 12 {
            let frame = socket.event().await;
            assert!(
                frame.json.to_string().len() < 512 << 10,
                "one resource beyond 256 KiB at most"
            );
            numbers.extend(frame.numbers());
            frames += 1;
        }
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
        assert!((3..12).contains(&frames), "{frames}");
    }
}
