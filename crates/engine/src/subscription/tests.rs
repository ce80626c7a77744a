//! Which subscriptions are taken, which are refused, and what their clients are told.

use cresset_model::{Coding, Comparator, Filter, FilterDefinition, Modifier, Topic, TopicStatus};
use proptest::prelude::*;

use super::*;
use crate::Catalog;
use crate::fixtures::{
    add_topic, catalog, catalog_of, codes, filter, offer, subscription, topic, trigger,
};

const OFFERS: [&str; 8] = [
    "patient",
    "status not",
    "Encounter.date ge le",
    "Observation.value-quantity gt",
    "Observation.code",
    "_id",
    "hub.event",
    "Observation.subject type",
];

fn two_types() -> Catalog {
    catalog_of(&topic(vec![trigger("Encounter"), trigger("Observation")], &OFFERS), &[])
}

fn refused(filters: &[&str]) -> Vec<String> {
    match two_types().compile_subscription(&subscription(filters)) {
        Ok(_) => Vec::new(),
        Err(issues) => codes(&issues),
    }
}

/// The types that have criteria, with how many.
fn bound(filters: &[&str]) -> Vec<(&'static str, usize)> {
    bound_of(&two_types().compile_subscription(&subscription(filters)).unwrap())
}

fn bound_of(compiled: &CompiledSubscription) -> Vec<(&'static str, usize)> {
    let types = |group: &Group| {
        let len = group.criteria.len();
        group.types.as_slice().iter().map(move |one| (*one, len)).collect::<Vec<_>>()
    };
    compiled.groups.iter().flat_map(types).collect()
}

#[test]
fn a_filter_is_bound_to_the_types_it_is_for() {
    type Case = (&'static [&'static str], &'static [(&'static str, usize)]);
    let cases: [Case; 10] = [
        (&[], &[("Encounter", 0), ("Observation", 0)]),
        (&["patient=Patient/1"], &[("Encounter", 1), ("Observation", 1)]),
        (&["Encounter.patient=Patient/1"], &[("Encounter", 1), ("Observation", 0)]),
        (&["Resource.patient=Patient/1"], &[("Encounter", 1), ("Observation", 1)]),
        // An Observation cannot fit what is offered for encounters only.
        (&["date=ge2020"], &[("Encounter", 1)]),
        (&["date=ge2020", "patient=Patient/1"], &[("Encounter", 2)]),
        (&["status=final", "status:not=final"], &[("Encounter", 2), ("Observation", 2)]),
        (&["code=http://loinc.org|1-8"], &[("Observation", 1)]),
        (&["_id=1"], &[("Encounter", 1), ("Observation", 1)]),
        (&["id=1"], &[("Encounter", 1), ("Observation", 1)]),
    ];
    for (filters, expected) in cases {
        assert_eq!(bound(filters), expected, "{filters:?}");
    }
}

#[test]
fn a_filter_opens_no_type_that_it_cannot_be_asked_of() {
    // No subject of an Encounter has a model; most types have no patient.
    let chain = topic(vec![trigger("Encounter"), trigger("Observation")], &["subject.model"]);
    let all = topic(vec![trigger("Resource")], &["patient"]);
    for (topic, filter, has, has_not) in [
        (&chain, "subject.model=x", "Observation", "Encounter"),
        (&all, "patient=Patient/1", "Encounter", "Practitioner"),
        (&all, "Resource.patient=Patient/1", "Encounter", "Practitioner"),
    ] {
        let catalog = catalog_of(topic, &[]);
        let compiled = catalog.compile_subscription(&subscription(&[filter])).unwrap();
        assert_eq!(compiled.group(has).map(|group| group.criteria.len()), Some(1), "{filter}");
        assert!(compiled.group(has_not).is_none(), "{filter}");
        assert!(compiled.groups.iter().all(|group| !group.criteria.is_empty()), "{filter}");
    }
}

#[test]
fn filters_that_leave_each_other_no_type_are_refused() {
    let both = |first: &str| {
        let [first, second] = [first, "Subscription.filterBy[1]"];
        [format!("FilterNotOffered {first}"), format!("FilterNotOffered {second}")]
    };
    assert_eq!(refused(&["date=ge2020", "code=x"]), both("Subscription.filterBy[0]"));
    let second = ["FilterNotOffered Subscription.filterBy[1]"];
    assert_eq!(refused(&["date=ge2020", "Observation.patient=Patient/1"]), second);
    assert_eq!(refused(&["Encounter.date=ge2020", "Observation.patient=Patient/1"]), [""; 0]);
}

/// A topic as US Core has it: filters choose the types, and `trigger` asks for a kind of event.
fn feed(chooses: bool) -> Topic {
    let code = |system: &str, code: &str| Coding { system: Some(system.into()), code: code.into() };
    let codes = vec![code("http://codes.example", "feed-event"), code("http://v2.example", "R01")];
    let mut feed = topic(vec![trigger("Encounter"), trigger("Observation")], &OFFERS);
    feed.can_filter_by.push(FilterDefinition { codes, ..offer("trigger") });
    feed.filters_choose_types = chooses;
    feed
}

#[test]
fn filters_choose_the_types_where_the_topic_says_so() {
    type Case = (&'static [&'static str], &'static [(&'static str, usize)]);
    let cases: [Case; 12] = [
        (&[], &[("Encounter", 0), ("Observation", 0)]),
        (&["trigger=feed-event"], &[("Encounter", 0), ("Observation", 0)]),
        // Beside another filter a label opens nothing.
        (&["trigger=feed-event", "Observation.patient=Patient/1"], &[("Observation", 1)]),
        (&["Observation.patient=Patient/1", "trigger=R01"], &[("Observation", 1)]),
        (&["patient=Patient/1", "code=1-8"], &[("Observation", 2)]),
        // The type is named: it is chosen, though `code` cannot be asked of it.
        (&["code=1-8", "Encounter.patient=Patient/1"], &[("Encounter", 1), ("Observation", 1)]),
        (&["patient=Patient/1"], &[("Encounter", 1), ("Observation", 1)]),
        (&["Encounter.patient=Patient/1"], &[("Encounter", 1)]),
        (&["code=http://loinc.org|1-8"], &[("Observation", 1)]),
        (
            &["Encounter.patient=Patient/1", "Observation.status=final"],
            &[("Encounter", 1), ("Observation", 1)],
        ),
        (&["Encounter.trigger=feed-event"], &[("Encounter", 0)]),
        (
            &["Encounter.trigger=feed-event", "Observation.code=1-8", "patient=Patient/1"],
            &[("Encounter", 1), ("Observation", 2)],
        ),
    ];
    for (filters, expected) in cases {
        let catalog = catalog_of(&feed(true), &[]);
        let compiled = catalog.compile_subscription(&subscription(filters)).unwrap();
        assert_eq!(bound_of(&compiled), expected, "{filters:?}");
    }
}

#[test]
fn a_label_for_a_kind_of_event_holds_for_its_codes_and_takes_no_other() {
    let catalog = catalog_of(&feed(false), &[]);
    let compile = |filter: &str| {
        catalog
            .compile_subscription(&subscription(&[filter]))
            .map(|compiled| bound_of(&compiled))
            .map_err(|issues| (codes(&issues), issues.to_string()))
    };
    for filter in [
        "trigger=feed-event",
        "trigger=R01",
        "trigger=http://v2.example|R01",
        "trigger=feed-event,R01",
        "Observation.trigger=feed-event",
        "trigger:eq=R01",
    ] {
        assert_eq!(compile(filter), Ok(vec![("Encounter", 0), ("Observation", 0)]), "{filter}");
    }
    for (filter, code, element) in [
        ("trigger=update", "FilterNotOffered", "value"),
        ("trigger=feed-event,update", "FilterNotOffered", "value"),
        ("trigger=http://v2.example|feed-event", "FilterNotOffered", "value"),
        ("trigger=|R01", "FilterNotOffered", "value"),
        ("trigger:not=R01", "ModifierNotOffered", "modifier"),
        ("trigger:ge=R01", "ModifierNotOffered", "comparator"),
        ("Patient.trigger=R01", "FilterNotOffered", "resourceType"),
    ] {
        let (found, text) = compile(filter).unwrap_err();
        assert_eq!(found, [format!("{code} Subscription.filterBy[0].{element}")], "{filter}");
        assert!(element != "value" || text.contains("feed-event, R01"), "{text}");
    }
}

#[test]
fn a_label_is_for_the_types_with_events_of_its_codes() {
    let label = |resource: &str, code: &str| FilterDefinition {
        codes: vec![Coding { system: None, code: code.into() }],
        ..offer(&format!("{resource}.kind"))
    };
    let mut labelled = topic(vec![trigger("Encounter"), trigger("Observation")], &["patient"]);
    labelled.can_filter_by.extend([label("Encounter", "visit"), label("Observation", "finding")]);
    let catalog = catalog_of(&labelled, &[]);
    let compile = |filter: &str| {
        let compiled = catalog.compile_subscription(&subscription(&[filter]));
        compiled.map(|compiled| bound_of(&compiled)).map_err(|issues| codes(&issues))
    };
    assert_eq!(compile("kind=visit"), Ok(vec![("Encounter", 0)]));
    assert_eq!(compile("kind=finding"), Ok(vec![("Observation", 0)]));
    assert_eq!(compile("kind=finding,visit"), Ok(vec![("Encounter", 0), ("Observation", 0)]));
    for refused in ["kind=other", "kind=visit,other", "Observation.kind=visit"] {
        let issue = "FilterNotOffered Subscription.filterBy[0].value".to_owned();
        assert_eq!(compile(refused), Err(vec![issue]), "{refused}");
    }
}

#[test]
fn a_type_may_be_written_as_url() {
    let url = Filter {
        resource_type: Some("http://hl7.org/fhir/StructureDefinition/Encounter".into()),
        ..filter("patient=Patient/1")
    };
    let mut subscription = subscription(&[]);
    subscription.filters.push(url);
    let compiled = two_types().compile_subscription(&subscription).unwrap();
    assert_eq!(compiled.groups.len(), 2);
}

#[test]
fn what_is_not_offered_is_refused_and_never_ignored() {
    let cases = [
        ("name=x", "FilterNotOffered", "filterParameter"),
        ("hub.event=x", "FilterNotOffered", "filterParameter"),
        ("patient.gender=male", "FilterNotOffered", "filterParameter"),
        ("Encounter.code=x", "FilterNotOffered", "filterParameter"),
        ("Patient.patient=Patient/1", "FilterNotOffered", "resourceType"),
        ("Nonsense.patient=Patient/1", "InvalidElement", "resourceType"),
        ("patient:missing=true", "ModifierNotOffered", "modifier"),
        ("patient:in=Group/1", "ModifierNotOffered", "modifier"),
        ("date:gt=2020", "ModifierNotOffered", "comparator"),
        ("date=gt2020", "ModifierNotOffered", "value"),
        ("date=ge2020,ne2021", "ModifierNotOffered", "value"),
        ("value-quantity=lt5", "ModifierNotOffered", "value"),
        ("patient:ge=Patient/1", "UnsupportedModifier", "comparator"),
        ("patient=", "InvalidSearchValue", "value"),
        ("date=yesterday", "InvalidSearchValue", "value"),
        ("date:ge=le2020", "InvalidSearchValue", "value"),
        ("Encounter.id=Patient/1", "InvalidSearchValue", "value"),
        ("Observation.subject:type=1", "InvalidSearchValue", "value"),
        ("patient:type=Patient/1", "ModifierNotOffered", "modifier"),
        ("status:type=Patient/1", "ModifierNotOffered", "modifier"),
    ];
    for (filter, code, element) in cases {
        let expected = format!("{code} Subscription.filterBy[0].{element}");
        assert_eq!(refused(&[filter]), [expected], "{filter}");
    }
}

#[test]
fn what_is_offered_is_taken_in_each_of_its_forms() {
    for filter in [
        "date=2020",
        "date=eq2020",
        "date:eq=2020",
        "date:ge=2020",
        "date=ge2020,le1990",
        "status:not=final",
        "status:eq=final",
        "value-quantity=gt5",
        "value-quantity=5|http://unitsofmeasure.org|mg",
        "patient=Patient/1,Patient/2",
        "patient=http://other.example/Patient/1",
    ] {
        assert_eq!(refused(&[filter]), [""; 0], "{filter}");
    }
}

#[test]
fn a_filter_has_a_comparator_or_a_modifier_and_not_both() {
    let mut subscription = subscription(&["date=2020"]);
    subscription.filters[0].comparator = Some(Comparator::Ge);
    subscription.filters[0].modifier = Some(Modifier::Missing);
    let issues = two_types().compile_subscription(&subscription).unwrap_err();
    assert_eq!(codes(&issues), ["UnsupportedModifier Subscription.filterBy[0]"]);
}

#[test]
fn all_issues_of_all_filters_are_told() {
    let issues = refused(&["name=x", "patient=Patient/1", "date=yesterday", "patient:in=Group/1"]);
    let places: Vec<_> = issues.iter().map(|issue| issue.split_once(' ').unwrap().1).collect();
    assert_eq!(
        places,
        [
            "Subscription.filterBy[0].filterParameter",
            "Subscription.filterBy[2].value",
            "Subscription.filterBy[3].modifier"
        ]
    );
}

#[test]
fn a_refusal_names_what_is_offered_and_repeats_no_value() {
    let text = |filter: &str| {
        let subscription = subscription(&[filter]);
        two_types().compile_subscription(&subscription).unwrap_err().to_string()
    };
    assert!(text("name=Miller").contains("_id, code, date, hub.event, patient, status"));
    assert!(text("date:gt=2020").contains("eq, ge, le"), "{}", text("date:gt=2020"));
    assert!(text("Patient.patient=x").contains("Encounter, Observation"));
    assert!(text("status:in=x").contains("it offers: not"), "{}", text("status:in=x"));
    for filter in ["name=Miller", "date=Miller", "patient:in=Miller", "date:gt=Miller"] {
        assert!(!text(filter).contains("Miller"), "{}", text(filter));
    }
    let long = format!("{}=x", "n".repeat(10_000));
    assert!(text(&long).len() < 400);
}

#[test]
fn a_topic_must_be_known_and_in_use() {
    let mut catalog = catalog();
    let subscription = subscription(&[]);
    let refused = |catalog: &Catalog| {
        catalog.compile_subscription(&subscription).map_err(|issues| codes(&issues))
    };
    let unknown = Err(vec!["UnknownTopic Subscription.topic".to_owned()]);
    assert_eq!(refused(&catalog).map(|_| ()), unknown);
    for (status, taken, with_drafts) in [
        (TopicStatus::Active, true, true),
        (TopicStatus::Draft, false, true),
        (TopicStatus::Retired, false, false),
        (TopicStatus::Unknown, false, true),
    ] {
        add_topic(&mut catalog, "t", &Topic { status, ..topic(vec![trigger("Encounter")], &[]) });
        assert_eq!(refused(&catalog).is_ok(), taken, "{status:?}");
        let lenient = catalog.clone().with_draft_topics(true);
        assert_eq!(refused(&lenient).is_ok(), with_drafts, "{status:?}");
        assert!(catalog.recompile_subscription(&subscription).is_ok(), "{status:?}");
    }
}

#[test]
fn a_subscription_has_a_bound_of_filters() {
    let filters = vec!["patient=Patient/1"; FILTERS_MAX + 1];
    assert_eq!(refused(&filters), ["OutOfBounds Subscription.filterBy"]);
}

proptest! {
    #[test]
    fn no_filter_makes_the_compiler_panic(
        resource_type in proptest::option::of("[A-Za-z:/.]{0,12}"),
        parameter in "(patient|date|status|_id|value-quantity|.{0,8})",
        value in ".{0,24}",
        comparator in proptest::option::of(proptest::sample::select(Comparator::ALL)),
        modifier in proptest::option::of(proptest::sample::select(Modifier::ALL)),
    ) {
        let mut subscription = subscription(&[]);
        subscription.filters.push(Filter {
            resource_type: resource_type.map(Into::into),
            parameter: parameter.into(),
            comparator,
            modifier,
            value,
        });
        if let Err(issues) = two_types().compile_subscription(&subscription) {
            prop_assert!(issues.has_errors());
            prop_assert!(issues.0.iter().all(|issue| issue.expression.is_some()));
        }
    }
}
