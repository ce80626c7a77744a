//! What a use case answers when it does not do what was asked.

use std::fmt;

use cresset_model::{Issue, IssueCode, Issues};
use cresset_store as store;

/// Which reaction an error asks for.
///
/// Bundles answer with a status per entry, so the table of status codes stands here and the API
/// takes it from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// State or order forbids it; read again, then decide.
    Conflict,
    /// The caller is known and may not.
    Forbidden,
    /// It was there and was deleted.
    Gone,
    /// A bug of this server.
    Internal,
    /// The request cannot be read.
    Malformed,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The answer cannot take the form asked for.
    NotAcceptable,
    /// There is no such thing, or none that the caller may know of.
    NotFound,
    /// Too many requests, sockets or subscriptions; later, or fewer.
    Throttled,
    /// It did not end in time; it may have been done.
    Timeout,
    /// Within the rules, but above a cost limit.
    TooCostly,
    /// Larger than a limit.
    TooLarge,
    /// The caller is not known; log in.
    Unauthenticated,
    /// Not now; nothing was done; try again.
    Unavailable,
    /// Readable, but against a rule.
    Unprocessable,
    /// The body has a type this server does not read.
    UnsupportedMediaType,
    /// `If-Match` names another version; read again.
    VersionMismatch,
}

/// A refusal: its kind, and all issues found.
///
/// The issues are for the caller. The source is for the log, never for the caller.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    issues: Issues,
    /// Which of the wanted changes it is about, if they were several.
    intent: Option<usize>,
    /// Whether the change was prepared on what is so no more, and may be prepared anew.
    is_stale: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Kind {
    /// The status code that goes with it on HTTP: the one table of it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Conflict => 409,
            Self::Forbidden => 403,
            Self::Gone => 410,
            Self::Internal => 500,
            Self::Malformed => 400,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::NotFound => 404,
            Self::Throttled => 429,
            Self::Timeout => 504,
            Self::TooCostly | Self::Unprocessable => 422,
            Self::TooLarge => 413,
            Self::Unauthenticated => 401,
            Self::Unavailable => 503,
            Self::UnsupportedMediaType => 415,
            Self::VersionMismatch => 412,
        }
    }
}

impl Error {
    /// An error of this kind with these issues.
    pub fn new(kind: Kind, issues: impl Into<Issues>) -> Self {
        Self { kind, issues: issues.into(), intent: None, is_stale: false, source: None }
    }

    /// The same error, about this one of several changes that were wanted together.
    pub(crate) fn of_intent(self, index: usize) -> Self {
        Self { intent: Some(index), ..self }
    }

    /// The same error, for a change that was prepared on what is so no more.
    pub(crate) fn into_stale(self) -> Self {
        Self { is_stale: true, ..self }
    }

    /// Whether preparing the change anew may help.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Which of several changes that were wanted together it is about, if it is about one.
    pub(crate) fn intent(&self) -> Option<usize> {
        self.intent
    }

    /// An error of this kind with one issue.
    pub fn of(kind: Kind, code: IssueCode, text: impl Into<String>) -> Self {
        Self::new(kind, Issue::error(code, text))
    }

    /// A bug of ours: the caller learns a code, the log learns the cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: Some(cause.into()),
            ..Self::of(Kind::Internal, IssueCode::Internal, "the server failed; see its log")
        }
    }

    /// Which reaction it asks for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What is wrong, for the caller.
    pub fn issues(&self) -> &Issues {
        &self.issues
    }

    /// There is no such resource, or none the caller may know of.
    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self::of(Kind::NotFound, IssueCode::ResourceNotFound, format!("{what} is not known here"))
    }

    /// The resource was deleted.
    pub(crate) fn gone(what: impl fmt::Display) -> Self {
        Self::of(Kind::Gone, IssueCode::ResourceDeleted, format!("{what} was deleted"))
    }

    /// Stopping, or overloaded: nothing was done.
    pub(crate) fn unavailable(text: &str) -> Self {
        Self::of(Kind::Unavailable, IssueCode::Unavailable, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.issues)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn std::error::Error + 'static) = source.as_ref();
            source
        })
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        if matches!(error, store::Error::CursorExpired) {
            let text = "this place in a search is no more; start the search again";
            return Self::of(Kind::Gone, IssueCode::InvalidParameter, text);
        }
        Self { source: Some(Box::new(error)), ..Self::unavailable("the store cannot answer") }
    }
}
