//! Random histories: a store answers as the memory store does, whatever happened to it.

use cresset_model::{Interaction, ResourceKey, SubscriptionKey};

use super::{Builder, Fixture, at, client, key, number, position, version};
use crate::{
    ChangeLog, Entry, Group, MemoryStore, Record, Retention, Store, SubscriptionLife, TokenRecord,
};

const SEEDS: u64 = 4;
const STEPS: u64 = 120;

/// A small generator (splitmix64): the cases need no more, and must be the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Groups, cursors, tokens, retention and restarts in random order, compared after each.
pub fn it_behaves_like_the_memory_store(fixture: &mut impl Fixture) {
    // Histories follow one another in one store, so later seeds start from a filled one.
    let model = MemoryStore::new();
    let mut build = Builder::new();
    let mut alive = Vec::new();
    let mut born = Vec::new();
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        for step in 0..STEPS {
            match random.below(12) {
                0 => fixture.reopen(),
                1 => {
                    let retention = Retention {
                        events_per_subscription_max: Some(random.below(30)),
                        events_before: (random.below(2) == 0).then(|| {
                            at(build.head().saturating_sub(random.below(200)).cast_signed())
                        }),
                        tokens_expired_before: Some(at(random.below(50).cast_signed())),
                    };
                    // Steps may be cut differently; whole sweeps come to the same.
                    sweep(&model, &retention);
                    sweep(fixture.store(), &retention);
                }
                _ => {
                    let group = group(&mut random, &mut build, &mut alive, &model);
                    born.extend(begun(&group));
                    let expected = model.append(&group).unwrap();
                    let appended = fixture.store().append(&group);
                    assert_eq!(appended.unwrap(), expected, "seed {seed} step {step}");
                }
            }
            if step % 10 == 9 {
                compare(fixture.store(), &model, &mut random, &born);
            }
        }
    }
}

fn sweep(store: &dyn Store, retention: &Retention) {
    while !store.forget(retention, 50).unwrap().finished {}
    // The first sweep may have begun in the middle.
    while !store.forget(retention, 50).unwrap().finished {}
}

fn group(
    random: &mut Random,
    build: &mut Builder,
    alive: &mut Vec<(String, SubscriptionKey)>,
    model: &MemoryStore,
) -> Group {
    let mut group = Group::default();
    for _ in 0..random.below(12) {
        let entry = match random.below(10) {
            0 => {
                let name = format!("Subscription/{}", build.head());
                let (entry, key) = build.begin(&name);
                alive.push((name, key));
                entry
            }
            1 if !alive.is_empty() => {
                let index = usize::try_from(random.below(alive.len() as u64)).unwrap();
                let (name, key) = alive.swap_remove(index);
                build.end(&name, key)
            }
            2 => build.delete(&format!("Patient/{}", random.below(20))),
            3 => build.change(&format!("Patient/{}", random.below(20)), Interaction::Create),
            _ => build.put(&format!("Observation/{}", random.below(40))),
        };
        let mut entry: Entry = entry;
        if !matches!(entry.subscription, Some(SubscriptionLife::Ends(_))) {
            entry.events = alive.iter().map(|(_, key)| *key).collect();
            entry.events.retain(|_| random.below(3) == 0);
        }
        group.entries.push(entry);
    }
    for _ in 0..random.below(4) {
        let byte = u8::try_from(random.below(8)).unwrap();
        match random.below(4) {
            0 => group.records.push(Record::Token(TokenRecord {
                hash: [byte; 32],
                base: key("Patient/1").base,
                owner: client("binder"),
                expires: at(random.below(100).cast_signed()),
                subscriptions: alive.iter().map(|(_, key)| *key).collect(),
            })),
            1 => group.records.push(Record::TokenRevoked([byte; 32])),
            _ => {
                let index = usize::try_from(random.below(alive.len().max(1) as u64)).unwrap();
                let Some((_, key)) = alive.get(index) else { continue };
                let Some(record) = model.subscription(*key).unwrap() else { continue };
                if record.events > 0 {
                    let number = number(1 + random.below(record.events));
                    group.records.push(Record::Cursor { subscription: *key, number });
                }
            }
        }
    }
    group
}

fn begun(group: &Group) -> impl Iterator<Item = SubscriptionKey> {
    let begins =
        |entry: &&Entry| matches!(entry.subscription, Some(SubscriptionLife::Begins { .. }));
    let key = |entry: &Entry| SubscriptionKey::created_at(entry.change.position);
    group.entries.iter().filter(begins).map(key)
}

fn compare(store: &dyn Store, model: &MemoryStore, random: &mut Random, born: &[SubscriptionKey]) {
    let head = model.head().unwrap().map_or(0, |head| head.get());
    assert_eq!(store.head().unwrap(), model.head().unwrap());
    let after = Some(position(1 + random.below(head.max(1))));
    assert_eq!(store.changes(after, 50).unwrap(), model.changes(after, 50).unwrap());
    let records = store.subscriptions(None, usize::MAX).unwrap();
    assert_eq!(records, model.subscriptions(None, usize::MAX).unwrap());
    for &key in born {
        let from = number(1 + random.below(20));
        let range = |store: &dyn Store| store.events(key, from, number(9_999), 100).unwrap();
        assert_eq!(range(store), range(model));
    }
    let keys: Vec<ResourceKey> = (0..40)
        .map(|n| key(&format!("Observation/{n}")))
        .chain((0..20).map(|n| key(&format!("Patient/{n}"))))
        .collect();
    assert_eq!(store.current(&keys).unwrap(), model.current(&keys).unwrap());
    for key in &keys {
        let before = Some(version(1 + random.below(20)));
        let of = |store: &dyn Store| store.history(key, before, 5).unwrap();
        assert_eq!(of(store), of(model));
        let one = version(1 + random.below(5));
        assert_eq!(store.version(key, one).unwrap(), model.version(key, one).unwrap());
    }
    for name in ["Patient/1", "Observation/1", "Subscription/1"] {
        let key = key(name);
        let after = Some(&keys[usize::try_from(random.below(60)).unwrap()].id);
        let all =
            |store: &dyn Store| store.resources(key.base, &key.resource_type, after, 500).unwrap();
        assert_eq!(all(store), all(model));
    }
    for byte in 0..8 {
        assert_eq!(store.token(&[byte; 32]).unwrap(), model.token(&[byte; 32]).unwrap());
    }
}
