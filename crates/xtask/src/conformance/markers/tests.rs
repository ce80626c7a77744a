use super::*;

#[test]
fn a_marker_belongs_to_the_function_around_it() {
    let text = "
#[test]
fn one_thing_holds() {
    verifies!(\"RQ-NB-40\");
}

// verifies!(\"RQ-NB-99\")
pub async fn others_hold<T>() {
    let x = 1;
    verifies!(
        \"RQ-NB-41\",
        \"RQ-NB-42\",
    );
}
";
    let found: Vec<_> = markers(text).unwrap();
    let found: Vec<_> = found.iter().map(|one| (one.function, one.id.as_str())).collect();
    assert_eq!(
        found,
        [("one_thing_holds", "RQ-NB-40"), ("others_hold", "RQ-NB-41"), ("others_hold", "RQ-NB-42"),]
    );
}

#[test]
fn a_marker_without_an_id_or_a_function_is_refused() {
    assert!(markers("fn a() { verifies!(); }").is_err());
    assert!(markers("verifies!(\"RQ-NB-40\");").is_err());
}

#[test]
fn proofs_name_crate_and_function() {
    let text = "fn holds_always() { verifies!(\"RQ-NB-40\"); }".to_owned();
    let source = |path: &str| Source { path: path.to_owned(), text: text.clone() };
    let found = proofs(&[source("crates/a/src/b/tests.rs"), source("crates/xtask/src/x.rs")]);
    let found = found.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found["RQ-NB-40"].keys().collect::<Vec<_>>(), ["a::holds_always"]);
}

#[test]
fn a_marker_may_name_the_versions_it_is_for() {
    let versions = |text: &str| -> Vec<Version> {
        markers(text).unwrap()[0].versions.iter().copied().collect()
    };
    assert_eq!(versions("fn a() { verifies!(\"RQ-NB-40\"); }"), []);
    let some = "fn a() { verifies!(R5, R4: \"RQ-NB-40\", \"RQ-NB-41\"); }";
    assert_eq!(versions(some), [Version::R4, Version::R5]);
    assert!(markers("fn a() { verifies!(R6: \"RQ-NB-40\"); }").is_err());
}
