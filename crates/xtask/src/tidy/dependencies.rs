//! Each direct dependency is chosen in one place and has its reason in `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use toml::Table;

use super::Faults;
use crate::workspace;

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let workspace: Table = toml::from_str(&workspace::read("Cargo.toml")?)?;
    let dependencies = workspace["workspace"]["dependencies"].as_table();
    let dependencies = dependencies.context("Cargo.toml has no [workspace.dependencies]")?;
    let external: BTreeSet<&str> = dependencies
        .iter()
        .filter(|(_, spec)| spec.get("path").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let deny = workspace::read("deny.toml")?;
    let reasons = reasons(&deny);
    for name in external.iter().filter(|name| !reasons.contains_key(**name)) {
        faults.push(format!("deny.toml has no line `# {name}: reason` for the dependency {name}"));
    }
    for name in reasons.keys().filter(|name| !external.contains(**name)) {
        faults.push(format!("deny.toml has a reason for {name}, which is no direct dependency"));
    }
    check_members(faults)
}

/// The lines `# name: reason` between the two markers.
fn reasons(deny: &str) -> BTreeMap<&str, &str> {
    deny.lines()
        .skip_while(|line| *line != "# [reasons]")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("# ")?.split_once(": "))
        .filter(|(_, reason)| !reason.trim().is_empty())
        .collect()
}

/// Members take what the workspace chose.
fn check_members(faults: &mut Faults) -> Result<()> {
    for name in workspace::crates()? {
        let path = format!("crates/{name}/Cargo.toml");
        let manifest: Table = toml::from_str(&workspace::read(&path)?)?;
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (dependency, spec) in
                manifest.get(section).and_then(|s| s.as_table()).into_iter().flatten()
            {
                let inherited = spec.get("workspace").and_then(toml::Value::as_bool);
                if inherited != Some(true) && spec.get("path").is_none() {
                    faults.push(format!("{path}: {dependency} is not taken from the workspace"));
                }
            }
        }
    }
    Ok(())
}
