use std::cmp::Ordering;

use super::Quantity;

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn quantities_are_read_as_they_are_written() {
    let check = |text: &str, is_read: bool| {
        assert_eq!(Quantity::parse(text).is_some(), is_read, "{text}");
    };
    check("1", true);
    check("-1.50 'mg'", true);
    check("4 days", true);
    check("1 'wk'", true);
    check("1 wk", false);
    check("1 ''", false);
    check("1 'mg", false);
    check("1.a", false);
    check("", false);
    check("'mg'", false);
    check("1e3 'g'", false);
    assert_eq!(quantity("2 week").to_string(), "2 weeks");
    assert_eq!(quantity("1.0 'mg'").to_string(), "1.0 'mg'");
}

#[test]
fn quantities_of_one_kind_compare() {
    let check = |a: &str, b: &str, expect: Option<Ordering>| {
        assert_eq!(quantity(a).compare(&quantity(b)), expect, "{a} and {b}");
    };
    check("1 'kg'", "999 'g'", Some(Ordering::Greater));
    check("1 'kg'", "1 'm'", None);
    check("1 year", "12 months", Some(Ordering::Equal));
    check("1 year", "365 days", None);
    check("60 seconds", "1 'min'", Some(Ordering::Equal));
    check("1 '[zz]'", "2 '[zz]'", Some(Ordering::Less));
    check("1", "1 '1'", Some(Ordering::Equal));
    check("100 '%'", "1", Some(Ordering::Equal));
}
