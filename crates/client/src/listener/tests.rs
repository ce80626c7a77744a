use std::sync::Mutex;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::sequence::Fault;
use crate::shared_data::shared;

/// What a server does to one connection after another: what it sends, then it breaks it; the last stays open.
type Script = Vec<Vec<Value>>;

/// How a server answers `$events`.
#[derive(Clone, Copy)]
enum Events {
    /// With those from this number on, at most so many.
    From(u64, u64),
    /// With this status.
    Status(u16),
}

struct Server {
    base: String,
    connections: Mutex<VecDeque<Vec<Value>>>,
    events: Events,
    asked: Mutex<Vec<(u64, u64)>>,
    tokens: Mutex<u64>,
    lifetime: Duration,
}

fn notification(kind: &str, count: u64, numbers: &[u64]) -> Value {
    let events: Vec<Value> =
        numbers.iter().map(|number| json!({"eventNumber": number.to_string()})).collect();
    let status = json!({
        "resourceType": "SubscriptionStatus", "type": kind, "status": "active",
        "subscription": {"reference": "http://h/Subscription/a"},
        "eventsSinceSubscriptionStart": count.to_string(), "notificationEvent": events,
    });
    json!({"resourceType": "Bundle", "entry": [{"resource": status}]})
}

fn handshake(count: u64) -> Value {
    notification("handshake", count, &[])
}

fn event(number: u64) -> Value {
    notification("event-notification", number, &[number])
}

async fn start(script: Script, events: Events, lifetime: Duration) -> Arc<Server> {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let server = Arc::new(Server {
        base: tcp.local_addr().expect("an address").to_string(),
        connections: Mutex::new(script.into()),
        events,
        asked: Mutex::default(),
        tokens: Mutex::default(),
        lifetime,
    });
    let router = Router::new()
        .route("/Subscription/a/$get-ws-binding-token", get(token))
        .route("/Subscription/a/$events", get(answer))
        .route("/Subscription/admission/$get-ws-binding-token", get(token))
        .route("/Subscription/admission/$events", get(answer))
        .route("/ws", get(upgrade))
        .with_state(server.clone());
    tokio::spawn(async move { axum::serve(tcp, router).await });
    server
}

async fn token(State(server): State<Arc<Server>>) -> String {
    *server.tokens.lock().expect("no panic") += 1;
    let expiration = Timestamp::now() + server.lifetime;
    json!({"resourceType": "Parameters", "parameter": [
        {"name": "token", "valueString": "t"},
        {"name": "expiration", "valueDateTime": expiration.to_string()},
        {"name": "websocket-url", "valueUrl": format!("ws://{}/ws", server.base)},
    ]})
    .to_string()
}

async fn answer(
    State(server): State<Arc<Server>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let number = |name: &str| -> u64 {
        let (_, value) = query.iter().find(|(asked, _)| asked == name).expect("asked for");
        value.parse().expect("a number")
    };
    let (since, until) = (number("eventsSinceNumber"), number("eventsUntilNumber"));
    server.asked.lock().expect("no panic").push((since, until));
    match server.events {
        Events::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Events::From(kept, most) => {
            let numbers: Vec<u64> =
                (since.max(kept)..=until).take(usize::try_from(most).expect("few")).collect();
            notification("query-event", until, &numbers).to_string().into_response()
        }
    }
}

async fn upgrade(State(server): State<Arc<Server>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| serve(&server, socket).await)
}

async fn serve(server: &Server, mut socket: WebSocket) {
    let bind = socket.recv().await.expect("a frame").expect("no failure");
    assert_eq!(bind, Message::text("bind-with-token t"));
    let (frames, is_last) = {
        let mut connections = server.connections.lock().expect("no panic");
        (connections.pop_front().unwrap_or_default(), connections.is_empty())
    };
    for frame in frames {
        // The client may be gone.
        drop(socket.send(Message::text(frame.to_string())).await);
    }
    while is_last && let Some(Ok(_)) = socket.recv().await {}
}

fn listener(server: &Server, start: Start) -> Listener {
    listener_to("a", server, start)
}

fn listener_to(id: &str, server: &Server, start: Start) -> Listener {
    let client = Client::new(&format!("http://{}", server.base)).expect("a client");
    let options = Options {
        retry_delay: Duration::from_millis(1)..=Duration::from_millis(2),
        limits: Limits { missing_max: 50, early_max: 10, page: 4 },
        tries_max: Some(20),
        ..Options::default()
    };
    Listener::new(client, id, start, options)
}

/// The numbers up to this one, lost ones negative, or the error before.
async fn numbers(listener: &mut Listener, last: u64) -> (Vec<i64>, Option<Error>) {
    let mut numbers = Vec::new();
    let signed = |number: u64| i64::try_from(number).expect("small");
    while listener.cursor().is_none_or(|cursor| cursor < last) || !numbers.contains(&signed(last)) {
        match listener.next().await {
            Ok(Update::Event(arrival)) => numbers.push(signed(arrival.event.number.get())),
            Ok(Update::Lost(range)) => numbers.extend(range.map(|number| -signed(number))),
            Ok(_) => {}
            Err(error) => return (numbers, Some(error)),
        }
    }
    (numbers, None)
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn events_of_broken_connections_are_recovered_page_by_page() {
    let script = vec![
        vec![handshake(0), event(1)],
        vec![],
        vec![handshake(1), event(2), event(9)],
        vec![event(1), handshake(12), event(12), event(13)],
    ];
    let server = start(script, Events::From(1, 3), HOUR).await;
    let (numbers, error) = numbers(&mut listener(&server, Start::After(0)), 13).await;
    assert_eq!((numbers, error.map(|error| error.to_string())), ((1..=13).collect(), None));
    let asked = server.asked.lock().expect("no panic").clone();
    assert_eq!(asked, [(3, 6), (6, 8), (10, 12)], "only what is missing");
}

/// The guide's own notifications, as another server would send them: the handshake, event 2 by id, the same with its
/// resource, a heartbeat.
#[tokio::test]
async fn the_guides_examples_are_listened_to_as_they_are() {
    for version in ["r4", "r4b"] {
        let mut frames = Vec::new();
        for name in ["handshake", "id-only", "full-resource", "heartbeat"] {
            let path = format!("ig-1.1.0/r4b/Bundle-{version}-notification-{name}.json");
            let Some(frame) = shared(&path) else { return };
            frames.push(frame);
        }
        let server = start(vec![frames], Events::Status(404), HOUR).await;
        let mut listener = listener_to("admission", &server, Start::After(0));
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Update::Heartbeat(_))) {
            seen.push(listener.next().await.expect("it goes on"));
        }
        assert!(matches!(&seen[0], Update::Connected(_)), "{version}: {seen:?}");
        let lost =
            seen.iter().filter(|one| matches!(one, Update::Lost(range) if *range == (1..=1)));
        assert_eq!(lost.count(), 1, "{version}: {seen:?}");
        let events = seen.iter().filter_map(|one| {
            let Update::Event(arrival) = one else { return None };
            Some(arrival.event.number.get())
        });
        assert_eq!(events.collect::<Vec<_>>(), [2], "{version}: once, though it came twice");
    }
}

#[tokio::test]
async fn what_the_server_has_no_more_is_told_as_lost() {
    let script = vec![vec![handshake(6), event(7)]];
    let server = start(script, Events::From(4, 100), HOUR).await;
    let (numbers, _) = numbers(&mut listener(&server, Start::After(0)), 7).await;
    assert_eq!(numbers, [-1, -2, -3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn a_server_that_answers_no_events_is_asked_a_bounded_number_of_times() {
    let script = vec![vec![handshake(40), event(41)]];
    for status in [400, 404, 422, 501] {
        let server = start(script.clone(), Events::Status(status), HOUR).await;
        let (numbers, _) = numbers(&mut listener(&server, Start::After(0)), 41).await;
        assert_eq!(numbers.iter().filter(|number| **number < 0).count(), 40, "{status}");
        assert!(server.asked.lock().expect("no panic").len() <= 5, "bounded");
    }
    let server = start(script, Events::Status(503), HOUR).await;
    let (_, error) = numbers(&mut listener(&server, Start::After(0)), 41).await;
    assert!(matches!(error, Some(Error::Refused { status: 503, .. })), "{error:?}");
    assert_eq!(server.asked.lock().expect("no panic").len(), 21);
}

#[tokio::test]
async fn what_a_token_does_not_allow_is_an_error_and_nothing_is_lost() {
    for status in [401, 403] {
        let script = vec![vec![handshake(0), event(1), event(4)]];
        let server = start(script, Events::Status(status), HOUR).await;
        let mut listener = listener(&server, Start::After(0));
        let (numbers, error) = numbers(&mut listener, 4).await;
        assert_eq!((numbers, listener.cursor()), (vec![1], Some(1)));
        assert!(matches!(error, Some(Error::Refused { status: s, .. }) if s == status));
        assert_eq!(server.asked.lock().expect("no panic").len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_lies_about_numbers_is_told_as_an_error() {
    for (frame, expect) in [
        (event(u64::MAX), Fault::TooFar { cursor: 1, told: u64::MAX, max: 50 }),
        (handshake(0), Fault::Reset { cursor: 1, told: 0 }),
    ] {
        let script = vec![vec![handshake(0), event(1), frame]];
        let server = start(script, Events::From(1, 100), HOUR).await;
        let (numbers, error) = numbers(&mut listener(&server, Start::After(0)), 2).await;
        assert_eq!(numbers, [1]);
        assert!(matches!(error, Some(Error::Fault(fault)) if fault == expect), "{error:?}");
        assert!(server.asked.lock().expect("no panic").is_empty());
    }
}

#[tokio::test]
async fn a_token_is_renewed_when_it_is_due_and_the_connection_stays() {
    let script = vec![vec![handshake(0), event(1)]];
    let server = start(script, Events::From(1, 1), HOUR).await;
    let mut listener = listener(&server, Start::Now);
    let mut seen = Vec::new();
    loop {
        let update = listener.next().await.expect("it goes on");
        if matches!(update, Update::Event(_)) {
            listener.connection.as_mut().expect("connected").renew_at = Instant::now();
        } else if matches!(update, Update::Renewed) {
            break;
        } else {
            seen.push(format!("{update:?}"));
        }
    }
    assert_eq!(*server.tokens.lock().expect("no panic"), 2);
    assert!(!seen.iter().any(|one| one.contains("Disconnected")), "{seen:?}");
    assert!(listener.connection.is_some());
}

#[tokio::test]
async fn a_server_that_is_never_there_is_an_error_after_so_many_tries() {
    let server = start(vec![vec![]; 30], Events::From(1, 1), HOUR).await;
    let (_, error) = numbers(&mut listener(&server, Start::Now), 1).await;
    assert!(matches!(error, Some(Error::Websocket(_))), "{error:?}");
    assert_eq!(*server.tokens.lock().expect("no panic"), 21);
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_an_error_at_once() {
    let server = start(vec![], Events::From(1, 1), HOUR).await;
    let client = Client::new(&format!("http://{}", server.base)).expect("a client");
    let mut listener = Listener::new(client, "gone", Start::Now, Options::default());
    let error = listener.next().await.expect_err("gone");
    assert!(matches!(error, Error::Refused { status: 404, .. }), "{error:?}");
}
