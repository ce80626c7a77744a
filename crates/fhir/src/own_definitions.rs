//! The definitions that this server serves of itself: its operations, extensions and codes, what the
//! Backport guide defines of subscriptions, restated (docs/adr/0004-definitions-of-the-guide.md), and
//! HL7's compartments.
//!
//! All but the compartments are the files in `docs`, with what of them a version knows.

use cresset_definitions::FhirVersion;
use serde_json::Value;

use crate::capability::{self, SubscriptionOperation};
use crate::codec::Codec;
use crate::compartment::compartment_definitions;
use crate::json;

/// One of the definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDefinition {
    /// Its type.
    pub resource_type: &'static str,
    /// Its id, the last part of its URL.
    pub id: String,
    /// The resource.
    pub body: Vec<u8>,
}

/// A file, and the versions that have what it defines.
struct File {
    versions: &'static [FhirVersion],
    resource_type: &'static str,
    id: &'static str,
    text: &'static str,
}

/// The types that carry topics, each in some versions.
const TOPIC_TYPES: [&str; 2] = ["Basic", "SubscriptionTopic"];

const ALL: &[FhirVersion] = &FhirVersion::ALL;
const BACKPORT: &[FhirVersion] = &[FhirVersion::R4, FhirVersion::R4B];
const R4: &[FhirVersion] = &[FhirVersion::R4];
const R4B: &[FhirVersion] = &[FhirVersion::R4B];

macro_rules! files {
    ($($versions:ident { $($resource_type:literal, $id:literal: $path:literal;)* })*) => {
        &[$($(File {
            versions: $versions,
            resource_type: $resource_type,
            id: $id,
            text: include_str!(concat!("../../../docs/", $path)),
        },)*)*]
    };
}

const FILES: &[File] = files! {
    ALL {
        "CodeSystem", "channel-type": "channels/CodeSystem-channel-type.json";
        "OperationDefinition", "Basic-notify-event": "operations/Basic-notify-event.json";
        "OperationDefinition", "Resource-validate": "operations/Resource-validate.json";
        "OperationDefinition", "SubscriptionTopic-notify-event":
            "operations/SubscriptionTopic-notify-event.json";
        "OperationDefinition", "events": "operations/events.json";
        "OperationDefinition", "explain": "operations/explain.json";
        "OperationDefinition", "get-ws-binding-token": "operations/get-ws-binding-token.json";
        "OperationDefinition", "resend": "operations/resend.json";
        "OperationDefinition", "status": "operations/status.json";
        "StructureDefinition", "event-code": "extensions/event-code.json";
        "StructureDefinition", "filters-choose-types": "extensions/filters-choose-types.json";
        "StructureDefinition", "subscription-retry-period":
            "extensions/subscription-retry-period.json";
    }
    BACKPORT {
        "CodeSystem", "backport-content-code-system":
            "backport/CodeSystem-backport-content-code-system.json";
        "ImplementationGuide", "hl7.fhir.uv.subscriptions-backport":
            "backport/ImplementationGuide-hl7.fhir.uv.subscriptions-backport.json";
        "StructureDefinition", "backport-channel-type":
            "backport/StructureDefinition-backport-channel-type.json";
        "StructureDefinition", "backport-filter-criteria":
            "backport/StructureDefinition-backport-filter-criteria.json";
        "StructureDefinition", "backport-heartbeat-period":
            "backport/StructureDefinition-backport-heartbeat-period.json";
        "StructureDefinition", "backport-max-count":
            "backport/StructureDefinition-backport-max-count.json";
        "StructureDefinition", "backport-payload-content":
            "backport/StructureDefinition-backport-payload-content.json";
        "StructureDefinition", "backport-subscription":
            "backport/StructureDefinition-backport-subscription.json";
        "StructureDefinition", "backport-timeout":
            "backport/StructureDefinition-backport-timeout.json";
        "ValueSet", "backport-content-value-set":
            "backport/ValueSet-backport-content-value-set.json";
    }
    R4 {
        "CapabilityStatement", "backport-subscription-server-r4":
            "backport/CapabilityStatement-backport-subscription-server-r4.json";
        "StructureDefinition", "backport-subscription-notification-r4":
            "backport/StructureDefinition-backport-subscription-notification-r4.json";
        "StructureDefinition", "backport-subscription-status-r4":
            "backport/StructureDefinition-backport-subscription-status-r4.json";
        "StructureDefinition", "capabilitystatement-subscriptiontopic-canonical":
            "backport/StructureDefinition-capabilitystatement-subscriptiontopic-canonical.json";
    }
    R4B {
        "CapabilityStatement", "backport-subscription-server":
            "backport/CapabilityStatement-backport-subscription-server.json";
        "StructureDefinition", "backport-subscription-notification":
            "backport/StructureDefinition-backport-subscription-notification.json";
    }
};

/// All that a version has.
pub(crate) fn own_definitions(version: FhirVersion) -> Vec<OwnDefinition> {
    let files = FILES.iter().filter(|file| file.versions.contains(&version));
    let of_files = files.filter_map(|file| of_version(version, file));
    of_files.chain(compartment_definitions(version)).collect()
}

/// What of a definition a version knows; none if nothing.
fn of_version(version: FhirVersion, file: &File) -> Option<OwnDefinition> {
    let bytes = file.text.as_bytes();
    let mut value = json::parse(bytes).expect("the files are JSON, as a test sees");
    let mut id = file.id.to_owned();
    let kept = match file.resource_type {
        "OperationDefinition" => {
            if let Some(operation) = SubscriptionOperation::named(file.id) {
                id = name(version, operation, &mut value);
            }
            type_parameters(version, &mut value);
            keep(&mut value["resource"], |one| is_known(version, one))
        }
        "StructureDefinition" => {
            value["fhirVersion"] = version.full().into();
            // A profile has no context.
            value.get("context").is_none()
                || keep(&mut value["context"], |one| match one["type"].as_str() {
                    // Where a topic is a Basic, what it is made of is extensions.
                    Some("extension") => Codec::of(version).topic_type() == "Basic",
                    Some(_) | None => is_known(version, &one["expression"]),
                })
        }
        "ImplementationGuide" => {
            value["fhirVersion"] = [version.full()].into();
            true
        }
        _ => true,
    };
    let resource_type = file.resource_type;
    kept.then(|| OwnDefinition { resource_type, id, body: json::render_like(bytes, &value) })
}

/// Gives an operation on subscriptions the name that the version's CapabilityStatement has for it:
/// HL7's own, the guide's or ours. The id is the last part of it.
fn name(version: FhirVersion, operation: SubscriptionOperation, value: &mut Value) -> String {
    let url = capability::definition(version, operation);
    let id = url.rsplit_once('/').map_or(url.as_str(), |(_, id)| id).to_owned();
    value["id"] = id.as_str().into();
    value["url"] = url.into();
    id
}

/// Gives parameters the types that HL7 gives them in the version.
fn type_parameters(version: FhirVersion, value: &mut Value) {
    let parameters = value["parameter"].as_array_mut().into_iter().flatten();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let of_version = match (name, version) {
            ("eventsSinceNumber" | "eventsUntilNumber", FhirVersion::R5) => "integer64",
            ("profile", FhirVersion::R4 | FhirVersion::R4B) => "uri",
            _ => continue,
        };
        parameter["type"] = of_version.into();
    }
}

/// Keeps what of a list is wanted, and says whether there is any.
fn keep(list: &mut Value, is_wanted: impl Fn(&Value) -> bool) -> bool {
    let Some(list) = list.as_array_mut() else { return false };
    list.retain(is_wanted);
    !list.is_empty()
}

/// Whether a type, or the type of an element, is not one that carries topics in other versions only.
fn is_known(version: FhirVersion, path: &Value) -> bool {
    let path = path.as_str().unwrap_or_default();
    let root = path.split('.').next().unwrap_or_default();
    !TOPIC_TYPES.contains(&root) || root == Codec::of(version).topic_type()
}

#[cfg(test)]
mod tests;
