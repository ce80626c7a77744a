//! What a machine that is made anew goes on from.

use super::*;

#[test]
fn a_restart_goes_on_from_what_the_store_has() {
    let cases = [
        (Requested, 0, 2, "#1 handshake"),
        (Active, 2, 4, "#1 events 3-4"),
        (Active, 4, 4, ""),
        (Active, 9, 4, ""),
        (Error, 2, 4, ""),
        (Off, 2, 4, ""),
    ];
    for (status, cursor, last, expected) in cases {
        let mut rig = Rig::new(settings(), status, cursor, last);
        let due = rig.deadline();
        assert_eq!(rig.tick(1), expected, "{status:?} {cursor} {last}");
        assert_eq!(due.is_some(), !expected.is_empty(), "{status:?} {cursor} {last}");
    }
}

#[test]
fn a_restart_goes_on_where_the_retries_stood() {
    let mut rig = Rig::new(settings(), Active, 2, 4);
    assert_eq!(rig.tick(0), "#1 events 3-4");
    assert_eq!(rig.ended(1, 1, retry()), "");
    // However often it restarts: no attempt comes early, and new events do not join the batch.
    for seconds in 2..6 {
        rig = rig.restarted(seconds, 2, 9);
        assert_eq!(rig.tick(seconds), "");
        assert_eq!(rig.deadline(), Some(6));
    }
    assert_eq!(rig.tick(6), "#1 events 3-4");
    assert_eq!(rig.ended(7, 1, retry()), "");
    rig = rig.restarted(8, 2, 9);
    assert_eq!(rig.deadline(), Some(17), "the second step of the schedule");
    let mut lasting = rig.restarted(9, 2, 9);
    assert_eq!(lasting.tick(17), "#1 events 3-4");
    assert_eq!(lasting.ended(18, 1, retry()), "error (HTTP status 503)");
    assert_eq!(lasting.retries, None);
    assert_eq!(rig.tick(17), "#1 events 3-4");
    assert_eq!(rig.ended(18, 1, Outcome::Success), "cursor 4, #2 events 5-7");
    assert_eq!(rig.retries, None, "and a success ends it");
    let mut rig = Rig::new(settings(), Requested, 0, 0);
    assert_eq!(rig.tick(1), "#1 handshake");
    assert_eq!(rig.ended(2, 1, retry()), "");
    let mut rig = rig.restarted(3, 0, 0);
    assert_eq!(rig.deadline(), Some(4));
    assert_eq!(rig.tick(4), "#1 handshake");
    assert_eq!(rig.ended(5, 1, retry()), "error (HTTP status 503)");
}

#[test]
fn what_was_noted_of_retries_does_not_outlive_a_status() {
    let mut rig = Rig::new(settings(), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(1, 1, retry()), "");
    let noted = rig.retries;
    assert!(noted.is_some());
    // The process died before it could note that they are over.
    let state = |since| DeliveryState {
        status: Active,
        cursor: None,
        last: 1,
        since: at(since),
        retries: noted,
    };
    assert_eq!(Delivery::new(settings(), state(1), at(3)).failures, 1);
    assert_eq!(Delivery::new(settings(), state(2), at(3)).failures, 0);
    let sent = DeliveryState { cursor: EventNumber::new(1), last: 4, ..state(1) };
    assert_eq!(Delivery::new(settings(), sent, at(3)).failures, 0);
}

#[test]
fn a_re_send_that_failed_is_forgotten_with_the_process_and_switches_nothing_off() {
    let patient = with_policy(|policy| policy.off_after = Some(Duration::from_secs(100)));
    let mut rig = Rig::new(patient, Active, 1, 1);
    assert_eq!(rig.resend(0, 1, 1), "#1 events 1-1");
    assert_eq!(rig.ended(1, 1, retry()), "");
    assert!(rig.retries.is_some());
    let mut rig = rig.restarted(2, 1, 1);
    assert!(!rig.delivery.goes_on(), "what was recorded is void");
    assert_eq!((rig.tick(1_000).as_str(), rig.deadline()), ("", None));
    assert_eq!(rig.appended(1_001, 2), "#1 events 2-2");
}

#[test]
fn time_that_the_server_was_down_switches_nothing_off() {
    let patient = with_policy(|policy| policy.off_after = Some(Duration::from_secs(100)));
    let mut rig = Rig::new(patient, Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(1, 1, retry()), "");
    let mut rig = rig.restarted(1_000, 0, 1);
    assert_eq!(rig.tick(1_000), "#1 events 1-1", "it is tried first");
    let mut failing = rig.restarted(1_000, 0, 1);
    assert_eq!(rig.ended(1_001, 1, Outcome::Success), "cursor 1");
    assert_eq!(failing.tick(1_000), "#1 events 1-1");
    assert_eq!(failing.ended(1_001, 1, retry()), "");
    assert_eq!(failing.deadline(), Some(1_011), "the next retry");
}

#[test]
fn a_wait_before_a_restart_is_bounded_though_the_clock_was_set_back() {
    let day = with_policy(|policy| policy.retries = schedule(&[86_400]));
    let mut rig = Rig::new(day, Active, 0, 1);
    assert_eq!(rig.tick(10_000_000), "#1 events 1-1");
    assert_eq!(rig.ended(10_000_000, 1, retry()), "");
    let rig = rig.restarted(0, 0, 1);
    assert_eq!(rig.deadline(), Some(86_400 * 6 / 5));
}
