//! What a clock that jumps, stands still with the machine or is set back does to what waits.

use super::*;

#[test]
fn no_time_that_the_clock_shows_ends_an_attempt_that_is_under_way() {
    let off_after = Some(Duration::from_secs(100));
    let mut rig = Rig::new(with_policy(|policy| policy.off_after = off_after), Active, 0, 1);
    assert_eq!((rig.tick(0).as_str(), rig.deadline()), ("#1 events 1-1", None));
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.tick(6), "#2 events 1-1");
    assert_eq!((rig.tick(1_000_000).as_str(), rig.deadline()), ("", None), "the clock jumps");
    assert_eq!(rig.appended(1_000_001, 2), "", "one at a time");
    assert_eq!(rig.ended(1_000_002, 2, Outcome::Success), "cursor 1, #3 events 2-2");
}

#[test]
fn what_was_due_while_the_machine_slept_is_tried_before_it_is_switched_off() {
    let patient = with_policy(|policy| policy.off_after = Some(Duration::from_secs(100)));
    let mut rig = Rig::new(patient, Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert_eq!(rig.tick(1_000_000), "#2 events 1-1");
    let mut unsent = rig.clone();
    assert_eq!(
        rig.ended(1_000_001, 2, retry()),
        "off (no notification has been taken for 277 hours)"
    );
    assert_eq!(unsent.ended(1_000_001, 2, Outcome::Unsent), "", "that was no try");
    assert_eq!(unsent.tick(1_000_002), "#3 events 1-1");
    assert_eq!(unsent.ended(1_000_003, 3, Outcome::Success), "cursor 1");
}

#[test]
fn what_waits_moves_with_a_clock_that_is_set_back() {
    let set_back = |rig: &mut Rig| rig.delivery.set_back(Duration::from_secs(600));
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0);
    assert_eq!(rig.appended(1_000, 1), "#1 events 1-1");
    assert_eq!(rig.ended(1_001, 1, Outcome::Success), "cursor 1");
    set_back(&mut rig);
    assert_eq!(rig.deadline(), Some(460), "a heartbeat");
    assert_eq!(rig.appended(402, 2), "#2 events 2-2");
    assert_eq!(rig.ended(402, 2, retry()), "");
    assert_eq!(rig.deadline(), Some(407));
    set_back(&mut rig);
    assert_eq!(
        rig.delivery.next_deadline(),
        Some(crate::time::before(at(407), Duration::from_secs(600)))
    );
}
