//! HL7's files for tests, which lie outside the repository and are never committed to it.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::json;

/// Whether data that is missing is a failure.
#[expect(clippy::disallowed_methods, reason = "tests ask where they run")]
fn is_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// The JSON files in a folder of `shared/data` whose names start so, sorted. None, with a notice,
/// where the data is missing; a failure where `CI=true`.
pub(crate) fn shared_files(folder: &str, prefix: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if !root.is_dir() {
        assert!(!is_ci(), "shared/data is missing");
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

/// Any JSON value, with the names a Subscription has more often than others.
pub(crate) fn arbitrary_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        "[ -~]{0,12}".prop_map(Value::String),
        Just(json!(crate::urls::FILTER_CRITERIA)),
    ];
    let names = [
        "_criteria",
        "_payload",
        "_type",
        "canFilterBy",
        "channel",
        "channelType",
        "code",
        "content",
        "contentType",
        "criteria",
        "end",
        "endpoint",
        "entry",
        "eventTrigger",
        "extension",
        "filterBy",
        "header",
        "name",
        "notificationShape",
        "parameter",
        "payload",
        "queryCriteria",
        "reason",
        "request",
        "resource",
        "resourceTrigger",
        "status",
        "topic",
        "type",
        "url",
        "value",
        "valueCode",
        "valueString",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The lines of a compressed file of `shared/data`. None, with a notice, where the data is missing.
pub(crate) fn shared_lines(path: &str) -> Vec<Vec<u8>> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if !root.is_dir() {
        assert!(!is_ci(), "shared/data is missing");
        println!("skipped: shared/data is missing");
        return Vec::new();
    }
    let bytes = zstd::decode_all(fs::File::open(root.join(path)).unwrap()).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(<[u8]>::to_vec).collect()
}
