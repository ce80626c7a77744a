use proptest::prelude::*;
use serde_json::json;

use super::*;

fn operand(comparator: Comparator, text: &str) -> NumberOperand {
    NumberOperand::parse(comparator, text).unwrap_or_else(|| panic!("{text} is a number"))
}

fn dec(text: &str) -> Decimal {
    cut(text).unwrap_or_else(|| panic!("{text} is a number"))
}

#[test]
fn digits_imply_a_precision() {
    let check = |text: &str, low: &str, high: &str| {
        let operand = operand(Comparator::Eq, text);
        assert_eq!((operand.low, operand.high), (dec(low), dec(high)), "{text}");
    };
    check("100", "99.5", "100.5");
    check("100.00", "99.995", "100.005");
    check("1e2", "95", "105");
    check("12e3", "11950", "12050");
    check("1.00e2", "99.5", "100.5");
    check("5.40e-3", "0.005395", "0.005405");
    check("-5.4", "-5.45", "-5.35");
    check("0", "-0.5", "0.5");
    check("0.0", "-0.05", "0.05");
    check("2.0", "1.95", "2.05");
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "", "-", ".", ".5", "5.", "1e", "e2", "1e2.0", "1 000", "1,5", "0x10", "--1", "NaN", "1e99",
    ] {
        assert_eq!(NumberOperand::parse(Comparator::Eq, text), None, "{text}");
    }
    assert_eq!(NumberOperand::parse(Comparator::Eq, &"9".repeat(1_025)), None);
}

#[test]
fn tiny_and_long_numbers_lose_only_digits_that_do_not_fit() {
    assert_eq!(NumberOperand::parse(Comparator::Eq, &"9".repeat(100)), None);
    assert_eq!(dec("1e-40"), Decimal::ZERO);
    assert_eq!(dec("0e99"), Decimal::ZERO);
    assert_eq!(dec("3.14159265358979323846264338327"), dec("3.1415926535897932384626433832"));
    assert_eq!(dec("12e3"), dec("12000"));
}

/// The comparators that hold between a value and a searched number.
fn holding(value: NumberRange, searched: &str) -> String {
    let holds = |comparator: &&Comparator| operand(**comparator, searched).matches(value);
    Comparator::ALL.iter().filter(holds).map(|one| one.code()).collect::<Vec<_>>().join(" ")
}

#[test]
fn comparators_but_eq_and_ne_take_the_number_to_be_exact() {
    let check = |value: &str, searched: &str, expected: &str| {
        let value_range = NumberRange::exactly(dec(value));
        assert_eq!(holding(value_range, searched), expected, "{value} and {searched}");
    };
    check("100", "100", "ap eq ge le");
    check("100.4", "100", "ap eq ge gt sa");
    check("99.5", "100", "ap eb eq le lt");
    check("100.5", "100", "ap ge gt ne sa");
    check("100.4", "100.00", "ap ge gt ne sa");
    check("95", "1e2", "ap eb eq le lt");
    check("90", "100", "ap eb le lt ne");
    check("89.9", "100", "eb le lt ne");
    check("-95", "-100", "ap ge gt ne sa");
    check("111", "100", "ge gt ne sa");
}

#[test]
fn ranges_and_open_ends_hold_what_they_may_mean() {
    let range = |low: Bound<&str>, high: Bound<&str>| NumberRange {
        low: low.map(dec),
        high: high.map(dec),
    };
    use Bound::{Excluded, Included, Unbounded};
    let check = |range: NumberRange, searched: &str, expected: &str| {
        assert_eq!(holding(range, searched), expected, "{searched}");
    };
    check(range(Included("4"), Included("6")), "5", "ap ge gt le lt ne");
    check(range(Included("4.6"), Included("5.4")), "5", "ap eq ge gt le lt");
    check(range(Unbounded, Excluded("5.4")), "5.4", "ap eb le lt ne");
    check(range(Unbounded, Included("5.4")), "5.4", "ap ge le lt ne");
    check(range(Excluded("5.4"), Unbounded), "5.4", "ap ge gt ne sa");
    check(range(Unbounded, Excluded("1")), "5.4", "eb le lt ne");
}

#[test]
fn numbers_beyond_what_can_be_computed_with_still_compare() {
    let check = |value: &str, searched: &str, expected: &str| {
        let value = NumberRange::of_json(&serde_json::from_str(value).unwrap()).unwrap();
        assert_eq!(holding(value, searched), expected, "{searched}");
    };
    check("1e-245", "0", "eq ge gt sa");
    check("-1e-245", "0", "eb eq le lt");
    check("1e245", "5", "ge gt ne sa");
    check("-1e+245", "5", "eb le lt ne");
    check("8.14159265358979323846264338327950288", "8.14", "ap eq ge gt sa");
    check("8.14159265358979323846264338327950288", "8.1416", "ap eb eq le lt");
    check(&"9".repeat(60), "5", "ge gt ne sa");
}

#[test]
fn numbers_of_resources_are_read_from_json() {
    let read = |text: &str| NumberRange::of_json(&serde_json::from_str(text).unwrap());
    let exactly = |text: &str| Some(NumberRange::exactly(dec(text)));
    assert_eq!(read("5"), exactly("5"));
    assert_eq!(read("\"922337203685477\""), exactly("922337203685477"));
    assert_eq!(read("1.10"), exactly("1.1"));
    assert_eq!(read("true"), None);
    let range = NumberRange::of_range(&json!({"low": {"value": 1}, "high": {"value": 2}}));
    let expected = NumberRange { low: Bound::Included(dec("1")), high: Bound::Included(dec("2")) };
    assert_eq!(range, Ok(Some(expected)));
    assert_eq!(NumberRange::of_range(&json!({})), Ok(None));
    assert_eq!(NumberRange::of_range(&json!({"low": {"value": "x"}})), Err(Malformed("Range")));
}

proptest! {
    #[test]
    fn any_text_is_a_number_or_refused(text in "[-+0-9]{0,30}(\\.[0-9]{0,30})?([eE][-+]?[0-9]{0,6})?") {
        for comparator in Comparator::ALL {
            if let Some(operand) = NumberOperand::parse(*comparator, &text) {
                prop_assert!(operand.low <= operand.number && operand.number <= operand.high);
                operand.matches(NumberRange::exactly(Decimal::MAX));
                operand.matches(NumberRange::exactly(Decimal::MIN));
            }
        }
    }

    #[test]
    fn decimals_are_read_exactly(unscaled in any::<i64>(), scale in 0_u32..=18) {
        let number = Decimal::new(unscaled, scale);
        prop_assert_eq!(cut(&number.to_string()), Some(number));
    }
}
