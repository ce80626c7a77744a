//! The files of the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // Two folders up from this crate; canonical, so that messages are readable.
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    root.canonicalize().unwrap_or(root)
}

/// A file's text, named by its path from the root.
pub(crate) fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("reading {path}"))
}

/// The crates' folder names, sorted.
pub(crate) fn crates() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("crates"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A Rust source, with its path from the root.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether it holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }
}

/// All Rust sources of the crates, sorted by path.
pub(crate) fn sources() -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in files(&root().join("crates"))? {
        if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            sources.push(Source { path: relative(&path), text });
        }
    }
    Ok(sources)
}

/// All files below a folder, sorted; build results, hidden folders and data folders left out.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                if !is_skipped(&entry.path()) {
                    folders.push(entry.path());
                }
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What `.gitignore` leaves out, and hidden folders.
fn is_skipped(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || (["target", "data"].contains(&&*name) && is_root(folder.parent()))
}

fn is_root(folder: Option<&Path>) -> bool {
    folder.is_some_and(|folder| folder == root())
}

/// A path from the root, as messages show it.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}
