//! What is published on its own has the licence with it, and all of it the same version.

use anyhow::{Context as _, Result};
use toml::Table;

use super::Faults;
use crate::workspace;

/// Copies of the licence, in folders that are published without the rest.
const LICENSES: [&str; 2] = ["crates/client/LICENSE", "clients/typescript/LICENSE"];

/// Lines that hold the version, by file; `{}` stands for it.
const VERSIONS: [(&str, &str); 7] = [
    ("Cargo.toml", "cresset-client = { path = \"crates/client\", version = \"{}\" }"),
    ("clients/typescript/package.json", "\"version\": \"{}\","),
    ("deploy/compose/compose.yaml", "image: cresset:{}"),
    ("deploy/helm/cresset/Chart.yaml", "version: {}"),
    ("deploy/helm/cresset/Chart.yaml", "appVersion: \"{}\""),
    ("docs/deploy/docker.md", "docker build --tag cresset:{} ."),
    ("docs/deploy/debian.md", "apt-get install ./target/deploy/cresset_{}-1_amd64.deb"),
];

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let license = workspace::read("LICENSE")?;
    for path in LICENSES {
        if workspace::read(path)? != license {
            faults.push(format!("{path} is not the LICENSE of the whole"));
        }
    }
    let manifest: Table = toml::from_str(&workspace::read("Cargo.toml")?)?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    let version = version.context("Cargo.toml has no version")?;
    for (path, line) in VERSIONS {
        let line = line.replace("{}", version);
        if !workspace::read(path)?.lines().any(|one| one.trim() == line) {
            faults.push(format!("{path} has no line `{line}`"));
        }
    }
    Ok(())
}
