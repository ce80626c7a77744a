use std::time::Duration;

use super::{Latency, Samples, Spread};

fn samples(microseconds: impl IntoIterator<Item = u64>) -> Samples {
    let mut samples = Samples::default();
    for latency in microseconds {
        samples.push(Duration::from_micros(latency));
    }
    samples
}

#[test]
fn percentiles_are_latencies_that_somebody_had() {
    let check = |values: Vec<u64>, p50_us: f64, p99_us: f64, max_us: f64| {
        let expected = Latency { samples: values.len(), p50_us, p99_us, max_us };
        assert_eq!(samples(values).latency(), Some(expected));
    };
    check(vec![7], 7.0, 7.0, 7.0);
    check(vec![9, 1], 1.0, 9.0, 9.0);
    check((1..=100).rev().collect(), 50.0, 99.0, 100.0);
    check((1..=200).collect(), 100.0, 198.0, 200.0);
}

#[test]
fn no_samples_have_no_percentiles() {
    assert_eq!(samples([]).latency(), None);
    assert_eq!(Spread::of([]), None);
}

#[test]
fn the_median_of_ratios_is_taken_pair_by_pair() {
    let pairs = [(10.0, 5.0), (9.0, 3.0), (4.0, 4.0)];
    let expected = Spread { median: 2.0, low: 1.0, high: 3.0 };
    assert_eq!(Spread::of_ratios(pairs), Some(expected));
    let even = Spread { median: 2.5, low: 2.0, high: 3.0 };
    assert_eq!(Spread::of([3.0, 2.0]), Some(even));
}

#[test]
fn a_ratio_against_nothing_is_left_out() {
    let expected = Spread { median: 2.0, low: 2.0, high: 2.0 };
    assert_eq!(Spread::of_ratios([(1.0, 0.0), (2.0, 1.0)]), Some(expected));
}

#[test]
fn pooled_samples_are_all_counted() {
    let mut pooled = samples([1, 2]);
    pooled.extend(&samples([3]));
    assert_eq!((pooled.len(), pooled.is_empty()), (3, false));
}
