//! What an expression is taken apart into.

use proptest::prelude::*;

use super::{PARTS_MAX, parts};

#[track_caller]
fn check(source: &str, expected: &[(&str, &[&str])]) {
    let found = parts(source);
    let found: Vec<_> = found.iter().map(|part| (part.text, part.sides.as_slice())).collect();
    assert_eq!(found, expected);
}

#[test]
fn parts_are_what_is_joined() {
    check(
        "(%previous.empty() or (%previous.status != 'x')) and %current.status = 'x'",
        &[
            ("%previous.empty()", &[]),
            ("%previous.status != 'x'", &["%previous.status"]),
            ("%current.status = 'x'", &["%current.status"]),
        ],
    );
    check(
        "(%current.period.end<today()) implies name.where(a = 'b' and c).exists()",
        &[
            ("%current.period.end<today()", &["%current.period.end", "today()"]),
            ("name.where(a = 'b' and c).exists()", &[]),
        ],
    );
    check(
        "name.contains('and') | a in ('x' | 'y')",
        &[("name.contains('and')", &[]), ("a in ('x' | 'y')", &["a", "('x' | 'y')"])],
    );
    check("(a).where(true)", &[("(a).where(true)", &[])]);
    check("a", &[("a", &[])]);
}

#[test]
fn an_expression_of_too_many_parts_stays_whole() {
    let long = vec!["a"; PARTS_MAX + 1].join(" and ");
    assert_eq!(parts(&long).len(), 1);
    assert_eq!(parts(&"(".repeat(5_000)).len(), 1);
}

proptest! {
    #[test]
    fn any_text_has_parts_of_its_own(source in "[a-c'()| .=]{0,60}|( and | or |a|\\(|\\)){0,20}") {
        for part in parts(&source) {
            prop_assert!(source.contains(part.text));
            prop_assert!(part.sides.iter().all(|side| part.text.contains(side)));
        }
    }
}
