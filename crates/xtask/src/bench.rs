//! `cargo xtask bench`: builds the server and the benchmarks for speed and runs one.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{process, workspace};

/// Runs a benchmark; the exit code is its own.
pub(crate) fn run(name: &str, args: &[String]) -> Result<ExitCode> {
    process::step("cargo build --release", || {
        // The programs and, as examples, what measures the engine alone and what fills stores.
        let packages = ["cresset", "cresset-bench", "cresset-engine", "cresset-store-embedded"];
        let packages: Vec<_> = packages.iter().flat_map(|package| ["-p", *package]).collect();
        let build = ["cargo", "build", "--release", "--bins"];
        let examples = ["--example", "matching", "--example", "fill"];
        process::run(&[&build[..], &examples, &packages].concat())
    })?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let binary = workspace::root().join(target).join("release/cresset-bench");
    let mut bench = Command::new(binary);
    let status = process::status(bench.arg(name).args(args).current_dir(workspace::root()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
