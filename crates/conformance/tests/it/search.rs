//! Search: of types, with pages, and as clients of subscriptions need it.
//!
//! What goes beyond one resource is in `search_joins.rs`, the forms of the answer in
//! `search_answers.rs`.

use cresset_conformance::{Client, Options, Server, Subscribe, Version, patient, verifies};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::link;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

#[tokio::test]
async fn resources_are_found_by_id_and_time_of_change() {
    let server = Server::start().await;
    for base in server.bases() {
        for id in ["a", "b", "c"] {
            base.save(&patient(id)).await;
        }
        let before = base.read("Patient/b").await["meta"]["lastUpdated"].clone();
        base.save(&patient("c")).await;
        let after = base.read("Patient/c").await["meta"]["lastUpdated"].clone();
        let (before, after) = (before.as_str().expect("text"), after.as_str().expect("text"));

        assert_eq!(ids(&base, "Patient?_id=b").await, ["b"]);
        assert_eq!(ids(&base, "Patient?_id=c,a").await, ["a", "c"]);
        assert_eq!(ids(&base, "Patient?_id=nobody").await, [""; 0]);
        assert_eq!(ids(&base, "Patient").await, ["a", "b", "c"]);
        assert_eq!(ids(&base, &format!("Patient?_lastUpdated=ge{after}")).await, ["c"]);
        assert_eq!(ids(&base, &format!("Patient?_lastUpdated=le{before}")).await, ["a", "b"]);
        assert_eq!(ids(&base, &format!("Patient?_lastUpdated=gt{after}")).await, [""; 0]);
        assert_eq!(ids(&base, &format!("Patient?_id=a,c&_lastUpdated=lt{after}")).await, ["a"]);
        base.remove("Patient/a").await;
        assert_eq!(ids(&base, "Patient?_id=a,b").await, ["b"]);

        let form = base.request(Method::POST, "Patient/_search");
        let posted = form.body_as("_id=b", "application/x-www-form-urlencoded").send().await;
        assert_eq!(posted.expect(200).json()["total"], 1);
    }
}

#[tokio::test]
async fn a_searchset_says_what_was_asked_and_where_the_next_page_is() {
    let server = Server::start().await;
    for base in server.bases() {
        for number in 0..7 {
            base.save(&patient(&format!("p{number}"))).await;
        }
        let mut next = Some(format!("{}/Patient?_count=3", base.url));
        let (mut found, mut pages) = (Vec::new(), 0);
        while let Some(url) = next {
            let page = base.read(&url).await;
            assert_eq!(page["type"], "searchset", "{page}");
            assert_eq!(link(&page, "self").as_deref(), Some(&*url), "{page}");
            let entries = page["entry"].as_array().cloned().unwrap_or_default();
            assert!(entries.len() <= 3, "{page}");
            for entry in &entries {
                let id = entry["resource"]["id"].as_str().expect("an id");
                assert_eq!(entry["fullUrl"], format!("{}/Patient/{id}", base.url), "{page}");
                assert_eq!(entry["search"]["mode"], "match", "{page}");
                found.push(id.to_owned());
            }
            pages += 1;
            next = link(&page, "next");
        }
        assert!(pages >= 3, "{pages}");
        found.sort_unstable();
        assert_eq!(found, (0..7).map(|number| format!("p{number}")).collect::<Vec<_>>());
        let none = base.read("Patient?_count=0").await;
        assert_eq!(none["entry"].as_array().map_or(0, Vec::len), 0, "{none}");
        assert_eq!(none["total"], 7, "{none}");
        assert_eq!(base.read("Patient?_count=0&_id=p1,p2").await["total"], 2);
    }
}

#[tokio::test]
async fn what_cannot_be_searched_is_refused_unless_the_client_is_lenient() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        for query in ["nonsense=1", "_id:nonsense=p", "_lastUpdated=soon", "_count=many", "_id="] {
            base.get(&format!("Patient?{query}")).await.refused(400);
        }
        let lenient = base.request(Method::GET, "Patient?nonsense=1&_id=p");
        let page = lenient.header("prefer", "handling=lenient").send().await.expect(200).json();
        assert!(!link(&page, "self").expect("a self link").contains("nonsense"), "{page}");
        let strict = base.request(Method::GET, "Patient?nonsense=1");
        strict.header("prefer", "handling=strict").send().await.refused(400);
    }
}

#[tokio::test]
async fn subscriptions_are_found_by_url_and_status() {
    verifies!("RQ-CF-08", "RQ-CF-15");
    let server = Server::start().await;
    for base in server.bases() {
        let on = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let endpoint = "http://127.0.0.1:8000/never";
        let off = base.subscribe(&Subscribe::rest_hook(TOPIC, endpoint).status("off")).await;
        assert_eq!(ids(&base, "Subscription?status=active").await, [on.as_str()]);
        assert_eq!(ids(&base, "Subscription?status=off").await, [off.as_str()]);
        assert_eq!(ids(&base, &format!("Subscription?url={endpoint}")).await, [off.as_str()]);
        assert_eq!(ids(&base, "Subscription?status=off,active").await.len(), 2);
        assert_eq!(ids(&base, &format!("Subscription?_id={on}")).await, [on.as_str()]);
    }
}

#[tokio::test]
async fn topics_are_discovered_by_search() {
    verifies!("RQ-OP-62", "RQ-CF-04", "RQ-TP-03", "RQ-CF-15");
    let server = Server::start().await;
    for base in server.bases().iter().filter(|base| base.version != Version::R4) {
        let all = ids(base, "SubscriptionTopic").await;
        assert!(all.contains(&"patient-any".to_owned()), "{all:?}");
        for query in [
            format!("url={TOPIC}"),
            format!("derived-or-self={TOPIC}"),
            "title=whatever%20happens".to_owned(),
            format!("url={TOPIC}&status=active"),
        ] {
            let found = ids(base, &format!("SubscriptionTopic?{query}")).await;
            assert_eq!(found, ["patient-any"], "{query}");
        }
        assert_eq!(ids(base, "SubscriptionTopic?url=http://cresset.test/other").await, [""; 0]);
        assert_eq!(ids(base, "SubscriptionTopic?status=retired").await, [""; 0]);
        let topic = base.read("SubscriptionTopic/patient-any").await;
        assert_eq!(topic["url"], TOPIC);
        base.subscribe(&Subscribe::websocket(TOPIC)).await;
    }
}

#[tokio::test]
async fn topics_in_r4_are_basic_resources_found_by_their_code() {
    verifies!("RQ-TP-02");
    let server = Server::start().await;
    let base = server.base(Version::R4);
    let other = json!({"resourceType": "Basic", "code": {"coding": [{"code": "referral"}]}});
    base.create(&other).await;
    let code = "http://hl7.org/fhir/fhir-types%7CSubscriptionTopic";
    let found = ids(&base, &format!("Basic?code={code}")).await;
    let shared = ["encounter-start", "observation-created", "patient-any", "visit-or-finding"];
    assert_eq!(found, shared);
    base.get("SubscriptionTopic/patient-any").await.refused(404);
}

/// Ids found, sorted.
pub(crate) async fn ids(base: &Client, search: &str) -> Vec<String> {
    let page = base.read(search).await;
    let entries = page["entry"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = entries
        .filter(|entry| entry["search"]["mode"] == "match")
        .map(|entry| entry["resource"]["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort_unstable();
    let total = page.get("total").and_then(Value::as_u64);
    assert!(total.is_none_or(|total| total == ids.len() as u64), "{page}");
    ids
}

#[tokio::test]
async fn another_choice_of_indexed_parameters_needs_no_hand() {
    let code = "Patient?gender=female";
    let mut server = Server::start_with(Options::default().set("search.index", "none")).await;
    let mut woman = patient("w");
    woman["gender"] = "female".into();
    for base in server.bases() {
        base.save(&patient("p")).await;
        base.save(&woman).await;
        // What no index holds is found all the same.
        assert_eq!(ids(&base, code).await, ["w"]);
    }
    let changed = server.options().clone().set("search.index", vec!["gender"]);
    *server.options() = changed;
    server.restart().await;
    for base in server.bases() {
        assert_eq!(ids(&base, code).await, ["w"]);
    }
}

#[tokio::test]
async fn a_page_of_large_resources_ends_early_and_loses_none() {
    let server = Server::start().await;
    let base = server.base(Version::R4);
    for number in 0..9 {
        let mut large = patient(&format!("p{number}"));
        // A string has at most a mebibyte.
        let part = "x".repeat(1 << 20);
        large["name"] = (0..5).map(|_| json!({"text": part})).collect();
        base.save(&large).await;
    }
    let mut next = Some("Patient?_count=9".to_owned());
    let (mut found, mut pages) = (Vec::new(), 0);
    while let Some(url) = next {
        let reply = base.get(&url).await.expect(200);
        assert!(reply.body.len() < 50 << 20, "{}", reply.body.len());
        let page = reply.json();
        let entries = page["entry"].as_array().expect("entries").iter();
        found.extend(entries.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()));
        pages += 1;
        next = link(&page, "next");
    }
    found.sort_unstable();
    assert_eq!(found, (0..9).map(|number| format!("p{number}")).collect::<Vec<_>>());
    assert!(pages > 1, "{pages}");
}

#[tokio::test]
async fn the_link_of_an_index_that_was_built_anew_is_gone() {
    let mut server = Server::start().await;
    let base = server.base(Version::R4);
    for number in 0..4 {
        base.save(&patient(&format!("p{number}"))).await;
    }
    let page = base.read("Patient?_count=2").await;
    let next = link(&page, "next").expect("a next link");
    let changed = server.options().clone().set("search.index", "none");
    *server.options() = changed;
    server.restart().await;
    let query = next.split_once("/Patient").expect("a search of Patient").1;
    server.base(Version::R4).get(&format!("Patient{query}")).await.refused(410);
}
