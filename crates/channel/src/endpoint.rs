//! Whether an endpoint may be used at all, before anything is sent to it.
//!
//! Asked when a subscription is created, so that its creator gets a refusal instead of a dead
//! subscription (RQ-SB-33), and again before every attempt. It looks at the URL only: a name is
//! judged by the addresses it resolves to, when a connection is made. Its tests are in
//! `endpoint/tests.rs`.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::address::{AddressPolicy, AddressRange};

/// Longest endpoint accepted, in bytes.
pub const ENDPOINT_LENGTH_MAX: usize = 2048;

/// What is demanded of endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointPolicy {
    /// The addresses that may be connected to.
    pub addresses: AddressPolicy,
    /// Whether `http` is refused (RQ-CH-28, RQ-SS-06).
    pub https_only: bool,
}

/// Why an endpoint is refused. Its text holds nothing of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointRefusal {
    /// The host is, or resolves to, an address that notifications may not go to.
    Address(AddressRange),
    /// `http` where only `https` is allowed.
    Insecure,
    /// Longer than [`ENDPOINT_LENGTH_MAX`].
    Length,
    /// No host.
    Host,
    /// A port of another protocol.
    Port,
    /// Neither `https` nor `http`.
    Scheme,
    /// User name or password in the URL: they belong into a header.
    UserInfo,
}

impl fmt::Display for EndpointRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(range) => write!(f, "the endpoint is {range}, which is not allowed"),
            Self::Insecure => f.write_str("the endpoint must use https"),
            Self::Length => write!(f, "the endpoint is longer than {ENDPOINT_LENGTH_MAX} bytes"),
            Self::Host => f.write_str("the endpoint has no host"),
            Self::Port => f.write_str("the port of the endpoint is not one for HTTP"),
            Self::Scheme => f.write_str("the endpoint must be an http or https URL"),
            Self::UserInfo => {
                f.write_str("the endpoint must not hold a user name or password; use a header")
            }
        }
    }
}

/// Why this endpoint may not be used, or none where nothing in the URL speaks against it.
///
/// None does not mean that an attempt will be made: a name may resolve to a refused address.
///
/// Spec: RQ-SB-11, RQ-SB-33, RQ-CH-28, RQ-SS-08.
pub fn endpoint_refusal(endpoint: &Url, policy: &EndpointPolicy) -> Option<EndpointRefusal> {
    if endpoint.as_str().len() > ENDPOINT_LENGTH_MAX {
        return Some(EndpointRefusal::Length);
    }
    match endpoint.scheme() {
        "https" => {}
        "http" if !policy.https_only => {}
        "http" => return Some(EndpointRefusal::Insecure),
        _ => return Some(EndpointRefusal::Scheme),
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Some(EndpointRefusal::UserInfo);
    }
    if endpoint.port().is_some_and(|port| PORTS_REFUSED.contains(&port)) {
        return Some(EndpointRefusal::Port);
    }
    host_refusal(endpoint, &policy.addresses)
}

/// Literal addresses are judged here because no resolver is asked for them.
fn host_refusal(endpoint: &Url, policy: &AddressPolicy) -> Option<EndpointRefusal> {
    let range = match endpoint.host() {
        None => return Some(EndpointRefusal::Host),
        Some(Host::Ipv4(address)) => policy.refusal(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => policy.refusal(IpAddr::V6(address)),
        // RFC 6761: these are loopback wherever they are resolved, so their creator can know at
        // once.
        Some(Host::Domain(name)) if is_localhost(name) => {
            policy.refusal(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
        }
        Some(Host::Domain(_)) => None,
    };
    range.map(EndpointRefusal::Address)
}

/// Whether the endpoint says of itself that it is on this machine or in a private network: its host is
/// a loopback or private address, or `localhost` or a name below that.
///
/// No other name says so, whatever it resolves to now: it may lead elsewhere the next time.
pub fn is_local_endpoint(endpoint: &Url) -> bool {
    match endpoint.host() {
        None => false,
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => is_local(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_local(IpAddr::V6(address)),
    }
}

fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Ports of protocols that could take a request with chosen headers for commands of their own:
/// the list of the Fetch standard, which browsers keep to.
const PORTS_REFUSED: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

#[cfg(test)]
mod tests;
