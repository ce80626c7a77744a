//! JSON as bytes: parse strictly, find members, change some and leave every other byte alone.
//!
//! A resource is kept as the bytes it came in. What the server must change (`id`, `meta`, a
//! status) is spliced in; what it says itself is written by a small writer that can splice stored
//! bytes. Nothing but what a patch comes to is ever parsed and serialised again, and that in the
//! order it came in, so decimals (`1.00`), element order, unknown elements and white space survive.
//!
//! Knows nothing of FHIR but the members that every resource has. Bounds: [`DEPTH_MAX`].
//! Tests: `json/tests.rs`.

mod like;
mod parser;
mod patch;
mod pretty;
mod scan;
mod splice;
mod writer;

#[cfg(test)]
mod tests;

pub use like::render_like;
pub(crate) use parser::parse_written;
pub use parser::{DEPTH_MAX, parse};
pub use patch::{PATCH_OPERATIONS_MAX, apply_patch, depth};
pub use pretty::pretty;
pub(crate) use scan::{Object, elements, object};
pub(crate) use splice::{Edits, quoted};
pub use splice::{Stamp, remove_member, set_member, stamp};
pub(crate) use writer::{ArrayWriter, ObjectWriter, write_object};

/// The bytes without a byte order mark, which RFC 8259 lets a reader ignore.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}
