//! Cases of the change log.

use bytes::Bytes;
use cresset_model::{Base, Interaction, TraceContext};

use super::{Builder, Fixture, at, id, key, number, position, subscription};
use crate::{Entry, Error, GROUP_ENTRIES_MAX, Group, PAGE_BYTES_MAX, PAGE_MAX, Record};

/// Every read of an empty store answers with nothing.
pub fn an_empty_store_has_nothing(fixture: &mut impl Fixture) {
    let store = fixture.store();
    assert_eq!(store.head().unwrap(), None);
    assert_eq!(store.changes(None, 10).unwrap(), []);
    assert_eq!(store.change(position(1)).unwrap(), None);
    assert_eq!(store.changes_at(&[position(1)], 0).unwrap(), [None]);
    assert_eq!(store.current(&[key("Patient/1")]).unwrap(), [None]);
    assert_eq!(store.history(&key("Patient/1"), None, 10).unwrap(), []);
    let patient = key("Patient/1").resource_type;
    assert_eq!(store.resources(Base::new(4), &patient, None, 10).unwrap(), []);
    assert_eq!(store.resources(Base::new(4), &patient, Some(&id("1")), 10).unwrap(), []);
    assert_eq!(store.subscriptions(None, 10).unwrap(), []);
    assert_eq!(store.events(subscription(1), number(1), number(9), 10).unwrap(), []);
    assert_eq!(store.token(&[7; 32]).unwrap(), None);
    assert_eq!(store.index_position().unwrap(), None);
    assert_eq!(store.append(&Group::default()).unwrap().events, []);
}

/// A group that does not start right after the head is fenced, and changes nothing.
pub fn positions_follow_the_head(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let first = build.put("Patient/1");
    let second = build.put("Patient/2");
    let third = build.put("Patient/3");
    let fenced = |entries: Vec<Entry>, head| match store.append(&Group::from(entries)) {
        Err(Error::Fenced { head: found }) => assert_eq!(found, head),
        other => panic!("{other:?}"),
    };
    fenced(vec![second.clone()], None);
    store.append(&first.clone().into()).unwrap();
    fenced(vec![first], Some(position(1)));
    fenced(vec![third.clone()], Some(position(1)));
    fenced(vec![second.clone(), second.clone()], Some(position(1)));
    fenced(vec![third.clone(), second.clone()], Some(position(1)));
    store.append(&vec![second, third].into()).unwrap();
    assert_eq!(store.head().unwrap(), Some(position(3)));
    fixture.reopen();
    assert_eq!(fixture.store().head().unwrap(), Some(position(3)));
}

/// Pages go on where the last one ended, and a page of nothing is the end.
pub fn changes_come_in_pages(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let count = PAGE_MAX + 10;
    let entries: Vec<_> = (0..count).map(|n| build.put(&format!("Patient/{n}"))).collect();
    store.append(&entries.clone().into()).unwrap();
    fixture.reopen();
    let store = fixture.store();
    let mut read = Vec::new();
    loop {
        let after = read.last().map(|change: &cresset_model::Change| change.position);
        let page = store.changes(after, usize::MAX).unwrap();
        assert!(page.len() <= PAGE_MAX);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let written: Vec<_> = entries.into_iter().map(|entry| entry.change).collect();
    assert_eq!(read, written);
    assert_eq!(store.changes(Some(position(3)), 2).unwrap(), written[3..5]);
    assert_eq!(store.change(position(5)).unwrap().as_ref(), Some(&written[4]));
    assert_eq!(store.change(position(count as u64 + 1)).unwrap(), None);
    let asked = [7, count as u64 + 1, 2, 7].map(position);
    let at = store.changes_at(&asked, PAGE_BYTES_MAX).unwrap();
    let at: Vec<_> = at.iter().map(Option::as_ref).collect();
    assert_eq!(at, [Some(&written[6]), None, Some(&written[1]), Some(&written[6])]);
    assert!(store.changes_at(&[], PAGE_BYTES_MAX).unwrap().is_empty());
    assert_eq!(
        store.changes_at(&[position(1); PAGE_MAX + 1], PAGE_BYTES_MAX).unwrap().len(),
        PAGE_MAX
    );
}

/// A page of large bodies is cut, but never empty before the end.
pub fn a_page_ends_after_its_bytes(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let body = Bytes::from(vec![b'x'; PAGE_BYTES_MAX / 2 + 1]);
    for name in ["Binary/1", "Binary/2", "Binary/1"] {
        let mut entry = build.put(name);
        entry.change.body = body.clone();
        store.append(&entry.into()).unwrap();
    }
    assert_eq!(store.changes(None, 10).unwrap().len(), 2);
    assert_eq!(store.changes(Some(position(2)), 10).unwrap().len(), 1);
    assert_eq!(store.changes_at(&[1, 2, 3].map(position), PAGE_BYTES_MAX).unwrap().len(), 2);
    assert_eq!(store.changes_at(&[3, 2].map(position), 1).unwrap().len(), 1);
    let binary = key("Binary/1");
    assert_eq!(store.history(&binary, None, 10).unwrap().len(), 2);
    assert_eq!(store.resources(binary.base, &binary.resource_type, None, 10).unwrap().len(), 2);
}

/// Bodies are bytes to the store.
pub fn a_body_is_kept_byte_for_byte(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let bodies: Vec<Bytes> = vec![
        Bytes::from_static(b"{\"value\":1.00, \"x\":\"\xff\x00\"}"),
        Bytes::from((0..=255).cycle().take(100_000).collect::<Vec<u8>>()),
        Bytes::from_static(b" "),
    ];
    for (n, body) in bodies.iter().enumerate() {
        let mut entry = build.put(&format!("Basic/{n}"));
        entry.change.body = body.clone();
        store.append(&entry.into()).unwrap();
    }
    fixture.reopen();
    let read = fixture.store().changes(None, 10).unwrap();
    assert_eq!(read.into_iter().map(|change| change.body).collect::<Vec<_>>(), bodies);
}

/// Cursors and tokens may come without a change; the head stays.
pub fn a_group_of_records_needs_no_change(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let (entry, key) = build.begin("Subscription/a");
    store.append(&vec![entry, build.events(&[key])].into()).unwrap();
    let cursor = Record::Cursor { subscription: key, number: number(1) };
    store.append(&Group { entries: Vec::new(), records: vec![cursor] }).unwrap();
    assert_eq!(store.head().unwrap(), Some(position(2)));
    fixture.reopen();
    let record = fixture.store().subscription(key).unwrap().unwrap();
    assert_eq!(record.cursor, Some(number(1)));
    assert_eq!(record.created, at(1));
}

/// Whatever makes a group wrong, nothing of it is kept, neither on disk nor in counters.
pub fn a_refused_group_leaves_no_trace(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let (entry, key) = build.begin("Subscription/a");
    store.append(&entry.into()).unwrap();
    let mut wrong = build.clone();
    let (begin, other) = wrong.begin("Subscription/b");
    let group = Group {
        entries: vec![begin, wrong.events(&[key, other])],
        records: vec![
            Record::Cursor { subscription: key, number: number(1) },
            Record::Cursor { subscription: key, number: number(2) },
        ],
    };
    assert!(matches!(store.append(&group), Err(Error::Invalid { .. })));
    let mut body_of_delete = build.clone().put("Patient/1");
    body_of_delete.change.interaction = Interaction::Delete;
    assert!(matches!(store.append(&body_of_delete.into()), Err(Error::Invalid { .. })));
    for _ in 0..2 {
        let store = fixture.store();
        assert_eq!(store.head().unwrap(), Some(position(1)));
        let records = store.subscriptions(None, 10).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].events, records[0].cursor), (0, None));
        fixture.reopen();
    }
    let appended = fixture.store().append(&build.events(&[key]).into()).unwrap();
    assert_eq!(appended.events[0].number, number(1));
}

/// Groups and pages have bounds.
pub fn too_much_is_refused(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let entry = build.put("Patient/1");
    let entries = vec![entry.clone(); GROUP_ENTRIES_MAX + 1];
    assert!(matches!(store.append(&entries.into()), Err(Error::Invalid { .. })));
    let keys = vec![key("Patient/1"); PAGE_MAX + 1];
    assert!(matches!(store.current(&keys), Err(Error::Invalid { .. })));
    store.append(&entry.into()).unwrap();
    assert_eq!(store.current(&keys[..PAGE_MAX]).unwrap().len(), PAGE_MAX);
}

/// The trace that a change names is read with it, however it is read.
pub fn a_trace_goes_with_its_change(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let mut traced = build.put("Patient/1");
    traced.change.trace = TraceContext::new([7; 16], [9; 8], 1);
    let plain = build.put("Patient/2");
    fixture.store().append(&vec![traced.clone(), plain.clone()].into()).unwrap();
    for _ in 0..2 {
        let store = fixture.store();
        assert_eq!(store.changes(None, 9).unwrap(), [traced.change.clone(), plain.change.clone()]);
        assert_eq!(store.change(position(1)).unwrap(), Some(traced.change.clone()));
        let current = store.current(std::slice::from_ref(&traced.change.key)).unwrap();
        assert_eq!(current, [Some(traced.change.clone())]);
        fixture.reopen();
    }
}
