//! FHIR's XML form, read into and written from its JSON form.
//!
//! The definitions of the version say which elements are lists, what is a number, an attribute or
//! XHTML, and in which order elements stand. What is read comes out as JSON bytes, decimals as they
//! were written; from there on it is checked like any JSON body. What is not defined is refused when
//! read, for it has no JSON form, and left out when written, for it has no XML form.
//!
//! Reading resolves no entity but XML's own and loads nothing: a document type is refused. Depth is
//! bounded as in JSON. Tests: `xml/tests.rs`.

mod entities;
mod markup;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use markup::{has_known_references, is_known};
pub(crate) use read::to_json;
pub(crate) use write::from_json;

/// The namespace of all of FHIR's elements.
const NAMESPACE: &str = "http://hl7.org/fhir";
/// The type of a narrative's markup, which is a text in JSON and stands in XML as elements.
const XHTML: &str = "xhtml";
/// The namespace of a narrative's.
const XHTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
