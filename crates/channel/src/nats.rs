//! The channel `nats`: one message to a JetStream stream (docs/channels/nats.md).
//!
//! **For**: one attempt, and what came of it. **Owns** one connection, made when the first message is
//! sent and made anew for ever after. **Must not know** what the bytes are, nor what happens after a
//! failure.
//!
//! **Invariants**: a success means that JetStream has confirmed that the message lies in a stream;
//! nothing is published while there is no connection; the servers spoken to are those configured, not
//! those that they name; the confirmation is read by hand, so that of the client no more than its
//! core is built in.
//!
//! Its tests are in `nats/tests.rs`.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_nats::{Client, ConnectOptions, Event, HeaderMap, Request, RequestErrorKind, ServerAddr};
use bytes::Bytes;
use cresset_kafka::ServerAddress;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, timeout_at};

use crate::broker::{BrokerPolicy, Publication, subject};
use crate::outcome::{Failure, FailureKind, NoResponse, Outcome, Verdict};
use crate::secret::Secret;
use crate::tls::{BrokerTls, Error, broker_config};

/// What JetStream tells a repetition by, for as long as the stream's window says.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The first and the longest wait before a lost connection is made anew.
const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);
/// Commands to the connection that wait to be written.
const QUEUE_MAX: usize = 64;
/// JetStream's code for a message that is larger than the stream takes.
const TOO_LARGE: u64 = 10_054;

/// Where NATS is and how to speak to it.
#[derive(Debug, Clone)]
pub struct NatsConfig {
    /// The servers, in any order; at least one.
    pub servers: Vec<ServerAddress>,
    /// TLS, without which nothing is sent; none for a connection in the clear, unless the server
    /// insists.
    pub tls: Option<BrokerTls>,
    /// How to log in; none for not at all, or with the certificate.
    pub login: Option<NatsLogin>,
    /// What the servers' lists of connections know this one by.
    pub name: String,
    /// How long making a connection may take, and how long an attempt waits for one.
    pub connect_timeout: Duration,
    /// Where messages may go.
    pub policy: BrokerPolicy,
}

/// How to log in to NATS.
#[derive(Debug, Clone)]
pub enum NatsLogin {
    /// User and password.
    Password {
        /// The user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// A token.
    Token(Secret),
}

/// The channel to NATS. Clones share the connection.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

struct Inner {
    config: NatsConfig,
    session: ArcSwap<Session>,
}

/// Whom to trust, and the connection that is made so.
struct Session {
    tls: ClientConfig,
    link: OnceCell<Link>,
}

/// The connection, which is made anew when it breaks.
#[derive(Clone)]
struct Link {
    client: Client,
    is_up: watch::Receiver<bool>,
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Nats {
    /// A channel that is not connected yet. Reads certificate files; call it at start-up.
    ///
    /// # Errors
    ///
    /// Files of certificates that cannot be used: do not start.
    pub fn new(config: NatsConfig) -> Result<Self, Error> {
        let session = ArcSwap::from_pointee(Session::new(&config)?);
        Ok(Self(Arc::new(Inner { config, session })))
    }

    /// Reads certificate files again, for this and all its clones, and connects anew; attempts under way
    /// end as they began. Reads files; do not call it where nothing may block.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]. Everything stays as it was then.
    pub fn reload(&self) -> Result<(), Error> {
        self.0.session.store(Arc::new(Session::new(&self.0.config)?));
        Ok(())
    }

    /// Where messages may go.
    pub fn policy(&self) -> &BrokerPolicy {
        &self.0.config.policy
    }

    /// Publishes one message and waits until JetStream has confirmed it.
    ///
    /// After a failure of kind `NoResponse` it may lie in a stream all the same; a repetition with
    /// the same id is not stored again within the stream's window.
    ///
    /// Cancel safety: dropping the future abandons the attempt; whether the message was stored is
    /// then unknown.
    pub async fn attempt(&self, publication: Publication) -> Outcome {
        let started = Instant::now();
        let verdict = match self.publish(publication, started).await {
            Ok(()) => Verdict::Published,
            Err(failure) => Verdict::Failure(failure),
        };
        Outcome { verdict, duration: started.elapsed(), text: None }
    }

    async fn publish(&self, publication: Publication, started: Instant) -> Result<(), Failure> {
        let deadline = started + publication.deadline;
        let headers = headers(&publication)?;
        let subject = subject(&publication.destination, &publication.key);
        let Link { client, mut is_up } = self.link().await?;
        let patience = deadline.min(started + self.0.config.connect_timeout);
        let up = timeout_at(patience, is_up.wait_for(|up| *up)).await;
        if !up.is_ok_and(|up| up.is_ok()) {
            return Err(no_response(NoResponse::Connect, "no connection to a NATS server"));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let request = Request::new().payload(publication.body).headers(headers).timeout(Some(left));
        let answer = tokio::select! {
            answer = client.send_request(subject, request) => answer,
            // The client would wait for the answer of a server that forgot the question.
            _ = is_up.wait_for(|up| !*up) => {
                return Err(no_response(NoResponse::Interrupted, "the connection to NATS broke"));
            }
        };
        match answer {
            Ok(message) => confirmed(&message.payload),
            Err(error) => Err(failure_of(error.kind())),
        }
    }

    /// The connection; made by the first who needs it.
    async fn link(&self) -> Result<Link, Failure> {
        let Inner { config, session } = &*self.0;
        let session = session.load_full();
        let link = session.link.get_or_try_init(|| connect(config, &session.tls)).await;
        link.cloned().map_err(|_| no_response(NoResponse::Connect, "NATS cannot be connected to"))
    }
}

impl Session {
    /// One that is not connected yet. Reads certificate files.
    fn new(config: &NatsConfig) -> Result<Self, Error> {
        // Also where none is asked for: a server may insist on it.
        let tls = broker_config(&config.tls.clone().unwrap_or_default())?;
        Ok(Self { tls, link: OnceCell::new() })
    }
}

/// Begins to connect, and to go on doing so.
async fn connect(config: &NatsConfig, tls: &ClientConfig) -> Result<Link, io::Error> {
    let (up, is_up) = watch::channel(false);
    let mut options = ConnectOptions::new()
        .name(&config.name)
        .connection_timeout(config.connect_timeout)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .ignore_discovered_servers()
        .client_capacity(QUEUE_MAX)
        .require_tls(config.tls.is_some())
        .tls_client_config(tls.clone())
        .event_callback(move |event| {
            if matches!(event, Event::Connected) {
                up.send_replace(true);
            } else if matches!(event, Event::Disconnected | Event::Closed) {
                up.send_replace(false);
            }
            async {}
        });
    options = match &config.login {
        None => options,
        Some(NatsLogin::Password { user, password }) => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        Some(NatsLogin::Token(token)) => options.token(token.reveal().to_owned()),
    };
    let servers = config.servers.iter().map(|server| format!("nats://{server}").parse());
    let servers: Vec<ServerAddr> = servers.collect::<Result<_, _>>()?;
    let client = options.connect(servers).await.map_err(io::Error::other)?;
    Ok(Link { client, is_up })
}

fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    RECONNECT_DELAY_MIN.saturating_mul(1 << doublings).min(RECONNECT_DELAY_MAX)
}

fn headers(publication: &Publication) -> Result<HeaderMap, Failure> {
    let refused = |detail: String| Failure { kind: FailureKind::Refused, detail };
    let all = publication.all_headers().map_err(|refusal| refused(refusal.to_string()))?;
    let mut headers = HeaderMap::new();
    for (name, value) in all.into_iter().chain([(MESSAGE_ID, publication.message_id.as_str())]) {
        let name = name.parse::<async_nats::HeaderName>();
        let value = value.parse::<async_nats::HeaderValue>();
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(refused("a header cannot be sent".to_owned()));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whether an answer is JetStream's word that the message lies in a stream.
fn confirmed(answer: &Bytes) -> Result<(), Failure> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    if let Some(error) = answer.get("error") {
        let code = error.get("err_code").and_then(Value::as_u64).unwrap_or_default();
        if code == TOO_LARGE {
            return Err(too_large());
        }
        let detail = format!("JetStream did not store the message (error {code})");
        return Err(Failure { kind: FailureKind::Broker { lasting: false }, detail });
    }
    let stream = answer.get("stream").and_then(Value::as_str).unwrap_or_default();
    let sequence = answer.get("seq").and_then(Value::as_u64).unwrap_or_default();
    if stream.is_empty() || sequence == 0 {
        let detail = "what answered is not JetStream".to_owned();
        return Err(Failure { kind: FailureKind::Broker { lasting: false }, detail });
    }
    Ok(())
}

fn failure_of(kind: RequestErrorKind) -> Failure {
    match kind {
        RequestErrorKind::TimedOut => {
            no_response(NoResponse::Timeout, "JetStream did not confirm in time")
        }
        RequestErrorKind::NoResponders => Failure {
            kind: FailureKind::Broker { lasting: false },
            detail: "no JetStream stream takes messages of this subject".to_owned(),
        },
        RequestErrorKind::MaxPayloadExceeded => too_large(),
        RequestErrorKind::InvalidSubject => Failure {
            kind: FailureKind::Refused,
            detail: "the subject cannot be published to".to_owned(),
        },
        RequestErrorKind::Other => {
            no_response(NoResponse::Interrupted, "the connection to NATS broke")
        }
    }
}

fn too_large() -> Failure {
    let detail = "the message is larger than the NATS server or its stream takes; a smaller maxCount \
                  or content helps";
    Failure { kind: FailureKind::Broker { lasting: true }, detail: detail.to_owned() }
}

fn no_response(why: NoResponse, detail: &str) -> Failure {
    Failure { kind: FailureKind::NoResponse(why), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
