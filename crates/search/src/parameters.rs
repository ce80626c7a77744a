//! All search parameters of one FHIR version.

use std::sync::LazyLock;

use cresset_definitions::{Definitions, FhirVersion, SearchParameter};
use rustc_hash::FxHashMap;

use crate::Parameter;
use crate::parameter::MEMBERSHIPS;

static R4: LazyLock<Parameters> = LazyLock::new(|| Parameters::new(FhirVersion::R4));
static R4B: LazyLock<Parameters> = LazyLock::new(|| Parameters::new(FhirVersion::R4B));
static R5: LazyLock<Parameters> = LazyLock::new(|| Parameters::new(FhirVersion::R5));

/// The types whose parameters other types share.
const SHARING: [&str; 2] = ["DomainResource", "Resource"];

/// The search parameters of one FHIR version, by resource type.
///
/// A resource type has its own parameters and those of the types it is based on. Expressions are
/// compiled when a parameter is first used.
#[derive(Debug)]
pub struct Parameters {
    definitions: &'static Definitions,
    /// Those of `Resource` and `DomainResource`, which take the slots from 0 in every type.
    shared: Vec<Parameter>,
    own: FxHashMap<&'static str, TypeParameters>,
}

/// The parameters that a concrete resource type has of its own.
#[derive(Debug)]
pub(crate) struct TypeParameters {
    resource_type: &'static str,
    is_domain_resource: bool,
    own: Vec<Parameter>,
    /// How many slots they and the shared ones take.
    slots: usize,
}

impl TypeParameters {
    /// Whether resources of this type have the parameter.
    pub(crate) fn have(&self, parameter: &Parameter) -> bool {
        match parameter.resource_type() {
            "Resource" => true,
            "DomainResource" => self.is_domain_resource,
            // Mostly the same text in the same place.
            one => std::ptr::eq(one, self.resource_type) || one == self.resource_type,
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }
}

impl Parameters {
    /// The parameters of a version; the first call builds them.
    pub fn of(version: FhirVersion) -> &'static Self {
        match version {
            FhirVersion::R4 => &R4,
            FhirVersion::R4B => &R4B,
            FhirVersion::R5 => &R5,
        }
    }

    fn new(version: FhirVersion) -> Self {
        let definitions = Definitions::of(version);
        let shared: Vec<_> = shared_definitions(definitions)
            .into_iter()
            .zip(0..)
            .map(|(definition, slot)| {
                let sharing = SHARING.into_iter().rfind(|one| definition.base.contains(one));
                Parameter::new(definitions, definition, sharing.unwrap_or("Resource"), slot)
            })
            .collect();
        let own = definitions.resource_types().map(|resource_type| {
            let own: Vec<_> = definitions
                .search_parameters(resource_type)
                .filter(|definition| !SHARING.iter().any(|one| definition.base.contains(one)))
                .zip(shared.len()..)
                .map(|(definition, slot)| {
                    Parameter::new(definitions, definition, resource_type, slot)
                })
                .collect();
            let is_domain_resource = definitions.is_subtype(resource_type, "DomainResource");
            let slots = shared.len() + own.len();
            (resource_type, TypeParameters { resource_type, is_domain_resource, own, slots })
        });
        Self { definitions, own: own.collect(), shared }
    }

    /// The definitions they are made from.
    pub fn definitions(&self) -> &'static Definitions {
        self.definitions
    }

    /// The parameter of this code for a resource type; `Resource` has those that all types have.
    pub fn get(&'static self, resource_type: &str, code: &str) -> Option<&'static Parameter> {
        let find = |all: &'static [Parameter]| {
            let index = all.binary_search_by(|one| one.code().cmp(code)).ok()?;
            Some(&all[index])
        };
        let own = self.own.get(resource_type).and_then(|of| find(&of.own));
        own.or_else(|| find(&self.shared).filter(|one| self.shares(one, resource_type)))
    }

    /// All parameters of a resource type, its own first.
    pub fn of_type(&'static self, resource_type: &str) -> impl Iterator<Item = &'static Parameter> {
        let of = self.own.get(resource_type);
        let shares = move |one: &&Parameter| match of {
            Some(of) => of.have(one),
            None => self.shares(one, resource_type),
        };
        of.into_iter().flat_map(|of| &of.own).chain(self.shared.iter().filter(shares))
    }

    /// The parameter of this canonical URL, as it applies to a resource type.
    pub fn by_url(&'static self, resource_type: &str, url: &str) -> Option<&'static Parameter> {
        let definition = self.definitions.search_parameter_by_url(url)?;
        self.get(resource_type, definition.code).filter(|one| one.url() == definition.url)
    }

    /// The own parameters of a concrete resource type.
    pub(crate) fn of_concrete(
        &'static self,
        resource_type: &str,
    ) -> Option<&'static TypeParameters> {
        self.own.get(resource_type)
    }

    /// Whether a type, which may be abstract, has a shared parameter.
    fn shares(&self, parameter: &Parameter, resource_type: &str) -> bool {
        self.definitions.is_subtype(resource_type, parameter.resource_type())
    }
}

/// What all types share, sorted by code. Topics of R4 and R4B that HL7 published offer `_in`, which
/// these versions lack; what it means is R5's (RQ-FL-12).
fn shared_definitions(definitions: &'static Definitions) -> Vec<&'static SearchParameter> {
    let mut shared: Vec<_> = definitions.search_parameters("DomainResource").collect();
    for code in MEMBERSHIPS {
        if !shared.iter().any(|one| one.code == code) {
            let newest = Definitions::of(FhirVersion::R5);
            shared.extend(newest.search_parameter("DomainResource", code));
        }
    }
    shared.sort_unstable_by_key(|one| one.code);
    shared
}

#[cfg(test)]
mod tests;
