//! Why a record was not confirmed.

use std::io;

use kafka_protocol::ResponseError;

/// Codes that tell of this server, not of the record: what it may do, and how it is to log in.
const FORBIDDEN: [ResponseError; 7] = [
    ResponseError::ClusterAuthorizationFailed,
    ResponseError::GroupAuthorizationFailed,
    ResponseError::IllegalSaslState,
    ResponseError::SecurityDisabled,
    ResponseError::TopicAuthorizationFailed,
    ResponseError::TransactionalIdAuthorizationFailed,
    ResponseError::UnsupportedSaslMechanism,
];

/// Why a record was not confirmed. Texts hold nothing of the record and no address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker did not accept user or password. Nothing was written.
    #[error("the broker refused the login")]
    Authentication,
    /// No connection. Nothing was written.
    #[error("no connection to a broker: {}", .0.kind())]
    Connect(#[source] io::Error),
    /// The broker is on another machine, and what is sent would go there in the clear. Nothing was
    /// written.
    #[error("the broker is not on this machine, and the connection to it has no TLS")]
    Exposed,
    /// The broker does not let this server write the record, until the operator sets it right. Nothing
    /// was written.
    #[error("the broker does not let this server write the record: {0}")]
    Forbidden(Code),
    /// The connection broke while the answer was awaited. The record may have been written.
    #[error("the connection to the broker broke")]
    Interrupted,
    /// The name of a broker could not be resolved. Nothing was written.
    #[error("the name of the broker could not be resolved")]
    Lookup,
    /// What answers is no Kafka broker, or too old or new a one. The record may have been written.
    #[error("the broker does not speak as expected: {0}")]
    Protocol(&'static str),
    /// The broker will not take the record, now or later. Nothing was written.
    #[error("the broker refused the record: {0}")]
    Refused(Code),
    /// No trusted connection. Nothing was written.
    #[error("no trusted connection to the broker")]
    Tls(#[source] rustls::Error),
    /// The deadline has passed. The record may have been written.
    #[error("the broker did not confirm in time")]
    TimedOut,
    /// The record is larger than this producer or the broker takes. Nothing was written.
    #[error("the record is larger than the broker takes")]
    TooLarge,
    /// The broker cannot take the record now. Unless the code tells that it was written to fewer
    /// replicas than asked for, nothing was written.
    #[error("the broker cannot take the record now: {0}")]
    Unavailable(Code),
}

/// An error code of Kafka's; it shows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub(crate) ResponseError);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The names are words; the texts of the protocol are paragraphs.
        write!(f, "{:?} ({})", self.0, self.0.code())
    }
}

impl Error {
    /// The error for a code of a broker's answer, or none where it tells of success.
    pub fn of_code(code: i16) -> Option<Self> {
        let code = ResponseError::try_from_code(code)?;
        let size = [ResponseError::MessageTooLarge, ResponseError::RecordListTooLarge];
        Some(if size.contains(&code) {
            Self::TooLarge
        } else if code == ResponseError::SaslAuthenticationFailed {
            Self::Authentication
        } else if code == ResponseError::UnsupportedVersion {
            Self::Protocol("it does not speak this version of a request")
        } else if FORBIDDEN.contains(&code) {
            Self::Forbidden(Code(code))
        } else if code.is_retriable() {
            Self::Unavailable(Code(code))
        } else {
            Self::Refused(Code(code))
        })
    }

    /// Whether nothing was written, and the cause may be that another broker leads the partition by
    /// now.
    pub(crate) fn may_be_of_yesterday(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lookup => true,
            Self::Unavailable(Code(code)) => [
                ResponseError::FencedLeaderEpoch,
                ResponseError::KafkaStorageError,
                ResponseError::LeaderNotAvailable,
                ResponseError::NotLeaderOrFollower,
                ResponseError::UnknownTopicOrPartition,
            ]
            .contains(code),
            Self::Authentication
            | Self::Exposed
            | Self::Forbidden(_)
            | Self::Interrupted
            | Self::Protocol(_)
            | Self::Refused(_)
            | Self::Tls(_)
            | Self::TimedOut
            | Self::TooLarge => false,
        }
    }
}
