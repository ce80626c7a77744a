//! Links in documents lead somewhere, and the book (`docs/SUMMARY.md`) has every page of `docs`, once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::Faults;
use crate::workspace;

const SUMMARY: &str = "docs/SUMMARY.md";

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let mut documents = BTreeMap::new();
    for path in workspace::files(&workspace::root())? {
        let path = workspace::relative(&path);
        if path.ends_with(".md") && !path.split('/').any(|part| part == "node_modules") {
            let text = workspace::read(&path)?;
            documents.insert(path, text);
        }
    }
    for (path, text) in &documents {
        for link in links(text).filter(|link| !link.contains("://") && !link.is_empty()) {
            if !leads_somewhere(path, link, &documents) {
                faults.push(format!("{path}: the link {link} leads nowhere"));
            }
        }
    }
    let mut listed = BTreeSet::new();
    let summary = documents.get(SUMMARY).map(String::as_str).unwrap_or_default();
    for link in links(summary).filter(|link| !link.is_empty()) {
        if !listed.insert(format!("docs/{link}")) {
            faults.push(format!("{SUMMARY} lists {link} twice"));
        }
    }
    let pages = documents.keys().filter(|path| path.starts_with("docs/") && *path != SUMMARY);
    for page in pages.filter(|page| !listed.contains(*page)) {
        faults.push(format!("{SUMMARY} does not list {page}"));
    }
    Ok(())
}

/// The targets of the links in a text, those in code left out.
pub(crate) fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| {
        // What stands between backticks is code.
        line.split('`').step_by(2).flat_map(|part| {
            part.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
        })
    })
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Whether a link is to a file or folder that is there, and to a heading of it if it names one.
fn leads_somewhere(from: &str, link: &str, documents: &BTreeMap<String, String>) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { from.to_owned() } else { resolved(from, path) };
    let exists = workspace::root().join(&target).exists();
    exists
        && (anchor.is_empty()
            || documents.get(&target).is_none_or(|text| anchors(text).contains(anchor)))
}

/// A path that is relative to a document, from the root.
pub(crate) fn resolved(from: &str, path: &str) -> String {
    let mut whole = PathBuf::new();
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    for component in folder.join(path).components() {
        if component == Component::ParentDir {
            whole.pop();
        } else {
            whole.push(component);
        }
    }
    whole.to_string_lossy().into_owned()
}

/// The anchors of a text's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let letters = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    letters.flat_map(char::to_lowercase).collect()
}
