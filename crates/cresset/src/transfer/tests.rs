use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_topic_is_converted_between_all_versions() {
    let original = json!({
        "resourceType": "SubscriptionTopic", "id": "t", "url": "http://example.org/t", "status": "active",
        "resourceTrigger": [{
            "resource": "http://hl7.org/fhir/StructureDefinition/Encounter", "supportedInteraction": ["create"],
        }],
        "canFilterBy": [{"resource": "Encounter", "filterParameter": "patient"}],
    });
    for version in FhirVersion::ALL {
        let there = topic(version, &original).unwrap();
        assert_eq!(there["resourceType"], version.topic_type());
        let back = topic(FhirVersion::R5, &there).unwrap();
        assert_eq!(back["url"], original["url"], "{version}");
        assert_eq!(back["resourceTrigger"][0]["supportedInteraction"][0], "create", "{version}");
        assert_eq!(back["id"], "t");
    }
    assert!(topic(FhirVersion::R5, &json!({"resourceType": "Patient", "id": "p"})).is_err());
}

#[test]
fn a_subscription_begins_anew_under_an_id_of_the_servers() {
    let original = Subscription {
        id: Some("old".to_owned()),
        status: SubscriptionStatus::Active,
        ..Subscription::rest_hook("http://example.org/t", "https://example.org/hook")
    };
    let resource = original.render(FhirVersion::R4);
    let converted = subscription(FhirVersion::R4, FhirVersion::R5, &resource).unwrap();
    assert_eq!((&converted["id"], &converted["status"]), (&Value::Null, &json!("requested")));
    assert_eq!(converted["topic"], "http://example.org/t");
}

#[test]
fn a_subscription_stays_what_it_is_where_its_form_is_the_same() {
    let original = json!({
        "resourceType": "Subscription", "id": "old", "status": "error", "error": "HTTP 503",
        "extension": [{"url": "http://example.org/own", "valueInteger": 1}],
        "criteria": "Encounter?status=in-progress", "channel": {"type": "rest-hook"},
    });
    let kept = subscription(FhirVersion::R4, FhirVersion::R4B, &original).unwrap();
    let expect = json!({
        "resourceType": "Subscription", "status": "requested",
        "extension": [{"url": "http://example.org/own", "valueInteger": 1}],
        "criteria": "Encounter?status=in-progress", "channel": {"type": "rest-hook"},
    });
    assert_eq!(kept, expect);
    let problem = subscription(FhirVersion::R4, FhirVersion::R5, &original).unwrap_err();
    assert!(problem.contains("criteria"), "{problem}");
}

#[test]
fn a_new_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    write(&file, "{}").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn only_what_was_exported_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    fs::write(&file, r#"{"resourceType": "Bundle", "entry": []}"#).unwrap();
    assert!(read(&file).is_err());
    let tag = json!({ "system": VERSION_TAG, "code": "4.3" });
    let bundle = json!({ "resourceType": "Bundle", "meta": { "tag": [tag] } });
    fs::write(&file, bundle.to_string()).unwrap();
    assert_eq!(read(&file).unwrap(), (FhirVersion::R4B, Vec::new()));
}
