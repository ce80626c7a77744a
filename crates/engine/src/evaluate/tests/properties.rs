//! The index finds what a scan of all subscriptions finds, for any catalog and change.

use std::collections::BTreeMap;

use cresset_model::{Canonical, Subscription};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::CompiledSubscription;
use crate::fixtures::TOPIC_URL;
use crate::states::States;

/// Topics in a catalog; a subscription is to one of them.
const TOPICS: usize = 3;

const OFFERS: [&str; 13] = [
    "patient identifier missing",
    "status not missing",
    "date ap eb ge gt le lt ne sa",
    "Observation.code code-text text text-advanced",
    "identifier of-type",
    "Observation.value-quantity ap eb ge gt le lt ne sa",
    "Encounter.length ap eb ge gt le lt ne sa",
    "_id",
    "_tag",
    "_profile above below",
    "patient.gender not",
    "_has:Observation:encounter:status",
    "Observation.code-value-quantity gt le",
];

const FILTERS: [&str; 40] = [
    "patient=Patient/1",
    "patient=Patient/2",
    "patient=Patient/1,Patient/2",
    "patient=2",
    "patient=http://server.example/r5/Patient/3",
    "patient=http://other.example/Patient/1",
    "Encounter.patient=Patient/1",
    "Observation.patient=Patient/1,Patient/3",
    "patient:missing=true",
    "patient:identifier=http://ids.example|1",
    "status=planned",
    "status=final,planned",
    "status:not=planned",
    "Encounter.status=completed",
    "status:missing=false",
    "date=ge2020",
    "date=2021",
    "date=lt2020-06,2021",
    "Observation.code=http://loinc.org|1-8",
    "Observation.code=1-8",
    "Observation.code=http://loinc.org|",
    "Observation.code:text=heart",
    "Observation.code:text-advanced=rate NOT lung",
    "Observation.code:code-text=1-",
    "identifier=http://ids.example|1",
    "identifier=|1",
    "identifier=1",
    "Observation.value-quantity=gt5",
    "Observation.value-quantity=5",
    "_id=1",
    "_id=1,2",
    "_tag=http://tags.example|a",
    "_profile=http://profiles.example/p",
    "_profile:above=http://profiles.example/q|0.9",
    "_profile:below=http://profiles.example/q|1",
    "patient.gender=female",
    "patient.gender:not=female,male",
    "_has:Observation:encounter:status=final",
    "Observation.code-value-quantity=http://loinc.org|1-8$gt5",
    "Observation.code-value-quantity=1-8$le7,1-8$-7||mg",
];

fn resource_trigger() -> impl Strategy<Value = ResourceTrigger> {
    let criteria = prop_oneof![
        Just(QueryCriteria::default()),
        Just(query("", "status=planned,final")),
        Just(query("status:not=completed", "status=completed")),
        Just(query("", "patient=Patient/1")),
    ];
    (select(vec!["Encounter", "Observation", "Resource"]), criteria).prop_map(
        |(resource, criteria)| match (resource, criteria) {
            ("Resource", _) | (_, QueryCriteria { current: None, .. }) => trigger(resource),
            (resource, criteria) => query_trigger(resource, criteria),
        },
    )
}

fn url(number: usize) -> String {
    format!("{TOPIC_URL}/{number}")
}

/// A topic with this number.
fn any_topic(number: usize) -> impl Strategy<Value = Topic> {
    (proptest::collection::vec(resource_trigger(), 1..3), any::<bool>()).prop_map(
        move |(triggers, filters_choose_types)| Topic {
            url: url(number).into(),
            filters_choose_types,
            ..topic(triggers, &OFFERS)
        },
    )
}

#[derive(Debug, Clone)]
enum Step {
    Insert { number: u64, topic: usize, filters: Vec<String> },
    Remove { number: u64 },
    Change { previous: Option<Value>, current: Option<Value> },
    Topic(usize, Box<Topic>),
}

fn reference() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (1..4).prop_map(|n| json!({ "reference": format!("Patient/{n}") })),
        1 => Just(json!({ "reference": "http://server.example/r5/Patient/1" })),
        1 => Just(json!({ "reference": "http://other.example/Patient/1" })),
        1 => Just(json!({ "identifier": { "system": "http://ids.example", "value": "1" } })),
        1 => Just(json!({ "reference": 7 })),
        1 => Just(Value::Null),
    ]
}

fn identifiers() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([{ "system": "http://ids.example", "value": "1" }, { "value": "2" }])),
        Just(json!([{ "value": "1" }])),
    ]
}

fn date() -> impl Strategy<Value = Value> {
    let dates = vec!["2019-05-05", "2020-02", "2021", "2021-12-31T10:00:00Z", "no date", ""];
    select(dates).prop_map(|date| if date.is_empty() { Value::Null } else { json!(date) })
}

fn meta() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({ "tag": [{ "system": "http://tags.example", "code": "a" }] })),
        Just(json!({ "profile": ["http://profiles.example/p", "http://profiles.example/q|1"] })),
    ]
}

fn without_nulls(mut resource: Value) -> Value {
    resource.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    resource
}

fn resource(resource_type: &'static str) -> impl Strategy<Value = Value> {
    let status = select(vec!["planned", "completed", "final"]);
    let code = select(vec![
        Value::Null,
        json!({ "coding": [{ "system": "http://loinc.org", "code": "1-8" }], "text": "Heart rate" }),
        json!({ "coding": [{ "code": "1-8" }] }),
    ]);
    let quantity = select(vec![
        Value::Null,
        json!({ "value": 5.0 }),
        json!({ "value": 7, "comparator": "<" }),
        json!({ "value": -7, "unit": "mg" }),
        json!({ "value": 0.005, "system": "http://unitsofmeasure.org", "code": "g" }),
        json!({ "value": 5, "system": "http://unitsofmeasure.org", "code": "mg" }),
        json!({ "value": 5e9, "system": "http://unitsofmeasure.org", "code": "pg" }),
        json!({ "value": 5, "system": "http://unitsofmeasure.org", "code": "[pH]" }),
        json!({ "value": 1e30, "comparator": ">=" }),
    ]);
    let id = select(vec!["1", "2", "3"]);
    let dates = (date(), date());
    (id, status, reference(), identifiers(), dates, meta(), code, quantity).prop_map(
        move |(id, status, subject, identifier, (date, end), meta, code, quantity)| {
            let common = json!({
                "resourceType": resource_type, "id": id, "status": status, "subject": subject,
                "identifier": identifier, "meta": meta,
            });
            let mut resource = without_nulls(common);
            if resource_type == "Encounter" {
                // Its end may lie before its start.
                resource["actualPeriod"] = without_nulls(json!({ "start": date, "end": end }));
                resource["length"] = quantity;
                resource = without_nulls(resource);
            } else {
                let own =
                    json!({ "effectiveDateTime": date, "code": code, "valueQuantity": quantity });
                let own = without_nulls(own).as_object().unwrap().clone();
                resource.as_object_mut().unwrap().extend(own);
            }
            resource
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let change = select(vec!["Encounter", "Observation"]).prop_flat_map(|resource_type| {
        let states = [(true, true), (true, false), (false, true)];
        (select(states.to_vec()), resource(resource_type), resource(resource_type))
    });
    prop_oneof![
        6 => (1u64..12, 0..TOPICS, filters())
            .prop_map(|(number, topic, filters)| Step::Insert { number, topic, filters }),
        2 => (1u64..12).prop_map(|number| Step::Remove { number }),
        6 => change.prop_map(|((before, after), previous, current)| Step::Change {
            previous: before.then_some(previous),
            current: after.then_some(current),
        }),
        1 => (0..TOPICS).prop_flat_map(|number| {
            any_topic(number).prop_map(move |topic| Step::Topic(number, Box::new(topic)))
        }),
    ]
}

/// A range: each comparator with values near those of the resources, and far from them.
fn range() -> impl Strategy<Value = String> {
    let comparators = vec!["ap", "eb", "eq", "ge", "gt", "le", "lt", "ne", "sa"];
    let dates = vec![
        "2019-05-05",
        "2019-05",
        "2020",
        "2020-02",
        "2021-12-31",
        "2021-12-31T10:00:00Z",
        "2021-12-31T10:00:00.5Z",
        "2050",
        "0001",
        "9999",
    ];
    let numbers = vec![
        "5",
        "5.0",
        "7",
        "4.99999999",
        "0",
        "-7",
        "1e2",
        "-1e20",
        "1e20",
        "5||mg",
        "5|http://u|mg",
        "5|http://unitsofmeasure.org|mg",
        "0.004|http://unitsofmeasure.org|g",
        "5.00e-9|http://unitsofmeasure.org|t",
        "5|http://unitsofmeasure.org|[pH]",
    ];
    let date = (select(comparators.clone()), proptest::collection::vec(select(dates), 1..3))
        .prop_map(|(comparator, dates)| range_of("date", comparator, &dates));
    let names = vec!["Observation.value-quantity", "Encounter.length"];
    let number =
        (select(names), select(comparators), proptest::collection::vec(select(numbers), 1..3))
            .prop_map(|(name, comparator, numbers)| range_of(name, comparator, &numbers));
    prop_oneof![date, number]
}

fn range_of(name: &str, comparator: &str, values: &[&str]) -> String {
    let values: Vec<_> = values.iter().map(|value| format!("{comparator}{value}")).collect();
    format!("{name}={}", values.join(","))
}

fn filters() -> impl Strategy<Value = Vec<String>> {
    let equalities = prop_oneof![
        2 => subsequence(FILTERS.to_vec(), 0..4),
        1 => Just(Vec::new()),
    ];
    (equalities, proptest::collection::vec(range(), 0..3)).prop_map(|(equalities, mut filters)| {
        filters.extend(equalities.into_iter().map(str::to_owned));
        filters
    })
}

/// A catalog beside the plain list of what is in it.
struct World {
    catalog: Catalog,
    subscriptions: BTreeMap<u64, Listed>,
}

/// A subscription: the number of its topic, its filters, and what they are compiled to.
type Listed = (usize, Vec<String>, CompiledSubscription);

/// What look-ups find: patients, and who refers to them. Of the third patient that cannot be told.
struct Others {
    patients: [Value; 2],
    observation: Value,
}

impl Others {
    fn new() -> Self {
        let patient = |id: &str, gender: &str| json!({ "resourceType": "Patient", "id": id, "gender": gender });
        Self {
            patients: [patient("1", "female"), patient("2", "other")],
            observation: json!({
                "resourceType": "Observation", "id": "1", "status": "final",
                "encounter": { "reference": "Encounter/1" },
            }),
        }
    }

    /// Answers to what an evaluation asked for.
    fn lookup<'a>(&'a self, catalog: &'a Catalog, asked: &Evaluation) -> Lookup<'a> {
        let mut lookup = catalog.lookup();
        for need in &asked.missing {
            match need {
                Need::Resource(reference) => match reference.as_str() {
                    "Patient/1" => lookup.insert(need.clone(), [&self.patients[0]]),
                    "Patient/2" => lookup.insert(need.clone(), [&self.patients[1]]),
                    _ => lookup.insert_unavailable(need.clone(), "it is not to be told"),
                },
                Need::Canonical { .. } | Need::Referring(_) => {
                    lookup.insert(need.clone(), [&self.observation]);
                }
            }
        }
        lookup
    }
}

impl World {
    fn new(topics: &[Topic]) -> Self {
        let mut catalog = catalog();
        for (number, topic) in topics.iter().enumerate() {
            add_topic(&mut catalog, &format!("t{number}"), topic);
        }
        Self { catalog, subscriptions: BTreeMap::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Insert { number, topic, filters } => self.insert(number, topic, filters),
            Step::Remove { number } => {
                self.subscriptions.remove(&number);
                self.catalog.remove_subscription(key(number));
            }
            Step::Change { previous, current } => {
                let state = current.as_ref().or(previous.as_ref()).unwrap();
                let resource_type = state["resourceType"].as_str().unwrap();
                self.check(&change(resource_type, previous.as_ref(), current.as_ref()));
            }
            Step::Topic(topic, written) => {
                add_topic(&mut self.catalog, &format!("t{topic}"), &written);
                let known: Vec<_> = self.catalog.subscriptions_of(&written.url).collect();
                let bound = self.subscriptions.iter().filter(|(_, listed)| listed.0 == topic);
                let bound: Vec<_> = bound.map(|(number, _)| *number).collect();
                assert_eq!(known, bound.iter().map(|number| key(*number)).collect::<Vec<_>>());
                for number in bound {
                    let (_, filters, _) = self.subscriptions.remove(&number).unwrap();
                    self.catalog.remove_subscription(key(number));
                    self.insert(number, topic, filters);
                }
            }
        }
        assert_eq!(self.catalog.subscriptions_len(), self.subscriptions.len());
    }

    fn insert(&mut self, number: u64, topic: usize, filters: Vec<String>) {
        let asked: Vec<_> = filters.iter().map(String::as_str).collect();
        let asked = Subscription { topic: Canonical::new(&url(topic)), ..subscription(&asked) };
        // A filter for a type that the topic has no events about is refused.
        if let Ok(compiled) = self.catalog.compile_subscription(&asked) {
            self.subscriptions.insert(number, (topic, filters, compiled.clone()));
            self.catalog.insert_subscription(key(number), compiled);
        }
    }

    /// Compares with asking each subscription.
    fn check(&self, change: &ResourceChange<'_>) {
        let others = Others::new();
        let first = evaluate(&self.catalog, change);
        let lookup = others.lookup(&self.catalog, &first);
        let found = super::super::evaluate(change, &self.catalog, &lookup);
        assert!(found.missing.is_empty(), "one round answers all of these");
        let states = States::new(change, self.catalog.scope());
        let values = states.values(states.filtered()).unwrap();
        let mut expected = Vec::new();
        for (number, (_, _, compiled)) in &self.subscriptions {
            let topic = compiled.topic();
            let mut triggers = topic.triggers(change.resource_type, change.interaction);
            let group =
                compiled.groups.iter().find(|group| group.types.contains(change.resource_type));
            let fires = triggers.any(|trigger| matches!(trigger.fires(&states, &lookup), Ok(true)));
            if fires
                && group.is_some_and(|group| {
                    matches!(all_match(&group.criteria, values, &lookup), Ok(true))
                })
            {
                expected.push(*number);
            }
        }
        assert_eq!(numbers(&found), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_index_finds_what_a_scan_finds(
        topics in (any_topic(0), any_topic(1), any_topic(2)),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(&[topics.0, topics.1, topics.2]);
        for step in steps {
            world.step(step);
        }
    }
}
