use std::fs;
use std::os::unix::fs::PermissionsExt;

use cresset_store::contract::{Builder, Fixture, key, number};
use cresset_store::{ChangeLog, Error, Group, Record, Store};
use tempfile::TempDir;

use crate::EmbeddedStore;
use crate::log::Limits;

/// A store in a directory of its own.
struct Embedded {
    directory: TempDir,
    limits: Limits,
    store: Option<EmbeddedStore>,
}

impl Embedded {
    fn new(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut fixture = Self { directory, limits, store: None };
        fixture.reopen();
        fixture
    }
}

impl Fixture for Embedded {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        drop(self.store.take());
        let store = EmbeddedStore::open_with(self.directory.path(), self.limits).unwrap();
        self.store = Some(store);
    }
}

mod as_it_is {
    use super::*;
    cresset_store::contract_tests!(Embedded::new(Limits::default()));
}

/// Everything is folded, checkpointed and written all the time, while more is appended.
mod with_a_tiny_tail {
    use super::*;
    cresset_store::contract_tests!(Embedded::new(Limits {
        tail_weight_max: 5,
        checkpoint_pages: 20,
        pending_documents_max: 3
    }));
}

#[test]
fn a_directory_is_opened_by_one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/data");
    let store = EmbeddedStore::open(&path).unwrap();
    match EmbeddedStore::open(&path) {
        Err(Error::InUse { what }) => assert!(what.contains("new/data"), "{what}"),
        other => panic!("{other:?}"),
    }
    drop(store);
    drop(EmbeddedStore::open(&path).unwrap());
}

#[test]
fn what_is_on_disk_is_for_the_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = EmbeddedStore::open(&path).unwrap();
    store.append(&Builder::new().put("Patient/1").into()).unwrap();
    for file in ["", "log.db", "log.db-wal", "index.db", "lock"] {
        let mode = fs::metadata(path.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}

#[test]
fn the_size_of_the_files_can_be_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let size = |part| {
        let sizes = store.bytes_on_disk();
        sizes.into_iter().find(|(one, _)| *one == part).map(|(_, bytes)| bytes).unwrap()
    };
    let before = size("log");
    store.append(&Builder::new().put("Patient/1").into()).unwrap();
    assert!(size("log") > before);
    assert!(size("index") > 0);
}

#[test]
fn a_directory_that_cannot_be_made_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let refused = EmbeddedStore::open(&path);
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
}

/// What a killed process leaves is what the files hold at that moment.
#[test]
fn whatever_was_acknowledged_is_in_the_files_at_once() {
    for limits in [Limits::default(), Limits { tail_weight_max: 6, ..Limits::default() }] {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open_with(directory.path(), limits).unwrap();
        let mut build = Builder::new();
        let (begin, a) = build.begin("Subscription/a");
        store.append(&begin.into()).unwrap();
        for round in 1..30 {
            let cursor = Record::Cursor { subscription: a, number: number(round) };
            let entries = vec![build.events(&[a]), build.put("Patient/1")];
            store.append(&Group { entries, records: vec![cursor] }).unwrap();
            let copy = tempfile::tempdir().unwrap();
            for file in ["log.db-wal", "log.db"] {
                fs::copy(directory.path().join(file), copy.path().join(file)).unwrap();
            }
            let copy = EmbeddedStore::open_with(copy.path(), limits).unwrap();
            assert_eq!(copy.head().unwrap(), store.head().unwrap());
            assert_eq!(copy.subscription(a).unwrap(), store.subscription(a).unwrap());
            let patient = key("Patient/1");
            let all = |store: &EmbeddedStore| store.history(&patient, None, 100).unwrap();
            assert_eq!(all(&copy), all(&store));
        }
    }
}

#[test]
fn the_write_ahead_log_does_not_grow_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { tail_weight_max: 100, checkpoint_pages: 4, ..Limits::default() };
    let store = EmbeddedStore::open_with(directory.path(), limits).unwrap();
    let mut build = Builder::new();
    for _ in 0..400 {
        let mut entry = build.put("Patient/1");
        entry.change.body = vec![b'x'; 20_000].into();
        store.append(&entry.into()).unwrap();
    }
    // 400 commits of two pages or more; a commit moves 16 steps of 4 pages itself.
    let size = fs::metadata(directory.path().join("log.db-wal")).unwrap().len();
    assert!(size < 100 * 16_500, "{size}");
    assert_eq!(store.history(&key("Patient/1"), None, 1_000).unwrap().len(), 400);
}
