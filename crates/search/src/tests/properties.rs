//! Properties over any resource and any criterion: the index never loses a match, and matching
//! agrees with itself however a criterion is written.

use cresset_definitions::FhirVersion;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{assert_indexed, scope};
use crate::{Criterion, Lookup, ResourceValues, escape};

/// Few enough words that resources and criteria often meet.
const WORDS: [&str; 8] = ["a", "A", "b", "a,b", "Ä", "ä", "\u{212a}", "k"];
const SYSTEMS: [&str; 3] = ["s", "urn:s", "a"];
const REFERENCES: [&str; 9] = [
    "Patient/a",
    "Patient/b",
    "Group/a",
    "Patient/a/_history/1",
    "http://example.org/fhir/Patient/a",
    "http://other.org/Patient/a",
    "http://other.org/Patient/a/_history/1",
    "urn:uuid:a",
    "#a",
];
const URLS: [&str; 5] = ["http://a", "http://a|1", "http://a|2", "http://b", "urn:a"];

fn word() -> impl Strategy<Value = String> {
    select(WORDS.as_slice()).prop_map(str::to_owned)
}

fn coding() -> impl Strategy<Value = Value> {
    (proptest::option::of(select(SYSTEMS.as_slice())), proptest::option::of(word())).prop_map(
        |(system, code)| {
            let mut coding = json!({});
            coding.as_object_mut().unwrap().extend(
                [("system", system.map(str::to_owned)), ("code", code)]
                    .into_iter()
                    .filter_map(|(name, part)| Some((name.to_owned(), json!(part?)))),
            );
            coding
        },
    )
}

fn identifier() -> impl Strategy<Value = Value> {
    (coding(), coding()).prop_map(|(value, of_type)| {
        let mut identifier = json!({"type": {"coding": [of_type]}});
        for (from, to) in [("system", "system"), ("code", "value")] {
            if let Some(part) = value.get(from) {
                identifier[to] = part.clone();
            }
        }
        identifier
    })
}

fn observation() -> impl Strategy<Value = Value> {
    let subject = (proptest::option::of(select(REFERENCES.as_slice())), identifier());
    (
        subject,
        vec(coding(), 0..3),
        vec(identifier(), 0..3),
        vec(select(URLS.as_slice()), 0..3),
        word(),
        select(&["final", "a", "k"][..]),
    )
        .prop_map(|((reference, logical), codes, identifiers, profiles, text, status)| {
            let mut observation = json!({
                "resourceType": "Observation",
                "id": text,
                "meta": {"profile": profiles, "tag": codes},
                "identifier": identifiers,
                "status": status,
                "code": {"coding": codes, "text": text},
                "subject": {"identifier": logical},
                "valueString": text,
                "effectiveDateTime": "2024-01-02"
            });
            if let Some(reference) = reference {
                observation["subject"]["reference"] = json!(reference);
            }
            observation
        })
}

const DATES: [&str; 6] =
    ["2024", "2024-01", "2024-01-02", "2024-01-02T12:00:00Z", "2023-12-31", "9999"];
const NUMBERS: [&str; 20] = [
    "5",
    "5.0",
    "4.9999999",
    "-3",
    "1e30",
    "5||mg",
    "5|s|mg",
    "5|http://unitsofmeasure.org|mg",
    "0.005|http://unitsofmeasure.org|g",
    "5e-12|http://unitsofmeasure.org|kt",
    "1e27|http://unitsofmeasure.org|kt",
    "0|http://unitsofmeasure.org|kt",
    "123456789012345678901234567.5|http://unitsofmeasure.org|ng",
    "-3|http://unitsofmeasure.org|Cel",
    "26.6|http://unitsofmeasure.org|[degF]",
    "5|http://unitsofmeasure.org|mmol/L",
    "5e-3|http://unitsofmeasure.org|mol/L",
    "5|http://unitsofmeasure.org|[pH]",
    "5|http://unitsofmeasure.org|unknown",
    "5|http://unitsofmeasure.org|m/s",
];
/// Units of resources, with their systems.
const UNITS: [(&str, &str); 12] = [
    ("mg", "http://unitsofmeasure.org"),
    ("g", "http://unitsofmeasure.org"),
    ("ng", "http://unitsofmeasure.org"),
    ("kt", "http://unitsofmeasure.org"),
    ("Cel", "http://unitsofmeasure.org"),
    ("K", "http://unitsofmeasure.org"),
    ("mmol/L", "http://unitsofmeasure.org"),
    ("umol/mL", "http://unitsofmeasure.org"),
    ("km/h", "http://unitsofmeasure.org"),
    ("[pH]", "http://unitsofmeasure.org"),
    ("unknown", "http://unitsofmeasure.org"),
    ("mg", "s"),
];

fn compared(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    let comparators = &["", "ap", "eb", "eq", "ge", "gt", "le", "lt", "ne", "sa"][..];
    (select(comparators), select(values))
        .prop_map(|(comparator, value)| format!("{comparator}{value}"))
}

/// Dates and quantities, also from a later to an earlier one.
fn ordered() -> impl Strategy<Value = Value> {
    let quantities = prop_oneof![
        select(
            &[
                "5",
                "5.0",
                "4.9999999",
                "-3",
                "0.005",
                "5000",
                "5e6",
                "18",
                "270.15",
                "0",
                "1e-18",
                "1e28",
                "1e30",
                "123456789012345678901234567890.5"
            ][..]
        )
        .prop_map(|number| serde_json::from_str::<Value>(number).unwrap()),
    ];
    let comparator = proptest::option::of(select(&["<", "<=", ">", ">="][..]));
    let unit = select(&UNITS[..]);
    let period = (select(&DATES[..]), select(&DATES[..]));
    (quantities, comparator, unit, period).prop_map(
        |(value, comparator, (code, system), (start, end))| {
            let mut quantity =
                json!({"value": value, "system": system, "code": code, "unit": code});
            if let Some(comparator) = comparator {
                quantity["comparator"] = json!(comparator);
            }
            json!({"valueQuantity": quantity, "effectivePeriod": {"start": start, "end": end}})
        },
    )
}

fn token_text() -> impl Strategy<Value = String> {
    (proptest::option::of(select(&["", "s", "urn:s", "a"][..])), word(), any::<bool>()).prop_map(
        |(system, code, with_code)| {
            let code = escape(&code).into_owned();
            match system {
                None => code,
                Some(system) if !with_code && !system.is_empty() => format!("{system}|"),
                Some(system) => format!("{system}|{code}"),
            }
        },
    )
}

fn alternatives<S: Strategy<Value = String>>(one: S) -> impl Strategy<Value = String> {
    vec(one, 1..4).prop_map(|all| all.join(","))
}

/// Name, modifier and value of a criterion on observations.
fn criterion() -> impl Strategy<Value = (&'static str, Option<&'static str>, String)> {
    let references = REFERENCES.into_iter().filter(|text| !text.starts_with('#'));
    let references: Vec<_> = references.chain(["a", "b"]).collect();
    let reference = select(references).prop_map(str::to_owned);
    let url = select(URLS.as_slice()).prop_map(str::to_owned);
    let of_type = (select(&["s", "a"][..]), word(), word())
        .prop_map(|(system, code, value)| format!("{system}|{}|{}", escape(&code), escape(&value)));
    let escaped = word().prop_map(|text| escape(&text).into_owned());
    prop_oneof![
        (select(&["subject", "patient"][..]), Just(None), alternatives(reference)),
        (Just("subject"), Just(Some("identifier")), alternatives(token_text())),
        (Just("subject"), Just(Some("Patient")), alternatives(Just("a".to_owned()))),
        (
            select(&["code", "identifier", "_tag", "status", "_id"][..]),
            select(
                &[None, Some("not"), Some("text"), Some("code-text"), Some("text-advanced")][..]
            ),
            alternatives(token_text())
        ),
        (Just("identifier"), Just(Some("of-type")), alternatives(of_type)),
        (
            Just("value-string"),
            select(&[None, Some("exact"), Some("contains"), Some("text")][..]),
            alternatives(escaped)
        ),
        (
            Just("_profile"),
            select(&[None, Some("contains"), Some("above"), Some("below")][..]),
            alternatives(url)
        ),
        (
            select(&["code", "date", "subject", "value-string"][..]),
            Just(Some("missing")),
            select(&["true", "false"][..]).prop_map(str::to_owned)
        ),
        (
            Just("date"),
            Just(None),
            select(&["2024", "gt2023", "ne2024-01-02"][..]).prop_map(str::to_owned)
        ),
        (Just("date"), Just(None), alternatives(compared(&DATES))),
        (Just("value-quantity"), Just(None), alternatives(compared(&NUMBERS))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_criterion_that_matches_is_found_by_a_key_of_the_resource(
        resource in observation(),
        (name, modifier, value) in criterion(),
    ) {
        let scope = scope(FhirVersion::R4);
        let compiled = Criterion::new(&scope, "Observation", name, modifier, None, &value);
        prop_assume!(compiled.is_ok());
        let compiled = compiled.unwrap();
        let values = ResourceValues::new(scope, "Observation", &resource);
        if compiled.matches(&values, &Lookup::new(scope)).unwrap() {
            assert_indexed(&compiled, &values);
        }
    }

    #[test]
    fn a_range_that_matches_lies_where_the_values_do(
        ordered in ordered(),
        dated in any::<bool>(),
        dates in alternatives(compared(&DATES)),
        numbers in alternatives(compared(&NUMBERS)),
    ) {
        let scope = scope(FhirVersion::R4);
        let mut resource = json!({"resourceType": "Observation", "id": "1"});
        resource.as_object_mut().unwrap().extend(ordered.as_object().unwrap().clone());
        let (name, value) = if dated { ("date", dates) } else { ("value-quantity", numbers) };
        let compiled = Criterion::new(&scope, "Observation", name, None, None, &value);
        prop_assume!(compiled.is_ok());
        let compiled = compiled.unwrap();
        let values = ResourceValues::new(scope, "Observation", &resource);
        if compiled.matches(&values, &Lookup::new(scope)).unwrap() {
            assert_indexed(&compiled, &values);
        }
    }

    #[test]
    fn alternatives_are_or_and_not_is_none_of_them(
        resource in observation(),
        one in token_text(),
        other in token_text(),
    ) {
        let scope = scope(FhirVersion::R4);
        let values = ResourceValues::new(scope, "Observation", &resource);
        let matches = |modifier, value: &str| {
            let criterion = Criterion::new(&scope, "Observation", "code", modifier, None, value);
            criterion.unwrap().matches(&values, &Lookup::new(scope)).unwrap()
        };
        let either = matches(None, &one) || matches(None, &other);
        prop_assert_eq!(matches(None, &format!("{one},{other}")), either);
        prop_assert_eq!(matches(Some("not"), &format!("{one},{other}")), !either);
    }
}
