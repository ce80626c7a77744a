//! One table: values of `Retry-After`, read at 08:49:00 on 6 November 1994.

use std::time::Duration;

use super::{RETRY_AFTER_MAX, parse_retry_after};

#[test]
fn seconds_and_dates_are_read_and_bounded() {
    let now = "1994-11-06T08:49:00Z".parse().unwrap();
    for (value, expect) in [
        ("0", Some(Duration::ZERO)),
        ("120", Some(Duration::from_secs(120))),
        (" 120 ", Some(Duration::from_secs(120))),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::from_secs(37))),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(Duration::from_secs(37))),
        ("Sun Nov  6 08:49:37 1994", Some(Duration::from_secs(37))),
        ("Sun, 06 Nov 1994 08:48:00 GMT", Some(Duration::ZERO)),
        ("Fri, 06 Nov 2026 08:48:00 GMT", Some(RETRY_AFTER_MAX)),
        ("99999999", Some(RETRY_AFTER_MAX)),
        ("99999999999999999999999999", Some(RETRY_AFTER_MAX)),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
    ] {
        assert_eq!(parse_retry_after(value, now), expect, "{value:?}");
    }
}
