//! Issues: what is wrong with something a client sent, all of it, never only the first.

use std::fmt;

/// How bad an issue is (`OperationOutcome.issue.severity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The request is refused.
    Error,
    /// Told, nothing wrong.
    Information,
    /// Accepted, but probably not what its author wants.
    Warning,
}

/// What kind of thing is wrong (`OperationOutcome.issue.code`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssueKind {
    /// `business-rule`
    BusinessRule,
    /// `code-invalid`
    CodeInvalid,
    /// `conflict`
    Conflict,
    /// `deleted`
    Deleted,
    /// `exception`
    Exception,
    /// `forbidden`
    Forbidden,
    /// `informational`
    Informational,
    /// `invalid`
    Invalid,
    /// `login`
    Login,
    /// `multiple-matches`
    MultipleMatches,
    /// `not-found`
    NotFound,
    /// `not-supported`
    NotSupported,
    /// `processing`
    Processing,
    /// `required`
    Required,
    /// `security`
    Security,
    /// `structure`
    Structure,
    /// `throttled`
    Throttled,
    /// `timeout`
    Timeout,
    /// `too-costly`
    TooCostly,
    /// `too-long`
    TooLong,
    /// `transient`
    Transient,
    /// `value`
    Value,
}

impl IssueKind {
    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BusinessRule => "business-rule",
            Self::CodeInvalid => "code-invalid",
            Self::Conflict => "conflict",
            Self::Deleted => "deleted",
            Self::Exception => "exception",
            Self::Forbidden => "forbidden",
            Self::Informational => "informational",
            Self::Invalid => "invalid",
            Self::Login => "login",
            Self::MultipleMatches => "multiple-matches",
            Self::NotFound => "not-found",
            Self::NotSupported => "not-supported",
            Self::Processing => "processing",
            Self::Required => "required",
            Self::Security => "security",
            Self::Structure => "structure",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::TooCostly => "too-costly",
            Self::TooLong => "too-long",
            Self::Transient => "transient",
            Self::Value => "value",
        }
    }
}

/// Declares the closed list of stable codes; each has a page `docs/errors/<code>.md`.
macro_rules! issue_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $kind:ident;)*) => {
        /// Our stable code of an issue (`details.coding`), one page each in `docs/errors`.
        ///
        /// Numbers are never reused; new codes go to the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum IssueCode { $($(#[$doc])* $name,)* }

        impl IssueCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as clients see it, such as `S0012`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $number,)* }
            }

            /// The FHIR issue kind that goes with it.
            pub const fn kind(self) -> IssueKind {
                match self { $(Self::$name => IssueKind::$kind,)* }
            }
        }
    };
}

issue_codes! {
    /// The body is not JSON, or not UTF-8, or holds a member twice.
    NotJson = "S0001", Structure;
    /// The body's `resourceType` is missing or is not the one asked for.
    WrongResourceType = "S0002", Invalid;
    /// An id is not 1 to 64 characters of `[A-Za-z0-9.-]`, or not the one of the URL.
    InvalidId = "S0003", Value;
    /// An element that must be there is missing.
    MissingElement = "S0004", Required;
    /// An element has a value of the wrong type or form.
    InvalidElement = "S0005", Value;
    /// The body is larger than the configured limit.
    BodyTooLarge = "S0006", TooLong;
    /// The body nests deeper than the limit.
    NestedTooDeep = "S0007", TooLong;
    /// The URL names no resource type, operation or path of this server.
    UnknownPath = "S0008", NotFound;
    /// There is no such resource.
    ResourceNotFound = "S0009", NotFound;
    /// The resource was deleted.
    ResourceDeleted = "S0010", Deleted;
    /// The method is not allowed here.
    MethodNotAllowed = "S0011", NotSupported;
    /// The topic is not known here or not active.
    UnknownTopic = "S0012", NotSupported;
    /// The topic does not offer this filter.
    FilterNotOffered = "S0013", NotSupported;
    /// The topic does not offer this comparator or modifier for the filter.
    ModifierNotOffered = "S0014", NotSupported;
    /// A search parameter is not defined for the resource type.
    UnknownSearchParameter = "S0015", NotSupported;
    /// A search value cannot be read as the parameter's type demands.
    InvalidSearchValue = "S0016", Value;
    /// The channel type is not known or not switched on.
    UnknownChannelType = "S0017", NotSupported;
    /// The endpoint does not fit the channel, or policy forbids it.
    EndpointRefused = "S0018", BusinessRule;
    /// The MIME type is not one this server can send.
    UnsupportedMimeType = "S0019", NotSupported;
    /// The payload content level is not known or not allowed.
    UnsupportedContent = "S0020", NotSupported;
    /// A header may not be set by a client or has a form HTTP forbids.
    HeaderRefused = "S0021", BusinessRule;
    /// The status may not be set by a client, or not from here.
    StatusRefused = "S0022", BusinessRule;
    /// A cross-version extension this server does not accept (TR-05).
    UnknownExtension = "S0023", NotSupported;
    /// A number or duration is outside its bounds.
    OutOfBounds = "S0024", Value;
    /// An expression cannot be parsed or does not fit the type it is for.
    InvalidExpression = "S0025", Invalid;
    /// An expression uses something this server does not support.
    UnsupportedExpression = "S0026", NotSupported;
    /// An expression took more steps than the limit.
    ExpressionTooCostly = "S0027", TooCostly;
    /// A topic's trigger names no known resource type or interaction.
    InvalidTrigger = "S0028", Invalid;
    /// A topic is legal but probably not what its author wants.
    SurprisingTopic = "S0029", Informational;
    /// A modifier is not defined for the search parameter's type.
    UnsupportedModifier = "S0030", NotSupported;
    /// The version in `If-Match` is not the current one.
    VersionMismatch = "S0031", Conflict;
    /// The change conflicts with another, or with the state of the resource.
    Conflict = "S0032", Conflict;
    /// The request needs a bearer token that this server knows.
    LoginRequired = "S0033", Login;
    /// The client may not do this.
    Forbidden = "S0034", Forbidden;
    /// The `Accept` header asks for what this server cannot send.
    NotAcceptable = "S0035", NotSupported;
    /// The `Content-Type` is not one this server reads.
    UnsupportedMediaType = "S0036", NotSupported;
    /// A request parameter is unknown or has a wrong value.
    InvalidParameter = "S0037", Invalid;
    /// A bundle or an entry in it cannot be processed.
    InvalidBundle = "S0038", Invalid;
    /// There are too many requests, sockets or subscriptions.
    Throttled = "S0039", Throttled;
    /// The server cannot answer just now.
    Unavailable = "S0040", Transient;
    /// The answer took too long.
    Timeout = "S0041", Timeout;
    /// A fault of this server.
    Internal = "S0042", Exception;
    /// The operation does not apply to this subscription.
    WrongChannel = "S0043", BusinessRule;
    /// No event lies in the range asked for.
    NoEvents = "S0044", NotFound;
    /// The topic cannot be evaluated with its stored definition any more.
    TopicUnusable = "S0045", BusinessRule;
    /// A search asks for more than this server does.
    UnsupportedSearch = "S0046", NotSupported;
    /// Two topics of one base have the same canonical URL and version.
    DuplicateTopic = "S0047", Conflict;
    /// A precondition header cannot be read.
    InvalidPrecondition = "S0048", Invalid;
    /// A websocket binding token is unknown, expired or revoked.
    InvalidToken = "S0049", Security;
    /// Events are being sent again.
    Resending = "S0050", Informational;
    /// Events cannot be sent again now.
    CannotResend = "S0051", Conflict;
    /// What was asked for is done, and there is nothing to add.
    Done = "S0052", Informational;
    /// The version of FHIR does not define such an element here.
    UnknownElement = "S0053", Structure;
    /// The body is not XML, or not UTF-8, or has what FHIR's XML may not have.
    NotXml = "S0054", Structure;
    /// A search would have to look at more resources than one may.
    SearchTooCostly = "S0057", TooCostly;
    /// A search did not find or show everything, and says what is left out.
    SearchIncomplete = "S0058", Informational;
    /// What was asked to be checked against a profile was checked against the base definitions only.
    ProfileNotChecked = "S0060", NotSupported;
    /// Several resources fit a condition that must single out one.
    SeveralMatches = "S0061", MultipleMatches;
    /// A patch cannot be read.
    InvalidPatch = "S0062", Invalid;
    /// A patch cannot be applied to the resource as it is.
    PatchNotApplicable = "S0063", Processing;
    /// A patch has more operations, or makes more, than a request may.
    PatchTooCostly = "S0064", TooCostly;
    /// A batch or transaction asks for more than one answer may hold.
    BundleTooCostly = "S0065", TooCostly;
    /// A write would be events for more subscriptions than one write may be.
    TooManyEvents = "S0066", TooCostly;
    /// The channel is one of this server's, and its operator has not switched it on.
    ChannelNotConfigured = "S0070", NotSupported;
}

/// One thing that is wrong or worth telling, with the place where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of issue, and which page tells about it.
    pub code: IssueCode,
    /// The issue kind on the wire where it differs from the code's own (`required` for `value`).
    pub kind: IssueKind,
    /// FHIRPath of the element, such as `Subscription.filterBy[1].value`.
    pub expression: Option<String>,
    /// What is wrong and what to do, for people. Never patient data of another client.
    pub text: String,
}

impl Issue {
    /// An error with the code's own kind.
    pub fn error(code: IssueCode, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            kind: code.kind(),
            expression: None,
            text: text.into(),
        }
    }

    /// A warning with the code's own kind.
    pub fn warning(code: IssueCode, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, text) }
    }

    /// The same issue, at this element.
    #[must_use]
    pub fn at(self, expression: impl Into<String>) -> Self {
        Self { expression: Some(expression.into()), ..self }
    }

    /// The same issue with another kind on the wire.
    #[must_use]
    pub fn of_kind(self, kind: IssueKind) -> Self {
        Self { kind, ..self }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code.as_str())?;
        if let Some(expression) = &self.expression {
            write!(f, "{expression}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// All that was found; as an error: at least one of them has severity error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issues(pub Vec<Issue>);

impl Issues {
    /// Whether one of them refuses the request.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|issue| issue.severity == Severity::Error)
    }

    /// Adds one.
    pub fn push(&mut self, issue: Issue) {
        self.0.push(issue);
    }

    /// `value` with the warnings, or the issues if one is an error.
    pub fn into_result<T>(self, value: T) -> Result<(T, Self), Self> {
        if self.has_errors() { Err(self) } else { Ok((value, self)) }
    }
}

impl From<Issue> for Issues {
    fn from(issue: Issue) -> Self {
        Self(vec![issue])
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            issue.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}
