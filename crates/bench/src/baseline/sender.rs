//! R: what webhooks alone cost, as one POST with `reqwest` to every endpoint for each POST taken.
//!
//! The client is the one the server uses, without its rules: no queues, no order, no breaker, no record of attempts.
//! It sends the next notification to an endpoint whatever became of the last one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::post;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::broadcaster::SILENT_PATH;
use crate::notification::{Status, render};
use crate::observation::CREATE_PATH;

/// Takes the list of endpoints.
pub const ENDPOINTS_PATH: &str = "/endpoints";

/// POSTs under way at once: as many as the server's default.
const CONCURRENCY: usize = 256;
/// Connections kept of each endpoint: as many as the server's default.
const IDLE_CONNECTIONS: usize = 8;

struct Sender {
    client: reqwest::Client,
    endpoints: RwLock<Arc<[reqwest::Url]>>,
    number: AtomicU64,
    places: Arc<Semaphore>,
}

/// Serves R.
///
/// # Errors
/// When no port can be had, or the client cannot be made.
pub fn serve() -> anyhow::Result<()> {
    // The client is built with TLS, as the server's is, though nothing here speaks it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(IDLE_CONNECTIONS);
    let sender = Arc::new(Sender {
        client: client.build()?,
        endpoints: RwLock::new(Arc::default()),
        number: AtomicU64::new(0),
        places: Arc::new(Semaphore::new(CONCURRENCY)),
    });
    let router = Router::new()
        .route(ENDPOINTS_PATH, post(set_endpoints))
        .route(CREATE_PATH, post(send))
        .route(SILENT_PATH, post(async |body: Bytes| drop(body)))
        .with_state(sender);
    super::serve(|| router)
}

async fn set_endpoints(State(sender): State<Arc<Sender>>, body: Bytes) -> StatusCode {
    let urls: Vec<String> = serde_json::from_slice(&body).unwrap_or_default();
    let Ok(endpoints) = urls.iter().map(|url| url.parse()).collect::<Result<_, _>>() else {
        return StatusCode::BAD_REQUEST;
    };
    *sender.endpoints.write().unwrap_or_else(PoisonError::into_inner) = endpoints;
    StatusCode::OK
}

/// Answers at once, as a server does that sends from a log.
async fn send(State(sender): State<Arc<Sender>>, body: Bytes) -> StatusCode {
    drop(body);
    let number = sender.number.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::spawn(async move {
        let endpoints = sender.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone();
        for endpoint in endpoints.iter() {
            let Ok(place) = sender.places.clone().acquire_owned().await else { return };
            let (client, endpoint) = (sender.client.clone(), endpoint.clone());
            tokio::spawn(async move {
                let sent = client
                    .post(endpoint)
                    .header(header::CONTENT_TYPE, "application/fhir+json")
                    .body(notification(number));
                if let Ok(answer) = sent.send().await {
                    // Read to the end, so that the connection can be used again.
                    drop(answer.bytes().await);
                }
                drop(place);
            });
        }
    });
    StatusCode::CREATED
}

fn notification(number: u64) -> String {
    let focus = number.to_string();
    let status = Status {
        subscription: "all",
        kind: "event-notification",
        total: number,
        focus: Some(&focus),
    };
    render("http://127.0.0.1/r4", &status, "2026-01-01T00:00:00.000Z")
}
