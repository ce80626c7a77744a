//! Tests of R5's Subscription (RQ section 3).

use cresset_model::{ChannelType, Comparator, Modifier, PayloadContent, SubscriptionStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::json;
use crate::test_data::{arbitrary_value, shared_values, told};
use crate::values::SubscriptionValues;

fn valid() -> Value {
    json!({
        "resourceType": "Subscription",
        "status": "requested",
        "topic": "http://example.org/topic",
        "filterBy": [
            { "resourceType": "http://hl7.org/fhir/StructureDefinition/Encounter",
              "filterParameter": "patient", "value": "Patient/1" },
            { "filterParameter": "date", "comparator": "ge", "value": "2000" },
        ],
        "channelType": { "code": "rest-hook" },
        "endpoint": "https://example.org/hook",
        "parameter": [{ "name": "Authorization", "value": "Bearer x" }],
        "heartbeatPeriod": 60,
        "timeout": 5,
        "contentType": "application/fhir+json;fhirVersion=5.0",
        "content": "full-resource",
        "maxCount": 3,
    })
}

fn check(change: impl Fn(&mut Value), expected: &[&str]) {
    let mut value = valid();
    change(&mut value);
    let found = match parse_subscription(&value) {
        Ok((_, issues)) | Err(issues) => told(&issues),
    };
    assert_eq!(found, expected, "{value}");
}

fn set(pointer: &'static str, name: &'static str, new: Value) -> impl Fn(&mut Value) {
    move |value| value.pointer_mut(pointer).unwrap()[name] = new.clone()
}

fn remove(name: &'static str) -> impl Fn(&mut Value) {
    move |value| {
        value.as_object_mut().unwrap().remove(name);
    }
}

#[test]
fn a_subscription_is_read_into_the_model() {
    let (subscription, issues) = parse_subscription(&valid()).unwrap();
    assert!(issues.0.is_empty());
    assert_eq!(subscription.filters[0].resource_type.as_deref(), Some("Encounter"));
    assert_eq!(subscription.filters[1].comparator, Some(Comparator::Ge));
    assert_eq!(subscription.channel_type, ChannelType::RestHook);
    assert_eq!(subscription.content, PayloadContent::FullResource);
    assert_eq!(subscription.headers.len(), 1);
    assert_eq!(subscription.max_count.map(u32::from), Some(3));
}

#[test]
fn what_is_not_said_has_the_least_as_default() {
    let mut value = valid();
    for name in ["content", "contentType", "heartbeatPeriod", "timeout", "maxCount"] {
        value.as_object_mut().unwrap().remove(name);
    }
    let (subscription, _) = parse_subscription(&value).unwrap();
    assert_eq!(subscription.content, PayloadContent::Empty);
    assert_eq!(subscription.mime_type, None);
    assert_eq!(subscription.heartbeat_period, None);
}

#[test]
fn elements_are_checked_one_by_one() {
    check(remove("status"), &["MissingElement Subscription.status"]);
    check(set("", "status", json!("entered-in-error")), &[]);
    check(remove("topic"), &["MissingElement Subscription.topic"]);
    check(remove("channelType"), &["MissingElement Subscription.channelType"]);
    check(
        set("", "channelType", json!({ "system": "http://example.org" })),
        &["MissingElement Subscription.channelType.code"],
    );
    check(
        set("", "channelType", json!({ "code": "pigeon" })),
        &["UnknownChannelType Subscription.channelType"],
    );
    check(set("", "heartbeatPeriod", json!(0)), &["OutOfBounds Subscription.heartbeatPeriod"]);
    check(set("", "timeout", json!(0)), &["OutOfBounds Subscription.timeout"]);
    check(set("", "content", json!("all")), &["UnsupportedContent Subscription.content"]);
    check(
        set("", "contentType", json!("application/fhir+json;fhirVersion=4.0")),
        &["UnsupportedMimeType Subscription.contentType"],
    );
    check(set("", "endpoint", json!("x")), &["EndpointRefused Subscription.endpoint"]);
    check(set("/parameter/0", "name", json!("Host")), &["HeaderRefused Subscription.parameter[0]"]);
    check(set("", "criteria", json!("x")), &["InvalidElement Subscription.criteria"]);
    check(
        set(
            "",
            "_topic",
            json!({ "extension": [{ "url":
            "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-filter-criteria",
            "valueString": "a=b" }] }),
        ),
        &["UnknownExtension Subscription.topic.extension[0]"],
    );
}

#[test]
fn filters_have_a_comparator_or_a_modifier() {
    let first = "/filterBy/0";
    check(
        |value| {
            set(first, "comparator", json!("eq"))(value);
            set(first, "modifier", json!("in"))(value);
        },
        &["InvalidElement Subscription.filterBy[0]"],
    );
    check(
        set("/filterBy/1", "value", json!("le2000")),
        &["InvalidElement Subscription.filterBy[1]"],
    );
    check(
        set(first, "modifier", json!("=")),
        &["InvalidElement Subscription.filterBy[0].modifier"],
    );
    check(
        set(first, "resourceType", json!("Foo")),
        &["InvalidElement Subscription.filterBy[0].resourceType"],
    );
    check(set(first, "value", json!("")), &["InvalidElement Subscription.filterBy[0].value"]);
    check(set(first, "modifer", json!("in")), &["InvalidElement Subscription.filterBy[0].modifer"]);
    let mut value = valid();
    value["filterBy"] = json!([
        { "filterParameter": "code", "modifier": "in", "value": "a%2Cb" },
        { "filterParameter": "id", "value": "Patient/1" },
        { "filterParameter": "length", "value": "le1950" },
    ]);
    let (subscription, _) = parse_subscription(&value).unwrap();
    assert_eq!(subscription.filters[0].modifier, Some(Modifier::In));
    assert_eq!(subscription.filters[0].value, "a%2Cb", "a value is literal (RQ-FL-08)");
    assert_eq!(subscription.filters[1].parameter, "_id");
    assert_eq!(subscription.filters[1].value, "Patient/1");
    assert_eq!(subscription.filters[2].value, "le1950");
}

#[test]
fn status_and_values_are_spliced_in() {
    let bytes = br#"{"resourceType":"Subscription", "topic":"t","channelType":{"code":"x"} }"#;
    let out = set_status(bytes, SubscriptionStatus::Off);
    let expected = r#"{"resourceType":"Subscription","status":"off", "topic":"t","channelType":{"code":"x"} }"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let values = SubscriptionValues {
        mime_type: Some("application/fhir+json"),
        content: Some(PayloadContent::Empty),
        timeout: Some(3),
        ..SubscriptionValues::default()
    };
    let expected = concat!(
        r#"{"resourceType":"Subscription", "topic":"t","channelType":{"code":"x"},"timeout":3,"#,
        r#""contentType":"application/fhir+json","content":"empty" }"#
    );
    assert_eq!(String::from_utf8(set_values(bytes, &values)).unwrap(), expected);
}

#[test]
fn subscriptions_of_others_parse() {
    for (folder, prefix) in [
        ("topics/r5-core", "subscription-admission"),
        ("topics/fhir-candle", "tests__r5__Subscription-"),
        ("topics/fhir-candle", "tests__r5__subscription-"),
        ("examples/R5/Subscription", "subscription-admission"),
    ] {
        for (path, value) in shared_values(folder, prefix) {
            let (_, issues) =
                parse_subscription(&value).unwrap_or_else(|it| panic!("{path:?}: {it}"));
            assert!(issues.0.is_empty(), "{path:?}");
        }
    }
    // R5's other example is a rest-hook without endpoint, which cannot be sent to.
    for (_, value) in shared_values("topics/r5-core", "subscription-example") {
        let issues = parse_subscription(&value).unwrap_err();
        assert_eq!(told(&issues), ["MissingElement Subscription.endpoint"]);
    }
}

proptest! {
    #[test]
    fn reading_any_subscription_never_panics(mut value in arbitrary_value()) {
        if let Some(members) = value.as_object_mut() {
            members.insert("resourceType".to_owned(), json!("Subscription"));
        }
        if let Err(issues) = parse_subscription(&value) {
            prop_assert!(issues.has_errors());
        }
        let bytes = value.to_string();
        json::parse(&set_status(bytes.as_bytes(), SubscriptionStatus::Off)).unwrap();
    }
}
