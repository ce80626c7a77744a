//! Environments of Python packages below `target`, in the versions that a list pins.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::{process, workspace};

/// The interpreter of an environment with the packages of a list; what is missing or of other versions is installed first.
///
/// Only wheels are taken, so that no script of a package is run while it is installed. A copy of the list beside what was
/// installed tells whether that is still what is wanted.
pub(crate) fn environment(name: &str, list: &str) -> Result<PathBuf> {
    let folder = workspace::root().join("target").join(name);
    let interpreter = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    let wanted = workspace::read(list)?;
    if fs::read_to_string(&installed).is_ok_and(|one| one == wanted) {
        return Ok(interpreter);
    }
    let folder_text = folder.display().to_string();
    process::run(&["python3", "-m", "venv", "--clear", &folder_text])?;
    let pip = folder.join("bin/pip").display().to_string();
    let options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    process::run(&[&[pip.as_str(), "install"], &options[..], &["-r", list]].concat())?;
    fs::write(installed, wanted)?;
    Ok(interpreter)
}
