//! What this server says of itself: generated from what it does.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::{
    CapabilityFacts, Codec, ResourceFacts, SearchParameterFacts, SubscriptionOperation,
    TypeInteraction,
};
use cresset_model::IssueCode;
use cresset_search::{Parameter, Parameters};
use rustc_hash::FxHashMap;

use crate::bases::base_of;
use crate::caller::Authentication;
use crate::error::{Error, Kind};
use crate::node::Node;
use crate::search::is_reference as is_include;

/// What can be done with every type.
const INTERACTIONS: [TypeInteraction; 9] = [
    TypeInteraction::Create,
    TypeInteraction::Delete,
    TypeInteraction::HistoryInstance,
    TypeInteraction::HistoryType,
    TypeInteraction::Patch,
    TypeInteraction::Read,
    TypeInteraction::SearchType,
    TypeInteraction::Update,
    TypeInteraction::Vread,
];

/// Parameters that can be searched, of which versions do not say what type they are.
const MEMBERSHIPS: [&str; 2] = ["_in", "_list"];

/// By what the resources of a type refer to others.
fn references(
    version: FhirVersion,
    resource_type: &str,
) -> impl Iterator<Item = &'static Parameter> {
    Parameters::of(version).of_type(resource_type).filter(|one| is_include(one))
}

/// What can go with matches since they refer to it.
fn includes(version: FhirVersion, resource_type: &str) -> Vec<String> {
    let own = references(version, resource_type);
    let own = own.map(|one| format!("{resource_type}:{}", one.code()));
    std::iter::once("*".to_owned()).chain(own).collect()
}

/// What can go with matches since it refers to them, by their type. What may refer to anything would
/// be in every list, and is in none.
fn rev_includes(version: FhirVersion) -> FxHashMap<&'static str, Vec<String>> {
    let mut all: FxHashMap<&'static str, Vec<String>> = FxHashMap::default();
    for source in Definitions::of(version).resource_types() {
        for parameter in references(version, source) {
            for target in parameter.targets() {
                all.entry(target).or_default().push(format!("{source}:{}", parameter.code()));
            }
        }
    }
    all
}

impl Node {
    /// The CapabilityStatement of a version (RQ sections 1.1 to 1.3).
    pub fn capability_statement(&self, version: FhirVersion) -> Vec<u8> {
        self.tell(version, |codec, facts| codec.capability_statement(facts))
    }

    /// The OpenAPI description of a version's base, of these types or of all if none is named.
    ///
    /// # Errors
    /// A type that the version does not have.
    pub fn openapi(&self, version: FhirVersion, types: &[&str]) -> Result<Vec<u8>, Error> {
        let definitions = Definitions::of(version);
        if types.iter().any(|name| !definitions.is_resource(name)) {
            let text = "`_type` must be resource types, with commas between them";
            return Err(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text));
        }
        Ok(self.tell(version, |codec, facts| codec.openapi(facts, types)))
    }

    /// Has all that is offered on a base told in some form.
    fn tell(
        &self,
        version: FhirVersion,
        render: impl FnOnce(&Codec, &CapabilityFacts<'_>) -> Vec<u8>,
    ) -> Vec<u8> {
        let parameters = Parameters::of(version);
        let types: Vec<&'static str> = Definitions::of(version)
            .resource_types()
            .filter(|name| *name != "SubscriptionStatus")
            .collect();
        let searches: Vec<Vec<SearchParameterFacts<'_>>> = types
            .iter()
            .map(|resource_type| {
                let searchable = parameters.of_type(resource_type);
                searchable
                    .filter(|one| one.check().is_ok() && !MEMBERSHIPS.contains(&one.code()))
                    .map(|parameter| SearchParameterFacts {
                        code: parameter.code(),
                        url: parameter.url(),
                        kind: parameter.kind(),
                    })
                    .collect()
            })
            .collect();
        let includes: Vec<Vec<String>> =
            types.iter().map(|resource_type| includes(version, resource_type)).collect();
        let rev_includes = rev_includes(version);
        let resources: Vec<ResourceFacts<'_>> = types
            .iter()
            .zip(&searches)
            .zip(&includes)
            .map(|((resource_type, search_parameters), includes)| ResourceFacts {
                resource_type,
                interactions: &INTERACTIONS,
                search_parameters,
                search_includes: includes,
                search_rev_includes: rev_includes.get(*resource_type).map_or(&[], Vec::as_slice),
                update_create: true,
            })
            .collect();
        let topics = self.shared.topics.load();
        let topics = topics.get(&base_of(version)).map_or(&[][..], |of| &of.canonicals);
        let security = match &self.shared.config.authentication {
            Authentication::None => None,
            Authentication::Tokens { .. } => Some("Bearer tokens handed out by the operator"),
        };
        let facts = CapabilityFacts {
            base_url: &self.shared.base_url(version),
            software_version: env!("CARGO_PKG_VERSION"),
            date: self.shared.started,
            topics,
            channels: &self.shared.channels(),
            websocket_url: Some(&self.websocket_url(version)),
            security,
            transactions: true,
            system_search: true,
            resources: &resources,
            operations: &SubscriptionOperation::ALL,
            notify_event: true,
        };
        render(Codec::of(version), &facts)
    }
}
