//! The tables of one FHIR version and the questions they answer.
//!
//! Invariants, checked when a table is read and so by any test that touches it: every base, element
//! type and reference target is a type, and every bound value set a set, of the same table; a code names one parameter per type.
//! Tests: `tables/tests.rs`.

mod parse;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::search_parameter::SearchParameter;
use crate::type_definition::{TypeDefinition, TypeKind};
use crate::value_set::ValueSet;
use crate::version::FhirVersion;

static R4: LazyLock<Definitions> = LazyLock::new(|| {
    Definitions::read(
        FhirVersion::R4,
        &[include_str!("../data/r4.txt"), include_str!("../data/backport.txt")],
    )
});
static R4B: LazyLock<Definitions> = LazyLock::new(|| {
    Definitions::read(
        FhirVersion::R4B,
        &[include_str!("../data/r4b.txt"), include_str!("../data/backport.txt")],
    )
});
static R5: LazyLock<Definitions> =
    LazyLock::new(|| Definitions::read(FhirVersion::R5, &[include_str!("../data/r5.txt")]));

/// All definitions of one FHIR version.
#[derive(Debug)]
pub struct Definitions {
    version: FhirVersion,
    types: FxHashMap<&'static str, &'static TypeDefinition>,
    resource_types: &'static [&'static str],
    parameters: FxHashMap<&'static str, &'static [&'static SearchParameter]>,
    by_url: FxHashMap<&'static str, &'static SearchParameter>,
    compartments: Vec<Compartment>,
    value_sets: FxHashMap<&'static str, ValueSet>,
}

/// Which resources belong to those of one type.
#[derive(Debug)]
struct Compartment {
    /// The type.
    name: &'static str,
    /// By type, the search parameters by which resources belong to one.
    codes: FxHashMap<&'static str, Vec<&'static str>>,
}

impl Definitions {
    /// The definitions of a version; the first call reads its table, which takes a few milliseconds.
    pub fn of(version: FhirVersion) -> &'static Self {
        match version {
            FhirVersion::R4 => &R4,
            FhirVersion::R4B => &R4B,
            FhirVersion::R5 => &R5,
        }
    }

    /// Which version they are of.
    pub fn version(&self) -> FhirVersion {
        self.version
    }

    /// Whether there is a concrete resource type of this name.
    pub fn is_resource(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|one| is_concrete_resource(one))
    }

    /// The concrete resource types, sorted.
    pub fn resource_types(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.resource_types.iter().copied()
    }

    /// The type of this name; backbone types are named by path (`Patient.contact`).
    pub fn type_named(&self, name: &str) -> Option<&'static TypeDefinition> {
        self.types.get(name).copied()
    }

    /// All types, sorted by name.
    pub fn types(&self) -> impl Iterator<Item = &'static TypeDefinition> + use<> {
        let mut types: Vec<_> = self.types.values().copied().collect();
        types.sort_unstable_by_key(|one| one.name);
        types.into_iter()
    }

    /// Whether type `name` is `of` or specialises it, at any distance.
    pub fn is_subtype(&self, name: &str, of: &str) -> bool {
        let mut at = self.type_named(name);
        while let Some(one) = at {
            if one.name == of {
                return true;
            }
            at = one.base.and_then(|base| self.type_named(base));
        }
        false
    }

    /// The search parameters of a resource type, those of its bases included, sorted by code.
    ///
    /// Abstract types have them too: those of `Resource` are what every type has.
    pub fn search_parameters(
        &self,
        resource_type: &str,
    ) -> impl Iterator<Item = &'static SearchParameter> + use<> {
        self.parameters.get(resource_type).copied().unwrap_or_default().iter().copied()
    }

    /// The search parameter a code names for a resource type.
    pub fn search_parameter(
        &self,
        resource_type: &str,
        code: &str,
    ) -> Option<&'static SearchParameter> {
        let parameters = *self.parameters.get(resource_type)?;
        let index = parameters.binary_search_by_key(&code, |one| one.code).ok()?;
        Some(parameters[index])
    }

    /// The search parameter of this canonical URL (without a version).
    pub fn search_parameter_by_url(&self, url: &str) -> Option<&'static SearchParameter> {
        self.by_url.get(url).copied()
    }

    /// The value set of this name ([`Element::binding`](crate::Element::binding)).
    pub fn value_set(&self, name: &str) -> Option<&ValueSet> {
        self.value_sets.get(name)
    }

    /// The resource types that have compartments, sorted.
    pub fn compartments(&self) -> impl Iterator<Item = &'static str> {
        self.compartments.iter().map(|one| one.name)
    }

    /// The search parameters by which resources of a type belong to the compartment of a resource of
    /// another type, such as `Patient`.
    ///
    /// Empty where they do not. `{def}` is the resource itself, which belongs to its compartment also
    /// where this is not listed.
    pub fn compartment(&self, name: &str, resource_type: &str) -> &[&'static str] {
        let compartment = self.compartments.iter().find(|one| one.name == name);
        let codes = compartment.and_then(|one| one.codes.get(resource_type));
        codes.map_or(&[], Vec::as_slice)
    }
}

fn is_concrete_resource(one: &TypeDefinition) -> bool {
    one.kind == TypeKind::Resource && !one.is_abstract
}
