use proptest::prelude::*;

use super::*;

#[test]
fn folding_drops_case_marks_punctuation_and_repeated_space() {
    let check = |text: &str, folded: &str| assert_eq!(fold(text), folded, "{text}");
    check("eve", "eve");
    check("Eve", "eve");
    check("Müller", "muller");
    check("Mu\u{308}ller", "muller");
    check("ÉCOLE", "ecole");
    check("Straße", "strasse");
    check("STRASSE", "strasse");
    check("Ὀδυσσεύς", "οδυσσευσ");
    check("O'Brien-Smith", "obriensmith");
    check("O’Brien", "obrien");
    check("  a \t\u{a0} b  ", "a b");
    check("+49 (0)30/123", "+49 030123");
    check("İ", "i");
    check("…!", "");
}

#[test]
fn a_string_test_needs_something_to_compare_with() {
    for text in ["", " ", "-", "\u{301}", "..."] {
        assert_eq!(StringOperand::new(StringTest::StartsWith, text), None, "{text}");
        assert_eq!(StringOperand::new(StringTest::Contains, text), None, "{text}");
    }
    assert_eq!(StringOperand::new(StringTest::Exact, ""), None);
    assert!(StringOperand::new(StringTest::Exact, "-").is_some());
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing(text in "\\PC{0,30}|[ -~]{0,30}|[A-Za-zÀ-ſ\u{300}-\u{310} ]{0,30}") {
        let once = fold(&text).into_owned();
        prop_assert_eq!(fold(&once), once.as_str());
    }

    #[test]
    fn every_text_starts_with_itself_unless_nothing_is_left(text in "\\PC{0,30}") {
        let value = Text::new(&text);
        for test in [StringTest::Contains, StringTest::Exact, StringTest::StartsWith] {
            if let Some(operand) = StringOperand::new(test, &text) {
                prop_assert!(operand.matches(&value));
            }
        }
    }
}
