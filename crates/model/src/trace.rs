//! W3C trace context: which trace a request belongs to, so that a trace crosses the log.

use std::fmt;

/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// The trace of a request and the span in it that sent it: what the header `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Bytes of [`Self::to_bytes`].
    pub const BYTES: usize = 25;

    /// Reads the value of a `traceparent` header; none where it is not one, which is to be treated
    /// as if it had not been sent.
    ///
    /// Of a later version, what version 00 has is read.
    pub fn parse(header: &str) -> Option<Self> {
        let bytes = header.as_bytes();
        let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        let [version] = hex(bytes.get(..2)?)?;
        let whole = match version {
            0 => bytes.len() == LENGTH,
            0xff => false,
            _ => bytes.get(LENGTH).is_none_or(|next| *next == b'-'),
        };
        if !dashes || !whole {
            return None;
        }
        let [flags] = hex(bytes.get(53..LENGTH)?)?;
        Self::new(hex(&bytes[3..35])?, hex(&bytes[36..52])?, flags)
    }

    /// A context of these parts; none for a trace or a span of zeros, which are not valid.
    pub fn new(trace: [u8; 16], span: [u8; 8], flags: u8) -> Option<Self> {
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// Reads what [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let (trace, rest) = bytes.split_first_chunk()?;
        let (span, flags) = rest.split_first_chunk()?;
        Self::new(*trace, *span, *flags.first()?)
    }

    /// The same as bytes: trace, span, flags.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span);
        bytes[24] = self.flags;
        bytes
    }

    /// The trace, as it stands in the header and in logs.
    pub fn trace_id(&self) -> String {
        lower_hex(&self.trace)
    }

    /// The span, as it stands in the header.
    pub fn span_id(&self) -> String {
        lower_hex(&self.span)
    }

    /// Whether whoever began the trace wants it recorded.
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Another span of the same trace; itself where the span is zeros.
    #[must_use]
    pub fn with_span(self, span: [u8; 8]) -> Self {
        Self::new(self.trace, span, self.flags).unwrap_or(self)
    }
}

/// The value of a `traceparent` header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (lower_hex(&self.trace), lower_hex(&self.span));
        write!(f, "00-{trace}-{span}-{:02x}", self.flags)
    }
}

fn lower_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of lower-case hexadecimal digits; the specification allows no others.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let [high, low] = *pair else { return None };
        *byte = value(high)? << 4 | value(low)?;
    }
    (digits.len() == 2 * N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_specification_says() {
        const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = TraceContext::parse(GOOD).unwrap();
        assert_eq!(read.to_string(), GOOD);
        assert_eq!(read.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(read.span_id(), "b7ad6b7169203331");
        assert!(read.is_sampled());
        assert!(!TraceContext::parse(&format!("{}02", &GOOD[..53])).unwrap().is_sampled());
        assert_eq!(TraceContext::from_bytes(read.to_bytes()), Some(read));
        assert_eq!(read.with_span([1; 8]).to_string()[36..52], *"01".repeat(8));
        assert_eq!(read.with_span([0; 8]), read);
        let later = format!("cc{}-what-comes-later", &GOOD[2..]);
        assert_eq!(TraceContext::parse(&later), Some(read));
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("cc{}more", &GOOD[2..]),
            &format!("ff{}", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD.replace('-', "_"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319\u{e9}-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
