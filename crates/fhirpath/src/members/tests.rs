//! Nothing that is found is ever taken for absent.

use cresset_definitions::{Definitions, FhirVersion};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Context, Expression, Scope};

/// Expressions as search parameters have them, and some of which nothing is known.
const EXPRESSIONS: [&str; 16] = [
    "Observation.status",
    "Observation.subject.where(resolve() is Patient)",
    "Observation.code | Observation.component.code",
    "(Observation.value as Quantity) | (Observation.component.value as CodeableConcept)",
    "Observation.effective",
    "Observation.effective.start",
    "Observation.component",
    "Observation.component.where(code.exists()).value",
    "Observation.valueQuantity",
    "Observation.value.exists()",
    "Observation.value.empty()",
    "Observation.code.exists() or Observation.status.empty()",
    "Observation",
    "Observation.meta.tag",
    "Observation.note.count()",
    "Observation.performer.resolve()",
];

fn members() -> Map<String, Value> {
    let all = json!({
        "status": "final",
        "_status": {"extension": [{"url": "u", "valueCode": "a"}]},
        "subject": {"reference": "Patient/1"},
        "code": {"text": "a"},
        "component": [{"code": {"text": "b"}, "valueCodeableConcept": {"text": "c"}}],
        "valueQuantity": {"value": 1},
        "effectiveDateTime": "2024-01-01",
        "_effectiveInstant": {"extension": [{"url": "u", "valueCode": "a"}]},
        "meta": {"tag": [{"code": "t"}]},
        "note": [{"text": "n"}],
        "performer": [{"reference": "Practitioner/1"}],
    });
    all.as_object().unwrap().clone()
}

proptest! {
    #[test]
    fn what_is_taken_for_empty_yields_nothing(
        kept in subsequence(members().keys().cloned().collect::<Vec<_>>(), 0..11),
    ) {
        let mut observation = json!({"resourceType": "Observation"});
        for (name, value) in members().into_iter().filter(|(name, _)| kept.contains(name)) {
            observation[name] = value;
        }
        let set = MemberSet::of(&observation);
        let definitions = Definitions::of(FhirVersion::R4);
        let scope = Scope::new(definitions).root("Observation").lenient();
        for text in EXPRESSIONS {
            let expression = Expression::compile(text, &scope).unwrap();
            if expression.is_empty_with(set) {
                let found = expression.evaluate(&Context::new(Some(&observation), "Observation"));
                prop_assert_eq!(found.map(|found| found.len()), Ok(0), "{}", text);
            }
        }
    }
}

#[test]
fn members_of_objects_are_in_the_order_of_their_names() {
    // What looks members up counts on it; `serde_json` can be told to keep another order.
    let object: Value = serde_json::from_str(r#"{"b":1,"_c":2,"a":3}"#).unwrap();
    assert!(object.as_object().unwrap().keys().eq(["_c", "a", "b"]));
}

#[test]
fn most_of_what_is_absent_is_known_to_be() {
    let observation = json!({"resourceType": "Observation", "status": "final"});
    let set = MemberSet::of(&observation);
    let definitions = Definitions::of(FhirVersion::R4);
    let scope = Scope::new(definitions).root("Observation").lenient();
    let known = EXPRESSIONS
        .iter()
        .filter(|text| Expression::compile(text, &scope).unwrap().is_empty_with(set));
    assert_eq!(known.count(), 9);
}
