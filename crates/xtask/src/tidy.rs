//! `cargo xtask tidy`: the rules of the house that no compiler knows.
//!
//! Each rule is a module with one function that adds to a list of what is wrong; all of them run
//! before the command fails, so that everything is told at once.

mod architecture;
mod dependencies;
pub(crate) mod documents;
mod error_pages;
mod layers;
mod mutants;
mod published;
mod shared_data;
mod sources;

use anyhow::{Result, bail};

use crate::{conformance, workspace};

/// What is wrong, one line each.
type Faults = Vec<String>;

/// Checks all rules.
pub(crate) fn run() -> Result<()> {
    let sources = workspace::sources()?;
    let mut faults = Faults::new();
    architecture::check(&sources, &mut faults)?;
    dependencies::check(&mut faults)?;
    documents::check(&mut faults)?;
    error_pages::check(&mut faults)?;
    layers::check(&mut faults)?;
    mutants::check(&mut faults)?;
    published::check(&mut faults)?;
    shared_data::check(&mut faults)?;
    sources::check(&sources, &mut faults);
    if let Err(stale) = conformance::check() {
        faults.push(format!("{stale:#}"));
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => bail!("tidy found {count} faults"),
    }
}
