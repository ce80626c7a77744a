//! `cargo xtask test`: every check and test, in the order in which they fail fastest.
//!
//! The last line it prints on stdout is the test runner's summary.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use crate::mutants::{self, Which};
use crate::{book, clients, counts, package, process, tidy, tools, validators};

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
    package::check()?;
    process::step("book", book::make)?;
    process::step("counts", || counts::run(false))?;
    let tests = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast"];
    eprintln!("==> {}", tests.join(" "));
    let mut runner = process::command(&tests);
    runner.env(validators::WIRE, validators::empty_folder()?);
    let (status, summary) = run_tests(&mut runner)?;
    if !status.success() {
        writeln!(io::stdout(), "{summary}")?;
        return Ok(ExitCode::FAILURE);
    }
    let validated = process::step("validate", validators::run);
    let caught = process::step("planted bugs", || mutants::run(Which::Sample));
    for error in [&validated, &caught].into_iter().filter_map(|step| step.as_ref().err()) {
        eprintln!("error: {error:#}");
    }
    writeln!(io::stdout(), "{summary}")?;
    let passed = validated.is_ok() && caught.is_ok();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the test runner and gives the line with its summary. It reports on stderr; here on stdout,
/// for a caller that keeps the two apart.
fn run_tests(runner: &mut Command) -> Result<(ExitStatus, String)> {
    let mut child = runner.stderr(Stdio::piped()).spawn().context("starting the test runner")?;
    let report = child.stderr.take().context("the report of the test runner")?;
    let mut summary = String::new();
    for line in BufReader::new(report).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(io::stdout(), "{line}")?;
        if line.contains("Summary [") {
            summary = line;
        }
    }
    Ok((child.wait()?, summary))
}

fn cargo(args: &[&str]) -> Result<()> {
    let words = [&["cargo"], args].concat();
    process::step(&words.join(" "), || process::run(&words))
}
