//! K: the bare durable path, which does what a create with one matched subscriber cannot do without.
//!
//! HTTP, a parse into a `Value`, one hash look-up of the patient, one record in a log flushed in groups, an answer
//! 201 and a websocket frame of the size of a real one. No FHIR, no validation, no versions, no reads, no recovery:
//! the distance between K and the server is what these cost.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::notification::{Status, render};
use crate::observation::CREATE_PATH;

/// Where the websocket baselines accept sockets.
pub const WEBSOCKET_PATH: &str = "/ws";
/// Where K tells its counts.
pub const COUNTS_PATH: &str = "/counts";
/// Read buffer of a socket: a subscriber sends next to nothing.
pub const READ_BUFFER_BYTES: usize = 4 << 10;

/// Most records in one flush.
const GROUP_MAX: usize = 1_024;
/// Creates waiting for the writer before more are turned away.
const QUEUE_MAX: usize = 4_096;
/// Durable groups not announced yet before the writer waits.
const GROUPS_MAX: usize = 16;
/// Events waiting for one socket before it is given up.
const MAILBOX_MAX: usize = 4_096;

/// Who asks for a websocket, and for which patient.
#[derive(Debug, Deserialize)]
struct Subscribe {
    patient: String,
}

/// What the writer has done so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Counts {
    /// Records made durable.
    pub records: u64,
    /// Flushes it took.
    pub flushes: u64,
}

struct BarePath {
    subscribers: RwLock<FxHashMap<String, Arc<Subscriber>>>,
    subscriptions: AtomicU64,
    queue: SyncSender<Pending>,
    records: AtomicU64,
    flushes: AtomicU64,
}

struct Subscriber {
    id: String,
    events: AtomicU64,
    mailbox: mpsc::Sender<Announced>,
}

/// A create on its way to the disk.
struct Pending {
    body: Bytes,
    subscriber: Option<Arc<Subscriber>>,
    durable: oneshot::Sender<u64>,
}

/// Creates that are durable together.
struct Group {
    first: u64,
    pending: Vec<Pending>,
}

/// A durable event on its way to a socket.
struct Announced {
    number: u64,
    position: u64,
}

impl BarePath {
    /// The subscriber that a resource matches, found by its patient.
    fn subscriber_of(&self, body: &[u8]) -> serde_json::Result<Option<Arc<Subscriber>>> {
        let resource: Value = serde_json::from_slice(body)?;
        let patient = resource["subject"]["reference"].as_str().unwrap_or_default();
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        Ok(subscribers.get(patient).cloned())
    }
}

/// Serves K with its log in `data`.
///
/// # Errors
/// When the log cannot be made or no port can be had.
pub fn serve(data: &Path) -> anyhow::Result<()> {
    let log = File::create(data.join(format!("bare-path-{}", std::process::id())))?;
    let (queue, waiting) = sync_channel(QUEUE_MAX);
    let path = Arc::new(BarePath {
        subscribers: RwLock::default(),
        subscriptions: AtomicU64::new(0),
        queue,
        records: AtomicU64::new(0),
        flushes: AtomicU64::new(0),
    });
    let (committed, announcing) = mpsc::channel(GROUPS_MAX);
    let writer = Arc::clone(&path);
    std::thread::spawn(move || write(log, &waiting, &writer, &committed));
    let router = Router::new()
        .route(CREATE_PATH, post(create))
        .route(WEBSOCKET_PATH, get(subscribe))
        .route("/r4/Subscription/{id}/$status", get(status))
        .route(COUNTS_PATH, get(counts))
        .with_state(path);
    super::serve(|| {
        tokio::spawn(announce(announcing));
        router
    })
}

/// The single writer: drains what waits into one write and one flush, and hands the group on whole, so that a
/// group costs one wake-up and not two for each of its creates.
fn write(
    mut log: File,
    waiting: &Receiver<Pending>,
    path: &BarePath,
    committed: &mpsc::Sender<Group>,
) {
    let mut bytes = Vec::new();
    while let Ok(first) = waiting.recv() {
        let mut pending = vec![first];
        pending.extend(waiting.try_iter().take(GROUP_MAX - 1));
        bytes.clear();
        let first = path.records.load(Ordering::Relaxed) + 1;
        for (position, pending) in (first..).zip(&pending) {
            append(&mut bytes, position, pending);
        }
        if log.write_all(&bytes).and_then(|()| log.sync_data()).is_err() {
            // The queue closes with this thread; creates are then turned away.
            return;
        }
        path.records.fetch_add(pending.len() as u64, Ordering::Relaxed);
        path.flushes.fetch_add(1, Ordering::Relaxed);
        if committed.blocking_send(Group { first, pending }).is_err() {
            return;
        }
    }
}

/// Numbers and announces what is durable, in the order of the log.
async fn announce(mut groups: mpsc::Receiver<Group>) {
    while let Some(Group { first, pending }) = groups.recv().await {
        for (position, pending) in (first..).zip(pending) {
            if let Some(subscriber) = &pending.subscriber {
                let number = subscriber.events.fetch_add(1, Ordering::Relaxed) + 1;
                drop(subscriber.mailbox.try_send(Announced { number, position }));
            }
            let _ = pending.durable.send(position);
        }
    }
}

/// One record: length, position, subscription, body.
fn append(bytes: &mut Vec<u8>, position: u64, pending: &Pending) {
    let subscriber = pending.subscriber.as_ref().map_or("", |subscriber| &subscriber.id);
    bytes.extend_from_slice(&(pending.body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&position.to_le_bytes());
    bytes.extend_from_slice(subscriber.as_bytes());
    bytes.extend_from_slice(&pending.body);
}

async fn create(State(path): State<Arc<BarePath>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(subscriber) = path.subscriber_of(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (durable, written) = oneshot::channel();
    if path.queue.try_send(Pending { body, subscriber, durable }).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Ok(position) = written.await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let location = format!("http://{host}{CREATE_PATH}/{position:032x}/_history/1");
    let headers = [(header::LOCATION, location), (header::ETAG, "W/\"1\"".to_owned())];
    (StatusCode::CREATED, headers).into_response()
}

async fn subscribe(
    State(path): State<Arc<BarePath>>,
    Query(Subscribe { patient }): Query<Subscribe>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let base = format!("http://{host}/r4");
    let id = path.subscriptions.fetch_add(1, Ordering::Relaxed);
    let (mailbox, announced) = mpsc::channel(MAILBOX_MAX);
    let id = format!("{id:032x}");
    let subscriber = Arc::new(Subscriber { id, events: AtomicU64::new(0), mailbox });
    let mut subscribers = path.subscribers.write().unwrap_or_else(PoisonError::into_inner);
    subscribers.insert(patient, Arc::clone(&subscriber));
    drop(subscribers);
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(|socket| follow(socket, announced, subscriber, base))
}

/// Sends what is announced until the subscriber leaves.
async fn follow(
    mut socket: WebSocket,
    mut announced: mpsc::Receiver<Announced>,
    subscriber: Arc<Subscriber>,
    base: String,
) {
    let frame = |kind, total, focus: Option<&str>| {
        let status = Status { subscription: &subscriber.id, kind, total, focus };
        Message::Text(render(&base, &status, &jiff::Timestamp::now().to_string()).into())
    };
    let mut next = Some(frame("handshake", 0, None));
    while let Some(message) = next {
        if socket.send(message).await.is_err() {
            return;
        }
        next = loop {
            tokio::select! {
                event = announced.recv() => break event.map(|Announced { number, position }| {
                    frame("event-notification", number, Some(&format!("{position:032x}")))
                }),
                // Reading answers pings; anything else a subscriber sends is ignored.
                received = socket.recv() => match received {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break None,
                },
            }
        };
    }
}

async fn status(State(path): State<Arc<BarePath>>, UrlPath(id): UrlPath<String>) -> Response {
    let subscribers = path.subscribers.read().unwrap_or_else(PoisonError::into_inner);
    let Some(subscriber) = subscribers.values().find(|subscriber| subscriber.id == id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let total = subscriber.events.load(Ordering::Relaxed);
    let status = Status { subscription: &id, kind: "query-status", total, focus: None };
    render("http://127.0.0.1/r4", &status, "2026-01-01T00:00:00.000Z").into_response()
}

async fn counts(State(path): State<Arc<BarePath>>) -> Response {
    let records = path.records.load(Ordering::Relaxed);
    let counts = Counts { records, flushes: path.flushes.load(Ordering::Relaxed) };
    serde_json::to_string(&counts).map_or_else(
        |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        IntoResponse::into_response,
    )
}
