//! Topics and subscriptions come, change and go; the index finds what it should and little else.

use cresset_model::{QueryCriteria, ResourceTrigger};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{
    TOPIC_URL, add_topic, catalog, catalog_of, change, codes, fhir_path_trigger, id, key, matched,
    query, query_trigger, subscribe, subscription, topic, trigger,
};
use crate::states::States;
use crate::subscription::Placement;

mod pages;

fn encounter(patient: &str, status: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": "1", "status": status,
        "subject": { "reference": format!("Patient/{patient}") },
    })
}

fn version(version: &str) -> Topic {
    Topic { version: Some(version.into()), ..topic(vec![trigger("Encounter")], &["patient"]) }
}

#[test]
fn a_canonical_means_the_version_it_names_or_the_latest() {
    let mut catalog = catalog();
    let known = [("a", version("1.9")), ("b", version("1.10")), ("c", version("1.2"))];
    for (name, topic) in &known {
        add_topic(&mut catalog, name, topic);
    }
    let unversioned = topic(vec![trigger("Encounter")], &[]);
    add_topic(&mut catalog, "d", &unversioned);
    let draft = Topic { status: TopicStatus::Draft, ..version("2.0") };
    add_topic(&mut catalog, "e", &draft);
    let cases = [
        ("", Some("1.10")),
        ("|", Some("1.10")),
        ("|1.9", Some("1.9")),
        ("|2.0", Some("2.0")),
        ("|1", None),
        ("|1.90", None),
    ];
    for (suffix, expected) in cases {
        let canonical = Canonical::new(&format!("{TOPIC_URL}{suffix}"));
        let found = catalog.topic(&canonical).map(|topic| topic.canonical().version.as_deref());
        assert_eq!(found, expected.map(Some), "{suffix}");
    }
    assert!(catalog.topic(&Canonical::new("http://topics.example/other")).is_none());
    assert_eq!(catalog.topics().count(), 5);
}

#[test]
fn an_unknown_version_is_refused_with_the_versions_there_are() {
    let mut catalog = catalog();
    add_topic(&mut catalog, "a", &version("1.0"));
    add_topic(&mut catalog, "b", &version("2.0"));
    let mut subscription = subscription(&[]);
    subscription.topic = Canonical::new(&format!("{TOPIC_URL}|3.0"));
    let issues = catalog.compile_subscription(&subscription).unwrap_err();
    assert!(issues.to_string().contains("1.0, 2.0"), "{issues}");
}

#[test]
fn versions_compare_piece_by_piece() {
    let ascending = [
        None,
        Some("0.9"),
        Some("1"),
        Some("1.0.0-ballot"),
        Some("1.0.0"),
        Some("1.2"),
        Some("1.10"),
        Some("2"),
        Some("2024-09-30"),
        Some("2024-11-01"),
        Some("99999999999999999999999999"),
        Some(""),
        Some("draft"),
    ];
    for (index, a) in ascending.iter().enumerate() {
        for (other, b) in ascending.iter().enumerate() {
            assert_eq!(compare_versions(*a, *b), index.cmp(&other), "{a:?} {b:?}");
        }
    }
}

#[test]
fn two_topics_with_one_url_and_version_are_refused() {
    let mut catalog = catalog();
    add_topic(&mut catalog, "a", &version("1.0"));
    let issues = catalog.compile_topic(&id("b"), &version("1.0")).unwrap_err();
    assert_eq!(codes(&issues), ["DuplicateTopic SubscriptionTopic.url"]);
    assert!(catalog.compile_topic(&id("a"), &version("1.0")).is_ok(), "an update of itself");
    assert!(catalog.compile_topic(&id("b"), &version("1.1")).is_ok());
    assert!(catalog.compile_topic(&id("b"), &topic(vec![trigger("Encounter")], &[])).is_ok());
    catalog.remove_topic(&id("a"));
    assert!(catalog.compile_topic(&id("b"), &version("1.0")).is_ok());
}

#[test]
fn a_clone_stays_as_it_was() {
    let mut catalog = catalog_of(&version("1"), &[&["patient=Patient/1"]]);
    let before = catalog.clone();
    subscribe(&mut catalog, 2, &["patient=Patient/1"]);
    catalog.remove_subscription(key(1));
    add_topic(&mut catalog, "u", &version("2"));
    let after = encounter("1", "planned");
    let change = change("Encounter", None, Some(&after));
    assert_eq!(matched(&before, &change), [1]);
    assert_eq!(matched(&catalog, &change), [2]);
    assert_eq!((before.subscriptions_len(), before.topics().count()), (1, 1));
}

#[test]
fn inserting_again_replaces_and_removing_twice_is_nothing() {
    let mut catalog = catalog_of(&version("1"), &[&["patient=Patient/1"], &["patient=Patient/1"]]);
    let created = encounter("1", "planned");
    let change = change("Encounter", None, Some(&created));
    assert_eq!(matched(&catalog, &change), [1, 2]);
    subscribe(&mut catalog, 1, &["patient=Patient/2"]);
    assert_eq!((matched(&catalog, &change), catalog.subscriptions_len()), (vec![2], 2));
    for _ in 0..2 {
        catalog.remove_subscription(key(2));
        assert_eq!((matched(&catalog, &change), catalog.subscriptions_len()), (vec![], 1));
    }
}

#[test]
fn a_topic_that_goes_takes_events_away_and_leaves_its_subscriptions_to_be_found() {
    let mut catalog = catalog_of(&version("1"), &[&["patient=Patient/1"], &[]]);
    let created = encounter("1", "planned");
    let change = change("Encounter", None, Some(&created));
    catalog.remove_topic(&id("t"));
    assert_eq!(matched(&catalog, &change), [0; 0]);
    assert_eq!(catalog.interest("Encounter", Interaction::Create), Interest::None);
    assert_eq!(catalog.subscriptions_of(TOPIC_URL).collect::<Vec<_>>(), [key(1), key(2)]);
    assert!(catalog.recompile_subscription(&subscription(&[])).is_err());
    catalog.remove_topic(&id("t"));

    add_topic(&mut catalog, "t", &version("1"));
    assert_eq!(matched(&catalog, &change), [0; 0], "not before they are compiled again");
    for number in [1, 2] {
        subscribe(&mut catalog, number, &[]);
    }
    assert_eq!(matched(&catalog, &change), [1, 2]);
    assert_eq!(catalog.slots.len(), 1, "the slot left behind is gone");
}

#[test]
fn a_topic_with_another_url_leaves_the_subscriptions_of_its_old_one_behind() {
    let mut catalog = catalog_of(&version("1"), &[&[]]);
    add_topic(
        &mut catalog,
        "t",
        &Topic { url: "http://topics.example/new".into(), ..version("1") },
    );
    let created = encounter("1", "planned");
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [0; 0]);
    assert_eq!(catalog.subscriptions_of(TOPIC_URL).count(), 1);
    assert_eq!(catalog.subscriptions_of("http://topics.example/new").count(), 0);
    assert!(catalog.topic(&Canonical::new(TOPIC_URL)).is_none());
    assert!(catalog.topic(&Canonical::new("http://topics.example/new")).is_some());
}

#[test]
fn a_type_that_a_topic_gains_is_not_told_to_subscriptions_compiled_before() {
    let mut catalog = catalog_of(&version("1"), &[&["patient=Patient/1"]]);
    let wider = topic(vec![trigger("Encounter"), trigger("Patient")], &["Encounter.patient"]);
    add_topic(&mut catalog, "t", &Topic { version: Some("1".into()), ..wider });
    let patient = json!({ "resourceType": "Patient", "id": "2" });
    let change = change("Patient", None, Some(&patient));
    assert_eq!(matched(&catalog, &change), [0; 0], "its filter was never held against a Patient");
    subscribe(&mut catalog, 1, &["patient=Patient/1"]);
    assert_eq!(matched(&catalog, &change), [0; 0], "a filter for any type is not offered for this");
    subscribe(&mut catalog, 1, &["Encounter.patient=Patient/1"]);
    assert_eq!(matched(&catalog, &change), [1], "RQ-FL-06");
}

#[test]
fn interest_is_in_the_states_that_triggers_look_at() {
    use Interaction::{Create, Delete, Update};
    let both = QueryCriteria { ..query("status:not=completed", "status=completed") };
    let triggers = [
        (trigger("Encounter"), Interest::Current),
        (query_trigger("Encounter", query("", "status=completed")), Interest::Current),
        (query_trigger("Encounter", both), Interest::CurrentAndPrevious),
        (fhir_path_trigger("Encounter", "%current.status = 'completed'"), Interest::Current),
        (
            fhir_path_trigger("Encounter", "%previous.status != %current.status"),
            Interest::CurrentAndPrevious,
        ),
    ];
    for (trigger, on_update) in triggers {
        let topic = topic(vec![trigger], &[]);
        let mut catalog = catalog_of(&topic, &[]);
        assert_eq!(catalog.interest("Encounter", Create), Interest::None, "nobody listens");
        subscribe(&mut catalog, 1, &[]);
        assert_eq!(catalog.interest("Encounter", Create), Interest::Current);
        assert_eq!(catalog.interest("Encounter", Update), on_update);
        assert_eq!(catalog.interest("Encounter", Delete), Interest::Previous);
        assert_eq!(catalog.interest("Patient", Create), Interest::None);
        assert_eq!(catalog.interest("Nonsense", Create), Interest::None);
    }
    let created = ResourceTrigger { supported_interactions: vec![Create], ..trigger("Encounter") };
    let catalog = catalog_of(&topic(vec![created], &[]), &[&[]]);
    assert_eq!(catalog.interest("Encounter", Delete), Interest::None);
}

/// How many subscriptions a change makes the catalog look at.
fn candidates(catalog: &Catalog, resource: &Value) -> usize {
    let change = change("Encounter", None, Some(resource));
    let states = States::new(&change, catalog.scope());
    let values = states.values(states.filtered()).unwrap();
    let mut candidates = Candidates::new();
    catalog.index().candidates(values, &mut candidates, |_, _| {});
    candidates.len()
}

#[test]
fn a_change_looks_only_at_subscriptions_that_share_their_rarest_value_with_it() {
    let topic = topic(vec![trigger("Encounter")], &["patient", "status not", "date ge"]);
    let mut catalog = catalog_of(&topic, &[]);
    for number in 1..=100 {
        let patient = format!("patient=Patient/{number}");
        subscribe(&mut catalog, number, &["status=planned", &patient]);
    }
    assert_eq!(candidates(&catalog, &encounter("7", "planned")), 1);
    assert_eq!(candidates(&catalog, &encounter("999", "planned")), 0);
    assert_eq!(catalog.residual_len(), 0);
    // What asks for neither equality nor range is looked at every time.
    subscribe(&mut catalog, 200, &["status:not=planned"]);
    assert_eq!(candidates(&catalog, &encounter("999", "planned")), 1);
    assert_eq!(catalog.residual_len(), 1);
    for number in 1..=200 {
        catalog.remove_subscription(key(number));
    }
    assert_eq!(catalog.residual_len(), 0);
    assert_eq!(candidates(&catalog, &encounter("7", "planned")), 0);
}

/// An encounter of nobody in particular at this time.
fn encounter_at(start: &str) -> Value {
    json!({
        "resourceType": "Encounter", "id": "1", "status": "planned",
        "actualPeriod": { "start": start, "end": start },
    })
}

#[test]
fn a_change_looks_only_at_ranges_near_its_value() {
    let topic = topic(vec![trigger("Encounter")], &["date ge lt", "status"]);
    let mut catalog = catalog_of(&topic, &[]);
    for year in 1..=1_000 {
        let from = format!("date=ge{:04}", 1_000 + year);
        let to = format!("date=lt{:04}", 1_001 + year);
        subscribe(&mut catalog, year, &[&from, &to, "status=planned"]);
    }
    assert_eq!(catalog.residual_len(), 0);
    let found = |catalog: &Catalog, date: &str| {
        let created = encounter_at(date);
        let change = change("Encounter", None, Some(&created));
        (matched(catalog, &change), candidates(catalog, &created))
    };
    for year in [1, 2, 500, 1_000] {
        let (matches, looked_at) = found(&catalog, &format!("{:04}-05-05", 1_000 + year));
        assert_eq!(matches, [year]);
        // The first few stand by their status, before there were so many of it.
        assert!(looked_at <= 25, "{looked_at}");
    }
    assert_eq!(found(&catalog, "0999-05-05").0, [0; 0]);
    for year in 1..=1_000 {
        catalog.remove_subscription(key(year));
    }
    assert_eq!(found(&catalog, "1500-05-05"), (vec![], 0));
}

#[test]
fn ranges_without_an_end_are_found_from_the_end_they_have() {
    let topic = topic(vec![trigger("Encounter")], &["date ge le sa eb ne"]);
    let mut catalog = catalog_of(&topic, &[]);
    for year in 1..=100 {
        subscribe(&mut catalog, 2 * year, &[&format!("date=ge{:04}", 1_000 + year)]);
        subscribe(&mut catalog, 2 * year + 1, &[&format!("date=le{:04}", 1_000 + year)]);
    }
    // Of each year's two, the one is up to it and the other from it on; of its own year both.
    assert_eq!(candidates(&catalog, &encounter_at("1050-05-05")), 101);
    assert_eq!(candidates(&catalog, &encounter_at("2050-05-05")), 100);
    assert_eq!(catalog.residual_len(), 0);
    subscribe(&mut catalog, 1, &["date=ne1050"]);
    assert_eq!(catalog.residual_len(), 1, "what is anywhere but there is nearly everywhere");
}

#[test]
fn a_value_of_few_is_looked_under_before_a_range_and_a_range_before_a_value_of_all() {
    let topic = topic(vec![trigger("Encounter")], &["status", "patient", "date ge lt"]);
    let mut catalog = catalog_of(&topic, &[]);
    let day = ["date=ge2020-01-01", "date=lt2020-01-02"];
    for number in 1..=500 {
        subscribe(&mut catalog, number, &["status=planned"]);
    }
    subscribe(&mut catalog, 501, &["status=planned", day[0], day[1]]);
    subscribe(&mut catalog, 502, &["status=planned", day[0]]);
    subscribe(&mut catalog, 503, &["patient=Patient/1", day[0], day[1]]);
    let placements = [501, 502, 503].map(|number| {
        let number = key(number).position().get();
        let entry = catalog.subscriptions.get(number).next().unwrap();
        entry.groups().next().unwrap().placement
    });
    assert_eq!(placements, [Placement::Span(1), Placement::Keys(0), Placement::Keys(0)]);
}

#[test]
fn many_topics_cost_what_one_does() {
    let mut catalog = catalog();
    for number in 1..=200 {
        let url = format!("http://topics.example/{number}");
        let topic = Topic { url: url.as_str().into(), ..version("1") };
        add_topic(&mut catalog, &number.to_string(), &topic);
        let asked = Subscription {
            topic: Canonical::new(&url),
            ..subscription(&[&format!("patient=Patient/{number}")])
        };
        let compiled = catalog.compile_subscription(&asked).unwrap();
        catalog.insert_subscription(key(number), compiled);
    }
    let created = encounter("77", "planned");
    assert_eq!(candidates(&catalog, &created), 1);
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [77]);
}

#[test]
fn a_value_that_everybody_wants_stops_being_the_one_to_look_under() {
    let topic = topic(vec![trigger("Encounter")], &["service-provider", "_tag"]);
    let mut catalog = catalog_of(&topic, &[]);
    for number in 1..=2_000 {
        let tag = format!("_tag=http://tags.example|{number}");
        subscribe(&mut catalog, number, &["service-provider=Organization/1", &tag]);
    }
    let created = json!({
        "resourceType": "Encounter", "id": "1", "status": "planned",
        "serviceProvider": { "reference": "Organization/1" },
        "meta": { "tag": [{ "system": "http://tags.example", "code": "1999" }] },
    });
    let found = candidates(&catalog, &created);
    assert!(found < 250, "{found}");
    assert_eq!(matched(&catalog, &change("Encounter", None, Some(&created))), [1999]);
}

#[test]
fn what_is_not_indexed_is_looked_at_for_its_own_types_only() {
    let topic = topic(vec![trigger("Encounter"), trigger("Patient")], &["Encounter.status not"]);
    let mut catalog = catalog_of(&topic, &[&[]]);
    for number in 2..=9 {
        subscribe(&mut catalog, number, &["Encounter.status:not=planned"]);
    }
    // Each has a group with a criterion for encounters and one without for patients.
    assert_eq!((catalog.residual_len(), candidates(&catalog, &encounter("1", "planned"))), (17, 9));
}

#[test]
fn several_values_find_a_subscription_by_each_of_them() {
    let topic = topic(vec![trigger("Encounter")], &["patient"]);
    let mut catalog = catalog_of(&topic, &[&["patient=Patient/1,Patient/2"]]);
    for patient in ["1", "2"] {
        assert_eq!(candidates(&catalog, &encounter(patient, "planned")), 1);
    }
    assert_eq!(candidates(&catalog, &encounter("3", "planned")), 0);
    catalog.remove_subscription(key(1));
    assert_eq!(candidates(&catalog, &encounter("1", "planned")), 0);
}

proptest! {
    #[test]
    fn versions_have_one_order(a in ".{0,8}", b in "[0-9.a-z-]{0,8}", c in "[0-9.a-z-]{0,8}") {
        let compare = |a: &str, b: &str| compare_versions(Some(a), Some(b));
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        prop_assert_eq!(compare(&a, &b).is_eq(), a == b);
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }
}

#[test]
fn what_derives_from_a_topic_keeps_its_filters_and_types() {
    let mut catalog = catalog();
    add_topic(
        &mut catalog,
        "parent",
        &topic(vec![trigger("Encounter")], &["patient", "hub.event"]),
    );
    let check = |triggers: &[&str], offers: &[&str], parent: &str, broken: usize| {
        let derived = Topic {
            url: "http://topics.example/derived".into(),
            derived_from: vec![parent.into()],
            ..topic(triggers.iter().map(|one| trigger(one)).collect(), offers)
        };
        let (compiled, _) = catalog.compile_topic(&id("derived"), &derived).unwrap();
        let issues = catalog.check_derivation(&compiled);
        assert_eq!(issues.0.len(), broken, "{issues}");
        assert_eq!(issues.has_errors(), broken > 0);
    };
    let parent = TOPIC_URL;
    check(&["Encounter"], &["hub.event", "patient", "status"], parent, 0);
    check(&["Encounter"], &["patient"], parent, 1);
    check(&["Encounter", "Patient"], &["patient", "hub.event"], parent, 1);
    check(&["Patient"], &[], parent, 3);
    check(&["Patient"], &[], "http://topics.example/unknown", 0);
}
