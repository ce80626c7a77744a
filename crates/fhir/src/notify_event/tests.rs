//! What `$notify-event` takes and answers.

use serde_json::{Value, json};

use super::*;
use crate::test_data::told;

fn parameters(parameters: Value) -> Value {
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

fn coding(system: Option<&str>, code: &str) -> Coding {
    Coding { system: system.map(SmolStr::new), code: code.into() }
}

#[test]
fn an_event_is_a_coding_a_concept_or_a_code() {
    let check = |member: &str, value: Value, expected: &[Coding]| {
        let read = parse_notify_event(&parameters(json!([
            { "name": "event", member: value },
            { "name": "focus", "valueReference": { "reference": "Encounter/1" } },
            { "name": "context", "valueReference": { "reference": "Patient/1" } },
            { "name": "context", "valueString": "Patient/2" },
            { "name": "topic", "valueCanonical": "http://example.org/t|1" },
        ])));
        let expected = NotifyEvent {
            topic: Some(Canonical::new("http://example.org/t|1")),
            event: expected.to_vec(),
            focus: "Encounter/1".to_owned(),
            context: vec!["Patient/1".to_owned(), "Patient/2".to_owned()],
        };
        assert_eq!(read, Ok(expected), "{member}");
    };
    check("valueCode", json!("A01"), &[coding(None, "A01")]);
    let one = json!({ "system": "http://v2", "code": "A01", "display": "Admit" });
    check("valueCoding", one.clone(), &[coding(Some("http://v2"), "A01")]);
    let concept = json!({ "coding": [one, { "code": "x" }], "text": "Admitted" });
    check("valueCodeableConcept", concept, &[coding(Some("http://v2"), "A01"), coding(None, "x")]);
}

#[test]
fn all_that_is_wrong_is_told() {
    let check = |list: Value, expected: &[&str]| {
        assert_eq!(told(&parse_notify_event(&parameters(list)).unwrap_err()), expected);
    };
    let missing = "MissingElement Parameters.parameter";
    check(json!([{ "name": "topic", "valueUri": "http://x" }]), &[missing, missing]);
    let event = json!({ "name": "event", "valueCode": "x" });
    let focus = json!({ "name": "focus", "valueString": "Encounter/1" });
    check(json!([event, focus, focus]), &["InvalidElement Parameters.parameter"]);
    check(
        json!([event, focus, { "name": "other", "valueString": "x" }, { "name": "context" }]),
        &["InvalidParameter Parameters.parameter[2]", "MissingElement Parameters.parameter[3]"],
    );
    let display =
        json!({ "name": "event", "valueCodeableConcept": { "coding": [{ "display": "x" }] } });
    check(json!([display, focus]), &["InvalidElement Parameters.parameter[0]", missing]);
    let mut many = vec![event, focus];
    many.extend(vec![json!({ "name": "context", "valueString": "Patient/1" }); CONTEXTS_MAX + 1]);
    check(json!(many), &["OutOfBounds Parameters.parameter"]);
    assert!(parse_notify_event(&json!({ "resourceType": "Patient" })).is_err());
}
