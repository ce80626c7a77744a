//! The channel `email`: one mail through the operator's relay (RQ-CH-60 to RQ-CH-64).
//!
//! **For**: one attempt to hand a finished mail to the relay, and what came of it. **Owns** the
//! connections to the relay, at most `connections_max`, used again while they are fresh. **Must not
//! know** what the texts say, who may get them, nor what happens after a failure.
//!
//! **Invariants**: the attempt ends within its deadline; with [`Security::Tls`] and
//! [`Security::StartTls`] neither mail nor password goes over a connection that is not encrypted to a
//! relay that is trusted, and with [`Security::Plain`] none leaves this machine; no value can add a
//! header or a recipient; no text made here holds an address or a text of the relay.
//!
//! Its tests are in `email/tests.rs`, which speak to a relay of their own.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Noop, Rcpt};
use lettre::transport::smtp::response::Response;
use lettre::{Address, transport::smtp};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::AddressPolicy;
use crate::outcome::{
    Failure, FailureKind, NoResponse, Outcome, ResponseText, SmtpSubject, Verdict,
};
use crate::resolver::{Lookup, SystemLookup};
use crate::rest_hook::RESPONSE_TEXT_BYTES_MAX;
use crate::tls::{self, BrokerTls, broker_config};

mod message;
mod recipient;
mod wire;

pub use message::{Attachment, BodyKind, MAIL_SUBJECT_LENGTH_MAX, Mail};
pub use recipient::{Recipient, RecipientRefusal, is_mail_domain};

/// How long a connection that waits for its next mail may take to say that it is still there.
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a connection to the relay is kept without a mail. Relays close theirs after minutes.
const IDLE_TIME_MAX: Duration = Duration::from_secs(20);
/// The ways of telling a password that are used, the first that the relay offers.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];
/// Codes of a relay that does not take the password or the connection: 530, 534, 535, 538, and the
/// transient 454.
const AUTHENTICATION_CODES: &[u16] = &[454, 530, 534, 535, 538];
/// The code of a relay that closes.
const CLOSING: u16 = 421;

/// How the connection to the relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all, so only a relay on this machine is spoken to.
    Plain,
    /// By STARTTLS, without which nothing is sent.
    StartTls,
    /// By TLS from the first byte.
    Tls,
}

/// The relay, and who writes.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailConfig {
    /// Name or address of the relay; with TLS, the name in its certificate.
    pub relay: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Name and password at the relay.
    pub credentials: Option<(String, String)>,
    /// The sender, such as `Cresset <notifications@example.org>`.
    pub from: String,
    /// Whom answers go to, if not to the sender.
    pub reply_to: Option<String>,
    /// Files in PEM form of authorities trusted besides the system's.
    pub extra_ca_files: Vec<PathBuf>,
    /// Addresses that the relay may have.
    pub addresses: AddressPolicy,
    /// Longest time to make a connection; part of an attempt's deadline.
    pub connect_timeout: Duration,
    /// Most connections at the same time; not zero.
    pub connections_max: usize,
}

/// Not derived: the password is a secret.
impl fmt::Debug for EmailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailConfig")
            .field("relay", &self.relay)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

/// Why there is no email channel: do not start, tell the operator.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// A password without encryption would be anybody's.
    #[error("a password is not sent to a relay without TLS")]
    PlainPassword,
    /// The name of the relay cannot stand in a certificate.
    #[error("the relay is no host name or address")]
    Relay,
    /// The sender, or whom answers go to, is no mailbox.
    #[error("the sender or the address for answers is no mail address")]
    Sender(#[source] lettre::address::AddressError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::Error),
}

/// The email channel. Clones share the connections.
#[derive(Clone)]
pub struct Email(Arc<Inner>);

struct Inner {
    config: EmailConfig,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    server_name: ServerName<'static>,
    pool: ArcSwap<Pool>,
    lookup: Arc<dyn Lookup>,
    places: Semaphore,
}

/// Whom to trust, and the connections that were made so and wait for their next mail.
struct Pool {
    tls: Arc<ClientConfig>,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// What an attempt was about when it failed.
#[derive(Debug)]
enum Fault {
    /// The relay was not reached.
    Wire(Failure),
    /// The relay said no, or nothing.
    Smtp(smtp::Error, SmtpSubject),
}

impl Email {
    /// Reads the files of authorities; nothing is sent yet. Call it at start-up.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used: do not start.
    pub fn new(config: &EmailConfig) -> Result<Self, EmailError> {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    fn with_lookup(config: &EmailConfig, lookup: Arc<dyn Lookup>) -> Result<Self, EmailError> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(EmailError::Sender);
        if config.security == Security::Plain && config.credentials.is_some() {
            return Err(EmailError::PlainPassword);
        }
        let server_name =
            ServerName::try_from(config.relay.clone()).map_err(|_| EmailError::Relay)?;
        let pool = Pool::new(config)?;
        Ok(Self(Arc::new(Inner {
            from: mailbox(&config.from)?,
            reply_to: config.reply_to.as_deref().map(mailbox).transpose()?,
            server_name,
            pool: ArcSwap::from_pointee(pool),
            lookup,
            places: Semaphore::new(config.connections_max.max(1)),
            config: config.clone(),
        })))
    }

    /// Reads the files of authorities again, for this and all its clones; mails under way end as they
    /// began. Reads files; do not call it where nothing may block.
    ///
    /// # Errors
    ///
    /// Files that cannot be used. Everything stays as it was then.
    pub fn reload(&self) -> Result<(), tls::Error> {
        self.0.pool.store(Arc::new(Pool::new(&self.0.config)?));
        Ok(())
    }

    /// Name and port of the relay, by which attempts to it are counted.
    pub fn host(&self) -> String {
        format!("{}:{}", self.0.config.relay, self.0.config.port)
    }

    /// Most attempts at the same time that do not wait for each other.
    pub fn connections_max(&self) -> usize {
        self.0.config.connections_max
    }

    /// Hands one mail to the relay.
    ///
    /// A success means that the relay has taken it, no more. After a failure of kind `NoResponse` it
    /// may have taken it all the same.
    ///
    /// Cancel safety: dropping the future abandons the attempt; whether anything was sent is then
    /// unknown.
    ///
    /// Spec: RQ-CH-60, RQ-CH-67.
    pub async fn attempt(&self, mail: &Mail) -> Outcome {
        let started = Instant::now();
        let inner = &*self.0;
        let bytes = match mail.format(&inner.from, inner.reply_to.as_ref()) {
            Ok(bytes) => bytes,
            Err(detail) => {
                let failure = Failure { kind: FailureKind::Refused, detail: detail.to_owned() };
                return outcome(Verdict::Failure(failure), started, None);
            }
        };
        let sending = inner.send(&inner.from.email, mail.to.address(), &bytes);
        match timeout_at(started + mail.deadline, sending).await {
            Err(_) => {
                let failure =
                    wire::no_response(NoResponse::Timeout, "the relay did not answer in time");
                outcome(Verdict::Failure(failure), started, None)
            }
            Ok(Ok(response)) => {
                let text: Vec<&str> = response.message().collect();
                let status = u16::from(response.code());
                outcome(Verdict::Success { status }, started, Some(&text.join("\n")))
            }
            Ok(Err(Fault::Wire(failure))) => outcome(Verdict::Failure(failure), started, None),
            Ok(Err(Fault::Smtp(error, subject))) => {
                let text = error.status().and_then(|_| Some(error.source()?.to_string()));
                let failure = failure_of(&error, subject, text.as_deref().unwrap_or_default());
                outcome(Verdict::Failure(failure), started, text.as_deref())
            }
        }
    }
}

impl Inner {
    /// One mail over a connection of the pool, which gets it back if the relay took the mail.
    async fn send(&self, from: &Address, to: &Address, mail: &[u8]) -> Result<Response, Fault> {
        let _place = self.places.acquire().await.map_err(|_| closed())?;
        let pool = self.pool.load_full();
        let mut connection = match pool.fresh().await {
            Some(connection) => connection,
            None => self.connect(&pool.tls).await?,
        };
        let sent = transact(&mut connection, from, to, mail).await;
        match &sent {
            Ok(_) => pool.keep(connection),
            // Others may send over another; this one is left in good order, if it answers.
            Err(_) => drop(timeout(PROBE_TIME_MAX, connection.abort()).await),
        }
        sent
    }

    /// A new connection, encrypted as configured and with the password told.
    async fn connect(&self, tls: &Arc<ClientConfig>) -> Result<AsyncSmtpConnection, Fault> {
        let wire = timeout(self.config.connect_timeout, self.wire(tls)).await;
        let wire = wire.map_err(|_| {
            let detail = "no connection to the relay in time";
            Fault::Wire(wire::no_response(NoResponse::Connect, detail))
        })?;
        let wire = wire.map_err(Fault::Wire)?;
        let hello = self.hello_name();
        let session = |error| Fault::Smtp(error, SmtpSubject::Session);
        let connection = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &hello).await;
        let mut connection = connection.map_err(session)?;
        if let Some((name, password)) = &self.config.credentials {
            let credentials = Credentials::new(name.clone(), password.clone());
            connection.auth(MECHANISMS, &credentials).await.map_err(session)?;
        }
        Ok(connection)
    }
}

impl Pool {
    /// An empty pool. Reads the files of authorities.
    fn new(config: &EmailConfig) -> Result<Self, tls::Error> {
        let trusted = BrokerTls { extra_ca_files: config.extra_ca_files.clone(), identity: None };
        let tls = Arc::new(broker_config(&trusted)?);
        Ok(Self { tls, idle: Mutex::default() })
    }

    /// A connection that was used a short while ago and still answers.
    async fn fresh(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (mut connection, used) =
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if used.elapsed() < IDLE_TIME_MAX
                && let Ok(Ok(_)) = timeout(PROBE_TIME_MAX, connection.command(Noop)).await
            {
                return Some(connection);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, used)| used.elapsed() < IDLE_TIME_MAX);
        idle.push((connection, Instant::now()));
    }
}

/// The dialogue of one mail: sender, recipient, content.
async fn transact(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
    mail: &[u8],
) -> Result<Response, Fault> {
    let about = |subject| move |error| Fault::Smtp(error, subject);
    let sender = MailFrom::new(Some(from.clone()), Vec::new());
    connection.command(sender).await.map_err(about(SmtpSubject::Session))?;
    let recipient = Rcpt::new(to.clone(), Vec::new());
    connection.command(recipient).await.map_err(about(SmtpSubject::Recipient))?;
    connection.command(Data).await.map_err(about(SmtpSubject::Message))?;
    connection.message(mail).await.map_err(about(SmtpSubject::Message))
}

fn closed() -> Fault {
    Fault::Wire(wire::no_response(NoResponse::Connect, "the channel is closed"))
}

fn outcome(verdict: Verdict, started: Instant, text: Option<&str>) -> Outcome {
    let cut = |text: &str| {
        let end = text.len().min(RESPONSE_TEXT_BYTES_MAX);
        ResponseText::new(&text.as_bytes()[..end])
    };
    Outcome { verdict, duration: started.elapsed(), text: text.map(cut) }
}

/// What kind of failure it is. The relay's own text may hold the address, so it is no detail.
fn failure_of(error: &smtp::Error, subject: SmtpSubject, text: &str) -> Failure {
    if let Some(code) = error.status().map(u16::from) {
        let subject = match subject {
            _ if code == CLOSING || AUTHENTICATION_CODES.contains(&code) => SmtpSubject::Session,
            SmtpSubject::Message | SmtpSubject::Recipient if is_no_mailbox(text) => {
                SmtpSubject::Mailbox
            }
            SmtpSubject::Mailbox
            | SmtpSubject::Message
            | SmtpSubject::Recipient
            | SmtpSubject::Session => subject,
        };
        let what = match subject {
            SmtpSubject::Mailbox => "the relay says that there is no such mailbox",
            SmtpSubject::Message => "the relay does not take the mail",
            SmtpSubject::Recipient => "the relay does not take mails for the recipient",
            SmtpSubject::Session => "the relay does not take mails from this server",
        };
        let detail = format!("{what}: SMTP code {code}");
        return Failure { kind: FailureKind::Smtp { code, subject }, detail };
    }
    if error.is_client() {
        let detail = "the relay lacks what is needed, such as a way to authenticate";
        return wire::no_response(NoResponse::Interrupted, detail);
    }
    wire::no_response(NoResponse::Interrupted, "the connection to the relay broke")
}

/// Whether a reply has one of the enhanced status codes (RFC 3463, RFC 7505) of a mailbox that does
/// not exist, has moved, or is switched off.
fn is_no_mailbox(text: &str) -> bool {
    const CODES: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];
    text.split_whitespace().next().is_some_and(|first| CODES.contains(&first))
}

#[cfg(test)]
mod tests;
