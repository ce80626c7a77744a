use cresset_definitions::FhirVersion;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::tests::{check, refused, scope};

#[test]
fn a_query_may_begin_with_its_type_and_no_other() {
    let encounter = json!({"resourceType": "Encounter", "status": "planned"});
    for query in [
        "status=planned",
        "?status=planned",
        "Encounter?status=planned",
        "status=planned&",
        "&status=planned",
    ] {
        check(&encounter, query, true);
    }
    for query in [
        "Patient?status=planned",
        "/Encounter?status=planned",
        "http://x/Encounter?status=planned",
        "",
        "?",
        "&",
        "Encounter?",
        "Encounter",
        "status",
        "status&status=planned",
    ] {
        let codes = refused("Encounter", query);
        assert!(codes.contains(&IssueCode::InvalidSearchValue), "{query}: {codes:?}");
    }
}

#[test]
fn a_parameter_may_be_named_by_its_url() {
    let observation = json!({"resourceType": "Observation", "subject": {"reference": "Patient/1"}});
    let url = "http://hl7.org/fhir/SearchParameter/clinical-patient";
    check(&observation, &format!("{url}=Patient/1"), true);
    check(&observation, &format!("{url}:missing=true"), false);
    check(&observation, &format!("{}:missing=true", url.replace(':', "%3A")), false);
}

#[test]
fn encoded_and_plain_queries_mean_the_same() {
    let encounter = json!({
        "resourceType": "Encounter", "status": "planned",
        "type": [{"coding": [{"system": "a", "code": "b?c=d&e"}]}],
        "period": {"start": "2024-01-01T10:00:00+02:00"}
    });
    check(&encounter, "type:not=a%7Cb", true);
    check(&encounter, "type%3Anot=a|b", true);
    check(&encounter, "type=a%7Cb%3fc%3Dd%26e", true);
    check(&encounter, "type=a|b?c=d%26e", true);
    check(&encounter, "date=ge2024-01-01T10:00:00+02:00", true);
    check(&encounter, "date=ge2024-01-01T10:00:00%2B02:00", true);
    check(&encounter, "date=sa2024-01-01T09:59:59+02:00", true);
    assert_eq!(refused("Encounter", "type=%ff"), [IssueCode::InvalidSearchValue]);
}

#[test]
fn a_parameter_given_twice_must_hold_twice() {
    let encounter = json!({"resourceType": "Encounter", "status": "planned"});
    check(&encounter, "status=planned&status=planned,arrived", true);
    check(&encounter, "status=planned&status=arrived", false);
}

#[test]
fn length_and_number_of_parameters_are_bounded() {
    let many = |count| vec!["status=planned"; count].join("&");
    assert_eq!(refused("Encounter", &many(CRITERIA_COUNT_MAX)), []);
    assert_eq!(refused("Encounter", &many(CRITERIA_COUNT_MAX + 1)), [IssueCode::OutOfBounds]);
    let long = format!("status={}", "x".repeat(CRITERIA_BYTES_MAX));
    assert_eq!(refused("Encounter", &long), [IssueCode::OutOfBounds]);
}

proptest! {
    #[test]
    fn any_query_is_compiled_or_refused(
        query in "(Patient\\?)?([a-z_]{1,6}(:[a-z]{1,6})?=[^&]{0,10}&){0,3}|.{0,40}"
    ) {
        for version in FhirVersion::ALL {
            if let Err(issues) = Criteria::parse(&scope(version), "Patient", &query) {
                prop_assert!(issues.has_errors());
            }
        }
    }

    #[test]
    fn any_value_of_any_parameter_is_compiled_or_refused(
        index in any::<proptest::sample::Index>(),
        modifier in proptest::option::of(proptest::sample::select(vec![
            "missing", "not", "exact", "contains", "text", "identifier", "type", "Patient",
            "of-type", "above", "below", "code-text",
        ])),
        value in "(eq|ge|ap)?[-+.0-9a-zA-Z|,$\\\\:/%#é ]{0,20}",
    ) {
        let scope = scope(FhirVersion::R5);
        let all: Vec<_> = scope.parameters.of_type("Observation").collect();
        let parameter = index.get(&all);
        let new = Criterion::new(&scope, "Observation", parameter.code(), modifier, None, &value);
        if let Err(issues) = new {
            prop_assert!(issues.has_errors());
        }
    }
}
