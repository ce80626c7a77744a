//! Gets a package from npm, checks it against its pinned hash and unpacks it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

use super::Source;
use crate::{process, workspace};

/// The unpacked package's folder; a download from before is used again after checking it.
pub(super) fn unpack(source: &Source) -> Result<PathBuf> {
    let folder = workspace::root().join("target/definitions").join(source.table);
    std::fs::create_dir_all(&folder)?;
    let archive = folder.join(format!("{}.tgz", source.package.replace('@', "-")));
    if !archive.exists() {
        eprintln!("getting {}", source.package);
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", source.package]).current_dir(&folder);
        let status = process::status(&mut npm).context("npm is needed to get HL7's packages")?;
        ensure!(status.success(), "npm ended with {status}");
    }
    check(&archive, source)?;
    let content = folder.join("package");
    if content.exists() {
        std::fs::remove_dir_all(&content)?;
    }
    let mut tar = Command::new("tar");
    let status = process::status(tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder))?;
    ensure!(status.success(), "tar ended with {status}");
    Ok(content)
}

fn check(archive: &Path, source: &Source) -> Result<()> {
    let bytes = std::fs::read(archive).with_context(|| format!("reading {}", archive.display()))?;
    let sha512 = STANDARD.encode(Sha512::digest(&bytes));
    ensure!(
        sha512 == source.sha512,
        "{} is not the pinned package: its sha512 is {sha512}; delete it and try again",
        archive.display(),
    );
    Ok(())
}
