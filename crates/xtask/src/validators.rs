//! `cargo xtask validate`: validators of others look at what the server said while it was tested
//! (docs/validators.md).

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{clients, process, workspace};

/// The variable that has the conformance tests keep what the server says (`wire.rs` there).
pub(crate) const WIRE: &str = "CRESSET_WIRE";

/// A folder for what the server says, emptied.
pub(crate) fn empty_folder() -> Result<PathBuf> {
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Has all be validated that is there; an alarm that is not listed is an error.
pub(crate) fn run() -> Result<()> {
    let shared = workspace::root().join("../shared/data");
    if !shared.exists() {
        if process::is_ci() {
            bail!("HL7's definitions in {} are missing", shared.display());
        }
        eprintln!("skipped: {} is missing", shared.display());
        return Ok(());
    }
    let script = workspace::root().join("crates/conformance/validators/validate.py");
    let words = [clients::python()?, script, folder(), shared];
    let [python, script, wire, shared] = words.map(|word| word.display().to_string());
    // Without leaving compiled files among the sources.
    process::run(&[&python, "-B", &script, &wire, &shared])
}

fn folder() -> PathBuf {
    workspace::root().join("target/wire")
}
