//! A table of the breaker's states, and its invariants for any sequence of attempts.

use proptest::prelude::*;

use super::*;
use crate::retry::JITTER_MIDDLE;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
const TIME_MAX: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Timestamp {
    after(START, Duration::from_secs(seconds))
}

/// Opens after 3 failures, for 5 s, then 10 s, then 15 s.
fn breaker() -> Breaker {
    Breaker::new(BreakerPolicy {
        failures_max: NonZeroU32::new(3).unwrap(),
        pause_min: Duration::from_secs(5),
        pause_max: Duration::from_secs(15),
    })
}

/// Whether it opens with it.
fn ended(breaker: &mut Breaker, pass: Pass, health: Health, seconds: u64) -> bool {
    let was_open = breaker.is_open();
    breaker.ended(pass, health, JITTER_MIDDLE, at(seconds));
    !was_open && breaker.is_open()
}

fn opened() -> Breaker {
    let mut breaker = breaker();
    for wanted in [false, false, true] {
        let pass = breaker.permit(TIME_MAX, at(0));
        assert_eq!(pass, Permit::Pass(Pass::Normal));
        assert_eq!(ended(&mut breaker, Pass::Normal, Health::Bad, 0), wanted);
    }
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let mut closed = breaker();
    for health in [Health::Bad, Health::Bad, Health::Good, Health::Bad, Health::Bad] {
        assert!(!ended(&mut closed, Pass::Normal, health, 0));
    }
    assert!(!ended(&mut closed, Pass::Normal, Health::Unknown, 0));
    assert!(closed.is_suspect() && !closed.is_open());
    assert!(ended(&mut closed, Pass::Normal, Health::Bad, 0));
    assert!(closed.is_open());
}

#[test]
fn what_it_waits_for_moves_with_a_clock_that_is_set_back() {
    let mut breaker = opened();
    assert_eq!(breaker.permit(TIME_MAX, at(4)), Permit::Wait(at(5)));
    breaker.set_back(Duration::from_secs(3));
    assert_eq!(breaker.permit(TIME_MAX, at(1)), Permit::Wait(at(2)));
    assert_eq!(breaker.permit(TIME_MAX, at(2)), Permit::Pass(Pass::Probe(1)));
    breaker.set_back(Duration::from_secs(2));
    assert_eq!(breaker.permit(TIME_MAX, at(0)), Permit::Wait(at(30)));
}

#[test]
fn one_probe_at_a_time_finds_out_and_pauses_grow_to_a_bound() {
    let mut breaker = opened();
    let mut now = 0;
    for (number, pause) in (1..).zip([5, 10, 15, 15]) {
        assert_eq!(breaker.permit(TIME_MAX, at(now)), Permit::Wait(at(now + pause)));
        now += pause;
        let probe = Pass::Probe(number);
        assert_eq!(breaker.permit(TIME_MAX, at(now)), Permit::Pass(probe));
        assert_eq!(breaker.permit(TIME_MAX, at(now)), Permit::Wait(at(now + 30)));
        assert!(!ended(&mut breaker, Pass::Normal, Health::Bad, now), "from before");
        assert_eq!(breaker.permit(TIME_MAX, at(now)), Permit::Wait(at(now + 30)));
        assert!(!ended(&mut breaker, probe, Health::Bad, now), "it was open");
    }
    let Permit::Wait(until) = breaker.permit(TIME_MAX, at(now)) else { panic!("it is open") };
    let Permit::Pass(probe) = breaker.permit(TIME_MAX, until) else { panic!("it is time") };
    breaker.ended(probe, Health::Good, JITTER_MIDDLE, until);
    assert!(!breaker.is_suspect());
    assert_eq!(breaker.permit(TIME_MAX, until), Permit::Pass(Pass::Normal));
}

#[test]
fn a_success_of_before_closes_it_too() {
    let mut breaker = opened();
    ended(&mut breaker, Pass::Normal, Health::Good, 1);
    assert_eq!(breaker.permit(TIME_MAX, at(1)), Permit::Pass(Pass::Normal));
}

#[test]
fn a_probe_that_reached_nobody_or_was_lost_makes_room_for_the_next() {
    let mut breaker = opened();
    assert_eq!(breaker.permit(TIME_MAX, at(5)), Permit::Pass(Pass::Probe(1)));
    assert!(!ended(&mut breaker, Pass::Probe(1), Health::Unknown, 6));
    assert_eq!(breaker.permit(TIME_MAX, at(6)), Permit::Pass(Pass::Probe(2)));
    assert_eq!(breaker.permit(TIME_MAX, at(36)), Permit::Pass(Pass::Probe(3)), "lost");
    ended(&mut breaker, Pass::Probe(2), Health::Bad, 37);
    assert_eq!(breaker.permit(TIME_MAX, at(37)), Permit::Wait(at(66)), "the third is awaited");
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Ask,
    End(usize, Health, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let health = prop_oneof![
        2 => Just(Health::Good),
        6 => Just(Health::Bad),
        1 => Just(Health::Unknown),
    ];
    prop_oneof![
        2 => (0u64..20).prop_map(Step::Wait),
        4 => Just(Step::Ask),
        4 => (any::<usize>(), health, any::<u32>()).prop_map(|(i, health, j)| Step::End(i, health, j)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_sequence_of_attempts_keeps_the_invariants(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut breaker = breaker();
        let mut now = 0;
        let mut under_way: Vec<Pass> = Vec::new();
        let mut probe: Option<(Pass, u64)> = None;
        let mut bad_in_a_row = 0;
        let mut shut_until: Option<Timestamp> = None;
        for step in steps {
            match step {
                Step::Wait(seconds) => now += seconds,
                Step::Ask => match breaker.permit(TIME_MAX, at(now)) {
                    Permit::Pass(pass) => {
                        prop_assert!(shut_until.is_none_or(|until| until <= at(now)));
                        if let Pass::Probe(_) = pass {
                            let other = probe.filter(|(_, since)| since + 30 > now);
                            prop_assert_eq!(other, None, "one probe at a time");
                            prop_assert!(bad_in_a_row >= 3);
                            probe = Some((pass, now));
                        }
                        under_way.push(pass);
                    }
                    Permit::Wait(until) => {
                        prop_assert!(until > at(now), "no busy loop");
                        prop_assert!(until <= at(now + 30), "and never for ever");
                        prop_assert!(breaker.is_open());
                        shut_until = Some(until);
                    }
                },
                Step::End(index, health, jitter) => {
                    if under_way.is_empty() {
                        continue;
                    }
                    let pass = under_way.swap_remove(index % under_way.len());
                    // One of before a success is nothing special any more.
                    probe.take_if(|(one, _)| *one == pass || health == Health::Good);
                    breaker.ended(pass, health, jitter, at(now));
                    match health {
                        Health::Good => {
                            bad_in_a_row = 0;
                            prop_assert!(!breaker.is_open(), "a success closes it");
                        }
                        Health::Bad => bad_in_a_row += 1,
                        Health::Unknown => {}
                    }
                    // What was said before no longer holds.
                    shut_until = None;
                    prop_assert!(!breaker.is_open() || bad_in_a_row >= 3);
                }
            }
        }
    }
}
