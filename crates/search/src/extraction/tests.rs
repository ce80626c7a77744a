use cresset_definitions::FhirVersion;
use serde_json::json;

use crate::tests::{matches, scope};
use crate::{ResourceValues, SearchValue};

#[track_caller]
fn check(version: FhirVersion, resource: &serde_json::Value, query: &str, expected: bool) {
    assert_eq!(matches(version, resource, query), Ok(expected), "{query}");
}

#[test]
fn a_codeable_reference_is_a_token_and_a_reference() {
    let report = json!({
        "resourceType": "MedicationRequest",
        "medication": {
            "concept": {"coding": [{"system": "rx", "code": "1"}]},
            "reference": {"reference": "Medication/m"}
        }
    });
    check(FhirVersion::R5, &report, "code=rx|1", true);
    check(FhirVersion::R5, &report, "medication=Medication/m", true);
}

#[test]
fn a_choice_counts_only_in_the_types_the_parameter_can_hold() {
    let observation = |value: serde_json::Value| {
        let mut observation = json!({"resourceType": "Observation"});
        for (name, value) in value.as_object().unwrap() {
            observation[name] = value.clone();
        }
        observation
    };
    let concept =
        observation(json!({"valueCodeableConcept": {"coding": [{"code": "x"}], "text": "Big"}}));
    check(FhirVersion::R4, &concept, "value-concept=x", true);
    check(FhirVersion::R4, &concept, "value-string=big", true);
    check(FhirVersion::R4, &concept, "value-quantity:missing=true", true);
    let text = observation(json!({"valueString": "Big"}));
    check(FhirVersion::R4, &text, "value-string=big", true);
    check(FhirVersion::R4, &text, "value-string=x", false);
    check(FhirVersion::R4, &text, "value-concept:missing=true", true);
    let samples = json!({"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": "1 2 3"});
    let samples = observation(json!({"valueSampledData": samples}));
    check(FhirVersion::R4, &samples, "value-quantity=gt2", true);
    check(FhirVersion::R4, &samples, "value-quantity=gt3", false);
    let at = observation(json!({"valueDateTime": "2024-01", "effectivePeriod": {"start": "2024"}}));
    check(FhirVersion::R4, &at, "value-date=2024", true);
    check(FhirVersion::R4, &at, "date=ge2030", true);
    check(FhirVersion::R4, &at, "date=le2023", false);
}

#[test]
fn a_primitive_with_extensions_only_has_no_value() {
    let patient = json!({
        "resourceType": "Patient",
        "birthDate": null,
        "_birthDate": {"extension": [{"url": "u", "valueCode": "unknown"}]},
        "name": [{"given": [null, "Eve"], "_given": [{"extension": []}, null]}]
    });
    check(FhirVersion::R4, &patient, "birthdate:missing=true", true);
    check(FhirVersion::R4, &patient, "given=eve", true);
}

#[test]
fn a_resource_inside_of_a_bundle_is_a_reference() {
    let bundle = json!({
        "resourceType": "Bundle", "type": "document",
        "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}]
    });
    check(FhirVersion::R4, &bundle, "composition=Composition/c", true);
    check(FhirVersion::R4, &bundle, "composition=c", true);
    check(FhirVersion::R4, &bundle, "message:missing=true", true);
}

#[test]
fn a_nested_type_of_another_resource_is_not_followed() {
    let list = json!({
        "resourceType": "List",
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "#p"}
    });
    check(FhirVersion::R4, &list, "subject=Patient/p", false);
    check(FhirVersion::R4, &list, "subject:missing=false", true);
}

#[test]
fn truth_that_an_expression_computes_is_a_token() {
    let patient = |deceased: serde_json::Value| json!({"resourceType": "Patient", "deceasedDateTime": deceased});
    check(FhirVersion::R4, &patient(json!("2020")), "deceased=true", true);
    check(FhirVersion::R5, &patient(json!("2020")), "deceased=true", true);
    let system = "http://terminology.hl7.org/CodeSystem/special-values";
    check(FhirVersion::R4, &patient(json!("2020")), &format!("deceased={system}|true"), true);
}

#[test]
fn values_are_extracted_once() {
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Smith"}]});
    let scope = scope(FhirVersion::R4);
    let values = ResourceValues::new(scope, "Patient", &patient);
    let family = scope.parameters.get("Patient", "family").unwrap();
    let first = values.of(family).unwrap().as_ptr();
    assert_eq!(values.of(family).unwrap().as_ptr(), first);
    let [SearchValue::String(text)] = values.of(family).unwrap() else { panic!("one text") };
    assert_eq!((text.text, &*text.folded), ("Smith", "smith"));
}

#[test]
fn too_many_values_are_a_problem() {
    let tags: Vec<_> = (0..=crate::VALUES_MAX).map(|i| json!({"code": i.to_string()})).collect();
    let patient = json!({"resourceType": "Patient", "meta": {"tag": tags}});
    let problem = matches(FhirVersion::R4, &patient, "_tag=1").unwrap_err();
    assert_eq!(problem.kind(), &crate::ProblemKind::TooManyValues);
}
