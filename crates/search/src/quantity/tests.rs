use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check(quantity: &Quantity<'_>, searched: &str, expected: bool) {
    let operand = QuantityOperand::parse(Comparator::Eq, searched);
    let operand = operand.unwrap_or_else(|| panic!("{searched} is a quantity"));
    assert_eq!(operand.matches(quantity), expected, "{searched}");
}

#[test]
fn a_unit_is_a_code_in_its_system_or_any_name() {
    let json = json!({
        "value": 5.4, "unit": "milligram", "system": "http://unitsofmeasure.org", "code": "mg"
    });
    let quantity = Quantity::of_quantity(&json).unwrap().unwrap();
    check(&quantity, "5.4", true);
    check(&quantity, "5.5", false);
    check(&quantity, "5.4|http://unitsofmeasure.org|mg", true);
    check(&quantity, "5.4|http://unitsofmeasure.org|g", false);
    check(&quantity, "5.4|http://other|mg", false);
    check(&quantity, "5.4|http://unitsofmeasure.org|milligram", false);
    check(&quantity, "5.4||mg", true);
    check(&quantity, "5.4||milligram", true);
    check(&quantity, "5.4||g", false);
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in ["", "mg", "5.4|mg", "5.4|", "5.4||", "5.4|a|", "5.4|a|b|c", r"5.4|a\b|c", "|a|b"] {
        assert_eq!(QuantityOperand::parse(Comparator::Eq, text), None, "{text}");
    }
}

#[test]
fn units_may_hold_escaped_characters() {
    let json = json!({"value": 1, "unit": "a|b,c"});
    let quantity = Quantity::of_quantity(&json).unwrap().unwrap();
    check(&quantity, r"1||a\|b\,c", true);
}

#[test]
fn a_comparator_in_the_resource_makes_a_range() {
    let range = |comparator: &str| {
        let json = json!({"value": 5, "comparator": comparator});
        Quantity::of_quantity(&json).map(|quantity| quantity.map(|one| one.number))
    };
    let five = Decimal::from(5);
    let open = Bound::Unbounded;
    let expect = |low, high| Ok(Some(NumberRange { low, high }));
    assert_eq!(range("<"), expect(open, Bound::Excluded(five)));
    assert_eq!(range("<="), expect(open, Bound::Included(five)));
    assert_eq!(range(">"), expect(Bound::Excluded(five), open));
    assert_eq!(range(">="), expect(Bound::Included(five), open));
    assert_eq!(range("ad"), Ok(None));
    assert_eq!(range("!"), Err(Malformed("Quantity")));
}

#[test]
fn money_range_and_sampled_data_are_quantities() {
    let json = json!({"value": 20, "currency": "EUR"});
    let money = Quantity::of_money(&json).unwrap().unwrap();
    check(&money, "20|urn:iso:std:iso:4217|EUR", true);
    check(&money, "20||EUR", true);
    check(&money, "20||USD", false);

    let json = json!({"low": {"value": 4.6, "unit": "kg"}, "high": {"value": 5.4}});
    let range = Quantity::of_range(&json).unwrap().unwrap();
    check(&range, "5||kg", true);
    check(&range, "5.0||kg", false);

    let json = json!({
        "origin": {"value": 10, "unit": "mV"}, "factor": 2, "lowerLimit": -4, "data": "1 E -1 L 3.5"
    });
    let samples = Quantity::of_sampled_data(&json).unwrap().unwrap();
    let (low, high) = (Decimal::from(2), Decimal::from(17));
    assert_eq!(
        samples.number,
        NumberRange { low: Bound::Included(low), high: Bound::Included(high) }
    );
    assert_eq!(samples.unit, Some("mV"));
    let json = json!({"origin": {"value": 10}, "data": "1 x"});
    assert!(Quantity::of_sampled_data(&json).is_err());
    let json = json!({"origin": {"value": 10}});
    assert_eq!(Quantity::of_sampled_data(&json).map(|none| none.is_none()), Ok(true));
}

proptest! {
    #[test]
    fn a_converted_quantity_fits_as_the_same_number_in_the_unit_searched(
        milligrams in -1_000_i64..1_000,
        searched in -1_000_i64..1_000,
        comparator in proptest::sample::select(Comparator::ALL),
    ) {
        const UCUM: &str = "http://unitsofmeasure.org";
        let operand = format!("{searched}|{UCUM}|mg");
        let operand = QuantityOperand::parse(comparator, &operand).unwrap();
        let own = json!({"value": milligrams, "system": UCUM, "code": "mg"});
        let own = Quantity::of_quantity(&own).unwrap().unwrap();
        for (unit, scale) in [("g", 3), ("kg", 6), ("ug", -3)] {
            let value = if scale > 0 {
                Decimal::new(milligrams, u32::try_from(scale).unwrap()).to_string()
            } else {
                (milligrams * 1_000).to_string()
            };
            let value: Value = serde_json::from_str(&value).unwrap();
            let other = json!({"value": value, "system": UCUM, "code": unit});
            let other = Quantity::of_quantity(&other).unwrap().unwrap();
            prop_assert_eq!(operand.matches(&other), operand.matches(&own), "{}", unit);
        }
    }
}
