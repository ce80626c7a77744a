//! `cargo xtask counts`: the instructions that matching takes, against those that were committed.
//!
//! Time tells little on a busy machine; instructions are the same from run to run. They are counted by
//! valgrind in the build of the tests, which is there anyway: it is less optimised than a release, but
//! what costs more here costs more there too.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{process, workspace};

/// What is counted: a load and a number of subscriptions, see `crates/engine/examples/matching`.
const PARTS: [&str; 10] = [
    "patient 1000",
    "patient 10000",
    "two-filters 1000",
    "range 1000",
    "mixed 1000",
    "topics 1000",
    "topics 3000",
    "subscribe 1000",
    "name-given",
    "observation",
];
/// The committed counts, one `part = instructions` a line.
const BASELINE: &str = "crates/engine/examples/matching/instructions.toml";
/// How much more than committed may be taken, in percent.
const MARGIN_PERCENT: u64 = 5;
/// Builds the program as the tests do.
const BUILD: [&str; 7] =
    ["cargo", "build", "--workspace", "--example", "matching", "--profile", "test"];
const RENEW: &str = "cargo xtask counts --renew";

/// Compares what is counted with what was committed, or commits it anew.
pub(crate) fn run(renew: bool) -> Result<()> {
    process::run(&BUILD)?;
    let counts =
        PARTS.iter().map(|part| Ok((*part, count(part)?))).collect::<Result<BTreeMap<_, _>>>()?;
    if renew {
        let lines = counts.iter().map(|(part, count)| format!("\"{part}\" = {count}\n"));
        let text = format!("# Written by `{RENEW}`.\n{}", lines.collect::<String>());
        return std::fs::write(workspace::root().join(BASELINE), text).context(BASELINE);
    }
    let baseline: BTreeMap<String, u64> = toml::from_str(&workspace::read(BASELINE)?)?;
    let faults = faults(&counts, &baseline);
    for fault in &faults {
        eprintln!("counts: {fault}");
    }
    ensure!(
        faults.is_empty(),
        "matching takes more instructions than {BASELINE} allows; where that is worth it, run \
         `{RENEW}` and say why in the commit"
    );
    Ok(())
}

fn faults(counts: &BTreeMap<&str, u64>, baseline: &BTreeMap<String, u64>) -> Vec<String> {
    let mut faults = Vec::new();
    for (part, count) in counts {
        match baseline.get(*part) {
            None => faults.push(format!("{part}: not in the baseline")),
            Some(before) if *count * 100 > before * (100 + MARGIN_PERCENT) => {
                faults.push(format!("{part}: {count} instructions, {before} before"));
            }
            Some(before) if *count * (100 + MARGIN_PERCENT) < before * 100 => {
                eprintln!(
                    "    {part}: only {count} instructions, {before} before; `{RENEW}` keeps it so"
                );
            }
            Some(_) => {}
        }
    }
    let known = |part: &&String| !counts.contains_key(part.as_str());
    faults.extend(baseline.keys().filter(known).map(|part| format!("{part}: no longer counted")));
    faults
}

/// The instructions between the start of what is counted and its end.
fn count(part: &str) -> Result<u64> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), std::path::PathBuf::from);
    let program = workspace::root().join(target).join("debug/examples/matching");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.args(["--collect-atstart=no", "--toggle-collect=*matching::counted*"]);
    let output =
        valgrind.arg(program).args(["count", part]).output().context("starting valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("counting {part} ended with {}:\n{said}", output.status);
    }
    let collected =
        said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    let count = collected.filter(|count| *count > 0);
    count.with_context(|| format!("valgrind counted nothing for {part}:\n{said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_margin_is_a_fault_and_less_is_none() {
        let check = |count: u64, before: u64| {
            let baseline = [("a".to_owned(), before)].into();
            faults(&[("a", count)].into(), &baseline).len()
        };
        assert_eq!([check(1_050, 1_000), check(1_051, 1_000), check(1, 1_000)], [0, 1, 0]);
    }

    #[test]
    fn what_is_on_one_side_only_is_a_fault() {
        let baseline = [("gone".to_owned(), 1)].into();
        assert_eq!(faults(&[("new", 1)].into(), &baseline).len(), 2);
    }
}
