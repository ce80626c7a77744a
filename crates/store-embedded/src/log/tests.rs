//! Faults: what a failing disk, a full disk and a damaged file do.

use std::path::{Path, PathBuf};

use cresset_model::{EventNumber, SubscriptionKey};
use cresset_store::contract::{Builder, number, position};
use cresset_store::{Error, Group, Record, Retention};
use rusqlite::{Connection, ffi};
use tempfile::TempDir;

use super::{Limits, Log};

struct Bench {
    _directory: TempDir,
    path: PathBuf,
    log: Log,
    build: Builder,
    subscription: SubscriptionKey,
}

/// A log with a subscription that has one event.
fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let log = Log::open(&path, Limits::default()).unwrap();
    let mut build = Builder::new();
    let (begin, subscription) = build.begin("Subscription/a");
    log.append(&vec![begin, build.events(&[subscription])].into()).unwrap();
    Bench { _directory: directory, path, log, build, subscription }
}

impl Bench {
    fn pragma(&self, name: &str) -> rusqlite::types::Value {
        let writer = self.log.writer().unwrap();
        writer.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    fn commit_by(&self, commit: fn(&Connection) -> rusqlite::Result<()>) {
        self.log.writer().unwrap().commit = commit;
    }

    fn heal(&self) {
        self.commit_by(|connection| connection.execute_batch("COMMIT"));
    }

    /// A group with everything that leaves a trace in memory: a new type, a new client, a new
    /// subscription, an event, a cursor.
    fn group(&self) -> Group {
        let mut build = self.build.clone();
        let (mut begin, other) = build.begin("Novelty/b");
        begin.change.author = cresset_store::contract::client("somebody-new");
        let cursor = Record::Cursor { subscription: self.subscription, number: number(2) };
        Group {
            entries: vec![begin, build.events(&[self.subscription, other])],
            records: vec![cursor],
        }
    }

    /// Appends the group, and checks that it is the first to have any effect.
    fn append(&mut self, group: &Group) {
        let events = self.log.append(group).unwrap().events;
        let numbers: Vec<_> = events.iter().map(|event| event.number.get()).collect();
        assert_eq!(numbers, [2, 1]);
        self.check();
    }

    /// Checks that the group is there, now and after a restart.
    fn check(&mut self) {
        for _ in 0..2 {
            assert_eq!(self.log.head().unwrap(), Some(position(4)));
            let record = self.log.subscription(self.subscription).unwrap().unwrap();
            assert_eq!((record.events, record.cursor.map(EventNumber::get)), (2, Some(2)));
            let changes = self.log.changes(None, 10).unwrap();
            assert_eq!(changes[2].key.resource_type.as_str(), "Novelty");
            assert_eq!(changes[2].author.as_str(), "somebody-new");
            let path = self.path.clone();
            let closed = std::mem::replace(&mut self.log, spare());
            drop(closed);
            self.log = Log::open(&path, Limits::default()).unwrap();
        }
    }
}

/// No test can take the power away, and a process that is killed loses nothing that it wrote: so this
/// is where it is seen that what is acknowledged is flushed first.
#[test]
fn a_commit_is_flushed_before_it_is_done() {
    let bench = bench();
    assert_eq!(bench.pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(bench.pragma("synchronous"), 2.into(), "FULL");
}

/// A log of nothing, to put in the place of one that is closed.
fn spare() -> Log {
    let directory = tempfile::tempdir().unwrap();
    Log::open(&directory.path().join("log.db"), Limits::default()).unwrap()
}

fn failure(code: std::ffi::c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

#[test]
fn a_commit_that_failed_may_not_have_happened() {
    let mut bench = bench();
    let group = bench.group();
    bench.commit_by(|connection| {
        connection.execute_batch("ROLLBACK")?;
        Err(failure(ffi::SQLITE_IOERR_FSYNC))
    });
    let failed = bench.log.append(&group);
    assert!(matches!(failed, Err(Error::Unknown { .. })), "{failed:?}");
    assert_eq!(bench.log.head().unwrap(), Some(position(2)));
    assert!(bench.log.subscription(bench.subscription).unwrap().unwrap().cursor.is_none());
    bench.heal();
    bench.append(&group);
}

#[test]
fn a_commit_that_failed_may_have_happened() {
    let mut bench = bench();
    let group = bench.group();
    bench.commit_by(|connection| {
        connection.execute_batch("COMMIT")?;
        Err(failure(ffi::SQLITE_IOERR_FSYNC))
    });
    let failed = bench.log.append(&group);
    assert!(matches!(failed, Err(Error::Unknown { .. })), "{failed:?}");
    bench.heal();
    bench.check();
    assert!(matches!(bench.log.append(&group), Err(Error::Fenced { .. })));
}

#[test]
fn a_commit_that_did_not_begin_is_not_done() {
    let mut bench = bench();
    let group = bench.group();
    bench.commit_by(|_| Err(failure(ffi::SQLITE_BUSY)));
    let failed = bench.log.append(&group);
    assert!(matches!(failed, Err(Error::Unavailable { .. })), "{failed:?}");
    bench.heal();
    bench.append(&group);
}

#[test]
fn a_full_disk_leaves_no_trace() {
    let mut bench = bench();
    let group = bench.group();
    let mut large = group.clone();
    large.entries[1].change.body = vec![b'x'; 1 << 20].into();
    let limit = |bench: &Bench, extra: u32| {
        let writer = bench.log.writer().unwrap();
        let pages = |sql: &str| writer.connection.query_row(sql, [], |row| row.get::<_, u32>(0));
        let count = pages("PRAGMA page_count").unwrap();
        pages(&format!("PRAGMA max_page_count = {}", count + extra)).unwrap();
    };
    limit(&bench, 2);
    for _ in 0..3 {
        let failed = bench.log.append(&large);
        assert!(matches!(failed, Err(Error::Unavailable { .. })), "{failed:?}");
        assert_eq!(bench.log.head().unwrap(), Some(position(2)));
    }
    limit(&bench, 1_000);
    bench.append(&group);
}

#[test]
fn a_panic_in_a_write_leaves_no_trace() {
    let mut bench = bench();
    let group = bench.group();
    bench.commit_by(|_| panic!("as if there were a bug"));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(bench.log.append(&group));
    }));
    assert!(result.is_err());
    bench.heal();
    bench.append(&group);
}

/// Damages the file of a closed log and opens it.
#[track_caller]
fn open_damaged(sql: &str, tail_weight_max: usize) -> Result<(TempDir, Log), Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let limits = Limits { tail_weight_max, ..Limits::default() };
    let log = Log::open(&path, limits).unwrap();
    let mut build = Builder::new();
    let (begin, key) = build.begin("Subscription/a");
    log.append(&begin.into()).unwrap();
    for _ in 0..6 {
        log.append(&build.events(&[key]).into()).unwrap();
    }
    drop(log);
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    Ok((directory, Log::open(&path, limits)?))
}

#[test]
fn a_log_with_a_gap_is_not_opened() {
    for sql in [
        "DELETE FROM entry WHERE position = 3",
        "UPDATE entry SET events = (SELECT events FROM entry WHERE position = 5) WHERE position = 4",
        "UPDATE entry SET events = x'80' WHERE position = 4",
        "UPDATE meta SET folded = 99",
        "UPDATE entry SET id = 'not an id' WHERE position = 4",
        "UPDATE entry SET type = 'x' WHERE position = 4",
    ] {
        let opened = open_damaged(sql, 1_000).map(drop);
        assert!(matches!(opened, Err(Error::Corrupt { .. })), "{sql}: {opened:?}");
    }
}

#[test]
fn a_gap_in_a_view_is_noticed_when_it_is_read() {
    // The tail is small, so the first events are in the view.
    let (directory, log) = open_damaged("DELETE FROM event WHERE number = 2", 2).unwrap();
    let key = cresset_store::contract::subscription(1);
    let read = log.events(key, number(1), number(9), 10).map_err(Error::from);
    assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    drop((log, directory));
    let (directory, log) = open_damaged("DELETE FROM event", 2).unwrap();
    let mut build = Builder::new();
    (0..7).for_each(|_| drop(build.put("Encounter/e")));
    let appended = log.append(&build.events(&[key]).into());
    assert!(matches!(appended, Err(Error::Corrupt { .. })), "{appended:?}");
    drop((log, directory));
}

/// What cuts a fold off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The store is opened anew.
    Crash,
    /// A commit fails that was made all the same.
    UnknownDone,
    /// A commit fails that was not made.
    UnknownUndone,
}

impl Cut {
    fn make(self, log: Log, path: &Path, limits: Limits, build: &mut Builder) -> Log {
        let commit: fn(&Connection) -> rusqlite::Result<()> = match self {
            Self::Crash => {
                drop(log);
                return Log::open(path, limits).unwrap();
            }
            Self::UnknownDone => |connection| {
                connection.execute_batch("COMMIT")?;
                Err(failure(ffi::SQLITE_IOERR_FSYNC))
            },
            Self::UnknownUndone => |connection| {
                connection.execute_batch("ROLLBACK")?;
                Err(failure(ffi::SQLITE_IOERR_FSYNC))
            },
        };
        let mut after = build.clone();
        log.writer().unwrap().commit = commit;
        let failed = log.append(&after.put("Patient/p").into());
        assert!(matches!(failed, Err(Error::Unknown { .. })), "{failed:?}");
        log.writer().unwrap().commit = |connection| connection.execute_batch("COMMIT");
        if self == Self::UnknownDone {
            *build = after;
        }
        log
    }
}

#[test]
fn a_fold_that_was_cut_off_leaves_no_event_twice() {
    for cut in [Cut::Crash, Cut::UnknownDone, Cut::UnknownUndone] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.db");
        let limits = Limits { tail_weight_max: 600, ..Limits::default() };
        let log = Log::open(&path, limits).unwrap();
        let mut build = Builder::new();
        let (begin, key) = build.begin("Subscription/a");
        log.append(&begin.into()).unwrap();
        let entries = (0..700).map(|_| build.events(&[key])).collect();
        log.append(&Group { entries, records: Vec::new() }).unwrap();
        while runs(&log) < 2 {
            log.append(&build.put("Patient/p").into()).unwrap();
        }
        keep(&log, 600);
        let log = cut.make(log, &path, limits, &mut build);
        let folded = log.seen().folded;
        log.append(&build.events(&[key]).into()).unwrap();
        while log.seen().frozen.is_some() || log.seen().folded < folded + 2 {
            log.append(&build.put("Patient/p").into()).unwrap();
        }
        let all = runs(&log);
        // Which goes through the first one.
        keep(&log, 500);
        assert_eq!(runs(&log), all, "{cut:?}");
        for (from, to) in [(1, 999), (1, 202), (1, 201), (200, 356), (357, 357), (700, 701)] {
            let events = log.events(key, number(from), number(to), 1_000).unwrap();
            let numbers: Vec<_> = events.iter().map(|event| event.number.get()).collect();
            let expect: Vec<_> = (from.max(202)..=to.min(701)).collect();
            assert_eq!(numbers, expect, "{cut:?}: {from} to {to}");
        }
        let few = log.events(key, number(300), number(999), 70).unwrap();
        assert_eq!((few.len(), few[69].number.get()), (70, 369), "{cut:?}");
    }
}

/// Rows of events.
fn runs(log: &Log) -> u32 {
    let count = "SELECT count(*) FROM event";
    log.writer().unwrap().connection.query_row(count, [], |row| row.get(0)).unwrap()
}

/// Forgets all events but so many.
fn keep(log: &Log, max: u64) {
    let retention = Retention { events_per_subscription_max: Some(max), ..Retention::default() };
    while !log.forget(&retention, 1_000).unwrap().finished {}
}

#[test]
fn a_file_that_is_no_database_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    std::fs::write(&path, "not a database, but long enough to look at: ".repeat(100)).unwrap();
    let opened = Log::open(&path, Limits::default()).map(drop).map_err(Error::from);
    assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
}
