//! Headers that a subscriber asks for, checked and turned into those of a request.
//!
//! A subscriber may name any header but those that frame the request or belong to one connection:
//! with them it could smuggle a second request (RQ-CH-29). Values are secrets (RQ-SS-07): they are
//! marked so, and no text made here holds one. Its tests are in `header/tests.rs`.

use std::fmt;

use cresset_model::{HEADER_BYTES_MAX, HEADERS_RESERVED};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Most headers that a request may have besides its own.
pub const HEADERS_MAX: usize = 64;

/// Why a header is refused. Its text holds neither name nor value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderRefusal {
    /// More than [`HEADERS_MAX`].
    Count,
    /// Longer than [`HEADER_BYTES_MAX`].
    Length,
    /// Not a header name.
    Name,
    /// A header that only the server may set.
    Reserved,
    /// Not a header value, such as one with a line break.
    Value,
}

impl fmt::Display for HeaderRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => write!(f, "there are more than {HEADERS_MAX} headers"),
            Self::Length => write!(f, "the header is longer than {HEADER_BYTES_MAX} bytes"),
            Self::Name => f.write_str("the name is not a header name"),
            Self::Reserved => f.write_str("the header may only be set by the server"),
            Self::Value => f.write_str("the value holds a character that headers may not hold"),
        }
    }
}

/// Why a subscriber may not have this header sent, or none where it may.
///
/// Every attempt asks it again, whatever was accepted. Spec: RQ-CH-29.
pub fn header_refusal(name: &str, value: &str) -> Option<HeaderRefusal> {
    header(name, value).err()
}

/// All headers of a request, names repeated as they came (RQ-CH-22, RQ-CH-23).
pub(crate) fn header_map(
    content_type: Option<&str>,
    headers: &[(String, String)],
) -> Result<HeaderMap, HeaderRefusal> {
    if headers.len() > HEADERS_MAX {
        return Err(HeaderRefusal::Count);
    }
    let mut map = HeaderMap::with_capacity(headers.len() + 1);
    if let Some(content_type) = content_type {
        let content_type = HeaderValue::from_str(content_type).map_err(|_| HeaderRefusal::Value)?;
        map.append(header::CONTENT_TYPE, content_type);
    }
    for (name, value) in headers {
        let (name, value) = header(name, value)?;
        map.append(name, value);
    }
    Ok(map)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HeaderRefusal> {
    if name.len() + value.len() > HEADER_BYTES_MAX {
        return Err(HeaderRefusal::Length);
    }
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| HeaderRefusal::Name)?;
    if HEADERS_RESERVED.contains(&name.as_str()) {
        return Err(HeaderRefusal::Reserved);
    }
    let mut value =
        HeaderValue::from_bytes(trim(value).as_bytes()).map_err(|_| HeaderRefusal::Value)?;
    // Keeps the value out of Debug output and out of HPACK's tables.
    value.set_sensitive(true);
    Ok((name, value))
}

/// Only the blanks that HTTP allows around a value: a line break at its end must be refused.
fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests;
