//! Where the shared test data is, and how it is read.

use std::io::Read;
use std::path::PathBuf;

/// A file of the shared test data; `None`, with a notice, where the data is not there.
///
/// With `CI=true` missing data is a failure.
pub(super) fn read(path: &str) -> Option<Vec<u8>> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    match std::fs::read(root.join(path)) {
        Ok(bytes) => Some(bytes),
        Err(error) if std::env::var("CI").as_deref() == Ok("true") => panic!("{path}: {error}"),
        Err(_) => {
            println!("skipped: the shared test data has no {path}");
            None
        }
    }
}

/// The same for a compressed file.
pub(super) fn read_zstd(path: &str) -> Option<String> {
    let bytes = read(path)?;
    let mut text = String::new();
    let mut decoder = zstd::Decoder::new(bytes.as_slice()).expect("a zstd stream");
    decoder.read_to_string(&mut text).expect("UTF-8");
    Some(text)
}
