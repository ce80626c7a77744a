//! What an evaluation costs, by hand:
//! `cargo test -p cresset-engine --release -- --ignored --nocapture --test-threads=1 measure`.

#![expect(clippy::disallowed_methods, reason = "measuring takes a clock; nothing else here does")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::*;

/// Changes evaluated for one figure.
const ROUNDS: u64 = 20_000;

/// Bytes of memory that the process holds.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}

/// The median time of evaluating an update that goes to one subscriber.
fn evaluations(catalog: &Catalog, count: u64) -> Duration {
    let mut times: Vec<_> = (1..=ROUNDS)
        .map(|round| {
            // The resource is warm, as one that was just parsed; where its subscriber lies is not.
            let patient = format!("Patient/{}", 1 + round * 7_919 % count);
            let before = encounter(&patient, "planned");
            let after = encounter(&patient, "completed");
            let change = change("Encounter", Some(&before), Some(&after));
            let started = Instant::now();
            let evaluation = black_box(evaluate(catalog, &change));
            let took = started.elapsed();
            assert_eq!(evaluation.matches.len(), 1);
            took
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn measure(name: &str, filters: impl Fn(u64) -> Vec<String>) {
    for count in [1_000_u64, 10_000, 100_000, 1_000_000] {
        let criteria = query("status:not=completed", "status=completed");
        let offers = ["patient", "status", "date ge"];
        let mut catalog =
            catalog_of(&topic(vec![query_trigger("Encounter", criteria)], &offers), &[]);
        let before = resident();
        let started = Instant::now();
        for number in 1..=count {
            let filters = filters(number);
            let filters: Vec<_> = filters.iter().map(String::as_str).collect();
            subscribe(&mut catalog, number, &filters);
        }
        let subscribed = started.elapsed() / u32::try_from(count).unwrap();
        let bytes = resident().saturating_sub(before) / count;
        let evaluated = evaluations(&catalog, count);
        println!(
            "{name}: {count} subscriptions: {evaluated:?} a change, {subscribed:?} and {bytes} \
             bytes a subscription"
        );
        // Given back at the end, so that the next figure counts its own memory only.
        std::mem::forget(catalog);
    }
}

#[test]
#[ignore = "measures, by hand"]
fn measure_one_patient_each() {
    measure("patient", |number| vec![format!("patient=Patient/{number}")]);
}

#[test]
#[ignore = "measures, by hand"]
fn measure_two_filters_each() {
    measure("patient and status", |number| {
        vec![format!("patient=Patient/{number}"), "status=completed".to_owned()]
    });
}
