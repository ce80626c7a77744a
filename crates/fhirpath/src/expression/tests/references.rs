//! References: what is answered without a look-up, what is asked for, and what is missing.

use std::cell::RefCell;

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::{Value, json};

use super::show;
use crate::{Context, EvaluationError, Expression, Resolution, Resolver, Scope};

/// Knows one patient, knows that another is none, and keeps what it was asked.
struct Known {
    patient: Value,
    asked: RefCell<Vec<String>>,
}

impl<'a> Resolver<'a> for &'a Known {
    fn resolve(&self, reference: &str) -> Resolution<'a> {
        self.asked.borrow_mut().push(reference.to_owned());
        match reference {
            "Patient/1" => Resolution::Found(&self.patient),
            "Patient/none" => Resolution::NotFound,
            _ => Resolution::Missing,
        }
    }
}

fn check(source: &str, expect: Result<&[&str], &[&str]>, asked: &[&str]) {
    let list = json!({
        "resourceType": "List",
        "contained": [{"resourceType": "Device", "id": "d", "status": "active"}],
        "subject": {"reference": "Patient/1"},
        "source": {"reference": "#d"},
        "encounter": {"identifier": {"value": "5"}, "type": "Encounter"},
        "entry": [
            {"item": {"reference": "Patient/none"}},
            {"item": {"reference": "https://example.org/fhir/Observation/5/_history/2"}},
            {"item": {"reference": "urn:uuid:5"}},
            {"item": {"display": "nothing"}},
        ],
    });
    let known = Known {
        patient: json!({"resourceType": "Patient", "gender": "male"}),
        asked: RefCell::default(),
    };
    let scope = Scope::new(Definitions::of(FhirVersion::R4B)).root("List");
    let expression = Expression::compile(source, &scope).unwrap_or_else(|e| panic!("{e}"));
    let resolver = &known;
    let context = Context { resolver: &resolver, ..Context::new(Some(&list), "List") };
    let found =
        expression.evaluate(&context).map(|found| found.iter().map(show).collect::<Vec<_>>());
    match (found, expect) {
        (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{source}"),
        (Err(EvaluationError::Missing(found)), Err(expect)) => {
            assert_eq!(found, expect, "{source}")
        }
        (found, _) => panic!("{source}: {found:?}"),
    }
    assert_eq!(*known.asked.borrow(), asked, "{source}");
}

#[test]
fn the_type_of_a_reference_is_read_off_it() {
    check("List.subject.where(resolve() is Patient).exists()", Ok(&["true"]), &[]);
    check("List.subject.where(resolve() is Group).exists()", Ok(&["false"]), &[]);
    check("subject.resolve().is(Patient)", Ok(&["true"]), &[]);
    check("subject.resolve() is Resource", Ok(&["true"]), &[]);
    check("encounter.resolve() is Encounter", Ok(&["true"]), &[]);
    check("entry[1].item.resolve() is Observation", Ok(&["true"]), &[]);
    check("source.resolve() is Device", Ok(&["true"]), &[]);
    check("subject.reference.resolve() is Patient", Ok(&["true"]), &[]);
    check("subject.resolve().ofType(Group).id", Ok(&[]), &[]);
    check("(subject.resolve() as Device).status", Ok(&[]), &[]);
}

#[test]
fn what_is_behind_a_reference_is_asked_for() {
    check("subject.resolve().gender", Ok(&["male"]), &["Patient/1"]);
    check("subject.resolve().ofType(Patient).gender", Ok(&["male"]), &["Patient/1"]);
    check("source.resolve().status", Ok(&["active"]), &[]);
    check("entry[0].item.resolve().gender", Ok(&[]), &["Patient/none"]);
    check("entry[3].item.resolve()", Ok(&[]), &[]);
    check("subject.exists() and subject.resolve().gender = 'male'", Ok(&["true"]), &["Patient/1"]);
}

#[test]
fn what_is_missing_is_listed_once_each() {
    let missing = ["https://example.org/fhir/Observation/5/_history/2", "urn:uuid:5"];
    check("entry.item.resolve().id", Err(&missing), &["Patient/none", missing[0], missing[1]]);
    check(
        "entry[2].item.resolve().id | entry[2].item.resolve().meta",
        Err(&["urn:uuid:5"]),
        &["urn:uuid:5", "urn:uuid:5"],
    );
    check("entry[2].item.resolve() is Patient", Err(&["urn:uuid:5"]), &["urn:uuid:5"]);
    // Without the resource an error means nothing.
    check("entry[2].item.resolve().id + ('a' | 'b')", Err(&["urn:uuid:5"]), &["urn:uuid:5"]);
}

#[test]
fn what_an_expression_asks_for_is_known_however_it_is_written() {
    let names = [("previous", Some("Encounter"))];
    let scope = Scope::new(Definitions::of(FhirVersion::R5)).variables(&names).root("Encounter");
    for (source, expected) in [
        ("%previous.status = 'planned'", true),
        (r"%`pre\u0076ious`.status = 'planned'", true),
        ("status = '%previous'", false),
    ] {
        let expression = Expression::compile(source, &scope).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(expression.asks_for("previous"), expected, "{source}");
    }
}

#[test]
fn a_contained_resource_is_the_one_of_the_resource_that_refers_to_it() {
    let encounter = |gender: &str| {
        json!({
            "resourceType": "Encounter",
            "contained": [{"resourceType": "Patient", "id": "p", "gender": gender}],
            "subject": {"reference": "#p"},
        })
    };
    let (before, after) = (encounter("male"), encounter("female"));
    let bare = json!({"resourceType": "Encounter", "subject": {"reference": "#p"}});
    let bundle =
        json!({"resourceType": "Bundle", "entry": [{"resource": before}, {"resource": after}]});
    let check = |source: &str, root: &'static str, states: [&Value; 2], expected: &str| {
        let [previous, current] = states;
        let names = [("previous", Some(root)), ("current", Some(root))];
        let scope = Scope::new(Definitions::of(FhirVersion::R5)).variables(&names).root(root);
        let expression = Expression::compile(source, &scope).unwrap_or_else(|e| panic!("{e}"));
        let variables = [("previous", Some(previous)), ("current", Some(current))];
        let context = Context { variables: &variables, ..Context::new(Some(current), root) };
        let found = expression.evaluate(&context).unwrap();
        assert_eq!(found.iter().map(show).collect::<Vec<_>>(), [expected], "{source}");
    };
    for (source, expected) in [
        ("%previous.subject.resolve().gender", "male"),
        ("%previous.subject.reference.resolve().gender", "male"),
        ("%current.subject.resolve().gender", "female"),
        ("subject.resolve().gender", "female"),
    ] {
        check(source, "Encounter", [&before, &after], expected);
    }
    check("%previous.subject.resolve().exists().not()", "Encounter", [&before, &bare], "false");
    check("%current.subject.resolve().exists().not()", "Encounter", [&before, &bare], "true");
    let entry = "entry[1].resource.ofType(Encounter).subject.resolve().gender";
    check(entry, "Bundle", [&bundle, &bundle], "female");
}

#[test]
fn a_contained_resource_of_one_that_was_resolved_is_found_in_that_one() {
    let patient = json!({
        "resourceType": "Patient", "managingOrganization": {"reference": "#o"},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "theirs"}],
    });
    let list = json!({
        "resourceType": "List", "subject": {"reference": "Patient/1"},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "ours"}],
    });
    let known = Known { patient, asked: RefCell::default() };
    let scope = Scope::new(Definitions::of(FhirVersion::R4B)).root("List");
    let source = "subject.resolve().ofType(Patient).managingOrganization.resolve().ofType(Organization).name";
    let expression = Expression::compile(source, &scope).unwrap_or_else(|e| panic!("{e}"));
    let resolver = &known;
    let context = Context { resolver: &resolver, ..Context::new(Some(&list), "List") };
    let found = expression.evaluate(&context).unwrap();
    assert_eq!(found.iter().map(show).collect::<Vec<_>>(), ["theirs"]);
}
