//! What JetStream's answers mean. That a real server is spoken to as it should be is proven by
//! `crates/conformance/tests/it/nats.rs`.

use super::*;

fn verdict(answer: &'static str) -> Result<(), FailureKind> {
    confirmed(&Bytes::from_static(answer.as_bytes())).map_err(|failure| failure.kind)
}

#[test]
fn only_a_confirmation_of_jetstream_is_a_success() {
    let (now, ever) =
        (FailureKind::Broker { lasting: false }, FailureKind::Broker { lasting: true });
    for (answer, expected) in [
        (r#"{"stream":"NOTIFICATIONS","seq":7}"#, Ok(())),
        (r#"{"stream":"NOTIFICATIONS","seq":7,"duplicate":true}"#, Ok(())),
        (r#"{"stream":"NOTIFICATIONS","seq":0}"#, Err(now)),
        (r#"{"stream":"","seq":7}"#, Err(now)),
        (r#"{"ok":true}"#, Err(now)),
        ("", Err(now)),
        ("+OK", Err(now)),
        (r#"{"error":{"code":503,"err_code":10077,"description":"full"}}"#, Err(now)),
        (r#"{"error":{"code":400,"err_code":10054,"description":"large"}}"#, Err(ever)),
        // An error beside what looks like a success.
        (r#"{"stream":"S","seq":1,"error":{"code":500}}"#, Err(now)),
    ] {
        assert_eq!(verdict(answer), expected, "{answer}");
    }
}

#[test]
fn a_lost_connection_is_made_anew_at_once_and_then_less_often() {
    assert_eq!(reconnect_delay(0), RECONNECT_DELAY_MIN);
    assert_eq!(reconnect_delay(1), RECONNECT_DELAY_MIN * 2);
    assert_eq!(reconnect_delay(usize::MAX), RECONNECT_DELAY_MAX);
}
