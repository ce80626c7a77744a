//! Focus types: which resource types a name in a topic or filter stands for.
//!
//! Tests: `topic/tests.rs`, `subscription/tests.rs`.

use std::sync::Arc;

use cresset_definitions::{Definitions, TypeKind};

/// What a type name that is not a URL is relative to (`resourceTrigger.resource`).
const STRUCTURE_DEFINITIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Types that are never the focus of an event, and never go with one.
///
/// A Subscription holds headers and an endpoint that are its client's secrets (RQ-SS-07); a
/// notification about Parameters or SubscriptionStatus could not be told from its own first entry
/// (TR-31).
pub(crate) const NEVER_FOCUS: [&str; 3] = ["Parameters", "Subscription", "SubscriptionStatus"];

/// The resource type that a topic or filter names, concrete or abstract.
///
/// Takes `Encounter` and `http://hl7.org/fhir/StructureDefinition/Encounter` (RQ-FL-09). The error
/// says why it is none, to be put after the name of the element.
pub(crate) fn resource_type(
    definitions: &Definitions,
    written: &str,
) -> Result<&'static str, &'static str> {
    let written = written.split_once('|').map_or(written, |(url, _)| url);
    let name = written.strip_prefix(STRUCTURE_DEFINITIONS).unwrap_or(written);
    match definitions.type_named(name) {
        Some(definition) if definition.kind == TypeKind::Resource => Ok(definition.name),
        Some(_) => Err("names a data type; it must name a resource type such as Encounter"),
        None if name.contains([':', '/']) => {
            Err("names a profile; profiles are not evaluated, name the resource type it is of")
        }
        None => Err("names no resource type of this FHIR version; a profile is not evaluated"),
    }
}

/// The concrete types that this type stands for and that may be the focus of an event, sorted.
pub(crate) fn focus_types(
    definitions: &'static Definitions,
    resource_type: &str,
) -> impl Iterator<Item = &'static str> {
    definitions
        .resource_types()
        .filter(move |one| definitions.is_subtype(one, resource_type) && !NEVER_FOCUS.contains(one))
}

/// Some resource types, sorted; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TypeSet {
    /// Boxed, so that no subscription pays for two of them.
    Many(Arc<Box<[&'static str]>>),
    One(&'static str),
}

impl TypeSet {
    /// The types, which must come sorted.
    pub(crate) fn of(types: &[&'static str]) -> Self {
        match types {
            [one] => Self::One(one),
            many => Self::Many(Arc::new(many.into())),
        }
    }

    pub(crate) fn as_slice(&self) -> &[&'static str] {
        match self {
            Self::Many(many) => many,
            Self::One(one) => std::slice::from_ref(one),
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Self::Many(many) => many.binary_search(&name).is_ok(),
            Self::One(one) => *one == name,
        }
    }
}
