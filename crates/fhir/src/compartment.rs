//! The compartments that HL7 defines, as CompartmentDefinitions.

use cresset_definitions::{Definitions, FhirVersion};

use crate::json::write_object;
use crate::own_definitions::OwnDefinition;

/// The id of the definition of a type's compartments: `relatedPerson`.
fn id_of(resource_type: &str) -> String {
    let (first, rest) = resource_type.split_at(1);
    format!("{}{rest}", first.to_ascii_lowercase())
}

/// The canonical URL of the definition of a type's compartments.
pub(crate) fn compartment_url(resource_type: &str) -> String {
    format!("http://hl7.org/fhir/CompartmentDefinition/{}", id_of(resource_type))
}

/// All that a version has.
pub(crate) fn compartment_definitions(version: FhirVersion) -> impl Iterator<Item = OwnDefinition> {
    let compartments = Definitions::of(version).compartments();
    compartments.map(move |one| OwnDefinition {
        resource_type: "CompartmentDefinition",
        id: id_of(one),
        body: render(version, one),
    })
}

fn render(version: FhirVersion, compartment: &str) -> Vec<u8> {
    let definitions = Definitions::of(version);
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "CompartmentDefinition");
        o.string("id", &id_of(compartment));
        o.string("url", &compartment_url(compartment));
        o.string("name", &format!("{compartment}Compartment"));
        o.string("status", "active");
        let text = format!(
            "HL7's compartment of a {compartment}: the types that may belong to it, and the search \
             parameters by which they do. The {compartment} itself does."
        );
        o.string("description", &text);
        o.string("code", compartment);
        o.boolean("search", true);
        o.array("resource", |a| {
            for resource_type in definitions.resource_types() {
                let codes = definitions.compartment(compartment, resource_type);
                if !codes.is_empty() {
                    a.object(|o| {
                        o.string("code", resource_type);
                        o.strings("param", codes);
                    });
                }
            }
        });
    });
    out
}
