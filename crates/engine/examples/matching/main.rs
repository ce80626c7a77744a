//! What matching costs in the engine alone: `cargo xtask bench match` runs it, and `cargo xtask test`
//! counts its instructions.
//!
//! - `matching figures [MAX [LOAD]]` prints one JSON document: nanoseconds of a change and bytes of a
//!   subscription, for 1,000 up to MAX subscriptions, of all loads or of one.
//! - `matching count PART` does a fixed piece of work once, between a call of [`counted`] and its
//!   return, for a tool that counts instructions.

#![expect(clippy::disallowed_methods, reason = "measuring takes a clock; nothing else here does")]
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement ends with a panic or a figure"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use cresset_engine::{Catalog, Lookup, evaluate};
use cresset_fhirpath::{Context, Expression};
use cresset_search::{Criterion, Parameters, ResourceValues};
use serde_json::{Value, json};

mod load;

use load::{Load, created, key};

/// As the server has it: memory and time depend on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Numbers of subscriptions.
const COUNTS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Changes timed together.
const BATCH: u64 = 16;
/// Batches of one figure, of which the median counts.
const BATCHES: u64 = 1_000;
/// Batches of a rehearsal.
const BATCHES_TINY: u64 = 20;
/// Subscriptions that the scan is measured with.
const SCANNED: u64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["figures"] => figures(u64::MAX, &Load::ALL),
        ["figures", max] => figures(number(max), &Load::ALL),
        ["figures", max, load] => figures(number(max), &[Load::named(load).expect("a load")]),
        ["count", part] => count(part),
        _ => {
            eprintln!("matching figures [MAX [LOAD]] | matching count PART");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number of subscriptions")
}

fn figures(max: u64, only: &[Load]) {
    let batches = if max > COUNTS[0] { BATCHES } else { BATCHES_TINY };
    let counts: Vec<_> = COUNTS.into_iter().filter(|count| *count <= max).collect();
    let mut loads = Vec::new();
    for load in only {
        for count in &counts {
            loads.push(measure(*load, *count, batches));
        }
    }
    let document = json!({
        "loads": loads,
        "scan": scan(SCANNED.min(max)),
        "fhirpath": expressions(batches),
    });
    println!("{document}");
}

fn measure(load: Load, count: u64, batches: u64) -> Value {
    let mut catalog = load.catalog();
    let before = resident();
    let started = Instant::now();
    for number in 1..=count {
        let compiled = load.compile(&catalog, number);
        catalog.insert_subscription(key(number), compiled);
    }
    let subscribed = started.elapsed();
    let bytes = resident().saturating_sub(before);
    let evaluated = median(batches, |batch| evaluations(load, &catalog, count, batch));
    let churned = churn(load, &mut catalog, count, batches);
    let figures = json!({
        "load": load.name(),
        "subscriptions": count,
        "ns_per_change": evaluated,
        "ns_per_change_with_churn": churned.0,
        "ns_per_subscribe_and_unsubscribe": churned.1,
        "ns_per_subscribe": u64::try_from(subscribed.as_nanos()).unwrap_or(u64::MAX) / count,
        "bytes_per_subscription": bytes / count,
        "not_indexed": catalog.residual_len(),
    });
    eprintln!("{figures}");
    // Given back at the end, so that the next figure counts its own memory only.
    std::mem::forget(catalog);
    figures
}

/// Bytes of memory of its own that the process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1_024
}

/// The median of what each batch takes, in nanoseconds for each change of it.
fn median(batches: u64, mut batch: impl FnMut(u64) -> u64) -> u64 {
    let mut times: Vec<_> = (0..batches).map(|number| batch(number) / BATCH).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// The resources of a batch: they are warm, as one that was just parsed; where their subscribers
/// lie is not.
fn resources(load: Load, count: u64, batch: u64) -> Vec<Value> {
    let numbers = (batch * BATCH..(batch + 1) * BATCH).map(|round| 1 + round * 7_919 % count);
    numbers.map(|number| load.resource(number)).collect()
}

fn evaluations(load: Load, catalog: &Catalog, count: u64, batch: u64) -> u64 {
    let resources = resources(load, count, batch);
    let lookup = catalog.lookup();
    let mut matches = 0;
    let started = Instant::now();
    for resource in &resources {
        matches += black_box(evaluate(&created(resource), catalog, &lookup)).matches.len();
    }
    let took = started.elapsed();
    assert_eq!(matches, resources.len(), "{}", load.name());
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// W8: a subscription comes and one goes with each change. The time of a change, and of the coming
/// and going.
fn churn(load: Load, catalog: &mut Catalog, count: u64, batches: u64) -> (u64, u64) {
    let mut churned = Vec::new();
    let mut next = count;
    let evaluated = median(batches, |batch| {
        let started = Instant::now();
        for _ in 0..BATCH {
            // As the writer does: what it may have to go back to is kept for each.
            let before = catalog.clone();
            next += 1;
            let compiled = load.compile(catalog, next);
            catalog.insert_subscription(key(next), compiled);
            drop(before);
            let before = catalog.clone();
            catalog.remove_subscription(key(next));
            drop(before);
        }
        churned.push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX) / BATCH);
        evaluations(load, catalog, count, batch)
    });
    churned.sort_unstable();
    (evaluated, churned[churned.len() / 2])
}

/// The same with a scan: each subscription's filters are asked, one after the other.
fn scan(count: u64) -> Value {
    let subscriptions: Vec<Vec<Criterion>> =
        (1..=count).map(|number| Load::Patient.criteria(number)).collect();
    let lookup = Lookup::new(load::scope());
    let mut times: Vec<_> = (0..9)
        .map(|round| {
            let resource = Load::Patient.resource(1 + round * 7_919 % count);
            let started = Instant::now();
            let values = ResourceValues::new(load::scope(), "Observation", &resource);
            let holds = |criteria: &&Vec<Criterion>| {
                criteria.iter().all(|one| one.matches(&values, &lookup).unwrap_or(false))
            };
            let matches = subscriptions.iter().filter(holds).count();
            let took = started.elapsed();
            assert_eq!(matches, 1);
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    times.sort_unstable();
    json!({ "load": "patient", "subscriptions": count, "ns_per_change": times[times.len() / 2] })
}

fn expressions(batches: u64) -> Value {
    let patient = patient();
    let given = given();
    let path = median(batches, |_| {
        let started = Instant::now();
        for _ in 0..BATCH {
            let context = Context::new(Some(black_box(&patient)), "Patient");
            assert_eq!(black_box(given.evaluate(&context)).expect("names").len(), 3);
        }
        u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    });
    let resource = Load::Patient.resource(1);
    let all = median(batches, |_| {
        let started = Instant::now();
        for _ in 0..BATCH {
            black_box(extract_all(&resource));
        }
        u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    });
    json!({
        "ns_per_patient_name_given": path,
        "ns_per_all_parameters_of_an_observation": all,
        "parameters": parameters().count(),
    })
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": "1", "active": true,
        "name": [
            { "use": "official", "family": "Chalmers", "given": ["Peter", "James"] },
            { "use": "usual", "given": ["Jim"] },
        ],
        "gender": "male", "birthDate": "1974-12-25",
    })
}

fn given() -> Expression {
    let definitions = load::scope().parameters.definitions();
    let scope = cresset_fhirpath::Scope::new(definitions).root("Patient");
    Expression::compile("Patient.name.given", &scope).expect("an expression")
}

/// The search parameters of an Observation that can be extracted.
fn parameters() -> impl Iterator<Item = &'static cresset_search::Parameter> {
    let parameters: &'static Parameters = load::scope().parameters;
    parameters.of_type("Observation").filter(|parameter| parameter.check().is_ok())
}

/// How many values all parameters find.
fn extract_all(resource: &Value) -> usize {
    let values = ResourceValues::new(load::scope(), "Observation", resource);
    parameters().map(|parameter| values.of(parameter).map_or(0, <[_]>::len)).sum()
}

/// Work whose instructions are counted: only what happens in here.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Does one piece of work; the numbers in its name are subscriptions and changes.
fn count(part: &str) {
    const CHANGES: u64 = 200;
    let (name, subscriptions) = part.split_once(' ').unwrap_or((part, "0"));
    let subscriptions = number(subscriptions);
    let evaluate_all = |load: Load| {
        let catalog = load.subscribed(subscriptions);
        let numbers = (0..=CHANGES).map(|round| 1 + round * 7_919 % subscriptions);
        let resources: Vec<_> = numbers.map(|number| load.resource(number)).collect();
        let lookup = catalog.lookup();
        let one = |resource: &Value| evaluate(&created(resource), &catalog, &lookup).matches.len();
        // The first compiles expressions.
        let (first, rest) = resources.split_first().expect("resources");
        let matches = one(first) + counted(|| rest.iter().map(one).sum::<usize>());
        assert_eq!(matches, resources.len());
    };
    match name {
        "name-given" => {
            let (patient, given) = (patient(), given());
            counted(|| {
                for _ in 0..CHANGES {
                    let context = Context::new(Some(black_box(&patient)), "Patient");
                    assert_eq!(black_box(given.evaluate(&context)).expect("names").len(), 3);
                }
            });
        }
        "observation" => {
            let resource = Load::Patient.resource(1);
            let found = extract_all(&resource);
            counted(|| (0..CHANGES).for_each(|_| assert_eq!(extract_all(&resource), found)));
        }
        "subscribe" => {
            let mut catalog = Load::Patient.subscribed(subscriptions);
            let last = subscriptions + CHANGES;
            counted(|| {
                for number in subscriptions + 1..=last {
                    let before = catalog.clone();
                    let compiled = Load::Patient.compile(&catalog, number);
                    catalog.insert_subscription(key(number), compiled);
                    drop(before);
                    catalog.remove_subscription(key(number));
                }
            });
        }
        load => evaluate_all(Load::named(load).expect("a load")),
    }
}
