//! The shared test data, where it is there.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use cresset_conformance::Version;

/// Synthea's file is written with a window of 2^27 bytes.
const WINDOW_LOG_MAX: u32 = 27;

/// Lines of a compressed file; none, with a notice, where the data is missing.
///
/// # Panics
/// If it is missing in CI.
fn lines(path: &str) -> Option<impl Iterator<Item = String>> {
    let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let path = data.join(path);
    let Ok(file) = File::open(&path) else {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "{} is missing", path.display());
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let mut decoder = zstd::Decoder::new(file).expect("a decoder");
    decoder.window_log_max(WINDOW_LOG_MAX).expect("a window that is allowed");
    Some(BufReader::new(decoder).lines().map(|line| line.expect("a line")))
}

/// HL7's examples of a version.
pub(super) fn examples(version: Version) -> Option<Vec<String>> {
    let name = match version {
        Version::R4 => "R4",
        Version::R4B => "R4B",
        Version::R5 => "R5",
    };
    lines(&format!("examples/all-{name}.ndjson.zst")).map(Iterator::collect)
}

/// The first transactions of Synthea.
pub(super) fn transactions(count: usize) -> Option<impl Iterator<Item = String>> {
    lines("synthea/synthea-r4-transactions.ndjson.zst").map(|lines| lines.take(count))
}
