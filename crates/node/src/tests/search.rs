//! Search: pages while data changes, bounds, and whom it tells what.

use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, IssueCode};
use serde_json::{Value, json};

use super::fixture::{Fixture, admin, encounter};
use crate::{
    Caller, Error, HistoryOf, HistoryQuery, Kind, Right, SearchIndex, SearchRequest, SearchTarget,
};

fn indexed() -> Fixture {
    Fixture::configured(|config| config.search.index = SearchIndex::All)
}

fn target(of: &str) -> SearchTarget<'_> {
    if of.is_empty() { SearchTarget::System } else { SearchTarget::Type(of) }
}

async fn try_search_as(fixture: &Fixture, caller: &Caller, url: &str) -> Result<Value, Error> {
    let (of, query) = url.split_once('?').unwrap_or((url, ""));
    let request = SearchRequest::parse(query);
    let answer = fixture.node.search(caller, FhirVersion::R4, target(of), &request).await?;
    Ok(serde_json::from_slice(&answer.body).unwrap())
}

async fn search(fixture: &Fixture, url: &str) -> Value {
    let page = try_search_as(fixture, &admin(), url).await;
    page.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// What a page holds, as `Type/id`, in order, of one mode.
fn listed(page: &Value, mode: &str) -> Vec<String> {
    let entries = page["entry"].as_array().into_iter().flatten();
    let entries = entries.filter(|entry| entry["search"]["mode"] == mode);
    entries
        .map(|entry| {
            let resource = &entry["resource"];
            format!(
                "{}/{}",
                resource["resourceType"].as_str().unwrap(),
                resource["id"].as_str().unwrap()
            )
        })
        .collect()
}

fn next(page: &Value) -> Option<String> {
    let link = page["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next")?;
    Some(link["url"].as_str().unwrap().trim_start_matches("http://test/r4/").to_owned())
}

fn patient(id: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]})
}

fn reader() -> Caller {
    Caller::new(ClientName::new("reader").unwrap(), [Right::Read].into_iter().collect())
}

fn subscriber() -> Caller {
    Caller::new(ClientName::new("subscriber").unwrap(), [Right::Subscribe].into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_and_repeat_nothing_while_data_changes() {
    for sort in ["", "&_sort=family", "&_sort=-family"] {
        let fixture = indexed();
        for n in 0..9 {
            fixture.put(&patient(&format!("p{n}"), &format!("F{n}"))).await.unwrap();
        }
        let mut url = Some(format!("Patient?_count=2{sort}"));
        let (mut all, mut pages) = (Vec::new(), 0);
        while let Some(at) = url {
            let page = search(&fixture, &at).await;
            all.extend(listed(&page, "match"));
            url = next(&page);
            // What was shown and what will be changes its place; one goes and one comes.
            for n in 0..9 {
                if n != 8 || pages == 0 {
                    fixture.put(&patient(&format!("p{n}"), &format!("F{}", 20 - n))).await.unwrap();
                }
            }
            if pages == 0 {
                fixture.delete("Patient", "p8").await;
            }
            fixture.put(&patient(&format!("q{pages}"), "Fnew")).await.unwrap();
            pages += 1;
            assert!(pages < 30);
        }
        let old = |one: &&String| one.starts_with("Patient/p") && *one != "Patient/p8";
        let mut old: Vec<&String> = all.iter().filter(old).collect();
        let in_order = old.clone();
        old.sort_unstable();
        assert_eq!(
            old,
            (0..8).map(|n| format!("Patient/p{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
        match sort {
            "" => {}
            // In the order of the first page, and nothing that came since.
            "&_sort=family" => {
                assert_eq!(in_order, old);
                assert!(!all.iter().any(|one| one.starts_with("Patient/q")), "{all:?}");
            }
            _ => assert_eq!(in_order, old.into_iter().rev().collect::<Vec<_>>()),
        }
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len(), "{all:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_find_through_the_index_and_beyond_their_bound_only_beside_others() {
    let fixture = Fixture::configured(|config| {
        config.search.index = SearchIndex::All;
        config.limits.search_count_max = 1_000;
    });
    let entries: Vec<Value> = (0..100)
        .map(|n| {
            let resource = patient(&format!("p{n}"), if n == 7 { "Rare" } else { "Common" });
            let request = json!({"method": "PUT", "url": format!("Patient/p{n}")});
            json!({"resource": resource, "request": request})
        })
        .collect();
    for part in 0..11 {
        let entries: Vec<Value> = entries
            .iter()
            .cloned()
            .map(|mut entry| {
                let id = format!("{}x{part}", entry["resource"]["id"].as_str().unwrap());
                entry["request"]["url"] = format!("Patient/{id}").into();
                entry["resource"]["id"] = id.into();
                entry
            })
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let bytes = bundle.to_string().into();
        let none = crate::Representation::None;
        fixture.node.bundle(&admin(), FhirVersion::R4, bytes, none).await.unwrap();
    }
    fixture.put(&encounter("a", "planned", "p7x3")).await.unwrap();
    fixture.put(&encounter("b", "finished", "p8x3")).await.unwrap();
    let found = search(&fixture, "Encounter?patient.family=rare").await;
    assert_eq!(listed(&found, "match"), ["Encounter/a"]);
    let refused = try_search_as(&fixture, &admin(), "Encounter?patient.family=common").await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), Kind::TooCostly);
    assert_eq!(refused.issues().0[0].code, IssueCode::SearchTooCostly);
    let narrowed = search(&fixture, "Encounter?patient.family=common&status=finished").await;
    assert_eq!(listed(&narrowed, "match"), ["Encounter/b"]);
    let referred = search(&fixture, "Patient?_has:Encounter:patient:status=finished").await;
    assert_eq!(listed(&referred, "match"), ["Patient/p8x3"]);
    // More than are put in order as a whole.
    for sort in ["_lastUpdated", "-_lastUpdated"] {
        let first = search(&fixture, &format!("Patient?_sort={sort}&_count=700")).await;
        let second = search(&fixture, &next(&first).unwrap()).await;
        assert_eq!(next(&second), None);
        let mut all = listed(&first, "match");
        all.extend(listed(&second, "match"));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1_100, "{sort}");
    }
    let both =
        "Patient?_has:Encounter:patient:status=finished&_has:Encounter:patient:status=planned";
    assert!(listed(&search(&fixture, both).await, "match").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn includes_follow_a_way_round_once_and_stop_at_their_bound() {
    let fixture = indexed();
    for (one, other) in [("a", "b"), ("b", "c"), ("c", "a")] {
        let mut encounter = encounter(one, "planned", "p");
        encounter["partOf"] = json!({"reference": format!("Encounter/{other}")});
        fixture.put(&encounter).await.unwrap();
    }
    fixture.put(&patient("p", "Way")).await.unwrap();
    let first = search(&fixture, "Encounter?_id=a&_include=Encounter:part-of").await;
    assert_eq!(listed(&first, "include"), ["Encounter/b"]);
    let iterated = search(&fixture, "Encounter?_id=a&_include:iterate=Encounter:part-of").await;
    assert_eq!(listed(&iterated, "match"), ["Encounter/a"]);
    assert_eq!(listed(&iterated, "include"), ["Encounter/b", "Encounter/c"]);
    let both = "Encounter?_id=a&_include=*&_revinclude:iterate=Encounter:part-of:Encounter";
    let mut included = listed(&search(&fixture, both).await, "include");
    included.sort_unstable();
    assert_eq!(included, ["Encounter/b", "Encounter/c", "Patient/p"]);
    for bad in ["Encounter", "Encounter:status", "Nothing:part-of", "Encounter:part-of:Patient"] {
        let refused = try_search_as(&fixture, &admin(), &format!("Encounter?_include={bad}")).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Malformed, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_learns_nothing_by_chains_includes_or_lists() {
    let fixture = indexed();
    fixture.put(&patient("p", "Secret")).await.unwrap();
    let subscription = fixture.create(&super::fixture::topic("any", &[])).await.unwrap();
    drop(subscription);
    fixture.subscribe("any", &[]).await;
    for query in [
        "Subscription?_has:AuditEvent:entity:outcome=0",
        "Subscription?_has:Provenance:target:agent.name=x",
        "Subscription?_list=l",
        "Subscription?_revinclude=Provenance:target",
        "?_type=Patient",
        "Patient?family=Secret",
    ] {
        let refused = try_search_as(&fixture, &subscriber(), query).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden, "{query}: {refused}");
    }
    // A wildcard names nothing, and finds nothing that may not be read.
    assert!(listed(&search(&fixture, "Subscription").await, "match").len() == 1);
    let own = try_search_as(&fixture, &subscriber(), "Subscription?_include=*").await.unwrap();
    assert!(own["entry"].as_array().is_none_or(Vec::is_empty), "{own}");
    let all = try_search_as(&fixture, &subscriber(), "?_lastUpdated=gt2000").await.unwrap();
    assert!(listed(&all, "match").is_empty(), "{all}");
    let all = try_search_as(&fixture, &reader(), "?_lastUpdated=gt2000").await.unwrap();
    assert!(listed(&all, "match").contains(&"Patient/p".to_owned()), "{all}");
    assert!(!listed(&all, "match").iter().any(|one| one.starts_with("Subscription")), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_no_index_helps_is_answered_all_the_same() {
    let fixture = Fixture::new();
    for n in 0..70 {
        fixture
            .put(&patient(&format!("p{n}"), if n % 30 == 29 { "Rare" } else { "Common" }))
            .await
            .unwrap();
    }
    let found = search(&fixture, "Patient?family=rare").await;
    assert_eq!(listed(&found, "match"), ["Patient/p29", "Patient/p59"]);
    assert_eq!(found["total"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_told_as_asked_for() {
    let fixture = indexed();
    for n in 0..5 {
        fixture.put(&patient(&format!("p{n}"), "Total")).await.unwrap();
    }
    for (query, total) in [
        ("Patient?_count=2", None),
        ("Patient?_count=2&_total=none", None),
        ("Patient?_total=none", None),
        ("Patient?_count=2&_total=accurate", Some(5)),
        ("Patient?_count=2&_total=estimate", Some(5)),
        ("Patient?_summary=count&family=total", Some(5)),
        ("Patient?_count=2&_sort=family", Some(5)),
        ("?_type=Patient,Encounter&_summary=count", Some(5)),
    ] {
        let page = search(&fixture, query).await;
        assert_eq!(page.get("total").and_then(Value::as_u64), total, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_total_tells_of_subscriptions_of_others() {
    let fixture = indexed();
    fixture.put(&super::fixture::topic("any", &[])).await.unwrap();
    for _ in 0..2 {
        fixture.subscribe("any", &[]).await;
    }
    for (query, count) in [
        ("Subscription?_total=estimate&_cursor=i-0", 2),
        ("?_type=Subscription&_total=estimate&_cursor=i-0&_count=1", 2),
    ] {
        assert_eq!(search(&fixture, query).await["total"], count, "{query}");
        let told = try_search_as(&fixture, &subscriber(), query).await.unwrap();
        assert_eq!(told["total"], 0, "{query}");
    }
    let behind = "Subscription?_total=estimate&_cursor=i-1";
    let refused = try_search_as(&fixture, &subscriber(), behind).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_often_since_the_first_page_keeps_its_place() {
    let fixture = indexed();
    for n in 0..4 {
        fixture.put(&patient(&format!("p{n}"), &format!("F{n}"))).await.unwrap();
    }
    let page = search(&fixture, "Patient?_count=2&_sort=family").await;
    for n in 0..40 {
        fixture.put(&patient("p2", &format!("A{n}"))).await.unwrap();
        fixture.put(&patient("p1", &format!("Z{n}"))).await.unwrap();
    }
    let page = search(&fixture, &next(&page).unwrap()).await;
    assert_eq!(listed(&page, "match"), ["Patient/p2", "Patient/p3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compartment_is_searched_for_the_types_that_are_named() {
    let fixture = indexed();
    fixture.put(&encounter("e", "planned", "p")).await.unwrap();
    fixture.put(&patient("p", "Itself")).await.unwrap();
    let of = async |id: &str, query: &str| {
        let compartment = "Patient";
        let target = SearchTarget::Compartment { compartment, id, resource_type: None };
        let request = SearchRequest::parse(query);
        fixture.node.search(&admin(), FhirVersion::R4, target, &request).await
    };
    for (query, count) in
        [("", 2), ("_type=Encounter", 1), ("_type=Patient", 1), ("_type=Observation,Condition", 0)]
    {
        let page: Value = serde_json::from_slice(&of("p", query).await.unwrap().body).unwrap();
        assert_eq!(listed(&page, "match").len(), count, "{query}: {page}");
    }
    assert_eq!(of("a?b", "").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_twice_of_the_answer_is_refused() {
    let fixture = indexed();
    for twice in
        ["_elements=name&_elements=id", "_summary=true&_summary=false", "_count=1&_count=1"]
    {
        let refused = try_search_as(&fixture, &admin(), &format!("Patient?{twice}")).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Malformed, "{twice}");
    }
    search(&fixture, "Patient?_include=Patient:link&_include=Patient:organization").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_one_time_is_paged_by_time_however_much_it_is() {
    // More than are put in order as a whole.
    const MUCH: usize = 10_100;
    let fixture = Fixture::configured(|config| {
        config.search.index = SearchIndex::None;
        config.limits.bundle_entries_max = MUCH;
    });
    let set = |day: u8| fixture.clock.set(format!("2026-02-{day:02}T00:00:00Z").parse().unwrap());
    set(1);
    fixture.put(&patient("first", "F")).await.unwrap();
    set(2);
    let entries = (0..MUCH).map(|n| {
        let id = format!("p{n}");
        let request = json!({"method": "PUT", "url": format!("Patient/{id}")});
        json!({"resource": {"resourceType": "Patient", "id": id}, "request": request})
    });
    let entries: Vec<Value> = entries.collect();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let (bytes, none) = (bundle.to_string().into(), crate::Representation::None);
    fixture.node.bundle(&admin(), FhirVersion::R4, bytes, none).await.unwrap();
    set(3);
    fixture.put(&patient("last", "L")).await.unwrap();
    let page = search(&fixture, "Patient?_sort=-_lastUpdated&_count=3").await;
    assert_eq!(listed(&page, "match"), ["Patient/last", "Patient/p0", "Patient/p1"]);
    // What changes keeps its place, and what comes has none.
    set(4);
    fixture.put(&patient("p3", "Changed")).await.unwrap();
    fixture.put(&patient("new", "N")).await.unwrap();
    let page = search(&fixture, &next(&page).unwrap()).await;
    assert_eq!(listed(&page, "match"), ["Patient/p2", "Patient/p3", "Patient/p4"]);
    let page = search(&fixture, "Patient?_sort=_lastUpdated&_count=3").await;
    assert_eq!(listed(&page, "match"), ["Patient/first", "Patient/p0", "Patient/p1"]);
    let page = search(&fixture, &next(&page).unwrap()).await;
    assert_eq!(listed(&page, "match"), ["Patient/p2", "Patient/p4", "Patient/p5"]);
    let late = "Patient?_sort=-_lastUpdated&_count=2&_lastUpdated=lt2026-02-02";
    assert_eq!(listed(&search(&fixture, late).await, "match"), ["Patient/first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_wait_for_their_turn_and_keep_no_read_waiting() {
    let fixture = Fixture::configured(|config| {
        config.search.wait_max = Duration::from_millis(20);
        config.search.concurrency_max = 2;
        config.limits.reads_max = 1;
    });
    let places = fixture.node.shared.searches.acquire_many(2).await.unwrap();
    let refused = try_search_as(&fixture, &admin(), "Patient").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    let (of, query) = (HistoryOf::Base, HistoryQuery::default());
    fixture.node.history(&admin(), FhirVersion::R4, of, query).await.unwrap();
    drop(places);
    search(&fixture, "Patient").await;
}
