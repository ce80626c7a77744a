//! HL7's files for tests, which lie outside the repository and are never committed to it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::json;

/// The JSON files in a folder of `shared/data` whose names start so, sorted. None, with a notice,
/// where the data is missing; a failure where `CI=true`.
pub(crate) fn shared_files(folder: &str, prefix: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if !root.is_dir() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "shared/data is missing");
        println!("skipped: shared/data is missing");
        return Vec::new();
    }
    let entries = fs::read_dir(root.join(folder)).expect("the folder exists");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(prefix) && name.ends_with(".json")
    };
    let files = paths.into_iter().filter(named);
    files.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// The same, parsed.
pub(crate) fn shared_values(folder: &str, prefix: &str) -> Vec<(PathBuf, Value)> {
    let files = shared_files(folder, prefix).into_iter();
    files.map(|(path, bytes)| (path, json::parse(&bytes).expect("HL7's JSON parses"))).collect()
}

/// Codes and places of issues, to compare with.
pub(crate) fn told(issues: &cresset_model::Issues) -> Vec<String> {
    let told = |issue: &cresset_model::Issue| {
        format!("{:?} {}", issue.code, issue.expression.as_deref().unwrap_or("-"))
    };
    issues.0.iter().map(told).collect()
}
