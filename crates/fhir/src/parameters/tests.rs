//! Tests of the input of operations (RQ-OP-03).

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::test_data::{arbitrary_value, told};

#[test]
fn values_of_all_primitive_types_are_read_as_text() {
    let value = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "id", "valueId": "a" },
        { "name": "id", "valueString": "b" },
        { "name": "status", "valueCode": "error" },
        { "name": "eventsSinceNumber", "valueInteger64": "7" },
        { "name": "eventsUntilNumber", "valueInteger": 8 },
        { "name": "x", "valueBoolean": true },
        { "name": "y", "valueUri": "http://x" },
    ]});
    let read = parse_parameters(&value).unwrap();
    let read: Vec<_> = read.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        read,
        [
            "id=a",
            "id=b",
            "status=error",
            "eventsSinceNumber=7",
            "eventsUntilNumber=8",
            "x=true",
            "y=http://x"
        ]
    );
    assert!(parse_parameters(&json!({ "resourceType": "Parameters" })).unwrap().is_empty());
}

#[test]
fn what_is_no_primitive_is_refused() {
    let value = json!({ "resourceType": "Parameters", "parameter": [
        { "valueId": "a" }, { "name": "id" }, { "name": "id", "valueCoding": {} }, 7,
    ]});
    assert_eq!(
        told(&parse_parameters(&value).unwrap_err()),
        [
            "InvalidElement Parameters.parameter[3]",
            "MissingElement Parameters.parameter[0].name",
            "InvalidElement Parameters.parameter[1].value",
            "InvalidElement Parameters.parameter[2].value",
        ]
    );
    assert_eq!(
        told(&parse_parameters(&json!({ "resourceType": "Patient" })).unwrap_err()),
        ["WrongResourceType -"]
    );
}

proptest! {
    #[test]
    fn reading_any_parameters_never_panics(parameter in arbitrary_value()) {
        let value = json!({ "resourceType": "Parameters", "parameter": [parameter] });
        drop(parse_parameters(&value));
    }
}
