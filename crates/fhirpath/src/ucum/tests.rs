use proptest::prelude::*;

use super::{ATOMS, BASES, PREFIXES, Scale};

#[test]
fn codes_are_scaled_to_base_units() {
    let check = |code: &str, factor: &str, base: &str| {
        let scale = Scale::parse(code).unwrap_or_else(|| panic!("{code}"));
        assert_eq!(scale.factor(), factor.parse().expect("a decimal"), "{code}");
        assert_eq!(scale.base_code(), base, "{code}");
    };
    check("mg", "0.001", "g");
    check("kg/m2", "1000", "g/m2");
    check("mmol/L", "1", "mol/m3");
    check("/min", "0.0166666666666666666666666667", "/s");
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
}

#[test]
fn what_is_not_understood_has_no_scale() {
    for code in [
        "", "Cel", "[pH]", "xyz", "kmin", "mg/", "/", "mg//L", "m99", "mg{", "0", "μg", "k",
        "mg/dL/xx",
    ] {
        assert_eq!(Scale::parse(code), None, "{code}");
    }
}

#[test]
fn no_prefixed_unit_is_mistaken_for_another() {
    // A code that is in the table by itself is never read as a prefix and a unit: `min` is no
    // milli-inch, `cd` no centi-day.
    for atom in ATOMS {
        assert!(Scale::parse(atom.code).is_some(), "{}", atom.code);
        for (prefix, _) in PREFIXES.iter().filter(|_| atom.metric) {
            let code = format!("{prefix}{}", atom.code);
            let readings = PREFIXES.iter().filter(|(other, _)| {
                code.strip_prefix(other)
                    .is_some_and(|rest| ATOMS.iter().any(|one| one.metric && one.code == rest))
            });
            let is_atom = ATOMS.iter().any(|one| one.code == code);
            assert!(is_atom || readings.count() == 1, "{code}");
        }
    }
    assert_eq!(BASES.len(), 11);
}

proptest! {
    #[test]
    fn no_code_breaks_the_reader(code in "[a-zA-Z0-9./*^{}\\[\\]%+-]{0,20}") {
        let _ = Scale::parse(&code);
    }
}
