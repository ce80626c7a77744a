//! The shared test data is not the project's to publish: no file of it may be in the tree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use super::Faults;
use crate::workspace;

const ENDINGS: [&str; 6] = ["json", "ndjson", "txt", "xml", "zst", "zstd"];

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let shared = workspace::root().join("../shared/data");
    if !shared.exists() {
        return Ok(());
    }
    let mut ours: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for path in workspace::files(&workspace::root())? {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        if ENDINGS.contains(&&*ending) {
            ours.entry(std::fs::metadata(&path)?.len()).or_default().push(path);
        }
    }
    // Only files of equal size can be equal, so hardly any of the shared ones is read.
    for theirs in workspace::files(&shared)? {
        let size = std::fs::metadata(&theirs)?.len();
        for path in ours.get(&size).into_iter().flatten() {
            if size > 0 && hash(path)? == hash(&theirs)? {
                let path = workspace::relative(path);
                faults.push(format!("{path} is a copy of shared data, {}", theirs.display()));
            }
        }
    }
    Ok(())
}

fn hash(path: &PathBuf) -> Result<Vec<u8>> {
    Ok(Sha256::digest(std::fs::read(path)?).to_vec())
}
