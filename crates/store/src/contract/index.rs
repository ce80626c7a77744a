//! Cases of the search index.

use std::ops::Bound;

use cresset_model::{Base, ResourceKey};
use smol_str::SmolStr;

use super::{Builder, Fixture, at, id, key, position, version};
use crate::{
    Clause, Condition, Error, INDEX_ROWS_MAX, INDEX_VALUE_BYTES_MAX, IndexBatch, IndexDocument,
    IndexRow, IndexedValue, Page, Query, SEARCH_SCAN_MAX, Store, SystemTest, Test, Total,
};

fn row(parameter: &str, value: IndexedValue) -> IndexRow {
    IndexRow { parameter: parameter.into(), value }
}

fn token(parameter: &str, system: Option<&str>, code: &str) -> IndexRow {
    row(parameter, IndexedValue::Token { system: system.map(SmolStr::from), code: code.into() })
}

fn text(parameter: &str, exact: &str) -> IndexRow {
    let folded = exact.to_lowercase().into();
    row(parameter, IndexedValue::Text { folded, exact: exact.into() })
}

fn document(reference: &str, number: u64, rows: Vec<IndexRow>) -> IndexDocument {
    IndexDocument {
        key: key(reference),
        position: position(number),
        version: version(1),
        last_updated: at(i64::try_from(number).unwrap()),
        deleted: false,
        rows,
    }
}

/// Appends as many changes as the index is to have seen, and indexes these documents.
fn fill(store: &dyn Store, documents: Vec<IndexDocument>) {
    let mut build = Builder::new();
    let upto = documents.iter().map(|document| document.position).max().unwrap();
    let entries: Vec<_> = (0..upto.get()).map(|n| build.put(&format!("Basic/{n}"))).collect();
    store.append(&entries.into()).unwrap();
    store.index(&IndexBatch { upto, documents }).unwrap();
}

fn query(resource_type: &str, clauses: Vec<Clause>) -> Query {
    let ResourceKey { resource_type, .. } = key(&format!("{resource_type}/1"));
    Query { base: Base::new(4), resource_type, clauses, after: None, limit: 100, total: false }
}

fn any(any: Vec<Condition>) -> Clause {
    Clause { any, negated: false }
}

fn is(parameter: &str, test: Test) -> Clause {
    any(vec![Condition::Value { parameter: parameter.into(), test }])
}

fn code(code: &str) -> Test {
    Test::Token { system: SystemTest::Any, code: Some(code.into()) }
}

fn names(page: &Page) -> Vec<&str> {
    page.found.iter().map(|found| found.key.id.as_str()).collect()
}

#[track_caller]
fn check(store: &dyn Store, clauses: Vec<Clause>, expected: &[&str]) {
    let page = store.search(&query("Patient", clauses)).unwrap();
    assert_eq!(names(&page), expected);
    assert_eq!(page.next, None);
}

/// By code, with and without system, by system alone; nothing of other types or bases.
pub fn search_finds_tokens(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut other_base = document("Patient/base", 6, vec![token("code", None, "x")]);
    other_base.key.base = Base::new(5);
    fill(
        store,
        vec![
            document("Patient/a", 1, vec![token("code", Some("s"), "x")]),
            document("Patient/b", 2, vec![token("code", None, "x"), token("code", None, "x")]),
            document("Patient/c", 3, vec![token("code", Some("t"), "x"), token("code", None, "y")]),
            document("Patient/d", 4, vec![token("other", Some("s"), "x")]),
            document("Group/e", 5, vec![token("code", Some("s"), "x")]),
            other_base,
        ],
    );
    let with = |system, code: Option<&str>| {
        vec![is("code", Test::Token { system, code: code.map(SmolStr::from) })]
    };
    for _ in 0..2 {
        let store = fixture.store();
        check(store, with(SystemTest::Any, Some("x")), &["a", "b", "c"]);
        check(store, with(SystemTest::Absent, Some("x")), &["b"]);
        check(store, with(SystemTest::Is("s".into()), Some("x")), &["a"]);
        check(store, with(SystemTest::Is("t".into()), None), &["c"]);
        check(store, with(SystemTest::Is("t".into()), Some("y")), &[]);
        check(store, with(SystemTest::Absent, None), &["b", "c"]);
        check(store, with(SystemTest::Any, Some("X")), &[]);
        fixture.reopen();
    }
}

/// By prefix and part of the folded text, and exactly.
pub fn search_finds_texts(fixture: &mut impl Fixture) {
    let store = fixture.store();
    fill(
        store,
        vec![
            document("Patient/a", 1, vec![text("name", "Anna"), text("name", "Zoë")]),
            document("Patient/b", 2, vec![text("name", "ANNABEL")]),
            document("Patient/c", 3, vec![text("name", "Johanna"), text("nickname", "Anna")]),
            document("Patient/d", 4, vec![text("name", "zo\u{10ffff}")]),
        ],
    );
    let prefix = |start: &str| vec![is("name", Test::TextPrefix(start.into()))];
    let exact = |exact: &str| {
        let folded = exact.to_lowercase().into();
        vec![is("name", Test::TextExact { folded, exact: exact.into() })]
    };
    check(store, prefix("anna"), &["a", "b"]);
    check(store, prefix("zo"), &["a", "d"]);
    check(store, prefix("zo\u{10ffff}"), &["d"]);
    check(store, prefix(""), &["a", "b", "c", "d"]);
    check(store, exact("Anna"), &["a"]);
    check(store, exact("ANNA"), &[]);
    check(store, exact("ANNABEL"), &["b"]);
    let contains = vec![is("name", Test::TextContains("anna".into()))];
    check(store, contains, &["a", "b", "c"]);
}

/// By type and id, by id alone, by URL; URIs whole and by prefix.
pub fn search_finds_references_and_uris(fixture: &mut impl Fixture) {
    let to = |resource_type: &str, id: &str| {
        let value = IndexedValue::Reference { resource_type: resource_type.into(), id: id.into() };
        row("subject", value)
    };
    let store = fixture.store();
    let away = IndexedValue::ReferenceUrl("https://x.example/Patient/1".into());
    let uri = |uri: &str| row("url", IndexedValue::Uri(uri.into()));
    fill(
        store,
        vec![
            document("Patient/a", 1, vec![to("Patient", "1")]),
            document("Patient/b", 2, vec![to("Group", "1"), to("Patient", "2")]),
            document("Patient/c", 3, vec![row("subject", away)]),
            document("Patient/d", 4, vec![uri("http://example.org/fhir")]),
            document("Patient/e", 5, vec![uri("http://example.org/fhir/sub")]),
        ],
    );
    let refers = |resource_type: Option<&str>, id: &str| {
        let resource_type = resource_type.map(SmolStr::from);
        vec![is("subject", Test::Reference { resource_type, id: id.into() })]
    };
    check(store, refers(Some("Patient"), "1"), &["a"]);
    check(store, refers(None, "1"), &["a", "b"]);
    check(store, refers(Some("Group"), "2"), &[]);
    let url = Test::ReferenceUrl("https://x.example/Patient/1".into());
    check(store, vec![is("subject", url)], &["c"]);
    check(store, vec![is("url", Test::Uri("http://example.org/fhir".into()))], &["d"]);
    let below = Test::UriPrefix("http://example.org/fhir".into());
    check(store, vec![is("url", below)], &["d", "e"]);
}

/// By places in common, ends included, of one stretch and of several together, short and long.
pub fn search_finds_stretches(fixture: &mut impl Fixture) {
    let stretch = |low, high| row("date", IndexedValue::Stretch { low, high });
    let store = fixture.store();
    fill(
        store,
        vec![
            document("Patient/a", 1, vec![stretch(10, 19)]),
            document("Patient/b", 2, vec![stretch(15, 15)]),
            document("Patient/c", 3, vec![stretch(i64::MIN, 5)]),
            document("Patient/d", 4, vec![stretch(20, i64::MAX)]),
            document("Patient/e", 5, vec![stretch(10, 19), stretch(1 << 40, (1 << 40) + 9)]),
            document("Patient/f", 6, vec![stretch(-(1 << 50), 1 << 50)]),
        ],
    );
    let meets = |low, high| is("date", Test::Stretch { low, high });
    for _ in 0..2 {
        let store = fixture.store();
        for (low, high, expected) in [
            (10, 19, &["a", "b", "e", "f"][..]),
            (16, 16, &["a", "e", "f"]),
            (19, 20, &["a", "d", "e", "f"]),
            (6, 9, &["f"]),
            (i64::MIN, 5, &["c", "f"]),
            (i64::MIN, i64::MIN, &["c"]),
            (20, i64::MAX, &["d", "e", "f"]),
            (1 << 51, i64::MAX, &["d"]),
            (1 << 39, 1 << 40, &["d", "e", "f"]),
        ] {
            check(store, vec![meets(low, high)], expected);
        }
        // Several clauses may be met by several values.
        check(store, vec![meets(i64::MIN, 12), meets(100, i64::MAX)], &["e", "f"]);
        check(store, vec![meets(12, i64::MAX), meets(i64::MIN, 18)], &["a", "b", "e", "f"]);
        fixture.reopen();
    }
}

/// What needs no row of its own.
pub fn search_finds_by_id_and_last_updated(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let documents = (1..=6).map(|n| document(&format!("Patient/p{n}"), n, Vec::new())).collect();
    fill(store, documents);
    let ids = ["p4", "p2", "none"].map(|name| Condition::Id(id(name)));
    check(store, vec![any(ids.to_vec())], &["p2", "p4"]);
    let updated = |from, to| vec![any(vec![Condition::LastUpdated(from, to)])];
    let after = Bound::Excluded(at(4));
    check(store, updated(after, Bound::Unbounded), &["p5", "p6"]);
    check(store, updated(Bound::Included(at(2)), Bound::Included(at(3))), &["p2", "p3"]);
    check(store, updated(Bound::Included(at(9)), Bound::Unbounded), &[]);
    check(store, Vec::new(), &["p1", "p2", "p3", "p4", "p5", "p6"]);
}

/// `:missing` and `:not`.
pub fn search_finds_missing_and_negated(fixture: &mut impl Fixture) {
    let store = fixture.store();
    fill(
        store,
        vec![
            document("Patient/a", 1, vec![token("code", None, "x")]),
            document("Patient/b", 2, vec![token("code", None, "x"), token("code", None, "y")]),
            document("Patient/c", 3, Vec::new()),
        ],
    );
    let missing =
        |missing| vec![any(vec![Condition::Missing { parameter: "code".into(), missing }])];
    check(store, missing(true), &["c"]);
    check(store, missing(false), &["a", "b"]);
    check(store, vec![Clause { negated: true, ..is("code", code("y")) }], &["a", "c"]);
    check(store, vec![any(Vec::new())], &[]);
}

/// AND of clauses, each an OR.
pub fn a_clause_needs_one_of_its_conditions_and_a_query_all_clauses(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let rows = |n: u64| {
        let mut rows = vec![token("mod3", None, &(n % 3).to_string())];
        rows.push(token("mod5", None, &(n % 5).to_string()));
        rows.push(text("name", &format!("n{n}")));
        rows
    };
    let documents = (1..=60).map(|n| document(&format!("Patient/{n:02}"), n, rows(n))).collect();
    fill(store, documents);
    let both = vec![is("mod3", code("0")), is("mod5", code("0"))];
    check(store, both, &["15", "30", "45", "60"]);
    let of = |parameter: &str, test| Condition::Value { parameter: parameter.into(), test };
    let either = any(vec![of("mod5", code("1")), of("mod5", code("4"))]);
    let three =
        vec![either.clone(), is("mod3", code("0")), is("name", Test::TextPrefix("n2".into()))];
    check(store, three, &["21", "24"]);
    let mixed = any(vec![
        of("mod3", code("9")),
        of("name", Test::TextContains("59".into())),
        Condition::Id(id("07")),
    ]);
    check(store, vec![mixed], &["07", "59"]);
    let not = Clause { negated: true, ..either };
    check(
        store,
        vec![not, is("name", Test::TextPrefix("n1".into())), is("mod3", code("1"))],
        &["10", "13"],
    );
}

/// A document indexed again is as its newest batch says.
pub fn a_batch_replaces_the_rows_of_its_documents(fixture: &mut impl Fixture) {
    let store = fixture.store();
    fill(
        store,
        vec![
            document("Patient/a", 1, vec![token("code", None, "x"), text("name", "Old")]),
            document("Patient/b", 2, vec![token("code", None, "x")]),
        ],
    );
    let mut build = Builder::new();
    build.put("Basic/0");
    build.put("Basic/1");
    store.append(&build.put("Patient/a").into()).unwrap();
    let changed = IndexDocument {
        version: version(2),
        ..document("Patient/a", 3, vec![token("code", None, "y")])
    };
    store.index(&IndexBatch { upto: position(3), documents: vec![changed] }).unwrap();
    fixture.reopen();
    let store = fixture.store();
    check(store, vec![is("code", code("x"))], &["b"]);
    check(store, vec![is("name", Test::TextPrefix("old".into()))], &[]);
    // It keeps its place.
    check(store, Vec::new(), &["a", "b"]);
    let found = store.search(&query("Patient", vec![is("code", code("y"))])).unwrap().found;
    assert_eq!((found[0].version, found[0].position), (version(2), position(3)));
}

/// Deleted resources leave the index; one that comes back is found again.
pub fn deleted_resources_are_not_found(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let rows = || vec![token("code", None, "x")];
    fill(store, vec![document("Patient/a", 1, rows()), document("Patient/b", 3, rows())]);
    let mut build = Builder::new();
    for n in 0..3 {
        build.put(&format!("Basic/{n}"));
    }
    let step = |entry: crate::Entry, rows, deleted| {
        let upto = entry.change.position;
        store.append(&entry.into()).unwrap();
        let document = IndexDocument { deleted, ..document("Patient/a", upto.get(), rows) };
        store.index(&IndexBatch { upto, documents: vec![document] }).unwrap();
    };
    step(build.put("Patient/x"), Vec::new(), true);
    check(store, vec![is("code", code("x"))], &["b"]);
    check(store, vec![any(vec![Condition::Id(id("a"))])], &[]);
    step(build.put("Patient/x"), rows(), false);
    check(store, vec![is("code", code("x"))], &["b", "a"]);
    // A delete of what was never indexed.
    let upto = position(6);
    store.append(&build.put("Patient/x").into()).unwrap();
    let never = IndexDocument { deleted: true, ..document("Patient/never", 6, Vec::new()) };
    store.index(&IndexBatch { upto, documents: vec![never] }).unwrap();
    check(store, Vec::new(), &["b", "a"]);
}

/// Batches are idempotent, and none takes the index back.
pub fn an_old_batch_changes_nothing(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let rows = |name: &str| vec![token("code", None, name)];
    fill(store, vec![document("Patient/a", 5, rows("new"))]);
    for upto in 1..=5 {
        let documents = vec![document("Patient/a", upto, rows("old"))];
        store.index(&IndexBatch { upto: position(upto), documents }).unwrap();
    }
    check(store, vec![is("code", code("new"))], &["a"]);
    check(store, vec![is("code", code("old"))], &[]);
    let ahead = IndexBatch { upto: position(6), documents: Vec::new() };
    assert!(matches!(store.index(&ahead), Err(Error::Invalid { .. })));
    let mut build = Builder::new();
    (0..5).for_each(|n| drop(build.put(&format!("Basic/{n}"))));
    store.append(&build.put("Basic/6").into()).unwrap();
    let huge = document("Patient/b", 6, vec![token("code", None, "x"); INDEX_ROWS_MAX + 1]);
    let huge = IndexBatch { upto: position(6), documents: vec![huge] };
    assert!(matches!(store.index(&huge), Err(Error::Invalid { .. })));
    assert_eq!(store.index_position().unwrap(), Some(position(5)));
}

/// An index that was moved on stays where it is.
pub fn the_index_keeps_its_position_across_restarts(fixture: &mut impl Fixture) {
    fill(fixture.store(), vec![document("Patient/a", 4, Vec::new())]);
    for _ in 0..2 {
        assert_eq!(fixture.store().index_position().unwrap(), Some(position(4)));
        fixture.reopen();
    }
}

/// An index is kept as long as its scheme is the same. With another one it is empty, is built
/// anew from the start, and old cursors are refused.
pub fn an_index_of_another_scheme_is_emptied(fixture: &mut impl Fixture) {
    fixture.store().prepare_index(7).unwrap();
    let documents: Vec<_> =
        (1..=3).map(|n| document(&format!("Patient/p{n}"), n, Vec::new())).collect();
    fill(fixture.store(), documents.clone());
    fixture.reopen();
    let store = fixture.store();
    store.prepare_index(7).unwrap();
    assert_eq!(store.index_position().unwrap(), Some(position(3)));
    let first = Query { limit: 2, ..query("Patient", Vec::new()) };
    let page = store.search(&first).unwrap();
    let second = Query { after: page.next, ..first.clone() };
    assert_eq!(names(&store.search(&second).unwrap()), ["p3"]);
    // A page can start behind anything that was found.
    let behind = Query { after: Some(page.found[0].cursor), ..first.clone() };
    assert_eq!(names(&store.search(&behind).unwrap()), ["p2", "p3"]);
    assert_eq!(page.next.unwrap().to_string().parse(), Ok(page.next.unwrap()));
    store.prepare_index(8).unwrap();
    assert_eq!(store.index_position().unwrap(), None);
    assert!(matches!(store.search(&second), Err(Error::CursorExpired)));
    assert_eq!(names(&store.search(&first).unwrap()), [""; 0]);
    store.index(&IndexBatch { upto: position(3), documents }).unwrap();
    assert_eq!(names(&store.search(&first).unwrap()), ["p1", "p2"]);
}

/// What a flush writes is found as before, and indexed on.
pub fn a_flushed_index_is_the_same(fixture: &mut impl Fixture) {
    let all = Query { limit: 9, ..query("Patient", Vec::new()) };
    fixture.store().flush_index().unwrap();
    fill(fixture.store(), vec![document("Patient/a", 1, Vec::new())]);
    fixture.store().flush_index().unwrap();
    let store = fixture.store();
    assert_eq!(store.index_position().unwrap(), Some(position(1)));
    let documents = vec![document("Patient/b", 2, Vec::new())];
    let mut build = Builder::new();
    drop(build.put("Basic/1"));
    store.append(&vec![build.put("Patient/b")].into()).unwrap();
    store.index(&IndexBatch { upto: position(2), documents }).unwrap();
    assert_eq!(names(&store.search(&all).unwrap()), ["a", "b"]);
    store.flush_index().unwrap();
    assert_eq!(names(&store.search(&all).unwrap()), ["a", "b"]);
}

/// What matches all the time is found once, whatever comes, changes and goes meanwhile.
pub fn a_paged_search_finds_each_resource_once_while_data_changes(fixture: &mut impl Fixture) {
    let rows = || vec![token("code", None, "x")];
    let documents = (1..=40).map(|n| document(&format!("Patient/{n:02}"), n, rows())).collect();
    fill(fixture.store(), documents);
    let mut build = Builder::new();
    (0..40).for_each(|n| drop(build.put(&format!("Basic/{n}"))));
    let mut query = Query { limit: 7, ..query("Patient", vec![is("code", code("x"))]) };
    let mut found = Vec::new();
    loop {
        let store = fixture.store();
        let page = store.search(&query).unwrap();
        found.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page.next else { break };
        query.after = Some(next);
        if build.head() >= 48 {
            continue;
        }
        // Change 10 behind and in front of the cursor, delete 20, add a new one.
        let entries = vec![build.put("Patient/10"), build.put("Patient/20")];
        let upto = entries[1].change.position;
        store.append(&entries.into()).unwrap();
        let gone = IndexDocument { deleted: true, ..document("Patient/20", upto.get(), rows()) };
        let documents = vec![
            document("Patient/10", upto.get() - 1, rows()),
            gone,
            document(&format!("Patient/new{upto}"), upto.get(), rows()),
        ];
        store.index(&IndexBatch { upto, documents }).unwrap();
        fixture.reopen();
    }
    let old: Vec<_> = found.iter().filter(|name| !name.starts_with("new")).cloned().collect();
    let expected: Vec<_> = (1..=40).filter(|n| *n != 20).map(|n| format!("{n:02}")).collect();
    assert_eq!(old, expected);
}

/// Totals count what matches, not what the page shows.
pub fn search_totals_are_counted(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let rows = |n: u64| vec![token("mod3", None, &(n % 3).to_string())];
    let documents = (1..=30).map(|n| document(&format!("Patient/{n:02}"), n, rows(n))).collect();
    fill(store, documents);
    let of = |clauses, limit| Query { limit, total: true, ..query("Patient", clauses) };
    let thirds = vec![is("mod3", code("1"))];
    let page = store.search(&of(thirds.clone(), 3)).unwrap();
    assert_eq!(page.total, Some(Total { count: 10, exact: true }));
    let next = Query { after: page.next, ..of(thirds.clone(), 3) };
    assert_eq!(store.search(&next).unwrap().total, page.total);
    let page = store.search(&of(thirds, 0)).unwrap();
    assert_eq!((page.total.unwrap().count, page.found.len(), page.next), (10, 0, None));
    let page = store.search(&of(Vec::new(), 100)).unwrap();
    assert_eq!((page.total.unwrap().count, page.found.len(), page.next), (30, 30, None));
}

/// A search that finds little in much answers in steps.
pub fn a_search_looks_at_a_bounded_number_of_documents(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let last = SEARCH_SCAN_MAX as u64 + 100;
    let documents = (1..=last).map(|n| document(&format!("Patient/p{n}"), n, Vec::new()));
    let documents = documents
        .map(|mut document| {
            if document.position.get() == last {
                document.rows.push(text("name", "Needle"));
            }
            document
        })
        .collect();
    fill(store, documents);
    let contains = vec![is("name", Test::TextContains("need".into()))];
    let not = vec![any(vec![Condition::Missing { parameter: "name".into(), missing: false }])];
    for clauses in [contains, not] {
        let mut query = Query { total: true, ..query("Patient", clauses) };
        let mut found = Vec::new();
        for call in 0.. {
            assert!(call < 3, "too many steps");
            let page = store.search(&query).unwrap();
            let total = page.total.unwrap();
            assert!(total.count == u64::from(total.exact), "{total:?}");
            found.extend(page.found);
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 1);
    }
}

/// Values longer than the index keeps are told apart by what it keeps.
pub fn a_long_search_value_is_found_by_itself(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let long = "é".repeat(INDEX_VALUE_BYTES_MAX);
    let rows = vec![
        text("name", &long),
        token("code", Some(&long), &long),
        row("url", IndexedValue::Uri(long.as_str().into())),
        row("subject", IndexedValue::ReferenceUrl(long.as_str().into())),
        token("code", None, ""),
        text("name", ""),
    ];
    fill(store, vec![document("Patient/a", 1, rows), document("Patient/b", 2, Vec::new())]);
    fixture.reopen();
    let store = fixture.store();
    let exact = Test::TextExact { folded: long.as_str().into(), exact: long.as_str().into() };
    let system = SystemTest::Is(long.as_str().into());
    for (parameter, test) in [
        ("name", exact),
        ("name", Test::TextPrefix(long.as_str().into())),
        ("name", Test::TextContains(long[..1_000].into())),
        ("code", Test::Token { system: system.clone(), code: Some(long.as_str().into()) }),
        ("code", Test::Token { system, code: None }),
        ("code", code("")),
        ("url", Test::Uri(long.as_str().into())),
        ("url", Test::UriPrefix(long.as_str().into())),
        ("subject", Test::ReferenceUrl(long.as_str().into())),
    ] {
        check(store, vec![is(parameter, test)], &["a"]);
    }
}
