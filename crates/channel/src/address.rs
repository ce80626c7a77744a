//! Which addresses a connection may be opened to.
//!
//! An endpoint is chosen by a subscriber, so a server that connects wherever it is told is a way
//! into the network it stands in (RQ-SS-08). The decision is made on the address that will be
//! connected to, never on the name: a name can resolve differently the next time it is asked for.
//!
//! Pure: an address goes in, the range that refuses it comes out. The ranges are the special-purpose
//! registries of IANA (RFC 6890 and its updates), and the metadata addresses of cloud providers.
//! What is not known to be public unicast is refused. Its tests are in `address/tests.rs`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The addresses that endpoints may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether loopback and private addresses are allowed. Metadata addresses stay refused.
    pub allow_local: bool,
    /// Prefixes allowed although their range is refused. A metadata address takes an entry of its
    /// own: no prefix that it lies in opens it.
    pub allow: Vec<IpNet>,
    /// Prefixes refused whatever else allows them: of one's own network, for instance, or the prefix of
    /// its NAT64, which nothing else tells apart from public addresses.
    pub deny: Vec<IpNet>,
}

/// A range of addresses that no notification goes to unless it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressRange {
    /// Performance tests of network devices, `198.18.0.0/15`.
    Benchmark,
    /// Shared by the customers of a provider, `100.64.0.0/10`.
    CarrierGrade,
    /// Refused by the operator.
    Denied,
    /// For examples in documents.
    Documentation,
    /// This link only, `169.254.0.0/16` and `fe80::/10`.
    LinkLocal,
    /// This machine.
    Loopback,
    /// Where clouds serve credentials to their machines.
    Metadata,
    /// Groups of machines.
    Multicast,
    /// Private networks, RFC 1918 and unique local addresses.
    Private,
    /// Anything else that is not public unicast.
    Reserved,
    /// An IPv6 form that leads to an IPv4 address: 6to4, and NAT64 to one that is refused.
    Translated,
    /// No address, which many systems take as this machine.
    Unspecified,
}

impl AddressPolicy {
    /// The range that refuses this address, or none where it may be connected to.
    ///
    /// An IPv4-mapped IPv6 address is judged as the IPv4 address that the system would connect to.
    pub fn refusal(&self, address: IpAddr) -> Option<AddressRange> {
        let address = address.to_canonical();
        if self.denies(address) {
            return Some(AddressRange::Denied);
        }
        let range = range_of(address)?;
        let local = matches!(range, AddressRange::Loopback | AddressRange::Private);
        if self.allow_local && local || self.allows(address, range) {
            return None;
        }
        Some(range)
    }

    /// Whether the operator opens this address of a range that is refused.
    ///
    /// A prefix is meant for the machines in it. A metadata address that lies there too, or is behind
    /// a NAT64 address of the prefix, would be opened by accident, so it takes an entry of its own.
    fn allows(&self, address: IpAddr, range: AddressRange) -> bool {
        let ranges = [Some(range), behind(address).and_then(range_of)];
        let is_metadata = ranges.contains(&Some(AddressRange::Metadata));
        let counts = |net: &IpNet| !is_metadata || net.prefix_len() == net.max_prefix_len();
        self.allow.iter().any(|net| net.contains(&address) && counts(net))
    }

    /// Whether the operator refuses this address, or the one behind it.
    fn denies(&self, address: IpAddr) -> bool {
        let mut both = std::iter::once(address).chain(behind(address));
        both.any(|one| self.deny.iter().any(|net| net.contains(&one)))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Benchmark => "an address for benchmarks",
            Self::CarrierGrade => "an address of a carrier's shared range",
            Self::Denied => "an address that the operator refuses",
            Self::Documentation => "an address for documentation",
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Metadata => "a metadata address",
            Self::Multicast => "a multicast address",
            Self::Private => "a private address",
            Self::Reserved => "a reserved address",
            Self::Translated => "a translation of another address",
            Self::Unspecified => "the unspecified address",
        })
    }
}

/// Text that is neither an address nor a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an address or a prefix such as 10.1.0.0/16")]
pub struct InvalidPrefix;

/// Parses `10.1.0.0/16`, `fd00::/8`, or a single address.
///
/// # Errors
///
/// [`InvalidPrefix`] for anything else; for a prefix whose host bits are not zero, since it may well
/// mean something else than it covers; and for one of IPv4-mapped addresses, which are judged as the
/// IPv4 addresses that they are, so that it would cover nothing.
pub fn parse_prefix(text: &str) -> Result<IpNet, InvalidPrefix> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let net: IpNet = text.parse().map_err(|_| InvalidPrefix)?;
    let is_mapped = matches!(net, IpNet::V6(net) if MAPPED.contains(&net));
    if net.trunc() == net && !is_mapped { Ok(net) } else { Err(InvalidPrefix) }
}

/// The range that a canonical address is in; none for public unicast.
fn range_of(address: IpAddr) -> Option<AddressRange> {
    match address {
        IpAddr::V4(address) => range_of_v4(address),
        IpAddr::V6(address) => range_of_v6(address),
    }
}

fn range_of_v4(address: Ipv4Addr) -> Option<AddressRange> {
    RANGES_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, range)| *range)
}

fn range_of_v6(address: Ipv6Addr) -> Option<AddressRange> {
    if let Some((_, range)) = RANGES_V6.iter().find(|(net, _)| net.contains(&address)) {
        return Some(*range);
    }
    if let Some(inner) = nat64(address) {
        return range_of_v4(inner).map(|_| AddressRange::Translated);
    }
    // Only 2000::/3 is given out as public unicast, so all else is refused, also what is
    // registered after this was written.
    (!GLOBAL_UNICAST.contains(&address)).then_some(AddressRange::Reserved)
}

/// The address that a NAT64 address leads to; none for others.
fn behind(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => nat64(address).map(IpAddr::V4),
    }
}

/// The IPv4 address that a NAT64 address leads to. Where there is a NAT64, all of IPv4 is reached so.
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    NAT64.contains(&address).then_some(Ipv4Addr::new(a, b, c, d))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// The first that contains an address names it, so the narrower stand before the wider.
const RANGES_V4: &[(Ipv4Net, AddressRange)] = &[
    (v4(0, 0, 0, 0, 32), AddressRange::Unspecified),
    (v4(0, 0, 0, 0, 8), AddressRange::Reserved),
    (v4(10, 0, 0, 0, 8), AddressRange::Private),
    // Alibaba Cloud's metadata stands in the shared range.
    (v4(100, 100, 100, 200, 32), AddressRange::Metadata),
    (v4(100, 64, 0, 0, 10), AddressRange::CarrierGrade),
    (v4(127, 0, 0, 0, 8), AddressRange::Loopback),
    // Azure's platform address is public by its number and local by its reach.
    (v4(168, 63, 129, 16, 32), AddressRange::Metadata),
    (v4(169, 254, 169, 254, 32), AddressRange::Metadata),
    (v4(169, 254, 0, 0, 16), AddressRange::LinkLocal),
    (v4(172, 16, 0, 0, 12), AddressRange::Private),
    // Oracle Cloud's metadata.
    (v4(192, 0, 0, 192, 32), AddressRange::Metadata),
    (v4(192, 0, 0, 0, 24), AddressRange::Reserved),
    (v4(192, 0, 2, 0, 24), AddressRange::Documentation),
    (v4(192, 88, 99, 0, 24), AddressRange::Reserved),
    (v4(192, 168, 0, 0, 16), AddressRange::Private),
    (v4(198, 18, 0, 0, 15), AddressRange::Benchmark),
    (v4(198, 51, 100, 0, 24), AddressRange::Documentation),
    (v4(203, 0, 113, 0, 24), AddressRange::Documentation),
    (v4(224, 0, 0, 0, 4), AddressRange::Multicast),
    (v4(240, 0, 0, 0, 4), AddressRange::Reserved),
];

/// As [`RANGES_V4`]; what is outside 2000::/3 and not named here is refused as reserved.
const RANGES_V6: &[(Ipv6Net, AddressRange)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), AddressRange::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), AddressRange::Loopback),
    // IETF protocol assignments, Teredo and ORCHID among them: none is an endpoint's.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), AddressRange::Reserved),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), AddressRange::Documentation),
    // 6to4, whose relays are gone (RFC 7526): what is left of it leads into somebody's network.
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), AddressRange::Translated),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), AddressRange::Documentation),
    // Metadata of Oracle, of Amazon with its other services for machines, of Google and Scaleway.
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), AddressRange::Metadata),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), AddressRange::Metadata),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), AddressRange::Metadata),
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), AddressRange::Metadata),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), AddressRange::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), AddressRange::LinkLocal),
    // Site-local addresses, deprecated and still configured in places.
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), AddressRange::Private),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), AddressRange::Multicast),
];

#[cfg(test)]
mod tests;
