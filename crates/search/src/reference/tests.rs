use cresset_definitions::FhirVersion;
use serde_json::json;

use super::*;

const BASE: &str = "http://example.org/fhir";

fn operand(
    text: &str,
    only: Option<&'static str>,
    typed: bool,
) -> Result<ReferenceOperand, &'static str> {
    ReferenceOperand::parse(text, BASE, Definitions::of(FhirVersion::R4), only, typed)
}

fn check(searched: &str, written: &str, expected: bool) {
    let json = json!({"reference": written});
    let value = Reference::of_reference(&json, BASE).unwrap();
    let operand = operand(searched, None, false).unwrap_or_else(|_| panic!("{searched} is one"));
    assert_eq!(operand.matches(&value, &["Group", "Patient"]), expected, "{searched} in {written}");
}

#[test]
fn references_on_the_own_base_are_equal_however_written() {
    for written in [
        "Patient/123",
        "http://example.org/fhir/Patient/123",
        "Patient/123/_history/4",
        "http://example.org/fhir/Patient/123/_history/4",
    ] {
        check("Patient/123", written, true);
        check("123", written, true);
        check("http://example.org/fhir/Patient/123", written, true);
        check("Patient/124", written, false);
        check("Group/123", written, false);
        check("http://other.org/fhir/Patient/123", written, false);
    }
}

#[test]
fn a_version_counts_only_if_asked_for() {
    check("Patient/123/_history/4", "Patient/123/_history/4", true);
    check("Patient/123/_history/4", "Patient/123/_history/5", false);
    check("Patient/123/_history/4", "Patient/123", false);
    check("http://o/Patient/1/_history/4", "http://o/Patient/1/_history/4", true);
    check("http://o/Patient/1", "http://o/Patient/1/_history/4", true);
}

#[test]
fn other_references_are_compared_as_urls() {
    check("http://other.org/Patient/123", "http://other.org/Patient/123", true);
    check("http://other.org/Patient/123", "Patient/123", false);
    check("http://example.org/fhir2/Patient/1", "Patient/1", false);
    check(
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        true,
    );
    check("123", "http://other.org/Patient/123", false);
    check("123", "Practitioner/123", false);
    check("p1", "#p1", false);
    check("Patient/p1", "#p1", false);
}

#[test]
fn canonicals_are_found_with_and_without_version() {
    let value = Reference::of_url("http://x.org/Questionnaire/q|1.2", BASE);
    let matches = |text: &str| operand(text, None, false).unwrap().matches(&value, &[]);
    assert!(matches("http://x.org/Questionnaire/q"));
    assert!(matches("http://x.org/Questionnaire/q|1.2"));
    assert!(!matches("http://x.org/Questionnaire/q|1"));
    let own = Reference::of_url("http://example.org/fhir/Questionnaire/q|1.2", BASE);
    let operand = operand("Questionnaire/q", None, false).unwrap();
    assert!(operand.matches(&own, &[]));
}

#[test]
fn a_type_may_be_asked_for() {
    let value = Reference::of_url("Patient/1", BASE);
    let matches = |text: &str, only| operand(text, Some(only), true).unwrap().matches(&value, &[]);
    assert!(matches("1", "Patient"));
    assert!(matches("Patient/1", "Patient"));
    assert!(matches("http://example.org/fhir/Patient/1", "Patient"));
    assert!(!matches("1", "Group"));
    assert!(operand("Group/1", Some("Patient"), true).is_err());
    assert!(operand("http://other/Patient/1", Some("Patient"), true).is_err());
    assert!(operand("1", None, true).is_err());
    assert!(operand("Patient/1", None, true).is_ok());
}

#[test]
fn what_is_no_reference_is_refused() {
    for text in [
        "",
        "/",
        "Patient/",
        "/1",
        "Foo/1",
        "Resource/1",
        "Patient/1/2",
        "#p1",
        "a b",
        "Patient/a_b",
    ] {
        assert!(operand(text, None, false).is_err(), "{text}");
    }
    assert!(operand(&"x".repeat(65), None, false).is_err());
}

#[test]
fn identifiers_and_texts_beside_the_reference_are_found() {
    let json = json!({
        "identifier": {"system": "http://mrn", "value": "9"}, "display": "Dr. Müller"
    });
    let value = Reference::of_reference(&json, BASE).unwrap();
    let identifier = |text| ReferenceOperand::Identifier(TokenOperand::parse(text).unwrap());
    assert!(identifier("http://mrn|9").matches(&value, &[]));
    assert!(identifier("9").matches(&value, &[]));
    assert!(!identifier("|9").matches(&value, &[]));
    let text = StringOperand::new(crate::StringTest::StartsWith, "dr mul").unwrap();
    assert!(ReferenceOperand::Text(text).matches(&value, &[]));
    assert!(!operand("9", None, false).unwrap().matches(&value, &[]));
    assert!(Reference::of_reference(&json!({"type": "Patient"}), BASE).is_none());
}

#[test]
fn without_a_base_url_only_relative_references_are_local() {
    let value = Target::parse("/Patient/1", "");
    assert!(matches!(value, Target::Url { .. }));
    assert!(matches!(Target::parse("Patient/1", ""), Target::Local { .. }));
}
