use proptest::prelude::*;
use rust_decimal::Decimal;

use super::Scale;

fn scale(code: &str) -> Scale {
    Scale::parse(code).unwrap_or_else(|| panic!("{code}"))
}

#[test]
fn codes_are_scaled_to_base_units() {
    let check = |code: &str, factor: &str, base: &str| {
        let scale = scale(code);
        let one = scale.in_base_units(Decimal::ONE).expect("a decimal");
        assert_eq!(one, factor.parse().expect("a decimal"), "{code}");
        assert_eq!(scale.base_code(), base, "{code}");
    };
    check("mg", "0.001", "g");
    check("kg/m2", "1000", "g/m2");
    check("/min", "0.0166666666666666666666667", "/s");
    check("10*3/uL", "1000000000000", "/m3");
    check("10*9/L", "1000000000000", "/m3");
    check("m.s-2", "1", "m/s2");
    check("%", "0.01", "1");
    check("{score}", "1", "1");
    check("mg{creat}/dL", "10", "g/m3");
    check("mm[Hg]", "133322", "g/m/s2");
    check("cm2", "0.0001", "m2");
    check("dam", "10", "m");
    check("min", "60", "s");
    check("1", "1", "1");
    check("[IU]/L", "1000", "[iU]/m3");
    check("mmol/L", "602214076000000000000000", "/m3");
}

#[test]
fn what_is_not_understood_has_no_scale() {
    for code in
        ["", "[pH]", "xyz", "kmin", "mg/", "/", "mg//L", "mg{", "0", "μg", "k", "mg/dL/xx", "dB"]
    {
        assert_eq!(Scale::parse(code), None, "{code}");
    }
    assert_eq!(Scale::parse(&"m.".repeat(40)), None);
    assert_eq!(Scale::parse(&"(".repeat(60)), None);
}

#[test]
fn numbers_are_converted_exactly() {
    let check = |value: &str, from: &str, to: &str, expect: Option<&str>| {
        let converted = scale(from).convert(value.parse().expect("a decimal"), &scale(to));
        let expect = expect.map(|text| text.parse().expect("a decimal"));
        assert_eq!(converted, expect, "{value} {from} in {to}");
    };
    check("5.4", "mg", "g", Some("0.0054"));
    check("0.0054", "g", "mg", Some("5.4"));
    check("1", "[in_i]", "cm", Some("2.54"));
    check("60", "/h", "/min", Some("1"));
    check("120", "mm[Hg]", "kPa", Some("15.99864"));
    check("7", "mmol/L", "umol/dL", Some("700"));
    check("32", "[degF]", "Cel", Some("0"));
    check("98.6", "[degF]", "Cel", Some("37"));
    check("37", "Cel", "K", Some("310.15"));
    check("1", "mo", "d", Some("30.4375"));
    check("1", "mg", "mL", None);
    check("1", "[iU]", "[arb'U]", None);
    check("1", "Ym", "ym", None);
    check("1", "ym", "Ym", Some("0"));
    check("0", "mg", "kg", Some("0"));
    check("-2.5", "L", "mL", Some("-2500"));
}

proptest! {
    #[test]
    fn no_code_breaks_the_reader(code in "[a-zA-Z0-9./*^{}\\[\\]()%+-]{0,20}") {
        drop(Scale::parse(&code));
    }

    #[test]
    fn what_is_converted_and_back_is_what_it_was(
        digits in -10_000_000_i64..10_000_000,
        point in 0_u32..6,
        pair in proptest::sample::select(vec![
            ("mg", "[oz_av]"), ("Cel", "[degF]"), ("mm[Hg]", "[psi]"), ("h", "wk"),
            ("mmol/L", "umol/mL"), ("10*3/uL", "10*9/L"), ("[gal_us]", "m3"),
        ]),
    ) {
        let value = Decimal::new(digits, point);
        let (from, to) = (scale(pair.0), scale(pair.1));
        let there = from.convert(value, &to).expect("of one kind");
        let back = to.convert(there, &from).expect("of one kind");
        prop_assert_eq!(back.round_dp(15), value);
    }
}
