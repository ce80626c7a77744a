//! When heartbeats go out, in `active` and in `error`, and what their failures lead to.

use super::*;

#[test]
fn heartbeats_fill_silence_and_any_notification_resets_their_timer() {
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0);
    assert_eq!((rig.tick(59), rig.deadline()), (String::new(), Some(60)));
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.ended(61, 1, Outcome::Success), "");
    assert_eq!(rig.appended(100, 1), "#2 events 1-1");
    assert_eq!(rig.ended(101, 2, Outcome::Success), "cursor 1");
    assert_eq!(rig.deadline(), Some(160));
}

#[test]
fn no_heartbeat_goes_out_that_was_not_asked_for() {
    for period in [None, Some(Duration::ZERO)] {
        let asked = DeliverySettings { heartbeat_period: period, ..settings() };
        let mut rig = Rig::new(asked, Active, 0, 0);
        assert_eq!((rig.tick(1_000_000), rig.deadline()), (String::new(), None));
    }
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0);
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.changed(61, settings()), "");
    assert_eq!(rig.ended(62, 1, retry()), "", "a heartbeat not wanted any more is not retried");
    assert_eq!((rig.tick(100), rig.deadline()), (String::new(), None));
}

#[test]
fn a_heartbeat_that_failed_before_it_was_given_up_switches_nothing_off() {
    let off_after = with_policy(|policy| policy.off_after = Some(Duration::from_secs(1_000)));
    let period = Some(Duration::from_secs(60));
    let beating = DeliverySettings { heartbeat_period: period, ..off_after.clone() };
    let mut rig = Rig::new(beating.clone(), Active, 0, 0);
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.ended(60, 1, retry()), "");
    assert_eq!((rig.changed(61, off_after.clone()).as_str(), rig.deadline()), ("", None));
    assert_eq!(rig.retries, None);
    assert_eq!(rig.appended(62, 1), "#2 events 1-1", "nor does it keep events waiting");
    let mut rig = Rig::new(beating.clone(), Active, 0, 0).crowded();
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.input(60, Input::AttemptBarred { id: AttemptId(1) }), "");
    assert_eq!((rig.changed(61, off_after.clone()).as_str(), rig.deadline()), ("", None));
    let mut owing = Rig::new(beating, Active, 0, 1);
    assert_eq!(owing.tick(0), "#1 events 1-1");
    assert_eq!(owing.ended(0, 1, retry()), "");
    assert_eq!((owing.changed(1, off_after).as_str(), owing.deadline()), ("", Some(5)));
}

#[test]
fn a_failing_heartbeat_counts_like_failing_events() {
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0);
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.ended(60, 1, retry()), "");
    assert_eq!(rig.appended(61, 1), "", "the wait before a retry is for all notifications");
    assert_eq!(rig.tick(65), "#2 events 1-1");
    assert_eq!(rig.ended(65, 2, retry()), "");
    assert_eq!(rig.tick(75), "#3 events 1-1");
    assert_eq!(rig.ended(75, 3, retry()), "error (HTTP status 503)");
}

fn heartbeats_in_error() -> DeliverySettings {
    let beating = with_policy(|policy| {
        policy.heartbeats_in_error = true;
        policy.off_after = Some(Duration::from_secs(1_000));
    });
    DeliverySettings { heartbeat_period: Some(Duration::from_secs(60)), ..beating }
}

#[test]
fn heartbeats_go_on_in_error_without_retries_and_lead_nowhere() {
    let mut rig = Rig::new(heartbeats_in_error(), Error, 0, 3);
    assert_eq!((rig.tick(59).as_str(), rig.deadline()), ("", Some(60)));
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.ended(61, 1, retry()), "");
    assert_eq!(rig.deadline(), Some(120), "no retry");
    assert_eq!(rig.appended(62, 9), "", "no events");
    assert_eq!(rig.tick(120), "#2 heartbeat");
    assert_eq!(rig.ended(121, 2, Outcome::Success), "", "RQ-ER-03");
    assert_eq!((rig.delivery.status(), rig.delivery.lag()), (Error, 9));
    assert_eq!(rig.tick(180), "#3 heartbeat");
    assert_eq!(
        rig.ended(181, 3, Outcome::Gone { reason: reason("HTTP status 410") }),
        "off (HTTP status 410)"
    );
}

#[test]
fn heartbeats_in_error_that_fail_come_no_more_often_than_retries_would() {
    let period = Some(Duration::from_secs(2));
    let beating = DeliverySettings { heartbeat_period: period, ..heartbeats_in_error() };
    let mut rig = Rig::new(beating.clone(), Error, 0, 3);
    assert_eq!(rig.tick(2), "#1 heartbeat");
    assert_eq!(rig.ended(2, 1, retry()), "");
    assert_eq!(rig.deadline(), Some(7));
    // However often it restarts.
    let mut rig = rig.restarted(3, 0, 3);
    assert_eq!((rig.tick(6).as_str(), rig.tick(7).as_str()), ("", "#1 heartbeat"));
    assert_eq!(rig.ended(7, 1, Outcome::Rejected { reason: reason("HTTP status 404") }), "");
    assert_eq!(rig.deadline(), Some(17));
    assert_eq!(rig.tick(17), "#2 heartbeat");
    assert_eq!(rig.ended(17, 2, retry()), "");
    assert_eq!(rig.deadline(), Some(27), "the last step of the schedule, for ever");
    assert_eq!(rig.tick(27), "#3 heartbeat");
    let retry_after = Some(Duration::from_secs(40));
    let busy = Outcome::Retry { reason: reason("HTTP status 503"), retry_after };
    assert_eq!(rig.ended(27, 3, busy), "");
    assert_eq!(rig.tick(70), "", "as long as was asked for, and a draw more");
    assert_eq!(rig.tick(72), "#4 heartbeat");
    assert_eq!(rig.ended(72, 4, Outcome::Success), "");
    assert_eq!(rig.deadline(), Some(74), "as often as was asked for, once one is taken");
    let mut rig = rig.restarted(73, 0, 3);
    assert_eq!((rig.tick(75).as_str(), rig.ended(75, 1, retry()).as_str()), ("#1 heartbeat", ""));
    assert_eq!(rig.deadline(), Some(80), "from the first step on");
    assert_eq!(rig.updated(76, Requested), "");
    assert_eq!((rig.retries, rig.tick(77).as_str()), (None, "#2 handshake"));
    let eager = with_policy(|policy| policy.retries = schedule(&[]));
    let policy = RetryPolicy { heartbeats_in_error: true, ..RetryPolicy::clone(&eager.policy) };
    let mut rig = Rig::new(DeliverySettings { policy: Arc::new(policy), ..beating }, Error, 0, 3);
    assert_eq!((rig.tick(2).as_str(), rig.ended(2, 1, retry()).as_str()), ("#1 heartbeat", ""));
    assert_eq!(rig.deadline(), Some(4), "nothing is repeated, so only the period counts");
}

#[test]
fn no_heartbeat_goes_out_while_a_retry_waits() {
    let mut rig = Rig::new(heartbeats(2), Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(0, 1, retry()), "");
    assert_eq!((rig.tick(4).as_str(), rig.deadline()), ("", Some(5)));
    assert_eq!(rig.tick(5), "#2 events 1-1");
    assert_eq!(rig.ended(5, 2, Outcome::Success), "cursor 1");
    assert_eq!((rig.deadline(), rig.tick(7).as_str()), (Some(7), "#3 heartbeat"));
    assert_eq!(rig.ended(7, 3, retry()), "");
    assert_eq!(rig.deadline(), Some(12), "one that failed is repeated by the schedule, too");
}

#[test]
fn a_heartbeat_in_error_that_could_not_be_sent_is_made_up_for_soon() {
    let mut rig = Rig::new(heartbeats_in_error(), Error, 0, 3);
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.ended(65, 1, Outcome::Unsent), "");
    assert_eq!(rig.deadline(), Some(66), "no busy loop");
    assert_eq!(rig.tick(66), "#2 heartbeat");
}

#[test]
fn a_heartbeat_that_was_not_sent_is_made_up_for_soon() {
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0);
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.ended(65, 1, Outcome::Unsent), "");
    assert_eq!((rig.deadline(), rig.tick(66).as_str()), (Some(66), "#2 heartbeat"));
    let mut rig = Rig::new(heartbeats(60), Active, 0, 0).crowded();
    assert_eq!(rig.tick(60), "#1 heartbeat");
    assert_eq!(rig.changed(70, heartbeats(50)), "#2 heartbeat", "the one that had no room yet");
}

#[test]
fn what_never_succeeds_is_switched_off_and_a_success_puts_it_off() {
    let off = "off (no notification has been taken for 0 hours)";
    let mut rig = Rig::new(heartbeats_in_error(), Error, 0, 3);
    assert_eq!(rig.tick(900), "#1 heartbeat");
    assert_eq!(rig.ended(900, 1, Outcome::Success), "");
    assert_eq!(rig.tick(1_000), "#2 heartbeat");
    assert_eq!(rig.ended(1_000, 2, retry()), "");
    assert_eq!(rig.tick(1_899), "#3 heartbeat");
    let mut answered = rig.clone();
    assert_eq!(rig.tick(1_900), "", "it may still succeed");
    assert_eq!(rig.ended(1_901, 3, retry()), off);
    assert_eq!(rig.deadline(), None);
    assert_eq!(answered.ended(1_901, 3, Outcome::Success), "");
    assert_eq!(answered.deadline(), Some(1_959));
    // Also inside `active`, where the schedule is longer than the patience, from the first failure.
    let short = with_policy(|policy| policy.off_after = Some(Duration::from_secs(12)));
    let mut rig = Rig::new(short, Active, 0, 1);
    assert_eq!(rig.tick(0), "#1 events 1-1");
    assert_eq!(rig.ended(2, 1, retry()), "");
    assert_eq!(rig.tick(7), "#2 events 1-1");
    assert_eq!(rig.ended(7, 2, retry()), "");
    assert_eq!(rig.deadline(), Some(14));
    assert_eq!(rig.tick(14), off);
}

#[test]
fn time_in_error_counts_over_a_restart_but_a_heartbeat_may_still_succeed_first() {
    let state = DeliveryState { status: Error, cursor: None, last: 3, since: at(0), retries: None };
    let beating = heartbeats_in_error();
    let silent = DeliverySettings { heartbeat_period: None, ..beating.clone() };
    let rig = |settings, now| Rig {
        delivery: Delivery::new(settings, state, now),
        crowded: false,
        retries: None,
    };
    let restarted = |settings| rig(settings, at(5_000));
    assert_eq!(
        restarted(silent.clone()).tick(5_000),
        "off (no notification has been taken for 1 hours)"
    );
    let early = rig(silent, at(500));
    assert_eq!(early.deadline(), Some(1_000));
    let mut rig = restarted(beating.clone());
    assert_eq!(rig.tick(5_060), "#1 heartbeat");
    assert_eq!(rig.ended(5_061, 1, Outcome::Success), "");
    assert_eq!(rig.deadline(), Some(5_120));
    let mut after_success = rig.restarted(5_500, 0, 3);
    let mut rig = restarted(beating);
    assert_eq!(rig.tick(5_060), "#1 heartbeat");
    assert_eq!(rig.ended(5_061, 1, retry()), "");
    assert_eq!(rig.deadline(), Some(5_100), "the heartbeat's time is over");
    assert_eq!(after_success.tick(5_560), "#1 heartbeat");
    assert_eq!(after_success.ended(5_561, 1, retry()), "");
    assert_eq!(after_success.deadline(), Some(5_620), "one that fails after one that did not");
    assert_eq!(after_success.updated(5_600, Requested), "");
    assert_eq!(after_success.retries, None);
}
