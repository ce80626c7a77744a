//! The FHIRPath criteria of published topics.

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::json;

use crate::{Context, Expression, Scope};

/// Whether a criterion fires for a previous and a current status of an Encounter.
fn fires(source: &str, previous: Option<&str>, current: Option<&str>) -> Option<bool> {
    let variables = [("previous", Some("Encounter")), ("current", Some("Encounter"))];
    let definitions = Definitions::of(FhirVersion::R5);
    let scope = Scope::new(definitions).root("Encounter").variables(&variables);
    let expression = Expression::compile(source, &scope).unwrap_or_else(|e| panic!("{e}"));
    let encounter =
        |status: &str| json!({"resourceType": "Encounter", "id": "1", "status": status});
    let (previous, current) = (previous.map(encounter), current.map(encounter));
    let values = [("previous", previous.as_ref()), ("current", current.as_ref())];
    let context = Context { variables: &values, ..Context::new(current.as_ref(), "Encounter") };
    expression.evaluate(&context).ok()?.as_boolean().ok().map(|value| value == Some(true))
}

#[test]
fn the_criterion_of_the_admission_topic_needs_a_previous_state() {
    // RQ-TP-28, TR-20: empty is no trigger, though `create` is listed.
    let source = "%previous.status!='in-progress' and %current.status='in-progress'";
    assert_eq!(fires(source, Some("planned"), Some("in-progress")), Some(true));
    assert_eq!(fires(source, Some("in-progress"), Some("in-progress")), Some(false));
    assert_eq!(fires(source, None, Some("in-progress")), Some(false));
}

#[test]
fn a_criterion_tells_create_and_delete_by_the_missing_version() {
    // As the patient data feed of US Core writes it.
    let source =
        "%previous.id.empty() or %current.id.empty() or (%previous.status != %current.status)";
    assert_eq!(fires(source, None, Some("planned")), Some(true));
    assert_eq!(fires(source, Some("planned"), None), Some(true));
    assert_eq!(fires(source, Some("planned"), Some("planned")), Some(false));
    assert_eq!(fires(source, Some("planned"), Some("completed")), Some(true));
}

#[test]
fn a_union_where_or_is_meant_has_no_single_answer() {
    // TR-19: with a previous version of another status there are two items.
    let union =
        "(%previous.empty() | (%previous.status != 'finished')) and (%current.status = 'finished')";
    assert_eq!(fires(union, Some("planned"), Some("finished")), None);
    assert_eq!(fires(union, None, Some("finished")), Some(true));
    let or = union.replace('|', "or");
    assert_eq!(fires(&or, Some("planned"), Some("finished")), Some(true));
    assert_eq!(fires(&or, None, Some("finished")), Some(true));
    assert_eq!(fires(&or, Some("finished"), Some("finished")), Some(false));
}
