//! One filter in the forms of R4, R4B and R5 decides the same (RQ-FL-01, 02, 08, 10).

use cresset_definitions::FhirVersion;
use cresset_engine::{Catalog, ResourceChange, evaluate};
use cresset_fhir::Codec;
use cresset_model::{Interaction, Position, ResourceId, SubscriptionKey};
use cresset_search::Parameters;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::fixture::{offering, subscription, topic};

/// A parameter, what stands behind its colon, and a value.
type Asked = (&'static str, Option<&'static str>, &'static str);

const ASKED: [Asked; 20] = [
    ("patient", None, "Patient/1"),
    ("patient", None, "Patient/1,Patient/2"),
    ("patient", None, "http://test/r5/Patient/2"),
    ("patient", Some("missing"), "true"),
    ("patient", Some("identifier"), "http://ids|7"),
    ("status", None, "planned"),
    ("status", Some("not"), "planned,completed"),
    ("date", None, "2024"),
    ("date", None, "ge2024-02"),
    ("date", None, "lt2024-02,gt2024-03"),
    ("date", Some("ge"), "2024-02"),
    ("date", Some("ne"), "2024-02-29"),
    ("date", Some("sa"), "2024-02-28T23:00:00-01:00"),
    ("date", Some("eb"), "2024-03"),
    ("date", Some("ap"), "2024-02"),
    ("length", Some("gt"), "2|http://unitsofmeasure.org|h"),
    ("length", None, "le90||min"),
    ("_id", None, "a,b"),
    ("id", None, "Encounter/a"),
    ("class", Some("text"), "inpatient"),
];

const OFFERS: [&str; 7] = [
    "patient missing identifier",
    "status not",
    "date ge lt gt ne sa eb ap le",
    "length gt le",
    "_id",
    "class text",
    "patient.gender",
];

fn encounter() -> impl Strategy<Value = Value> {
    (
        select(vec!["a", "b", "c"]),
        select(vec!["planned", "completed"]),
        select(vec!["Patient/1", "http://test/r5/Patient/2", "Patient/3/_history/1"]),
        select(vec!["2023-12-31", "2024-02-29", "2024-02", "2024-03-01T00:30:00+01:00"]),
        (30_u32..200, any::<bool>()),
    )
        .prop_map(|(id, status, patient, start, (minutes, identified))| {
            let mut encounter = json!({
                "resourceType": "Encounter", "id": id, "status": status,
                "subject": {"reference": patient},
                "class": [{"text": "Inpatient stay"}],
                "actualPeriod": {"start": start, "end": start},
                "length": {"value": minutes, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"},
            });
            if identified {
                encounter["subject"] = json!({"identifier": {"system": "http://ids", "value": "7"}});
            }
            encounter
        })
}

/// The filter as a string of the guide, in one of the forms that mean the same.
fn written((name, suffix, value): Asked, form: usize) -> String {
    let suffix = suffix.map(|suffix| format!(":{suffix}")).unwrap_or_default();
    let encoded = value.replace('|', "%7C").replace(':', "%3A");
    match form {
        0 => format!("{name}{suffix}={value}"),
        1 => format!("Encounter?{name}{suffix}={value}"),
        2 => format!("Encounter.{name}{suffix}={value}"),
        _ => format!("Encounter?{name}{}={encoded}", suffix.replace(':', "%3A")),
    }
}

/// The filter as a member of R5's `filterBy`.
fn member((name, suffix, value): Asked, form: usize) -> Value {
    let mut member = json!({"filterParameter": name, "value": value});
    match suffix {
        Some(code) if cresset_model::Comparator::from_code(code).is_some() => {
            member["comparator"] = json!(code);
        }
        Some(code) => member["modifier"] = json!(code),
        None => {}
    }
    match form {
        0 => {}
        1 => member["resourceType"] = json!("http://hl7.org/fhir/StructureDefinition/Encounter"),
        _ => member["resourceType"] = json!("Encounter"),
    }
    member
}

/// Whether a subscription of this version with these filters is told of the resource; `None` if it
/// is refused.
fn is_told(version: FhirVersion, asked: &[Asked], form: usize, resource: &Value) -> Option<bool> {
    let json = match version {
        FhirVersion::R4 | FhirVersion::R4B => {
            let filters: Vec<String> = asked.iter().map(|one| written(*one, form)).collect();
            subscription("any", &filters.iter().map(String::as_str).collect::<Vec<_>>())
        }
        FhirVersion::R5 => json!({
            "resourceType": "Subscription", "status": "requested",
            "topic": "http://test/topic/any",
            "channelType": {"code": "websocket"}, "content": "id-only",
            "filterBy": asked.iter().map(|one| member(*one, form)).collect::<Vec<_>>(),
        }),
    };
    let (parsed, _) = Codec::of(version).parse_subscription(&json).unwrap_or_else(|issues| {
        panic!("{version:?} {asked:?} {form}: {issues}");
    });
    let mut offered = topic("any", &[]);
    let extensions = offered["extension"].as_array_mut().unwrap();
    extensions.extend(OFFERS.iter().map(|text| offering(text)));
    let topic = Codec::of(FhirVersion::R4).parse_topic(&offered).unwrap();
    let mut catalog = Catalog::new(Parameters::of(FhirVersion::R5), "http://test/r5");
    let id = ResourceId::new("any").unwrap();
    // In the form of the version: R4's extensions, R4B's comparators among the modifiers.
    let written: Value =
        serde_json::from_slice(&Codec::of(version).render_topic(&topic, &id)).unwrap();
    let topic = Codec::of(version).parse_topic(&written).unwrap();
    let (compiled, _) = catalog.compile_topic(&id, &topic).unwrap();
    catalog.insert_topic(id, compiled.into());
    let compiled = catalog.compile_subscription(&parsed).ok()?;
    catalog.insert_subscription(SubscriptionKey::created_at(Position::FIRST), compiled);
    let change = ResourceChange {
        resource_type: "Encounter",
        id: "a",
        interaction: Interaction::Create,
        at: jiff::Timestamp::UNIX_EPOCH,
        previous: None,
        current: Some(resource),
    };
    let evaluation = evaluate(&change, &catalog, &catalog.lookup());
    assert!(evaluation.problems.is_empty() && evaluation.missing.is_empty());
    Some(!evaluation.matches.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_filter_decides_the_same_in_the_form_of_each_version(
        asked in proptest::sample::subsequence(ASKED.to_vec(), 1..4),
        resource in encounter(),
        form in 0_usize..4,
    ) {
        let r5 = is_told(FhirVersion::R5, &asked, form, &resource);
        prop_assert!(r5.is_some(), "{asked:?} is refused");
        for version in [FhirVersion::R4, FhirVersion::R4B] {
            prop_assert_eq!(is_told(version, &asked, form, &resource), r5, "{:?}", version);
        }
    }
}
