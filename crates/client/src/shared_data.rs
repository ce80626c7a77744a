//! What the guide and FHIR publish as examples, for tests.

use std::path::PathBuf;

use serde_json::Value;

/// Files of `shared/data`, which is not part of the repository; without it a test is skipped with a notice.
pub(crate) fn shared(path: &str) -> Option<Value> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if !root.exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "shared/data is missing");
        println!("skipped: shared/data is missing");
        return None;
    }
    let text = std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Some(serde_json::from_slice(&text).expect("JSON"))
}
