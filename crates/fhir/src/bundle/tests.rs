//! Tests of batch and transaction Bundles that come in.

use cresset_model::Issues;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::json;
use crate::test_data::{arbitrary_value, shared_files, told};

fn issues_of(text: &str) -> Vec<String> {
    let value = json::parse(text.as_bytes()).unwrap();
    let found: Result<(), Issues> = parse_bundle(&value, text.as_bytes()).map(|_| ());
    told(&found.unwrap_err())
}

#[test]
fn entries_have_the_bytes_of_their_resources() {
    let text = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:1","resource": {"resourceType":"Patient", "x" : 1.00 } ,
         "request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=1"}},
        {"request":{"method":"DELETE","url":"Patient/2","ifMatch":"W/\"1\""}}
    ]}"#;
    let value = json::parse(text.as_bytes()).unwrap();
    let bundle = parse_bundle(&value, text.as_bytes()).unwrap();
    assert_eq!(bundle.kind, BundleKind::Transaction);
    let first = bundle.entries[0].as_ref().unwrap();
    assert_eq!(first.full_url, Some("urn:uuid:1"));
    assert_eq!(first.method, Method::Post);
    assert_eq!(first.if_none_exist, Some("identifier=1"));
    let resource = first.resource.as_ref().unwrap();
    assert_eq!(resource.bytes, br#"{"resourceType":"Patient", "x" : 1.00 }"#);
    assert_eq!(resource.value["resourceType"], "Patient");
    let second = bundle.entries[1].as_ref().unwrap();
    assert_eq!((second.method, second.url), (Method::Delete, "Patient/2"));
    assert_eq!(second.if_match, Some("W/\"1\""));
    assert!(second.resource.is_none());
}

#[test]
fn a_transaction_with_a_bad_entry_is_refused_with_all_that_is_wrong() {
    let text = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"resource":{"resourceType":"Patient"}},
        {"request":{"method":"POST","url":"Patient"}},
        {"resource":[],"request":{"method":"PUT"}},
        {"resource":{},"request":{"method":"GET","url":"Patient"}},
        {"resource":{},"request":{"method":"MOVE","url":"Patient"}}
    ]}"#;
    let expected = [
        "MissingElement Bundle.entry[0].request",
        "MissingElement Bundle.entry[1].resource",
        "MissingElement Bundle.entry[2].request.url",
        "InvalidElement Bundle.entry[2].resource",
        "InvalidElement Bundle.entry[3].resource",
        "InvalidElement Bundle.entry[4].request.method",
    ];
    assert_eq!(issues_of(text), expected);
    let batch = text.replace("transaction", "batch");
    let value = json::parse(batch.as_bytes()).unwrap();
    let bundle = parse_bundle(&value, batch.as_bytes()).unwrap();
    assert!(bundle.entries.iter().all(Result::is_err));
}

#[test]
fn other_bundles_are_refused_and_empty_ones_are_not() {
    assert_eq!(
        issues_of(r#"{"resourceType":"Bundle","type":"collection"}"#),
        ["InvalidBundle Bundle.type"]
    );
    assert_eq!(issues_of(r#"{"resourceType":"Patient"}"#), ["WrongResourceType -"]);
    assert_eq!(
        issues_of(r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#),
        ["InvalidElement Bundle.entry"]
    );
    let text = r#"{"resourceType":"Bundle","type":"batch"}"#;
    let value = json::parse(text.as_bytes()).unwrap();
    assert!(parse_bundle(&value, text.as_bytes()).unwrap().entries.is_empty());
    let many = vec![r#"{"request":{"method":"GET","url":"Patient"}}"#; ENTRIES_MAX + 1].join(",");
    let many = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{many}]}}"#);
    assert_eq!(issues_of(&many), ["InvalidBundle Bundle.entry"]);
}

#[test]
fn hl7s_transaction_example_is_read() {
    for folder in ["examples/R4/Bundle", "examples/R4B/Bundle", "examples/R5/Bundle"] {
        for (path, bytes) in shared_files(folder, "bundle-transaction") {
            let value = json::parse(&bytes).unwrap();
            let bundle = parse_bundle(&value, &bytes).unwrap_or_else(|it| panic!("{path:?}: {it}"));
            for entry in bundle.entries.iter().flatten() {
                if let Some(resource) = &entry.resource {
                    assert_eq!(&json::parse(resource.bytes).unwrap(), resource.value);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn reading_any_bundle_never_panics(mut value in arbitrary_value(), entry in arbitrary_value()) {
        if let Some(members) = value.as_object_mut() {
            members.insert("resourceType".to_owned(), json!("Bundle"));
            members.insert("type".to_owned(), json!("batch"));
            members.insert("entry".to_owned(), json!([entry]));
        }
        let bytes = value.to_string();
        drop(parse_bundle(&value, bytes.as_bytes()));
    }
}
