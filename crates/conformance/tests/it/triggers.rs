//! When a topic fires: the truth table of query criteria, interactions, and what is one event.

use std::collections::BTreeMap;

use cresset_conformance::{Client, Server, Subscribe, encounter, patient, verifies};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::topic_forms::{topic, url};

/// One row of the table: what stands in the query criteria.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// `previous` and `current` that look for status planned and in-progress.
    tests: (bool, bool),
    for_create: Option<bool>,
    for_delete: Option<bool>,
    require_both: Option<bool>,
}

impl Row {
    fn all() -> Vec<Self> {
        let mut rows = Vec::new();
        for tests in [(true, true), (true, false), (false, true)] {
            for for_create in [None, Some(true), Some(false)] {
                for for_delete in [None, Some(true), Some(false)] {
                    for require_both in [None, Some(true)] {
                        rows.push(Self { tests, for_create, for_delete, require_both });
                    }
                }
            }
        }
        rows
    }

    fn criteria(self) -> Value {
        let result = |passes: bool| Value::from(if passes { "test-passes" } else { "test-fails" });
        let members = [
            ("previous", self.tests.0.then(|| "status=planned".into())),
            ("resultForCreate", self.for_create.map(result)),
            ("current", self.tests.1.then(|| "status=in-progress".into())),
            ("resultForDelete", self.for_delete.map(result)),
            ("requireBoth", self.require_both.map(Value::from)),
        ];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        given.collect::<Map<_, _>>().into()
    }

    /// RQ 2.4, worked out by hand: `previous` and `current` are statuses, none where there is no
    /// such state. A result stands for the test that cannot be made, whether or not the criteria
    /// have that test; what is neither there nor stood for is left out.
    fn fires(self, previous: Option<&str>, current: Option<&str>) -> bool {
        let before = match previous {
            Some(status) => self.tests.0.then_some(status == "planned"),
            None => self.for_create.or(self.tests.0.then_some(false)),
        };
        let after = match current {
            Some(status) => self.tests.1.then_some(status == "in-progress"),
            None => self.for_delete.or(self.tests.1.then_some(false)),
        };
        match (before, after) {
            (Some(before), Some(after)) if self.require_both == Some(true) => before && after,
            (Some(before), Some(after)) => before || after,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => false,
        }
    }
}

/// The states an encounter goes through; none is deleted.
const LIVES: [(&str, &[Option<&str>]); 4] = [
    ("a", &[Some("planned"), Some("planned"), Some("in-progress"), Some("in-progress"), None]),
    ("b", &[Some("in-progress"), Some("planned"), Some("cancelled"), None]),
    ("c", &[Some("cancelled"), Some("in-progress"), Some("cancelled"), Some("planned"), None]),
    ("d", &[Some("planned"), None, Some("in-progress"), None]),
];

#[tokio::test]
async fn query_criteria_fire_as_the_truth_table_says() {
    verifies!("RQ-TP-23", "RQ-TP-24", "RQ-TP-25", "RQ-TP-26", "RQ-TP-27", "RQ-TP-35");
    let server = Server::start().await;
    let work = server.bases().map(|base| async move { check_truth_table(&base).await });
    futures_util::future::join_all(work).await;
}

async fn check_truth_table(base: &Client) {
    let rows = Row::all();
    let mut subscriptions = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let id = format!("row-{index}");
        let trigger = json!({"resource": "Encounter", "queryCriteria": row.criteria()});
        base.save(&topic(base.version, &id, json!({"resourceTrigger": [trigger]}))).await;
        subscriptions.push(base.subscribe(&Subscribe::websocket(&url(&id))).await);
    }
    let mut wanted: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (id, states) in LIVES {
        let mut previous = None;
        for current in states {
            match current {
                Some(status) => drop(base.save(&encounter(base.version, id, status, "p")).await),
                None => base.remove(&format!("Encounter/{id}")).await,
            }
            for (index, row) in rows.iter().enumerate() {
                if row.fires(previous, *current) {
                    wanted.entry(index).or_default().push(format!("Encounter/{id}"));
                }
            }
            previous = *current;
        }
    }
    for (index, subscription) in subscriptions.iter().enumerate() {
        let found = base.events(subscription, "").await.foci();
        let wanted = wanted.remove(&index).unwrap_or_default();
        assert_eq!(found, wanted, "{} {:?}", base.version, rows[index]);
    }
}

#[tokio::test]
async fn a_trigger_fires_for_the_interactions_it_lists() {
    verifies!("RQ-TP-21", "RQ-TP-22");
    let server = Server::start().await;
    for base in server.bases() {
        let lists: [&[&str]; 5] =
            [&[], &["create"], &["update"], &["delete"], &["create", "delete"]];
        let mut subscriptions = Vec::new();
        for (index, list) in lists.iter().enumerate() {
            let id = format!("list-{index}");
            let mut trigger = json!({"resource": "Patient"});
            if !list.is_empty() {
                trigger["supportedInteraction"] = json!(list);
            }
            base.save(&topic(base.version, &id, json!({"resourceTrigger": [trigger]}))).await;
            subscriptions.push(base.subscribe(&Subscribe::websocket(&url(&id))).await);
        }
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        base.remove("Patient/p").await;
        // A type that no trigger names.
        base.save(&encounter(base.version, "e", "planned", "p")).await;
        let mut counts = Vec::new();
        for subscription in &subscriptions {
            counts.push(base.count(subscription).await);
        }
        assert_eq!(counts, [4, 1, 2, 1, 2], "{}", base.version);
    }
}

#[tokio::test]
async fn criteria_are_gated_by_the_interactions() {
    verifies!("RQ-TP-21");
    let server = Server::start().await;
    for base in server.bases() {
        let trigger = json!({
            "resource": "Encounter",
            "supportedInteraction": ["update"],
            "queryCriteria": {"current": "status=in-progress", "resultForDelete": "test-passes"},
        });
        base.save(&topic(base.version, "gated", json!({"resourceTrigger": [trigger]}))).await;
        let subscription = base.subscribe(&Subscribe::websocket(&url("gated"))).await;
        base.save(&encounter(base.version, "e", "in-progress", "p")).await;
        base.save(&encounter(base.version, "e", "in-progress", "p")).await;
        base.remove("Encounter/e").await;
        assert_eq!(base.count(&subscription).await, 1, "{}", base.version);
    }
}

#[tokio::test]
async fn several_triggers_that_match_make_one_event() {
    verifies!("RQ-TP-20");
    let server = Server::start().await;
    for base in server.bases() {
        let topic = "http://cresset.test/topics/visit-or-finding";
        let subscription = base.subscribe(&Subscribe::websocket(topic)).await;
        base.save(&cresset_conformance::observation("o", "p", 70.0)).await;
        base.save(&encounter(base.version, "e", "planned", "p")).await;
        let events = base.events(&subscription, "").await;
        assert_eq!(events.foci(), ["Observation/o", "Encounter/e"]);
    }
}

#[tokio::test]
async fn criteria_are_read_url_encoded_or_plain() {
    verifies!("RQ-TP-31");
    let server = Server::start().await;
    for base in server.bases() {
        let code = "http://loinc.org|29463-7";
        let mut subscriptions = Vec::new();
        for (id, criteria) in [
            ("plain", format!("code={code}&status:not=cancelled")),
            ("encoded", "code=http%3A%2F%2Floinc.org%7C29463-7&status%3Anot=cancelled".to_owned()),
        ] {
            let trigger =
                json!({"resource": "Observation", "queryCriteria": {"current": criteria}});
            base.save(&topic(base.version, id, json!({"resourceTrigger": [trigger]}))).await;
            subscriptions.push(base.subscribe(&Subscribe::websocket(&url(id))).await);
        }
        base.save(&cresset_conformance::observation("o", "p", 70.0)).await;
        let mut other = cresset_conformance::observation("q", "p", 70.0);
        other["code"]["coding"][0]["code"] = "8302-2".into();
        base.save(&other).await;
        for subscription in &subscriptions {
            assert_eq!(base.events(subscription, "").await.foci(), ["Observation/o"]);
        }
    }
}

#[tokio::test]
async fn an_update_without_a_change_is_an_update_each_time() {
    verifies!("RQ-TP-32");
    let server = Server::start().await;
    for base in server.bases() {
        let topic = "http://cresset.test/topics/patient-any";
        let subscription = base.subscribe(&Subscribe::websocket(topic)).await;
        for _ in 0..3 {
            base.save(&patient("p")).await;
        }
        assert_eq!(base.read("Patient/p").await["meta"]["versionId"], "3");
        assert_eq!(base.count(&subscription).await, 3);
    }
}

#[tokio::test]
async fn a_write_that_failed_notifies_nobody() {
    verifies!("RQ-TP-33");
    let server = Server::start().await;
    for base in server.bases() {
        let topic = "http://cresset.test/topics/patient-any";
        let subscription = base.subscribe(&Subscribe::websocket(topic)).await;
        base.save(&patient("p")).await;
        let stale = base.request(Method::PUT, "Patient/p").header("if-match", "W/\"4\"");
        stale.json(&patient("p")).send().await.refused(412);
        base.put("Patient/p", &patient("q")).await.refused(400);
        base.request(Method::POST, "Patient").body("{").send().await.refused(400);
        let stale = base.request(Method::DELETE, "Patient/p").header("if-match", "W/\"4\"");
        stale.send().await.refused(412);
        base.delete("Patient/never").await.expect(204);
        base.remove("Patient/p").await;
        base.delete("Patient/p").await.expect(204);
        let events = base.events(&subscription, "").await;
        assert_eq!(events.count, 2, "{}", events.json);
    }
}

/// Subscribes to a topic with one trigger on encounters.
async fn on_encounters(base: &Client, id: &str, mut trigger: Value) -> String {
    trigger["resource"] = "Encounter".into();
    base.save(&topic(base.version, id, json!({"resourceTrigger": [trigger]}))).await;
    base.subscribe(&Subscribe::websocket(&url(id))).await
}

#[tokio::test]
async fn fhirpath_criteria_see_the_states_before_and_after() {
    verifies!("RQ-TP-28", "RQ-TP-29", "RQ-TP-30");
    let server = Server::start().await;
    for base in server.bases() {
        let criteria = [
            (
                "began",
                "(%previous.empty() or %previous.status != 'in-progress') \
                and %current.status = 'in-progress'",
            ),
            // Without a previous state there is nothing to compare, so create fires nothing.
            ("moved", "%previous.status != %current.status"),
            ("gone", "%current.empty() and %previous.status = 'in-progress'"),
            // The focus is the current state, and on delete the previous one.
            ("focus", "status = 'in-progress'"),
            ("not-boolean", "%current.status"),
        ];
        let mut subscriptions = Vec::new();
        for (id, criteria) in criteria {
            let trigger = json!({"fhirPathCriteria": criteria});
            subscriptions.push((id, on_encounters(&base, id, trigger).await));
        }
        let both = json!({
            "fhirPathCriteria": "%current.status = 'cancelled'",
            "queryCriteria": {"current": "status=in-progress"},
        });
        subscriptions.push(("both", on_encounters(&base, "both", both).await));
        for status in ["planned", "in-progress", "in-progress", "cancelled", "in-progress"] {
            base.save(&encounter(base.version, "e", status, "p")).await;
        }
        base.remove("Encounter/e").await;
        let mut counts = BTreeMap::new();
        for (id, subscription) in &subscriptions {
            counts.insert(*id, base.count(subscription).await);
        }
        let wanted = [
            ("began", 2),
            ("both", 1),
            ("focus", 4),
            ("gone", 1),
            ("moved", 3),
            // Only true fires.
            ("not-boolean", 0),
        ];
        assert_eq!(counts, BTreeMap::from(wanted), "{}", base.version);
    }
}

/// A trigger that cannot be evaluated for a patient with two names: whether a collection holds
/// one item shows only then.
fn faulty() -> Value {
    let trigger =
        json!({"resource": "Patient", "fhirPathCriteria": "%current.name.single().exists()"});
    json!({"resourceTrigger": [trigger]})
}

fn two_names() -> Value {
    let mut patient = patient("two");
    patient["name"] = json!([{"family": "a"}, {"family": "b"}]);
    patient
}

#[tokio::test]
async fn a_fault_in_the_evaluation_fails_no_write_and_lets_nothing_through() {
    verifies!("RQ-ER-14");
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&topic(base.version, "faulty", faulty())).await;
        let faulty = base.subscribe(&Subscribe::websocket(&url("faulty"))).await;
        let sound = Subscribe::websocket("http://cresset.test/topics/patient-any");
        let sound = base.subscribe(&sound).await;
        base.put("Patient/two", &two_names()).await.expect(201);
        assert_eq!(base.count(&sound).await, 1);
        assert_eq!(base.count(&faulty).await, 0);
        base.save(&patient("one")).await;
        assert_eq!(base.count(&faulty).await, 1, "{}", base.version);
    }
}

#[tokio::test]
async fn a_trigger_that_cannot_be_evaluated_is_told_on_its_subscriptions() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&topic(base.version, "faulty", faulty())).await;
        let faulty = base.subscribe(&Subscribe::websocket(&url("faulty"))).await;
        base.save(&two_names()).await;
        let status = base.status(&faulty).await;
        assert!(!status.errors.is_empty(), "{status:?}");
        assert_eq!(status.status, "active");
    }
}

#[tokio::test]
async fn undelete_is_a_create_without_a_previous_state() {
    verifies!("RQ-TP-35");
    let server = Server::start().await;
    for base in server.bases() {
        let topic = "http://cresset.test/topics/encounter-start";
        let subscription =
            base.subscribe(&Subscribe::websocket(topic).content("full-resource")).await;
        base.save(&encounter(base.version, "e", "in-progress", "p")).await;
        base.remove("Encounter/e").await;
        // As an update this would not fire, since the encounter was in progress before.
        base.save(&encounter(base.version, "e", "in-progress", "p")).await;
        let events = base.events(&subscription, "").await;
        assert_eq!(events.numbers(), [1, 2]);
        let methods: Vec<_> = events.entries.iter().map(|entry| entry.method.as_str()).collect();
        assert_eq!(methods, ["POST", "POST"], "{}", events.json);
    }
}
