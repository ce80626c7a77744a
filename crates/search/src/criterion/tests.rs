use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use serde_json::{Value, json};

use super::*;
use crate::operand::ALTERNATIVES_MAX;
use crate::tests::{check, matches, refused, scope};

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "id": "p-1",
        "meta": {
            "lastUpdated": "2024-05-06T07:08:09.123Z",
            "profile": ["http://profiles.org/patient|2.0"],
            "security": [{"system": "http://sec", "code": "R"}],
            "tag": [{"system": "http://tags", "code": "vip"}]
        },
        "identifier": [{
            "type": {"coding": [{"system": "http://types", "code": "MR"}], "text": "Record"},
            "system": "urn:mrn", "value": "12345"
        }],
        "active": true,
        "name": [{"family": "Ångström-Smith", "given": ["Eve", "Maria"]}, {"text": "Evie"}],
        "telecom": [
            {"system": "phone", "value": "+49 30 123"},
            {"system": "email", "value": "eve@example.org"}
        ],
        "gender": "female",
        "birthDate": "1974-12-25",
        "deceasedBoolean": false,
        "address": [{"line": ["1 Main St"], "city": "PleasantVille", "use": "home"}],
        "generalPractitioner": [{"reference": "Practitioner/dr"}],
        "managingOrganization": {
            "reference": "http://example.org/fhir/Organization/o1", "display": "Acme Hospital"
        }
    })
}

#[test]
fn parameters_of_all_resources_are_found() {
    let patient = patient();
    check(&patient, "_id=p-1", true);
    check(&patient, "_id=p-2", false);
    check(&patient, "_id=P-1", false);
    check(&patient, "_id=x,p-1", true);
    check(&patient, "_id=Patient/p-1", true);
    check(&patient, "id=Patient/p-1", true);
    check(&patient, "id=p-1", true);
    check(&patient, "_lastUpdated=2024-05-06", true);
    check(&patient, "_lastUpdated=ge2024-05-06T07:08:09Z", true);
    check(&patient, "_lastUpdated=gt2024-05-06T07:08:09.123Z", false);
    check(&patient, "_lastUpdated=lt2024-05-06T07:08:10Z", true);
    check(&patient, "_tag=vip", true);
    check(&patient, "_tag=http://tags|vip", true);
    check(&patient, "_tag:not=http://tags|vip", false);
    check(&patient, "_security=http://sec|R", true);
    check(&patient, "_security=http://sec|V", false);
    check(&patient, "_profile=http://profiles.org/patient", true);
    check(&patient, "_profile=http://profiles.org/patient|2.0", true);
    check(&patient, "_profile=http://profiles.org/patient|1.0", false);
    check(&patient, "_profile:below=http://profiles.org", true);
    check(&patient, "_source:missing=true", true);
}

#[test]
fn tokens_are_found_as_fhir_defines() {
    let patient = patient();
    check(&patient, "identifier=urn:mrn|12345", true);
    check(&patient, "identifier=12345", true);
    check(&patient, "identifier=urn:mrn|", true);
    check(&patient, "identifier=|12345", false);
    check(&patient, "identifier=urn:other|12345", false);
    check(&patient, "identifier=urn:other|12345,urn:mrn|12345", true);
    check(&patient, "identifier:of-type=http://types|MR|12345", true);
    check(&patient, "identifier:of-type=http://types|SS|12345", false);
    check(&patient, "identifier:text=rec", true);
    check(&patient, "identifier:not=urn:mrn|12345", false);
    check(&patient, "active=true", true);
    check(&patient, "active=false", false);
    check(&patient, "deceased=false", true);
    check(&patient, "deceased=true", false);
    check(&patient, "gender=female", true);
    check(&patient, "gender=male,female", true);
    check(&patient, "gender=Female", false);
    check(&patient, "gender=http://hl7.org/fhir/administrative-gender|female", true);
    check(&patient, "gender=http://hl7.org/fhir/administrative-gender|", true);
    check(&patient, "gender=http://other|female", false);
    check(&patient, "gender=|female", true);
    check(&patient, "gender:not=male", true);
    check(&patient, "gender:not=male,female", false);
    check(&patient, "email=eve@example.org", true);
    check(&patient, "phone=eve@example.org", false);
    check(&patient, "telecom=eve@example.org", true);
    check(&patient, "address-use=home", true);
    check(&patient, "language:missing=true", true);
    check(&patient, "language:not=de", true);
    check(&patient, "gender:missing=false", true);
    check(&patient, "gender:missing=true", false);
}

#[test]
fn strings_are_found_as_fhir_defines() {
    let patient = patient();
    check(&patient, "name=eve", true);
    check(&patient, "name=EVI", true);
    check(&patient, "name=angstrom", true);
    check(&patient, "name=Ångströmsmith", true);
    check(&patient, "name=smith", false);
    check(&patient, "name:contains=smith", true);
    check(&patient, "family:exact=Ångström-Smith", true);
    check(&patient, "family:exact=ångström-smith", false);
    check(&patient, "family:exact=Ångström", false);
    check(&patient, "given=mar", true);
    check(&patient, "given=evie", false);
    check(&patient, "address=pleasant", true);
    check(&patient, "address=1%20main", true);
    check(&patient, "address=home", false);
    check(&patient, "address-city=PLEASANTVILLE", true);
    check(&patient, "address-country:missing=true", true);
}

#[test]
fn references_are_found_as_fhir_defines() {
    let patient = patient();
    check(&patient, "organization=Organization/o1", true);
    check(&patient, "organization=o1", true);
    check(&patient, "organization=http://example.org/fhir/Organization/o1", true);
    check(&patient, "organization:Organization=o1", true);
    check(&patient, "organization:type=Organization/o1", true);
    check(&patient, "organization=http://other.org/Organization/o1", false);
    check(&patient, "organization:text=acme", true);
    check(&patient, "general-practitioner=Practitioner/dr", true);
    check(&patient, "general-practitioner:Practitioner=dr", true);
    check(&patient, "general-practitioner:Organization=dr", false);
    check(&patient, "link:missing=true", true);
    let mut observation = json!({
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1/_history/2", "identifier": {"system": "s", "value": "v"}}
    });
    check(&observation, "patient=Patient/1", true);
    check(&observation, "patient=1", true);
    check(&observation, "subject:Patient=1", true);
    check(&observation, "subject=Group/1", false);
    check(&observation, "patient:identifier=s|v", true);
    check(&observation, "patient:identifier=v", true);
    check(&observation, "patient:identifier=s|w", false);
    observation["subject"]["reference"] = json!("Group/1");
    check(&observation, "subject=1", true);
    check(&observation, "patient=1", false);
    check(&observation, "patient:missing=true", true);
}

#[test]
fn dates_are_found_as_fhir_defines() {
    let patient = patient();
    check(&patient, "birthdate=1974-12-25", true);
    check(&patient, "birthdate=1974", true);
    check(&patient, "birthdate=1974-12-25T00:00:00Z", false);
    check(&patient, "birthdate=ge1974-12-25", true);
    check(&patient, "birthdate=gt1974-12-25", false);
    check(&patient, "birthdate=sa1974-12-24", true);
    check(&patient, "birthdate=eb1975", true);
    check(&patient, "birthdate=ne1975", true);
    check(&patient, "birthdate=ap1974-12", true);
    check(&patient, "birthdate=1973,1974", true);
    check(&patient, "birthdate=ge1970&birthdate=lt1980", true);
    check(&patient, "birthdate=ge1970&birthdate=lt1974", false);
    check(&patient, "death-date:missing=true", true);
    check(&patient, "death-date=ne1975", false);
    let encounter = json!({
        "resourceType": "Encounter",
        "period": {"start": "2024-01-01T10:00:00+02:00", "end": "2024-01-02"}
    });
    check(&encounter, "date=ge2024-01-01T08:00:00Z", true);
    check(&encounter, "date=sa2024-01-01T08:00:00Z", false);
    check(&encounter, "date=2024-01", true);
    check(&encounter, "date=2024-01-01", false);
    check(&encounter, "date=eq2024-01-01T00:00:00+02:00", false);
    check(&encounter, "date=lt2024-01-01T10:00:01+02:00", true);
}

#[test]
fn numbers_and_quantities_are_found_as_fhir_defines() {
    let risk = json!({
        "resourceType": "RiskAssessment",
        "prediction": [{"probabilityDecimal": 0.85}]
    });
    check(&risk, "probability=gt0.8", true);
    check(&risk, "probability=gt8e-1", true);
    check(&risk, "probability=0.9", true);
    check(&risk, "probability=0.90", false);
    let observation = json!({
        "resourceType": "Observation",
        "valueQuantity": {
            "value": 5.4, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"
        }
    });
    check(&observation, "value-quantity=5.4", true);
    check(&observation, "value-quantity=5.4||mg", true);
    check(&observation, "value-quantity=5.40|http://unitsofmeasure.org|mg", true);
    check(&observation, "value-quantity=5.4|http://unitsofmeasure.org|g", false);
    check(&observation, "value-quantity=ge5.4", true);
    check(&observation, "value-quantity=gt5.4", false);
    check(&observation, "value-quantity=ap5", true);
    check(&observation, "value-quantity=lt5.4||mg,gt5||mg", true);
}

#[test]
fn units_of_ucum_are_converted_and_others_are_not() {
    let observation = |value: f64, system: &str, code: &str| {
        json!({
            "resourceType": "Observation",
            "valueQuantity": {"value": value, "unit": code, "system": system, "code": code}
        })
    };
    let ucum = "http://unitsofmeasure.org";
    let grams = observation(0.0054, ucum, "g");
    check(&grams, "value-quantity=5.4|http://unitsofmeasure.org|mg", true);
    check(&grams, "value-quantity=5.40|http://unitsofmeasure.org|mg", true);
    check(&grams, "value-quantity=5.5|http://unitsofmeasure.org|mg", false);
    check(&grams, "value-quantity=gt5.3|http://unitsofmeasure.org|mg", true);
    check(&grams, "value-quantity=lt5.4|http://unitsofmeasure.org|mg", false);
    check(&grams, "value-quantity=ap5|http://unitsofmeasure.org|mg", true);
    check(&grams, "value-quantity=ne5.4|http://unitsofmeasure.org|mL", false);
    check(&grams, "value-quantity=5.4||mg", false);
    check(&grams, "value-quantity=5.4|http://other|mg", false);
    let fever = observation(101.3, ucum, "[degF]");
    check(&fever, "value-quantity=ge38.5|http://unitsofmeasure.org|Cel", true);
    check(&fever, "value-quantity=gt38.5|http://unitsofmeasure.org|Cel", false);
    let glucose = observation(7.0, ucum, "mmol/L");
    check(&glucose, "value-quantity=7000|http://unitsofmeasure.org|umol/L", true);
    let foreign = observation(0.0054, "http://other", "g");
    check(&foreign, "value-quantity=5.4|http://unitsofmeasure.org|mg", false);
    check(&foreign, "value-quantity=5.4|http://other|mg", false);
    let unknown = observation(5.4, ucum, "zork");
    check(&unknown, "value-quantity=5.4|http://unitsofmeasure.org|zork", true);
    check(&unknown, "value-quantity=5.4|http://unitsofmeasure.org|mg", false);
}

#[test]
fn the_components_of_a_composite_must_fit_in_one_place() {
    let pressure = json!({
        "resourceType": "Observation", "id": "o",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
                "valueQuantity": {"value": 140, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
            },
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]},
                "valueQuantity": {"value": 80, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
            },
        ]
    });
    check(&pressure, "component-code-value-quantity=8480-6$140", true);
    check(&pressure, "component-code-value-quantity=http://loinc.org|8480-6$gt130", true);
    check(&pressure, "component-code-value-quantity=8462-4$gt130", false);
    check(&pressure, "component-code-value-quantity=8462-4$gt130,8480-6$gt130", true);
    check(
        &pressure,
        "component-code-value-quantity=8480-6$gt18|http://unitsofmeasure.org|kPa",
        true,
    );
    check(&pressure, "combo-code-value-quantity=8462-4$lt90", true);
    check(&pressure, "code-value-quantity=85354-9$gt1", false);
    check(&pressure, "code-value-quantity:missing=true", true);
    check(&pressure, "component-code-value-quantity:missing=false", true);
    let document = json!({
        "resourceType": "DocumentReference",
        "relatesTo": [
            {"code": "replaces", "target": {"reference": "DocumentReference/1"}},
            {"code": "appends", "target": {"reference": "DocumentReference/2"}},
        ]
    });
    check(&document, "relationship=DocumentReference/1$replaces", false);
    check(&document, "relationship=replaces$DocumentReference/1", false);
}

#[test]
fn uris_are_found_as_fhir_defines() {
    let value_set = json!({
        "resourceType": "ValueSet", "url": "http://acme.org/fhir/ValueSet/123", "version": "2"
    });
    check(&value_set, "url=http://acme.org/fhir/ValueSet/123", true);
    check(&value_set, "url=http://acme.org/fhir/ValueSet/123|2", true);
    check(&value_set, "url=http://acme.org/fhir/ValueSet/123|3", false);
    check(&value_set, "url:below=http://acme.org/fhir/", true);
    check(&value_set, "url:above=http://acme.org/fhir/ValueSet/123/_history/5", true);
    check(&value_set, "url:contains=ACME", true);
    check(&value_set, "url=http%3A%2F%2Facme.org%2Ffhir%2FValueSet%2F123", true);
}

#[test]
fn words_are_found_in_strings_and_in_texts_for_people() {
    let patient = patient();
    check(&patient, "name:text=eve maria", false);
    check(&patient, "name:text=angstrom smith", true);
    check(&patient, "name:text=\"Ångström-Smith\" OR nobody", true);
    check(&patient, "name:text=angstrom NOT smith", false);
    check(&patient, "name:text=nobody,evi", true);
    check(&patient, "organization:text-advanced=hospital", true);
    check(&patient, "organization:text-advanced=hospital NOT acme", false);
    check(&patient, "organization:code-text=ACME", true);
    check(&patient, "organization:code-text=hospital", false);
    check(&patient, "identifier:text-advanced=record", true);
    check(&patient, "gender:text-advanced=female", false);
    check(&patient, "gender:code-text=FEM", true);
    check(&patient, "gender:code-text=male", false);
    let condition = json!({
        "resourceType": "Condition",
        "code": {"coding": [{"code": "735938006", "display": "Acute headache"}], "text": "Migraine"}
    });
    check(&condition, "code:text-advanced=headache", true);
    check(&condition, "code:text-advanced=migraine", true);
    check(&condition, "code:text-advanced=migraine AND headache", false);
    check(&condition, "code:text=headache", false);
    check(&condition, "code:text-advanced=735938006", false);
    check(&condition, "code:code-text=7359", true);
}

#[test]
fn versions_of_canonicals_are_above_and_below_others() {
    let response = json!({
        "resourceType": "QuestionnaireResponse", "questionnaire": "http://acme.org/q|1.1"
    });
    for (query, expected) in [
        ("questionnaire:below=http://acme.org/q", true),
        ("questionnaire:above=http://acme.org/q", true),
        ("questionnaire:below=http://acme.org/q|1", true),
        ("questionnaire:below=http://acme.org/q|1.1", true),
        ("questionnaire:below=http://acme.org/q|1.1.0", false),
        ("questionnaire:below=http://acme.org/q|2", false),
        ("questionnaire:below=http://acme.org|1", false),
        ("questionnaire:above=http://acme.org/q|1.0", true),
        ("questionnaire:above=http://acme.org/q|1.1", false),
        ("questionnaire:above=http://acme.org/q|1", false),
        ("questionnaire:above=http://acme.org/q|0.9,http://acme.org/q|2", true),
    ] {
        for version in [FhirVersion::R4, FhirVersion::R4B, FhirVersion::R5] {
            assert_eq!(matches(version, &response, query), Ok(expected), "{version:?} {query}");
        }
    }
    let here = json!({
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "http://example.org/fhir/Questionnaire/q|1.1"
    });
    check(&here, "questionnaire:below=Questionnaire/q|1", true);
    check(&here, "questionnaire:above=http://example.org/fhir/Questionnaire/q|1.0", true);
    assert_eq!(
        refused("QuestionnaireResponse", "questionnaire:below=q"),
        [IssueCode::InvalidSearchValue]
    );
    let patient = patient();
    for (query, expected) in [
        ("_profile:below=http://profiles.org/patient|2", true),
        ("_profile:below=http://profiles.org/patient|1", false),
        ("_profile:above=http://profiles.org/patient|1", true),
    ] {
        assert_eq!(matches(FhirVersion::R4, &patient, query), Ok(expected), "{query}");
        assert_eq!(matches(FhirVersion::R5, &patient, query), Ok(expected), "{query}");
    }
}

#[test]
fn mime_types_are_below_their_kind() {
    let document = json!({
        "resourceType": "DocumentReference",
        "content": [{"attachment": {"contentType": "text/xml; charset=UTF-8"}}]
    });
    check(&document, "contenttype=text/xml", false);
    check(&document, "contenttype:below=text/xml", true);
    check(&document, "contenttype:below=TEXT", true);
    check(&document, "contenttype:below=image,text/plain", false);
    let refused = refused("DocumentReference", "contenttype:below=text/xml; charset=UTF-8");
    assert_eq!(refused, [IssueCode::InvalidSearchValue]);
}

#[test]
fn escapes_make_separators_literal() {
    let group = json!({
        "resourceType": "Patient", "identifier": [{"system": "a|b", "value": "1,2\\3$"}]
    });
    check(&group, r"identifier=a\|b|1\,2\\3\$", true);
    check(&group, r"identifier=x,1\,2\\3\$", true);
    check(&group, r"identifier=1\,2\\3", false);
    check(&group, r"identifier=a%5C%7Cb%7C1%5C%2C2%5C%5C3%5C%24", true);
}

#[test]
fn of_type_is_also_written_as_r4_and_r4b_list_it() {
    let query = "identifier:ofType=http://types|MR|12345";
    for version in [FhirVersion::R4, FhirVersion::R4B] {
        assert_eq!(matches(version, &patient(), query), Ok(true), "{version}");
    }
    let refused = crate::Criteria::parse(&scope(FhirVersion::R5), "Patient", query).unwrap_err();
    assert_eq!(refused.0[0].code, IssueCode::UnsupportedModifier);
}

#[test]
fn what_fhir_does_not_define_is_refused() {
    use IssueCode as Code;
    let check = |query: &str, code: Code| assert_eq!(refused("Patient", query), [code], "{query}");
    check("foo=1", Code::UnknownSearchParameter);
    check("Gender=male", Code::UnknownSearchParameter);
    check("_sort=name", Code::UnknownSearchParameter);
    check("http://hl7.org/fhir/SearchParameter/nope=1", Code::UnknownSearchParameter);
    check("gender=", Code::InvalidSearchValue);
    check("gender=male,", Code::InvalidSearchValue);
    check("gender=,male", Code::InvalidSearchValue);
    check("gender=|", Code::InvalidSearchValue);
    check("gender=a|b|c", Code::InvalidSearchValue);
    check(r"gender=a\b", Code::InvalidSearchValue);
    check("gender:missing=yes", Code::InvalidSearchValue);
    check("gender:missing=", Code::InvalidSearchValue);
    check("birthdate=yesterday", Code::InvalidSearchValue);
    check("birthdate=xx1974", Code::InvalidSearchValue);
    check("birthdate=ge", Code::InvalidSearchValue);
    check("birthdate=1974-13", Code::InvalidSearchValue);
    check("name=-", Code::InvalidSearchValue);
    check("organization=Foo/1", Code::InvalidSearchValue);
    check("organization=", Code::InvalidSearchValue);
    check("organization:Patient=Organization/1", Code::InvalidSearchValue);
    // A Reference has no version behind `|`; that is an identifier without its modifier.
    check("organization=http://npi|1234", Code::InvalidSearchValue);
    check("organization=Organization/1|2", Code::InvalidSearchValue);
    check("organization:type=1", Code::InvalidSearchValue);
    check("_id=Observation/1", Code::InvalidSearchValue);
    check("_id=|1", Code::InvalidSearchValue);
    check("_id=Patient/", Code::InvalidSearchValue);
    check("identifier:of-type=a|b", Code::InvalidSearchValue);
    check("gender:exact=male", Code::UnsupportedModifier);
    check("gender:foo=male", Code::UnsupportedModifier);
    check("gender:=male", Code::UnsupportedModifier);
    check("gender:Patient=male", Code::UnsupportedModifier);
    check("name:not=eve", Code::UnsupportedModifier);
    check("birthdate:not=1974", Code::UnsupportedModifier);
    check("organization:exact=1", Code::UnsupportedModifier);
    check("gender:in=female", Code::InvalidSearchValue);
    check("gender:not-in=Patient/1", Code::InvalidSearchValue);
    check("gender:in=ValueSet/1/_history/2", Code::InvalidSearchValue);
    check("gender:in=", Code::InvalidSearchValue);
    check("gender:below=x", Code::InvalidSearchValue);
    check("gender:above=http://x|", Code::InvalidSearchValue);
    check("organization:in=ValueSet/1", Code::InvalidSearchValue);
    check("organization:in=1", Code::InvalidSearchValue);
    check("organization:in=http://other.org/Group/1", Code::InvalidSearchValue);
    check("birthdate:in=Group/1", Code::UnsupportedModifier);
    check("organization:below=1", Code::InvalidSearchValue);
    check("link:below=Patient/1", Code::UnsupportedSearch);
    check("organization:code-text=-", Code::InvalidSearchValue);
    check("gender:text-advanced=(x", Code::InvalidSearchValue);
    check("name:text=eve%20OR", Code::InvalidSearchValue);
    check("name:text-advanced=eve", Code::UnsupportedModifier);
    check("_profile:in=http://x", Code::UnsupportedModifier);
    check("_profile:text=x", Code::UnsupportedModifier);
    check("_text=x", Code::UnsupportedSearch);
    check("_content=x", Code::UnsupportedSearch);
    for value in ["a", "a$5$6", "$5", "a$", "a$five", "x|y|z$5", r"a\$5"] {
        let query = format!("code-value-quantity={value}");
        assert_eq!(refused("Observation", &query), [Code::InvalidSearchValue], "{value}");
    }
    let modified = refused("Observation", "code-value-quantity:not=a$5");
    assert_eq!(modified, [Code::UnsupportedModifier]);
    assert_eq!(refused("Location", "near=1|2"), [Code::UnsupportedSearch]);
    assert_eq!(refused("Foo", "_id=1"), [Code::UnknownSearchParameter]);
    let all = "foo=1&gender=&birthdate=x&active=true";
    let codes = [Code::UnknownSearchParameter, Code::InvalidSearchValue, Code::InvalidSearchValue];
    assert_eq!(refused("Patient", all), codes);
}

#[test]
fn a_refusal_names_what_is_known_and_not_the_value() {
    let refusal = |name: &str, modifier, value: &str| {
        let scope = scope(FhirVersion::R4);
        Criterion::new(&scope, "Patient", name, modifier, None, value).unwrap_err().to_string()
    };
    let unknown = refusal("nmae", None, "x");
    assert!(unknown.contains(" name, "), "{unknown}");
    assert!(!unknown.contains("_text"), "{unknown}");
    for (name, modifier) in
        [("birthdate", None), ("gender", Some("foo")), ("active", Some("missing"))]
    {
        let text = refusal(name, modifier, "se|cr|et");
        assert!(text.contains(name) && !text.contains("cr"), "{text}");
    }
}

#[test]
fn a_comparator_may_stand_beside_the_value_but_not_with_another() {
    let scope = scope(FhirVersion::R5);
    let new = |name: &str, modifier, comparator, value: &str| {
        Criterion::new(&scope, "Patient", name, modifier, Some(comparator), value)
    };
    let patient = patient();
    let values = ResourceValues::new(scope, "Patient", &patient);
    let beside = new("birthdate", None, Comparator::Le, "1980").unwrap();
    assert_eq!(beside.matches(&values, &Lookup::new(scope)), Ok(true));
    assert!(new("birthdate", None, Comparator::Le, "le1980").is_err());
    assert!(new("birthdate", Some("missing"), Comparator::Eq, "true").is_err());
    assert!(new("gender", None, Comparator::Eq, "female").is_ok());
    assert!(new("gender", None, Comparator::Ne, "female").is_err());
}

#[test]
fn a_parameter_may_be_named_by_its_url() {
    let scope = scope(FhirVersion::R4);
    let url = "http://hl7.org/fhir/SearchParameter/clinical-patient";
    let named = Criterion::new(&scope, "Observation", url, None, None, "Patient/1").unwrap();
    assert_eq!(named.parameter().code(), "patient");
    assert!(Criterion::new(&scope, "Account", url, None, None, "Patient/1").is_err());
}

#[test]
fn a_criterion_of_another_type_is_a_problem() {
    let scope = scope(FhirVersion::R4);
    let patient = patient();
    let values = ResourceValues::new(scope, "Patient", &patient);
    let of = |resource_type, name, value| {
        let criterion = Criterion::new(&scope, resource_type, name, None, None, value).unwrap();
        criterion.matches(&values, &Lookup::new(scope))
    };
    let problem = of("Encounter", "status", "planned").unwrap_err();
    assert_eq!(problem.kind(), &ProblemKind::OtherType);
    let r5 = crate::Parameters::of(FhirVersion::R5).get("Patient", "gender").unwrap();
    assert_eq!(values.of(r5).unwrap_err().kind(), &ProblemKind::OtherType);
    let unknown = ResourceValues::new(scope, "Foo", &patient);
    let id = scope.parameters.get("Resource", "_id").unwrap();
    assert_eq!(unknown.of(id).unwrap_err().kind(), &ProblemKind::OtherType);
    assert_eq!(of("Resource", "_tag", "vip"), Ok(true));
    assert_eq!(of("Encounter", "_tag", "vip"), Ok(true));
}

#[test]
fn what_cannot_be_read_in_a_resource_is_a_problem_that_shows_no_content() {
    let patient = json!({"resourceType": "Patient", "birthDate": "SECRET"});
    let problem = matches(FhirVersion::R4, &patient, "birthdate:missing=true").unwrap_err();
    assert_eq!(problem.code(), "birthdate");
    for text in [problem.to_string(), format!("{problem:?}")] {
        assert!(text.contains("birthdate") && !text.contains("SECRET"), "{text}");
    }
}

#[test]
fn nothing_searched_or_found_shows_in_debug_output() {
    let scope = scope(FhirVersion::R4);
    let patient = patient();
    let values = ResourceValues::new(scope, "Patient", &patient);
    for (name, value, found) in
        [("identifier", "12345", "12345"), ("name", "eve", "Eve"), ("organization", "o1", "o1")]
    {
        let criterion = Criterion::new(&scope, "Patient", name, None, None, value).unwrap();
        let text =
            format!("{criterion:?} {:?} {:?}", criterion.test(), values.of(criterion.parameter()));
        assert!(!text.contains(value) && !text.contains(found), "{text}");
    }
}

#[test]
fn alternatives_are_bounded() {
    let many = |count: usize| format!("gender={}", vec!["x"; count].join(","));
    assert_eq!(refused("Patient", &many(ALTERNATIVES_MAX)), []);
    assert_eq!(refused("Patient", &many(ALTERNATIVES_MAX + 1)), [IssueCode::OutOfBounds]);
}

#[test]
fn keys_are_given_for_equality_only() {
    let keys = |query: &str| {
        let criteria =
            crate::Criteria::parse(&scope(FhirVersion::R4), "Observation", query).unwrap();
        criteria.criteria()[0].index_keys().map(|keys| keys.len())
    };
    assert_eq!(keys("patient=Patient/1"), Some(1));
    assert_eq!(keys("patient=1,2,Patient/3"), Some(3));
    assert_eq!(keys("patient:identifier=s|v"), Some(1));
    assert_eq!(keys("code=a|b,c,|d,e|"), Some(4));
    assert_eq!(keys("value-string:exact=x"), Some(1));
    assert_eq!(keys("_id=1"), Some(1));
    assert_eq!(keys("_profile=http://x"), Some(1));
    assert_eq!(keys("_profile:below=http://x"), None);
    assert_eq!(keys("_profile:below=http://x|1"), Some(1));
    assert_eq!(keys("value-string:text=x"), None);
    assert_eq!(keys("code:text-advanced=x"), None);
    assert_eq!(keys("value-string=x"), None);
    assert_eq!(keys("code:not=a"), None);
    assert_eq!(keys("code:text=a"), None);
    assert_eq!(keys("code:missing=false"), None);
    assert_eq!(keys("date=2024"), None);
}

#[test]
fn a_parameter_has_the_modifiers_that_it_tells_of_and_no_others() {
    let refusals = [IssueCode::UnsupportedModifier, IssueCode::UnsupportedSearch];
    for version in FhirVersion::ALL {
        let scope = scope(version);
        let parameters = ["Observation", "Location", "ValueSet", "Patient"]
            .into_iter()
            .flat_map(|of| scope.parameters.of_type(of).map(move |parameter| (of, parameter)));
        for (of, parameter) in parameters.filter(|(_, parameter)| parameter.check().is_ok()) {
            let told: Vec<Modifier> = parameter.modifiers().collect();
            for modifier in Modifier::ALL {
                let code = Some(modifier.code());
                let asked = Criterion::new(&scope, of, parameter.code(), code, None, "x");
                // That the value is not of the right form is another matter.
                let is_taken = asked.err().is_none_or(|issues| {
                    !issues.0.iter().any(|issue| refusals.contains(&issue.code))
                });
                assert_eq!(is_taken, told.contains(modifier), "{parameter:?}:{modifier:?}");
            }
        }
    }
}
