//! Topics that others published: each is taken, or refused for a reason that its author would agree
//! with. The verdicts stand in `tests-data/published-topics.txt`, which `UPDATE_GOLDEN=1` rewrites.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cresset_model::{Issue, Severity};

use crate::check_topic;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests-data/published-topics.txt");

/// Where topics are among the shared data.
const FOLDERS: [&str; 8] = [
    "examples/R4B/SubscriptionTopic",
    "examples/R5/SubscriptionTopic",
    "ig-1.2.0-ballot",
    "topics/davinci-cdex",
    "topics/davinci-pas",
    "topics/fhir-candle",
    "topics/r4b-core",
    "topics/r5-core",
];

#[test]
fn every_published_topic_is_taken_or_refused_for_a_good_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !root.is_dir() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "shared/data is missing");
        println!("skipped: shared/data is missing");
        return;
    }
    for folder in fs::read_dir(root.join("topics")).unwrap() {
        let name = format!("topics/{}", folder.unwrap().file_name().to_string_lossy());
        assert!(FOLDERS.contains(&name.as_str()), "{name} has no verdicts");
    }
    let mut verdicts = String::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|one| one == "json"));
        paths.sort();
        for path in paths {
            let check = check_topic(&fs::read(&path).unwrap(), &[]);
            let Some(form) = check.form else { continue };
            let refused = check.issues.iter().any(|(_, one)| one.severity == Severity::Error);
            let name = path.file_name().unwrap().to_string_lossy();
            let verdict = if refused { "refused" } else { "taken" };
            writeln!(verdicts, "{folder}/{name} ({}): {verdict}", form.name()).unwrap();
            for (versions, issue) in &check.issues {
                writeln!(verdicts, "    {} [{versions}]", told(issue)).unwrap();
            }
        }
    }
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        fs::write(GOLDEN, &verdicts).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(verdicts == golden, "verdicts changed; see with UPDATE_GOLDEN=1:\n{verdicts}");
}

fn told(issue: &Issue) -> String {
    let severity = match issue.severity {
        Severity::Error => "error",
        Severity::Information => "information",
        Severity::Warning => "warning",
    };
    let at = issue.expression.as_deref().unwrap_or("-");
    format!("{severity} {} {at}", issue.code.as_str())
}
