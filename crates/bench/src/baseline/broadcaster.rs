//! W: what websockets alone cost, as one frame sent to every socket for each POST.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::sync::broadcast;

use super::bare_path::{READ_BUFFER_BYTES, WEBSOCKET_PATH};
use crate::notification::{Status, render};
use crate::observation::CREATE_PATH;

/// Takes the same POST as [`CREATE_PATH`] and tells nobody: what a POST costs by itself.
pub const SILENT_PATH: &str = "/silent";

/// Frames a slow socket may lag behind; the driver waits for every frame, so one is under way.
const LAG_MAX: usize = 64;

/// Serves W.
///
/// # Errors
/// When no port can be had.
pub fn serve() -> anyhow::Result<()> {
    let (frames, _) = broadcast::channel::<Utf8Bytes>(LAG_MAX);
    let router = Router::new()
        .route(CREATE_PATH, post(broadcast))
        .route(SILENT_PATH, post(take))
        .route(WEBSOCKET_PATH, get(upgrade))
        .with_state(Arc::new(frames));
    super::serve(|| router)
}

type Frames = State<Arc<broadcast::Sender<Utf8Bytes>>>;

async fn broadcast(State(frames): Frames, body: Bytes) -> StatusCode {
    drop(body);
    drop(frames.send(frame("event-notification", 1, Some("1"))));
    StatusCode::CREATED
}

async fn take(body: Bytes) -> StatusCode {
    drop(body);
    StatusCode::CREATED
}

async fn upgrade(State(frames): Frames, upgrade: WebSocketUpgrade) -> Response {
    let frames = frames.subscribe();
    upgrade.read_buffer_size(READ_BUFFER_BYTES).on_upgrade(|socket| follow(socket, frames))
}

async fn follow(mut socket: WebSocket, mut frames: broadcast::Receiver<Utf8Bytes>) {
    let mut next = Ok(frame("handshake", 0, None));
    while let Ok(frame) = next {
        if socket.send(Message::Text(frame)).await.is_err() {
            return;
        }
        next = frames.recv().await;
    }
}

fn frame(kind: &str, total: u64, focus: Option<&str>) -> Utf8Bytes {
    let status = Status { subscription: "all", kind, total, focus };
    render("http://127.0.0.1/r4", &status, "2026-01-01T00:00:00.000Z").into()
}
