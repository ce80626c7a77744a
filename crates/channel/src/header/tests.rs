//! One table: headers and why they are refused.

use cresset_model::HEADER_BYTES_MAX;

use super::{HEADERS_MAX, HeaderRefusal, header_map, header_refusal};

#[test]
fn framing_headers_and_line_breaks_are_refused() {
    use HeaderRefusal as H;
    for (name, value, expect) in [
        ("Authorization", "Bearer abc", None),
        ("X-Key", "", None),
        ("X-Key", "  blanks around \t", None),
        ("X-Key", "gr\u{fc}n", None),
        ("User-Agent", "mine", None),
        ("Host", "example.org", Some(H::Reserved)),
        ("host", "example.org", Some(H::Reserved)),
        (" Host ", "example.org", Some(H::Reserved)),
        ("Content-Length", "0", Some(H::Reserved)),
        ("Transfer-Encoding", "chunked", Some(H::Reserved)),
        ("Connection", "close", Some(H::Reserved)),
        ("Content-Type", "text/plain", Some(H::Reserved)),
        ("Upgrade", "websocket", Some(H::Reserved)),
        ("X-Key", "a\r\nHost: b", Some(H::Value)),
        ("X-Key", "a\n", Some(H::Value)),
        ("X-Key", "a\0", Some(H::Value)),
        ("", "a", Some(H::Name)),
        ("X Key", "a", Some(H::Name)),
        ("X-Key:", "a", Some(H::Name)),
        (":authority", "a", Some(H::Name)),
        ("X-K\u{e9}y", "a", Some(H::Name)),
    ] {
        assert_eq!(header_refusal(name, value), expect, "{name:?}: {value:?}");
    }
    let long = "a".repeat(HEADER_BYTES_MAX);
    assert_eq!(header_refusal("X-Key", &long), Some(H::Length));
}

#[test]
fn names_may_repeat_and_values_are_hidden() {
    let header = |value: &str| ("X-Key".to_owned(), value.to_owned());
    let map = header_map(Some("application/fhir+json"), &[header("marker-1"), header("marker-2")]);
    let map = map.unwrap();
    let values: Vec<_> = map.get_all("x-key").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(values, ["marker-1", "marker-2"]);
    assert!(!format!("{map:?}").contains("marker"));
}

#[test]
fn the_number_of_headers_and_the_content_type_are_checked() {
    let many = vec![("X-Key".to_owned(), "a".to_owned()); HEADERS_MAX + 1];
    assert_eq!(header_map(Some("a/b"), &many).unwrap_err(), HeaderRefusal::Count);
    assert_eq!(header_map(Some("a/b\r\nX: y"), &[]).unwrap_err(), HeaderRefusal::Value);
}
