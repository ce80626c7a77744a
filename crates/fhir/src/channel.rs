//! What a subscription says of its channel, in the parts that all versions share: type, endpoint,
//! headers, bounds.

use std::num::NonZeroU32;
use std::time::Duration;

use cresset_model::{
    ChannelType, Coding, HEADER_BYTES_MAX, HEADERS_RESERVED, Header, Issue, IssueCode, IssueKind,
};
use serde_json::Value;
use smol_str::SmolStr;
use url::Url;

use crate::element::{invalid, shortened};
use crate::mime::is_token;
use crate::urls;

/// Longest endpoint.
pub const ENDPOINT_BYTES_MAX: usize = 2048;
/// Most headers of one subscription.
pub const HEADERS_MAX: usize = 32;
/// Longest heartbeat period and timeout, and highest `maxCount`: the most that FHIR's types
/// `unsignedInt` and `positiveInt` hold. A server may send sooner and fewer, so larger bounds of
/// its own are the business of `node`.
pub const BOUND_MAX: u32 = 2_147_483_647;

/// The channel type with this code of the core value sets.
pub(crate) fn channel_type(code: &str) -> Result<ChannelType, Issue> {
    match code {
        "email" => Ok(ChannelType::Email),
        "message" => Ok(ChannelType::Message),
        "rest-hook" => Ok(ChannelType::RestHook),
        "websocket" => Ok(ChannelType::Websocket),
        other => {
            let text = format!("the channel type `{}` is not known here", shortened(other));
            Err(Issue::error(IssueCode::UnknownChannelType, text))
        }
    }
}

/// The channel type of a Coding; bare core codes count as the core system's (RQ-SB-10).
pub(crate) fn channel_type_of_coding(
    system: Option<&str>,
    code: &str,
) -> Result<ChannelType, Issue> {
    let core = matches!(system, None | Some(urls::CHANNEL_TYPE_R5 | urls::CHANNEL_TYPE_R4));
    if core {
        return channel_type(code);
    }
    if system == Some(urls::CHANNEL_TYPE_OWN) {
        return own_channel_type(code);
    }
    Ok(ChannelType::Custom(Coding { system: system.map(SmolStr::new), code: SmolStr::new(code) }))
}

/// The channel type with this code of our own code system (RQ-CH-90).
fn own_channel_type(code: &str) -> Result<ChannelType, Issue> {
    match code {
        "kafka" => Ok(ChannelType::Kafka),
        "nats" => Ok(ChannelType::Nats),
        other => {
            let text = format!("there is no channel `{}` in this code system", shortened(other));
            Err(Issue::error(IssueCode::UnknownChannelType, text))
        }
    }
}

/// Checks the endpoint against the channel (RQ-SB-11). Never repeats it: it may hold a secret.
pub(crate) fn check_endpoint(channel: &ChannelType, endpoint: Option<&str>) -> Result<(), Issue> {
    let Some(endpoint) = endpoint else {
        return match channel {
            ChannelType::RestHook | ChannelType::Email | ChannelType::Message => {
                let text = format!("the channel {} needs an endpoint", channel.code());
                Err(Issue::error(IssueCode::MissingElement, text))
            }
            // Brokers have a place for those who name none.
            ChannelType::Custom(_)
            | ChannelType::Kafka
            | ChannelType::Nats
            | ChannelType::Websocket => Ok(()),
        };
    };
    if endpoint.len() > ENDPOINT_BYTES_MAX {
        return Err(refused(format!("the endpoint is longer than {ENDPOINT_BYTES_MAX} bytes")));
    }
    if endpoint.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(refused("the endpoint holds white space or control characters"));
    }
    match channel {
        ChannelType::Custom(_) => Ok(()),
        ChannelType::Email => check_mailto(endpoint),
        ChannelType::Kafka => check_place(endpoint, "kafka:", "a topic"),
        ChannelType::Nats => check_place(endpoint, "nats:", "a subject"),
        ChannelType::Message | ChannelType::RestHook => {
            check_url(endpoint, &["http", "https"], "an absolute http or https URL")
        }
        // Unused (RQ-CH-53), but a client that writes one should have written one that is right.
        ChannelType::Websocket => {
            check_url(endpoint, &["ws", "wss", "http", "https"], "an absolute ws or wss URL")
        }
    }
}

fn check_url(endpoint: &str, schemes: &[&str], what: &str) -> Result<(), Issue> {
    let url = Url::parse(endpoint).map_err(|_| refused(format!("the endpoint must be {what}")))?;
    // The parser is lenient (`http:host`, `http:///host`, `http:\\host`); what is sent later must
    // be what was checked here.
    let rest = endpoint.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    let spelled = rest.is_some_and(|rest| !rest.starts_with('/') && !rest.contains('\\'));
    if !schemes.contains(&url.scheme()) || !url.has_host() || !spelled {
        return Err(refused(format!("the endpoint must be {what}")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("the endpoint must not hold a user or password; use a header"));
    }
    Ok(())
}

/// A place in a broker; which broker is the operator's to say.
fn check_place(endpoint: &str, scheme: &str, what: &str) -> Result<(), Issue> {
    match endpoint.strip_prefix(scheme) {
        Some(place) if !place.is_empty() && !place.contains('/') => Ok(()),
        Some(_) | None => Err(refused(format!("the endpoint must be {scheme} and {what}"))),
    }
}

/// The scheme, and that there may be an address; whether it is one is for who sends to it.
fn check_mailto(endpoint: &str) -> Result<(), Issue> {
    let address = endpoint.strip_prefix("mailto:").unwrap_or_default();
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => Ok(()),
        _ => Err(refused("the endpoint must be a mailto: URI with an address")),
    }
}

fn refused(text: impl Into<String>) -> Issue {
    Issue::error(IssueCode::EndpointRefused, text).of_kind(IssueKind::Value)
}

/// Splits `Name: value` on the first colon (RQ-CH-22).
pub(crate) fn parse_header(channel: &ChannelType, text: &str) -> Result<Header, Issue> {
    match text.split_once(':') {
        Some((name, value)) => check_header(channel, name.trim(), value.trim()),
        None => Err(header_refused("a header must be written `Name: value`")),
    }
}

/// A header from its name and value (RQ-CH-23, RQ-CH-29). Never repeats the value.
pub(crate) fn check_header(
    channel: &ChannelType,
    name: &str,
    value: &str,
) -> Result<Header, Issue> {
    if name.len() + value.len() > HEADER_BYTES_MAX {
        return Err(header_refused(format!("a header is longer than {HEADER_BYTES_MAX} bytes")));
    }
    if value.bytes().any(|byte| byte != b'\t' && (byte < 0x20 || byte == 0x7F)) {
        return Err(header_refused("a header value holds control characters"));
    }
    let http = match channel {
        ChannelType::Kafka | ChannelType::Message | ChannelType::Nats | ChannelType::RestHook => {
            true
        }
        ChannelType::Custom(_) | ChannelType::Email | ChannelType::Websocket => false,
    };
    if !is_token(name) {
        return Err(header_refused("a header name holds characters that HTTP does not allow"));
    }
    if http && HEADERS_RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(header_refused(format!("the header {name} is not for a client to set")));
    }
    if http && !value.is_ascii() {
        return Err(header_refused("a header value holds characters beyond ASCII"));
    }
    Ok(Header { name: name.to_owned(), value: value.to_owned() })
}

fn header_refused(text: impl Into<String>) -> Issue {
    Issue::error(IssueCode::HeaderRefused, text)
}

/// Seconds from 1 to [`BOUND_MAX`] (RQ-SB-14: 0 is legal by type and refused, TR-36).
pub(crate) fn parse_seconds(value: &Value) -> Result<Duration, Issue> {
    parse_positive(value).map(|seconds| Duration::from_secs(u64::from(seconds.get())))
}

/// A whole number from 1 to [`BOUND_MAX`].
pub(crate) fn parse_positive(value: &Value) -> Result<NonZeroU32, Issue> {
    let Some(number) = value.as_number() else {
        return Err(invalid("must be a whole number"));
    };
    let in_bounds = number
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number <= BOUND_MAX)
        .and_then(NonZeroU32::new);
    in_bounds.ok_or_else(|| {
        let text = format!("must be a whole number from 1 to {BOUND_MAX}");
        Issue::error(IssueCode::OutOfBounds, text)
    })
}
