//! A subscription: a topic, filters, and a channel to tell events over.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::Canonical;

/// Declares an enum of FHIR codes with `code()` and `from_code()`.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// FHIR's code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The value with this code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// `Subscription.status` (RQ section 3.3).
    SubscriptionStatus {
        /// Events are sent.
        Active = "active",
        /// Made by mistake; treated as `off` (R5 only on the wire).
        EnteredInError = "entered-in-error",
        /// Sending failed; events are counted, not sent, until a client asks for a handshake.
        Error = "error",
        /// Switched off; nothing is evaluated.
        Off = "off",
        /// Accepted; a handshake must succeed first.
        Requested = "requested",
    }
}

codes! {
    /// How much of the changed resource a notification carries (RQ section 6.5).
    PayloadContent {
        /// Only that something happened.
        Empty = "empty",
        /// The resources themselves.
        FullResource = "full-resource",
        /// References to the resources.
        IdOnly = "id-only",
    }
}

codes! {
    /// Comparator of a filter; FHIR's search prefixes.
    Comparator {
        /// approximately
        Ap = "ap",
        /// ends before
        Eb = "eb",
        /// equal
        Eq = "eq",
        /// greater or equal
        Ge = "ge",
        /// greater than
        Gt = "gt",
        /// less or equal
        Le = "le",
        /// less than
        Lt = "lt",
        /// not equal
        Ne = "ne",
        /// starts after
        Sa = "sa",
    }
}

codes! {
    /// Modifier of a search parameter.
    Modifier {
        /// `:above`
        Above = "above",
        /// `:below`
        Below = "below",
        /// `:code-text`
        CodeText = "code-text",
        /// `:contains`
        Contains = "contains",
        /// `:exact`
        Exact = "exact",
        /// `:identifier`
        Identifier = "identifier",
        /// `:in`
        In = "in",
        /// `:iterate`
        Iterate = "iterate",
        /// `:missing`
        Missing = "missing",
        /// `:not`
        Not = "not",
        /// `:not-in`
        NotIn = "not-in",
        /// `:of-type`
        OfType = "of-type",
        /// `:text`
        Text = "text",
        /// `:text-advanced`
        TextAdvanced = "text-advanced",
        /// `:type`, or `:[ResourceType]` in a search string
        Type = "type",
    }
}

/// The name of a search parameter and what stands behind its colon: a modifier, a comparator
/// (TR-23) or a resource type.
///
/// The colons of a URL, of a chain (`subject:Patient.name`) and of `_has:Type:parameter:` belong to
/// the name; of a chain only a colon behind its last part counts.
pub fn split_modifier(text: &str) -> (&str, Option<&str>) {
    if let Some(start) = text.find("://") {
        // A port is no modifier.
        let colon = text[start + 3..].rfind(':').map(|colon| start + 3 + colon);
        return match colon.filter(|colon| !text[*colon..].contains('/')) {
            Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
            None => (text, None),
        };
    }
    if text.starts_with("urn:") {
        let split = text.rsplit_once(':').filter(|(_, last)| Modifier::from_code(last).is_some());
        return split.map_or((text, None), |(name, modifier)| (name, Some(modifier)));
    }
    let mut start = 0;
    loop {
        let rest = &text[start..];
        if let Some(has) = rest.strip_prefix("_has:") {
            let Some((second, _)) = has.match_indices(':').nth(1) else { return (text, None) };
            start = text.len() - has.len() + second + 1;
        } else if let Some(dot) = rest.find('.') {
            start += dot + 1;
        } else {
            break;
        }
    }
    match text[start..].split_once(':') {
        Some((last, modifier)) => (&text[..start + last.len()], Some(modifier)),
        None => (text, None),
    }
}

/// A code with its system: a channel of others (RQ-SB-09, RQ-CH-90), or an event that is no change of
/// data (RQ-TP-34).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coding {
    /// The code system.
    pub system: Option<SmolStr>,
    /// The code.
    pub code: SmolStr,
}

/// How notifications travel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChannelType {
    /// A channel not defined by FHIR.
    Custom(Coding),
    /// Mail.
    Email,
    /// Records in a topic of Apache Kafka; a channel of ours (RQ-CH-90).
    Kafka,
    /// FHIR messaging.
    Message,
    /// Messages in a JetStream stream of NATS; a channel of ours (RQ-CH-90).
    Nats,
    /// HTTP POST to the endpoint.
    RestHook,
    /// Frames on a socket that the client opened.
    Websocket,
}

impl ChannelType {
    /// FHIR's code, or the custom one.
    pub fn code(&self) -> &str {
        match self {
            Self::Custom(coding) => &coding.code,
            Self::Email => "email",
            Self::Kafka => "kafka",
            Self::Message => "message",
            Self::Nats => "nats",
            Self::RestHook => "rest-hook",
            Self::Websocket => "websocket",
        }
    }
}

/// Names of headers that no subscriber may set, since they frame the request, belong to one connection
/// or are the server's own (RQ-CH-29), in lower case.
pub const HEADERS_RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Most bytes that the name and value of one header may have together.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;

/// A header (R4, R4B `channel.header`) or parameter (R5) of a channel. Its value may be a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value; never logged.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({}: …)", self.name)
    }
}

/// A MIME type as the subscriber wrote it; sent back exactly so (RQ-CH-21, TR-40).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MimeType(SmolStr);

impl MimeType {
    /// Takes the text as it is; what it may be is the codecs' business.
    pub fn new(text: &str) -> Self {
        Self(SmolStr::new(text))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One filter of a subscription (R5 `filterBy`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The type it applies to, if one is named.
    pub resource_type: Option<SmolStr>,
    /// The filter's name as the topic defines it.
    pub parameter: SmolStr,
    /// Comparator, if one is given beside the value.
    pub comparator: Option<Comparator>,
    /// Modifier, if one is given. Never together with a comparator (scr-1).
    pub modifier: Option<Modifier>,
    /// The value in search syntax: comma for OR, `\` escapes, perhaps a prefix.
    pub value: String,
}

/// A subscription as the server honours it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// The topic.
    pub topic: Canonical,
    /// When to switch it off (RQ-SB-12).
    pub end: Option<Timestamp>,
    /// All must hold (RQ-FL-05).
    pub filters: Vec<Filter>,
    /// How notifications travel.
    pub channel_type: ChannelType,
    /// Where to, as the client wrote it.
    pub endpoint: Option<String>,
    /// Sent with each notification, in this order.
    pub headers: Vec<Header>,
    /// Longest silence (RQ-SB-05); never zero.
    pub heartbeat_period: Option<Duration>,
    /// Upper bound of one attempt (RQ-SB-06); never zero.
    pub timeout: Option<Duration>,
    /// Most events in one notification (RQ-SB-07).
    pub max_count: Option<NonZeroU32>,
    /// How long at most what fails is repeated before the status becomes `error`; an extension of
    /// ours.
    pub retry_period: Option<Duration>,
    /// MIME type of notifications as the client wrote it (RQ-SB-04).
    pub mime_type: Option<MimeType>,
    /// How much they carry.
    pub content: PayloadContent,
}
