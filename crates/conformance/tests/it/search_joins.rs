//! Search beyond one resource: chains, `_has`, sets, includes, compartments, and their bounds.

use cresset_conformance::{Client, Options, Server, encounter, observation, patient};
use serde_json::{Value, json};

use crate::search::ids;

/// A server that indexes everything, with two patients, an encounter and observations of each, and
/// who has to do with them.
async fn ward() -> Server {
    let server = Server::start_with(Options::default().set("search.index", "all")).await;
    for base in server.bases() {
        base.save(&json!({"resourceType": "Organization", "id": "org", "name": "Charité"})).await;
        for (id, family, kilograms) in [("ann", "Archer", 61.5), ("bob", "Baker", 80.0)] {
            let mut patient = patient(id);
            patient["name"][0]["family"] = family.into();
            patient["managingOrganization"] = json!({"reference": "Organization/org"});
            base.save(&patient).await;
            let visit = encounter(base.version, &format!("visit-{id}"), "planned", id);
            base.save(&visit).await;
            let mut weight = observation(&format!("weight-{id}"), id, kilograms);
            weight["encounter"] = json!({"reference": format!("Encounter/visit-{id}")});
            base.save(&weight).await;
        }
    }
    server
}

#[tokio::test]
async fn chains_go_over_several_references() {
    let server = ward().await;
    for base in server.bases() {
        for (query, expected) in [
            ("Observation?patient.family=archer", &["weight-ann"][..]),
            ("Observation?subject:Patient.family=baker", &["weight-bob"]),
            ("Observation?subject.family=archer,baker", &["weight-ann", "weight-bob"]),
            ("Observation?encounter.patient.family=archer", &["weight-ann"]),
            (
                "Observation?encounter.patient.organization.name=charite",
                &["weight-ann", "weight-bob"],
            ),
            ("Observation?patient.family=archer&value-quantity=gt70", &[]),
            ("Observation?patient.family=nobody", &[]),
            ("Observation?patient.family:missing=true", &[]),
            ("Observation?patient._id=bob", &["weight-bob"]),
        ] {
            assert_eq!(ids(&base, query).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn has_asks_who_refers() {
    let server = ward().await;
    for base in server.bases() {
        for (query, expected) in [
            ("Patient?_has:Observation:patient:value-quantity=gt70", &["bob"][..]),
            ("Patient?_has:Observation:patient:code=29463-7", &["ann", "bob"]),
            (
                "Patient?_has:Encounter:patient:_has:Observation:encounter:value-quantity=lt70",
                &["ann"],
            ),
            ("Organization?_has:Patient:organization:family=archer", &["org"]),
            ("Encounter?patient._has:Observation:patient:value-quantity=lt70", &["visit-ann"]),
            ("Patient?_has:Observation:patient:code=x", &[]),
        ] {
            assert_eq!(ids(&base, query).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn values_are_compared_with_prefixes_units_and_composites() {
    let server = ward().await;
    for base in server.bases() {
        for (query, expected) in [
            ("Observation?value-quantity=61.5||kg", &["weight-ann"][..]),
            ("Observation?value-quantity=gt70000|http://unitsofmeasure.org|g", &["weight-bob"]),
            ("Observation?value-quantity=61500|http://unitsofmeasure.org|g", &["weight-ann"]),
            ("Observation?code-value-quantity=29463-7$gt70", &["weight-bob"]),
            ("Observation?code-value-quantity=other$gt70", &[]),
            ("Observation?date=ge2026-03-01&date=lt2026-03-02", &["weight-ann", "weight-bob"]),
            ("Observation?date=2026-03-02", &[]),
            ("Observation?date=sa2026-02&patient=ann", &["weight-ann"]),
            ("Observation?code:not=29463-7", &[]),
            ("Observation?encounter:missing=true", &[]),
            ("Observation?category=vital-signs&status=final&patient=bob", &["weight-bob"]),
            ("Patient?family:contains=rch", &["ann"]),
            ("Patient?family:exact=Archer,Nobody", &["ann"]),
        ] {
            assert_eq!(ids(&base, query).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn lists_and_groups_are_searched_by_their_members() {
    let server = ward().await;
    for base in server.bases() {
        base.save(&json!({
            "resourceType": "List", "id": "l", "status": "current", "mode": "working",
            "entry": [{"item": {"reference": "Patient/ann"}}],
        }))
        .await;
        assert_eq!(ids(&base, "Patient?_list=l").await, ["ann"]);
        assert_eq!(ids(&base, "Observation?patient:in=List/l").await, ["weight-ann"]);
        assert_eq!(ids(&base, "Observation?patient:not-in=List/l").await, ["weight-bob"]);
        base.get("Patient?_list=other").await.refused(422);
    }
}

/// `Type/id` of the entries with a mode, sorted.
fn listed(page: &Value, mode: &str) -> Vec<String> {
    let entries = page["entry"].as_array().into_iter().flatten();
    let of_mode = entries.filter(|entry| entry["search"]["mode"] == mode);
    let mut listed: Vec<String> = of_mode
        .map(|entry| {
            let text = |name: &str| entry["resource"][name].as_str().expect("text").to_owned();
            format!("{}/{}", text("resourceType"), text("id"))
        })
        .collect();
    listed.sort_unstable();
    listed
}

async fn included(base: &Client, query: &str) -> Vec<String> {
    listed(&base.read(query).await, "include")
}

#[tokio::test]
async fn includes_bring_what_is_referred_to_and_what_refers() {
    let server = ward().await;
    for base in server.bases() {
        for (query, expected) in [
            ("Observation?_id=weight-ann&_include=Observation:patient", &["Patient/ann"][..]),
            ("Observation?_include=Observation:subject:Patient", &["Patient/ann", "Patient/bob"]),
            ("Observation?_include=Observation:subject:Group", &[]),
            (
                "Observation?_id=weight-ann&_include=Observation:*",
                &["Encounter/visit-ann", "Patient/ann"],
            ),
            ("Observation?_id=weight-ann&_include=*", &["Encounter/visit-ann", "Patient/ann"]),
            (
                "Observation?_id=weight-ann&_include=Observation:patient&_include:iterate=Patient:organization",
                &["Organization/org", "Patient/ann"],
            ),
            (
                "Observation?_id=weight-ann&_include=Observation:patient&_include=Patient:organization",
                &["Patient/ann"],
            ),
            ("Patient?_id=ann&_revinclude=Observation:patient", &["Observation/weight-ann"]),
            ("Patient?_id=ann&_revinclude=Observation:*", &["Observation/weight-ann"]),
            (
                "Organization?_revinclude=Patient:organization&_revinclude:iterate=Encounter:patient",
                &["Encounter/visit-ann", "Encounter/visit-bob", "Patient/ann", "Patient/bob"],
            ),
        ] {
            assert_eq!(included(&base, query).await, expected, "{query}");
        }
        for bad in ["_include=Observation", "_include=Observation:status", "_revinclude=*"] {
            base.get(&format!("Observation?{bad}")).await.refused(400);
        }
        base.get("Observation?_include:recurse=Observation:patient").await.refused(400);
    }
}

#[tokio::test]
async fn a_way_round_of_includes_ends() {
    let server = Server::start_with(Options::default().set("search.index", "all")).await;
    for base in server.bases() {
        for (one, other) in [("a", "b"), ("b", "a")] {
            let mut group = encounter(base.version, one, "planned", "p");
            group["partOf"] = json!({"reference": format!("Encounter/{other}")});
            base.save(&group).await;
        }
        let both = "Encounter?_id=a&_include:iterate=*&_revinclude:iterate=Encounter:part-of";
        let page = base.read(both).await;
        assert_eq!(listed(&page, "match"), ["Encounter/a"], "{page}");
        assert_eq!(listed(&page, "include"), ["Encounter/b"], "{page}");
    }
}

#[tokio::test]
async fn patients_and_others_have_compartments() {
    let server = ward().await;
    for base in server.bases() {
        assert_eq!(ids(&base, "Patient/ann/Observation").await, ["weight-ann"]);
        assert_eq!(ids(&base, "Patient/ann/Observation?value-quantity=gt70").await, [""; 0]);
        assert_eq!(ids(&base, "Patient/nobody/Observation").await, [""; 0]);
        let all = base.read("Patient/ann/*").await;
        let expected = ["Encounter/visit-ann", "Observation/weight-ann", "Patient/ann"];
        assert!(
            expected.iter().all(|one| listed(&all, "match").contains(&(*one).to_owned())),
            "{all}"
        );
        base.get("Patient/ann/Organization").await.refused(404);
        assert_eq!(ids(&base, "Encounter/visit-ann/Observation").await, ["weight-ann"]);
        let all = base.read("Encounter/visit-ann/*?_sort=_lastUpdated").await;
        assert_eq!(
            listed(&all, "match"),
            ["Encounter/visit-ann", "Observation/weight-ann"],
            "{all}"
        );
        base.get("Organization/o/Observation").await.refused(404);
    }
}

#[tokio::test]
async fn what_asks_too_much_is_refused_at_once() {
    let server = ward().await;
    for base in server.bases() {
        let long = vec!["patient"; 500].join(".");
        for query in [
            format!("Observation?{long}=x"),
            format!("Observation?encounter{}._id=x", ".part-of".repeat(400)),
            format!("Patient?{}_id=x", "_has:Observation:patient:".repeat(40)),
            format!("Patient?{}", vec!["name=x"; 101].join("&")),
            format!("Patient?{}", vec!["_include=*"; 51].join("&")),
            format!("Patient?_id={}", vec!["x"; 1_001].join(",")),
            format!("Patient?_sort={}", ["name"; 9].join(",")),
        ] {
            base.get(&query).await.refused(400);
        }
        // More digits than fit is more than the most there is.
        let page = base.read(&format!("Patient?_count={}", 1_u128 << 63)).await;
        assert_eq!(listed(&page, "match"), ["Patient/ann", "Patient/bob"], "{page}");
        base.get("Patient?_count=-1").await.refused(400);
    }
}
