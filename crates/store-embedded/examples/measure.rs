//! Measures the embedded store by hand; the figures stand in docs/adr/0001.
//!
//! `cargo run --release -p cresset-store-embedded --example measure -- append DIR GROUP COUNT
//! SUBSCRIPTIONS [UPDATES [EVENTS]]`: CPU and wall time per change of 1.5 KB with one event (or
//! EVENTS), each for a subscription drawn at random; with UPDATES above 0, changes go to that many
//! resources drawn at random instead of new ones.
//!
//! `… measure open DIR`: time to open the store and to list its subscriptions.
//!
//! `… measure index DIR COUNT BATCH`: time per document with 25 search values, and of searches.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cresset_model::{
    Base, Change, ClientName, Interaction, Position, ResourceId, ResourceKey, ResourceType,
    SubscriptionKey, VersionId,
};
use cresset_store::{
    ChangeLog as _, Clause, Condition, Entry, Group, IndexBatch, IndexDocument, IndexRow,
    IndexedValue, Query, Store as _, SubscriptionLife, SystemTest, Test,
};
use cresset_store_embedded::EmbeddedStore;
use jiff::Timestamp;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments.get(index).map_or(0, |text| text.parse().unwrap());
    let directory = Path::new(&arguments[1]);
    match arguments[0].as_str() {
        "append" => {
            append(directory, number(2), number(3), number(4), [number(5), number(6).max(1)])
        }
        "index" => index(directory, number(2), number(3).max(1)),
        "open" => open(directory),
        other => panic!("unknown: {other}"),
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Time that all threads of this process have run.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = tasks.map(|task| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn change(position: u64, id: &str, version: u64, body: &Bytes) -> Change {
    Change {
        position: Position::new(position).unwrap(),
        key: ResourceKey {
            base: Base::new(4),
            resource_type: ResourceType::new("Encounter").unwrap(),
            id: ResourceId::new(id).unwrap(),
        },
        version: VersionId::new(version).unwrap(),
        interaction: if version == 1 { Interaction::Create } else { Interaction::Update },
        at: Timestamp::from_nanosecond(1_790_000_000_000_000_000 + i128::from(position)).unwrap(),
        author: ClientName::new("writer").unwrap(),
        body: body.clone(),
        trace: None,
    }
}

fn append(
    directory: &Path,
    group: u64,
    count: u64,
    subscriptions: u64,
    [updates, events]: [u64; 2],
) {
    let store = EmbeddedStore::open(directory).unwrap();
    let body = Bytes::from(vec![b'x'; 1_500]);
    let mut head = store.head().unwrap().map_or(0, Position::get);
    let begun = Instant::now();
    while head < subscriptions {
        let step = (subscriptions - head).min(4_096);
        let begin = |position: u64| {
            let owner = ClientName::new("subscriber").unwrap();
            let change = change(position, &format!("sub-{position}"), 1, &body);
            Entry {
                change,
                events: Vec::new(),
                subscription: Some(SubscriptionLife::Begins { owner }),
            }
        };
        let entries: Vec<_> = (head + 1..=head + step).map(begin).collect();
        store.append(&Group { entries, records: Vec::new() }).unwrap();
        head += step;
    }
    println!("{subscriptions} subscriptions: {:?}", begun.elapsed());
    let mut random = Random(head);
    let mut versions = vec![0_u64; usize::try_from(updates).unwrap()];
    // Making the groups is counted too: about 1 us per change.
    let before = cpu();
    let mut wall = Duration::ZERO;
    let mut times = Vec::new();
    let mut done = 0;
    while done < count {
        let entries: Vec<_> = (0..group)
            .map(|_| {
                head += 1;
                let (id, version) = if updates == 0 {
                    // As of uuid v7: new ids follow the old ones.
                    (format!("0190b2c4-{head:012x}-7000-8000-0000"), 1)
                } else {
                    let place = usize::try_from(random.below(updates)).unwrap();
                    versions[place] += 1;
                    let hash = Random(place as u64).below(u64::MAX);
                    (format!("{hash:016x}-{place:019x}"), versions[place])
                };
                let mut key = || {
                    let subscription = 1 + random.below(subscriptions);
                    SubscriptionKey::created_at(Position::new(subscription).unwrap())
                };
                let events = (0..events).map(|_| key()).collect();
                Entry { change: change(head, &id, version, &body), events, subscription: None }
            })
            .collect();
        let group = Group { entries, records: Vec::new() };
        let start = Instant::now();
        store.append(&group).unwrap();
        wall += start.elapsed();
        times.push(start.elapsed());
        done += group.entries.len() as u64;
    }
    let used = cpu() - before;
    times.sort_unstable();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / done as f64;
    println!(
        "groups of {group}: {:.2} us CPU, {:.2} us wall per change; group p50 {:?} p99 {:?} max {:?}",
        each(used),
        each(wall),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1],
    );
}

fn open(directory: &Path) {
    let start = Instant::now();
    let before = cpu();
    let store = EmbeddedStore::open(directory).unwrap();
    println!("open: {:?} ({:?} CPU), head {:?}", start.elapsed(), cpu() - before, store.head());
    let start = Instant::now();
    let mut after = None;
    let (mut count, mut events) = (0_u64, 0);
    loop {
        let page = store.subscriptions(after, 10_000).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        count += page.len() as u64;
        events += page.iter().map(|record| record.events).sum::<u64>();
    }
    println!("list {count} subscriptions with {events} events: {:?}", start.elapsed());
}

fn index(directory: &Path, count: u64, batch: u64) {
    let store = EmbeddedStore::open(directory).unwrap();
    let body = Bytes::from_static(b"{}");
    let mut random = Random(7);
    let mut used = Duration::ZERO;
    for first in (1..=count).step_by(usize::try_from(batch).unwrap()) {
        let changes: Vec<_> = (first..first + batch)
            .map(|head| change(head, &format!("e{head}"), 1, &body))
            .collect();
        let entry = |change: &Change| Entry {
            change: change.clone(),
            events: Vec::new(),
            subscription: None,
        };
        let entries = changes.iter().map(entry).collect();
        store.append(&Group { entries, records: Vec::new() }).unwrap();
        let documents = changes.iter().map(|change| document(change, &mut random)).collect();
        let upto = changes.last().unwrap().position;
        let before = cpu();
        store.index(&IndexBatch { upto, documents }).unwrap();
        used += cpu() - before;
    }
    println!("index: {:.2} us CPU per document", used.as_secs_f64() * 1e6 / count as f64);
    let token = |parameter: &str, code: &str| Clause {
        any: vec![Condition::Value {
            parameter: parameter.into(),
            test: Test::Token { system: SystemTest::Any, code: Some(code.into()) },
        }],
        negated: false,
    };
    for (name, clauses) in [
        ("all", Vec::new()),
        ("dense", vec![token("status", "1")]),
        ("rare", vec![token("identifier", "12345")]),
        ("dense and rare", vec![token("status", "1"), token("p3", "77")]),
        ("dense and dense", vec![token("status", "1"), token("class", "1")]),
    ] {
        let query = Query {
            base: Base::new(4),
            resource_type: ResourceType::new("Encounter").unwrap(),
            clauses,
            after: None,
            limit: 50,
            total: false,
        };
        let start = Instant::now();
        let page = store.search(&query).unwrap();
        println!("search {name}: {} in {:?}", page.found.len(), start.elapsed());
    }
}

fn document(change: &Change, random: &mut Random) -> IndexDocument {
    let token = |parameter: String, code: u64| IndexRow {
        parameter: parameter.into(),
        value: IndexedValue::Token {
            system: Some("http://example.org/codes".into()),
            code: code.to_string().into(),
        },
    };
    let mut rows = vec![
        token("status".into(), random.below(4)),
        token("class".into(), random.below(4)),
        token("identifier".into(), change.position.get()),
    ];
    rows.extend((0..14).map(|n| token(format!("p{n}"), random.below(1_000))));
    for parameter in ["subject", "patient", "practitioner", "location"] {
        let id = format!("{:036x}", random.below(10_000)).into();
        let value = IndexedValue::Reference { resource_type: "Patient".into(), id };
        rows.push(IndexRow { parameter: parameter.into(), value });
    }
    for parameter in ["date", "_lastUpdated"] {
        let low = 1_700_000_000_000_000_000 + random.below(1 << 50).cast_signed();
        let value = IndexedValue::Stretch { low, high: low + 999_999_999 };
        rows.push(IndexRow { parameter: parameter.into(), value });
    }
    for parameter in ["name", "text"] {
        let exact = format!("Name {}", random.below(100_000));
        let folded = exact.to_lowercase().into();
        let value = IndexedValue::Text { folded, exact: exact.into() };
        rows.push(IndexRow { parameter: parameter.into(), value });
    }
    IndexDocument {
        key: change.key.clone(),
        position: change.position,
        version: change.version,
        last_updated: change.at,
        deleted: false,
        rows,
    }
}
