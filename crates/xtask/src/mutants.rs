//! `cargo xtask mutants`: plants each bug of `sim/mutants` into a copy of the sources, and sees that
//! the simulation catches it.
//!
//! Every test run plants two of them (`--sample`), other ones with each commit.
//!
//! A simulation that nobody has seen fail proves nothing. The copy stays below `target`, so that only
//! what a patch touches is built anew; files are written only where they differ.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// The patches, one a bug. Their first line says what is wrong with it.
const FOLDER: &str = "sim/mutants";
/// Seeds that a bug has to be seen in, and steps of each.
const MEMORY: [&str; 4] = ["--runs", "150", "--steps", "3000"];
/// The same for what is planted in the embedded store, which is slower.
const EMBEDDED: [&str; 6] = ["--runs", "400", "--steps", "2000", "--store", "embedded"];
/// What the simulation is made of, definitions in `docs` included.
const COPIED: [&str; 4] = ["crates", "docs", "Cargo.toml", "Cargo.lock"];
/// Bugs that `--sample` plants, drawn by the commit.
const SAMPLE: usize = 2;

/// Which of the bugs are planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    All,
    /// Those whose names hold one of these.
    Named(&'a [String]),
    /// A few, others with each commit.
    Sample,
}

/// Plants the bugs, one after the other; an error if one is not caught.
pub(crate) fn run(which: Which<'_>) -> Result<()> {
    let patches = patches()?;
    let scratch = Scratch::new()?;
    for patch in &patches {
        scratch.check(patch)?;
    }
    let chosen = choose(&patches, which);
    ensure!(!chosen.is_empty(), "no bug of that name in {FOLDER}");
    let program = scratch.build().context("building what no bug is planted in")?;
    // The tests of the simulation do as much for a sample.
    let runs = if which == Which::Sample { &[][..] } else { &[&MEMORY[..], &EMBEDDED] };
    for args in runs {
        let found = simulate(&program, args)?;
        ensure!(found.is_none(), "the simulation fails without a planted bug");
    }
    let mut missed = Vec::new();
    for patch in chosen {
        let start = Instant::now();
        scratch.apply(patch, &[])?;
        let in_the_store = fs::read_to_string(patch)?.contains("+++ b/crates/store-embedded/");
        let args = if in_the_store { &EMBEDDED[..] } else { &MEMORY };
        let caught = scratch.build().and_then(|program| simulate(&program, args));
        scratch.apply(patch, &["--reverse"])?;
        let name = name(patch);
        let caught = caught.with_context(|| format!("planting {name}"))?;
        let seconds = start.elapsed().as_secs_f64();
        match caught {
            Some(how) => eprintln!("    {name}: caught in {seconds:.0} s by {how}"),
            None => {
                eprintln!("    {name}: NOT caught in {seconds:.0} s");
                missed.push(name);
            }
        }
    }
    ensure!(missed.is_empty(), "the simulation does not see: {}", missed.join(", "));
    Ok(())
}

/// The patches in the order of their names.
pub(crate) fn patches() -> Result<Vec<PathBuf>> {
    let mut found = workspace::files(&workspace::root().join(FOLDER))?;
    found.retain(|path| path.extension().is_some_and(|ending| ending == "patch"));
    Ok(found)
}

/// Whether a patch still fits the sources as they are.
pub(crate) fn fits(patch: &Path) -> Result<bool> {
    let mut git = Command::new("git");
    git.args(["apply", "--check"]).arg(patch).current_dir(workspace::root());
    let output = git.output().context("starting git")?;
    Ok(output.status.success())
}

fn name(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn choose<'p>(patches: &'p [PathBuf], which: Which<'_>) -> Vec<&'p PathBuf> {
    match which {
        Which::All => patches.iter().collect(),
        Which::Named(parts) => {
            let is_meant = |name: String| parts.iter().any(|part| name.contains(part));
            patches.iter().filter(|patch| is_meant(name(patch))).collect()
        }
        Which::Sample => {
            let first = commit_number() % patches.len().max(1);
            patches.iter().cycle().skip(first).take(SAMPLE.min(patches.len())).collect()
        }
    }
}

/// A number that each commit has another one of.
fn commit_number() -> usize {
    let mut git = Command::new("git");
    let id = git.args(["rev-parse", "HEAD"]).current_dir(workspace::root()).output();
    let id = id.map(|output| output.stdout).unwrap_or_default();
    let digits = String::from_utf8_lossy(&id).chars().take(6).collect::<String>();
    usize::from_str_radix(&digits, 16).unwrap_or(0)
}

/// Runs the simulation; what saw the bug, if anything did.
fn simulate(program: &Path, args: &[&str]) -> Result<Option<String>> {
    let mut command = Command::new(program);
    command.args(["--seed", "1"]).args(args).stderr(Stdio::null());
    let output = command.output().context("starting the simulation")?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // The line before the seed says what was seen.
    let lines: Vec<&str> = text.lines().collect();
    let seen =
        lines.windows(2).find(|pair| pair[1].starts_with("seed ") && pair[1].contains(", commit "));
    let Some([seen, ..]) = seen else { bail!("the simulation ended with {}", output.status) };
    Ok(Some(seen.chars().take(120).collect()))
}

/// The copy of the sources.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes the copy as the sources are now.
    fn new() -> Result<Self> {
        let folder = target().join("mutants");
        fs::create_dir_all(&folder)?;
        let mut kept = BTreeSet::new();
        for name in COPIED {
            let from = workspace::root().join(name);
            let files = if from.is_dir() { workspace::files(&from)? } else { vec![from] };
            for file in files {
                let relative = PathBuf::from(workspace::relative(&file));
                copy(&file, &folder.join(&relative))?;
                kept.insert(folder.join(relative));
            }
        }
        for file in workspace::files(&folder.join("crates"))? {
            if !kept.contains(&file) {
                fs::remove_file(&file)?;
            }
        }
        Ok(Self { folder })
    }

    fn check(&self, patch: &Path) -> Result<()> {
        self.apply(patch, &["--check"])
    }

    fn apply(&self, patch: &Path, options: &[&str]) -> Result<()> {
        let mut git = Command::new("git");
        git.arg("apply").args(options).arg(patch).current_dir(&self.folder);
        // Below a working tree, git would take the paths from its top.
        git.env("GIT_CEILING_DIRECTORIES", target());
        let output = git.output().context("starting git")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} does not fit any more: {said}", name(patch));
        Ok(())
    }

    /// Builds the simulation, and says where it is.
    fn build(&self) -> Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--package", "cresset-sim", "--profile", "test"]);
        // A place of its own: cargo names what it builds by the path from the workspace's root, so the
        // copy's would pass for the original's.
        cargo.env("CARGO_TARGET_DIR", self.built()).current_dir(&self.folder);
        cargo.env("LIBSQLITE3_FLAGS", "-DHAVE_FDATASYNC=1");
        let status = cargo.status().context("starting cargo")?;
        ensure!(status.success(), "the simulation does not build");
        Ok(self.built().join("debug/cresset-sim"))
    }

    fn built(&self) -> PathBuf {
        self.folder.join("target")
    }
}

fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    workspace::root().join(named)
}

/// Copies a file where it differs, so that what did not change is not built again.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, bytes).with_context(|| format!("writing {}", to.display()))
}
