//! Tests of the parser, the scanner, the splices and the writer.

use cresset_model::VersionId;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_data::{shared_files, told};

fn refusal(bytes: &[u8]) -> String {
    parse(bytes).expect_err("must be refused").to_string()
}

#[test]
fn refusals_tell_line_and_column_and_nothing_of_the_content() {
    let not_json = "this is not JSON";
    let cases: &[(&[u8], &str, &str)] = &[
        (b"", "line 1, column 1", not_json),
        (b"{", "line 1, column 2", not_json),
        (b"{}x", "line 1, column 3", not_json),
        (b"{\"a\":1,}", "line 1, column 8", not_json),
        (b"[1,]", "line 1, column 4", not_json),
        (b"{\n  \"a\": tru\n}", "line 2, column 8", not_json),
        (b"{\"\xC3\xA4\":01}", "line 1, column 7", not_json),
        (b"\"a\tb\"", "line 1, column 3", not_json),
        (b"\"\\x\"", "line 1, column 2", not_json),
        (b"\"\\ud800\"", "line 1, column 2", not_json),
        (b"\"\\ud800\\u0041\"", "line 1, column 2", not_json),
        (b"\"\\u00g0\"", "line 1, column 2", not_json),
        (b"-", "line 1, column 2", not_json),
        (b"1.", "line 1, column 3", not_json),
        (b"1e", "line 1, column 3", not_json),
        (b"+1", "line 1, column 1", not_json),
        (b"nan", "line 1, column 1", not_json),
        (b"{'a':1}", "line 1, column 2", not_json),
        (b"{\"a\":1,\n\"a\":2}", "line 2, column 1", "a member stands twice in one object"),
        (b"{\"a\":1,\"\\u0061\":2}", "line 1, column 8", "a member stands twice in one object"),
        (b"{\"a\":\"\xFF\"}", "line 1, column 7", "this is not UTF-8"),
    ];
    for (bytes, place, what) in cases {
        assert_eq!(refusal(bytes), format!("S0001 {place}: {what}"), "{bytes:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    let issues = parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(told(&issues), ["NestedTooDeep -"]);
    assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn the_deepest_body_can_be_read_again_within_what_is_written_around_it() {
    let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    let framed = format!("{{\"a\":[{{\"b\":{{\"c\":[{{\"d\":{{\"e\":[{deepest}]}}}}]}}}}]}}");
    assert!(parse(framed.as_bytes()).is_err());
    assert!(parse_written(framed.as_bytes()).is_ok());
    assert!(parse_written("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn a_byte_order_mark_is_ignored_and_numbers_keep_their_digits() {
    let value = parse(b"\xEF\xBB\xBF{\"a\":1.00,\"b\":-0.10e+5}").unwrap();
    assert_eq!(value["a"].to_string(), "1.00");
    assert!(value["b"].to_string().starts_with("-0.10e"));
}

#[test]
fn what_looks_like_a_number_to_serde_is_an_object() {
    let value = parse(br#"{"$serde_json::private::Number":"1"}"#).unwrap();
    assert!(value.is_object());
}

fn check_stamp(input: &str, expected: &str) {
    let last_updated: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    let version = VersionId::new(7).unwrap();
    let stamped = stamp(input.as_bytes(), &Stamp { id: "n", version, last_updated }).unwrap();
    let expected = expected.replace('V', r#""versionId":"7""#);
    let expected = expected.replace('U', r#""lastUpdated":"2026-01-02T03:04:05.678Z""#);
    assert_eq!(String::from_utf8(stamped).unwrap(), expected);
}

#[test]
fn a_stamp_changes_id_and_meta_and_no_other_byte() {
    check_stamp("{}", r#"{"id":"n","meta":{V,U}}"#);
    check_stamp("{ }", r#"{"id":"n","meta":{V,U} }"#);
    check_stamp(r#"{"x":1}"#, r#"{"id":"n","meta":{V,U},"x":1}"#);
    check_stamp(
        "{ \"a\" : 1.00 ,\n \"resourceType\" : \"P\" , \"b\":[ ] }\n",
        "{ \"a\" : 1.00 ,\n \"resourceType\" : \"P\",\"id\":\"n\",\"meta\":{V,U} , \"b\":[ ] }\n",
    );
    check_stamp(
        r#"{"resourceType":"P","id":"old","x":1}"#,
        r#"{"resourceType":"P","id":"n","meta":{V,U},"x":1}"#,
    );
    check_stamp(r#"{"meta":{},"id":"old"}"#, r#"{"meta":{V,U},"id":"n"}"#);
    check_stamp(
        r#"{"id":"o","meta":{ "profile":["p"] }}"#,
        r#"{"id":"n","meta":{V,U, "profile":["p"] }}"#,
    );
    check_stamp(
        r#"{"id":"o","meta":{"lastUpdated":"x","tag":[],"versionId":"3"}}"#,
        r#"{"id":"n","meta":{U,"tag":[],V}}"#,
    );
    check_stamp(r#"{"id":"o","meta":{"versionId":"3"}}"#, r#"{"id":"n","meta":{V,U}}"#);
    // A name with escapes is the same name.
    check_stamp(r#"{"\u0069d":"o","meta":{}}"#, r#"{"\u0069d":"n","meta":{V,U}}"#);
    check_stamp("\u{FEFF}{\"id\":\"o\",\"meta\":{}}", r#"{"id":"n","meta":{V,U}}"#);
}

#[test]
fn a_stamp_needs_an_object_with_an_object_as_meta() {
    let last_updated = Timestamp::UNIX_EPOCH;
    let with = Stamp { id: "n", version: VersionId::FIRST, last_updated };
    for bytes in [&b"[]"[..], b"", b"{", b"1", b"{\"meta\":[]}", b"{\"meta\":null}"] {
        assert!(stamp(bytes, &with).is_err(), "{bytes:?}");
    }
}

#[test]
fn members_are_set_and_removed_with_their_commas() {
    let set = |input: &str| {
        String::from_utf8(set_member(input.as_bytes(), "k", b"[1]").unwrap()).unwrap()
    };
    assert_eq!(set("{}"), r#"{"k":[1]}"#);
    assert_eq!(set(r#"{"a":1}"#), r#"{"a":1,"k":[1]}"#);
    assert_eq!(set(r#"{"k": {"k":2}, "a":1}"#), r#"{"k": [1], "a":1}"#);
    let remove =
        |input: &str| String::from_utf8(remove_member(input.as_bytes(), "k").unwrap()).unwrap();
    assert_eq!(remove(r#"{"k":1}"#), "{}");
    assert_eq!(remove(r#"{"k":1, "a":2}"#), r#"{"a":2}"#);
    assert_eq!(remove(r#"{"a":2 , "k":"}" }"#), r#"{"a":2 }"#);
    assert_eq!(remove(r#"{"a":2,"k":[{"k":1}],"b":3}"#), r#"{"a":2,"b":3}"#);
    assert_eq!(remove(r#"{"a":{"k":1}}"#), r#"{"a":{"k":1}}"#);
}

#[test]
fn hl7s_examples_parse_and_keep_every_byte_when_stamped() {
    for folder in ["examples/R4/Observation", "examples/R4B/Patient", "examples/R5/Encounter"] {
        for (path, bytes) in shared_files(folder, "") {
            let ours = parse(&bytes).unwrap();
            assert_eq!(ours, serde_json::from_slice::<Value>(&bytes).unwrap(), "{path:?}");
            stamp_keeps_the_rest(&ours, &bytes);
        }
    }
}

/// Stamps and checks: id and meta are as asked, all else is as it was, in value and in bytes.
fn stamp_keeps_the_rest(value: &Value, bytes: &[u8]) {
    let last_updated: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    let with = Stamp { id: "n-1", version: VersionId::FIRST, last_updated };
    let stamped = stamp(bytes, &with).unwrap();
    let mut after = parse(&stamped).unwrap();
    assert_eq!(after["id"], "n-1");
    assert_eq!(after["meta"]["versionId"], "1");
    assert_eq!(after["meta"]["lastUpdated"], "2026-01-02T03:04:05.678Z");
    let mut before = value.clone();
    for value in [&mut before, &mut after] {
        let members = value.as_object_mut().unwrap();
        members.remove("id");
        if let Some(meta) = members.get_mut("meta").and_then(Value::as_object_mut) {
            meta.remove("versionId");
            meta.remove("lastUpdated");
            if meta.is_empty() {
                members.remove("meta");
            }
        }
    }
    assert_eq!(before, after);
    // Byte for byte: what stands before the first and behind the last change is unchanged.
    assert_eq!(stamped[0], bytes[0]);
    let spliced = stamp(&stamped, &with).unwrap();
    assert_eq!(spliced, stamped, "a second stamp of the same changes nothing");
}

/// A JSON text with white space in odd places.
fn arbitrary_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        arbitrary_string(),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[ {}\n]", items.join(" ,\t"))),
            object_of(inner),
        ]
    })
}

fn object_of(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-z]{1,3}".prop_map(|name| json!(name).to_string()),
        arbitrary_string(),
        Just("\"m\\u0065ta\"".to_owned()),
        Just("\"id\"".to_owned()),
    ];
    prop::collection::btree_map(name, inner, 0..5).prop_map(|members| {
        let members = members.iter().map(|(name, value)| format!("{name} : {value}"));
        format!("{{{}  }}", members.collect::<Vec<_>>().join(" ,\n"))
    })
}

fn arbitrary_string() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| json!(text).to_string()),
        "\"(\\\\u00[0-7][0-9a-f]|\\\\n|\\\\/|[ -!#-\\[\\]-~]){0,6}\"",
    ]
}

proptest! {
    #[test]
    fn the_parser_never_panics_and_agrees_with_serde(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let theirs = serde_json::from_slice::<Value>(&bytes);
        if let (Ok(ours), Ok(theirs)) = (parse(&bytes), theirs) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn the_parser_reads_what_serde_reads(text in arbitrary_json()) {
        // Serde takes a member twice, and ours does not.
        if let Ok(ours) = parse(text.as_bytes()) {
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).unwrap());
        }
    }

    #[test]
    fn a_broken_text_is_refused_by_both(text in arbitrary_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match (parse(&bytes), serde_json::from_slice::<Value>(&bytes)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Ok(_), Err(error)) => prop_assert!(false, "ours took what serde refused: {}", error),
            // Ours is stricter: duplicates.
            (Err(_), _) => {}
        }
    }

    #[test]
    fn a_stamp_of_any_object_keeps_all_else(text in object_of(arbitrary_json())) {
        if let Ok(value) = parse(text.as_bytes())
            && value.get("meta").is_none_or(Value::is_object)
        {
            stamp_keeps_the_rest(&value, text.as_bytes());
        }
    }

    #[test]
    fn splices_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let with = Stamp { id: "n", version: VersionId::FIRST, last_updated: Timestamp::UNIX_EPOCH };
        drop(stamp(&bytes, &with));
        drop(set_member(&bytes, "a", b"1"));
        drop(remove_member(&bytes, "a"));
        drop(elements(&bytes, 0..bytes.len()));
    }

    #[test]
    fn removing_what_was_set_gives_the_same_value(text in object_of(arbitrary_json())) {
        if let Ok(value) = parse(text.as_bytes()) && value.get("zzzz").is_none() {
            let set = set_member(text.as_bytes(), "zzzz", b"{}").unwrap();
            prop_assert_eq!(parse(&remove_member(&set, "zzzz").unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn what_the_writer_writes_reads_back(name in any::<String>(), text in any::<String>()) {
        let mut out = Vec::new();
        write_object(&mut out, |o| {
            o.string(&name, &text);
            o.array("", |_| {});
        });
        prop_assert_eq!(parse(&out).unwrap(), json!({ name: text }));
    }
}
