//! Sockets: binding, resuming, ending.

use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, EventNumber, IssueCode, NotificationType, ResourceId};
use cresset_store::{Retention, Store as _};
use serde_json::Value;

use super::fixture::{Fixture, admin, encounter, subscription, topic};
use crate::live::LiveSubscription;
use crate::notify::{self, Dialect, Overflow, Range};
use crate::{Caller, Kind, Recovery, RecoverySubject, ResendQuery, Right, Socket, SocketOutput};

/// Longest wait for something that is due at once.
const SOON: Duration = Duration::from_secs(10);

async fn token(fixture: &Fixture, ids: &[&str]) -> String {
    let ids: Vec<ResourceId> = ids.iter().map(|id| ResourceId::new(id).unwrap()).collect();
    let bytes = fixture.node.binding_token(&admin(), FhirVersion::R4, &ids).await.unwrap();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    let parameters = answer["parameter"].as_array().unwrap();
    let token = parameters.iter().find(|one| one["name"] == "token").unwrap();
    token["valueString"].as_str().unwrap().to_owned()
}

/// Type and count of the next frame, which then counts as written.
async fn frame(socket: &mut Socket) -> (String, u64) {
    match tokio::time::timeout(SOON, socket.next()).await.expect("a frame is due") {
        SocketOutput::Frame(bytes) => {
            socket.written();
            let bundle: Value = serde_json::from_slice(&bytes).unwrap();
            let parameters = bundle["entry"][0]["resource"]["parameter"].as_array().unwrap();
            let value = |name: &str, member: &str| {
                let found = parameters.iter().find(|one| one["name"] == name).unwrap();
                found[member].as_str().unwrap().to_owned()
            };
            let count = value("events-since-subscription-start", "valueString");
            (value("type", "valueCode"), count.parse().unwrap())
        }
        SocketOutput::Close { code, reason } => panic!("closed with {code}: {reason}"),
    }
}

/// Builds a notification of these events, as for one that is sent again; whether there is anything in it.
async fn is_built(fixture: &Fixture, live: &LiveSubscription, first: u64, last: u64) -> bool {
    let number = |number| EventNumber::new(number).unwrap();
    let range = Range { first: number(first), last: number(last) };
    let wanted = (NotificationType::EventNotification, Dialect::Fhir);
    let events = Some((range, Overflow::Bare));
    notify::render(&fixture.node.shared, live, wanted, events, None).await.unwrap().is_some()
}

async fn closed(socket: &mut Socket) -> u16 {
    match tokio::time::timeout(SOON, socket.next()).await.expect("a close is due") {
        SocketOutput::Close { code, .. } => code,
        SocketOutput::Frame(bytes) => panic!("{}", String::from_utf8_lossy(&bytes)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_resumes_where_the_last_one_ended() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let token = token(&fixture, &[&id]).await;
    let command = format!("bind-with-token {token}");
    let mut first = fixture.node.open_socket().unwrap();
    first.receive(&command).await;
    assert_eq!(frame(&mut first).await, ("handshake".to_owned(), 0));
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    assert_eq!(frame(&mut first).await, ("event-notification".to_owned(), 1));
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    // Handed out but never written: not sent.
    assert!(matches!(first.next().await, SocketOutput::Frame(_)));
    drop(first);
    fixture.put(&encounter("c", "planned", "p")).await.unwrap();
    let fixture = fixture.restart().await;
    let mut second = fixture.node.open_socket().unwrap();
    second.receive(&command).await;
    assert_eq!(frame(&mut second).await.0, "handshake");
    assert_eq!(frame(&mut second).await, ("event-notification".to_owned(), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_frame_can_be_cut_off_without_losing_it() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let token = token(&fixture, &[&id]).await;
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive(&format!("bind-with-token {token}")).await;
    assert_eq!(frame(&mut socket).await.0, "handshake");
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    for _ in 0..3 {
        // Polled once, then dropped, as a select does when something else is ready first.
        let polled = tokio::select! {
            biased;
            output = socket.next() => Some(output),
            () = std::future::ready(()) => None,
        };
        drop(polled);
    }
    assert_eq!(frame(&mut socket).await, ("event-notification".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bind_by_id_ends_when_the_subscription_turns_to_a_topic() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let mut subscription = subscription("any", &[]);
    subscription["id"] = "s".into();
    let mut classic = subscription.clone();
    classic["criteria"] = "Encounter?status=planned".into();
    classic["channel"] = serde_json::json!({"type": "websocket"});
    fixture.put(&classic).await.unwrap();
    let mut socket = fixture.node.open_socket().unwrap().opened_by(FhirVersion::R4, Some(admin()));
    socket.receive("bind s").await;
    for expected in ["bound s", "ping s"] {
        let output = tokio::time::timeout(SOON, socket.next()).await.expect("a frame is due");
        socket.written();
        assert_eq!(output, SocketOutput::Frame(expected.into()));
        fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    }
    assert_eq!(socket.next().await, SocketOutput::Frame("ping s".into()));
    socket.written();
    fixture.put(&subscription).await.unwrap();
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!(closed(&mut socket).await, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_closes_and_so_does_the_end_of_the_subscription() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let token = token(&fixture, &[&id]).await;
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive("bind-with-token nonsense").await;
    assert_eq!(closed(&mut socket).await, 1008);
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive(&format!("bind-with-token: {token}")).await;
    assert_eq!(frame(&mut socket).await.0, "handshake");
    fixture.delete("Subscription", &id).await;
    assert_eq!(closed(&mut socket).await, 1000);
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive(&format!("bind-with-token {token}")).await;
    assert_eq!(closed(&mut socket).await, 1008, "a token dies with its subscription");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let token = token(&fixture, &[&id]).await;
    fixture.clock.set("2026-01-01T00:30:00Z".parse().unwrap());
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive(&format!("bind-with-token {token}")).await;
    assert_eq!(closed(&mut socket).await, 1008);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_bounded_and_places_come_free() {
    let fixture = Fixture::new();
    let first = fixture.node.open_socket().unwrap();
    let _second = fixture.node.open_socket().unwrap();
    let refused = fixture.node.open_socket().err().unwrap();
    assert_eq!(refused.kind(), Kind::Throttled);
    drop(first);
    assert!(fixture.node.open_socket().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sent_again_over_the_sockets_that_are_bound() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let bind = format!("bind-with-token {}", token(&fixture, &[&id]).await);
    let resend = async |since, until| {
        let number = |number| EventNumber::new(number);
        let (since, until) = (number(since), number(until));
        let query = ResendQuery { since, until, ..ResendQuery::default() };
        let id = ResourceId::new(&id).unwrap();
        fixture.node.resend_events(&admin(), FhirVersion::R4, &id, query).await
    };
    let mut sockets = [fixture.node.open_socket().unwrap(), fixture.node.open_socket().unwrap()];
    sockets[0].receive(&bind).await;
    assert_eq!(frame(&mut sockets[0]).await.0, "handshake");
    for encounter_id in ["a", "b", "c"] {
        fixture.put(&encounter(encounter_id, "planned", "p")).await.unwrap();
        frame(&mut sockets[0]).await;
    }
    sockets[1].receive(&bind).await;
    assert_eq!(frame(&mut sockets[1]).await, ("handshake".to_owned(), 3));
    resend(2, 9).await.unwrap();
    let busy = resend(1, 1).await.unwrap_err();
    assert_eq!((busy.kind(), busy.issues().0[0].code), (Kind::Conflict, IssueCode::CannotResend));
    for socket in &mut sockets {
        assert_eq!(frame(socket).await, ("event-notification".to_owned(), 3));
    }
    resend(1, 1).await.unwrap();
    fixture.put(&encounter("d", "planned", "p")).await.unwrap();
    for socket in &mut sockets {
        let both = [frame(socket).await.1, frame(socket).await.1];
        assert!(both == [1, 4] || both == [4, 1], "{both:?}");
    }
    drop(sockets);
    assert_eq!(resend(1, 1).await.unwrap_err().kind(), Kind::Conflict, "nobody is bound");
    assert_eq!(resend(5, 5).await.unwrap_err().kind(), Kind::Unprocessable, "no such event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_sends_what_came_since_an_instant_and_only_for_admins() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive(&format!("bind-with-token {}", token(&fixture, &[&id]).await)).await;
    assert_eq!(frame(&mut socket).await.0, "handshake");
    for minute in 1..=3 {
        fixture.clock.set(format!("2026-01-01T00:0{minute}:00Z").parse().unwrap());
        fixture.put(&encounter("a", "planned", "p")).await.unwrap();
        frame(&mut socket).await;
    }
    let subject = RecoverySubject::Topic("http://test/topic/any".to_owned());
    let since = "2026-01-01T00:02:00Z".parse().unwrap();
    let other =
        Caller::new(ClientName::new("other").unwrap(), [Right::Subscribe].into_iter().collect());
    let refused = fixture.node.recover(&other, &subject, since).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    let elsewhere = RecoverySubject::Topic("http://test/topic/an".to_owned());
    let none = fixture.node.recover(&admin(), &elsewhere, since).await.unwrap();
    assert_eq!(none, Recovery::default());
    let found = fixture.node.recover(&admin(), &subject, since).await.unwrap();
    assert_eq!(found, Recovery { subscriptions: 1, events: 2, ..Recovery::default() });
    assert_eq!(frame(&mut socket).await, ("event-notification".to_owned(), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_to_each_of_many_with_ids_and_numbers_of_its_own() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let mut sockets = Vec::new();
    for number in 0..3 {
        // Each has had one event less than the one before it.
        let id = fixture.subscribe("any", &[]).await;
        let token = token(&fixture, &[&id]).await;
        let mut socket = fixture.node.open_socket().unwrap();
        socket.receive(&format!("bind-with-token {token}")).await;
        assert_eq!(frame(&mut socket).await.0, "handshake");
        sockets.push((id, socket));
        let before = format!("before-{number}");
        fixture.put(&encounter(&before, "planned", "p")).await.unwrap();
        for (_, socket) in &mut sockets {
            assert_eq!(frame(socket).await.0, "event-notification");
        }
    }
    fixture.put(&encounter("told-to-all", "planned", "p")).await.unwrap();
    let (mut names, mut rest) = (Vec::new(), Vec::new());
    for (number, (id, socket)) in (2_u64..=4).rev().zip(&mut sockets) {
        let SocketOutput::Frame(bytes) = socket.next().await else { panic!("a frame is due") };
        socket.written();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let status = &bundle["entry"][0]["resource"];
        let own = [bundle["id"].as_str().unwrap(), status["id"].as_str().unwrap()];
        names.extend(own.map(str::to_owned));
        assert_eq!(text.matches(id.as_str()).count(), 2, "reference and request: {text}");
        assert_eq!(text.matches(&format!("\"valueString\":\"{number}\"")).count(), 2, "{text}");
        let same = text.replace(id.as_str(), "ID").replace(own[0], "BUNDLE");
        let same = same.replace(own[1], "STATUS").replace(&format!("\"{number}\""), "NUMBER");
        let timestamp = bundle["timestamp"].as_str().unwrap();
        rest.push(same.replacen(timestamp, "NOW", 1));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6, "every id is used once");
    rest.dedup();
    assert_eq!(rest.len(), 1, "all else is the same: {rest:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_forgets_before_it_is_sent_is_told() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    for encounter_id in ["a", "b", "c"] {
        fixture.put(&encounter(encounter_id, "planned", "p")).await.unwrap();
    }
    let retention = Retention { events_per_subscription_max: Some(1), ..Retention::default() };
    assert_eq!(fixture.store.forget(&retention, 1_000).unwrap().events, 2);
    // What is in memory would still be sent.
    let fixture = fixture.restart().await;
    let mut socket = fixture.node.open_socket().unwrap();
    socket.receive(&format!("bind-with-token {}", token(&fixture, &[&id]).await)).await;
    assert_eq!(frame(&mut socket).await, ("handshake".to_owned(), 3));
    assert_eq!(fixture.status(&id).2, [""; 0]);
    assert_eq!(frame(&mut socket).await, ("event-notification".to_owned(), 3));
    let errors = fixture.status(&id).2;
    assert_eq!(errors.len(), 1, "{errors:?}");
    let told = "\"events 1 to 2 were older than what is kept before they could be sent\"";
    assert!(errors[0].contains(told), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_forgets_after_it_was_sent_is_no_loss() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    let bind = format!("bind-with-token {}", token(&fixture, &[&id]).await);
    let mut sockets = [fixture.node.open_socket().unwrap(), fixture.node.open_socket().unwrap()];
    for socket in &mut sockets {
        socket.receive(&bind).await;
        assert_eq!(frame(socket).await, ("handshake".to_owned(), 0));
    }
    for encounter_id in ["a", "b", "c"] {
        fixture.put(&encounter(encounter_id, "planned", "p")).await.unwrap();
        frame(&mut sockets[0]).await;
    }
    let retention = Retention { events_per_subscription_max: Some(1), ..Retention::default() };
    assert_eq!(fixture.store.forget(&retention, 1_000).unwrap().events, 2);
    let live = fixture.live(&id);
    assert!(is_built(&fixture, &live, 1, 3).await, "the last is still there");
    assert!(!is_built(&fixture, &live, 1, 2).await);
    assert_eq!(live.state().loss(), None, "sent again");
    assert_eq!(frame(&mut sockets[1]).await, ("event-notification".to_owned(), 3));
    assert_eq!(live.state().loss(), None, "the other socket had them");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_retention_forgets_that_is_told_which_was_never_sent() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    for encounter_id in ["a", "b", "c", "d"] {
        fixture.put(&encounter(encounter_id, "planned", "p")).await.unwrap();
    }
    let live = fixture.live(&id);
    live.state().move_cursor(EventNumber::FIRST);
    let retention = Retention { events_per_subscription_max: Some(1), ..Retention::default() };
    assert_eq!(fixture.store.forget(&retention, 1_000).unwrap().events, 3);
    assert!(is_built(&fixture, &live, 1, 4).await);
    let told = live.state().loss().map(str::to_owned).expect("two are lost");
    assert!(told.starts_with("events 2 to 3 "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_leaves_its_subscription_to_other_sockets() {
    let fixture = Fixture::new();
    fixture.create(&topic("any", &[])).await.unwrap();
    let (ends, stays) = (fixture.subscribe("any", &[]).await, fixture.subscribe("any", &[]).await);
    let bind = async |socket: &mut Socket, id: &str| {
        let token = token(&fixture, &[id]).await;
        socket.receive(&format!("bind-with-token {token}")).await;
        assert_eq!(frame(socket).await.0, "handshake");
    };
    let resend = async || {
        let (since, until) = (EventNumber::new(1), EventNumber::new(1));
        let query = ResendQuery { since, until, ..ResendQuery::default() };
        let id = ResourceId::new(&ends).unwrap();
        fixture.node.resend_events(&admin(), FhirVersion::R4, &id, query).await.map(|_| ())
    };
    fixture.put(&encounter("a", "planned", "p")).await.unwrap();
    let mut socket = fixture.node.open_socket().unwrap();
    bind(&mut socket, &ends).await;
    assert_eq!(frame(&mut socket).await, ("event-notification".to_owned(), 1));
    fixture.clock.set("2026-01-01T00:20:00Z".parse().unwrap());
    bind(&mut socket, &stays).await;
    assert_eq!(frame(&mut socket).await, ("event-notification".to_owned(), 1));
    resend().await.unwrap();
    fixture.clock.set("2026-01-01T00:31:00Z".parse().unwrap());
    fixture.put(&encounter("b", "planned", "p")).await.unwrap();
    assert_eq!(frame(&mut socket).await, ("event-notification".to_owned(), 2));
    let mut other = fixture.node.open_socket().unwrap();
    bind(&mut other, &ends).await;
    resend().await.unwrap();
}
