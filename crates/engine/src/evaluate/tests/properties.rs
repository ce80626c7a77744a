//! The index finds what a scan of all subscriptions finds, for any catalog and change.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::CompiledSubscription;
use crate::states::States;

const OFFERS: [&str; 10] = [
    "patient identifier missing",
    "status not missing",
    "date ap eb ge gt le lt ne sa",
    "Observation.code text",
    "identifier of-type",
    "Observation.value-quantity ap eb ge gt le lt ne sa",
    "Encounter.length ap eb ge gt le lt ne sa",
    "_id",
    "_tag",
    "_profile below",
];

const FILTERS: [&str; 32] = [
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
    "identifier=http://ids.example|1",
    "identifier=|1",
    "identifier=1",
    "Observation.value-quantity=gt5",
    "Observation.value-quantity=5",
    "_id=1",
    "_id=1,2",
    "_tag=http://tags.example|a",
    "_profile=http://profiles.example/p",
    "_profile:below=http://profiles.example",
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

fn any_topic() -> impl Strategy<Value = Topic> {
    proptest::collection::vec(resource_trigger(), 1..3)
        .prop_map(|triggers| topic(triggers, &OFFERS))
}

#[derive(Debug, Clone)]
enum Step {
    Insert { number: u64, filters: Vec<String> },
    Remove { number: u64 },
    Change { previous: Option<Value>, current: Option<Value> },
    Topic(Box<Topic>),
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
        6 => (1u64..12, filters())
            .prop_map(|(number, filters)| Step::Insert { number, filters }),
        2 => (1u64..12).prop_map(|number| Step::Remove { number }),
        6 => change.prop_map(|((before, after), previous, current)| Step::Change {
            previous: before.then_some(previous),
            current: after.then_some(current),
        }),
        1 => any_topic().prop_map(|topic| Step::Topic(Box::new(topic))),
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
    subscriptions: BTreeMap<u64, (Vec<String>, CompiledSubscription)>,
}

impl World {
    fn new(topic: &Topic) -> Self {
        Self { catalog: catalog_of(topic, &[]), subscriptions: BTreeMap::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Insert { number, filters } => self.insert(number, filters),
            Step::Remove { number } => {
                self.subscriptions.remove(&number);
                self.catalog.remove_subscription(key(number));
            }
            Step::Change { previous, current } => {
                let state = current.as_ref().or(previous.as_ref()).unwrap();
                let resource_type = state["resourceType"].as_str().unwrap();
                self.check(&change(resource_type, previous.as_ref(), current.as_ref()));
            }
            Step::Topic(topic) => {
                add_topic(&mut self.catalog, "t", &topic);
                let known: Vec<_> = self.catalog.subscriptions_of(&topic.url).collect();
                let expected: Vec<_> =
                    self.subscriptions.keys().map(|number| key(*number)).collect();
                assert_eq!(known, expected);
                for (number, (filters, _)) in std::mem::take(&mut self.subscriptions) {
                    self.catalog.remove_subscription(key(number));
                    self.insert(number, filters);
                }
            }
        }
        assert_eq!(self.catalog.subscriptions_len(), self.subscriptions.len());
    }

    fn insert(&mut self, number: u64, filters: Vec<String>) {
        let asked: Vec<_> = filters.iter().map(String::as_str).collect();
        // A filter for a type that the topic has no events about is refused.
        if let Ok(compiled) = self.catalog.compile_subscription(&subscription(&asked)) {
            self.subscriptions.insert(number, (filters, compiled.clone()));
            self.catalog.insert_subscription(key(number), compiled);
        }
    }

    /// Compares with asking each subscription.
    fn check(&self, change: &ResourceChange<'_>) {
        let lookup = self.catalog.lookup();
        let states = States::new(change, self.catalog.scope());
        let values = states.values(states.filtered()).unwrap();
        let mut expected = Vec::new();
        for (number, (_, compiled)) in &self.subscriptions {
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
        assert_eq!(matched(&self.catalog, change), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_index_finds_what_a_scan_finds(
        topic in any_topic(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(&topic);
        for step in steps {
            world.step(step);
        }
    }
}
