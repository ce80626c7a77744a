//! The topics that come with Cresset: whole, without surprises, and all of them declared.

use std::collections::BTreeSet;
use std::path::Path;

use cresset_model::{IssueCode, Severity};
use cresset_node::check_topic;

use super::*;

fn all() -> Vec<TopicFile> {
    let mut files = bundled();
    files.extend((0..PACKS.len()).flat_map(pack));
    files
}

#[test]
fn every_topic_compiles_in_each_version_it_is_for() {
    for file in all() {
        let versions = file.version.map_or(FhirVersion::ALL.to_vec(), |one| vec![one]);
        let check = check_topic(&file.bytes, &versions);
        let refused: Vec<_> =
            check.issues.iter().filter(|(_, issue)| issue.severity == Severity::Error).collect();
        assert!(refused.is_empty(), "{}: {refused:?}", file.name);
        // What surprises in it would surprise its users.
        let surprising = check.issues.iter().filter(|(_, issue)| {
            issue.code == IssueCode::SurprisingTopic
                && !issue.expression.as_deref().is_some_and(|at| at.contains("eventTrigger"))
        });
        assert_eq!(surprising.count(), 0, "{}: {:?}", file.name, check.issues);
    }
}

#[test]
fn every_file_below_topics_is_declared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topics");
    let declared: BTreeSet<String> =
        all().iter().map(|file| file.name.trim_start_matches("bundled/").to_owned()).collect();
    let mut found = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(declared, found);
}
