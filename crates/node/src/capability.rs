//! What this server says of itself: generated from what it does.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::{
    CapabilityFacts, Codec, ResourceFacts, SearchParameterFacts, SubscriptionOperation,
    TypeInteraction,
};
use cresset_search::Parameters;

use crate::bases::base_of;
use crate::caller::Authentication;
use crate::indexer::is_searchable;
use crate::node::Node;

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

/// The operations there are.
const OPERATIONS: [SubscriptionOperation; 5] = [
    SubscriptionOperation::Events,
    SubscriptionOperation::Explain,
    SubscriptionOperation::GetWsBindingToken,
    SubscriptionOperation::Resend,
    SubscriptionOperation::Status,
];

impl Node {
    /// The CapabilityStatement of a version (RQ sections 1.1 to 1.3).
    pub fn capability_statement(&self, version: FhirVersion) -> Vec<u8> {
        let parameters = Parameters::of(version);
        let types: Vec<&'static str> = Definitions::of(version)
            .resource_types()
            .filter(|name| *name != "SubscriptionStatus")
            .collect();
        let searches: Vec<Vec<SearchParameterFacts<'_>>> = types
            .iter()
            .map(|resource_type| {
                let searchable = parameters.of_type(resource_type).filter(|parameter| {
                    is_searchable(&self.shared.config.search.index, resource_type, parameter.code())
                        && parameter.check().is_ok()
                });
                searchable
                    .map(|parameter| SearchParameterFacts {
                        code: parameter.code(),
                        url: parameter.url(),
                        kind: parameter.kind(),
                    })
                    .collect()
            })
            .collect();
        let resources: Vec<ResourceFacts<'_>> = types
            .iter()
            .zip(&searches)
            .map(|(resource_type, search_parameters)| ResourceFacts {
                resource_type,
                interactions: &INTERACTIONS,
                search_parameters,
                update_create: true,
            })
            .collect();
        let topics = self.shared.topics.load();
        let topics = topics.get(&base_of(version)).map_or(&[][..], |of| &of.canonicals);
        let security = match &self.shared.config.authentication {
            Authentication::None => None,
            Authentication::Tokens(_) => Some("Bearer tokens handed out by the operator"),
        };
        Codec::of(version).capability_statement(&CapabilityFacts {
            base_url: &self.shared.base_url(version),
            software_version: env!("CARGO_PKG_VERSION"),
            date: self.shared.started,
            topics,
            channels: &self.shared.channels(),
            websocket_url: Some(&self.websocket_url(version)),
            security,
            transactions: true,
            resources: &resources,
            operations: &OPERATIONS,
            notify_event: true,
        })
    }
}
