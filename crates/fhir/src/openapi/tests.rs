use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::capability::{
    ResourceFacts, SearchParameterFacts, SubscriptionOperation, TypeInteraction,
};

fn description(version: FhirVersion, types: &[&str]) -> Value {
    let search_parameters = [SearchParameterFacts {
        code: "identifier",
        url: "http://hl7.org/fhir/SearchParameter/Patient-identifier",
        kind: cresset_definitions::SearchKind::Token,
    }];
    let names: Vec<&str> = Definitions::of(version).resource_types().collect();
    let resources: Vec<ResourceFacts<'_>> = names
        .iter()
        .map(|resource_type| ResourceFacts {
            resource_type,
            interactions: &[TypeInteraction::Read],
            search_parameters: &search_parameters,
            search_includes: &[],
            search_rev_includes: &[],
            update_create: true,
        })
        .collect();
    let bytes = render_openapi(
        version,
        &CapabilityFacts {
            base_url: &format!("http://x.test/fhir/{}", version.path()),
            software_version: "1.0.0",
            date: Timestamp::UNIX_EPOCH,
            topics: &[],
            channels: &[],
            websocket_url: None,
            security: Some("tokens"),
            transactions: true,
            system_search: true,
            resources: &resources,
            operations: &[SubscriptionOperation::Explain, SubscriptionOperation::Status],
            notify_event: true,
        },
        types,
    );
    serde_json::from_slice(&bytes).unwrap()
}

/// All values of a member, wherever it is.
fn collect<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                found.extend(value.as_str().filter(|_| member == name));
                collect(value, name, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_no_operation_is_there_twice() {
    for version in FhirVersion::ALL {
        for types in [&["Patient", "Subscription"][..], &[]] {
            let description = description(version, types);
            let mut references = Vec::new();
            collect(&description, "$ref", &mut references);
            assert!(!references.is_empty());
            for reference in references {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(description.pointer(pointer).is_some(), "{reference}");
            }
            let mut ids = Vec::new();
            collect(&description["paths"], "operationId", &mut ids);
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        }
    }
}

#[test]
fn every_parameter_in_a_path_is_declared() {
    let description =
        description(FhirVersion::R5, &["Patient", "Subscription", "SubscriptionTopic"]);
    for (path, item) in description["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let declared: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|one| one["$ref"].as_str()?.strip_prefix("#/components/parameters/"))
                .filter(|name| ["id", "number", "type"].contains(name))
                .collect();
            let in_path: BTreeSet<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(declared, in_path, "{path}");
        }
    }
}

#[test]
fn only_the_types_that_are_asked_for_are_described_and_of_what_they_are_made() {
    let description = description(FhirVersion::R4, &["Patient"]);
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.contains_key("/r4/Patient/{id}") && !paths.contains_key("/r4/Observation/{id}"));
    assert_eq!(description["servers"][0]["url"], "http://x.test/fhir");
    let schemas = &description["components"]["schemas"];
    assert_eq!(
        schemas["Patient"]["properties"]["contact"]["items"]["$ref"],
        "#/components/schemas/Patient.contact"
    );
    let genders = &schemas["Patient"]["properties"]["gender"]["enum"];
    assert_eq!(*genders, json!(["female", "male", "other", "unknown"]));
    assert_eq!(
        schemas["Patient"]["properties"]["deceasedBoolean"]["$ref"],
        "#/components/schemas/boolean"
    );
    assert!(schemas.get("HumanName").is_some() && schemas.get("Observation").is_none());
}
