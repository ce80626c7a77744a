//! The files of the trail, and what becomes of what there is no room for.

use std::fs;

use cresset_model::{Base, Interaction, Position, ResourceKey, ResourceType, VersionId};
use serde_json::Value;

use super::*;

fn config(directory: &std::path::Path) -> AuditConfig {
    AuditConfig {
        notifications: true,
        directory: directory.to_owned(),
        file_bytes_max: 200,
        files_max: NonZeroUsize::new(2).unwrap(),
    }
}

fn line(id: &str, second: i64) -> Vec<u8> {
    let at = Timestamp::from_second(second).unwrap();
    format!("{{\"recorded\":\"{at:.3}\",\"reference\":\"Subscription/{id}/_history/1\"}}\n")
        .into_bytes()
}

fn ids(found: &[Bytes]) -> Vec<String> {
    let read = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).unwrap();
    found.iter().map(|bytes| read(bytes)["recorded"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn full_files_are_put_aside_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::of(&config(folder.path()), FhirVersion::R5);
    for second in 0..20 {
        let now = Timestamp::from_second(1_000 + second).unwrap();
        trail.append(&line("a", second), now).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[2], "r5.ndjson");
    let found = trail.read(&AuditQuery::default()).unwrap();
    assert_eq!(ids(&found)[0], "1970-01-01T00:00:19.000Z", "the newest first");
    assert!(found.len() < 20 && found.len() > 3, "what is left of the files: {}", found.len());
    let since = Some(Timestamp::from_second(18).unwrap());
    let found = trail.read(&AuditQuery { since, ..AuditQuery::default() }).unwrap();
    assert_eq!(ids(&found).len(), 2);
    let found = trail.read(&AuditQuery { count: Some(1), ..AuditQuery::default() }).unwrap();
    assert_eq!(ids(&found), ["1970-01-01T00:00:19.000Z"]);
}

#[test]
fn entries_are_found_by_the_whole_id_of_a_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let config = AuditConfig { file_bytes_max: 1 << 20, ..config(folder.path()) };
    let mut trail = Trail::of(&config, FhirVersion::R4);
    for (second, id) in [(1, "a"), (2, "ab"), (3, "a")] {
        trail.append(&line(id, second), Timestamp::UNIX_EPOCH).unwrap();
    }
    let subscription = Some(ResourceId::new("a").unwrap());
    let found = trail.read(&AuditQuery { subscription, ..AuditQuery::default() }).unwrap();
    assert_eq!(ids(&found), ["1970-01-01T00:00:03.000Z", "1970-01-01T00:00:01.000Z"]);
    assert!(Trail::of(&config, FhirVersion::R4B).read(&AuditQuery::default()).unwrap().is_empty());
}

#[test]
fn a_line_that_a_crash_has_cut_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let config = AuditConfig { file_bytes_max: 1 << 20, ..config(folder.path()) };
    let mut torn = line("a", 1);
    torn.extend_from_slice(b"{\"recorded\":\"19");
    fs::write(folder.path().join("r4.ndjson"), &torn).unwrap();
    let mut trail = Trail::of(&config, FhirVersion::R4);
    assert_eq!(trail.read(&AuditQuery::default()).unwrap().len(), 1);
    trail.append(&line("a", 2), Timestamp::UNIX_EPOCH).unwrap();
    let found = trail.read(&AuditQuery::default()).unwrap();
    assert_eq!(ids(&found), ["1970-01-01T00:00:02.000Z", "1970-01-01T00:00:01.000Z"]);
}

fn change() -> Note {
    let change = Change {
        position: Position::FIRST,
        key: ResourceKey {
            base: Base::new(1),
            resource_type: ResourceType::new("Subscription").unwrap(),
            id: ResourceId::new("a").unwrap(),
        },
        version: VersionId::FIRST,
        interaction: Interaction::Create,
        at: Timestamp::UNIX_EPOCH,
        author: ClientName::new("ward").unwrap(),
        body: Bytes::from_static(b"{\"status\":\"requested\"}"),
        trace: None,
    };
    Note::Change(Arc::new(change))
}

#[test]
fn what_finds_no_room_is_counted_and_the_trail_is_owed_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let auditor = Auditor::new(config(folder.path()));
    let first = Timestamp::from_second(5).unwrap();
    for _ in 0..QUEUE_MAX {
        auditor.keep(change(), Timestamp::UNIX_EPOCH);
    }
    assert_eq!(auditor.take_loss(), None);
    auditor.keep(change(), first);
    auditor.keep(change(), Timestamp::from_second(6).unwrap());
    assert_eq!(auditor.figures(), AuditFigures { written: 0, lost: 2 });
    assert_eq!(auditor.take_loss(), Some(first));
    assert_eq!(auditor.take_loss(), None, "it was told");
}
