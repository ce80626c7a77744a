//! The OpenAPI description of a base, for people and their tools: the same facts as the
//! CapabilityStatement, in words that know no FHIR.
//!
//! What OpenAPI cannot say is left open rather than said wrongly: that one of a choice's elements
//! excludes the others, what may stand in extensions, chained search parameters, and that a member
//! that begins with `_` stands beside a primitive.

mod components;
mod operations;
mod paths;
mod schemas;

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::{Map, Value, json};

use crate::capability::CapabilityFacts;

/// Path items by their path.
type Paths = Map<String, Value>;

const ABOUT: &str = "FHIR REST with topic-based subscriptions. Bodies may be XML instead of JSON \
                     (`application/fhir+xml`, `_format=xml`). `/metadata` has the CapabilityStatement.";

/// Writes the description; of the types that are named, or of all if none is.
pub(crate) fn render_openapi(
    version: FhirVersion,
    facts: &CapabilityFacts<'_>,
    types: &[&str],
) -> Vec<u8> {
    let described: Vec<_> = facts
        .resources
        .iter()
        .filter(|resource| types.is_empty() || types.contains(&resource.resource_type))
        .collect();
    let mut all_paths = Paths::new();
    paths::of_base(version, &mut all_paths);
    paths::of_server(version, &mut all_paths);
    for resource in &described {
        paths::of_type(version, facts, resource, &mut all_paths);
    }
    let names = described.iter().map(|resource| resource.resource_type);
    let schemas = schemas::of_types(Definitions::of(version), names);
    let root = facts.base_url.strip_suffix(version.path()).unwrap_or(facts.base_url);
    let mut description = json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("Cresset, FHIR {}", version.full()),
            "description": ABOUT,
            "version": facts.software_version,
        },
        "servers": [{"url": root.trim_end_matches('/')}],
        "paths": all_paths,
        "components": components::of(described.iter().map(|one| one.resource_type), schemas),
    });
    if facts.security.is_some() {
        description["security"] = json!([{"bearer": []}]);
    }
    description.to_string().into_bytes()
}

/// A reference to one of the components.
fn component(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

#[cfg(test)]
mod tests;
