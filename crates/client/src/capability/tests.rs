use serde_json::json;

use super::*;
use crate::shared_data::shared;

#[test]
fn a_statement_tells_version_topics_and_operations_however_they_are_named() {
    let statement = json!({
        "resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"],
        "software": {"name": "s", "version": "1"},
        "rest": [
            {"mode": "client", "resource": [{"type": "Subscription", "operation": [{"name": "no"}]}]},
            {"mode": "server", "resource": [{
                "type": "Subscription",
                "extension": [
                    {"url": TOPIC, "valueCanonical": "http://t/1"}, {"url": "other", "valueUri": "http://t/2"},
                ],
                "interaction": [{"code": "create"}],
                "operation": [{"name": "$status"}, {"name": "events"}],
            }]},
        ],
    });
    let read = Capabilities::parse(&statement).expect("a statement");
    assert_eq!(read.version, FhirVersion::R4);
    assert_eq!(read.software.as_deref(), Some("s 1"));
    assert_eq!(read.topics, ["http://t/1".to_owned()].into());
    assert_eq!(read.operations, ["events".to_owned(), "status".to_owned()].into());
    assert_eq!(read.interactions, ["create".to_owned()].into());
}

#[test]
fn the_guides_statements_are_read() {
    let server = "CapabilityStatement-backport-subscription-server";
    for (name, version, has_topics) in [
        (format!("{server}.json"), FhirVersion::R4B, false),
        (format!("{server}-r4.json"), FhirVersion::R4, false),
        (
            "CapabilityStatement-r4-capabilitystatement-example-server.json".to_owned(),
            FhirVersion::R4,
            true,
        ),
    ] {
        let Some(statement) = shared(&format!("ig-1.1.0/r4b/{name}")) else { return };
        let read = Capabilities::parse(&statement).expect(&name);
        assert_eq!((read.version, !read.topics.is_empty()), (version, has_topics), "{name}");
        assert!(read.operations.contains("status"), "{name}");
    }
}

#[test]
fn other_resources_and_versions_are_refused() {
    for (statement, expect) in [
        (json!({"resourceType": "Patient"}), "/metadata is no CapabilityStatement"),
        (
            json!({"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"}),
            "its FHIR version is not R4, R4B or R5",
        ),
    ] {
        let error = Capabilities::parse(&statement).expect_err("refused");
        assert!(matches!(error, Error::Answer(told) if told == expect), "{error}");
    }
}
