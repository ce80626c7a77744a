//! Finds `verifies!("RQ-…")` in tests.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use crate::workspace::Source;

const MARKER: &str = "verifies!(";

/// Names of tests, `crate::function`, by the ID they prove.
pub(super) fn proofs(sources: &[Source]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut proofs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // Not our own sources: they speak of markers without proving anything.
    for source in sources.iter().filter(|source| !source.path.starts_with("crates/xtask/")) {
        let krate = source.path.split('/').nth(1).unwrap_or_default();
        let found = markers(&source.text).with_context(|| source.path.clone())?;
        for (function, id) in found {
            proofs.entry(id).or_default().insert(format!("{krate}::{function}"));
        }
    }
    Ok(proofs)
}

/// Pairs of the function that holds a marker and an ID in it.
fn markers(text: &str) -> Result<Vec<(&str, String)>> {
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
        found.extend(ids.into_iter().map(|id| (function, id.to_owned())));
    }
    Ok(found)
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
