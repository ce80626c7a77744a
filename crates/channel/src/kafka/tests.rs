//! What the codes of a broker mean. That a broker is spoken to as it should be is proven by
//! `crates/conformance/tests/it/kafka.rs`.

use super::*;

#[test]
fn what_is_the_operators_to_set_right_is_not_held_against_the_subscriber() {
    let (now, ever) =
        (FailureKind::Broker { lasting: false }, FailureKind::Broker { lasting: true });
    let no_broker = FailureKind::NoResponse(NoResponse::Connect);
    for (code, expected) in [
        // Too large, not a topic, not a record.
        (10, ever),
        (17, ever),
        (87, ever),
        // Not enough replicas.
        (19, now),
        // Not authorised: for the topic, a group, the cluster, a transaction.
        (29, now),
        (30, now),
        (31, now),
        (53, now),
        // Another mechanism, another order of the login, no security at all.
        (33, now),
        (34, now),
        (54, now),
        // Another version, another password.
        (35, no_broker),
        (58, no_broker),
    ] {
        let error = KafkaError::of_code(code).unwrap();
        assert_eq!(failure_of(&error).kind, expected, "{code}: {error}");
    }
}
