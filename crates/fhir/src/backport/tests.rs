//! Tests of Subscriptions of R4 and R4B (RQ section 3).

use std::num::NonZeroU32;
use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{
    ChannelType, MimeType, PayloadContent, SubscriptionStatus, criteria_topic_url,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_data::{arbitrary_value, shared_values, told};
use crate::values::SubscriptionValues;
use crate::{json, urls};

const BASE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-";

fn valid() -> Value {
    json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": "http://example.org/topic|1",
        "_criteria": { "extension": [
            { "url": format!("{BASE}filter-criteria"), "valueString": "Encounter?patient=Patient/1" },
            { "url": format!("{BASE}filter-criteria"), "valueString": "a=1&b=2" },
        ]},
        "channel": {
            "extension": [
                { "url": format!("{BASE}heartbeat-period"), "valueUnsignedInt": 60 },
                { "url": format!("{BASE}timeout"), "valueUnsignedInt": 5 },
                { "url": format!("{BASE}max-count"), "valuePositiveInt": 20 },
            ],
            "type": "rest-hook",
            "endpoint": "https://example.org/hook",
            "payload": "application/fhir+json",
            "_payload": { "extension": [
                { "url": format!("{BASE}payload-content"), "valueCode": "id-only" },
            ]},
            "header": ["Authorization: Bearer a:b", "X-A:1"],
        },
    })
}

fn issues_of(version: FhirVersion, value: &Value) -> Vec<String> {
    match parse_subscription(version, value) {
        Ok((_, issues)) | Err(issues) => told(&issues),
    }
}

/// Changes a valid Subscription and compares what is told.
fn check(change: impl Fn(&mut Value), expected: &[&str]) {
    for version in [FhirVersion::R4, FhirVersion::R4B] {
        let mut value = valid();
        change(&mut value);
        assert_eq!(issues_of(version, &value), expected, "{version} {value}");
    }
}

fn set(pointer: &'static str, new: Value) -> impl Fn(&mut Value) {
    move |value| *value.pointer_mut(pointer).unwrap() = new.clone()
}

fn remove(parent: &'static str, name: &'static str) -> impl Fn(&mut Value) {
    move |value| {
        value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    }
}

fn add(parent: &'static str, name: &'static str, new: Value) -> impl Fn(&mut Value) {
    move |value| value.pointer_mut(parent).unwrap()[name] = new.clone()
}

#[test]
fn a_subscription_is_read_into_the_model() {
    let (subscription, issues) = parse_subscription(FhirVersion::R4, &valid()).unwrap();
    assert!(issues.0.is_empty());
    assert_eq!(subscription.status, SubscriptionStatus::Requested);
    assert_eq!(subscription.topic.to_string(), "http://example.org/topic|1");
    assert_eq!(subscription.filters.len(), 3);
    assert_eq!(subscription.filters[0].resource_type.as_deref(), Some("Encounter"));
    assert_eq!(subscription.channel_type, ChannelType::RestHook);
    assert_eq!(subscription.endpoint.as_deref(), Some("https://example.org/hook"));
    assert_eq!(subscription.headers[0].name, "Authorization");
    assert_eq!(subscription.headers[0].value, "Bearer a:b");
    assert_eq!(subscription.headers[1].value, "1");
    assert_eq!(subscription.heartbeat_period, Some(Duration::from_secs(60)));
    assert_eq!(subscription.timeout, Some(Duration::from_secs(5)));
    assert_eq!(subscription.max_count.map(u32::from), Some(20));
    assert_eq!(subscription.mime_type, Some(MimeType::new("application/fhir+json")));
    assert_eq!(subscription.content, PayloadContent::IdOnly);
}

#[test]
fn what_the_profile_demands_must_be_there() {
    check(remove("", "status"), &["MissingElement Subscription.status"]);
    check(remove("", "reason"), &["MissingElement Subscription.reason"]);
    check(remove("", "criteria"), &["MissingElement Subscription.criteria"]);
    check(remove("", "channel"), &["MissingElement Subscription.channel"]);
    check(remove("/channel", "type"), &["MissingElement Subscription.channel.type"]);
    check(remove("/channel", "payload"), &["MissingElement Subscription.channel.payload"]);
    check(
        remove("/channel", "_payload"),
        &["MissingElement Subscription.channel.payload.extension"],
    );
    check(remove("/channel", "endpoint"), &["MissingElement Subscription.channel.endpoint"]);
    check(set("/reason", json!("")), &["InvalidElement Subscription.reason"]);
    check(set("/channel", json!([])), &["InvalidElement Subscription.channel"]);
}

#[test]
fn all_issues_are_told_at_once() {
    let value = json!({
        "resourceType": "Subscription", "status": "on", "criteria": "Encounter?status=x",
        "meta": { "profile": [format!("{BASE}subscription")] },
        "channel": { "type": "carrier-pigeon", "payload": "text/csv", "header": ["Host: x"] },
    });
    assert_eq!(
        issues_of(FhirVersion::R4, &value),
        [
            "InvalidElement Subscription.status",
            "MissingElement Subscription.reason",
            "InvalidElement Subscription.criteria",
            "UnknownChannelType Subscription.channel.type",
            "UnsupportedMimeType Subscription.channel.payload",
            "HeaderRefused Subscription.channel.header[0]",
            "MissingElement Subscription.channel.payload.extension",
        ]
    );
}

#[test]
fn statuses_of_r5_only_are_unknown_here() {
    check(set("/status", json!("entered-in-error")), &["InvalidElement Subscription.status"]);
    check(set("/status", json!("error")), &[]);
    check(add("", "error", json!("x")), &["StatusRefused Subscription.error"]);
}

#[test]
fn bounds_are_whole_numbers_above_zero() {
    let heartbeat = "/channel/extension/0/valueUnsignedInt";
    let path = "OutOfBounds Subscription.channel.extension[0].value";
    check(set(heartbeat, json!(0)), &[path]);
    check(set(heartbeat, json!(-1)), &[path]);
    check(set(heartbeat, json!(1.5)), &[path]);
    check(set(heartbeat, json!(2_147_483_647)), &[]);
    check(set(heartbeat, json!(2_147_483_648_u32)), &[path]);
    check(set(heartbeat, json!("60")), &["InvalidElement Subscription.channel.extension[0].value"]);
    check(
        set("/channel/extension/2/valuePositiveInt", json!(0)),
        &["OutOfBounds Subscription.channel.extension[2].value"],
    );
    check(
        set("/channel/extension/1/url", json!(format!("{BASE}heartbeat-period"))),
        &["InvalidElement Subscription.channel.extension[1]"],
    );
}

#[test]
fn endpoints_fit_their_channel() {
    let path = "EndpointRefused Subscription.channel.endpoint";
    let cases: &[(&str, &str, &[&str])] = &[
        ("rest-hook", "http://localhost:1/x", &[]),
        ("rest-hook", "HTTPS://example.org", &[]),
        ("rest-hook", "hook", &[path]),
        ("rest-hook", "/hook", &[path]),
        ("rest-hook", "http:example.org", &[path]),
        ("rest-hook", "http:///x", &[path]),
        ("rest-hook", "ftp://example.org", &[path]),
        ("rest-hook", "https://user:secret@example.org", &[path]),
        ("rest-hook", "https://example.org/a b", &[path]),
        ("rest-hook", "mailto:a@example.org", &[path]),
        ("message", "https://example.org/fhir", &[]),
        ("message", "tel:1", &[path]),
        ("websocket", "wss://example.org", &[]),
        ("websocket", "tel:1", &[path]),
    ];
    for (channel, endpoint, expected) in cases {
        let change = |value: &mut Value| {
            value["channel"]["type"] = json!(channel);
            value["channel"]["endpoint"] = json!(endpoint);
        };
        check(change, expected);
    }
    check(set("/channel/endpoint", json!(format!("https://x/{}", "y".repeat(2048)))), &[path]);
    check(
        |value| {
            set("/channel/type", json!("websocket"))(value);
            remove("/channel", "endpoint")(value);
        },
        &[],
    );
}

#[test]
fn mime_types_are_those_this_base_can_send() {
    let path = "UnsupportedMimeType Subscription.channel.payload";
    let cases: &[(&str, &[&str])] = &[
        ("application/json", &[]),
        ("Application/FHIR+JSON; charset=UTF-8", &[]),
        ("application/fhir+xml", &[]),
        ("text/xml; charset=utf-8", &[]),
        ("application/xml; fhirVersion=5.0", &[path]),
        ("text/plain", &[path]),
        ("application/fhir+json; fhirVersion=9.9", &[path]),
        ("application/fhir+json; fhirVersion=5.0", &[path]),
        ("application/fhir+json; charset=latin1", &[path]),
        ("application/fhir+json; q=1", &[path]),
        ("application/fhir+json\r\nX: y", &[path]),
        ("full-resource", &[path]),
        ("json", &[path]),
    ];
    for (mime, expected) in cases {
        check(set("/channel/payload", json!(mime)), expected);
    }
    for (version, asked, taken) in [
        (FhirVersion::R4, "4.0", true),
        (FhirVersion::R4, "4.3", false),
        (FhirVersion::R4B, "4.3", true),
        (FhirVersion::R4B, "\"4.3\"", true),
        (FhirVersion::R4B, "4.0", false),
    ] {
        let mut value = valid();
        value["channel"]["payload"] = json!(format!("application/fhir+json;fhirVersion={asked}"));
        assert_eq!(issues_of(version, &value).is_empty(), taken, "{version} {asked}");
    }
}

#[test]
fn a_mail_is_text_with_the_bundle_attached() {
    let path = "UnsupportedMimeType Subscription.channel.payload";
    for (mime, expected) in [
        ("text/plain", &[][..]),
        ("text/html", &[]),
        ("text/plain;attach=application/fhir+json", &[]),
        ("text/html;attach=application/fhir+xml", &[]),
        ("text/plain;attach=application/pdf", &[path]),
        ("application/fhir+json", &[path]),
    ] {
        let change = |value: &mut Value| {
            value["channel"]["type"] = json!("email");
            value["channel"]["endpoint"] = json!("mailto:a@example.org");
            value["channel"]["payload"] = json!(mime);
        };
        check(change, expected);
    }
}

#[test]
fn headers_that_are_not_for_clients_are_refused() {
    let path = "HeaderRefused Subscription.channel.header[0]";
    for (header, expected) in [
        ("X-Key:  v ", &[][..]),
        ("X-Empty:", &[]),
        ("no colon", &[path]),
        ("Host: x", &[path]),
        ("content-length: 1", &[path]),
        ("Content-Type: text/plain", &[path]),
        ("Transfer-Encoding: chunked", &[path]),
        ("X: a\r\nY: b", &[path]),
        ("X: a\u{0}", &[path]),
        ("X Y: a", &[path]),
        (": a", &[path]),
        ("X: ä", &[path]),
    ] {
        check(set("/channel/header", json!([header])), expected);
    }
    let many = vec!["X: y"; 33];
    check(set("/channel/header", json!(many)), &["OutOfBounds Subscription.channel.header"]);
}

#[test]
fn a_channel_extension_overrides_the_type() {
    let coding = |coding: Value| {
        add(
            "/channel",
            "_type",
            json!({ "extension": [
                { "url": format!("{BASE}channel-type"), "valueCoding": coding }
            ]}),
        )
    };
    let mut value = valid();
    coding(json!({ "system": "http://example.org", "code": "zulip" }))(&mut value);
    let (subscription, _) = parse_subscription(FhirVersion::R4, &value).unwrap();
    assert!(matches!(subscription.channel_type, ChannelType::Custom(_)));
    coding(json!({ "code": "websocket" }))(&mut value);
    let (subscription, _) = parse_subscription(FhirVersion::R4, &value).unwrap();
    assert_eq!(subscription.channel_type, ChannelType::Websocket);
    let own = "https://cresset.dev/fhir/CodeSystem/channel-type";
    for (code, channel_type) in [("kafka", ChannelType::Kafka), ("nats", ChannelType::Nats)] {
        let mut value = valid();
        coding(json!({ "system": own, "code": code }))(&mut value);
        for (endpoint, good) in [
            (format!("{code}:orders.new"), true),
            (format!("{code}:"), false),
            (format!("{code}://broker/orders"), false),
            ("https://example.org/hook".to_owned(), false),
        ] {
            set("/channel/endpoint", json!(endpoint))(&mut value);
            let parsed = parse_subscription(FhirVersion::R4, &value);
            assert_eq!(parsed.is_ok(), good, "{endpoint}");
            if let Ok((subscription, _)) = parsed {
                assert_eq!(subscription.channel_type, channel_type);
            }
        }
        value["channel"].as_object_mut().unwrap().remove("endpoint");
        let (subscription, _) = parse_subscription(FhirVersion::R4, &value).unwrap();
        assert_eq!(subscription.endpoint, None, "the server has a place of its own");
    }
    check(
        coding(json!({ "system": own, "code": "zulip" })),
        &["UnknownChannelType Subscription.channel.type.extension[0].value"],
    );
    let path = "UnknownChannelType Subscription.channel.type.extension[0].value";
    check(coding(json!({ "code": "zulip" })), &[path]);
    check(
        coding(json!({ "system": "http://example.org" })),
        &["MissingElement Subscription.channel.type.extension[0].valueCoding.code"],
    );
    check(set("/channel/type", json!("sms")), &["UnknownChannelType Subscription.channel.type"]);
}

#[test]
fn no_extension_that_could_narrow_what_is_sent_is_ignored() {
    let inferno = "http://hl7.org/fhir/5.0/subscriptions-backport/StructureDefinition/\
                   backport-filter-criteria";
    let path = "UnknownExtension Subscription.criteria.extension[0]";
    check(set("/_criteria/extension/0/url", json!(inferno)), &[path]);
    let misplaced = json!([{ "url": format!("{BASE}filter-criteria"), "valueString": "a=b" }]);
    check(
        set("/channel/extension", misplaced.clone()),
        &["UnknownExtension Subscription.channel.extension[0]"],
    );
    check(add("", "extension", misplaced), &["UnknownExtension Subscription.extension[0]"]);
    let start = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.";
    let identifier = json!([{ "url": format!("{start}identifier"), "valueIdentifier": {} }]);
    check(add("", "extension", identifier), &[]);
    let topic = json!([{ "url": format!("{start}filterBy"), "extension": [] }]);
    check(add("", "extension", topic), &["UnknownExtension Subscription.extension[0]"]);
    let other = json!([{ "url": "http://example.org/x", "valueString": "y" }]);
    check(add("", "extension", other.clone()), &[]);
    check(
        add("/channel", "modifierExtension", other),
        &["UnknownExtension Subscription.channel.modifierExtension"],
    );
    check(add("", "filterBy", json!([])), &["InvalidElement Subscription.filterBy"]);
    check(add("/channel", "timeout", json!(5)), &["InvalidElement Subscription.channel.timeout"]);
}

#[test]
fn an_end_is_an_instant() {
    let path = "InvalidElement Subscription.end";
    for (end, expected) in [
        ("2020-12-31T12:00:00Z", &[][..]),
        ("2023-08-30T17:06:34.7431722+00:00", &[]),
        ("2023-08-30T17:06:34.123456789123-05:30", &[]),
        ("2023-08-30", &[path]),
        ("2023-08-30T17:06Z", &[path]),
        ("2023-08-30T17:06:34", &[path]),
        ("2023-08-30 17:06:34Z", &[path]),
        ("2023-02-30T17:06:34Z", &[path]),
        ("2023-08-30T17:06:34.Z", &[path]),
        ("ä023-08-30T17:06:34Z", &[path]),
    ] {
        check(add("", "end", json!(end)), expected);
    }
}

#[test]
fn a_query_without_extensions_is_a_classic_subscription() {
    let mut value = valid();
    value["criteria"] = json!("Observation?code=1");
    assert!(is_topic_based(&value));
    value.as_object_mut().unwrap().remove("_criteria");
    assert!(is_topic_based(&value));
    value["channel"].as_object_mut().unwrap().remove("_payload");
    assert!(!is_topic_based(&value));
    value["meta"] = json!({ "profile": [format!("{BASE}subscription")] });
    assert!(is_topic_based(&value));
    value.as_object_mut().unwrap().remove("meta");
    value["criteria"] = json!("http://example.org/topic");
    assert!(is_topic_based(&value));
}

#[test]
fn paths_of_r5_are_told_as_they_are_here() {
    let path = |r5: &str| subscription_path(FhirVersion::R4, &valid(), r5);
    assert_eq!(path("Subscription.topic"), "Subscription.criteria");
    assert_eq!(path("Subscription.filterBy[0].value"), "Subscription.criteria.extension[0].value");
    assert_eq!(path("Subscription.filterBy[2]"), "Subscription.criteria.extension[1].value");
    assert_eq!(path("Subscription.filterBy[9]"), "Subscription.criteria");
    assert_eq!(path("Subscription.channelType"), "Subscription.channel.type");
    assert_eq!(path("Subscription.parameter[1].name"), "Subscription.channel.header[1]");
    assert_eq!(path("Subscription.status"), "Subscription.status");
}

#[test]
fn a_status_is_spliced_in() {
    let check = |input: &str, error: Option<&str>, expected: &str| {
        let out = set_status(input.as_bytes(), SubscriptionStatus::Error, error);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    };
    check(
        r#"{"resourceType":"S", "status" : "active" , "end":"x"}"#,
        None,
        r#"{"resourceType":"S", "status" : "error" , "end":"x"}"#,
    );
    check(
        r#"{"status":"active","error":"old","end":"x"}"#,
        None,
        r#"{"status":"error","end":"x"}"#,
    );
    check(
        r#"{"status":"active","end":"x"}"#,
        Some("HTTP \"503\""),
        r#"{"status":"error","error":"HTTP \"503\"","end":"x"}"#,
    );
    check(r#"{"error":"old","status":"active"}"#, None, r#"{"status":"error"}"#);
    check(r#"{"resourceType":"S"}"#, None, r#"{"resourceType":"S","status":"error"}"#);
}

#[test]
fn values_the_server_chose_are_spliced_in() {
    let values = SubscriptionValues {
        heartbeat_period: Some(30),
        timeout: None,
        max_count: Some(7),
        mime_type: Some("application/json"),
        content: Some(PayloadContent::Empty),
    };
    let mut without = valid();
    without["channel"].as_object_mut().unwrap().remove("extension");
    without["channel"].as_object_mut().unwrap().remove("_payload");
    let mut empty = valid();
    empty["channel"]["extension"] = json!([]);
    for value in [valid(), without, empty] {
        let bytes = set_values(value.to_string().as_bytes(), &values);
        let after = json::parse(&bytes).unwrap();
        let (subscription, _) = parse_subscription(FhirVersion::R4, &after).unwrap();
        assert_eq!(subscription.heartbeat_period, Some(Duration::from_secs(30)));
        assert_eq!(subscription.max_count.map(u32::from), Some(7));
        assert_eq!(subscription.mime_type, Some(MimeType::new("application/json")));
        assert_eq!(subscription.content, PayloadContent::Empty);
    }
    assert_eq!(set_values(b"{}", &values), b"{}");
    json::parse(&set_values(br#"{"channel":{"_payload":{}}}"#, &values)).unwrap();
    json::parse(&set_values(br#"{"channel":{}}"#, &values)).unwrap();
}

#[test]
fn subscriptions_of_others_parse() {
    let mut seen = 0;
    for (version, folder, prefix) in [
        (FhirVersion::R4, "ig-1.1.0/r4", "Subscription-"),
        (FhirVersion::R4B, "ig-1.1.0/r4b", "Subscription-"),
        (FhirVersion::R4, "ig-1.2.0-ballot", "Subscription-"),
        (FhirVersion::R4, "topics/davinci-cdex", "cdex-task-inline-scenario1-subscription-active"),
        (FhirVersion::R4, "topics/davinci-cdex", "cdex-task-inline-scenario1-subscription-req"),
        (FhirVersion::R4, "topics/fhir-candle", "tests__r4__Subscription-"),
        (FhirVersion::R4B, "topics/fhir-candle", "tests__r4b__Subscription-"),
    ] {
        for (path, value) in shared_values(folder, prefix) {
            assert!(is_topic_based(&value), "{path:?}");
            assert_eq!(issues_of(version, &value), Vec::<String>::new(), "{path:?}");
            seen += 1;
        }
    }
    println!("{seen} Subscriptions");
    // The examples of the base specification are classic ones.
    for (path, value) in shared_values("examples/R4/Subscription", "") {
        assert!(!is_topic_based(&value), "{path:?}");
        parse_subscription(FhirVersion::R4, &value).unwrap_or_else(|issues| panic!("{issues}"));
    }
}

#[test]
fn a_search_becomes_the_filters_of_its_type() {
    let classic = |criteria: &str, channel: Value| {
        let value = json!({
            "resourceType": "Subscription", "status": "requested", "reason": "x",
            "criteria": criteria, "channel": channel,
        });
        parse_subscription(FhirVersion::R4, &value)
    };
    let hook = json!({ "type": "rest-hook", "endpoint": "https://example.org" });
    let (parsed, _) =
        classic("Observation?code=a|b,c&value-quantity=gt5&code:not=d", hook).unwrap();
    assert_eq!(parsed.topic.url, criteria_topic_url("Observation"));
    let filters = parsed.filters.iter().map(|one| (one.parameter.as_str(), one.value.as_str()));
    assert_eq!(
        filters.collect::<Vec<_>>(),
        [("code", "a|b,c"), ("value-quantity", "gt5"), ("code", "d")]
    );
    assert_eq!(parsed.content, PayloadContent::Empty);
    assert_eq!((parsed.mime_type, parsed.max_count), (None, NonZeroU32::new(1)));
    for (channel, content) in [
        (json!({ "type": "websocket" }), PayloadContent::FullResource),
        (json!({ "type": "email", "endpoint": "mailto:a@b.test" }), PayloadContent::Empty),
        (
            json!({ "type": "rest-hook", "endpoint": "https://a.test", "payload": "text/xml" }),
            PayloadContent::FullResource,
        ),
    ] {
        assert_eq!(classic("Patient", channel).unwrap().0.content, content);
    }
    let mail = json!({
        "type": "email", "endpoint": "mailto:a@b.test",
        "payload": "text/plain;attach=application/fhir+json",
    });
    assert!(classic("Patient", mail).is_err());
    let extended = json!({
        "type": "websocket", "extension": [{ "url": urls::TIMEOUT, "valueUnsignedInt": 5 }],
    });
    assert!(classic("Patient", extended).is_err());
}

proptest! {
    #[test]
    fn reading_any_subscription_never_panics(mut value in arbitrary_value()) {
        if let Some(members) = value.as_object_mut() {
            members.insert("resourceType".to_owned(), json!("Subscription"));
        }
        if let Err(issues) = parse_subscription(FhirVersion::R4B, &value) {
            prop_assert!(issues.has_errors());
        }
        is_topic_based(&value);
        subscription_path(FhirVersion::R4, &value, "Subscription.filterBy[1]");
        let bytes = value.to_string();
        let values = SubscriptionValues { heartbeat_period: Some(1), content: Some(PayloadContent::Empty), ..SubscriptionValues::default() };
        json::parse(&set_values(bytes.as_bytes(), &values)).unwrap();
        json::parse(&set_status(bytes.as_bytes(), SubscriptionStatus::Off, Some("x"))).unwrap();
    }
}
