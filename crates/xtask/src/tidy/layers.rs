//! Which crate may use which: the picture in ARCHITECTURE.md as a table.
//!
//! Only what the product links counts; tests may use anything.

use anyhow::Result;
use toml::Table;

use super::Faults;
use crate::workspace;

/// A crate and the crates of ours it may use; `None` is all.
type Rule = (&'static str, Option<&'static [&'static str]>);

const RULES: &[Rule] = &[
    (
        "api",
        // No store and no channel: it calls `node`.
        Some(&["definitions", "fhir", "model", "node"]),
    ),
    ("bench", None),
    ("channel", Some(&["kafka", "model"])),
    // Published on its own.
    ("client", Some(&[])),
    ("conformance", None),
    (
        "console",
        // No store and no channel: it calls `node`, as `api` does.
        Some(&["definitions", "fhir", "model", "node"]),
    ),
    ("cresset", None),
    ("definitions", Some(&[])),
    ("engine", Some(&["definitions", "fhirpath", "model", "search"])),
    ("fhir", Some(&["definitions", "model"])),
    ("fhirpath", Some(&["definitions"])),
    ("kafka", Some(&[])),
    ("model", Some(&[])),
    (
        "node",
        Some(&["channel", "definitions", "engine", "fhir", "fhirpath", "model", "search", "store"]),
    ),
    ("search", Some(&["definitions", "fhirpath", "model"])),
    ("sim", None),
    ("store", Some(&["model"])),
    ("store-embedded", Some(&["model", "store"])),
    ("xtask", None),
];

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    for name in workspace::crates()? {
        let Some((_, allowed)) = RULES.iter().find(|(of, _)| *of == name) else {
            faults.push(format!("crates/{name} has no rule in crates/xtask/src/tidy/layers.rs"));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for used in used(&name)? {
            if !allowed.contains(&used.as_str()) {
                faults.push(format!("crates/{name} may not use {used}"));
            }
        }
    }
    Ok(())
}

/// The crates of ours that a crate's own code uses.
fn used(name: &str) -> Result<Vec<String>> {
    let manifest: Table = toml::from_str(&workspace::read(&format!("crates/{name}/Cargo.toml"))?)?;
    let sections = ["dependencies", "build-dependencies"];
    let names = sections
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|section| section.keys())
        .filter_map(|dependency| dependency.strip_prefix("cresset-"));
    Ok(names.map(str::to_owned).collect())
}
