//! Cases of the views by resource.

use cresset_model::{Base, Interaction, ResourceKey};

use super::{Builder, Fixture, id, key, version};
use crate::Entry;

/// Answers come in the order of the keys, also when one is asked for twice.
pub fn current_answers_in_the_order_asked(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let names = ["Patient/1", "Patient/2", "Patient/1", "Patient/3", "Patient/1"];
    let entries: Vec<_> = names.iter().map(|name| build.put(name)).collect();
    store.append(&entries.clone().into()).unwrap();
    for _ in 0..2 {
        let keys =
            ["Patient/3", "Patient/1", "Patient/none", "Patient/2", "Patient/1"].map(key).to_vec();
        let current = fixture.store().current(&keys).unwrap();
        let expected = [Some(3), Some(4), None, Some(1), Some(4)]
            .map(|index: Option<usize>| index.map(|index| entries[index].change.clone()));
        assert_eq!(current, expected);
        fixture.reopen();
    }
}

/// A group's entries build on each other: a resource may change several times in it.
pub fn what_one_entry_makes_is_seen_by_the_next(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let entries = vec![build.put("Patient/1"), build.put("Patient/1"), build.delete("Patient/1")];
    store.append(&entries.clone().into()).unwrap();
    let patient = key("Patient/1");
    assert_eq!(
        store.current(std::slice::from_ref(&patient)).unwrap(),
        [Some(entries[2].change.clone())]
    );
    assert_eq!(store.version(&patient, version(2)).unwrap().as_ref(), Some(&entries[1].change));
}

/// A deleted resource is there as its delete; it may come back under the next version.
pub fn a_delete_is_the_newest_version(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let patient = key("Patient/1");
    store.append(&build.put("Patient/1").into()).unwrap();
    store.append(&build.delete("Patient/1").into()).unwrap();
    fixture.reopen();
    let store = fixture.store();
    let current = store.current(std::slice::from_ref(&patient)).unwrap().remove(0).unwrap();
    assert_eq!(current.interaction, Interaction::Delete);
    assert!(current.body.is_empty());
    store.append(&build.change("Patient/1", Interaction::Create).into()).unwrap();
    let current = store.current(std::slice::from_ref(&patient)).unwrap().remove(0).unwrap();
    assert_eq!((current.interaction, current.version), (Interaction::Create, version(3)));
    let deleted = store.version(&patient, version(2)).unwrap().unwrap();
    assert_eq!(deleted.interaction, Interaction::Delete);
}

/// History goes back from the newest version, in pages.
pub fn history_is_newest_first(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    for n in 0..30 {
        let entries = vec![build.put("Patient/1"), build.put(&format!("Patient/other-{n}"))];
        fixture.store().append(&entries.into()).unwrap();
    }
    fixture.reopen();
    let store = fixture.store();
    let patient = key("Patient/1");
    let mut versions = Vec::new();
    let mut before = None;
    loop {
        let page = store.history(&patient, before, 7).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.version);
        assert!(page.iter().all(|change| change.key == patient));
        versions.extend(page.iter().map(|change| change.version.get()));
    }
    assert_eq!(versions, (1..=30).rev().collect::<Vec<_>>());
    assert_eq!(store.version(&patient, version(31)).unwrap(), None);
    assert_eq!(store.version(&patient, version(17)).unwrap().unwrap().version, version(17));
}

/// The catalog is loaded from this listing.
pub fn resources_are_listed_by_id_without_the_deleted(fixture: &mut impl Fixture) {
    let mut build = Builder::new();
    let store = fixture.store();
    let mut entries: Vec<Entry> =
        (0..50).rev().map(|n| build.put(&format!("Patient/{n:02}"))).collect();
    entries.push(build.put("PatientX/aa"));
    entries.push(build.put("Observation/zz"));
    entries.extend((0..50).step_by(3).map(|n| build.delete(&format!("Patient/{n:02}"))));
    entries.push(build.put("Patient/-first"));
    entries.push(build.put("Patient/10"));
    store.append(&entries.into()).unwrap();
    let patient = key("Patient/1").resource_type;
    for _ in 0..2 {
        let store = fixture.store();
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let page = store.resources(Base::new(4), &patient, after.as_ref(), 4).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.id.clone());
            ids.extend(page.iter().map(|change| change.key.id.as_str().to_owned()));
        }
        let rest = (0..50).filter(|n| n % 3 != 0).map(|n| format!("{n:02}"));
        let expected: Vec<_> = std::iter::once("-first".to_owned()).chain(rest).collect();
        assert_eq!(ids, expected);
        let ten = store.resources(Base::new(4), &patient, Some(&id("08")), 1).unwrap();
        assert_eq!(ten[0].version, version(2));
        fixture.reopen();
    }
}

/// The same type and id in another base, or the same id in another type, is another resource.
pub fn bases_and_types_are_apart(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let mut other = build.put("Patient/1");
    other.change.key.base = Base::new(5);
    let mut group = vec![other.clone(), build.put("Patient/1"), build.put("Group/1")];
    // The builder counts versions per resource of base 4; the first of each is version 1.
    group[1].change.version = version(1);
    store.append(&group.clone().into()).unwrap();
    fixture.reopen();
    let store = fixture.store();
    let keys: Vec<ResourceKey> = group.iter().map(|entry| entry.change.key.clone()).collect();
    let expected: Vec<_> = group.iter().map(|entry| Some(entry.change.clone())).collect();
    assert_eq!(store.current(&keys).unwrap(), expected);
    let patient = key("Patient/1").resource_type;
    assert_eq!(store.resources(Base::new(5), &patient, None, 9).unwrap(), [other.change]);
    assert_eq!(store.history(&keys[1], None, 9).unwrap(), [group[1].change.clone()]);
}
