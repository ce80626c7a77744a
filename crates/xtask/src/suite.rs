//! `cargo xtask test`: every check and test, in the order in which they fail fastest.
//!
//! The last line it prints on stdout is the test runner's summary.

use std::io;
use std::process::{ExitCode, Stdio};

use anyhow::Result;

use crate::{clients, counts, process, tidy, tools};

/// Runs all; the exit code is the test runner's.
pub(crate) fn run() -> Result<ExitCode> {
    process::step("tools", tools::install)?;
    process::step("clients of others", clients::install)?;
    cargo(&["fmt", "--all", "--check"])?;
    process::step("tidy", tidy::run)?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // The binary that the conformance tests start. Built alone, so that a feature which only tests
    // turn on is not missed; with the profile of the tests, so that most of it is built once.
    cargo(&["build", "--package", "cresset", "--profile", "test"])?;
    let compiler = "target/clients/npm/node_modules/typescript/bin/tsc";
    let types = ["node", compiler, "--project", "clients/typescript"];
    let client = ["node", "--test", "clients/typescript/test/"];
    for words in [&types[..], &client] {
        process::step(&words.join(" "), || process::run(words))?;
    }
    process::step("counts", || counts::run(false))?;
    let tests = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast"];
    eprintln!("==> {}", tests.join(" "));
    let mut runner = process::command(&tests);
    // The runner reports on stderr. On stdout its summary is the last line also for a caller that
    // keeps the two apart.
    let status = process::status(runner.stderr(Stdio::from(io::stdout())))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo(args: &[&str]) -> Result<()> {
    let words = [&["cargo"], args].concat();
    process::step(&words.join(" "), || process::run(&words))
}
