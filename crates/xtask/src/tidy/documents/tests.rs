use super::*;

#[test]
fn links_are_found_outside_of_code() {
    let text = "a [b](c.md) `[d](e)` ![f](g.svg)\n```sh\n[h](i)\n```\n- [j](k.md#l)\n";
    assert_eq!(links(text).collect::<Vec<_>>(), ["c.md", "g.svg", "k.md#l"]);
}

#[test]
fn headings_have_the_anchors_that_readers_know() {
    let found = anchors("# Retries, `error` and `off`\n```\n# no\n```\n## A b_c-D (e)\n");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a-b_c-d-e", "retries-error-and-off"]);
}

#[test]
fn a_path_is_resolved_from_its_document() {
    assert_eq!(resolved("docs/deploy/a.md", "../../Dockerfile"), "Dockerfile");
    assert_eq!(resolved("README.md", "docs/a.md"), "docs/a.md");
}

#[test]
fn a_link_leads_to_a_file_and_a_heading() {
    let documents = BTreeMap::from([("README.md".to_owned(), "# One\n".to_owned())]);
    for (link, expect) in
        [("README.md", true), ("README.md#one", true), ("README.md#two", false), ("none.md", false)]
    {
        assert_eq!(leads_somewhere("NOTICE", link, &documents), expect, "{link}");
    }
}
