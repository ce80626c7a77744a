use proptest::prelude::*;

use super::{Date, DateTime, Time, civil, epoch_day};

#[test]
fn dates_are_read_and_written_alike() {
    let check = |text: &str, is_read: bool| {
        let read = DateTime::parse(text);
        assert_eq!(read.is_some(), is_read, "{text}");
        if let Some(read) = read {
            assert_eq!(read.to_string(), text);
        }
    };
    check("2012", true);
    check("2012-02", true);
    check("2012-02-29", true);
    check("2011-02-29", false);
    check("2012-2-1", false);
    check("0000", false);
    check("12012", false);
    check("2012-01-01T10", true);
    check("2012-01-01T10:30Z", true);
    check("2012-01-01T10:30:60.123456789+14:00", true);
    check("2012-01-01T24:00:00Z", false);
    check("2012-01-01T10:30:00+14:30", false);
    check("2012-01-01T10:30:00-1:00", false);
    check("2012-01T10:30", false);
    check("2012-01-01T10:30:00.Z", false);
    check("２０１２", false);
}

#[test]
fn bounds_cover_what_is_not_said() {
    let hours = |text: &str| {
        let (from, to) = DateTime::parse(text).expect("a date-time").bounds();
        (to - from) / 3_600_000_000_000
    };
    assert_eq!(hours("2012-01-01T10:00Z"), 0);
    assert_eq!(hours("2012-01-01T10Z"), 1);
    assert_eq!(hours("2012-01-01T10:00:00"), 26);
    assert_eq!(hours("2012-01-01"), 24 + 26);
    assert_eq!(hours("2012-02"), 29 * 24 + 26);
    assert_eq!(hours("2012"), 366 * 24 + 26);
}

#[test]
fn an_instant_is_a_date_time_in_utc() {
    let check = |text: &str, expect: &str| {
        let timestamp: jiff::Timestamp = text.parse().expect("a timestamp");
        assert_eq!(DateTime::from(timestamp).to_string(), expect);
    };
    check("2026-11-23T10:00:00.5+02:00", "2026-11-23T08:00:00.500Z");
    check("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000Z");
}

proptest! {
    #[test]
    fn days_and_dates_are_one_to_one(day in -719_162_i64..2_932_896) {
        let (year, month, of_month) = civil(day);
        prop_assert_eq!(epoch_day(year, month, of_month), day);
        let date = Date::from_epoch_day(day).expect("a day in years 1 to 9999");
        prop_assert_eq!(Date::parse(&date.to_string()), Some(date));
    }

    #[test]
    fn comparing_is_antisymmetric(a in "20[01][0-3](-0[1-3](-[0-2][1-8](T1[0-3]:3[0-5](:[0-5][0-9](\\.[0-9])?)?(Z|[+-]0[0-9]:00)?)?)?)?",
        b in "20[01][0-3](-0[1-3](-[0-2][1-8](T1[0-3]:3[0-5](:[0-5][0-9](\\.[0-9])?)?(Z|[+-]0[0-9]:00)?)?)?)?") {
        if let (Some(a), Some(b)) = (DateTime::parse(&a), DateTime::parse(&b)) {
            prop_assert_eq!(a.compare(b), b.compare(a).map(std::cmp::Ordering::reverse));
        }
    }

    #[test]
    fn no_text_breaks_the_readers(text in "[-+:.TZ0-9é]{0,40}") {
        let _ = (Date::parse(&text), Time::parse(&text), DateTime::parse(&text));
    }
}
