//! A server of R5 that tells one true event, and then of one that cannot be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Its state.
#[derive(Debug)]
struct Lies {
    base: String,
    asked_for_events: AtomicUsize,
    asked_for_status: AtomicUsize,
    deleted: AtomicUsize,
}

/// The server; it ends with the test's runtime.
pub(crate) struct Liar(Arc<Lies>);

impl Liar {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let lies = Arc::new(Lies {
            base,
            asked_for_events: 0.into(),
            asked_for_status: 0.into(),
            deleted: 0.into(),
        });
        let statement = json!({"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"});
        let none = json!({"resourceType": "Bundle", "type": "searchset"});
        let router = Router::new()
            .route("/metadata", get(move || async move { statement.to_string() }))
            .route("/SubscriptionTopic", get(move || async move { none.to_string() }))
            .route("/Subscription", post(create))
            .route("/Subscription/a", delete(remove))
            .route("/Subscription/a/$get-ws-binding-token", get(token))
            .route("/Subscription/a/$events", get(events))
            .route("/Subscription/a/$status", get(status))
            .route("/ws", get(listen))
            .with_state(lies.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self(lies)
    }

    pub(crate) fn base(&self) -> &str {
        &self.0.base
    }

    pub(crate) fn asked_for_events(&self) -> usize {
        self.0.asked_for_events.load(Ordering::SeqCst)
    }

    pub(crate) fn asked_for_status(&self) -> usize {
        self.0.asked_for_status.load(Ordering::SeqCst)
    }

    pub(crate) fn deleted(&self) -> usize {
        self.0.deleted.load(Ordering::SeqCst)
    }
}

async fn create(body: String) -> (StatusCode, String) {
    let mut resource: Value = serde_json::from_str(&body).expect("JSON");
    resource["id"] = "a".into();
    (StatusCode::CREATED, resource.to_string())
}

async fn remove(State(lies): State<Arc<Lies>>) -> StatusCode {
    lies.deleted.fetch_add(1, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}

async fn token(State(lies): State<Arc<Lies>>) -> String {
    let url = format!("{}/ws", lies.base.replace("http:", "ws:"));
    json!({"resourceType": "Parameters", "parameter": [
        {"name": "token", "valueString": "t"},
        {"name": "expiration", "valueDateTime": "2099-01-01T00:00:00Z"},
        {"name": "websocket-url", "valueUrl": url},
    ]})
    .to_string()
}

async fn events(State(lies): State<Arc<Lies>>) -> StatusCode {
    lies.asked_for_events.fetch_add(1, Ordering::SeqCst);
    StatusCode::NOT_FOUND
}

/// Never answers.
async fn status(State(lies): State<Arc<Lies>>) -> StatusCode {
    lies.asked_for_status.fetch_add(1, Ordering::SeqCst);
    std::future::pending().await
}

async fn listen(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        let _bind = socket.recv().await;
        for (kind, count, numbers) in [
            ("handshake", "0", vec![]),
            ("event-notification", "1", vec!["1"]),
            ("event-notification", "9007199254740993", vec!["9007199254740993"]),
        ] {
            let frame = Message::text(notification(kind, count, &numbers).to_string());
            // The client may have gone.
            drop(socket.send(frame).await);
        }
        while let Some(Ok(_)) = socket.recv().await {}
    })
}

fn notification(kind: &str, count: &str, numbers: &[&str]) -> Value {
    let events: Vec<Value> = numbers.iter().map(|number| json!({"eventNumber": number})).collect();
    let status = json!({
        "resourceType": "SubscriptionStatus", "type": kind, "status": "active",
        "subscription": {"reference": "Subscription/a"},
        "eventsSinceSubscriptionStart": count, "notificationEvent": events,
    });
    json!({"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"resource": status}]})
}
