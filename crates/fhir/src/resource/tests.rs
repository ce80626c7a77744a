//! Tests of the first look at a resource.

use proptest::prelude::*;

use super::*;
use crate::test_data::{shared_files, told};

fn check(text: &str, expected: &[&str]) {
    let found = parse_resource(FhirVersion::R4, text.as_bytes());
    let found = found.map_or_else(|issues| told(&issues), |_| Vec::new());
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_resource_has_a_known_type_and_a_right_id() {
    check(r#"{"resourceType":"Patient"}"#, &[]);
    check(r#"{"resourceType":"Patient","id":"a-1.B"}"#, &[]);
    check("[]", &["WrongResourceType -"]);
    check("{}", &["WrongResourceType resourceType"]);
    check(r#"{"resourceType":7}"#, &["WrongResourceType resourceType"]);
    check(r#"{"resourceType":"patient"}"#, &["WrongResourceType resourceType"]);
    check(r#"{"resourceType":"DomainResource"}"#, &["WrongResourceType resourceType"]);
    check(r#"{"resourceType":"HumanName"}"#, &["WrongResourceType resourceType"]);
    check(r#"{"resourceType":"SubscriptionTopic"}"#, &["WrongResourceType resourceType"]);
    check(r#"{"resourceType":"Patient","id":""}"#, &["InvalidId Patient.id"]);
    check(r#"{"resourceType":"Patient","id":"a/b"}"#, &["InvalidId Patient.id"]);
    check(
        r#"{"resourceType":"Patient","id":1,"meta":[]}"#,
        &["InvalidId Patient.id", "InvalidElement Patient.meta"],
    );
    let long = format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "x".repeat(65));
    check(&long, &["InvalidId Patient.id"]);
    check("{", &["NotJson -"]);
}

#[test]
fn hl7s_examples_are_resources() {
    for (version, folder) in [
        (FhirVersion::R4, "examples/R4/Patient"),
        (FhirVersion::R4B, "examples/R4B/SubscriptionTopic"),
        (FhirVersion::R5, "examples/R5/Subscription"),
    ] {
        for (path, bytes) in shared_files(folder, "") {
            let parsed = parse_resource(version, &bytes).unwrap();
            assert!(parsed.id.is_some(), "{path:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_resource_or_an_issue(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(issues) = parse_resource(FhirVersion::R5, &bytes) {
            prop_assert!(issues.has_errors());
        }
    }
}
