//! FHIRPath Patch on a Patient: what each operation does, and what is refused.

use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use serde_json::{Value, json};

use super::{OPERATIONS_MAX, apply};

/// An operation of this type; the parts are `name valueX` with their values.
fn operation(kind: &str, path: &str, parts: &[(&str, &str, Value)]) -> Value {
    let mut all = vec![
        json!({"name": "type", "valueCode": kind}),
        json!({"name": "path", "valueString": path}),
    ];
    all.extend(parts.iter().map(|(name, member, value)| json!({"name": name, *member: value})));
    json!({"name": "operation", "part": all})
}

fn patched(resource: &Value, operations: Vec<Value>) -> Result<Value, IssueCode> {
    let patch = json!({"resourceType": "Parameters", "parameter": operations});
    let mut resource = resource.clone();
    let applied = apply(FhirVersion::R4, &mut resource, &patch);
    applied.map(|()| resource).map_err(|issues| issues.0[0].code)
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "active": true,
        "deceasedBoolean": false,
        "name": [
            {"family": "A", "given": ["x", "y"], "_given": [null, {"id": "why"}]},
            {"family": "B"},
        ],
        "identifier": [{"value": "1"}, {"value": "2"}, {"value": "3"}],
    })
}

#[test]
fn the_operations_change_what_their_paths_yield() {
    let cases = [
        (
            operation(
                "add",
                "Patient",
                &[
                    ("name", "valueString", json!("birthDate")),
                    ("value", "valueDate", json!("1930-01-01")),
                ],
            ),
            "/birthDate",
            json!("1930-01-01"),
        ),
        (
            operation(
                "add",
                "Patient.name[1]",
                &[("name", "valueString", json!("given")), ("value", "valueString", json!("z"))],
            ),
            "/name/1/given",
            json!(["z"]),
        ),
        (
            operation(
                "add",
                "Patient",
                &[
                    ("name", "valueString", json!("contact")),
                    (
                        "value",
                        "part",
                        json!([
                            {"name": "name", "valueHumanName": {"text": "Friend"}},
                            {"name": "telecom", "valueContactPoint": {"value": "1"}},
                        ]),
                    ),
                ],
            ),
            "/contact",
            json!([{"name": {"text": "Friend"}, "telecom": [{"value": "1"}]}]),
        ),
        (
            operation(
                "insert",
                "Patient.identifier",
                &[
                    ("index", "valueInteger", json!(1)),
                    ("value", "valueIdentifier", json!({"value": "new"})),
                ],
            ),
            "/identifier",
            json!([{"value": "1"}, {"value": "new"}, {"value": "2"}, {"value": "3"}]),
        ),
        (
            operation("delete", "Patient.name.where(family = 'A')", &[]),
            "/name",
            json!([{"family": "B"}]),
        ),
        (
            operation("replace", "Patient.name[1].family", &[("value", "valueString", json!("C"))]),
            "/name/1/family",
            json!("C"),
        ),
        (
            operation(
                "replace",
                "Patient.deceased",
                &[("value", "valueDateTime", json!("2020-01-01"))],
            ),
            "/deceasedDateTime",
            json!("2020-01-01"),
        ),
        (
            operation(
                "move",
                "Patient.identifier",
                &[("source", "valueInteger", json!(2)), ("destination", "valueInteger", json!(0))],
            ),
            "/identifier",
            json!([{"value": "3"}, {"value": "1"}, {"value": "2"}]),
        ),
        (
            operation(
                "move",
                "Patient.name[0].given",
                &[("source", "valueInteger", json!(1)), ("destination", "valueInteger", json!(0))],
            ),
            "/name/0/_given",
            json!([{"id": "why"}, null]),
        ),
    ];
    for (operation, pointer, wanted) in cases {
        let patched = patched(&patient(), vec![operation.clone()]);
        let patched = patched.unwrap_or_else(|code| panic!("{code:?}: {operation}"));
        assert_eq!(patched.pointer(pointer), Some(&wanted), "{operation}");
    }
}

#[test]
fn the_old_type_of_a_choice_goes_when_another_one_comes() {
    let replace =
        operation("replace", "Patient.deceased", &[("value", "valueDateTime", json!("2020"))]);
    let patched = patched(&patient(), vec![replace]).unwrap();
    assert_eq!(patched.get("deceasedBoolean"), None);
}

#[test]
fn what_is_said_of_a_primitive_goes_with_it() {
    let replace =
        operation("replace", "Patient.name[0].given[1]", &[("value", "valueString", json!("z"))]);
    let replaced = patched(&patient(), vec![replace]).unwrap();
    assert_eq!(replaced["name"][0], json!({"family": "A", "given": ["x", "z"]}));
}

#[test]
fn primitives_with_extensions_only_are_replaced_and_deleted() {
    let unknown = json!({"extension": [{"url": "urn:why", "valueCode": "unknown"}]});
    let resource = json!({
        "resourceType": "Patient",
        "_birthDate": unknown,
        "name": [
            {"given": ["a", null], "_given": [null, unknown]},
            {"_given": [unknown, unknown]},
        ],
    });
    let text = |kind: &str, path: &str, value: &str| {
        operation(kind, path, &[("value", "valueString", json!(value))])
    };
    let mut given = text("add", "Patient.name[1]", "z");
    let name = json!({"name": "name", "valueString": "given"});
    given["part"].as_array_mut().unwrap().push(name);
    for (operation, pointer, wanted) in [
        (
            operation("replace", "Patient.birthDate", &[("value", "valueDate", json!("1970"))]),
            "",
            json!({"resourceType": "Patient", "birthDate": "1970", "name": resource["name"]}),
        ),
        (
            operation("delete", "Patient.birthDate", &[]),
            "",
            json!({"resourceType": "Patient", "name": resource["name"]}),
        ),
        (text("replace", "Patient.name[0].given[1]", "z"), "/name/0", json!({"given": ["a", "z"]})),
        (operation("delete", "Patient.name[0].given[1]", &[]), "/name/0", json!({"given": ["a"]})),
        (
            text("replace", "Patient.name[1].given[0]", "z"),
            "/name/1",
            json!({"given": ["z", null], "_given": [null, unknown]}),
        ),
        (
            operation("delete", "Patient.name[1].given[0]", &[]),
            "/name/1",
            json!({"given": [null], "_given": [unknown]}),
        ),
        (given, "/name/1", json!({"given": [null, null, "z"], "_given": [unknown, unknown]})),
    ] {
        let patched = patched(&resource, vec![operation.clone()]);
        let patched = patched.unwrap_or_else(|code| panic!("{code:?}: {operation}"));
        assert_eq!(patched.pointer(pointer), Some(&wanted), "{operation}");
    }
}

#[test]
fn extensions_of_a_primitive_that_is_put_in_are_refused_rather_than_lost() {
    let value = ("value", "valueString", json!("C"));
    let mut replace = operation("replace", "Patient.name[1].family", &[value]);
    replace["part"][2]["_valueString"] = json!({"id": "x"});
    assert_eq!(patched(&patient(), vec![replace]), Err(IssueCode::PatchNotApplicable));
}

#[test]
fn deleting_the_last_of_a_list_deletes_the_list_and_deleting_nothing_is_no_fault() {
    let operations = vec![
        operation("delete", "Patient.name[1]", &[]),
        operation("delete", "Patient.name[0]", &[]),
        operation("delete", "Patient.photo", &[]),
    ];
    assert_eq!(patched(&patient(), operations).unwrap().get("name"), None);
}

#[test]
fn what_cannot_be_applied_is_told_apart_from_what_is_no_patch() {
    let value = ("value", "valueString", json!("x"));
    let index = ("index", "valueInteger", json!(9));
    for (operation, wanted) in [
        (operation("delete", "Patient.name", &[]), IssueCode::PatchNotApplicable),
        (
            operation("replace", "Patient.photo", std::slice::from_ref(&value)),
            IssueCode::PatchNotApplicable,
        ),
        (
            operation("replace", "Patient", std::slice::from_ref(&value)),
            IssueCode::PatchNotApplicable,
        ),
        (operation("delete", "Patient.name.count()", &[]), IssueCode::PatchNotApplicable),
        (
            operation("insert", "Patient.name", &[index, value.clone()]),
            IssueCode::PatchNotApplicable,
        ),
        (
            operation("insert", "Patient.name[0]", std::slice::from_ref(&value)),
            IssueCode::PatchNotApplicable,
        ),
        (operation("replace", "Patient.active", &[]), IssueCode::InvalidPatch),
        (operation("replace", "Patient.(", std::slice::from_ref(&value)), IssueCode::InvalidPatch),
        (operation("merge", "Patient.active", &[value]), IssueCode::InvalidPatch),
        (json!({"name": "other"}), IssueCode::InvalidPatch),
    ] {
        assert_eq!(patched(&patient(), vec![operation.clone()]), Err(wanted), "{operation}");
    }
    let taken = operation(
        "add",
        "Patient",
        &[("name", "valueString", json!("deceased")), ("value", "valueBoolean", json!(true))],
    );
    assert_eq!(patched(&patient(), vec![taken]), Err(IssueCode::PatchNotApplicable));
}

#[test]
fn operations_are_bounded() {
    let many = vec![operation("delete", "Patient.photo", &[]); OPERATIONS_MAX + 1];
    assert_eq!(patched(&patient(), many), Err(IssueCode::PatchTooCostly));
}

/// Nested extensions, so many.
fn extensions(levels: usize) -> Value {
    (1..levels).fold(json!({"url": "urn:x"}), |inner, _| json!({"extension": [inner]}))
}

#[test]
fn operations_together_nest_no_deeper_than_a_body_may() {
    let deepest = "Patient.repeat(extension).last()";
    let add = |path: &str| {
        let name = ("name", "valueString", json!("extension"));
        operation("add", path, &[name, ("value", "valueExtension", extensions(28))])
    };
    let mut deeper = vec![add("Patient")];
    assert!(patched(&patient(), deeper.clone()).is_ok());
    deeper.extend((0..300).map(|_| add(deepest)));
    assert_eq!(patched(&patient(), deeper), Err(IssueCode::PatchTooCostly));

    let value = ("value", "valueExtension", extensions(31));
    let replace = operation("replace", deepest, std::slice::from_ref(&value));
    assert_eq!(patched(&patient(), vec![add("Patient"), replace]), Err(IssueCode::PatchTooCostly));
    let list = "Patient.extension.extension.extension";
    let insert = operation("insert", list, &[("index", "valueInteger", json!(0)), value]);
    assert_eq!(patched(&patient(), vec![add("Patient"), insert]), Err(IssueCode::PatchTooCostly));
}
