//! `cargo xtask conformance`: which requirements are proven, by which tests.
//!
//! `docs/conformance.md` is made of three things: the requirements in
//! `crates/conformance/requirements.toml`, the `verifies!("RQ-…")` in the tests, and the reasons in
//! `crates/conformance/exceptions.toml` for what is not proven yet. What is proven is proven for each
//! version that the requirement names; that a test asks the bases that it says it does, it checks
//! itself when it runs.

mod markers;
mod page;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use markers::Proofs;

use crate::workspace;

const PAGE: &str = "docs/conformance.md";

/// What a subscription server has to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    level: Level,
    versions: Vec<Version>,
    source: String,
    summary: String,
}

/// How binding a requirement is; see the head of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Level {
    #[serde(rename = "SHALL")]
    Shall,
    #[serde(rename = "SHALL NOT")]
    ShallNot,
    #[serde(rename = "INF")]
    Inferno,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
    #[serde(rename = "REC")]
    Recommended,
    #[serde(rename = "MAY")]
    May,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Version {
    R4,
    R4B,
    R5,
}

impl Version {
    const fn name(self) -> &'static str {
        match self {
            Self::R4 => "R4",
            Self::R4B => "R4B",
            Self::R5 => "R5",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::R4, Self::R4B, Self::R5].into_iter().find(|one| one.name() == name)
    }
}

/// Why some requirements are not proven.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    ids: Vec<String>,
    reason: String,
    /// The issue that will change it.
    issue: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirements {
    requirement: Vec<Requirement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

/// All that the page tells.
struct Conformance {
    requirements: Vec<Requirement>,
    proofs: Proofs,
    exceptions: Vec<Exception>,
}

/// Writes the page.
pub(crate) fn write() -> Result<()> {
    let page = page::render(&read()?);
    std::fs::write(workspace::root().join(PAGE), page).with_context(|| format!("writing {PAGE}"))
}

/// Fails when the page is not as it would be written.
pub(crate) fn check() -> Result<()> {
    let wanted = page::render(&read()?);
    let current = workspace::read(PAGE).unwrap_or_default();
    ensure!(current == wanted, "{PAGE} is stale: run `cargo xtask conformance`");
    Ok(())
}

fn read() -> Result<Conformance> {
    let requirements: Requirements =
        toml::from_str(&workspace::read("crates/conformance/requirements.toml")?)
            .context("crates/conformance/requirements.toml")?;
    let exceptions: Exceptions =
        toml::from_str(&workspace::read("crates/conformance/exceptions.toml")?)
            .context("crates/conformance/exceptions.toml")?;
    let conformance = Conformance {
        requirements: requirements.requirement,
        proofs: markers::proofs(&workspace::sources()?)?,
        exceptions: exceptions.exception,
    };
    conformance.validate()?;
    Ok(conformance)
}

impl Conformance {
    /// No ID is unknown or there twice, and no reason is given for what is proven.
    fn validate(&self) -> Result<()> {
        let mut known = BTreeSet::new();
        for requirement in &self.requirements {
            ensure!(known.insert(&requirement.id), "{} is there twice", requirement.id);
            ensure!(!requirement.versions.is_empty(), "{} is for no version", requirement.id);
            self.check_versions(requirement)?;
        }
        for (id, tests) in &self.proofs {
            if !known.contains(id) {
                let tests: Vec<&str> = tests.keys().map(String::as_str).collect();
                bail!("{} proves the unknown requirement {id}", tests.join(", "));
            }
        }
        let mut excepted = BTreeSet::new();
        for id in self.exceptions.iter().flat_map(|exception| &exception.ids) {
            ensure!(known.contains(id), "exceptions.toml names the unknown requirement {id}");
            ensure!(excepted.insert(id), "exceptions.toml names {id} twice");
            ensure!(
                !self.proofs.contains_key(id),
                "exceptions.toml excuses {id}, which a test proves: take it out there"
            );
        }
        Ok(())
    }

    /// What is proven is proven for each version that the requirement names.
    fn check_versions(&self, requirement: &Requirement) -> Result<()> {
        let Some(tests) = self.proofs.get(&requirement.id) else { return Ok(()) };
        for version in &requirement.versions {
            let is_proven = |of: &markers::Versions| of.is_empty() || of.contains(version);
            ensure!(
                tests.values().any(is_proven),
                "no test proves {} for {}",
                requirement.id,
                version.name()
            );
        }
        Ok(())
    }

    fn exception(&self, id: &str) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| exception.ids.iter().any(|one| one == id))
    }
}
