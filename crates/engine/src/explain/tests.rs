//! Explanations: that they answer as `evaluate` does, and what they say.

use cresset_model::{
    Coding, FilterDefinition, QueryCriteria, ResourceTrigger, Subscription, Topic, Verdict,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{
    add_topic, catalog, change, fhir_path_trigger, matched, offer, query, query_trigger, subscribe,
    subscription, topic, trigger,
};

fn encounter(status: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": "1", "status": status,
        "subject": { "reference": format!("Patient/{patient}") },
    })
}

/// The explanation of a change for a subscription with these filters.
fn explained(
    topic: &Topic,
    filters: &[&str],
    previous: Option<&Value>,
    current: Option<&Value>,
    lookup: &Lookup<'_>,
) -> Explanation {
    let mut catalog = catalog();
    add_topic(&mut catalog, "t", topic);
    let read = subscription(filters);
    let compiled = catalog.compile_subscription(&read).unwrap();
    let change = change("Encounter", previous, current);
    explain(&change, &catalog, Subject::Subscription(&compiled, &read), lookup).0
}

/// A test as `element text verdict [values]`.
fn line(test: &ExplainedTest) -> String {
    let element = test.element.rsplit('.').next().unwrap();
    format!("{element} {} {} {:?}", test.text, test.verdict.code(), test.values)
}

#[test]
fn each_criterion_is_told_with_what_it_saw() {
    let ended = QueryCriteria {
        result_for_create: Some(CriteriaResult::TestPasses),
        ..query("status:not=completed", "Encounter?status=completed&_id=1")
    };
    let topic = topic(
        vec![trigger("Observation"), query_trigger("Encounter", ended)],
        &["patient", "date ge"],
    );
    let (before, after) = (encounter("planned", "1"), encounter("completed", "1"));
    let filters = ["patient=Patient/2", "date=ge2020"];
    let update = explained(&topic, &filters, Some(&before), Some(&after), &catalog().lookup());
    assert_eq!((update.verdict, update.interaction), (Verdict::Fails, Interaction::Update));
    assert_eq!(update.summary, "a filter of the subscription does not hold");
    let verdicts: Vec<_> = update.triggers.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::NotAsked, Verdict::Holds]);
    let lines: Vec<_> = update.triggers[1].criteria.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            r#"previous status:not=completed holds ["planned"]"#,
            r#"current status=completed holds ["completed"]"#,
            r#"current _id=1 holds ["1"]"#,
        ]
    );
    let lines: Vec<_> = update.filters.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            r#"filterBy[0] patient=Patient/2 fails ["{\"reference\":\"Patient/1\"}"]"#,
            "filterBy[1] date=ge2020 fails []",
        ]
    );
    let create = explained(&topic, &[], None, Some(&after), &catalog().lookup());
    assert_eq!(create.verdict, Verdict::Holds);
    let lines: Vec<_> = create.triggers[1].criteria.iter().map(line).collect();
    assert_eq!(lines[0], "resultForCreate test-passes holds []");
    assert_eq!(lines[1], "previous status:not=completed not-asked []");
}

#[test]
fn filters_that_choose_the_types_are_told_as_such() {
    let codes = vec![Coding { system: None, code: "feed-event".into() }];
    let mut feed = topic(vec![trigger("Encounter"), trigger("Observation")], &["patient"]);
    feed.can_filter_by.push(FilterDefinition { codes, ..offer("trigger") });
    feed.filters_choose_types = true;
    let after = encounter("planned", "1");
    let told = |filters: &[&str]| {
        let told = explained(&feed, filters, None, Some(&after), &catalog().lookup());
        let lines: Vec<_> = told.filters.iter().map(line).collect();
        (told.verdict, told.summary, lines)
    };
    let (verdict, summary, lines) = told(&["Observation.patient=Patient/1"]);
    assert_eq!(verdict, Verdict::Fails);
    assert_eq!(summary, "the filters of the subscription choose other types of resources");
    assert_eq!(lines, ["filterBy[0] Observation?patient=Patient/1 not-asked []"]);
    let (verdict, _, lines) =
        told(&["Encounter.trigger=feed-event", "Observation.trigger=feed-event"]);
    assert_eq!(verdict, Verdict::Holds);
    assert_eq!(
        lines,
        [
            "filterBy[0] Encounter?trigger=feed-event holds []",
            "filterBy[1] Observation?trigger=feed-event not-asked []"
        ]
    );
}

#[test]
fn a_filter_that_closes_a_type_is_told_as_such() {
    let both = topic(vec![trigger("Encounter"), trigger("Observation")], &["Observation.code"]);
    let after = encounter("planned", "1");
    let told = explained(&both, &["code=1-8"], None, Some(&after), &catalog().lookup());
    let summary = "a filter that names no type cannot be asked of this type of resource";
    assert_eq!((told.verdict, told.summary.as_str()), (Verdict::Fails, summary));
    assert_eq!(told.filters[0].reason.as_deref(), Some("it is not for Encounter"));
}

#[test]
fn an_expression_is_told_part_by_part() {
    let source =
        "(%previous.empty() or %previous.status != 'completed') and %current.status = 'completed'";
    let topic = topic(vec![fhir_path_trigger("Encounter", source)], &[]);
    let before = encounter("planned", "1");
    let told = explained(&topic, &[], Some(&before), Some(&before), &catalog().lookup());
    assert_eq!(told.verdict, Verdict::Fails);
    let lines: Vec<_> = told.triggers[0].criteria.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            format!("fhirPathCriteria {source} fails [\"false\"]"),
            r#"fhirPathCriteria %previous.empty() fails ["false"]"#.to_owned(),
            r#"fhirPathCriteria %previous.status != 'completed' holds ["true"]"#.to_owned(),
            r#"fhirPathCriteria %previous.status fails ["planned"]"#.to_owned(),
            r#"fhirPathCriteria %current.status = 'completed' fails ["false"]"#.to_owned(),
            r#"fhirPathCriteria %current.status fails ["planned"]"#.to_owned(),
        ]
    );
}

#[test]
fn a_query_that_decides_instead_of_an_expression_is_told_with_it() {
    let both = ResourceTrigger {
        query_criteria: Some(query("", "status=completed")),
        ..fhir_path_trigger("Encounter", "%current.status | %current.id")
    };
    let after = encounter("completed", "1");
    let topic = topic(vec![both], &[]);
    let told = explained(&topic, &[], None, Some(&after), &catalog().lookup());
    assert_eq!(told.verdict, Verdict::Holds);
    let trigger = &told.triggers[0];
    let reason = "fhirPathCriteria has no single answer, so queryCriteria decides";
    assert_eq!(trigger.reason.as_deref(), Some(reason));
    let last = trigger.criteria.last().map(line);
    assert_eq!(last.as_deref(), Some(r#"current status=completed holds ["completed"]"#));
}

#[test]
fn what_cannot_be_told_is_unknown_and_says_what_is_missing() {
    let source = "%current.subject.resolve().active = true";
    let topic = topic(vec![fhir_path_trigger("Encounter", source)], &[]);
    let after = encounter("planned", "1");
    let told = explained(&topic, &[], None, Some(&after), &catalog().lookup());
    assert_eq!((told.verdict, told.missing), (Verdict::Unknown, vec!["Patient/1".to_owned()]));
    let patient = json!({ "resourceType": "Patient", "active": true });
    let empty = catalog();
    let mut lookup = empty.lookup();
    lookup.insert(Need::Resource("Patient/1".into()), Some(&patient));
    let told = explained(&topic, &[], None, Some(&after), &lookup);
    assert_eq!((told.verdict, told.missing), (Verdict::Holds, Vec::new()));
    let unknown = explained(&topic, &[], Some(&after), None, &catalog().lookup());
    assert_eq!(unknown.verdict, Verdict::Fails);
}

#[test]
fn values_are_bounded() {
    let names: Vec<_> = (0..EXPLAINED_VALUES_MAX + 5)
        .map(|n| json!({ "value": "x".repeat(EXPLAINED_TEXT_MAX + n) }))
        .collect();
    let mut after = encounter("planned", "1");
    after["identifier"] = json!(names);
    let topic = topic(vec![trigger("Encounter")], &["identifier"]);
    let told = explained(&topic, &["identifier=y"], None, Some(&after), &catalog().lookup());
    assert_eq!(told.filters[0].values.len(), EXPLAINED_VALUES_MAX);
    assert_eq!(told.filters[0].values_left_out, 5);
    assert!(told.filters[0].values.iter().all(|one| one.chars().count() <= EXPLAINED_TEXT_MAX + 1));
    assert!(!format!("{told:?} {:?}", told.filters).contains("xx"), "Debug shows content");
}

const OFFERS: [&str; 5] =
    ["patient", "status not missing", "date ge lt", "_id", "Observation.code"];

const FILTERS: [&str; 9] = [
    "patient=Patient/1",
    "patient=Patient/1,Patient/2",
    "status=planned",
    "status:not=planned",
    "status:missing=true",
    "date=ge2020",
    "_id=1",
    "Encounter.status=completed",
    "Observation.code=x",
];

fn any_trigger() -> impl Strategy<Value = ResourceTrigger> {
    let result =
        || select(vec![None, Some(CriteriaResult::TestPasses), Some(CriteriaResult::TestFails)]);
    let part = || {
        select(vec!["", "status=planned", "status:not=planned&patient=1", "date=lt2021", "_id=1"])
    };
    let criteria = (part(), part(), result(), result(), any::<bool>()).prop_map(
        |(previous, current, create, delete, require_both)| QueryCriteria {
            result_for_create: create,
            result_for_delete: delete,
            require_both,
            ..query(previous, current)
        },
    );
    let expression = select(vec![
        "%previous.status != 'planned' and %current.status = 'planned'",
        "%previous.empty() | (%previous.status != 'planned')",
        "%current.subject.resolve().active",
        "status = 'completed'",
        "%current.status",
        "id.toInteger() / 0 = 1 or true",
    ]);
    let interactions =
        subsequence(vec![Interaction::Create, Interaction::Update, Interaction::Delete], 0..3);
    let which = select(vec!["Encounter", "Observation"]);
    (which, 0..3, criteria, expression, interactions).prop_map(
        |(resource, kind, criteria, expression, interactions)| {
            let mut one = match (kind, &criteria) {
                (0, _) => trigger(resource),
                (1, QueryCriteria { previous: None, current: None, .. }) => trigger(resource),
                (1, _) => query_trigger(resource, criteria),
                _ if resource == "Encounter" => fhir_path_trigger(resource, expression),
                _ => trigger(resource),
            };
            one.supported_interactions = interactions;
            one
        },
    )
}

fn any_encounter() -> impl Strategy<Value = Value> {
    let status = select(vec!["planned", "completed"]);
    let date = select(vec![json!("2019-05"), json!("2022"), json!("no date"), Value::Null]);
    (status, 1..4_u8, date, 1..3_u8).prop_map(|(status, patient, date, id)| {
        let mut one = encounter(status, &patient.to_string());
        one["id"] = json!(id.to_string());
        if !date.is_null() {
            one["actualPeriod"] = json!({ "start": date });
        }
        one
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_answers_as_the_evaluation_does(
        triggers in proptest::collection::vec(any_trigger(), 1..4),
        all in proptest::collection::vec(subsequence(FILTERS.to_vec(), 0..4), 1..4),
        previous in proptest::option::of(any_encounter()),
        current in proptest::option::of(any_encounter()),
        is_known in any::<bool>(),
    ) {
        let topic = topic(triggers, &OFFERS);
        let mut catalog = catalog();
        add_topic(&mut catalog, "t", &topic);
        let mut taken: Vec<(u64, Subscription)> = Vec::new();
        for (number, filters) in (1..).zip(&all) {
            let read = subscription(filters);
            if catalog.compile_subscription(&read).is_ok() {
                subscribe(&mut catalog, number, filters);
                taken.push((number, read));
            }
        }
        let change = ResourceChange {
            // A state that should be there may be unknown.
            interaction: match (&previous, &current) {
                (None, Some(_)) if is_known => Interaction::Create,
                (Some(_), None) if is_known => Interaction::Delete,
                _ => Interaction::Update,
            },
            ..change("Encounter", previous.as_ref(), current.as_ref())
        };
        let patient = json!({ "resourceType": "Patient", "active": true });
        let mut lookup = catalog.lookup();
        lookup.insert(Need::Resource("Patient/1".into()), Some(&patient));
        lookup.insert(Need::Resource("Patient/2".into()), None);
        let found = crate::evaluate(&change, &catalog, &lookup);
        let expected: Vec<u64> = found.matches.iter().map(|one| one.subscription.position().get()).collect();
        let mut explained = Vec::new();
        for (number, read) in &taken {
            let compiled = catalog.recompile_subscription(read).unwrap();
            let subject = Subject::Subscription(&compiled, read);
            let (told, _) = explain(&change, &catalog, subject, &lookup);
            let all_hold = told.filters.iter().all(|one| {
                matches!(one.verdict, Verdict::Holds | Verdict::NotAsked)
            });
            prop_assert!(told.verdict != Verdict::Holds || all_hold);
            if told.verdict == Verdict::Holds {
                explained.push(*number);
            }
        }
        prop_assert_eq!(explained, expected);
    }
}

#[test]
fn the_strategies_reach_both_answers() {
    let topic = topic(vec![trigger("Encounter")], &OFFERS);
    let mut catalog = catalog();
    add_topic(&mut catalog, "t", &topic);
    subscribe(&mut catalog, 1, &["patient=Patient/1"]);
    let (one, two) = (encounter("planned", "1"), encounter("planned", "2"));
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&one))), [1]);
    assert!(matched(&catalog, &change("Encounter", None, Some(&two))).is_empty());
}
