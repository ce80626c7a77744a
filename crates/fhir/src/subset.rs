//! Parts of resources, as `_summary` and `_elements` of a search ask for them.
//!
//! What is shown in part is tagged `SUBSETTED`, so that nobody takes it for the whole and writes it
//! back. What says which resource it is, what is mandatory and what changes the meaning of the rest
//! is always there.

use cresset_definitions::{Definitions, Element, FhirVersion, TypeDefinition, TypeKind};
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

/// The code system of the tag.
const TAG_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
/// The tag.
const TAG_CODE: &str = "SUBSETTED";
/// Members that every part has.
const ALWAYS: [&str; 4] = ["resourceType", "id", "meta", "implicitRules"];

/// Which part of a resource is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All but the narrative.
    Data,
    /// These elements at the top of the resource.
    Elements(Vec<String>),
    /// The elements that FHIR marks as summary.
    Summary,
    /// The narrative.
    Text,
}

/// Writes the part of a resource that is wanted, tagged as such.
pub fn subset(version: FhirVersion, resource: Value, part: &Part) -> Vec<u8> {
    let Value::Object(members) = resource else { return resource.to_string().into_bytes() };
    let definitions = Definitions::of(version);
    let name = members.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let definition = definitions.type_named(name);
    let members = members.into_iter().filter_map(|(name, value)| {
        let plain = name.strip_prefix('_').unwrap_or(&name);
        if ALWAYS.contains(&plain) {
            return Some((name, value));
        }
        let (element, of) = definition?.element_for_json(plain)?;
        if !is_wanted(part, element, plain) {
            return None;
        }
        let value = match part {
            Part::Summary => summary(definitions, of, value),
            Part::Data | Part::Elements(_) | Part::Text => value,
        };
        Some((name, value))
    });
    let mut members: Map<String, Value> = members.collect();
    tag(&mut members);
    Value::Object(members).to_string().into_bytes()
}

/// Whether an element at the top is in the part.
fn is_wanted(part: &Part, element: &Element, json_name: &str) -> bool {
    match part {
        Part::Data => element.name != "text",
        Part::Elements(names) => {
            is_always(element) || names.iter().any(|name| name == element.name || name == json_name)
        }
        Part::Summary => element.is_summary || is_always(element),
        Part::Text => element.name == "text" || element.min > 0,
    }
}

fn is_always(element: &Element) -> bool {
    element.min > 0 || element.is_modifier
}

/// What of an element is summary: data types whole, elements with parts of their own by their parts.
fn summary(definitions: &Definitions, of: &str, value: Value) -> Value {
    let backbone = definitions.type_named(of).filter(|one| one.kind == TypeKind::Backbone);
    let Some(backbone) = backbone else { return value };
    if let Value::Array(items) = value {
        return items
            .into_iter()
            .map(|item| summary_of_parts(definitions, backbone, item))
            .collect();
    }
    summary_of_parts(definitions, backbone, value)
}

fn summary_of_parts(definitions: &Definitions, of: &TypeDefinition, value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let members = members.into_iter().filter_map(|(name, value)| {
        let plain = name.strip_prefix('_').unwrap_or(&name);
        let (element, of) = of.element_for_json(plain)?;
        let is_wanted = element.is_summary || is_always(element) || plain == "id";
        is_wanted.then(|| {
            let value = summary(definitions, of, value);
            (name, value)
        })
    });
    Value::Object(members.collect())
}

/// Says that this is not the whole resource.
fn tag(members: &mut Map<String, Value>) {
    let meta = members.entry("meta").or_insert_with(|| json!({}));
    let Some(meta) = meta.as_object_mut() else { return };
    let tags = meta.entry("tag").or_insert_with(|| json!([]));
    let Some(tags) = tags.as_array_mut() else { return };
    if !tags.iter().any(|tag| tag["system"] == TAG_SYSTEM && tag["code"] == TAG_CODE) {
        tags.push(json!({"system": TAG_SYSTEM, "code": TAG_CODE}));
    }
}
