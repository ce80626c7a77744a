use super::*;

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "id": "p",
        "meta": {"versionId": "1"},
        "text": {"status": "generated", "div": "<div>x</div>"},
        "active": true,
        "_birthDate": {"extension": [{"url": "http://x.test", "valueCode": "masked"}]},
        "birthDate": "1970-01-01",
        "maritalStatus": {"text": "married"},
        "deceasedBoolean": false,
        "link": [{"other": {"reference": "Patient/q"}, "type": "seealso"}],
        "communication": [{"language": {"text": "German"}}],
    })
}

#[track_caller]
fn check(part: &Part, expected: &[&str]) {
    for version in FhirVersion::ALL {
        let bytes = subset(version, patient(), part);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{version:?}");
        assert_eq!(value["meta"]["tag"][0]["code"], "SUBSETTED");
        assert_eq!(value["meta"]["versionId"], "1");
    }
}

#[test]
fn elements_come_with_what_is_mandatory_or_a_modifier() {
    let names = ["birthDate".to_owned(), "deceased".to_owned()];
    // `active`, `deceased[x]` and `link` change the meaning of a Patient.
    let expected = [
        "_birthDate",
        "active",
        "birthDate",
        "deceasedBoolean",
        "id",
        "link",
        "meta",
        "resourceType",
    ];
    check(&Part::Elements(names.to_vec()), &expected);
}

#[test]
fn a_text_comes_with_what_is_mandatory() {
    check(&Part::Text, &["id", "meta", "resourceType", "text"]);
}

#[test]
fn data_is_all_but_the_text() {
    let expected = [
        "_birthDate",
        "active",
        "birthDate",
        "communication",
        "deceasedBoolean",
        "id",
        "link",
        "maritalStatus",
        "meta",
        "resourceType",
    ];
    check(&Part::Data, &expected);
}

#[test]
fn a_summary_is_what_fhir_marks() {
    let expected = [
        "_birthDate",
        "active",
        "birthDate",
        "deceasedBoolean",
        "id",
        "link",
        "meta",
        "resourceType",
    ];
    check(&Part::Summary, &expected);
}

#[test]
fn a_summary_of_parts_leaves_out_what_is_no_summary() {
    let observation = json!({
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "pressure"},
        "component": [{
            "code": {"text": "systolic"},
            "valueString": "120",
            "interpretation": [{"text": "high"}],
        }],
        "note": [{"text": "x"}],
    });
    let bytes = subset(FhirVersion::R4, observation, &Part::Summary);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(value.get("note").is_none());
    let component = value["component"][0].as_object().unwrap();
    assert!(component.contains_key("code") && component.contains_key("valueString"));
    assert!(!component.contains_key("interpretation"));
}

#[test]
fn a_tag_is_there_once() {
    let once = subset(FhirVersion::R5, patient(), &Part::Data);
    let value: Value = serde_json::from_slice(&once).unwrap();
    let twice = subset(FhirVersion::R5, value, &Part::Data);
    assert_eq!(once, twice);
}
