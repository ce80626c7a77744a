//! Chains and `_has`: which names are taken, and what other resources decide.

use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use serde_json::{Value, json};

use crate::tests::{matches, matches_among, refused, scope};
use crate::{Criterion, Lookup, Need, PATH_LENGTH_MAX, ProblemKind, ResourceValues};

fn world() -> Vec<Value> {
    vec![
        json!({
            "resourceType": "Patient", "id": "eve", "gender": "female", "birthDate": "1974-12-25",
            "name": [{"family": "Adams"}], "managingOrganization": {"reference": "Organization/acme"}
        }),
        json!({"resourceType": "Patient", "id": "bob", "gender": "male"}),
        json!({"resourceType": "Group", "id": "g", "type": "person", "code": {"text": "x"}}),
        json!({
            "resourceType": "Organization", "id": "acme", "name": "Acme",
            "partOf": {"reference": "Organization/holding"}
        }),
        json!({"resourceType": "Organization", "id": "holding", "name": "Holding"}),
        json!({
            "resourceType": "Observation", "id": "o1", "status": "final",
            "subject": {"reference": "Patient/eve"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "1234-5"}]}
        }),
        json!({
            "resourceType": "Observation", "id": "o2", "status": "preliminary",
            "subject": {"reference": "http://example.org/fhir/Patient/bob"},
            "code": {"coding": [{"code": "9"}]}
        }),
        json!({
            "resourceType": "Observation", "id": "broken", "status": "final",
            "subject": {"reference": "Patient/sick"}, "effectiveDateTime": "no date"
        }),
    ]
}

fn check(resource: &Value, query: &str, expected: bool) {
    let found = matches_among(FhirVersion::R4, &world(), resource, query);
    assert_eq!(found, Ok(expected), "{query}");
}

fn encounter(subject: &str) -> Value {
    json!({"resourceType": "Encounter", "id": "e", "subject": {"reference": subject}})
}

fn patient(id: &str) -> Value {
    json!({"resourceType": "Patient", "id": id})
}

#[test]
fn a_chain_asks_what_is_referred_to() {
    let eve = encounter("Patient/eve");
    check(&eve, "patient.gender=female", true);
    check(&eve, "patient.gender=male", false);
    check(&eve, "patient.gender=male,female", true);
    check(&eve, "patient.gender:not=male", true);
    check(&eve, "patient.birthdate=lt1980", true);
    check(&eve, "patient.birthdate:missing=true", false);
    check(&eve, "patient.name:exact=Adams", true);
    check(&eve, "patient.name:exact=adams", false);
    check(&eve, "patient._id=eve", true);
    check(&eve, "subject:Patient.name=ada", true);
    check(&eve, "subject:Group.identifier:missing=true", false);
    check(&eve, "subject.gender=female", true);
    check(&eve, "patient.organization.name=acme", true);
    check(&eve, "patient.organization.partof.name=holding", true);
    check(&eve, "patient.organization.partof.name=acme", false);
    check(&eve, "patient.gender=female&patient.organization.name=acme", true);
    check(&encounter("http://example.org/fhir/Patient/eve"), "patient.gender=female", true);
    check(&encounter("Patient/eve/_history/3"), "patient.gender=female", true);
}

#[test]
fn what_is_not_there_never_fits() {
    for subject in ["Patient/nobody", "http://other.org/Patient/eve", "#p", "urn:uuid:1", "Group/g"]
    {
        for query in
            ["patient.gender=female", "patient.gender:not=male", "patient.gender:missing=true"]
        {
            check(&encounter(subject), query, false);
        }
    }
    let nobody = json!({"resourceType": "Encounter", "id": "e"});
    check(&nobody, "patient.gender:missing=true", false);
}

#[test]
fn has_asks_who_refers_to_a_resource() {
    check(&patient("eve"), "_has:Observation:patient:code=1234-5", true);
    check(&patient("eve"), "_has:Observation:patient:code=http://loinc.org|1234-5", true);
    check(&patient("eve"), "_has:Observation:patient:code=9", false);
    check(&patient("bob"), "_has:Observation:patient:code=9", true);
    check(&patient("bob"), "_has:Observation:patient:code=1234-5,9", true);
    check(&patient("eve"), "_has:Observation:patient:status:not=final", false);
    check(&patient("bob"), "_has:Observation:patient:status:not=final", true);
    check(&patient("nobody"), "_has:Observation:patient:status:not=final", false);
    check(
        &json!({"resourceType": "Organization", "id": "acme"}),
        "_has:Patient:organization:_has:Observation:patient:code=1234-5",
        true,
    );
    check(&encounter("Patient/eve"), "patient._has:Observation:patient:code=1234-5", true);
    check(&encounter("Patient/bob"), "patient._has:Observation:patient:code=1234-5", false);
    check(&patient("bob"), "_has:Observation:patient:patient.gender=male", true);
}

#[test]
fn what_cannot_be_read_in_another_resource_is_a_problem_unless_one_decides() {
    let sick = patient("sick");
    let problem =
        matches_among(FhirVersion::R4, &world(), &sick, "_has:Observation:patient:date=gt2020");
    assert_eq!(problem.unwrap_err().kind(), &ProblemKind::Malformed("dateTime"));
    check(&sick, "_has:Observation:patient:status=final", true);
    check(&sick, "_has:Observation:patient:date=gt2020&gender=male", false);
}

#[test]
fn nothing_is_said_before_it_was_looked_up() {
    let scope = scope(FhirVersion::R4);
    let encounter = encounter("Patient/eve");
    let values = ResourceValues::new(scope, "Encounter", &encounter);
    let criterion =
        Criterion::new(&scope, "Encounter", "patient.gender", Some("not"), None, "male").unwrap();
    let mut lookup = Lookup::new(scope);
    let need = Need::Resource("Patient/eve".into());
    let problem = criterion.matches(&values, &lookup).unwrap_err();
    assert_eq!(problem.missing(), std::slice::from_ref(&need));
    assert!(!format!("{problem} {problem:?} {need:?}").contains("eve"));
    lookup.insert_unavailable(need.clone(), "the store is away");
    let problem = criterion.matches(&values, &lookup).unwrap_err();
    assert_eq!(problem.kind(), &ProblemKind::Unavailable("the store is away"));
    lookup.insert(need, None);
    assert_eq!(criterion.matches(&values, &lookup), Ok(false));
    let mut closed = Lookup::new(scope);
    closed.close("enough");
    let problem = criterion.matches(&values, &closed).unwrap_err();
    assert_eq!(problem.kind(), &ProblemKind::Unavailable("enough"));
    // Another criterion decides, whatever this one's problem.
    let failed = matches(FhirVersion::R4, &encounter, "patient.gender=male&status=planned");
    assert_eq!(failed, Ok(false));
}

#[test]
fn different_questions_about_who_refers_are_different_needs() {
    let scope = scope(FhirVersion::R4);
    let patient = patient("eve");
    let values = ResourceValues::new(scope, "Patient", &patient);
    let need = |name: &str, modifier, value: &str| {
        let criterion = Criterion::new(&scope, "Patient", name, modifier, None, value).unwrap();
        let problem = criterion.matches(&values, &Lookup::new(scope)).unwrap_err();
        problem.missing()[0].clone()
    };
    let code = "_has:Observation:patient:code";
    assert_eq!(need(code, None, "1"), need(code, None, "1"));
    assert_ne!(need(code, None, "1"), need(code, None, "2"));
    assert_ne!(need(code, None, "1"), need(code, Some("not"), "1"));
    assert_ne!(need(code, None, "1"), need("_has:Observation:subject:code", None, "1"));
    assert_ne!(
        need("_has:Observation:patient:encounter.status", None, "1"),
        need("_has:Observation:patient:encounter.class", None, "1"),
    );
}

#[test]
fn names_that_lead_nowhere_are_refused() {
    use IssueCode as Code;
    let check =
        |query: &str, code: Code| assert_eq!(refused("Encounter", query), [code], "{query}");
    check("patient.nope=1", Code::UnknownSearchParameter);
    check("nope.gender=1", Code::UnknownSearchParameter);
    check("status.gender=1", Code::InvalidSearchValue);
    check("service-provider:Patient.identifier=1", Code::InvalidSearchValue);
    check("patient:Nope.identifier=1", Code::UnknownSearchParameter);
    check("patient.=1", Code::UnknownSearchParameter);
    check(".gender=1", Code::UnknownSearchParameter);
    check("patient.gender:exact=1", Code::UnsupportedModifier);
    check("patient.gender=", Code::InvalidSearchValue);
    check("patient.organization.partof.partof.name=x", Code::OutOfBounds);
    check("_has=1", Code::UnknownSearchParameter);
    check("_has:Observation=1", Code::UnsupportedSearch);
    check("_has:Observation:encounter=1", Code::UnsupportedSearch);
    check("_has:Nope:encounter:code=1", Code::UnknownSearchParameter);
    check("_has:Observation:nope:code=1", Code::UnknownSearchParameter);
    check("_has:Observation:patient:code=1", Code::InvalidSearchValue);
    check("_has:Observation:encounter:nope=1", Code::UnknownSearchParameter);
    check(&format!("{}=1", "patient.".repeat(200)), Code::OutOfBounds);
    assert_eq!(refused("Provenance", "target:Patient.name=x"), []);
    assert_eq!(PATH_LENGTH_MAX, 3);
}
