//! A subscriber's websocket.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::Token;
use crate::notification::Notification;
use crate::version::Version;
use crate::wait::PATIENCE;
use crate::wire;

/// A websocket to the server.
pub struct Socket {
    version: Version,
    stream: WebSocketStream<TcpStream>,
}

/// How the server closed a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Close code; 1005 if there was none, 1006 if there was no close frame.
    pub code: u16,
    /// Its reason.
    pub reason: String,
}

impl Socket {
    /// Opens a socket.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn open(version: Version, url: &str) -> Self {
        let opened = Self::try_open(version, url).await;
        opened.unwrap_or_else(|status| panic!("{url} was refused with {status:?}"))
    }

    /// Opens a socket, or tells the HTTP status of the refusal; none if there was no answer.
    ///
    /// # Errors
    /// The refusal.
    pub async fn try_open(version: Version, url: &str) -> Result<Self, Option<u16>> {
        Self::try_open_as(version, url, None).await
    }

    /// Opens a socket with a bearer token.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn open_as(version: Version, url: &str, bearer: Option<&str>) -> Self {
        let opened = Self::try_open_as(version, url, bearer).await;
        opened.unwrap_or_else(|status| panic!("{url} was refused with {status:?}"))
    }

    async fn try_open_as(
        version: Version,
        url: &str,
        bearer: Option<&str>,
    ) -> Result<Self, Option<u16>> {
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("{url} is no websocket URL"));
        let opening = async {
            let tcp = TcpStream::connect(address).await.map_err(|_| None)?;
            tcp.set_nodelay(true).map_err(|_| None)?;
            let config = WebSocketConfig::default();
            let mut request = url.into_client_request().map_err(|_| None)?;
            if let Some(bearer) = bearer {
                let value = format!("Bearer {bearer}").parse().expect("a header value");
                request.headers_mut().insert("authorization", value);
            }
            let opened =
                tokio_tungstenite::client_async_with_config(request, tcp, Some(config)).await;
            match opened {
                Ok((stream, _)) => Ok(Self { version, stream }),
                Err(Error::Http(response)) => Err(Some(response.status().as_u16())),
                Err(_) => Err(None),
            }
        };
        tokio::time::timeout(PATIENCE, opening).await.unwrap_or(Err(None))
    }

    /// Sends a text frame.
    pub async fn send(&mut self, text: impl Into<String>) {
        self.send_message(Message::text(text.into())).await;
    }

    /// Sends any message; that the server is gone already shows at the next read.
    pub async fn send_message(&mut self, message: Message) {
        let _told_by_the_next_read = self.stream.send(message).await;
    }

    /// Binds what a token covers.
    pub async fn bind(&mut self, token: &Token) {
        self.send(format!("bind-with-token {}", token.token)).await;
    }

    /// The next notification.
    ///
    /// # Panics
    /// If there is none in time, or the socket is closed.
    pub async fn next(&mut self) -> Notification {
        match self.next_or_closed().await {
            Ok(notification) => notification,
            Err(closed) => panic!("the socket was closed instead: {closed:?}"),
        }
    }

    /// The next notification, which must tell of events.
    ///
    /// # Panics
    /// If it is of another type.
    pub async fn event(&mut self) -> Notification {
        let next = self.next().await;
        assert_eq!(next.kind, "event-notification", "{}", next.json);
        next
    }

    /// How the server closed the socket.
    ///
    /// # Panics
    /// If it sends something else.
    pub async fn closed(&mut self) -> Closed {
        match self.next_or_closed().await {
            Ok(notification) => panic!("not closed, but: {}", notification.json),
            Err(closed) => closed,
        }
    }

    /// The next notification, or the end.
    ///
    /// # Errors
    /// How it was closed.
    pub async fn next_or_closed(&mut self) -> Result<Notification, Closed> {
        let text = self.text_or_closed().await?;
        let value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("a frame that is no JSON ({error}): {text}"));
        Ok(Notification::read(self.version, &value))
    }

    /// The text of the next frame, whatever it is.
    ///
    /// # Panics
    /// If there is none in time, or the socket is closed.
    pub async fn text(&mut self) -> String {
        match self.text_or_closed().await {
            Ok(text) => text,
            Err(closed) => panic!("the socket was closed instead: {closed:?}"),
        }
    }

    async fn text_or_closed(&mut self) -> Result<String, Closed> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            let message = message.unwrap_or_else(|_| panic!("no frame within {PATIENCE:?}"));
            match message {
                Some(Ok(Message::Text(text))) => {
                    wire::keep(self.version, text.as_bytes());
                    return Ok(text.to_string());
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    let reason = frame.reason.to_string();
                    return Err(Closed { code: frame.code.into(), reason });
                }
                Some(Ok(Message::Close(None))) => {
                    return Err(Closed { code: 1005, reason: String::new() });
                }
                Some(Ok(Message::Binary(_))) => panic!("a binary frame"),
                Some(Ok(Message::Frame(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Err(error)) => return Err(Closed { code: 1006, reason: error.to_string() }),
                None => return Err(Closed { code: 1006, reason: String::new() }),
            }
        }
    }

    /// Closes the socket from this side.
    pub async fn close(mut self) {
        let _already_gone_is_as_good = self.stream.close(None).await;
    }
}
