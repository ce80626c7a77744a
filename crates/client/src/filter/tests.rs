use super::*;

#[test]
fn the_texts_of_the_guide_and_of_other_servers_are_read_and_written() {
    for (text, resource_type, parameter, modifier, value) in [
        ("Encounter?patient=Patient/123", Some("Encounter"), "patient", None, "Patient/123"),
        ("Encounter.patient=Patient/123", Some("Encounter"), "patient", None, "Patient/123"),
        ("patient=Patient/1,Patient/2", None, "patient", None, "Patient/1,Patient/2"),
        ("code:in=http://v?a=b", None, "code", Some("in"), "http://v?a=b"),
        ("date=ge2024-01-01", None, "date", None, "ge2024-01-01"),
        ("?patient=Patient/1", None, "patient", None, "Patient/1"),
        ("code=a%26b%25%2Cc%2B%C3%BC%20d", None, "code", None, "a&b%,c+ü d"),
        ("code=a%zz%FF", None, "code", None, "a%zz%FF"),
        ("http://v?p%3Dq=x", None, "http://v?p=q", None, "x"),
        ("patient.name=x", None, "patient.name", None, "x"),
        ("patient:Patient.name=x", None, "patient:Patient.name", None, "x"),
        (
            "Observation?code=http://loinc.org|1-8",
            Some("Observation"),
            "code",
            None,
            "http://loinc.org|1-8",
        ),
    ] {
        let read: Filter = text.parse().expect("a filter");
        let expect = Filter {
            resource_type: resource_type.map(str::to_owned),
            parameter: parameter.to_owned(),
            modifier: modifier.map(str::to_owned),
            comparator: None,
            value: value.to_owned(),
        };
        assert_eq!(read, expect, "{text}");
        assert_eq!(read.to_string().parse(), Ok(expect.clone()), "{text}");
        assert_eq!(Filter::from_r5(&read.r5()), Some(expect), "{text}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    for text in ["", "patient", "=x", "patient=", "?", "a:=b", "&", "a=b&c"] {
        assert_eq!(Filter::list(text), Err(InvalidFilter), "{text}");
    }
    assert_eq!("a=b&c=d".parse::<Filter>(), Err(InvalidFilter), "they are two");
}

#[test]
fn a_text_may_hold_several_filters() {
    for (text, expect) in [
        ("Encounter?a=1&b:not=2", vec!["Encounter?a=1", "Encounter?b:not=2"]),
        ("Encounter.a=1&b=2", vec!["Encounter?a=1", "b=2"]),
        ("a=1%26b=2&&c=urn:x|3", vec!["a=1%26b=2", "c=urn:x|3"]),
    ] {
        let filters = Filter::list(text).expect(text);
        assert_eq!(filters.iter().map(Filter::to_string).collect::<Vec<_>>(), expect, "{text}");
    }
}

#[test]
fn a_comparator_of_r5_begins_the_value_in_text() {
    let element = serde_json::json!({
        "resourceType": "http://hl7.org/fhir/StructureDefinition/Encounter",
        "filterParameter": "date", "comparator": "ge", "value": "2024",
    });
    let filter = Filter::from_r5(&element).expect("a filter");
    assert_eq!(filter.to_string(), "Encounter?date=ge2024");
}
