//! Finds `verifies!("RQ-…")` in tests.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use super::Version;
use crate::workspace::Source;

const MARKER: &str = "verifies!(";

/// The versions that a test proves something for; all if empty.
pub(super) type Versions = BTreeSet<Version>;

/// Names of tests, `crate::function`, by the ID they prove, with the versions they prove it for.
pub(super) type Proofs = BTreeMap<String, BTreeMap<String, Versions>>;

/// All that tests say they prove.
pub(super) fn proofs(sources: &[Source]) -> Result<Proofs> {
    let mut proofs = Proofs::new();
    // Not our own sources: they speak of markers without proving anything.
    for source in sources.iter().filter(|source| !source.path.starts_with("crates/xtask/")) {
        let krate = source.path.split('/').nth(1).unwrap_or_default();
        let found = markers(&source.text).with_context(|| source.path.clone())?;
        for Marker { function, versions, id } in found {
            let test = format!("{krate}::{function}");
            proofs.entry(id).or_default().insert(test, versions);
        }
    }
    Ok(proofs)
}

/// One ID in a marker.
struct Marker<'t> {
    /// The function that holds it.
    function: &'t str,
    versions: Versions,
    id: String,
}

/// All IDs of all markers.
fn markers(text: &str) -> Result<Vec<Marker<'_>>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(MARKER) {
        if is_comment(text, at) {
            continue;
        }
        let function = function_before(&text[..at]).context("a verifies! outside of a function")?;
        let rest = &text[at + MARKER.len()..];
        let arguments = rest.split(')').next().unwrap_or_default();
        let ids: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        ensure!(!ids.is_empty(), "{function}: verifies! names no requirement");
        let versions = versions(arguments).with_context(|| function.to_owned())?;
        found.extend(ids.into_iter().map(|id| {
            let versions = versions.clone();
            Marker { function, versions, id: id.to_owned() }
        }));
    }
    Ok(found)
}

/// The versions that stand before the IDs, if any do.
fn versions(arguments: &str) -> Result<Versions> {
    let before_ids = arguments.split('"').next().unwrap_or_default();
    let Some((names, _)) = before_ids.split_once(':') else { return Ok(Versions::new()) };
    names.split(',').map(|name| Version::named(name.trim()).context("no such version")).collect()
}

fn is_comment(text: &str, at: usize) -> bool {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with("//")
}

/// The name of the last function that begins before here.
fn function_before(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        let (before, rest) = line.split_once("fn ")?;
        let is_head = before.is_empty() || before.ends_with(' ');
        let name = rest.split(['(', '<']).next()?;
        (is_head && !before.contains("//") && !name.is_empty()).then_some(name)
    })
}
