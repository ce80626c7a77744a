//! The definitions of what is this server's own: operations, extensions and codes of channels.
//!
//! They are the files in `docs`, with what of them a version knows.

use cresset_definitions::FhirVersion;
use serde_json::Value;

use crate::codec::Codec;
use crate::json;

/// One of the definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDefinition {
    /// Its type.
    pub resource_type: &'static str,
    /// Its id.
    pub id: &'static str,
    /// The resource.
    pub body: Vec<u8>,
}

/// The types that carry topics, each in some versions.
const TOPIC_TYPES: [&str; 2] = ["Basic", "SubscriptionTopic"];

macro_rules! files {
    ($($resource_type:literal, $id:literal: $path:literal;)*) => {
        /// Type, id and text of each.
        const FILES: &[(&str, &str, &str)] = &[$((
            $resource_type,
            $id,
            include_str!(concat!("../../../docs/", $path)),
        ),)*];
    };
}

files! {
    "CodeSystem", "channel-type": "channels/CodeSystem-channel-type.json";
    "OperationDefinition", "Basic-notify-event": "operations/Basic-notify-event.json";
    "OperationDefinition", "SubscriptionTopic-notify-event":
        "operations/SubscriptionTopic-notify-event.json";
    "OperationDefinition", "explain": "operations/explain.json";
    "OperationDefinition", "resend": "operations/resend.json";
    "StructureDefinition", "event-code": "extensions/event-code.json";
    "StructureDefinition", "filters-choose-types": "extensions/filters-choose-types.json";
    "StructureDefinition", "subscription-retry-period": "extensions/subscription-retry-period.json";
}

/// All that a version has.
pub(crate) fn own_definitions(version: FhirVersion) -> Vec<OwnDefinition> {
    let of_version = FILES.iter().filter_map(|(resource_type, id, text)| {
        let body = of_version(version, (resource_type, id), text)?;
        Some(OwnDefinition { resource_type, id, body })
    });
    of_version.collect()
}

/// What of a definition a version knows; none if nothing.
fn of_version(
    version: FhirVersion,
    (resource_type, id): (&str, &str),
    text: &str,
) -> Option<Vec<u8>> {
    let mut value = json::parse(text.as_bytes()).expect("the files are JSON, as a test sees");
    let kept = match resource_type {
        "OperationDefinition" => {
            is_named(version, id) && keep(&mut value["resource"], |one| is_known(version, one))
        }
        "StructureDefinition" => {
            value["fhirVersion"] = version.full().into();
            keep(&mut value["context"], |one| match one["type"].as_str() {
                // Where a topic is a Basic, what it is made of is extensions.
                Some("extension") => Codec::of(version).topic_type() == "Basic",
                Some(_) | None => is_known(version, &one["expression"]),
            })
        }
        _ => true,
    };
    kept.then(|| json::render_like(text.as_bytes(), &value))
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

/// Whether the version's CapabilityStatement names the operation: in R4 and R4B it names the guide's
/// `$resend`, which is the same.
fn is_named(version: FhirVersion, id: &str) -> bool {
    match version {
        FhirVersion::R4 | FhirVersion::R4B => id != "resend",
        FhirVersion::R5 => true,
    }
}

#[cfg(test)]
mod tests;
