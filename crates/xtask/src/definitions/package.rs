//! Gets a package from npm, checks it against its pinned hash and unpacks it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

use super::Source;
use crate::workspace;

/// The unpacked package's folder; a download from before is used again after checking it.
pub(super) fn unpack(source: &Source) -> Result<PathBuf> {
    let folder = workspace::root().join("target/definitions").join(source.table);
    std::fs::create_dir_all(&folder)?;
    let archive = folder.join(format!("{}.tgz", source.package.replace('@', "-")));
    if !archive.exists() {
        eprintln!("getting {}", source.package);
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", source.package]).current_dir(&folder);
        run(&mut npm).context("npm is needed to get HL7's packages")?;
    }
    check(&archive, source)?;
    let content = folder.join("package");
    if content.exists() {
        std::fs::remove_dir_all(&content)?;
    }
    let mut tar = Command::new("tar");
    run(tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder))?;
    Ok(content)
}

fn check(archive: &PathBuf, source: &Source) -> Result<()> {
    let bytes = std::fs::read(archive).with_context(|| format!("reading {}", archive.display()))?;
    let sha512 = STANDARD.encode(Sha512::digest(&bytes));
    ensure!(
        sha512 == source.sha512,
        "{} is not the pinned package: its sha512 is {sha512}; delete it and try again",
        archive.display(),
    );
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}
