//! Which expressions cannot be true while `%previous` is empty.

use super::{joins_booleans, never_holds_without};

#[track_caller]
fn check(source: &str, never: bool) {
    assert_eq!(never_holds_without(source, "previous"), never, "{source}");
}

#[test]
fn what_needs_the_variable_never_holds_without_it() {
    for source in [
        "%previous.status != 'x' and %current.status = 'x'",
        "(%previous.status = 'x')",
        "%previous.exists() and %current.exists()",
        "%previous.name.where(use = 'official').exists()",
        "%previous.status in ('a' | 'b')",
        "('a' | 'b') contains %previous.status",
        "%previous.status = 'a' or %previous.status = 'b'",
        "%previous.period.start < %current.period.start",
        "%previous is Patient",
        "false",
        "{}",
    ] {
        check(source, true);
    }
}

#[test]
fn what_may_hold_without_it_is_not_accused() {
    for source in [
        "%current.status = 'x'",
        "%previous.empty() or %previous.status != 'x'",
        "(%previous.empty() | (%previous.status != 'x')) and %current.status = 'x'",
        "%previous.exists().not()",
        "%previous.status.empty()",
        "%previous.count() = 0",
        "%previous.status ~ %current.status",
        "%previous.status !~ 'x'",
        "%previous.exists() implies %current.exists()",
        "('a' & %previous.status) = 'a'",
        "status = 'x' or %previous.status = 'x'",
        "not an expression (",
    ] {
        check(source, false);
    }
}

#[test]
fn a_union_of_booleans_is_told_from_one_of_values() {
    for (source, joins) in [
        ("(%previous.empty() | (%previous.status != 'a')) and %current.status = 'a'", true),
        ("%current.status = 'it\\'s' | %current.exists()", true),
        ("name.where(use = 'a' | given.exists()).exists()", true),
        ("%current.outcome in ('complete' | 'error')", false),
        ("(name.given | name.family).count() > 1", false),
        ("%current.status = 'a|b'", false),
        ("(", false),
    ] {
        assert_eq!(joins_booleans(source), joins, "{source}");
    }
}
