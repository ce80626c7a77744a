//! HL7's example resources: every parameter of every one can be extracted.

use std::collections::BTreeMap;

use cresset_definitions::FhirVersion;
use serde_json::Value;

use super::{scope, shared_data, unpacked};
use crate::ResourceValues;
use crate::extraction::Source;
use crate::parameter::Extraction;

/// All examples of a version; `None` if they are not there.
fn examples(version: FhirVersion) -> Option<Vec<Value>> {
    let name = match version {
        FhirVersion::R4 => "all-R4.ndjson.zst",
        FhirVersion::R4B => "all-R4B.ndjson.zst",
        FhirVersion::R5 => "all-R5.ndjson.zst",
    };
    let text = unpacked(&shared_data("examples")?.join(name));
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn every_parameter_of_every_example_is_extracted() {
    for version in FhirVersion::ALL {
        let Some(examples) = examples(version) else { return };
        let scope = scope(version);
        let (mut extracted, mut problems) = (0, BTreeMap::<String, usize>::new());
        for resource in &examples {
            let resource_type = resource["resourceType"].as_str().unwrap();
            let values = ResourceValues::new(scope, resource_type, resource);
            for parameter in scope.parameters.of_type(resource_type) {
                if parameter.check().is_err() {
                    continue;
                }
                match values.of(parameter) {
                    Ok(found) => extracted += found.len(),
                    Err(problem) => *problems.entry(problem.to_string()).or_default() += 1,
                }
            }
        }
        println!("{}: {} examples, {extracted} values", version.full(), examples.len());
        assert!(examples.len() > 600 && extracted > 5_000, "{extracted} values");
        assert!(problems.is_empty(), "{}: {problems:#?}", version.full());
    }
}

/// Parameter and item types that go without a value somewhere in the examples, for good reason.
const SKIPPED: [&str; 8] = [
    // A `Timing` without dates, and planned times in words.
    "date Timing",
    "date string",
    // R4's `Consent.source[x]` may be the document itself.
    "reference Attachment",
    // With a concept only.
    "reference CodeableReference",
    // HL7's expression names a backbone element of R5.
    "reference Ingredient.manufacturer",
    // With a system or use only.
    "token ContactPoint",
    "token Identifier",
    // No bundle entry but the one that the parameter points at.
    "reference of another resource",
];

#[test]
fn only_items_of_types_that_a_parameter_cannot_hold_are_skipped() {
    let mut skipped = BTreeMap::<String, String>::new();
    for version in FhirVersion::ALL {
        let Some(examples) = examples(version) else { return };
        let scope = scope(version);
        for resource in &examples {
            let resource_type = resource["resourceType"].as_str().unwrap();
            for parameter in scope.parameters.of_type(resource_type) {
                let Ok(Extraction::Items(expression)) = parameter.extraction() else { continue };
                let context = crate::resource_values::context(resource_type, resource);
                let Ok(items) = expression.evaluate(&context) else { continue };
                let source = Source { parameter, base_url: scope.base_url, resource };
                for item in items.iter() {
                    let mut values = crate::extraction::Values::new();
                    source.push(item, &mut values).unwrap();
                    if values.is_empty() && item.json().is_some() {
                        let is_resource = item.json().unwrap().get("resourceType").is_some();
                        let name =
                            if is_resource { "of another resource" } else { item.type_name() };
                        let pair = format!("{} {name}", parameter.kind().code());
                        skipped.entry(pair).or_insert_with(|| format!("{parameter:?}"));
                    }
                }
            }
        }
    }
    let pairs: Vec<_> = skipped.keys().map(String::as_str).collect();
    let mut expected = SKIPPED;
    expected.sort_unstable();
    assert_eq!(pairs, expected, "{skipped:#?}");
}
