//! Tests of the forms of filter strings (RQ-FL-01 to 04, 13, 14; TR-01).

use cresset_definitions::FhirVersion;
use proptest::prelude::*;

use super::*;
use crate::test_data::told;

fn parse(text: &str) -> (Vec<Filter>, Issues) {
    let (mut filters, mut issues) = (Vec::new(), Issues::default());
    let definitions = Definitions::of(FhirVersion::R4);
    parse_filter_criteria(definitions, text, "f", &mut filters, &mut issues);
    (filters, issues)
}

/// `type parameter modifier|comparator value` of each filter; a dash for what is not there.
fn check(text: &str, expected: &[&str]) {
    let (filters, issues) = parse(text);
    assert_eq!(told(&issues), Vec::<String>::new(), "{text}");
    let shown = filters.iter().map(|filter| {
        let suffix = filter.modifier.map(Modifier::code);
        let suffix = suffix.or_else(|| filter.comparator.map(Comparator::code));
        let resource_type = filter.resource_type.as_deref().unwrap_or("-");
        format!("{resource_type} {} {} {}", filter.parameter, suffix.unwrap_or("-"), filter.value)
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn every_form_gives_the_filter_it_says() {
    check("patient=Patient/1", &["- patient - Patient/1"]);
    check("status:not=finished", &["- status not finished"]);
    check("Encounter.patient=Patient/1", &["Encounter patient - Patient/1"]);
    check("Encounter.status:not=a,b", &["Encounter status not a,b"]);
    check("Encounter?patient=Patient/1", &["Encounter patient - Patient/1"]);
    check("?patient=Patient/1", &["- patient - Patient/1"]);
    check(
        "Encounter?status=a&class:in=http://x/ValueSet/y",
        &["Encounter status - a", "Encounter class in http://x/ValueSet/y"],
    );
    check("Encounter.status=a&status=b", &["Encounter status - a", "- status - b"]);
    check("patient.gender=male", &["- patient.gender - male"]);
    check("Encounter?patient.gender=male", &["Encounter patient.gender - male"]);
    check("Encounter.patient.gender=male", &["Encounter patient.gender - male"]);
    check("length:gt=5", &["- length gt 5"]);
    check("date=ge2000", &["- date - ge2000"]);
    check("code=http://loinc.org|1975-2", &["- code - http://loinc.org|1975-2"]);
    check("code=http%3A%2F%2Floinc.org%7C1975-2", &["- code - http://loinc.org|1975-2"]);
    check("name=100%&x=a%2", &["- name - 100%", "- x - a%2"]);
    check("date=2000-01-01T00:00:00+01:00", &["- date - 2000-01-01T00:00:00+01:00"]);
    check("url=http://x?y=z", &["- url - http://x?y=z"]);
    check("http://x.org/SearchParameter/a=b", &["- http://x.org/SearchParameter/a - b"]);
    check("http://x.org/sp:not=b", &["- http://x.org/sp not b"]);
    check("urn:oid:1.2=b", &["- urn:oid:1.2 - b"]);
    check("subject:Patient=1,2", &["- subject type Patient/1,Patient/2"]);
    check("subject:Patient=http://x/Patient/1", &["- subject type http://x/Patient/1"]);
    check("subject:Patient=Patient/1/_history/2", &["- subject type Patient/1/_history/2"]);
    check("subject:Patient.name=peter", &["- subject:Patient.name - peter"]);
    check("_has:Observation:patient:code=1", &["- _has:Observation:patient:code - 1"]);
    check("_has:Observation:patient:identifier=1", &["- _has:Observation:patient:identifier - 1"]);
    check(
        "_has:Observation:patient:status:not=final",
        &["- _has:Observation:patient:status not final"],
    );
    check("subject:Patient.name:exact=Eve", &["- subject:Patient.name exact Eve"]);
    check("patient.birthdate:ge=1970", &["- patient.birthdate ge 1970"]);
    check("http://x.org:8080/sp=b", &["- http://x.org:8080/sp - b"]);
    check("hub.event=open", &["- hub.event - open"]);
    check("name=a\\,b,c", &["- name - a\\,b,c"]);
}

#[test]
fn an_id_is_read_as_the_parameter_id() {
    check("Patient?id=Patient/123", &["Patient _id - Patient/123"]);
    check("id=1,Patient/2", &["- _id - 1,Patient/2"]);
    // No id of a Patient: refused where the filter is compiled.
    check("Patient?id=Practitioner/1", &["Patient _id - Practitioner/1"]);
    check("_id=Patient/1", &["- _id - Patient/1"]);
}

#[test]
fn what_is_no_filter_is_refused_and_never_dropped() {
    let cases = [
        ("", "InvalidElement"),
        ("Encounter", "InvalidElement"),
        ("Encounter?", "InvalidElement"),
        ("&", "InvalidElement"),
        ("patient=", "InvalidElement"),
        ("=x", "InvalidElement"),
        ("Encounter?=x", "InvalidElement"),
        ("Encounter?status", "InvalidElement"),
        ("Encounter?status=a&class", "InvalidElement"),
        ("Unknown?status=a", "InvalidElement"),
        ("encounter?status=a", "InvalidElement"),
        ("status:nope=a", "UnsupportedModifier"),
        ("status=a%00b", "InvalidElement"),
        ("date:gt=lt2000", "InvalidElement"),
        ("subject:Patient=Group/5", "InvalidElement"),
        ("subject:Patient=1,Group/5", "InvalidElement"),
        ("subject:Patient=http://x/Group/5", "InvalidElement"),
        ("subject:Patient=urn:uuid:5", "InvalidElement"),
    ];
    for (text, code) in cases {
        assert_eq!(told(&parse(text).1), [format!("{code} f")], "{text}");
    }
    let long = format!("name={}", "x".repeat(FILTER_BYTES_MAX));
    assert_eq!(told(&parse(&long).1), ["OutOfBounds f"]);
}

proptest! {
    #[test]
    fn any_text_gives_filters_or_an_issue(text in "[A-Za-z?.:=&%,|/\\\\0-9é\u{0}]{0,40}") {
        let (filters, issues) = parse(&text);
        prop_assert!(issues.has_errors() || !filters.is_empty());
    }
}
