//! What HL7 defines of each FHIR version, as data: types with their elements in wire order, the
//! type hierarchy, the value sets of required bindings, the search parameters and the compartments.
//!
//! One compact text table a version lies in `data/` and is generated from HL7's official packages
//! by `cargo xtask definitions`; it is compiled in and read once, at first use, in a few
//! milliseconds. Everything it yields is `'static`.
//!
//! This crate knows nothing of subscriptions, of JSON or of how an expression is evaluated: it is
//! the bottom of the house and depends on no other crate of it. It does no I/O. Its tests lie
//! beside the modules; `tables/tests.rs` compares the tables with HL7's own files.

mod element;
mod search_parameter;
mod tables;
mod type_definition;
mod value_set;
mod version;

pub use element::{Element, Representation, TypeRef};
pub use search_parameter::{Component, SearchKind, SearchParameter};
pub use tables::Definitions;
pub use type_definition::{TypeDefinition, TypeKind};
pub use value_set::ValueSet;
pub use version::FhirVersion;
