use super::*;

#[test]
fn only_a_shall_that_fails_is_broken() {
    let failed = || Verdict::Fails("why".to_owned());
    for (finding, expect) in [
        (shall("RQ-CF-02", "s", failed()), true),
        (should("RQ-CF-09", "s", failed()), false),
        (may("RQ-OP-20", "s", failed()), false),
        (shall("RQ-CF-02", "s", Verdict::Conforms), false),
        (shall("RQ-CF-02", "s", Verdict::Unknown("why".to_owned())), false),
    ] {
        assert_eq!(finding.breaks_a_shall(), expect, "{finding:?}");
    }
}

#[test]
fn every_requirement_that_is_judged_is_one_of_the_list() {
    let list = include_str!("../../../conformance/requirements.toml");
    let sources = [include_str!("reading.rs"), include_str!("writing.rs")];
    let ids: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.split('"'))
        .filter(|text| text.starts_with("RQ-"))
        .collect();
    assert!(ids.len() > 15);
    for id in ids {
        assert!(list.contains(&format!("id = \"{id}\"")), "{id}");
    }
}
