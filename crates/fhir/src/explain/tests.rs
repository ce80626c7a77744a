//! Tests of `$explain` on the wire.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::test_data::{arbitrary_value, told};

fn read(parameters: Value) -> Result<ExplainInput, Vec<String>> {
    let body = json!({ "resourceType": "Parameters", "parameter": parameters });
    parse_explain(Some(&body), &[]).map_err(|issues| told(&issues))
}

#[test]
fn a_change_is_given_by_its_states_by_reference_or_as_the_newest() {
    let encounter = json!({ "resourceType": "Encounter" });
    let states = read(json!([{ "name": "current", "resource": encounter }]));
    assert!(states == Ok(ExplainInput::States { previous: None, current: Some(encounter) }));
    for value in [
        json!({"name": "focus", "valueReference": {"reference": "Encounter/1"}}),
        json!({"name": "focus", "valueString": "Encounter/1"}),
    ] {
        assert!(read(json!([value])) == Ok(ExplainInput::Focus("Encounter/1".to_owned())));
    }
    for value in [
        json!({"name": "changes", "valueInteger": 7}),
        json!({"name": "changes", "valueString": "7"}),
    ] {
        assert!(read(json!([value])) == Ok(ExplainInput::Changes(7)));
    }
    let query = [("changes".to_owned(), "7".to_owned())];
    assert!(parse_explain(None, &query) == Ok(ExplainInput::Changes(7)));
}

#[test]
fn anything_else_is_refused_at_its_place() {
    let state = json!({ "name": "current", "resource": { "resourceType": "Encounter" } });
    for (parameters, at) in [
        (json!([state, state]), "InvalidParameter Parameters.parameter[1]"),
        (
            json!([state, { "name": "changes", "valueInteger": 1 }]),
            "InvalidParameter Parameters.parameter",
        ),
        (
            json!([{ "name": "changes", "valueInteger": 0 }]),
            "InvalidParameter Parameters.parameter[0]",
        ),
        (
            json!([{ "name": "changes", "valueInteger": 1_001 }]),
            "InvalidParameter Parameters.parameter[0]",
        ),
        (
            json!([{ "name": "current", "valueString": "x" }]),
            "InvalidParameter Parameters.parameter[0]",
        ),
        (
            json!([{ "name": "focus", "valueReference": {} }]),
            "InvalidParameter Parameters.parameter[0]",
        ),
        (
            json!([{ "name": "fokus", "valueString": "x" }]),
            "InvalidParameter Parameters.parameter[0]",
        ),
        (json!([{ "name": "focus" }]), "InvalidElement Parameters.parameter[0]"),
    ] {
        assert!(read(parameters.clone()) == Err(vec![at.to_owned()]), "{parameters}");
    }
    assert_eq!(
        told(&parse_explain(None, &[]).err().unwrap()),
        ["InvalidParameter Parameters.parameter"]
    );
}

proptest! {
    #[test]
    fn reading_any_input_never_panics(parameter in arbitrary_value()) {
        drop(read(json!([parameter])));
    }
}
