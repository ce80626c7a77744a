//! Cases of several threads at one store.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Builder, Fixture, key, number, position};
use crate::{Entry, Error, Group};

/// Of two groups for the same position one is appended, the other fenced.
pub fn two_writers_do_not_both_append(fixture: &mut impl Fixture) {
    let store = fixture.store();
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    store.append(&begin.into()).unwrap();
    for round in 0..20 {
        let entry = build.events(&[a]);
        let barrier = Barrier::new(2);
        let write = || {
            barrier.wait();
            store.append(&Group::from(entry.clone()))
        };
        let results = thread::scope(|scope| {
            let other = scope.spawn(write);
            [write(), other.join().unwrap()]
        });
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(done, 1, "{results:?}");
        for result in results {
            match result {
                Ok(appended) => assert_eq!(appended.events[0].number, number(round + 1)),
                Err(Error::Fenced { head }) => assert_eq!(head, Some(entry.change.position)),
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(store.subscription(a).unwrap().unwrap().events, 20);
}

/// A reader never sees half a group, an event without its change, or time going back.
pub fn readers_see_whole_groups_while_others_append(fixture: &mut impl Fixture) {
    const GROUPS: u64 = 60;
    let store = fixture.store();
    let mut build = Builder::new();
    let (begin, a) = build.begin("Subscription/a");
    let (second, b) = build.begin("Subscription/b");
    store.append(&vec![begin, second].into()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut seen = 0;
                let mut numbers = 0;
                while !done.load(Ordering::Acquire) {
                    // Groups are pairs, after the first two changes: the head is always even.
                    let head = store.head().unwrap().unwrap();
                    assert!(head.get() >= seen && head.get().is_multiple_of(2));
                    seen = head.get();
                    let last = store.subscription(a).unwrap().unwrap().events;
                    assert!(last >= numbers && last.is_multiple_of(2), "{last} after {numbers}");
                    numbers = last;
                    if let Some(last) = cresset_model::EventNumber::new(last) {
                        let events = store.events(a, number(1), last, 10_000).unwrap();
                        assert_eq!(events.len() as u64, last.get());
                        let position = events[events.len() - 1].position;
                        assert!(store.change(position).unwrap().is_some());
                    }
                    let current = store.current(&[key("Encounter/e")]).unwrap().remove(0);
                    if let Some(current) = current {
                        assert!(current.position.get() >= seen, "behind a head already seen");
                    }
                    let history = store.history(&key("Encounter/e"), None, 5).unwrap();
                    assert!(history.windows(2).all(|pair| pair[0].version > pair[1].version));
                }
            });
        }
        let finish = Finish(&done);
        for _ in 0..GROUPS {
            let group: Vec<Entry> = vec![build.events(&[a, b]), build.events(&[b, a])];
            store.append(&group.into()).unwrap();
        }
        drop(finish);
    });
    assert_eq!(store.head().unwrap(), Some(position(2 + 2 * GROUPS)));
    assert_eq!(store.subscription(b).unwrap().unwrap().events, 2 * GROUPS);
}

/// Ends the readers also when the writer panics.
struct Finish<'d>(&'d AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
