//! A websocket to a server, plain or secure.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use crate::client::CONNECT_TIMEOUT;
use crate::error::Error;
use crate::notification::NOTIFICATION_BYTES_MAX;

/// What a websocket runs over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open websocket.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
}

/// What came.
pub(crate) enum Frame {
    /// Anything that shows that the other side is there.
    Alive,
    /// A notification, it should be.
    Text(Vec<u8>),
}

impl Socket {
    /// Opens one, within the time that a connection may take.
    pub(crate) async fn open(url: &str, tls: Arc<ClientConfig>) -> Result<Self, Error> {
        match tokio::time::timeout(CONNECT_TIMEOUT, connect(url, tls)).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::Websocket("it could not be opened in time".to_owned())),
        }
    }

    /// Sends the command that binds (RQ-CH-42).
    pub(crate) async fn bind(&mut self, token: &str) -> Result<(), Error> {
        self.send(Message::text(format!("bind-with-token {token}"))).await
    }

    /// Asks whether the other side is there.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.send(Message::Ping(bytes::Bytes::new())).await
    }

    /// The next frame. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Frame, Error> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => Ok(Frame::Text(text.as_bytes().to_vec())),
            Some(Ok(Message::Binary(bytes))) => Ok(Frame::Text(bytes.to_vec())),
            Some(Ok(Message::Close(Some(frame)))) => {
                Err(Error::Websocket(format!("closed with {}", u16::from(frame.code))))
            }
            Some(Ok(Message::Close(None))) | None => Err(Error::Websocket("closed".to_owned())),
            Some(Ok(Message::Frame(_) | Message::Ping(_) | Message::Pong(_))) => Ok(Frame::Alive),
            Some(Err(error)) => Err(Error::Websocket(error.to_string())),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.stream.send(message).await.map_err(|error| Error::Websocket(error.to_string()))
    }
}

async fn connect(url: &str, tls: Arc<ClientConfig>) -> Result<Socket, Error> {
    let invalid = || Error::Url(url.to_owned());
    let parsed: Url = url.parse().map_err(|_| invalid())?;
    let host = parsed.host_str().ok_or_else(invalid)?.trim_matches(['[', ']']).to_owned();
    let secure = match parsed.scheme() {
        "ws" => false,
        "wss" => true,
        _ => return Err(invalid()),
    };
    let port = parsed.port().unwrap_or(if secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(Error::unreachable)?;
    tcp.set_nodelay(true).map_err(Error::unreachable)?;
    let stream: Box<dyn Stream> = if secure {
        let name = ServerName::try_from(host).map_err(|_| invalid())?;
        let connected = TlsConnector::from(tls).connect(name, tcp).await;
        Box::new(connected.map_err(Error::unreachable)?)
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(NOTIFICATION_BYTES_MAX))
        .max_frame_size(Some(NOTIFICATION_BYTES_MAX));
    let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await;
    let (stream, _) = opened.map_err(|error| Error::Websocket(error.to_string()))?;
    Ok(Socket { stream })
}
