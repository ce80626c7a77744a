//! When an index is not trusted, and whether the index finds what looking at everything finds.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::Path;

use cresset_model::Base;
use cresset_store::contract::{Builder, at, id, key, position, version};
use cresset_store::{
    ChangeLog, Clause, Condition, Error, Found, IndexBatch, IndexDocument, IndexRow, IndexedValue,
    MemoryStore, Query, SearchCursor, Store, SystemTest, Test,
};
use proptest::prelude::*;
use rusqlite::Connection;
use smol_str::SmolStr;

use super::rows::{put_rows, take_rows};
use crate::EmbeddedStore;
use crate::log::Limits;

fn document(name: &str, number: u64, rows: Vec<IndexRow>) -> IndexDocument {
    IndexDocument {
        key: key(name),
        position: position(number),
        version: version(1),
        last_updated: at(number.cast_signed()),
        deleted: false,
        rows,
    }
}

/// A closed store with three changes, all indexed.
fn fill(directory: &Path) {
    let store = EmbeddedStore::open(directory).unwrap();
    let mut build = Builder::new();
    store.append(&vec![build.put("Patient/1"), build.put("Patient/2")].into()).unwrap();
    store.append(&build.put("Patient/3").into()).unwrap();
    let documents = (1..=3).map(|n| document(&format!("Patient/{n}"), n, Vec::new())).collect();
    store.index(&IndexBatch { upto: position(3), documents }).unwrap();
}

#[track_caller]
fn check(spoil: impl Fn(&Path), expected: Option<u64>) {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    spoil(&directory.path().join("index.db"));
    for _ in 0..2 {
        let store = EmbeddedStore::open(directory.path()).unwrap();
        assert_eq!(store.index_position().unwrap(), expected.map(position));
        assert_eq!(store.head().unwrap(), Some(position(3)));
        let found = store.search(&patients(Vec::new())).unwrap().found;
        assert_eq!(found.len(), if expected.is_some() { 3 } else { 0 });
    }
}

fn patients(clauses: Vec<Clause>) -> Query {
    let resource_type = key("Patient/1").resource_type;
    Query { base: Base::new(4), resource_type, clauses, after: None, limit: 100, total: true }
}

fn sql(text: &'static str) -> impl Fn(&Path) {
    move |path| Connection::open(path).unwrap().execute_batch(text).unwrap()
}

#[test]
fn an_index_that_can_be_trusted_is_kept() {
    check(|_| {}, Some(3));
}

#[test]
fn an_index_that_cannot_be_trusted_is_emptied() {
    check(|path| fs::remove_file(path).unwrap(), None);
    check(|path| fs::write(path, "not a database").unwrap(), None);
    check(|path| fs::write(path, "").unwrap(), None);
    check(|path| fs::write(path, "longer than a header ".repeat(500)).unwrap(), None);
    check(sql("PRAGMA user_version = 77"), None);
    check(sql("PRAGMA application_id = 77"), None);
    check(sql("UPDATE meta SET log = log + 1"), None);
    check(sql("UPDATE meta SET position = 4"), None);
    check(sql("DROP TABLE meta"), None);
    check(sql("DELETE FROM meta"), None);
}

#[test]
fn an_index_found_damaged_while_in_use_is_emptied() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let path = directory.path().join("index.db");
    sql("UPDATE document SET rows = x'ff'")(&path);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(store.index_position().unwrap(), Some(position(3)));
    assert!(store.search(&patients(Vec::new())).is_err());
    assert_eq!(store.index_position().unwrap(), None);
    assert_eq!(store.search(&patients(Vec::new())).unwrap().found, []);
    let documents = vec![document("Patient/1", 1, Vec::new())];
    store.index(&IndexBatch { upto: position(1), documents }).unwrap();
    assert_eq!(store.search(&patients(Vec::new())).unwrap().found.len(), 1);
}

/// Copies what a killed process would leave.
fn copy(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["log.db-wal", "log.db", "index.db-wal", "index.db"] {
        fs::copy(directory.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[test]
fn after_a_crash_the_index_is_behind_and_its_cursors_have_expired() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let page = store.search(&Query { limit: 1, ..patients(Vec::new()) }).unwrap();
    let query = Query { after: page.next, ..patients(Vec::new()) };
    assert_eq!(store.search(&query).unwrap().found.len(), 2);
    let mut build = Builder::new();
    (0..3).for_each(|_| drop(build.put("Patient/skipped")));
    store.append(&build.put("Patient/4").into()).unwrap();
    let documents = vec![document("Patient/4", 4, Vec::new())];
    let batch = IndexBatch { upto: position(4), documents };
    store.index(&batch).unwrap();
    assert_eq!(store.search(&query).unwrap().found.len(), 3);
    let crashed = copy(directory.path());
    let crashed = EmbeddedStore::open(crashed.path()).unwrap();
    assert_eq!(crashed.index_position().unwrap(), Some(position(3)));
    assert!(matches!(crashed.search(&query), Err(Error::CursorExpired)));
    crashed.index(&batch).unwrap();
    assert_eq!(crashed.search(&patients(Vec::new())).unwrap().found.len(), 4);
    // Closed in order, it is where it was.
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(store.index_position().unwrap(), Some(position(4)));
    assert_eq!(store.search(&query).unwrap().found.len(), 3);
}

/// What values are made of: few enough that searches meet them.
fn word() -> impl Strategy<Value = SmolStr> {
    prop_oneof![
        "[ab]{0,3}".prop_map(SmolStr::from),
        "[aé\u{10ffff}]{0,2}".prop_map(SmolStr::from),
        Just(SmolStr::from("a".repeat(40))),
        Just(SmolStr::from("b".repeat(1_100))),
    ]
}

/// A text and how it is, folded and exact.
fn mixed_case() -> impl Strategy<Value = (SmolStr, SmolStr)> {
    let exact = prop_oneof![word(), "[abAB]{0,3}".prop_map(SmolStr::from)];
    exact.prop_map(|exact| (exact.to_lowercase().into(), exact))
}

fn integer() -> impl Strategy<Value = i64> {
    let lengths = proptest::sample::select(vec![1_i64, 1 << 20, 1 << 36, 1 << 44, 1 << 55]);
    prop_oneof![
        (-3..4_i64, lengths).prop_map(|(count, length)| count * length),
        Just(i64::MIN),
        Just(i64::MAX),
    ]
}

fn value() -> impl Strategy<Value = (&'static str, IndexedValue)> {
    let system = || proptest::option::of(word());
    prop_oneof![
        (integer(), integer()).prop_map(|(a, b)| {
            ("date", IndexedValue::Stretch { low: a.min(b), high: a.max(b) })
        }),
        (word(), word()).prop_map(|(resource_type, id)| {
            ("reference", IndexedValue::Reference { resource_type, id })
        }),
        word().prop_map(|url| ("reference", IndexedValue::ReferenceUrl(url))),
        mixed_case().prop_map(|(folded, exact)| { ("text", IndexedValue::Text { folded, exact }) }),
        (system(), word())
            .prop_map(|(system, code)| { ("token", IndexedValue::Token { system, code }) }),
        word().prop_map(|uri| ("uri", IndexedValue::Uri(uri))),
    ]
}

fn row() -> impl Strategy<Value = IndexRow> {
    value().prop_map(|(parameter, value)| IndexRow { parameter: parameter.into(), value })
}

fn system_test() -> impl Strategy<Value = SystemTest> {
    prop_oneof![Just(SystemTest::Absent), Just(SystemTest::Any), word().prop_map(SystemTest::Is)]
}

fn bound() -> impl Strategy<Value = Bound<jiff::Timestamp>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (0..40_i64).prop_map(|second| Bound::Included(at(second))),
        (0..40_i64).prop_map(|second| Bound::Excluded(at(second))),
    ]
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let one = |parameter: &'static str, test| {
        vec![Condition::Value { parameter: parameter.into(), test }]
    };
    let stretches = (integer(), integer())
        .prop_map(move |(a, b)| one("date", Test::Stretch { low: a.min(b), high: a.max(b) }));
    prop_oneof![
        stretches,
        (proptest::option::of(word()), word()).prop_map(move |(resource_type, id)| {
            one("reference", Test::Reference { resource_type, id })
        }),
        word().prop_map(move |url| one("reference", Test::ReferenceUrl(url))),
        word().prop_map(move |part| one("text", Test::TextContains(part))),
        mixed_case()
            .prop_map(move |(folded, exact)| one("text", Test::TextExact { folded, exact })),
        word().prop_map(move |start| one("text", Test::TextPrefix(start))),
        (system_test(), proptest::option::of(word()))
            .prop_map(move |(system, code)| { one("token", Test::Token { system, code }) }),
        word().prop_map(move |uri| one("uri", Test::Uri(uri))),
        word().prop_map(move |start| one("uri", Test::UriPrefix(start))),
        (0..30_u8).prop_map(|n| vec![Condition::Id(id(&format!("p{n}")))]),
        (bound(), bound()).prop_map(|(from, to)| vec![Condition::LastUpdated(from, to)]),
        any::<bool>()
            .prop_map(|missing| vec![Condition::Missing { parameter: "text".into(), missing }]),
    ]
}

fn clause() -> impl Strategy<Value = Clause> {
    let any = proptest::collection::vec(conditions(), 1..3);
    (any, prop::bool::weighted(0.2))
        .prop_map(|(any, negated)| Clause { any: any.concat(), negated })
}

/// A batch: each resource at most once, by number, deleted or with its rows.
type Step = BTreeMap<u8, (bool, Vec<IndexRow>)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = proptest::collection::vec(row(), 0..8);
    let document = (prop::bool::weighted(0.15), rows);
    proptest::collection::vec(proptest::collection::btree_map(0..30_u8, document, 1..20), 1..4)
}

/// Applies the steps to both stores.
fn index(stores: &[&dyn Store], steps: Vec<Step>) {
    let mut build = Builder::new();
    for step in steps {
        let mut documents = Vec::new();
        let mut entries = Vec::new();
        for (name, (deleted, rows)) in step {
            let entry = build.put(&format!("Patient/p{name}"));
            documents.push(IndexDocument {
                deleted,
                version: entry.change.version,
                ..document(&format!("Patient/p{name}"), build.head(), rows)
            });
            entries.push(entry);
        }
        let batch = IndexBatch { upto: position(build.head()), documents };
        for store in stores {
            store.append(&entries.clone().into()).unwrap();
            store.index(&batch).unwrap();
        }
    }
}

/// All pages of a search, as ids.
fn search(store: &dyn Store, clauses: &[Clause], limit: usize) -> Vec<String> {
    let mut query = Query { limit, ..patients(clauses.to_vec()) };
    let mut found = Vec::new();
    loop {
        let page = store.search(&query).unwrap();
        assert!(page.found.len() <= limit);
        // Each store has numbers of its own, and so cursors.
        let text = |one: Found| format!("{} {} {}", one.key, one.version, one.position.get());
        found.extend(page.found.into_iter().map(text));
        let Some(next) = page.next else {
            let total = page.total.unwrap();
            assert!(total.exact);
            assert_eq!(total.count, found.len() as u64);
            return found;
        };
        query.after = Some(SearchCursor { ..next });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_looking_at_everything_finds(
        steps in steps(),
        queries in proptest::collection::vec(proptest::collection::vec(clause(), 0..4), 30),
        limit in 1..12_usize,
        pending_documents_max in 1..60_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { pending_documents_max, ..Limits::default() };
        let store = EmbeddedStore::open_with(directory.path(), limits).unwrap();
        let model = MemoryStore::new();
        index(&[&store, &model], steps);
        for clauses in queries {
            prop_assert_eq!(search(&store, &clauses, limit), search(&model, &clauses, limit));
        }
    }

    #[test]
    fn rows_come_back(rows in proptest::collection::vec(row(), 0..20)) {
        let read = take_rows(&put_rows(&rows)).unwrap();
        // Long texts are clipped: compare what is written.
        prop_assert_eq!(put_rows(&read), put_rows(&rows));
        prop_assert_eq!(read.len(), rows.len());
    }

    #[test]
    fn any_bytes_are_rows_or_refused(bytes: Vec<u8>) {
        drop(take_rows(&bytes));
    }
}
