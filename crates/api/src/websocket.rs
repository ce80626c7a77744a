//! The websocket connection: frames in and out. What they mean is the node's business.

use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, Socket, SocketOutput, is_own_origin};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::context::{Answer, Context, Request, version_of};
use crate::outcome::Refusal;
use crate::server::Config;
use crate::{negotiate, web};

/// Buffer for reading, which each connection has for as long as it lives: room for a bind command, and
/// it grows where a client sends more. The library's own default is 128 KiB.
const READ_BUFFER_BYTES: usize = 1024;
/// Bytes of a frame beyond the largest resource that it may carry.
const FRAME_ROOM_BYTES: usize = 64 * 1024 * 1024;
/// Close code for text that is not UTF-8.
const NOT_UTF8: u16 = 1007;
/// Close code for data that the server does not take.
const UNSUPPORTED: u16 = 1003;
/// Close code for a frame that is too large.
const TOO_BIG: u16 = 1009;

/// `GET [base]/ws`
pub(crate) async fn upgrade(
    State(context): State<Context>,
    Path(version): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Answer<Response> {
    let version = version_of(&version)?;
    // Needed only where a subscription is bound without a token.
    let authorization = negotiate::text(&request.headers, header::AUTHORIZATION);
    let caller = context.node.authenticate(authorization).ok();
    open(context, (upgrade, &request.headers), |socket| socket.opened_by(version, caller))
}

/// The path that Medplum's client opens.
pub(crate) async fn upgrade_for_medplum(
    State(context): State<Context>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Answer<Response> {
    open(context, (upgrade, &request.headers), Socket::for_medplum)
}

fn open(
    context: Context,
    (upgrade, headers): (Result<WebSocketUpgrade, WebSocketUpgradeRejection>, &HeaderMap),
    prepared: impl FnOnce(Socket) -> Socket,
) -> Answer<Response> {
    let upgrade = upgrade.map_err(|_| {
        let text = "open a websocket here, with the token of $get-ws-binding-token";
        Refusal(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text))
    })?;
    check_origin(&context, headers)?;
    let socket = prepared(context.node.open_socket()?);
    let config = context.config.clone();
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(config.body_bytes_max.saturating_add(FRAME_ROOM_BYTES))
        .max_message_size(config.socket_frame_bytes_max)
        .max_frame_size(config.socket_frame_bytes_max);
    Ok(upgrade.on_upgrade(move |connection| run(connection, socket, config)))
}

/// Refuses pages of other origins than the server's own and those that CORS allows: browsers let any
/// page open a websocket and tell which one it is. What is no browser tells nothing.
fn check_origin(context: &Context, headers: &HeaderMap) -> Result<(), Error> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let base_url = context.node.base_url_of(FhirVersion::R4);
    if web::is_allowed(&context.config.cors_origins, origin)
        || is_own_origin(origin, &base_url, negotiate::text(headers, header::HOST))
    {
        return Ok(());
    }
    let text = "pages of this origin may not open websockets here (server.cors-origins)";
    Err(Error::of(Kind::Forbidden, IssueCode::Forbidden, text))
}

/// Why a connection ends.
enum End {
    /// With this close frame.
    Close(u16, String),
    /// It is gone.
    Gone,
}

async fn run(mut connection: WebSocket, mut socket: Socket, config: Arc<Config>) {
    let end = pump(&mut connection, &mut socket, &config).await;
    drop(socket);
    if let End::Close(code, reason) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        let closing = async {
            if connection.send(Message::Close(Some(frame))).await.is_ok() {
                // The peer answers with a close of its own; what it sent before is not read.
                while let Some(Ok(_)) = connection.recv().await {}
            }
        };
        // A peer that does not answer is left.
        drop(timeout(config.socket_send_time_max, closing).await);
    }
}

/// What a connection has to do next.
enum Turn {
    Ping,
    Read(Option<Result<Message, axum::Error>>),
    Write(SocketOutput),
}

async fn pump(connection: &mut WebSocket, socket: &mut Socket, config: &Config) -> End {
    // Set once a period, not with every frame.
    let mut ping_due = pin!(sleep_until(Instant::now() + config.socket_ping_period));
    let (mut heard, mut reads_first) = (true, true);
    loop {
        match next_turn(connection, socket, ping_due.as_mut(), reads_first).await {
            Turn::Read(message) => {
                (heard, reads_first) = (true, false);
                match message {
                    Some(Ok(Message::Text(text))) => Box::pin(socket.receive(&text)).await,
                    Some(Ok(Message::Binary(_))) => {
                        return End::Close(UNSUPPORTED, "send text frames".to_owned());
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | None => return End::Gone,
                    Some(Err(error)) => return broken(&error),
                }
            }
            Turn::Write(SocketOutput::Close { code, reason }) => return End::Close(code, reason),
            Turn::Write(SocketOutput::Frame(frame)) => {
                reads_first = true;
                let Ok(frame) = Utf8Bytes::try_from(frame) else { return End::Gone };
                let sending = connection.send(Message::Text(frame));
                match timeout(config.socket_send_time_max, sending).await {
                    Ok(Ok(())) => socket.written(),
                    Ok(Err(_)) | Err(_) => return End::Gone,
                }
            }
            Turn::Ping => {
                let ping = connection.send(Message::Ping(Bytes::new()));
                if !heard || !matches!(timeout(config.socket_send_time_max, ping).await, Ok(Ok(())))
                {
                    return End::Gone;
                }
                heard = false;
                ping_due.as_mut().reset(Instant::now() + config.socket_ping_period);
            }
        }
    }
}

/// Waits for what is next. Reading and writing take turns, so that neither waits for the other to have nothing to
/// do; but who is woken to write does not look for what to read before.
async fn next_turn(
    connection: &mut WebSocket,
    socket: &mut Socket,
    mut ping_due: Pin<&mut Sleep>,
    mut reads_first: bool,
) -> Turn {
    let (mut message, mut output) = (pin!(connection.recv()), pin!(socket.next()));
    poll_fn(|context| {
        let read_before = mem::take(&mut reads_first);
        if read_before && let Poll::Ready(message) = message.as_mut().poll(context) {
            return Poll::Ready(Turn::Read(message));
        }
        if let Poll::Ready(output) = output.as_mut().poll(context) {
            return Poll::Ready(Turn::Write(output));
        }
        if !read_before && let Poll::Ready(message) = message.as_mut().poll(context) {
            return Poll::Ready(Turn::Read(message));
        }
        ping_due.as_mut().poll(context).map(|()| Turn::Ping)
    })
    .await
}

/// A frame that is too large or no text is told; anything else that is wrong with the stream ends
/// it.
fn broken(error: &axum::Error) -> End {
    let text = error.to_string();
    if text.contains("too long") || text.contains("too big") {
        return End::Close(TOO_BIG, "the frame is too large".to_owned());
    }
    if text.contains("UTF-8") {
        return End::Close(NOT_UTF8, "the frame is not UTF-8".to_owned());
    }
    End::Gone
}
