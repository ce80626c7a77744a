//! A table holds what a plain list of the same holds, and clones stay as they were.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::pages::Pages;

/// Keys that differ in their first, middle and last bits, and some of which there are many.
fn key() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..40,
        select(vec![0, 1, u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32]),
        // Multiples of the inverse of what mixes keys: they share all bits but the last few.
        (0u64..200).prop_map(|n| n.wrapping_mul(0xf1de_83e1_9937_733d)),
        any::<u64>(),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Clone,
    Insert(u64, u32),
    Remove(u64, u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Clone),
        12 => (key(), 0u32..3).prop_map(|(key, value)| Step::Insert(key, value)),
        8 => (key(), 0u32..3).prop_map(|(key, value)| Step::Remove(key, value)),
    ]
}

fn check(pages: &Pages<u32>, list: &[(u64, u32)]) {
    let mut all = Vec::new();
    pages.for_each(|value| all.push(*value));
    let mut expected: Vec<_> = list.iter().map(|(_, value)| *value).collect();
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected);
    assert_eq!((pages.len(), pages.is_empty()), (list.len(), list.is_empty()));
    for (key, _) in list {
        let mut found: Vec<_> = pages.get(*key).copied().collect();
        let of_key = list.iter().filter(|(one, _)| one == key);
        let mut expected: Vec<_> = of_key.map(|(_, value)| *value).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

proptest! {
    #[test]
    fn pages_hold_what_a_list_holds(steps in proptest::collection::vec(step(), 1..400)) {
        let (mut pages, mut list) = (Pages::default(), Vec::new());
        let mut before = Vec::new();
        for step in steps {
            match step {
                Step::Clone => before.push((pages.clone(), list.clone())),
                Step::Insert(key, value) => {
                    pages.insert(key, value);
                    list.push((key, value));
                }
                Step::Remove(key, value) => {
                    let at = list.iter().position(|one| *one == (key, value));
                    let removed = pages.remove(key, |one| *one == value);
                    prop_assert_eq!(removed, at.map(|_| value));
                    at.map(|at| list.swap_remove(at));
                }
            }
        }
        check(&pages, &list);
        before.iter().for_each(|(pages, list)| check(pages, list));
        for (key, value) in list {
            prop_assert_eq!(pages.remove(key, |one| *one == value), Some(value));
        }
        check(&pages, &[]);
    }
}

#[test]
fn many_values_of_many_keys_come_and_go() {
    let mut pages = Pages::default();
    for number in 0..10_000_u32 {
        pages.insert(u64::from(number % 5_000), number);
    }
    for number in 0..10_000_u32 {
        let is_even = number % 2 == 0;
        let removed = pages.remove(u64::from(number % 5_000), |one| *one == number && is_even);
        assert_eq!(removed, is_even.then_some(number));
    }
    assert_eq!(pages.len(), 5_000);
    assert!((0..5_000).all(|key| pages.get(key).count() == if key % 2 == 0 { 0 } else { 2 }));
}
