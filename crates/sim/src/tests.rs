//! A short search in every test run, and that a run can be replayed.

use std::collections::BTreeMap;

use crate::scenario::VERSIONS;
use crate::{Report, Scenario, StoreKind, Trace, commit_seed, run};

/// Runs that every test run makes; what one of them found once stays in it.
const SEEDS: [u64; 11] = [1, 3, 6, 10, 12, 16, 43, 70, 239, 1_001, 1_002];
/// Runs that the commit draws.
const COMMIT_SEEDS: u64 = 24;
/// Steps of a run with the store in memory.
const STEPS: u64 = 5_000;
/// Steps of a run with the store in files, which flushes every group.
const STEPS_EMBEDDED: u64 = 600;

fn check(seed: u64, store: StoreKind, steps: u64) -> Report {
    match run(Scenario::new(seed, store), steps, Trace::short()) {
        Ok((report, _)) => report,
        Err(failure) => panic!("\n{failure}"),
    }
}

#[test]
fn the_invariants_hold_in_a_world_where_anything_fails() {
    let mut judged = BTreeMap::new();
    for seed in SEEDS {
        let versions = Scenario::new(seed, StoreKind::Memory).versions;
        let report = check(seed, StoreKind::Memory, STEPS);
        assert!(report.events > 0 && report.taken > 0 && report.frames > 0, "{seed}: {report:?}");
        for (what, times) in report.judged {
            *judged.entry((versions, what)).or_insert(0) += times;
        }
    }
    // A checker that sees nothing finds nothing.
    for versions in VERSIONS {
        for what in ["empty", "full-resource", "id-only", "isolation", "silence", "status"] {
            let times = judged.get(&(versions, what)).copied().unwrap_or(0);
            assert!(times > 0, "{what} in {versions:?}: {judged:?}");
        }
    }
}

#[test]
fn the_invariants_hold_in_worlds_that_this_commit_draws() {
    for number in 0..COMMIT_SEEDS {
        drop(check(commit_seed() + number, StoreKind::Memory, STEPS));
    }
}

#[test]
fn the_invariants_hold_over_power_failures_that_tear_what_is_written() {
    for seed in [1, 2, 5, commit_seed()] {
        drop(check(seed, StoreKind::Embedded, STEPS_EMBEDDED));
    }
}

#[test]
fn the_same_seed_twice_is_the_same_run() {
    let whole = |store| {
        let (report, trace) = run(Scenario::new(2, store), 1_000, Trace::whole()).unwrap();
        (report, trace.text().unwrap().to_owned())
    };
    for store in [StoreKind::Memory, StoreKind::Embedded] {
        let (first, second) = (whole(store), whole(store));
        assert!(first.1.lines().count() > 1_000);
        assert!(first == second, "{store:?}");
    }
}
