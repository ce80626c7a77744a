//! What is found besides the change in hand: present, absent, changed in the same group, and not to
//! be told.

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use serde_json::{Value, json};

use super::fixture::{Fixture, admin, encounter, offering, subscription, topic};
use crate::Kind;

fn patient(id: &str, gender: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "gender": gender})
}

/// An observation made at an encounter.
fn observation(id: &str, encounter: &str, code: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": {"coding": [{"system": "http://x.org/codes", "code": code}]},
        "encounter": {"reference": format!("Encounter/{encounter}")},
    })
}

fn value_set(id: &str, code: &str) -> Value {
    json!({
        "resourceType": "ValueSet", "id": id, "url": "http://x.org/ValueSet/classes",
        "status": "active",
        "compose": {"include": [{"concept": [{"code": code}], "system": "http://x.org/classes"}]},
    })
}

fn group(id: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members
        .iter()
        .map(|id| json!({"entity": {"reference": format!("Patient/{id}")}}))
        .collect();
    json!({
        "resourceType": "Group", "id": id, "type": "person", "actual": true, "member": members
    })
}

/// An encounter whose class is in a code system of its own.
fn classified(id: &str, class: &str, patient: &str) -> Value {
    let mut encounter = encounter(id, "planned", patient);
    encounter["class"] = json!({"system": "http://x.org/classes", "code": class});
    encounter
}

/// A topic on Encounters that offers these filters.
fn topic_offering(offers: &[&str]) -> Value {
    let mut topic = topic("any", &[]);
    topic["extension"].as_array_mut().unwrap().extend(offers.iter().map(|text| offering(text)));
    topic
}

impl Fixture {
    async fn transaction(&self, resources: &[Value]) {
        let entries: Vec<Value> = resources
            .iter()
            .map(|one| {
                let url = format!(
                    "{}/{}",
                    one["resourceType"].as_str().unwrap(),
                    one["id"].as_str().unwrap()
                );
                json!({"resource": one, "request": {"method": "PUT", "url": url}})
            })
            .collect();
        let bundle =
            json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string();
        let form = crate::Representation::None;
        let answer = self.node.bundle(&admin(), FhirVersion::R4, Bytes::from(bundle), form).await;
        answer.unwrap();
    }

    async fn foci(&self, id: &str) -> Vec<String> {
        let events = self.events(id).await.into_iter();
        events.map(|(_, focus)| focus.trim_start_matches("Encounter/").to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_follows_references_as_they_are_at_that_moment() {
    let fixture = Fixture::new();
    fixture.create(&topic_offering(&["patient.gender not"])).await.unwrap();
    let female = fixture.subscribe("any", &["patient.gender=female"]).await;
    let not_male = fixture.subscribe("any", &["Encounter?patient.gender:not=male"]).await;
    fixture.put(&patient("p", "female")).await.unwrap();
    fixture.put(&encounter("first", "planned", "p")).await.unwrap();
    fixture.put(&patient("p", "male")).await.unwrap();
    fixture.put(&encounter("second", "planned", "p")).await.unwrap();
    fixture.put(&encounter("nobody", "planned", "q")).await.unwrap();
    // In one group: as the entries before it made it.
    fixture.transaction(&[patient("p", "female"), encounter("third", "planned", "p")]).await;
    fixture.transaction(&[patient("p", "male"), encounter("fourth", "planned", "p")]).await;
    fixture.put(&patient("p", "female")).await.unwrap();
    fixture.delete("Patient", "p").await;
    fixture.put(&encounter("gone", "planned", "p")).await.unwrap();
    assert_eq!(fixture.foci(&female).await, ["first", "third"]);
    assert_eq!(fixture.foci(&not_male).await, ["first", "third"]);
    assert_eq!(fixture.status(&female).2, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_and_codes_of_a_value_set_are_those_of_that_moment() {
    let fixture = Fixture::new();
    fixture.create(&topic_offering(&["patient in not-in", "class in not-in"])).await.unwrap();
    fixture.put(&group("g", &["p"])).await.unwrap();
    fixture.put(&value_set("v", "a")).await.unwrap();
    let inside = fixture.subscribe("any", &["patient:in=Group/g"]).await;
    let outside = fixture.subscribe("any", &["patient:not-in=Group/g"]).await;
    let by_url = fixture.subscribe("any", &["class:in=http://x.org/ValueSet/classes"]).await;
    let by_id = fixture.subscribe("any", &["class:not-in=ValueSet/v"]).await;
    fixture.put(&classified("1", "a", "p")).await.unwrap();
    fixture.put(&classified("2", "b", "q")).await.unwrap();
    fixture.put(&group("g", &["q"])).await.unwrap();
    fixture.put(&value_set("v", "b")).await.unwrap();
    fixture.put(&classified("3", "a", "p")).await.unwrap();
    fixture.put(&classified("4", "b", "q")).await.unwrap();
    fixture
        .transaction(&[value_set("v", "a"), group("g", &["p"]), classified("5", "a", "p")])
        .await;
    assert_eq!(fixture.foci(&inside).await, ["1", "4", "5"]);
    assert_eq!(fixture.foci(&outside).await, ["2", "3"]);
    assert_eq!(fixture.foci(&by_url).await, ["1", "4", "5"]);
    assert_eq!(fixture.foci(&by_id).await, ["2", "3"]);
    // A set that goes has neither members nor others, and that is told.
    fixture.delete("Group", "g").await;
    fixture.put(&classified("6", "a", "p")).await.unwrap();
    assert_eq!(fixture.foci(&outside).await, ["2", "3"]);
    for id in [&inside, &outside] {
        assert!(fixture.status(id).2[0].contains("not on this server"), "{:?}", fixture.status(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refers_to_a_resource_is_found_in_the_index_and_in_the_open_group() {
    let fixture = Fixture::new();
    fixture.create(&topic_offering(&["_has:Observation:encounter:code"])).await.unwrap();
    let filter = "_has:Observation:encounter:code=http://x.org/codes|a";
    let id = fixture.subscribe("any", &[filter]).await;
    fixture.put(&encounter("1", "planned", "p")).await.unwrap();
    fixture.put(&observation("o", "1", "a")).await.unwrap();
    fixture.put(&encounter("1", "planned", "p")).await.unwrap();
    fixture.put(&observation("o", "1", "b")).await.unwrap();
    fixture.put(&encounter("1", "planned", "p")).await.unwrap();
    fixture.put(&observation("o", "2", "a")).await.unwrap();
    fixture.put(&encounter("1", "planned", "p")).await.unwrap();
    fixture.put(&encounter("2", "planned", "p")).await.unwrap();
    fixture.transaction(&[observation("n", "3", "a"), encounter("3", "planned", "p")]).await;
    // What the group took away is not there any more, whatever the index says.
    fixture.transaction(&[observation("n", "4", "a"), encounter("3", "planned", "p")]).await;
    fixture.delete("Observation", "o").await;
    fixture.put(&encounter("2", "planned", "p")).await.unwrap();
    assert_eq!(fixture.foci(&id).await, ["1", "2", "3"]);
    assert_eq!(fixture.status(&id).2, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_of_a_topic_look_at_other_resources_too() {
    let fixture = Fixture::new();
    let criteria = json!({"url": "queryCriteria", "extension": [
        {"url": "current", "valueString": "patient.gender=female&class:in=ValueSet/v"},
    ]});
    fixture.create(&topic("any", &[criteria])).await.unwrap();
    let id = fixture.subscribe("any", &[]).await;
    fixture.put(&patient("p", "female")).await.unwrap();
    // The value set is not there yet: nothing fires, and that is told.
    fixture.put(&classified("1", "a", "p")).await.unwrap();
    assert_eq!(fixture.foci(&id).await, [""; 0]);
    assert!(fixture.status(&id).2[0].contains("not on this server"));
    fixture.put(&value_set("v", "a")).await.unwrap();
    fixture.put(&classified("2", "a", "p")).await.unwrap();
    fixture.put(&classified("3", "b", "p")).await.unwrap();
    fixture.put(&classified("4", "a", "q")).await.unwrap();
    assert_eq!(fixture.foci(&id).await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_cannot_tell_lets_nothing_through_and_fails_no_write() {
    let fixture = Fixture::new();
    let offers = ["patient.gender not", "patient not-in", "_has:Observation:encounter:code not"];
    fixture.create(&topic_offering(&offers)).await.unwrap();
    fixture.put(&patient("p", "female")).await.unwrap();
    fixture.put(&group("g", &["q"])).await.unwrap();
    let filters = [
        "patient.gender:not=male",
        "patient:not-in=Group/g",
        "_has:Observation:encounter:code:not=b",
    ];
    let mut ids = Vec::new();
    for filter in filters {
        ids.push(fixture.subscribe("any", &[filter]).await);
    }
    let plain = fixture.subscribe("any", &[]).await;
    fixture.store.fail_lookups(true);
    fixture.put(&encounter("1", "planned", "p")).await.unwrap();
    fixture.store.fail_lookups(false);
    for (id, filter) in ids.iter().zip(filters) {
        assert_eq!(fixture.foci(id).await, [""; 0], "{filter}");
        let errors = fixture.status(id).2;
        assert!(errors[0].contains("could not be read"), "{filter}: {errors:?}");
    }
    assert_eq!(fixture.foci(&plain).await, ["1"]);
    fixture.put(&encounter("2", "planned", "p")).await.unwrap();
    assert_eq!(fixture.foci(&ids[0]).await, ["2"]);
    assert_eq!(fixture.foci(&ids[1]).await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_never_be_answered_is_refused_when_it_is_asked_for() {
    let fixture = Fixture::new();
    let offers =
        ["patient in", "class in below", "_has:Observation:patient:code", "patient.gender"];
    fixture.create(&topic_offering(&offers)).await.unwrap();
    for (filter, told) in [
        ("patient:in=Group/g", "not on this server"),
        ("class:in=http://x.org/ValueSet/classes", "not on this server"),
        ("class:in=ValueSet/v", "not on this server"),
        ("class:below=http://x.org/classes|a", "not on this server"),
        // Encounters are no target of Observation.patient, so the topic offers it in name only.
        ("_has:Observation:patient:code=a", "cannot evaluate the filter"),
        ("patient.gender:not=male", "does not offer the modifier"),
        ("patient.birthdate=1970", "does not offer the filter"),
    ] {
        let refused = fixture.create(&subscription("any", &[filter])).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unprocessable, "{filter}");
        assert!(refused.to_string().contains(told), "{filter}: {refused}");
    }
    fixture.put(&value_set("v", "a")).await.unwrap();
    fixture.subscribe("any", &["class:in=http://x.org/ValueSet/classes"]).await;
    // By what the index does not hold nothing can be found.
    let criteria = json!({"url": "queryCriteria", "extension": [
        {"url": "current", "valueString": "_has:Observation:encounter:subject.name=eve"},
        {"url": "previous", "valueString": "_has:Procedure:encounter:code=a"},
    ]});
    let refused = fixture.create(&topic("other", &[criteria])).await.unwrap_err();
    assert!(refused.to_string().contains("Procedure.encounter"), "{refused}");
    let search = crate::SearchRequest::parse("_has:Procedure:encounter:code=a");
    let target = crate::SearchTarget::Type("Encounter");
    let refused = fixture.node.search(&admin(), FhirVersion::R4, target, &search).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_about_a_set_that_is_not_here_is_taken_with_a_warning() {
    let fixture = Fixture::new();
    let criteria = json!({"url": "queryCriteria", "extension": [
        {"url": "current", "valueString": "class:in=http://x.org/ValueSet/classes"},
    ]});
    let warned = fixture.put(&topic("any", std::slice::from_ref(&criteria))).await.unwrap();
    let [warning] = warned.warnings.0.as_slice() else { panic!("{}", warned.warnings) };
    assert!(warning.text.contains("not on this server"), "{warning:?}");
    fixture.put(&value_set("v", "a")).await.unwrap();
    let taken = fixture.put(&topic("any", &[criteria])).await.unwrap();
    assert!(taken.warnings.0.is_empty(), "{}", taken.warnings);
    let id = fixture.subscribe("any", &[]).await;
    fixture.put(&classified("1", "a", "p")).await.unwrap();
    fixture.put(&classified("2", "b", "p")).await.unwrap();
    assert_eq!(fixture.foci(&id).await, ["1"]);
}
