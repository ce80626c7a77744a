//! The channel `email`: one mail through the operator's relay (RQ-CH-60 to RQ-CH-64).
//!
//! **For**: one attempt to hand a finished mail to the relay, and what came of it. **Owns** the
//! connection to the relay; each attempt opens one. **Must not know** what the texts say, who may
//! get them, nor what happens after a failure.
//!
//! **Invariants**: the attempt ends within its deadline; with [`Security::Tls`] or
//! [`Security::StartTls`] neither mail nor password goes over a connection that is not encrypted to a
//! relay that is trusted; no header can be added through a value; no text made here holds an address
//! or a text of the relay.
//!
//! The relay is the operator's choice, so the address policy of endpoints is not asked. Its tests are
//! in `email/tests.rs`, which speak to a relay of their own.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::outcome::{Failure, FailureKind, NoResponse, Outcome, ResponseText, Verdict};

/// Most bytes of a relay's answer that are kept.
const RESPONSE_TEXT_BYTES_MAX: usize = 1024;
/// Most characters of a subject line.
const SUBJECT_LENGTH_MAX: usize = 200;

/// How the connection to the relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
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
    /// Files in PEM form of authorities trusted besides the system's.
    pub extra_ca_files: Vec<PathBuf>,
}

/// Not derived: the password is a secret.
impl fmt::Debug for EmailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmailConfig")
            .field("relay", &self.relay)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Why there is no email channel: do not start, tell the operator.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// A file of certificate authorities cannot be read.
    #[error("cannot read the certificate file {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A password without encryption would be anybody's.
    #[error("a password is not sent to a relay without TLS")]
    PlainPassword,
    /// The sender is no mailbox.
    #[error("the sender is no mail address")]
    Sender(#[source] lettre::address::AddressError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS to the relay")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// What the body of a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `text/html`
    Html,
    /// `text/plain`
    Plain,
}

/// What goes with a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct MailAttachment {
    /// Its name, for people.
    pub file_name: String,
    /// Its MIME type.
    pub content_type: String,
    /// What it is.
    pub bytes: Bytes,
}

/// One mail to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Names the mail; the same for each attempt, so that receivers can tell a repetition.
    pub id: String,
    /// Where to: the endpoint, a `mailto:` URL with one address.
    pub endpoint: Url,
    /// The subject line; cut after 200 characters.
    pub subject: String,
    /// What `body` is.
    pub body_kind: BodyKind,
    /// For people.
    pub body: String,
    /// For machines.
    pub attachment: Option<MailAttachment>,
    /// Where the receiver ends it: shown by mail programs, which POST to it.
    pub unsubscribe: Option<Url>,
    /// When it is written.
    pub date: Timestamp,
    /// How long all of it may take.
    pub deadline: Duration,
}

/// Not derived: addresses and texts are not for logs.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("id", &self.id)
            .field("body_kind", &self.body_kind)
            .field("body_bytes", &self.body.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The email channel.
#[derive(Clone)]
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Email {
    /// Reads the files of authorities; nothing is sent yet. Call it at start-up.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used: do not start.
    pub fn new(config: &EmailConfig) -> Result<Self, EmailError> {
        let from: Mailbox = config.from.parse().map_err(EmailError::Sender)?;
        let tls = match config.security {
            Security::Plain if config.credentials.is_some() => {
                return Err(EmailError::PlainPassword);
            }
            Security::Plain => Tls::None,
            Security::StartTls => Tls::Required(tls_parameters(config)?),
            Security::Tls => Tls::Wrapper(tls_parameters(config)?),
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.relay.as_str())
                .port(config.port)
                .tls(tls)
                .hello_name(ClientId::Domain(from.email.domain().to_owned()))
                // The deadline of an attempt ends it, whatever is being waited for.
                .timeout(None);
        if let Some((name, password)) = &config.credentials {
            builder = builder.credentials(Credentials::new(name.clone(), password.clone()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// Hands one mail to the relay.
    ///
    /// A success means that the relay has taken it, no more. After a failure of kind `NoResponse` it
    /// may have taken it all the same.
    ///
    /// Cancel safety: dropping the future abandons the attempt; whether anything was sent is then
    /// unknown.
    pub async fn attempt(&self, mail: &Mail) -> Outcome {
        let started = Instant::now();
        let message = match self.message(mail) {
            Ok(message) => message,
            Err(detail) => {
                let failure = Failure { kind: FailureKind::Refused, detail: detail.to_owned() };
                return outcome(Verdict::Failure(failure), started, None);
            }
        };
        let sending = self.transport.send(message);
        match timeout_at(started + mail.deadline, sending).await {
            Err(_) => {
                let detail = "the relay did not answer in time".to_owned();
                let kind = FailureKind::NoResponse(NoResponse::Timeout);
                outcome(Verdict::Failure(Failure { kind, detail }), started, None)
            }
            Ok(Ok(response)) => {
                let status = u16::from(response.code());
                let text: Vec<&str> = response.message().collect();
                outcome(Verdict::Success { status }, started, Some(&text.join("\n")))
            }
            Ok(Err(error)) => {
                let text = error.status().map(|_| error.to_string());
                outcome(Verdict::Failure(failure_of(&error)), started, text.as_deref())
            }
        }
    }

    /// The mail as it travels.
    fn message(&self, mail: &Mail) -> Result<Message, &'static str> {
        let to =
            recipient(&mail.endpoint).ok_or("the endpoint is no mailto: URL of one address")?;
        let unbuilt = |_| "the mail cannot be built";
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject(&mail.subject))
            .date(system_time(mail.date))
            .message_id(Some(format!("<{}@{domain}>", mail.id)))
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned())?);
        if let Some(url) = &mail.unsubscribe {
            // RFC 8058: mail programs offer it, and POST to it.
            builder =
                builder.raw_header(header("List-Unsubscribe", format!("<{url}>"))?).raw_header(
                    header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned())?,
                );
        }
        let body = match mail.body_kind {
            BodyKind::Html => SinglePart::html(mail.body.clone()),
            BodyKind::Plain => SinglePart::plain(mail.body.clone()),
        };
        let Some(attachment) = &mail.attachment else {
            return builder.singlepart(body).map_err(unbuilt);
        };
        let content_type = ContentType::parse(&attachment.content_type)
            .map_err(|_| "the attachment has no MIME type")?;
        let attached = Attachment::new(attachment.file_name.clone())
            .body(attachment.bytes.to_vec(), content_type);
        let parts = MultiPart::mixed().boundary(format!("part-{}", mail.id));
        builder.multipart(parts.singlepart(body).singlepart(attached)).map_err(unbuilt)
    }
}

/// The one address of a `mailto:` URL; anything more in it is refused (RQ-CH-60).
pub fn recipient(endpoint: &Url) -> Option<Address> {
    if endpoint.scheme() != "mailto" || endpoint.query().is_some() || endpoint.fragment().is_some()
    {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(endpoint.path()).decode_utf8().ok()?;
    decoded.parse().ok()
}

/// The same time for headers; those before 1970 are of no mail.
fn system_time(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The subject without what could end its line.
fn subject(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SUBJECT_LENGTH_MAX).collect()
}

fn header(name: &'static str, value: String) -> Result<HeaderValue, &'static str> {
    if value.chars().any(char::is_control) {
        return Err("a header of the mail cannot be built");
    }
    Ok(HeaderValue::new(HeaderName::new_from_ascii_str(name), value))
}

fn tls_parameters(config: &EmailConfig) -> Result<TlsParameters, EmailError> {
    let mut builder = TlsParameters::builder(config.relay.clone());
    for path in &config.extra_ca_files {
        let pem = std::fs::read(path)
            .map_err(|source| EmailError::CaFile { path: path.clone(), source })?;
        builder =
            builder.add_root_certificate(Certificate::from_pem(&pem).map_err(EmailError::Tls)?);
    }
    builder.build().map_err(EmailError::Tls)
}

fn outcome(verdict: Verdict, started: Instant, text: Option<&str>) -> Outcome {
    let cut = |text: &str| {
        let end = text.len().min(RESPONSE_TEXT_BYTES_MAX);
        ResponseText::new(&text.as_bytes()[..end])
    };
    Outcome { verdict, duration: started.elapsed(), text: text.map(cut) }
}

/// What kind of failure it is. The relay's own text may hold the address, so it is no detail.
fn failure_of(error: &lettre::transport::smtp::Error) -> Failure {
    if let Some(code) = error.status() {
        let status = u16::from(code);
        let kind = FailureKind::Response { status, retry_after: None };
        return Failure { kind, detail: format!("the relay answered with SMTP code {status}") };
    }
    let (why, detail) = if error.is_tls() {
        (NoResponse::Tls, "no trusted connection to the relay")
    } else if error.is_timeout() {
        (NoResponse::Timeout, "the relay did not answer in time")
    } else if error.is_client() {
        (NoResponse::Interrupted, "the relay lacks what is needed, such as STARTTLS")
    } else {
        (NoResponse::Connect, "no connection to the relay, or it broke")
    };
    Failure { kind: FailureKind::NoResponse(why), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
