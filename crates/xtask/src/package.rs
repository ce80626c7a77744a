//! `cargo xtask package`: what is handed out, in `target/deploy`: the Debian package with manual page and completions, and
//! the bill of materials. `--check` makes the package of the tests' binary instead, tries it, and tries `cargo install`.
//!
//! What is in `deploy` is checked first: see `deploy/checks/check.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::{process, python, tools, workspace};

/// Completions: the shell, and the file that it looks for.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "cresset.bash"), ("fish", "cresset.fish"), ("zsh", "_cresset")];
/// What writes the bill of materials.
const SBOM_VERSION: &str = "0.10.0";
/// The linters and schemas of `deploy/checks`.
const CHECKS: &str = "deploy/checks/requirements.txt";

/// Which binary is packed: the name of its profile, and of the folder that cargo puts it into.
struct Build {
    profile: &'static str,
    folder: &'static str,
}

/// The one that is handed out.
const DIST: Build = Build { profile: "dist", folder: "dist" };
/// The one that the tests use; cargo-deb knows it by the profile that it lies with.
const TEST: Build = Build { profile: "dev", folder: "debug" };

/// Makes all that is handed out.
pub(crate) fn run() -> Result<()> {
    tools::cargo_deb()?;
    let build = ["cargo", "build", "--locked", "--package", "cresset", "--profile", DIST.profile];
    process::step(&build.join(" "), || process::run(&build))?;
    check_build(&DIST)?;
    eprintln!("    all of it is in {}", folder().display());
    Ok(())
}

/// Checks all that is packed, with the binary of the tests.
pub(crate) fn check() -> Result<()> {
    process::step("cargo install", install)?;
    check_build(&TEST)
}

/// Installs the server as the README says, but with the profile of the tests, of which all is built.
fn install() -> Result<()> {
    let root = workspace::root().join("target/installed");
    let binary = root.join("bin/cresset").display().to_string();
    let words = ["cargo", "install", "--locked", "--path", "crates/cresset"];
    let options = ["--quiet", "--force", "--profile", "test", "--root"];
    process::run(&[&words[..], &options[..], &[&root.display().to_string()]].concat())?;
    let told = String::from_utf8(process::output(&[&binary, "--version"])?)?;
    if told.trim_end() != concat!("cresset ", env!("CARGO_PKG_VERSION")) {
        bail!("what was installed says that it is {told}");
    }
    Ok(())
}

fn check_build(build: &Build) -> Result<()> {
    let binary = workspace::root().join("target").join(build.folder).join("cresset");
    process::step("deploy", || check_deploy(&binary))?;
    let package = process::step("Debian package", || debian(build, &binary))?;
    process::step("installing and using it", || try_out(&package))?;
    process::step("bill of materials", sbom)
}

fn folder() -> PathBuf {
    workspace::root().join("target/deploy")
}

fn check_deploy(binary: &Path) -> Result<()> {
    let python = python::environment("checks", CHECKS)?;
    let (python, binary) = (python.display().to_string(), binary.display().to_string());
    process::run(&[&python, "deploy/checks/check.py", &binary])?;
    // Of ten; without any hardening it is above nine.
    let security = ["systemd-analyze", "security", "--offline=true", "--threshold=15"];
    let unit = "deploy/systemd/cresset.service";
    let mut command = process::command(&[&security[..], &[unit]].concat());
    if !process::status(command.stdout(Stdio::null()))?.success() {
        bail!("{unit} allows more than it should: {}", security.join(" "));
    }
    Ok(())
}

/// Makes the package, and the files in it that the binary writes itself.
fn debian(build: &Build, binary: &Path) -> Result<PathBuf> {
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let binary = binary.display().to_string();
    fs::write(folder.join("cresset.1"), process::output(&[&binary, "generate", "man"])?)?;
    for (shell, file) in COMPLETIONS {
        let text = process::output(&[&binary, "generate", "completions", shell])?;
        fs::write(folder.join(file), text)?;
    }
    let output = folder.display().to_string();
    let words = ["cargo", "deb", "--quiet", "--package", "cresset", "--no-build", "--fast"];
    process::run(&[&words[..], &["--profile", build.profile, "--output", &output]].concat())?;
    let mut files = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = files.find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    package.context("cargo deb wrote no package")
}

/// Installs and uses it in a copy of this machine, where that is permitted.
fn try_out(package: &Path) -> Result<()> {
    if !process::succeeds(&["unshare", "--mount", "--pid", "--cgroup", "--fork", "true"]) {
        if process::is_ci() {
            bail!("the package cannot be tried: it takes root, and unshare(1)");
        }
        eprintln!("    skipped: it takes root, and unshare(1)");
        return Ok(());
    }
    let package = package.display().to_string();
    let script = workspace::root().join("deploy/debian/try.sh").display().to_string();
    let mut command = process::command(&["sh", &script, &package]);
    let output = command.output().context("starting sh")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        bail!("{script}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What the binary is made of, as CycloneDX.
fn sbom() -> Result<()> {
    tools::cargo_program("cargo-sbom", SBOM_VERSION, &["cargo", "sbom", "--version"])?;
    let words = ["cargo", "sbom", "--cargo-package", "cresset"];
    let format = ["--output-format", "cyclone_dx_json_1_6"];
    let text = process::output(&[&words[..], &format[..]].concat())?;
    Ok(fs::write(folder().join("cresset.cdx.json"), text)?)
}
