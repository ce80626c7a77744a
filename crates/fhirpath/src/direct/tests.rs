use cresset_definitions::{Definitions, FhirVersion};
use serde_json::json;

use super::*;
use crate::compile::compile;
use crate::scope::Scope;

/// What a direct reading of an expression over an Observation yields, if it is one and can tell.
fn read(expression: &str, observation: &Value) -> Option<usize> {
    let scope = Scope::new(Definitions::of(FhirVersion::R4)).root("Observation").lenient();
    let program = compile(expression, &scope).unwrap();
    let direct = program.direct.as_ref()?;
    let context = Context::new(Some(observation), "Observation");
    // With the evaluator the same comes out.
    let evaluated = crate::Expression::compile(expression, &scope).unwrap();
    let mut out = Collection::new();
    let told = direct.evaluate(&context, &mut out).then_some(out.len());
    let few = Context { step_max: STEPS - 1, ..context };
    if let Some(len) = told {
        let found = evaluated.evaluate(&few).unwrap();
        assert_eq!(found.len(), len, "{expression} over {observation}");
    }
    let mut other = Collection::new();
    let foreign = Context::new(Some(observation), "Encounter");
    assert!(!direct.evaluate(&foreign, &mut other), "{expression} is of another type");
    told
}

#[test]
fn an_element_of_the_focus_is_read_where_it_is_plain_to_see() {
    let observation = |subject: Value| json!({"resourceType": "Observation", "subject": subject});
    let patient = "Observation.subject.where(resolve() is Patient)";
    let here = observation(json!({"reference": "Patient/1"}));
    assert_eq!(read("Observation.subject", &here), Some(1));
    assert_eq!(read("subject", &here), Some(1));
    assert_eq!(read(patient, &here), Some(1));
    assert_eq!(read("Observation.code", &here), Some(0));
    for subject in [
        json!({"reference": "Group/1"}),
        json!({"reference": "http://other.org/Patient/1"}),
        json!({"reference": "Patient/1/_history/2"}),
        json!({"reference": "#p"}),
        json!({"type": "Patient"}),
    ] {
        assert_eq!(read(patient, &observation(subject.clone())), None, "{subject}");
        assert_eq!(read("Observation.subject", &observation(subject.clone())), Some(1));
    }
    for subject in [json!(null), json!([{"reference": "Patient/1"}]), json!("Patient/1")] {
        assert_eq!(read("Observation.subject", &observation(subject.clone())), None, "{subject}");
    }
}

#[test]
fn what_is_of_another_form_is_left_to_the_evaluator() {
    let observation = json!({"resourceType": "Observation", "status": "final"});
    for expression in [
        "Observation.status",
        "Observation.value",
        "Observation.contained",
        "Observation.code.coding",
        "Observation.subject.exists()",
        "Observation.subject | Observation.focus",
    ] {
        assert_eq!(read(expression, &observation), None, "{expression}");
    }
}
