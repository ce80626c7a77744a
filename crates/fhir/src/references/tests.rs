//! Tests of references rewritten within a transaction.

use cresset_definitions::FhirVersion;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_data::arbitrary_value;

const UUID: &str = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a";

fn targets() -> Targets {
    let mut targets = Targets::new();
    targets.insert(UUID, "Patient/new".to_owned());
    targets.insert("http://example.org/fhir/Patient/1", "Patient/one".to_owned());
    targets
}

fn check(input: Value, full_url: Option<&str>, expected: Option<Value>) {
    let definitions = Definitions::of(FhirVersion::R4);
    let bytes = input.to_string();
    let out = rewrite_references(definitions, bytes.as_bytes(), full_url, &targets());
    assert_eq!(out.map(|out| parse(&out).unwrap()), expected, "{input}");
}

#[test]
fn references_and_uris_are_rewritten_wherever_they_stand() {
    let resource = |reference: &str| {
        json!({
            "resourceType": "Observation",
            "subject": { "reference": reference, "display": reference },
            "performer": [{ "reference": reference }, { "reference": "Practitioner/x" }],
            "extension": [{ "url": "http://x", "valueUri": reference }],
            "contained": [{ "resourceType": "Group", "member": [{ "entity": { "reference": reference } }] }],
            "identifier": [{ "system": "urn:ietf:rfc:3986", "value": reference }],
        })
    };
    let mut expected = resource("Patient/new");
    expected["subject"]["display"] = json!(UUID);
    expected["identifier"][0]["value"] = json!(UUID);
    check(resource(UUID), None, Some(expected));
}

#[test]
fn canonicals_and_strings_stay() {
    let resource = json!({
        "resourceType": "PlanDefinition", "library": [UUID], "title": UUID,
        "unknown": { "deeper": UUID },
    });
    check(resource, None, None);
}

#[test]
fn references_are_resolved_as_fhir_says() {
    let with = |reference: &str| json!({ "resourceType": "Encounter", "subject": { "reference": reference } });
    let own = Some("http://example.org/fhir/Encounter/9");
    let other = Some("http://other.org/fhir/Encounter/9");
    check(with("http://example.org/fhir/Patient/1"), None, Some(with("Patient/one")));
    check(with("Patient/1"), own, Some(with("Patient/one")));
    check(with("Patient/1#part"), own, Some(with("Patient/one#part")));
    check(with(&format!("{UUID}#part")), None, Some(with("Patient/new#part")));
    check(with("Patient/1"), other, None);
    check(with("Patient/1"), None, None);
    check(with("Patient/1"), Some(UUID), None);
    check(with("Patient/2"), own, None);
    check(with("#1"), own, None);
}

#[test]
fn links_in_the_narrative_are_rewritten() {
    let with = |link: &str| {
        let div =
            format!("<div><a href=\"{link}\" title=\"{UUID}\">x</a><img src=\"{link}\"/></div>");
        json!({ "resourceType": "Encounter", "text": { "status": "generated", "div": div } })
    };
    check(with(UUID), None, Some(with("Patient/new")));
    check(with("http://elsewhere"), None, None);
}

#[test]
fn all_other_bytes_stay() {
    let definitions = Definitions::of(FhirVersion::R5);
    let input = format!(
        "{{ \"resourceType\":\"Observation\",\n\"valueQuantity\": {{\"value\":1.00}},\"subject\" : {{\"reference\" :\"{UUID}\"}} }}"
    );
    let out = rewrite_references(definitions, input.as_bytes(), None, &targets()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), input.replace(UUID, "Patient/new"));
}

proptest! {
    #[test]
    fn rewriting_any_resource_never_panics(mut value in arbitrary_value()) {
        if let Some(members) = value.as_object_mut() {
            members.insert("resourceType".to_owned(), json!("Bundle"));
        }
        let bytes = value.to_string();
        let out = rewrite_references(Definitions::of(FhirVersion::R5), bytes.as_bytes(), None, &targets());
        prop_assert_eq!(out, None);
    }
}

#[test]
fn links_of_a_narrative_are_found_however_they_are_quoted() {
    let narrative = |link: &str| {
        let div = format!("<div>1=\"2 <a href='{link}'>x</a><a href = \"{link}\">y</a></div>");
        json!({ "resourceType": "Basic", "text": { "div": div } })
    };
    check(narrative(UUID), None, Some(narrative("Patient/new")));
    check(narrative("urn:other"), None, None);
}

#[test]
fn a_bundle_that_is_stored_keeps_its_entries() {
    let entry = json!({ "fullUrl": UUID, "resource": { "resourceType": "Patient" } });
    check(json!({ "resourceType": "Bundle", "entry": [entry] }), None, None);
}
