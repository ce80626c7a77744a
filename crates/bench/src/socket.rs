//! The subscriber's end of a websocket.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::notification::{Kind, Notification};

/// Enough for any notification of this load, and small enough for thousands of sockets.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// A websocket that receives notifications.
pub struct EventSocket {
    stream: WebSocketStream<TcpStream>,
}

impl std::fmt::Debug for EventSocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventSocket").finish_non_exhaustive()
    }
}

impl EventSocket {
    /// Connects to a target at `url`.
    ///
    /// # Errors
    /// When the target refuses the connection or the upgrade.
    pub async fn open(address: SocketAddr, url: &str) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await.context("connecting a websocket")?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
        let upgraded = tokio_tungstenite::client_async_with_config(url, tcp, Some(config)).await;
        let (stream, _) = upgraded.with_context(|| format!("upgrading {url}"))?;
        Ok(Self { stream })
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: String) -> anyhow::Result<()> {
        self.stream.send(Message::text(text)).await.context("sending a frame")
    }

    /// The next notification and when it was read.
    ///
    /// # Errors
    /// When the target closes, or sends what is no notification.
    pub async fn next(&mut self) -> anyhow::Result<(Instant, Notification)> {
        loop {
            match self.message().await? {
                Message::Text(text) => {
                    let read = Instant::now();
                    return Ok((read, Notification::parse(text.as_bytes())?));
                }
                Message::Close(frame) => bail!("the target closed the websocket: {frame:?}"),
                Message::Binary(_) | Message::Frame(_) | Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    /// Awaits the handshake that answers a bind, and gives the subscription's id (RQ-CH-44).
    ///
    /// # Errors
    /// When the first frame is another one.
    pub async fn handshake(&mut self) -> anyhow::Result<String> {
        let (_, first) = self.next().await?;
        anyhow::ensure!(first.kind == Kind::Handshake, "the first frame is a {:?}", first.kind);
        Ok(first.subscription)
    }

    /// Reads what is under way, up to the answer to a ping sent now: proof that no surplus frame follows.
    ///
    /// # Errors
    /// As [`EventSocket::next`].
    pub async fn drain(&mut self) -> anyhow::Result<Vec<Notification>> {
        self.stream.send(Message::Ping(bytes::Bytes::from_static(b"audit"))).await?;
        let mut notifications = Vec::new();
        loop {
            match self.message().await? {
                Message::Text(text) => notifications.push(Notification::parse(text.as_bytes())?),
                Message::Pong(_) => return Ok(notifications),
                Message::Close(frame) => bail!("the target closed the websocket: {frame:?}"),
                Message::Binary(_) | Message::Frame(_) | Message::Ping(_) => {}
            }
        }
    }

    async fn message(&mut self) -> anyhow::Result<Message> {
        let next = self.stream.next().await.context("the target ended the websocket")?;
        next.context("reading a frame")
    }
}
