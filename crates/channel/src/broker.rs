//! What the channels to message brokers have in common: where a subscriber may have messages
//! published, what a message is made of, and which headers are not a subscriber's to set.
//!
//! A broker is the operator's. A subscriber's endpoint names a place in it (`nats:orders.new`,
//! `kafka:orders`), and only one that the operator allows: whoever may publish anywhere could write
//! what others take for theirs. Pure. Its tests are in `broker/tests.rs`.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::header::{HeaderRefusal, header_refusal};

/// Most headers that a subscriber may add to a message.
pub const PUBLISHED_HEADERS_MAX: usize = 32;
/// Longest subject that an endpoint may name; the key comes behind it.
const SUBJECT_LENGTH_MAX: usize = 200;
/// Longest topic, by Kafka's own rules.
const TOPIC_LENGTH_MAX: usize = 249;
/// Headers that tell a receiver what the server says, in lower case.
const OWN_HEADERS: [&str; 4] = ["content-type", "traceparent", "tracestate", "webhook-id"];
/// Beginnings of headers that tell what the server says, or that command a NATS server.
const OWN_PREFIXES: [&str; 2] = ["fhir-", "nats-"];

/// A kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broker {
    /// Apache Kafka, and what speaks its protocol.
    Kafka,
    /// NATS with JetStream.
    Nats,
}

/// Where messages may be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerPolicy {
    /// Which broker it is for.
    pub broker: Broker,
    /// Where they go when the subscriber names no endpoint; everybody may.
    pub default: String,
    /// Where else they may go.
    pub allow: Vec<AllowedDestination>,
    /// Whether what is published can be read on its way by nobody else: there is TLS, or the
    /// connection does not leave the machine.
    pub confidential: bool,
}

/// Destinations that one client, or every client, may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedDestination {
    client: Option<String>,
    pattern: String,
}

/// Text that allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestination {
    /// Neither a topic nor the beginning of topics.
    #[error("must be a topic, or the beginning of topics with \"*\" behind it")]
    Kafka,
    /// Neither a subject nor a pattern of subjects.
    #[error("must be a subject, in which \"*\" stands for one part and \">\" for all further ones")]
    Nats,
}

/// Why messages are not published there. Its text holds nothing of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationRefusal {
    /// The operator does not allow it to this client.
    NotAllowed(Broker),
    /// It is no place in the broker.
    Form(Broker),
}

impl fmt::Display for DestinationRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllowed(Broker::Kafka) => {
                "this client may not publish to this topic; without an endpoint the server's own is \
                 used"
            }
            Self::NotAllowed(Broker::Nats) => {
                "this client may not publish under this subject; without an endpoint the server's \
                 own is used"
            }
            Self::Form(Broker::Kafka) => {
                "the endpoint must be kafka: and a topic of letters, digits, \".\", \"_\" and \"-\""
            }
            Self::Form(Broker::Nats) => {
                "the endpoint must be nats: and a subject of letters, digits, \"_\" and \"-\", in \
                 parts with dots between them"
            }
        })
    }
}

impl Broker {
    /// The scheme of endpoints.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Nats => "nats",
        }
    }

    /// Whether messages may be published there by anybody at all.
    pub fn is_destination(self, name: &str) -> bool {
        match self {
            Self::Kafka => is_topic(name) && !matches!(name, "." | ".."),
            Self::Nats => {
                name.len() <= SUBJECT_LENGTH_MAX
                    && name.split('.').all(|part| is_part(part) && !part.contains(['*', '>']))
                    && !name.starts_with(['$', '_'])
            }
        }
    }
}

impl AllowedDestination {
    /// Reads `pattern`, for every client, or `client=pattern`. In a pattern for every client,
    /// `{client}` stands for the name of the client who asks.
    ///
    /// # Errors
    ///
    /// [`InvalidDestination`] for a pattern that nothing could fit.
    pub fn parse(broker: Broker, text: &str) -> Result<Self, InvalidDestination> {
        // Names of clients may hold the sign, destinations do not.
        let (client, pattern) = match text.rsplit_once('=') {
            Some((client, pattern)) => (Some(client.to_owned()), pattern),
            None => (None, text),
        };
        let example = pattern.replace("{client}", "client");
        let fits = match broker {
            Broker::Kafka => {
                let name = example.strip_suffix('*').unwrap_or(&example);
                is_topic(name) || example == "*"
            }
            Broker::Nats => {
                let parts = example.strip_suffix(".>").unwrap_or(&example);
                let mut parts = parts.split('.');
                example == ">"
                    || parts
                        .all(|part| is_part(part) && (part == "*" || !part.contains(['*', '>'])))
            }
        };
        if !fits || client.as_deref() == Some("") {
            return Err(match broker {
                Broker::Kafka => InvalidDestination::Kafka,
                Broker::Nats => InvalidDestination::Nats,
            });
        }
        Ok(Self { client, pattern: pattern.to_owned() })
    }

    fn fits(&self, broker: Broker, client: &str, name: &str) -> bool {
        if self.client.as_deref().is_some_and(|only| only != client) {
            return false;
        }
        let mut pattern = self.pattern.as_str();
        let filled;
        if pattern.contains("{client}") {
            // A name that is more than one part could reach what is another's.
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if !client.chars().all(plain) {
                return false;
            }
            filled = pattern.replace("{client}", client);
            pattern = &filled;
        }
        match broker {
            Broker::Kafka => match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == pattern,
            },
            Broker::Nats => subject_fits(pattern, name),
        }
    }
}

impl BrokerPolicy {
    /// Where messages of this client with this endpoint go.
    ///
    /// Asked when a subscription is accepted and again before every attempt.
    ///
    /// # Errors
    ///
    /// [`DestinationRefusal`] for an endpoint that is no place in the broker, or not one that the
    /// client may use.
    pub fn destination<'p>(
        &'p self,
        client: &str,
        endpoint: Option<&'p str>,
    ) -> Result<&'p str, DestinationRefusal> {
        let Some(endpoint) = endpoint else { return Ok(&self.default) };
        let name = endpoint.split_once(':');
        let name = name.filter(|(scheme, _)| *scheme == self.broker.scheme()).map(|(_, name)| name);
        let name = name.filter(|name| self.broker.is_destination(name));
        let name = name.ok_or(DestinationRefusal::Form(self.broker))?;
        let allowed = name == self.default
            || self.allow.iter().any(|one| one.fits(self.broker, client, name));
        if allowed { Ok(name) } else { Err(DestinationRefusal::NotAllowed(self.broker)) }
    }
}

/// One message to publish.
#[derive(Clone)]
pub struct Publication {
    /// Where to, as [`BrokerPolicy::destination`] gave it.
    pub destination: String,
    /// What the messages of one subscription have in common and those of others have not: parts with
    /// slashes between them.
    pub key: String,
    /// What is told in `content-type`.
    pub content_type: String,
    /// Headers of the server's own.
    pub own_headers: Vec<(&'static str, String)>,
    /// Headers that the subscriber asked for.
    pub headers: Vec<(String, String)>,
    /// The message.
    pub body: Bytes,
    /// How long connecting, sending and the wait for the broker's word may take together.
    pub deadline: Duration,
    /// The time now.
    pub now: Timestamp,
    /// What receivers, and a NATS server, can tell a repetition by.
    pub message_id: String,
    /// The header `traceparent`, if one is to be sent.
    pub traceparent: Option<String>,
}

/// Not derived: key, headers and body are not for logs.
impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Publication {
    /// All headers of the message: those of the subscriber, then those of the server.
    pub(crate) fn all_headers(&self) -> Result<Vec<(&str, &str)>, HeaderRefusal> {
        if self.headers.len() > PUBLISHED_HEADERS_MAX {
            return Err(HeaderRefusal::Count);
        }
        let mut all = Vec::with_capacity(self.headers.len() + self.own_headers.len() + 3);
        for (name, value) in &self.headers {
            if let Some(refusal) = published_header_refusal(name, value) {
                return Err(refusal);
            }
            all.push((name.as_str(), value.as_str()));
        }
        all.push(("content-type", &self.content_type));
        all.extend(self.own_headers.iter().map(|(name, value)| (*name, value.as_str())));
        all.push(("webhook-id", &self.message_id));
        all.extend(self.traceparent.as_deref().map(|value| ("traceparent", value)));
        Ok(all)
    }
}

/// Why a subscriber may not have this header published, or none where it may.
pub fn published_header_refusal(name: &str, value: &str) -> Option<HeaderRefusal> {
    let lower = name.to_ascii_lowercase();
    let own = OWN_HEADERS.contains(&lower.as_str())
        || OWN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if own { Some(HeaderRefusal::Reserved) } else { header_refusal(name, value) }
}

/// Whether the connection to this host stays on the machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The subject of a message: the destination, and the key with a part for each of its parts. NATS
/// would take a dot in a part for the end of it.
pub(crate) fn subject(destination: &str, key: &str) -> String {
    format!("{destination}.{}", key.replace('.', "_").replace('/', "."))
}

fn is_topic(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // Two underscores begin what is the broker's own.
    (1..=TOPIC_LENGTH_MAX).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with("__")
}

fn is_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '>');
    !part.is_empty() && part.chars().all(plain)
}

/// Whether a subject fits a pattern of NATS.
fn subject_fits(pattern: &str, subject: &str) -> bool {
    let mut parts = subject.split('.');
    for asked in pattern.split('.') {
        if asked == ">" {
            return parts.next().is_some();
        }
        match parts.next() {
            Some(part) if asked == "*" || asked == part => {}
            Some(_) | None => return false,
        }
    }
    parts.next().is_none()
}

#[cfg(test)]
mod tests;
