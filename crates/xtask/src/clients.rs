//! Installs the clients and validators of others that the conformance tests run, in the versions
//! that `crates/conformance/clients` pins, into `target/clients`.
//!
//! No script of a package is run while it is installed. A copy of the list of versions beside what was
//! installed tells whether that is still what is wanted.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{process, python, workspace};

/// Where the lists of versions are.
const LISTS: &str = "crates/conformance/clients";

/// Installs what is missing or of other versions.
pub(crate) fn install() -> Result<()> {
    npm().context("the npm packages of crates/conformance/clients/npm")?;
    python().map(drop)
}

/// The Python that has those packages, which are installed first where they are missing.
pub(crate) fn python() -> Result<PathBuf> {
    python::environment("clients/python", &format!("{LISTS}/python/requirements.txt"))
        .context("the Python packages of crates/conformance/clients/python")
}

fn npm() -> Result<()> {
    let folder = workspace::root().join("target/clients/npm");
    let list = workspace::read(&format!("{LISTS}/npm/package-lock.json"))?;
    let installed = folder.join("installed.json");
    if fs::read_to_string(&installed).is_ok_and(|one| one == list) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    for name in ["package.json", "package-lock.json"] {
        fs::write(folder.join(name), workspace::read(&format!("{LISTS}/npm/{name}"))?)?;
    }
    let folder_text = folder.display().to_string();
    // Without what is optional: other platforms' parts, many times the size of the rest.
    let npm =
        ["npm", "ci", "--prefix", &folder_text, "--ignore-scripts", "--no-audit", "--no-fund"];
    process::run(&[&npm[..], &["--omit=optional", "--omit=peer"]].concat())?;
    Ok(fs::write(installed, list)?)
}
