use super::*;

const TEXT: &str = "\
# Invariants
- **I1** Numbers have no gap:
  `numbers_have_no_gap` and `store::contract::crash_leaves_no_gap`, see `Store`.
- I10: bounded, `never_grows_at_all`.

I11 stands alone.
";

#[test]
fn an_invariants_tests_are_found_in_its_paragraph() {
    let names = |invariant| paragraph(TEXT, invariant).map(|text| test_names(&text).join(" "));
    assert_eq!(names("I1").as_deref(), Some("numbers_have_no_gap crash_leaves_no_gap"));
    assert_eq!(names("I10").as_deref(), Some("never_grows_at_all"));
    assert_eq!(names("I11").as_deref(), Some(""));
    assert_eq!(names("I2"), None);
}

#[test]
fn a_test_exists_where_its_function_stands() {
    let text = "#[test]\nfn numbers_have_no_gap() {}".to_owned();
    let sources = [Source { path: "crates/a/src/b/tests.rs".to_owned(), text }];
    assert!(exists("numbers_have_no_gap", &sources));
    assert!(!exists("numbers_have_no", &sources));
}
