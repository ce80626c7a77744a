//! What came of one attempt.
//!
//! A failed attempt is a value, not an error: what to do about it is decided by who asked. The
//! kinds are those that FHIR's subscription-error codes tell apart (RQ-ER-05).

use std::fmt;
use std::time::Duration;

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Success or failure.
    pub verdict: Verdict,
    /// From the start of the attempt to the head of the response, or to the failure.
    pub duration: Duration,
    /// The beginning of the response's body, where there was one.
    pub text: Option<ResponseText>,
}

/// Success or failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A broker has it, on as many of its machines as it is set up for.
    Published,
    /// The endpoint has taken it.
    Success {
        /// Any of 2xx (RQ-CH-26); of a relay, its SMTP code.
        status: u16,
    },
    /// The endpoint has not taken it, or it is not known whether it has.
    Failure(Failure),
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// For people. Holds no address, header, body or part of the endpoint.
    pub detail: String,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A broker that was reached did not take the message.
    Broker {
        /// Whether it will not take it later either, as when it is too large.
        lasting: bool,
    },
    /// The host's name could not be resolved. Nothing was sent.
    DnsResolution,
    /// No response came.
    NoResponse(NoResponse),
    /// There was no room here to look the host's name up. Nothing was sent, and nothing is known of the
    /// endpoint.
    NoRoom,
    /// The policy forbids endpoint or header. Nothing was sent, and trying again will not help.
    Refused,
    /// All addresses that the host's name has now are forbidden. Nothing was sent; it may have others
    /// again.
    RefusedAddress,
    /// A response that is not 2xx, a redirect among them.
    Response {
        /// The HTTP status.
        status: u16,
        /// How long the endpoint asked to be left alone, at most [`crate::RETRY_AFTER_MAX`].
        retry_after: Option<Duration>,
    },
    /// A reply of an SMTP relay that is not a success.
    Smtp {
        /// The SMTP code; 4xx is for now, 5xx for good.
        code: u16,
        /// What the relay speaks of.
        subject: SmtpSubject,
    },
}

/// What a relay that takes a mail no further speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmtpSubject {
    /// The mailbox, which does not exist or is switched off.
    Mailbox,
    /// The mail.
    Message,
    /// The recipient, whatever is wrong with it.
    Recipient,
    /// This server: what it is, its password, its sender, or the relay's own state.
    Session,
}

/// Why no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoResponse {
    /// No connection could be made. Nothing was sent.
    Connect,
    /// The connection broke. The endpoint may have taken the notification.
    Interrupted,
    /// The deadline passed. The endpoint may have taken the notification.
    Timeout,
    /// No trusted connection could be made. Nothing was sent.
    Tls,
}

/// The beginning of a response's body, for records that only the right people see.
///
/// An endpoint may write anything into it, so it is not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseText(String);

impl Outcome {
    /// Whether the endpoint has taken it.
    pub fn is_success(&self) -> bool {
        matches!(self.verdict, Verdict::Published | Verdict::Success { .. })
    }
}

impl ResponseText {
    /// The text of these bytes; what is not UTF-8 or is a control character becomes `U+FFFD`.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let printable = |c: char| c == '\n' || c == '\t' || !c.is_control();
        Self(
            text.chars()
                .map(|c| if printable(c) { c } else { char::REPLACEMENT_CHARACTER })
                .collect(),
        )
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResponseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseText({} bytes)", self.0.len())
    }
}
