//! What went wrong when talking to a server.

use crate::notification;
use crate::sequence::Fault;

/// Why something asked of a server did not work. Its texts hold nothing of resources, and no tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the server sent is not what was asked for.
    #[error("the server's answer is not valid: {0}")]
    Answer(&'static str),
    /// The server's numbers cannot be true.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// What the server sent is no notification.
    #[error("the server sent something else than a notification")]
    Notification(#[from] notification::Error),
    /// The server refused.
    #[error("the server answered {status}{}", shown(.issues))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The texts of its OperationOutcome.
        issues: Vec<String>,
    },
    /// The connection could not be made secure, or no client could be made.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// There was no answer, or only a part of one.
    #[error("the server did not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was given is no absolute URL of a server.
    #[error("the URL {0:?} cannot be used")]
    Url(String),
    /// The websocket broke, was closed, or said nothing for too long.
    #[error("the websocket ended: {0}")]
    Websocket(String),
}

impl Error {
    /// Whether trying again later may help.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(*status, 408 | 425 | 429 | 500 | 502..=599),
            Self::Unreachable(_) | Self::Websocket(_) => true,
            Self::Answer(_)
            | Self::Fault(_)
            | Self::Notification(_)
            | Self::Tls(_)
            | Self::Url(_) => false,
        }
    }

    pub(crate) fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unreachable(Box::new(error))
    }
}

fn shown(issues: &[String]) -> String {
    issues.iter().map(|issue| format!("\n  {issue}")).collect()
}
