//! Real input: HL7's examples of each version and Synthea's transactions, replayed by REST with
//! ten topics live, and the events compared with a recount by hand.
//!
//! A short cut runs every time; `CRESSET_REPLAY=all` replays all of Synthea.

mod data;
mod recount;

use cresset_conformance::{Client, Options, Server, Subscribe, Version};
use reqwest::Method;
use serde_json::{Value, json};

use recount::{Change, Probe, probes};

/// Synthea's transactions in the short cut.
const TRANSACTIONS: usize = 20;
/// Types that are not plain data to the server.
const OTHERS: [&str; 4] = ["Parameters", "Subscription", "SubscriptionStatus", "SubscriptionTopic"];

/// What is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Examples,
    Synthea,
}

/// A probe with its subscription and the foci that the recount expects.
struct Watched {
    probe: Probe,
    subscription: String,
    wanted: Vec<String>,
}

async fn watch(base: &Client) -> Vec<Watched> {
    let mut watched = Vec::new();
    for probe in probes() {
        let topic = format!("http://cresset.test/replay/{}", probe.topic);
        let mut asked = Subscribe::websocket(&topic);
        for filter in &probe.filters {
            asked = asked.filter(filter.clone());
        }
        let subscription = base.subscribe(&asked).await;
        watched.push(Watched { probe, subscription, wanted: Vec::new() });
    }
    watched
}

/// Lets the recount see a change.
fn recount(watched: &mut [Watched], change: &Change<'_>) {
    for one in watched {
        if (one.probe.fires)(change) {
            one.wanted.push(change.focus());
        }
    }
}

/// Compares what `$events` tells with the recount.
///
/// In order for requests one by one; a transaction may take its entries in another order.
async fn compare(base: &Client, watched: Vec<Watched>, input: Input) {
    for mut one in watched {
        let mut found = Vec::new();
        let count = base.count(&one.subscription).await;
        while (found.len() as u64) < count {
            let query = format!("eventsSinceNumber={}", found.len() + 1);
            let page = base.events(&one.subscription, &query).await;
            assert_eq!(page.numbers().first(), Some(&(found.len() as u64 + 1)));
            found.extend(page.foci());
        }
        if input == Input::Synthea {
            found.sort_unstable();
            one.wanted.sort_unstable();
        }
        let what = format!("{} {} {:?}", base.version, one.probe.topic, one.probe.filters);
        let (found_count, wanted_count) = (found.len(), one.wanted.len());
        let differs = found.iter().zip(&one.wanted).position(|(found, wanted)| found != wanted);
        assert!(
            found == one.wanted,
            "{what}: {found_count} events, {wanted_count} by hand; first difference at {differs:?}: \
             {:?}, by hand {:?}",
            differs.map(|index| &found[index]),
            differs.map(|index| &one.wanted[index]),
        );
        eprintln!("{what}: {found_count}");
        // A probe that nothing fires proves nothing.
        let is_of_synthea = what.contains(recount::PATIENT);
        assert!(found_count > 0 || is_of_synthea != (input == Input::Synthea), "{what}: never");
    }
}

async fn server(validation: &str) -> Server {
    let topics = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/replay");
    let options = Options::default().topics(topics);
    Server::start_with(options.set("validation.level", validation)).await
}

#[tokio::test]
async fn examples_of_each_version_give_the_events_that_a_recount_gives() {
    // They are given statuses that not every type has.
    let server = server("off").await;
    let work = server.bases().map(|base| async move {
        let Some(examples) = data::examples(base.version) else { return };
        let mut watched = watch(&base).await;
        for (index, example) in examples.iter().enumerate() {
            replay_example(&base, &mut watched, index, example).await;
        }
        compare(&base, watched, Input::Examples).await;
    });
    futures_util::future::join_all(work).await;
}

/// Creates an example, and changes, deletes and creates it again by turns.
async fn replay_example(base: &Client, watched: &mut [Watched], index: usize, example: &str) {
    let mut resource: Value = serde_json::from_str(example).expect("an example is JSON");
    let resource_type = resource["resourceType"].as_str().expect("a type").to_owned();
    if OTHERS.contains(&resource_type.as_str()) {
        return;
    }
    let id = match resource["id"].as_str() {
        Some(id) => id.to_owned(),
        None => {
            let id = format!("no-id-{index}");
            resource["id"] = id.as_str().into();
            id
        }
    };
    let mut state: Option<Value> = None;
    let changed = |status: &str| {
        let mut changed = resource.clone();
        if changed["status"].is_string() {
            changed["status"] = status.into();
        }
        Some(changed)
    };
    let same = Some(resource.clone());
    let life: Vec<Option<Value>> = match index % 4 {
        0 => vec![same.clone(), changed("in-progress"), same, None],
        1 => vec![changed("planned"), same],
        2 => vec![same.clone(), changed("finished"), changed("completed"), None, same],
        _ => vec![same.clone(), same],
    };
    let path = format!("{resource_type}/{id}");
    for next in life {
        match &next {
            Some(next) => drop(base.save(next).await),
            None => base.remove(&path).await,
        }
        let change = Change {
            resource_type: &resource_type,
            id: &id,
            previous: state.as_ref(),
            current: next.as_ref(),
        };
        recount(watched, &change);
        state = next;
    }
}

#[tokio::test]
async fn transactions_of_synthea_give_the_events_that_a_recount_gives() {
    let whole = std::env::var("CRESSET_REPLAY").is_ok_and(|value| value == "all");
    let count = if whole { usize::MAX } else { TRANSACTIONS };
    let Some(transactions) = data::transactions(count) else { return };
    let server = server("strict").await;
    let base = server.base(Version::R4);
    let mut watched = watch(&base).await;
    for (index, transaction) in transactions.enumerate() {
        replay_transaction(&base, &mut watched, index, &transaction).await;
    }
    compare(&base, watched, Input::Synthea).await;
}

async fn replay_transaction(
    base: &Client,
    watched: &mut [Watched],
    index: usize,
    transaction: &str,
) {
    let mut bundle: Value = serde_json::from_str(transaction).expect("a transaction is JSON");
    // One patient has an id that a filter knows.
    let entries = bundle["entry"].as_array_mut().expect("entries");
    if let Some(entry) =
        entries.iter_mut().find(|entry| entry["resource"]["resourceType"] == "Patient")
        && index == 0
    {
        entry["resource"]["id"] = recount::PATIENT.into();
        let url = format!("Patient/{}", recount::PATIENT);
        entry["request"] = json!({"method": "PUT", "url": url});
    }
    let request = base.request(Method::POST, "").json(&bundle);
    let answer = request.send().await.expect(200).json();
    let answers = answer["entry"].as_array().expect("entries");
    let entries = bundle["entry"].as_array().expect("entries");
    assert_eq!(answers.len(), entries.len());
    let mut places = Vec::new();
    for (entry, answer) in entries.iter().zip(answers) {
        assert_eq!(answer["response"]["status"], "201", "{answer}");
        let location = answer["response"]["location"].as_str().expect("a location");
        let place = location.split("/_history").next().expect("a part");
        let place = place.trim_start_matches(&base.url).trim_start_matches('/');
        places.push((entry["fullUrl"].as_str().expect("a full URL"), place.to_owned()));
    }
    for (entry, (_, place)) in entries.iter().zip(&places) {
        let mut resource = entry["resource"].clone();
        rewrite(&mut resource, &places);
        let (resource_type, id) = place.split_once('/').expect("a type and an id");
        let change = Change { resource_type, id, previous: None, current: Some(&resource) };
        recount(watched, &change);
    }
}

/// Puts the new places where the recount looks for references.
fn rewrite(resource: &mut Value, places: &[(&str, String)]) {
    for name in ["subject", "patient"] {
        let reference = resource.get_mut(name).and_then(|value| value.get_mut("reference"));
        let Some(reference) = reference else { continue };
        let place = places.iter().find(|(full_url, _)| reference == full_url);
        if let Some((_, place)) = place {
            *reference = place.as_str().into();
        }
    }
}
