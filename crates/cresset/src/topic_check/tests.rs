//! What a check prints, and how it ends.

use std::io::Write as _;

use super::*;

fn checks<'p>(files: &[(&'p str, &str)]) -> Vec<(&'p Path, Result<TopicCheck, String>)> {
    let checked =
        files.iter().map(|(name, text)| (Path::new(*name), Ok(check_topic(text.as_bytes(), &[]))));
    checked.collect()
}

const GOOD: &str = r#"{"resourceType": "SubscriptionTopic", "url": "http://x", "status": "active",
    "resourceTrigger": [{"resource": "Encounter"}]}"#;
const WARNED_OF: &str = r#"{"resourceType": "SubscriptionTopic", "url": "http://x", "status": "active",
    "resourceTrigger": [{"resource": "Encounter"}],
    "canFilterBy": [{"filterParameter": "nonsense", "comparator": ["eq"]}]}"#;
const BAD: &str = r#"{"resourceType": "SubscriptionTopic", "url": "http://x", "status": "active",
    "resourceTriger": [{"resource": "Encounter"}]}"#;
const BASIC: &str = r#"{"resourceType": "Basic", "extension": [
    {"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.url", "valueUri": "http://x"},
    {"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.resourceTrigger",
     "extension": [{"url": "resource", "valueUri": "Nothing"}]}],
    "modifierExtension": [
    {"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.status", "valueCode": "active"}]}"#;

#[test]
fn the_exit_code_tells_the_worst() {
    for (files, deny, code) in [
        (vec![("a", GOOD)], true, 0),
        (vec![("a", GOOD), ("b", WARNED_OF)], false, 0),
        (vec![("a", GOOD), ("b", WARNED_OF)], true, WARNED),
        (vec![("a", BAD), ("b", WARNED_OF)], true, REFUSED),
        (vec![("a", BASIC)], false, REFUSED),
        (vec![("a", "{")], false, REFUSED),
        (vec![("a", r#"{"resourceType": "Patient"}"#)], false, REFUSED),
    ] {
        assert_eq!(exit_code(&checks(&files), deny), code, "{files:?}");
    }
    assert_eq!(exit_code(&[(Path::new("a"), Err("unreadable".to_owned()))], false), REFUSED);
}

#[test]
fn each_issue_is_told_with_its_file_element_and_versions() {
    let checks = checks(&[("good", GOOD), ("warned", WARNED_OF), ("bad", BAD), ("basic", BASIC)]);
    let text: String =
        checks.iter().map(|(file, check)| shown(Paint::plain(), file, check)).collect();
    assert!(text.starts_with("good (R4B or R5): good\nwarned (R5)\n"), "{text}");
    for part in [
        "  warning S0015 SubscriptionTopic.canFilterBy[0].filterParameter [R5]\n",
        "  error S0005 SubscriptionTopic.resourceTriger [R4B, R5]\n      SubscriptionTopic has no element `resourceTriger`\n",
        "basic (Basic)\n  error S0028 SubscriptionTopic.resourceTrigger[0].resource [R4]\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = as_json(&checks);
    assert_eq!(json[1]["issues"][0]["severity"], "warning");
    assert_eq!(json[1]["issues"][0]["versions"], json!(["r5"]));
    assert_eq!(json[0], json!({ "file": "good", "form": "R4B or R5", "issues": [] }));
    assert!(shown(Paint::colored(), checks[0].0, &checks[0].1).contains("\x1b["));
}

#[test]
fn files_are_read_and_bounded() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(GOOD.as_bytes()).unwrap();
    assert_eq!(read_file(file.path()).unwrap(), GOOD.as_bytes());
    file.as_file().set_len(2 * 1024 * 1024).unwrap();
    assert!(read_file(file.path()).is_err());
}
