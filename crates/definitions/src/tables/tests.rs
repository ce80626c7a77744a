//! By hand here; against HL7's own files in `tests/official.rs`.

mod official;

use super::*;
use crate::element::Representation;
use crate::search_parameter::SearchKind;

fn type_named(version: FhirVersion, name: &str) -> &'static TypeDefinition {
    Definitions::of(version).type_named(name).unwrap()
}

/// What a JSON member of a type is: `type element`, or none.
fn check_json(version: FhirVersion, of: &str, json_name: &str, expect: Option<(&str, &str)>) {
    let found = type_named(version, of).element_for_json(json_name);
    let found = found.map(|(element, name)| (element.name, name));
    assert_eq!(found, expect, "{version} {of}.{json_name}");
}

#[test]
fn a_json_name_finds_element_and_type() {
    use FhirVersion::{R4, R4B, R5};
    for version in FhirVersion::ALL {
        check_json(version, "Observation", "status", Some(("status", "code")));
        check_json(version, "Observation", "valueQuantity", Some(("value", "Quantity")));
        check_json(version, "Observation", "valueDateTime", Some(("value", "dateTime")));
        check_json(version, "Observation", "value", None);
        check_json(version, "Observation", "valuequantity", None);
        check_json(version, "Observation", "valueMoney", None);
        check_json(version, "Observation", "id", Some(("id", "id")));
        check_json(version, "HumanName", "id", Some(("id", "string")));
        check_json(version, "Patient", "contact", Some(("contact", "Patient.contact")));
        check_json(version, "Patient.contact", "name", Some(("name", "HumanName")));
        check_json(version, "Extension", "url", Some(("url", "uri")));
        check_json(version, "Extension", "valueReference", Some(("value", "Reference")));
        check_json(version, "Narrative", "div", Some(("div", "xhtml")));
        check_json(version, "string", "value", Some(("value", "System.String")));
    }
    check_json(R4, "Observation", "valueReference", None);
    check_json(R4B, "Observation", "valueReference", None);
    check_json(R5, "Observation", "valueReference", Some(("value", "Reference")));
    check_json(R5, "SubscriptionStatus.notificationEvent", "eventNumber", {
        Some(("eventNumber", "integer64"))
    });
    check_json(R4B, "SubscriptionStatus.notificationEvent", "eventNumber", {
        Some(("eventNumber", "string"))
    });
}

#[test]
fn an_element_is_found_by_the_name_of_its_choice() {
    let value = type_named(FhirVersion::R4, "Observation").element("value").unwrap();
    assert!(value.choice);
    assert!(!value.is_list());
    assert_eq!(value.types.len(), 11);
    assert!(type_named(FhirVersion::R4, "Observation").element("valueQuantity").is_none());
}

#[test]
fn inherited_elements_come_first_in_wire_order() {
    let names = |version, name| -> Vec<&'static str> {
        type_named(version, name).elements().iter().map(|one| one.name).take(10).collect()
    };
    for version in FhirVersion::ALL {
        let patient = names(version, "Patient");
        assert_eq!(patient[..5], ["id", "meta", "implicitRules", "language", "text"]);
        assert_eq!(patient[5..8], ["contained", "extension", "modifierExtension"]);
        assert_eq!(patient[8..], ["identifier", "active"]);
        assert_eq!(names(version, "Patient.link")[..3], ["id", "extension", "modifierExtension"]);
        assert_eq!(names(version, "Timing.repeat")[..3], ["id", "extension", "bounds"]);
        assert_eq!(names(version, "code"), ["id", "extension", "value"]);
        assert_eq!(names(version, "Age")[..3], ["id", "extension", "value"]);
        assert_eq!(
            names(version, "Bundle")[..5],
            ["id", "meta", "implicitRules", "language", "identifier"]
        );
    }
}

#[test]
fn content_references_point_at_the_type_they_repeat() {
    for version in FhirVersion::ALL {
        let item = type_named(version, "Questionnaire.item");
        assert_eq!(item.kind, TypeKind::Backbone);
        assert_eq!(item.element("item").unwrap().types[0].name, "Questionnaire.item");
        let component = type_named(version, "Observation.component");
        let range = component.element("referenceRange").unwrap();
        assert_eq!(range.types[0].name, "Observation.referenceRange");
    }
}

#[test]
fn xml_has_attributes_and_markup() {
    let of =
        |name, element| type_named(FhirVersion::R5, name).element(element).unwrap().representation;
    assert_eq!(of("Extension", "url"), Representation::Attribute);
    assert_eq!(of("HumanName", "id"), Representation::Attribute);
    assert_eq!(of("Patient", "id"), Representation::Element);
    assert_eq!(of("xhtml", "value"), Representation::Xhtml);
}

#[test]
fn references_know_what_they_may_point_at() {
    let subject = type_named(FhirVersion::R4, "Encounter").element("subject").unwrap();
    assert_eq!(subject.types[0].name, "Reference");
    assert_eq!(subject.types[0].targets, ["Group", "Patient"]);
}

#[test]
fn subtypes_follow_their_bases() {
    for version in FhirVersion::ALL {
        let definitions = Definitions::of(version);
        for (name, of, expect) in [
            ("Patient", "Patient", true),
            ("Patient", "DomainResource", true),
            ("Patient", "Resource", true),
            ("Bundle", "DomainResource", false),
            ("code", "string", true),
            ("string", "code", false),
            ("Age", "Quantity", true),
            ("Patient.contact", "BackboneElement", true),
            ("Patient.contact", "Element", true),
            ("HumanName", "Element", true),
            ("HumanName", "Resource", false),
            ("Nothing", "Nothing", false),
        ] {
            assert_eq!(definitions.is_subtype(name, of), expect, "{version} {name} of {of}");
        }
    }
}

#[test]
fn only_concrete_resources_are_resource_types() {
    let count = |version| Definitions::of(version).resource_types().count();
    assert_eq!(FhirVersion::ALL.map(count), [146, 141, 158]);
    for version in FhirVersion::ALL {
        let definitions = Definitions::of(version);
        assert!(definitions.resource_types().is_sorted());
        for (name, expect) in [
            ("Patient", true),
            ("Subscription", true),
            ("SubscriptionTopic", version != FhirVersion::R4),
            ("Resource", false),
            ("DomainResource", false),
            ("CanonicalResource", false),
            ("HumanName", false),
            ("Patient.contact", false),
            ("patient", false),
        ] {
            assert_eq!(definitions.is_resource(name), expect, "{version} {name}");
        }
    }
}

#[test]
fn every_type_has_the_parameters_of_its_bases() {
    for version in FhirVersion::ALL {
        let definitions = Definitions::of(version);
        for resource_type in definitions.resource_types() {
            let codes: Vec<_> =
                definitions.search_parameters(resource_type).map(|one| one.code).collect();
            assert!(codes.is_sorted(), "{resource_type}");
            for code in ["_id", "_lastUpdated", "_profile", "_security", "_tag"] {
                assert!(codes.contains(&code), "{version} {resource_type} {code}");
                let one = definitions.search_parameter(resource_type, code).unwrap();
                assert_eq!(one.code, code);
                assert_eq!(one.base, ["Resource"]);
            }
        }
        assert_eq!(definitions.search_parameters("HumanName").count(), 0);
        assert!(definitions.search_parameter("Patient", "patient").is_none());
        assert!(definitions.search_parameter("Nothing", "_id").is_none());
    }
}

#[test]
fn a_search_parameter_is_found_by_type_and_by_url() {
    for version in FhirVersion::ALL {
        let definitions = Definitions::of(version);
        let patient = definitions.search_parameter("Observation", "patient").unwrap();
        assert_eq!(patient.url, "http://hl7.org/fhir/SearchParameter/clinical-patient");
        assert_eq!(patient.kind, SearchKind::Reference);
        assert!(patient.targets.contains(&"Patient"));
        assert_eq!(definitions.search_parameter_by_url(patient.url), Some(patient));
        let composite = definitions.search_parameter("Observation", "code-value-quantity").unwrap();
        assert_eq!(composite.kind, SearchKind::Composite);
        let [code, value] = composite.components.as_slice() else { panic!("{composite:?}") };
        assert_eq!(code.definition, "http://hl7.org/fhir/SearchParameter/clinical-code");
        assert_eq!(value.definition, {
            "http://hl7.org/fhir/SearchParameter/Observation-value-quantity"
        });
    }
}

#[test]
fn backport_parameters_are_for_r4_and_r4b_with_paths_that_find_something() {
    let code_of = |version, code| {
        Definitions::of(version).search_parameter("Subscription", code).map(|one| one.kind)
    };
    for (code, kind) in [
        ("custom-channel", SearchKind::Token),
        ("filter-criteria", SearchKind::String),
        ("payload-type", SearchKind::Token),
        ("topic", SearchKind::Uri),
    ] {
        assert_eq!(code_of(FhirVersion::R4, code), Some(kind));
        assert_eq!(code_of(FhirVersion::R4B, code), Some(kind));
        let expect = (code == "topic").then_some(SearchKind::Uri);
        assert_eq!(code_of(FhirVersion::R5, code), expect);
    }
    let url =
        "http://hl7.org/fhir/uv/subscriptions-backport/SearchParameter/Subscription-payload-type";
    let one = Definitions::of(FhirVersion::R4).search_parameter_by_url(url).unwrap();
    assert!(one.expression.unwrap().starts_with("Subscription.channel.payload.extension("));
}

#[test]
fn compartments_name_search_parameters() {
    for version in FhirVersion::ALL {
        let definitions = Definitions::of(version);
        let compartments: Vec<_> = definitions.compartments().collect();
        let expected = ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"];
        assert_eq!(compartments, expected);
        assert_eq!(definitions.compartment("Patient", "Observation"), ["subject", "performer"]);
        assert_eq!(definitions.compartment("Encounter", "Encounter"), ["{def}"]);
        assert!(definitions.compartment("Patient", "Organization").is_empty());
        assert!(definitions.compartment("Organization", "Patient").is_empty());
        for (name, resource_type) in compartments
            .iter()
            .flat_map(|name| definitions.resource_types().map(move |one| (name, one)))
        {
            for code in definitions.compartment(name, resource_type) {
                let known = definitions.search_parameter(resource_type, code).is_some();
                assert!(known || *code == "{def}", "{version} {name} {resource_type} {code}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "R5 definitions, line 3:  name 0..x - string")]
fn a_broken_line_is_named() {
    Definitions::read(FhirVersion::R5, &["# head\ncomplex A\n name 0..x - string\n"]);
}

#[test]
#[should_panic(expected = "A.name has the unknown type B")]
fn an_unknown_type_is_named() {
    Definitions::read(FhirVersion::R5, &["complex A\n name 0..1 - B\n"]);
}
