use cresset_definitions::FhirVersion;
use serde_json::{Value, json};

use super::primitive::Primitive;
use super::*;
use crate::test_data::{shared_lines, told};

#[track_caller]
fn check(version: FhirVersion, resource: Value, expected: &[&str]) {
    assert_eq!(told(&validate(version, &resource)), expected, "{resource}");
}

/// A valid Patient with these members instead of its own.
fn patient(members: Value) -> Value {
    let mut patient = json!({"resourceType": "Patient", "id": "p", "active": true});
    let own = patient.as_object_mut().unwrap();
    own.extend(members.as_object().unwrap().clone());
    patient
}

#[track_caller]
fn check_patient(members: Value, expected: &[&str]) {
    for version in FhirVersion::ALL {
        check(version, patient(members.clone()), expected);
    }
}

#[test]
fn what_is_defined_is_accepted() {
    check_patient(json!({}), &[]);
    check_patient(
        json!({
            "name": [{"family": "A", "given": ["B", null], "_given": [null, {"extension": [
                {"url": "http://a.b/c", "valueString": "d"}
            ]}]}],
            "_birthDate": {"id": "x"},
            "deceasedBoolean": false,
            "contact": [{"gender": "female"}],
            "generalPractitioner": [{"reference": "Organization/o"}],
            "multipleBirthInteger": 2
        }),
        &[],
    );
}

#[test]
fn elements_that_are_not_defined_are_told_where_they_stand() {
    check_patient(json!({"nmae": []}), &["UnknownElement Patient.nmae"]);
    check_patient(
        json!({"contact": [{"name": {"family": "x"}}, {"colour": "red"}]}),
        &["UnknownElement Patient.contact[1].colour"],
    );
    check_patient(json!({"deceased": true}), &["UnknownElement Patient.deceased"]);
    check_patient(json!({"deceasedString": "x"}), &["UnknownElement Patient.deceasedString"]);
    check_patient(json!({"_contact": [{}]}), &["UnknownElement Patient.contact"]);
    check_patient(
        json!({"name": [{"resourceType": "HumanName"}]}),
        &["UnknownElement Patient.name[0].resourceType"],
    );
    // `animal` went with R4, `link.other` stayed.
    check_patient(json!({"animal": {}}), &["UnknownElement Patient.animal"]);
}

#[test]
fn cardinalities_hold() {
    check_patient(json!({"name": {"family": "x"}}), &["InvalidElement Patient.name"]);
    check_patient(json!({"name": []}), &["InvalidElement Patient.name"]);
    check_patient(json!({"gender": ["female"]}), &["InvalidElement Patient.gender"]);
    check_patient(json!({"contact": [{}]}), &["InvalidElement Patient.contact[0]"]);
    check_patient(
        json!({"communication": [{"preferred": true}]}),
        &["MissingElement Patient.communication[0].language"],
    );
    check(
        FhirVersion::R4,
        json!({"resourceType": "Observation"}),
        &["MissingElement Observation.status", "MissingElement Observation.code"],
    );
    check(
        FhirVersion::R4,
        json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
               "subject": {"reference": "Patient/p"}}),
        &["MissingElement MedicationRequest.medication[x]"],
    );
    check_patient(
        json!({"deceasedBoolean": true, "deceasedDateTime": "2020"}),
        &["InvalidElement Patient.deceasedDateTime"],
    );
    check_patient(json!({"deceasedDateTime": "2020", "_deceasedDateTime": {"id": "a"}}), &[]);
    check_patient(json!({"name": [null]}), &["InvalidElement Patient.name[0]"]);
    check_patient(json!({"active": null}), &["InvalidElement Patient.active"]);
    check_patient(
        json!({"name": [{"given": [null]}]}),
        &["InvalidElement Patient.name[0].given[0]"],
    );
}

#[test]
fn codes_of_required_bindings_are_of_their_value_set() {
    check_patient(json!({"gender": "femail"}), &["InvalidElement Patient.gender"]);
    check_patient(json!({"link": [{"other": {"reference": "Patient/q"}, "type": "seealso"}]}), &[]);
    check(
        FhirVersion::R4,
        json!({"resourceType": "Encounter", "status": "completed", "class": {"code": "IMP"}}),
        &["InvalidElement Encounter.status"],
    );
    check(FhirVersion::R5, json!({"resourceType": "Encounter", "status": "completed"}), &[]);
    let allergy = |system: &str, code: &str| {
        json!({"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/p"},
               "clinicalStatus": {"coding": [{"system": system, "code": code}]}})
    };
    let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    check(FhirVersion::R4, allergy(system, "active"), &[]);
    let place = "InvalidElement AllergyIntolerance.clinicalStatus";
    check(FhirVersion::R4, allergy(system, "activ"), &[place]);
    check(FhirVersion::R4, allergy("http://a.b", "active"), &[place]);
}

#[test]
fn references_point_at_what_they_may() {
    let with = |reference: Value| patient(json!({"managingOrganization": reference}));
    for version in FhirVersion::ALL {
        for (reference, is_good) in [
            (json!({"reference": "Organization/o"}), true),
            (json!({"reference": "https://a.b/fhir/Organization/o/_history/2"}), true),
            (json!({"reference": "urn:uuid:6b7a1f5c-0c30-4f4b-8f9c-06e8d43a1d6a"}), true),
            (json!({"reference": "https://a.b/c"}), true),
            (json!({"identifier": {"value": "7"}, "type": "Organization"}), true),
            (json!({"display": "somewhere"}), true),
            (json!({"reference": "Patient/o"}), false),
            (json!({"reference": "https://a.b/fhir/Patient/o/_history/2"}), false),
            (json!({"type": "Patient"}), false),
            (json!({"reference": "#o"}), false),
        ] {
            let expected: &[_] =
                if is_good { &[] } else { &["InvalidElement Patient.managingOrganization"] };
            check(version, with(reference), expected);
        }
        let contained = |resource_type: &str| {
            let mut resource = with(json!({"reference": "#o"}));
            resource["contained"] = json!([{"resourceType": resource_type, "id": "o"}]);
            resource
        };
        check(version, contained("Organization"), &[]);
        check(version, contained("Patient"), &["InvalidElement Patient.managingOrganization"]);
    }
}

#[test]
fn resources_within_resources_are_checked() {
    check(
        FhirVersion::R5,
        json!({"resourceType": "Bundle", "type": "collection", "entry": [
            {"resource": {"resourceType": "Patient", "gender": "x"}},
            {"resource": {"resourceType": "Nothing"}},
            {"resource": {"id": "x"}}
        ]}),
        &[
            "InvalidElement Bundle.entry[0].resource.gender",
            "WrongResourceType Bundle.entry[1].resource",
            "MissingElement Bundle.entry[2].resource",
        ],
    );
    check_patient(
        json!({"contained": [{"resourceType": "Organization", "name": "x", "contained": [
            {"resourceType": "Organization", "id": "y", "name": "z"}
        ]}]}),
        &[
            "MissingElement Patient.contained[0].id",
            "InvalidElement Patient.contained[0].contained",
        ],
    );
}

#[test]
fn extensions_have_a_value_or_extensions() {
    let with = |extension: Value| json!({"extension": [extension]});
    let at = "InvalidElement Patient.extension[0]";
    check_patient(with(json!({"url": "http://a.b", "valueCode": "x"})), &[]);
    check_patient(
        with(json!({"url": "http://a.b", "extension": [{"url": "c", "valueCode": "x"}]})),
        &[],
    );
    check_patient(with(json!({"url": "http://a.b"})), &[at]);
    check_patient(
        with(
            json!({"url": "http://a.b", "valueCode": "x", "extension": [{"url": "c", "valueCode": "x"}]}),
        ),
        &[at],
    );
    check_patient(with(json!({"valueCode": "x"})), &["MissingElement Patient.extension[0].url"]);
}

#[test]
fn primitives_have_the_form_of_their_type() {
    let good = [
        ("base64Binary", json!("aGk=")),
        ("base64Binary", json!("aG k=")),
        ("boolean", json!(true)),
        ("canonical", json!("http://a.b/c|1")),
        ("code", json!("a b")),
        ("date", json!("2024-02-29")),
        ("date", json!("2024-02")),
        ("date", json!("0001")),
        ("dateTime", json!("2024")),
        ("dateTime", json!("2024-01-01T00:00:00.123456Z")),
        ("dateTime", json!("2024-01-01T23:59:60+14:00")),
        ("decimal", json!(-1.50)),
        ("decimal", json!(3)),
        ("id", json!("a-B.9")),
        ("instant", json!("2024-01-01T00:00:00-05:30")),
        ("integer", json!(-2_147_483_648_i64)),
        ("integer64", json!("-9223372036854775808")),
        ("integer64", json!("0")),
        ("integer64", json!(7)),
        ("markdown", json!("# a\n\tb")),
        ("oid", json!("urn:oid:2.16.840.1")),
        ("positiveInt", json!(1)),
        ("string", json!(" é ")),
        ("time", json!("08:30:00")),
        ("time", json!("08:30:00.5")),
        ("unsignedInt", json!(0)),
        ("uri", json!("urn:x:y")),
        ("uuid", json!("urn:uuid:c757873d-ec9a-4326-a141-556f43239520")),
    ];
    for (name, value) in good {
        let primitive = Primitive::named(name).unwrap();
        assert_eq!(primitive.check(&value), Ok(()), "{name} {value}");
    }
    let bad = [
        ("base64Binary", json!("aGk")),
        ("base64Binary", json!("a=Gk")),
        ("boolean", json!("true")),
        ("code", json!(" a")),
        ("code", json!("a  b")),
        ("code", json!("")),
        ("date", json!("2023-02-29")),
        ("date", json!("2023-13")),
        ("date", json!("0000")),
        ("date", json!("2023-1-1")),
        ("date", json!("2023-01-01T00:00:00Z")),
        ("dateTime", json!("2024-01-01T00:00:00")),
        ("dateTime", json!("2024-01-01T00:00Z")),
        ("dateTime", json!("2024-01T00:00:00Z")),
        ("dateTime", json!("2024-01-01T24:00:00Z")),
        ("dateTime", json!("2024-01-01T00:00:00+14:30")),
        ("decimal", json!("1.0")),
        ("id", json!("a_b")),
        ("id", json!("x".repeat(65))),
        ("instant", json!("2024-01-01")),
        ("integer", json!(2_147_483_648_i64)),
        ("integer", json!(1.0)),
        ("integer64", json!(1.5)),
        ("integer64", json!(true)),
        ("integer64", json!("9223372036854775808")),
        ("integer64", json!("01")),
        ("oid", json!("2.16.840.1")),
        ("oid", json!("urn:oid:2.016")),
        ("positiveInt", json!(0)),
        ("string", json!("")),
        ("string", json!(" \n")),
        ("string", json!("a\u{0}")),
        ("string", json!(1)),
        ("time", json!("08:30")),
        ("time", json!("24:00:00")),
        ("unsignedInt", json!(-1)),
        ("uri", json!("a b")),
        ("uuid", json!("urn:uuid:C757873D-EC9A-4326-A141-556F43239520")),
    ];
    for (name, value) in bad {
        let primitive = Primitive::named(name).unwrap();
        assert!(primitive.check(&value).is_err(), "{name} {value}");
    }
}

#[test]
fn narratives_hold_nothing_that_acts() {
    let check = |inside: &str| {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inside}</div>");
        narrative::check(&div).is_ok()
    };
    for good in
        ["a", "<p>a &amp; &nbsp; &#160;<br/></p>", "<a href=\"#x\">b</a>", "<img src='a.png'/>"]
    {
        assert!(check(good), "{good}");
    }
    for bad in [
        "<script>x</script>",
        "<p onclick='x'>a</p>",
        "<a href=\" JavaScript:x\">a</a>",
        "<iframe/>",
        "<form></form>",
        "<p>",
        "a &unknown; b",
        "<a href=\"#&unknown;\">b</a>",
        "</div><div>",
        "<!DOCTYPE a>",
        "<?x y?>",
        "<p a='1' a='2'/>",
    ] {
        assert!(!check(bad), "{bad}");
    }
    assert!(narrative::check("<div>a</div>").is_err());
    assert!(narrative::check("<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>").is_err());
    assert!(narrative::check("a").is_err());
}

#[test]
fn issues_are_bounded() {
    let names: Vec<Value> = (0..1_000).map(|_| json!({"x": 1})).collect();
    let issues = validate(FhirVersion::R4, &patient(json!({"name": names})));
    assert_eq!(issues.0.len(), ISSUES_MAX);
}

/// What is flagged in HL7's own examples and why that is right: `version type/id: place`.
const EXCEPTIONS: &str = include_str!("exceptions.txt");

#[test]
fn what_is_flagged_in_hl7s_own_examples_is_listed_and_nothing_else() {
    let listed: Vec<&str> =
        EXCEPTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut found = Vec::new();
    for version in FhirVersion::ALL {
        let name = match version {
            FhirVersion::R4 => "R4",
            FhirVersion::R4B => "R4B",
            FhirVersion::R5 => "R5",
        };
        for line in shared_lines(&format!("examples/all-{name}.ndjson.zst")) {
            let resource = crate::json::parse(&line).expect("HL7's JSON parses");
            let (resource_type, id) = (&resource["resourceType"], &resource["id"]);
            let about = [resource_type, id].map(|one| one.as_str().unwrap_or("-").to_owned());
            for issue in validate(version, &resource).0 {
                let place = issue.expression.unwrap_or_default();
                found.push(format!("{name} {}/{}: {place}: {}", about[0], about[1], issue.text));
            }
        }
    }
    if found.is_empty() {
        return;
    }
    let unlisted: Vec<_> = found.iter().filter(|one| !listed.contains(&one.as_str())).collect();
    assert!(unlisted.is_empty(), "{} not listed: {unlisted:#?}", unlisted.len());
    let gone: Vec<_> = listed.iter().filter(|one| !found.iter().any(|it| it == **one)).collect();
    assert!(gone.is_empty(), "not flagged any more: {gone:#?}");
}
