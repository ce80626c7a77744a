//! Files of every format. `cargo test -p cresset-store-embedded -- --ignored` writes the file of
//! the current one, if it is not there yet; once released, a file is never written again.

use std::fs;
use std::path::{Path, PathBuf};

use cresset_model::{Interaction, Retries, SubscriptionError, SubscriptionErrorCode, TraceContext};
use cresset_store::contract::{Builder, at, client, number, subscription};
use cresset_store::{
    ChangeLog, Entry, Error, Group, MemoryStore, Record, Retention, Store, TokenRecord,
};
use rusqlite::Connection;

use super::{FORMAT, prepare};
use crate::EmbeddedStore;
use crate::log::Limits;

const LIMITS: Limits =
    Limits { tail_weight_max: 8, checkpoint_pages: 1_000, pending_documents_max: 10 };

fn file(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("formats/log-{format}.sqlite"))
}

/// What every file holds, as far as its format can; part of it folded, part of it not.
fn fill(store: &dyn Store, format: u32) {
    let mut build = Builder::new();
    let (first, a) = build.begin("Subscription/a");
    let (second, b) = build.begin("Subscription/b");
    store.append(&vec![first, second].into()).unwrap();
    for round in 0..6 {
        let entries = vec![
            build.events(&[a, b]),
            build.put(&format!("Patient/{}", round % 3)),
            build.delete("Patient/1"),
        ];
        let token = TokenRecord {
            hash: [u8::try_from(round).unwrap(); 32],
            base: build.clone().put("Patient/0").change.key.base,
            owner: client("binder"),
            expires: at(round),
            subscriptions: vec![a, b],
        };
        let cursor = Record::Cursor { subscription: b, number: number(round.cast_unsigned() + 1) };
        store.append(&Group { entries, records: vec![Record::Token(token), cursor] }).unwrap();
    }
    if format >= 3 {
        let code = Some(SubscriptionErrorCode::ErrorResponse);
        let error = Some(SubscriptionError { code, text: "HTTP status 500".to_owned() });
        let records = vec![Record::Error { subscription: b, error }];
        store.append(&Group { entries: Vec::new(), records }).unwrap();
    }
    if format >= 4 {
        let told = build.change("CressetOccurrence/1", Interaction::Create);
        store.append(&Entry { events: vec![a, b], ..told }.into()).unwrap();
    }
    if format >= 5 {
        let mut traced = build.put("Patient/2");
        traced.change.trace = TraceContext::new([7; 16], [9; 8], 1);
        let retries = Some(Retries {
            failures: 3,
            rejections: 1,
            failing_since: at(1),
            resume: at(2),
            repeat_last: Some(number(6)),
            at: at(1),
        });
        let records = vec![Record::Retries { subscription: b, retries }];
        store.append(&Group { entries: vec![traced], records }).unwrap();
    }
    if format >= 6 {
        // A run, and a group after it that folds it.
        let entries = (0..5).map(|_| build.events(&[b])).collect();
        store.append(&Group { entries, records: Vec::new() }).unwrap();
        store.append(&build.put("Patient/2").into()).unwrap();
    }
    store.append(&build.end("Subscription/a", a).into()).unwrap();
}

fn compare(store: &dyn Store, model: &dyn Store) {
    assert_eq!(store.changes(None, 100).unwrap(), model.changes(None, 100).unwrap());
    assert_eq!(store.subscriptions(None, 9).unwrap(), model.subscriptions(None, 9).unwrap());
    for key in [subscription(1), subscription(2)] {
        let events = |store: &dyn Store| store.events(key, number(1), number(99), 99).unwrap();
        assert_eq!(events(store), events(model));
    }
    for change in model.changes(None, 100).unwrap() {
        let history = |store: &dyn Store| store.history(&change.key, None, 99).unwrap();
        assert_eq!(history(store), history(model));
        let all = |store: &dyn Store| {
            store.resources(change.key.base, &change.key.resource_type, None, 99).unwrap()
        };
        assert_eq!(all(store), all(model));
    }
    for byte in 0..7 {
        assert_eq!(store.token(&[byte; 32]).unwrap(), model.token(&[byte; 32]).unwrap());
    }
}

#[test]
fn a_log_of_every_format_is_read_and_goes_on() {
    for format in 1..=FORMAT {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(file(format), directory.path().join("log.db")).unwrap();
        let model = MemoryStore::new();
        fill(&model, format);
        for round in 0..3 {
            let store = EmbeddedStore::open_with(directory.path(), LIMITS).unwrap();
            compare(&store, &model);
            let mut build = Builder::new();
            let head = store.head().unwrap().unwrap().get();
            (0..head).for_each(|_| drop(build.put("Basic/skipped")));
            let mut entry = build.events(&[subscription(2)]);
            entry.change.key.id = cresset_store::contract::id(&format!("new-{round}"));
            entry.change.version = cresset_store::contract::version(1);
            let group = Group::from(entry);
            assert_eq!(store.append(&group).unwrap(), model.append(&group).unwrap());
            let retention = Retention {
                events_per_subscription_max: Some(4),
                tokens_expired_before: Some(at(3)),
                ..Retention::default()
            };
            while !store.forget(&retention, 100).unwrap().finished {}
            while !model.forget(&retention, 100).unwrap().finished {}
            compare(&store, &model);
        }
    }
}

/// Tables, columns and indexes, without the text that made them.
fn layout(connection: &Connection) -> Vec<String> {
    let mut select = connection
        .prepare(
            "SELECT t.type, t.name, c.name, c.type, c.\"notnull\", coalesce(c.dflt_value, ''), c.pk
             FROM sqlite_schema t, pragma_table_xinfo(t.name) c ORDER BY t.name, c.cid",
        )
        .unwrap();
    let rows = select.query_map([], |row| {
        let text = |index| row.get::<_, rusqlite::types::Value>(index);
        Ok(format!("{:?}", (0..7).map(|index| text(index).unwrap()).collect::<Vec<_>>()))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_migrated_log_has_the_layout_of_a_new_one() {
    let new = Connection::open_in_memory().unwrap();
    prepare(&new).unwrap();
    assert!(layout(&new).len() > 30);
    for format in 1..=FORMAT {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.db");
        fs::copy(file(format), &path).unwrap();
        let old = Connection::open(&path).unwrap();
        prepare(&old).unwrap();
        assert_eq!(layout(&old), layout(&new), "{format}");
    }
}

#[test]
fn a_log_of_a_newer_format_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    fs::copy(file(FORMAT), &path).unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", FORMAT + 1).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(matches!(
        refused,
        Error::NewerFormat { found, supported, .. } if (found, supported) == (FORMAT + 1, FORMAT)
    ));
    let text = refused.to_string();
    assert!(text.contains(&format!("format {}", FORMAT + 1)), "{text}");
    assert!(text.contains(&format!("up to {FORMAT}")), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_something_else_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    let before = fs::read(&path).unwrap();
    let refused = EmbeddedStore::open(directory.path());
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn the_file_of_format_6_has_runs_of_events() {
    let log = Connection::open(file(6)).unwrap();
    let runs = "SELECT count(*) FROM event WHERE length(gaps) > 3";
    assert_eq!(log.query_row(runs, [], |row| row.get::<_, u32>(0)).unwrap(), 1);
}

#[test]
#[ignore = "writes a file of the current format"]
fn write_the_file_of_the_current_format() {
    let path = file(FORMAT);
    if path.exists() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fill(&EmbeddedStore::open_with(directory.path(), LIMITS).unwrap(), FORMAT);
    let log = Connection::open(directory.path().join("log.db")).unwrap();
    // Small pages for a small file. Without a write-ahead log, which would be a second file.
    log.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;").unwrap();
    drop(log);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(directory.path().join("log.db"), path).unwrap();
}
