//! Whose event a change is: triggers, filters, both states, and what cannot be evaluated.

use cresset_model::{
    Canonical, Coding, EventTrigger, Interaction, Period, QueryCriteria, ResourceTrigger,
    Subscription, Topic, criteria_topic_url,
};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{
    BASE_URL, add_topic, catalog, catalog_of, change, evaluate, fhir_path_trigger, id, key,
    matched, now, numbers, query, query_trigger, subscribe, subscription, topic, trigger,
};

mod measure;
mod properties;

fn encounter(subject: &str, status: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": "1", "status": status,
        "subject": { "reference": subject },
    })
}

#[test]
fn an_empty_catalog_matches_nothing() {
    let created = encounter("Patient/1", "planned");
    let evaluation = evaluate(&catalog(), &change("Encounter", None, Some(&created)));
    assert!(evaluation.matches.is_empty() && evaluation.problems.is_empty());
    assert_eq!(matched(&catalog(), &change("Nonsense", None, Some(&created))), [0; 0]);
}

#[test]
fn filters_look_at_the_state_after_a_change_and_before_a_delete() {
    let catalog = catalog_of(
        &topic(vec![trigger("Encounter")], &["patient"]),
        &[&["patient=Patient/1"], &["patient=Patient/2"], &[]],
    );
    let (one, two) = (encounter("Patient/1", "planned"), encounter("Patient/2", "planned"));
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&one))), [1, 3]);
    assert_eq!(matched(&catalog, &change("Encounter", Some(&one), Some(&two))), [2, 3]);
    assert_eq!(matched(&catalog, &change("Encounter", Some(&one), None)), [1, 3]);
}

#[test]
fn criteria_are_a_search_on_the_state_after_a_create_or_an_update() {
    let mut catalog = catalog().with_criteria_topics(&["Subscription"]);
    assert_eq!(catalog.topics().count(), 0, "they are nobody's");
    let encounters = Canonical { url: criteria_topic_url("Encounter"), version: None };
    for (number, filters) in [
        &["patient=Patient/1"][..],
        &["patient=Patient/2", "status=planned"],
        &["status:not=planned"],
        &[],
    ]
    .iter()
    .enumerate()
    {
        let asked = Subscription { topic: encounters.clone(), ..subscription(filters) };
        let compiled = catalog.compile_subscription(&asked).unwrap();
        catalog.insert_subscription(key(number as u64 + 1), compiled);
    }
    let (one, two) = (encounter("Patient/1", "planned"), encounter("Patient/2", "planned"));
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&one))), [1, 4]);
    assert_eq!(matched(&catalog, &change("Encounter", Some(&one), Some(&two))), [2, 4]);
    assert_eq!(matched(&catalog, &change("Encounter", Some(&one), None)), [0; 0]);
    let unknown = Subscription { topic: encounters, ..subscription(&["colour=red"]) };
    assert!(catalog.compile_subscription(&unknown).is_err());
    let hidden = Canonical { url: criteria_topic_url("Subscription"), version: None };
    let hidden = Subscription { topic: hidden, ..subscription(&[]) };
    assert!(catalog.compile_subscription(&hidden).is_err());
}

#[test]
fn all_filters_must_hold_and_one_of_the_values_of_each() {
    let catalog = catalog_of(
        &topic(vec![trigger("Encounter")], &["patient", "status not"]),
        &[
            &["patient=Patient/1", "status=planned"],
            &["patient=Patient/1", "status=completed"],
            &["patient=Patient/1,Patient/2", "status=planned,completed"],
            &["status=planned", "status=completed"],
            &["status:not=completed"],
        ],
    );
    let created = encounter("Patient/1", "planned");
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [1, 3, 5]);
}

#[test]
fn a_filter_for_another_type_is_skipped_and_not_failed() {
    let catalog = catalog_of(
        &topic(vec![trigger("Encounter"), trigger("Observation")], &["patient", "status"]),
        &[&["Observation.patient=Patient/2"], &["patient=Patient/2"]],
    );
    let created = encounter("Patient/1", "planned");
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [1]);
    let observed = json!({
        "resourceType": "Observation", "id": "1", "subject": { "reference": "Patient/2" },
    });
    assert_eq!(matched(&catalog, &change("Observation", None, Some(&observed))), [1, 2]);
}

#[test]
fn a_reference_matches_relative_absolute_and_versioned() {
    let absolute = format!("{BASE_URL}/Patient/1");
    let filter = format!("patient={absolute}");
    let catalog = catalog_of(
        &topic(vec![trigger("Encounter")], &["patient"]),
        &[&["patient=Patient/1"], &["patient=1"], &[&filter]],
    );
    for subject in ["Patient/1", &absolute, "Patient/1/_history/3"] {
        let created = encounter(subject, "planned");
        let found = matched(&catalog, &change("Encounter", None, Some(&created)));
        assert_eq!(found, [1, 2, 3], "{subject}");
    }
    for subject in ["http://other.example/Patient/1", "Patient/12", "Group/1"] {
        let created = encounter(subject, "planned");
        let found = matched(&catalog, &change("Encounter", None, Some(&created)));
        assert!(!found.contains(&1), "{subject}");
    }
}

#[test]
fn several_triggers_that_fire_make_one_event() {
    let triggers = vec![trigger("Encounter"), trigger("Resource"), trigger("Encounter")];
    let catalog = catalog_of(&topic(triggers, &[]), &[&[]]);
    let created = encounter("Patient/1", "planned");
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [1]);
}

#[test]
fn topics_do_not_mix_and_matches_come_in_the_order_of_their_keys() {
    let mut catalog = catalog();
    let other = "http://topics.example/other";
    add_topic(&mut catalog, "a", &topic(vec![trigger("Encounter")], &[]));
    add_topic(
        &mut catalog,
        "b",
        &Topic { url: other.into(), ..topic(vec![trigger("Resource")], &[]) },
    );
    for number in [5, 3, 1] {
        subscribe(&mut catalog, number, &[]);
    }
    let mut second = subscription(&[]);
    second.topic = Canonical::new(other);
    for number in [4, 2] {
        let compiled = catalog.compile_subscription(&second).unwrap();
        catalog.insert_subscription(key(number), compiled);
    }
    let created = encounter("Patient/1", "planned");
    let evaluation = evaluate(&catalog, &change("Encounter", None, Some(&created)));
    assert_eq!(numbers(&evaluation), [1, 2, 3, 4, 5]);
    assert_eq!(evaluation.matches[1].topic.topic().url, other);
    catalog.remove_topic(&id("a"));
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [2, 4]);
}

#[test]
fn interactions_gate_criteria() {
    let only = |interaction| ResourceTrigger {
        supported_interactions: vec![interaction],
        ..trigger("Encounter")
    };
    let resource = encounter("Patient/1", "planned");
    let changes = [
        (Interaction::Create, change("Encounter", None, Some(&resource))),
        (Interaction::Update, change("Encounter", Some(&resource), Some(&resource))),
        (Interaction::Delete, change("Encounter", Some(&resource), None)),
    ];
    for (supported, _) in &changes {
        let catalog = catalog_of(&topic(vec![only(*supported)], &[]), &[&[]]);
        for (done, change) in &changes {
            assert_eq!(!matched(&catalog, change).is_empty(), done == supported);
        }
    }
}

/// Fires or not on create, update and delete of encounters that go from planned to completed;
/// and how many problems each reports.
fn check_expression(expression: &str, fires: [bool; 3], problems: [usize; 3]) {
    let catalog = catalog_of(&topic(vec![fhir_path_trigger("Encounter", expression)], &[]), &[&[]]);
    let (before, after) = (encounter("Patient/1", "planned"), encounter("Patient/1", "completed"));
    let changes = [
        change("Encounter", None, Some(&after)),
        change("Encounter", Some(&before), Some(&after)),
        change("Encounter", Some(&before), None),
    ];
    let evaluations = changes.map(|change| evaluate(&catalog, &change));
    let fired = evaluations.each_ref().map(|evaluation| !evaluation.matches.is_empty());
    let found = evaluations.each_ref().map(|evaluation| evaluation.problems.len());
    assert_eq!((fired, found), (fires, problems), "{expression}");
}

#[test]
fn an_expression_fires_where_it_is_true_and_only_there() {
    let none = [0; 3];
    check_expression("%current.status = 'completed'", [true, true, false], none);
    check_expression("%previous.status = 'planned'", [false, true, true], none);
    // RQ-TP-28: empty on create, so it does not fire.
    let changed = "%previous.status != 'completed' and %current.status = 'completed'";
    check_expression(changed, [false, true, false], none);
    let first = "(%previous.id.empty() or %previous.status != 'completed') \
                 and %current.status = 'completed'";
    check_expression(first, [true, true, false], none);
    check_expression("%current.empty()", [false, false, true], none);
    // RQ-TP-29: the focus is the state after, or the one before a delete.
    check_expression("status = 'completed'", [true, true, false], none);
    check_expression("%resource.status = 'planned'", [false, false, true], none);
    check_expression("true", [true, true, true], none);
    check_expression("{}", [false, false, false], none);
}

#[test]
fn an_expression_does_not_take_an_update_of_unknown_past_for_a_create() {
    let expression = "%previous.empty() and %current.status = 'completed'";
    let catalog = catalog_of(&topic(vec![fhir_path_trigger("Encounter", expression)], &[]), &[&[]]);
    let updated = encounter("Patient/1", "completed");
    let mut change = change("Encounter", None, Some(&updated));
    assert_eq!(matched(&catalog, &change), [1]);
    change.interaction = Interaction::Update;
    let evaluation = evaluate(&catalog, &change);
    assert_eq!((evaluation.matches.len(), evaluation.problems.len()), (0, 1));
}

#[test]
fn an_expression_that_is_no_single_boolean_does_not_fire_and_is_reported() {
    check_expression("%current.status", [false; 3], [1, 1, 0]);
    check_expression("1", [false; 3], [1; 3]);
    check_expression("true.combine(true)", [false; 3], [1; 3]);
    // TR-19: the union of two booleans is one only where they agree.
    let union = "(%previous.empty() | (%previous.status != 'completed')) \
                 and (%current.status = 'completed')";
    check_expression(union, [true, false, false], [0, 1, 1]);
}

#[test]
fn the_expression_decides_where_there_is_a_query_too() {
    let both = ResourceTrigger {
        query_criteria: Some(query("", "status=planned")),
        ..fhir_path_trigger("Encounter", "%current.status = 'completed'")
    };
    let catalog = catalog_of(&topic(vec![both], &[]), &[&[]]);
    for (status, fires) in [("completed", true), ("planned", false)] {
        let created = encounter("Patient/1", status);
        let fired = !matched(&catalog, &change("Encounter", None, Some(&created))).is_empty();
        assert_eq!(fired, fires, "{status}");
    }
}

#[test]
fn the_query_decides_where_the_expression_has_no_single_boolean() {
    // As HL7's example for R5 has it: right on a create, two booleans on the update that is meant.
    let union = "(%previous.empty() | (%previous.status != 'completed')) \
                 and (%current.status = 'completed')";
    let ended = query("status:not=completed", "status=completed");
    let trigger = |expression: &str| ResourceTrigger {
        query_criteria: Some(ended.clone()),
        ..fhir_path_trigger("Encounter", expression)
    };
    let (planned, completed) =
        (encounter("Patient/1", "planned"), encounter("Patient/1", "completed"));
    let fires = |trigger: ResourceTrigger, previous: Option<&Value>, current: Option<&Value>| {
        let catalog = catalog_of(&topic(vec![trigger], &[]), &[&[]]);
        let evaluation = evaluate(&catalog, &change("Encounter", previous, current));
        assert!(evaluation.problems.is_empty(), "{:?}", evaluation.problems);
        !evaluation.matches.is_empty()
    };
    assert!(fires(trigger(union), None, Some(&completed)), "the expression");
    assert!(fires(trigger(union), Some(&planned), Some(&completed)), "the query");
    assert!(!fires(trigger(union), Some(&completed), Some(&completed)), "both say no");
    assert!(!fires(trigger(union), Some(&planned), Some(&planned)), "the query");
    assert!(fires(trigger("%current.status"), Some(&planned), Some(&completed)));
    assert!(!fires(trigger("%current.status"), Some(&planned), Some(&planned)));
    // An answer of the expression is one, also an empty one.
    assert!(!fires(trigger("false"), Some(&planned), Some(&completed)));
    assert!(!fires(trigger("{}"), Some(&planned), Some(&completed)));
    // What the expression was to look at and cannot be had is no reason to ask something else.
    let resolving = trigger("%current.subject.resolve().active = true");
    let catalog = catalog_of(&topic(vec![resolving], &[]), &[&[]]);
    let change = change("Encounter", Some(&planned), Some(&completed));
    let mut lookup = catalog.lookup();
    lookup.insert_unavailable(Need::Resource("Patient/1".into()), "the store is away");
    let evaluation = super::evaluate(&change, &catalog, &lookup);
    assert_eq!((evaluation.matches.len(), evaluation.problems.len()), (0, 1));
}

#[test]
fn what_an_expression_needs_is_asked_for_and_then_used() {
    let expression = "%current.subject.resolve().active = true";
    let catalog = catalog_of(&topic(vec![fhir_path_trigger("Encounter", expression)], &[]), &[&[]]);
    let created = encounter("Patient/1", "planned");
    let change = change("Encounter", None, Some(&created));
    let first = evaluate(&catalog, &change);
    assert_eq!((first.matches.len(), first.problems.len()), (0, 0));
    let need = Need::Resource("Patient/1".into());
    assert_eq!(first.missing, [need.clone()].into());
    let active = |active: bool| json!({ "resourceType": "Patient", "id": "1", "active": active });
    let (yes, no) = (active(true), active(false));
    for (found, fires) in [(Some(&yes), true), (Some(&no), false), (None, false)] {
        let mut lookup = catalog.lookup();
        lookup.insert(need.clone(), found);
        let second = super::evaluate(&change, &catalog, &lookup);
        assert_eq!((!second.matches.is_empty(), second.missing.len()), (fires, 0));
    }
}

#[test]
fn what_cannot_be_looked_up_lets_nothing_through_and_is_reported_on_whom_it_concerns() {
    let expression = "%current.subject.resolve().active = true";
    let catalog = catalog_of(&topic(vec![fhir_path_trigger("Encounter", expression)], &[]), &[&[]]);
    let filtered = catalog_of(
        &topic(vec![trigger("Encounter")], &["patient.active", "status"]),
        &[&["patient.active=true"], &["status=planned"], &["patient.active=true", "status=final"]],
    );
    let created = encounter("Patient/1", "planned");
    let change = change("Encounter", None, Some(&created));
    let need = Need::Resource("Patient/1".into());
    let asked = evaluate(&filtered, &change);
    assert_eq!((numbers(&asked), asked.missing), (vec![2], [need.clone()].into()));
    for (catalog, matched, reported) in
        [(&catalog, vec![], None), (&filtered, vec![2], Some(key(1)))]
    {
        let mut lookup = catalog.lookup();
        lookup.insert_unavailable(need.clone(), "the store is away");
        let evaluation = super::evaluate(&change, catalog, &lookup);
        assert_eq!((numbers(&evaluation), evaluation.missing.len()), (matched.clone(), 0));
        assert_eq!(evaluation.problems.len(), 1);
        assert_eq!(evaluation.problems[0].subscription, reported);
        assert!(evaluation.problems[0].text.contains("the store is away"));
        let mut closed = catalog.lookup();
        closed.close("enough");
        assert_eq!(numbers(&super::evaluate(&change, catalog, &closed)), matched);
    }
}

#[test]
fn nothing_is_asked_for_where_another_trigger_fires_or_nobody_listens() {
    let asking = || fhir_path_trigger("Encounter", "%current.subject.resolve().active");
    let created = encounter("Patient/1", "planned");
    let change = change("Encounter", None, Some(&created));
    let fires = catalog_of(&topic(vec![asking(), trigger("Encounter")], &["patient"]), &[&[]]);
    let evaluation = evaluate(&fires, &change);
    assert_eq!((evaluation.matches.len(), evaluation.missing.len()), (1, 0));
    let nobody = catalog_of(&topic(vec![asking()], &["patient"]), &[&["patient=Patient/2"]]);
    assert_eq!(evaluate(&nobody, &change).missing.len(), 0);
}

/// An encounter whose period cannot be read.
fn unreadable() -> Value {
    json!({
        "resourceType": "Encounter", "id": "1", "status": "planned",
        "subject": { "reference": "Patient/1" },
        "actualPeriod": { "start": "the day before" },
    })
}

#[test]
fn a_filter_that_cannot_be_evaluated_lets_nothing_through_and_is_reported() {
    let catalog = catalog_of(
        &topic(vec![trigger("Encounter")], &["patient", "date ge"]),
        &[
            &["date=ge2020"],
            &["patient=Patient/1", "date=ge2020"],
            &["patient=Patient/2", "date=ge2020"],
            &["patient=Patient/1"],
        ],
    );
    let created = unreadable();
    let evaluation = evaluate(&catalog, &change("Encounter", None, Some(&created)));
    assert_eq!(numbers(&evaluation), [4]);
    let reported: Vec<_> = evaluation.problems.iter().map(|problem| problem.subscription).collect();
    assert_eq!(reported, [None, Some(key(2))], "the first is found by its date");
    assert!(evaluation.problems.iter().all(|problem| !problem.text.contains("the day before")));
}

#[test]
fn an_index_value_that_cannot_be_read_hides_its_subscriptions_and_is_reported() {
    let catalog = catalog_of(
        &topic(vec![trigger("Encounter")], &["identifier", "patient"]),
        &[&["identifier=http://ids.example|1"], &["patient=Patient/1"]],
    );
    let mut created = encounter("Patient/1", "planned");
    let identifier = json!({ "system": "http://ids.example", "value": "1" });
    created["identifier"] = Value::Array(vec![identifier; cresset_search::VALUES_MAX + 1]);
    let evaluation = evaluate(&catalog, &change("Encounter", None, Some(&created)));
    assert_eq!(numbers(&evaluation), [2]);
    assert_eq!(evaluation.problems.len(), 1, "{:?}", evaluation.problems);
    assert_eq!(evaluation.problems[0].subscription, None);
}

#[test]
fn problems_are_reported_up_to_a_bound() {
    let filters: &[&str] = &["date=ne2020"];
    let catalog =
        catalog_of(&topic(vec![trigger("Encounter")], &["date ne"]), &[filters; PROBLEMS_MAX + 7]);
    let created = unreadable();
    let evaluation = evaluate(&catalog, &change("Encounter", None, Some(&created)));
    assert_eq!((evaluation.problems.len(), evaluation.problems_left_out), (PROBLEMS_MAX, 7));
}

#[test]
fn a_change_without_the_state_it_must_have_is_reported() {
    let criteria = QueryCriteria { require_both: false, ..query("", "status=planned") };
    let catalog =
        catalog_of(&topic(vec![query_trigger("Encounter", criteria)], &["patient"]), &[&[]]);
    for interaction in [Interaction::Create, Interaction::Delete, Interaction::Update] {
        let mut change = change("Encounter", None, None);
        change.interaction = interaction;
        let evaluation = evaluate(&catalog, &change);
        assert_eq!((evaluation.matches.len(), evaluation.problems.len()), (0, 1));
    }
}

#[test]
fn an_expression_that_asks_nothing_of_the_past_needs_no_previous_state() {
    let now = json!({ "resourceType": "Encounter", "id": "1", "status": "completed" });
    let update = ResourceChange {
        interaction: Interaction::Update,
        ..change("Encounter", None, Some(&now))
    };
    for (expression, fires) in [
        ("%current.status = 'completed'", true),
        ("%previous.empty() or %current.status = 'completed'", false),
    ] {
        let trigger = fhir_path_trigger("Encounter", expression);
        let catalog = catalog_of(&topic(vec![trigger], &[]), &[&[]]);
        let needed = catalog.interest("Encounter", Interaction::Update);
        assert_eq!(needed == Interest::Current, fires, "{expression}");
        let found = evaluate(&catalog, &update);
        assert_eq!((found.matches.len() == 1, found.problems.is_empty()), (fires, fires));
    }
}

fn admission() -> EventTrigger {
    let coding = |code: &str| Coding { system: Some("http://v2".into()), code: code.into() };
    EventTrigger {
        description: None,
        event: vec![coding("A01"), coding("A04")],
        text: None,
        resource: "Encounter".into(),
    }
}

#[test]
fn an_occurrence_is_an_event_of_those_whose_filters_its_focus_matches() {
    let of_events = Topic { event_triggers: vec![admission()], ..topic(vec![], &["patient"]) };
    let catalog = catalog_of(&of_events, &[&["patient=Patient/1"], &["patient=Patient/2"], &[]]);
    let topic = catalog.topic_stored_at(&id("t")).unwrap();
    let focus = encounter("Patient/1", "planned");
    let occurrence = Occurrence { topic, resource_type: "Encounter", focus: &focus, at: now() };
    assert_eq!(numbers(&evaluate_occurrence(&occurrence, &catalog, &catalog.lookup())), [1, 3]);
    // A change of the focus is none.
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&focus))), [0; 0]);
}

#[test]
fn an_occurrence_whose_focus_cannot_be_read_lets_nothing_through_and_is_reported() {
    let of_events = Topic { event_triggers: vec![admission()], ..topic(vec![], &["date ge"]) };
    let catalog = catalog_of(&of_events, &[&["date:ge=2020"], &[]]);
    let topic = catalog.topic_stored_at(&id("t")).unwrap();
    let focus = json!({ "resourceType": "Encounter", "actualPeriod": { "start": "soon" } });
    let occurrence = Occurrence { topic, resource_type: "Encounter", focus: &focus, at: now() };
    let evaluation = evaluate_occurrence(&occurrence, &catalog, &catalog.lookup());
    assert_eq!(numbers(&evaluation), [2]);
    assert_eq!(evaluation.problems.len(), 1);
}

#[test]
fn an_event_is_named_by_any_of_its_codes_and_has_the_types_of_its_triggers() {
    let of_events = Topic { event_triggers: vec![admission()], ..topic(vec![], &[]) };
    let (compiled, _) = catalog().compile_topic(&id("t"), &of_events).unwrap();
    let types = |system: Option<&str>, code: &str| {
        compiled.types_of_event(&[Coding { system: system.map(Into::into), code: code.into() }])
    };
    assert_eq!(types(Some("http://v2"), "A01"), ["Encounter"]);
    assert_eq!(types(None, "A04"), ["Encounter"]);
    assert_eq!(types(Some("http://other"), "A01"), [""; 0]);
    assert_eq!(types(Some("http://v2"), "A02"), [""; 0]);
}

#[test]
fn outside_of_its_period_a_topic_has_no_events() {
    let period = Period { start: Some("2027".into()), end: None };
    let later = Topic {
        effective_period: Some(period),
        event_triggers: vec![admission()],
        ..topic(vec![trigger("Encounter")], &[])
    };
    let catalog = catalog_of(&later, &[&[]]);
    let focus = encounter("Patient/1", "planned");
    let topic = catalog.topic_stored_at(&id("t")).unwrap();
    let created = change("Encounter", None, Some(&focus));
    let occurrence = Occurrence { topic, resource_type: "Encounter", focus: &focus, at: now() };
    assert_eq!(matched(&catalog, &created), [0; 0]);
    assert_eq!(numbers(&evaluate_occurrence(&occurrence, &catalog, &catalog.lookup())), [0; 0]);
    let at = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(matched(&catalog, &ResourceChange { at, ..created }), [1]);
    let later = Occurrence { at, ..occurrence };
    let evaluation = evaluate_occurrence(&later, &catalog, &catalog.lookup());
    assert_eq!(numbers(&evaluation), [1]);
}
