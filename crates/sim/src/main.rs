//! `cresset-sim`: runs the simulation for as many seeds and steps as wished.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use cresset_sim::{Scenario, StoreKind, Trace, commit_seed, run};

/// Runs the simulation: each seed is a run of its own. See docs/testing.md.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed; without it, the one of the commit.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Steps of each run before the calm.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// What is below.
    #[arg(long, value_enum, default_value_t = Store::Memory)]
    store: Store,
    /// Print every step.
    #[arg(long)]
    trace: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Store {
    /// SQLite in files.
    Embedded,
    /// In memory.
    Memory,
}

fn main() -> ExitCode {
    let Arguments { seed, runs, steps, store, trace } = Arguments::parse();
    let store = match store {
        Store::Embedded => StoreKind::Embedded,
        Store::Memory => StoreKind::Memory,
    };
    let start = Instant::now();
    let first = seed.unwrap_or_else(commit_seed);
    let mut total = 0;
    for seed in first..first.saturating_add(runs) {
        let trace = if trace { Trace::printed() } else { Trace::short() };
        match run(Scenario::new(seed, store), steps, trace) {
            Ok((report, _)) => {
                total += report.steps;
                println!("seed {seed}: {report:?}");
            }
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{runs} runs, {total} steps in {seconds:.1} s");
    ExitCode::SUCCESS
}
