use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn micros(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn range(text: &str) -> DateRange {
    DateRange::parse(text).unwrap_or_else(|| panic!("{text} is a date"))
}

#[test]
fn a_date_is_the_range_its_precision_leaves_open() {
    let check = |text: &str, start: &str, end: &str| {
        assert_eq!(range(text), DateRange { start: micros(start), end: micros(end) }, "{text}");
    };
    check("2013", "2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z");
    check("2012", "2012-01-01T00:00:00Z", "2013-01-01T00:00:00Z");
    check("2013-02", "2013-02-01T00:00:00Z", "2013-03-01T00:00:00Z");
    check("2012-02", "2012-02-01T00:00:00Z", "2012-03-01T00:00:00Z");
    check("2013-12-31", "2013-12-31T00:00:00Z", "2014-01-01T00:00:00Z");
    check("1969-12-31", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z");
    check("2013-01-14T10:00", "2013-01-14T10:00:00Z", "2013-01-14T10:01:00Z");
    check("2013-01-14T10:00Z", "2013-01-14T10:00:00Z", "2013-01-14T10:01:00Z");
    check("2013-01-14T10:00:05+02:00", "2013-01-14T08:00:05Z", "2013-01-14T08:00:06Z");
    check("2013-01-14T23:30:00-05:30", "2013-01-15T05:00:00Z", "2013-01-15T05:00:01Z");
    check("2013-01-14T10:00:05.1Z", "2013-01-14T10:00:05.1Z", "2013-01-14T10:00:05.2Z");
    check("2013-01-14T10:00:05.123Z", "2013-01-14T10:00:05.123Z", "2013-01-14T10:00:05.124Z");
    check(
        "2013-01-14T10:00:05.1234567Z",
        "2013-01-14T10:00:05.123456Z",
        "2013-01-14T10:00:05.123457Z",
    );
    check("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z");
}

#[test]
fn an_instant_is_the_shortest_range() {
    let at = micros("2013-01-14T10:00:05Z");
    let instant = DateRange::parse_instant("2013-01-14T10:00:05Z");
    assert_eq!(instant, Some(DateRange { start: at, end: at + 1 }));
}

#[test]
fn the_last_day_there_is_has_an_end() {
    assert_eq!(range("9999-12-31").end - range("9999-12-31").start, DAY);
    assert_eq!(range("9999").end, range("9999-12-31").end);
}

#[test]
fn what_is_no_date_is_refused() {
    for text in [
        "",
        "1",
        "213",
        "02013",
        "0000",
        "0000-01-01",
        "2013-",
        "2013-1",
        "2013-13",
        "2013-00",
        "2013-02-30",
        "2013-02-29",
        "2013-01-1",
        "2013-01-14T",
        "2013-01-14T10",
        "2013-01-14T10:0",
        "2013-01-14T24:00",
        "2013-01-14T10:60",
        "2013-01-14T10:00:61",
        "2013-01-14T10:00:00.",
        "2013-01-14T10:00:00.Z",
        "2013-01-14T10:00:00z",
        "2013-01-14T10:00:00+2",
        "2013-01-14T10:00:00+15:00",
        "2013-01-14T10:00:00+02:60",
        "2013-01-14T10:00:00Zx",
        "2013-01-14 10:00",
        "2013/01/14",
        " 2013",
        "２０１３",
        "2013-01-14Z",
        "-2013",
    ] {
        assert_eq!(DateRange::parse(text), None, "{text}");
    }
}

#[test]
fn periods_and_timings_are_their_outer_limits() {
    let period = |json| DateRange::of_period(&json);
    let days =
        |from: &str, to: &str| Ok(Some(DateRange { start: range(from).start, end: range(to).end }));
    assert_eq!(
        period(json!({"start": "2013-01-31", "end": "2013-03"})),
        days("2013-01-31", "2013-03")
    );
    let open = period(json!({"start": "2013"}));
    assert_eq!(open, Ok(Some(DateRange { start: range("2013").start, end: i64::MAX })));
    let open = period(json!({"end": "2013"}));
    assert_eq!(open, Ok(Some(DateRange { start: i64::MIN, end: range("2013").end })));
    assert_eq!(period(json!({})), Ok(None));
    assert_eq!(period(json!({"start": "yesterday"})), Err(Malformed("Period")));

    let timing = |json| DateRange::of_timing(&json);
    let events = json!({"event": ["2013-02-02", "2013-01-01", null]});
    assert_eq!(timing(events), days("2013-01-01", "2013-02-02"));
    let bounds = json!({"start": "2013-01-31", "end": "2013-03-24"});
    let both = json!({"event": ["2013-04"], "repeat": {"boundsPeriod": bounds}});
    assert_eq!(timing(both), days("2013-01-31", "2013-04"));
    assert_eq!(timing(json!({"repeat": {"count": 3}})), Ok(None));
    assert_eq!(timing(json!({"event": [3]})), Err(Malformed("Timing")));
}

/// The comparators of FHIR's table that hold between a value and a searched date.
fn holding(value: DateRange, searched: &str) -> String {
    let holds = |comparator: &&Comparator| {
        DateOperand { comparator: **comparator, range: range(searched) }.matches(value)
    };
    Comparator::ALL.iter().filter(holds).map(|one| one.code()).collect::<Vec<_>>().join(" ")
}

#[test]
fn comparators_hold_as_the_examples_of_the_specification_say() {
    let check = |value: &str, searched: &str, expected: &str| {
        assert_eq!(holding(range(value), searched), expected, "{value} and {searched}");
    };
    check("2013-01-14T00:00", "2013-01-14", "ap eq ge le");
    check("2013-01-14T10:00", "2013-01-14", "ap eq ge le");
    check("2013-01-15T00:00", "2013-01-14", "ge gt ne sa");
    check("2013-01-13T23:59:59", "2013-01-14", "eb le lt ne");
    check("2013-01-14", "2013-01-14T10:00", "ap ge gt le lt ne");
    check("2013-01-14", "2013-01-14", "ap eq ge le");
    check("2013-01", "2013-01-14", "ap ge gt le lt ne");
    check("2013-01-14T10:00:00+02:00", "2013-01-14T08:00:00Z", "ap eq ge le");
    let from = |start: &str| DateRange { start: range(start).start, end: i64::MAX };
    let until = |end: &str| DateRange { start: i64::MIN, end: range(end).end };
    assert_eq!(holding(from("2013-01-21"), "2013-03-14"), "ap ge gt le lt ne");
    assert_eq!(holding(from("2013-03-15"), "2013-03-14"), "ge gt ne sa");
    assert_eq!(holding(until("2013-01-21"), "2013-03-14"), "eb le lt ne");
}

/// FHIR's definitions word for word over sets of days, which a range of days is.
fn naive(comparator: Comparator, value: &[i64], searched: &[i64]) -> bool {
    let (first, last) = (searched[0], searched[searched.len() - 1]);
    let overlaps = |part: &dyn Fn(i64) -> bool| value.iter().any(|day| part(*day));
    let contains = |part: &dyn Fn(i64) -> bool| value.iter().all(|day| part(*day));
    let within: &dyn Fn(i64) -> bool = &|day| searched.contains(&day);
    let above: &dyn Fn(i64) -> bool = &|day| day > last;
    let below: &dyn Fn(i64) -> bool = &|day| day < first;
    match comparator {
        Comparator::Ap => overlaps(within),
        Comparator::Eb => !overlaps(within) && contains(below),
        Comparator::Eq => contains(within),
        Comparator::Ge => overlaps(above) || contains(within),
        Comparator::Gt => overlaps(above),
        Comparator::Le => overlaps(below) || contains(within),
        Comparator::Lt => overlaps(below),
        Comparator::Ne => !contains(within),
        Comparator::Sa => !overlaps(within) && contains(above),
    }
}

proptest! {
    #[test]
    fn comparators_agree_with_sets_of_days(
        value in (0_i64..12, 1_i64..6),
        searched in (0_i64..12, 1_i64..6),
        comparator in proptest::sample::select(Comparator::ALL),
    ) {
        let days = |(start, length)| (start..start + length).collect::<Vec<i64>>();
        let range = |(start, length): (i64, i64)| DateRange {
            start: start * DAY,
            end: (start + length) * DAY,
        };
        let operand = DateOperand { comparator, range: range(searched) };
        prop_assert_eq!(
            operand.matches(range(value)),
            naive(comparator, &days(value), &days(searched))
        );
    }

    #[test]
    fn parsing_agrees_with_a_calendar(
        seconds in -62_000_000_000_i64..253_000_000_000,
        offset in -14 * 60_i64..=14 * 60,
    ) {
        let at = Timestamp::from_second(seconds).unwrap();
        let local = Timestamp::from_second(seconds + offset * 60).unwrap();
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        let local = local.to_string();
        let text = format!("{}{sign}{hours:02}:{minutes:02}", local.trim_end_matches('Z'));
        let expected = DateRange {
            start: at.as_microsecond(),
            end: at.as_microsecond() + SECOND,
        };
        prop_assert_eq!(DateRange::parse(&text), Some(expected), "{}", text);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[-+:.TZ0-9]{0,30}|.{0,30}") {
        if let Some(range) = DateRange::parse(&text) {
            prop_assert!(range.start < range.end);
        }
    }
}
