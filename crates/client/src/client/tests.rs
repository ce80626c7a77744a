use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

/// A server whose subscription is changed by another client after each read, so many times.
struct Server {
    changes_left: u32,
    version: u32,
    puts: u32,
}

type Shared = Arc<Mutex<Server>>;

async fn start(changes_left: u32) -> (Client, Shared) {
    let server = Arc::new(Mutex::new(Server { changes_left, version: 1, puts: 0 }));
    let router =
        Router::new().route("/Subscription/a", get(read).put(update)).with_state(server.clone());
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", tcp.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(tcp, router).await });
    (Client::new(&base).expect("a client"), server)
}

async fn read(State(server): State<Shared>) -> String {
    let mut server = server.lock().expect("no panic");
    let version = server.version;
    if server.changes_left > 0 {
        server.changes_left -= 1;
        server.version += 1;
    }
    json!({ "resourceType": "Subscription", "id": "a", "meta": { "versionId": version.to_string() } })
        .to_string()
}

async fn update(
    State(server): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let mut server = server.lock().expect("no panic");
    server.puts += 1;
    let is_current = headers["if-match"] == format!("W/\"{}\"", server.version);
    (if is_current { StatusCode::OK } else { StatusCode::PRECONDITION_FAILED }, body)
}

#[tokio::test]
async fn a_status_is_set_on_what_was_read_and_on_nothing_newer() {
    for (changes, puts, expect) in [(0, 1, Ok("off")), (2, 3, Ok("off")), (9, 3, Err(412))] {
        let (client, server) = start(changes).await;
        let set = client.set_status("a", SubscriptionStatus::Off).await;
        let set = match &set {
            Ok(resource) => Ok(resource["status"].as_str().expect("a status")),
            Err(Error::Refused { status, .. }) => Err(*status),
            Err(error) => panic!("{error}"),
        };
        assert_eq!((set, server.lock().expect("no panic").puts), (expect, puts), "{changes}");
    }
}
