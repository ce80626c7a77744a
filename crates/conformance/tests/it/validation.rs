//! What is refused when a subscription is created, and that a refusal changes nothing.

use cresset_conformance::{Client, Filter, Options, Server, Subscribe, Version, set, verifies};
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";
const ENDPOINT: &str = "http://127.0.0.1:8000/hook";
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";

/// Where an R5 element stands in each version.
fn element(version: Version, r5: &str) -> String {
    let backport = match r5 {
        "topic" => "criteria",
        "filterBy" => "criteria",
        "channelType" => "channel.type",
        "endpoint" => "channel.endpoint",
        "contentType" | "content" => "channel.payload",
        "parameter" => "channel.header",
        "heartbeatPeriod" | "timeout" | "maxCount" => "channel.extension",
        other => other,
    };
    format!("Subscription.{}", if version.is_backport() { backport } else { r5 })
}

/// How many Subscriptions a base has.
async fn stored(base: &Client) -> u64 {
    let all = base.read("Subscription?_count=1000").await;
    all["entry"].as_array().map_or(0, Vec::len) as u64
}

/// Refused with 422, an OperationOutcome that names the element, and nothing stored.
async fn check_refused(base: &Client, what: &str, asked: &Value, r5_element: &str) {
    let before = stored(base).await;
    let reply = base.post("Subscription", asked).await;
    assert_eq!(reply.status, 422, "{what}: {reply}");
    reply.refused_at(422, &element(base.version, r5_element));
    let mut named = asked.clone();
    set(&mut named, "/id", "refused");
    base.put("Subscription/refused", &named).await.refused(422);
    base.get("Subscription/refused").await.refused(404);
    assert_eq!(stored(base).await, before, "{what}");
}

#[tokio::test]
async fn unknown_topics_are_refused() {
    verifies!("RQ-SB-30", "RQ-SB-38", "RQ-TP-05");
    let server = Server::start().await;
    for base in server.bases() {
        for topic in ["http://cresset.test/topics/none", "http://cresset.test/topics/patient-an"] {
            let asked = Subscribe::websocket(topic).json(base.version);
            check_refused(&base, topic, &asked, "topic").await;
            let outcome = base.post("Subscription", &asked).await.refused_as(422, "not-supported");
            assert!(outcome.issues.iter().any(|issue| issue.code == "S0012"), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn criteria_hold_a_canonical_and_no_query() {
    verifies!("RQ-SB-01", "RQ-SB-02");
    let server = Server::start().await;
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        for criteria in ["Encounter?status=in-progress", "Patient", "", "patient-any"] {
            let asked = Subscribe::websocket(criteria).json(base.version);
            check_refused(base, criteria, &asked, "topic").await;
        }
    }
}

#[tokio::test]
async fn filters_modifiers_and_comparators_that_the_topic_does_not_offer_are_refused() {
    verifies!("RQ-SB-31", "RQ-FL-11", "RQ-SB-17", "RQ-TP-54", "RQ-FL-14");
    let server = Server::start().await;
    for base in server.bases() {
        for filter in [
            Filter::new("nonsense", "1"),
            Filter::new("birthdat", "2000-01-01"),
            Filter::new("name", "x"),
            Filter::new("address", "x").of("Patient"),
            Filter::new("birthdate", "2000").modifier("missing"),
            Filter::new("family", "x").modifier("nonsense"),
            Filter::new("gender", "male").modifier("in"),
            Filter::new("birthdate", "2000").comparator("ap"),
            Filter::new("birthdate", "soon"),
            Filter::new("family", ""),
            Filter::new("family", "x").of("Nothing"),
            Filter::new("status", "final").of("Observation"),
        ] {
            let what = format!("{filter:?}");
            let asked = Subscribe::websocket(TOPIC).filter(filter).json(base.version);
            check_refused(&base, &what, &asked, "filterBy").await;
        }
        let good = Subscribe::websocket(TOPIC).filter(Filter::new("gender", "male"));
        let mixed = good.filter(Filter::new("nonsense", "1")).json(base.version);
        check_refused(&base, "one of two", &mixed, "filterBy").await;
    }
}

#[tokio::test]
async fn an_r5_filter_has_a_comparator_or_a_modifier_and_a_value() {
    verifies!("RQ-SB-17", "RQ-FL-08", "RQ-SB-38");
    let server = Server::start().await;
    let base = server.base(Version::R5);
    let both = Filter::new("birthdate", "2000").comparator("gt").modifier("exact");
    let asked = Subscribe::websocket(TOPIC).filter(both).json(Version::R5);
    check_refused(&base, "both", &asked, "filterBy").await;
    let twice = Filter::new("birthdate", "le1950").comparator("gt");
    let asked = Subscribe::websocket(TOPIC).filter(twice).json(Version::R5);
    check_refused(&base, "a prefix beside a comparator", &asked, "filterBy").await;
    for missing in ["filterParameter", "value"] {
        let mut asked =
            Subscribe::websocket(TOPIC).filter(Filter::new("gender", "male")).json(Version::R5);
        set(&mut asked, &format!("/filterBy/0/{missing}"), Value::Null);
        check_refused(&base, missing, &asked, "filterBy").await;
    }
}

#[tokio::test]
async fn unknown_channels_are_refused() {
    verifies!("RQ-SB-32", "RQ-CH-90");
    let server = Server::start().await;
    for base in server.bases() {
        let pointer =
            if base.version.is_backport() { "/channel/type" } else { "/channelType/code" };
        let message = (ENDPOINT, "application/fhir+json");
        for (code, (endpoint, mime_type)) in [
            ("carrier-pigeon", message),
            ("sms", message),
            ("", message),
            // Known, but switched on by configuration only.
            ("email", ("mailto:x@x.test", "text/plain")),
        ] {
            let asked = Subscribe::rest_hook(TOPIC, endpoint).mime_type(mime_type);
            let mut asked = asked.json(base.version);
            set(&mut asked, pointer, code);
            check_refused(&base, code, &asked, "channel").await;
        }
    }
    let base = server.base(Version::R5);
    let mut custom = Subscribe::rest_hook(TOPIC, ENDPOINT).json(Version::R5);
    set(&mut custom, "/channelType", json!({"system": "http://x.test", "code": "rest-hook"}));
    check_refused(&base, "a custom system", &custom, "channelType").await;
}

#[tokio::test]
async fn endpoints_that_do_not_fit_the_channel_are_refused() {
    verifies!("RQ-SB-33", "RQ-SB-11");
    let server = Server::start().await;
    for base in server.bases() {
        for endpoint in [
            "ftp://x.test/hook",
            "mailto:x@x.test",
            "ws://x.test/hook",
            "/relative",
            "not a url",
            "http://",
            "http://user:secret@x.test/hook",
            "http:///x.test/hook",
            "",
        ] {
            let asked = Subscribe::rest_hook(TOPIC, endpoint).json(base.version);
            check_refused(&base, endpoint, &asked, "endpoint").await;
        }
        let mut missing = Subscribe::rest_hook(TOPIC, ENDPOINT).json(base.version);
        let pointer = if base.version.is_backport() { "/channel/endpoint" } else { "/endpoint" };
        set(&mut missing, pointer, Value::Null);
        check_refused(&base, "no endpoint", &missing, "endpoint").await;
        set(&mut missing, pointer, 17);
        check_refused(&base, "a number", &missing, "endpoint").await;
    }
}

#[tokio::test]
async fn endpoints_are_restricted_by_policy() {
    verifies!("RQ-SS-08", "RQ-CH-28", "RQ-SS-06", "RQ-SS-05", "RQ-SB-35");
    let open = Server::start_with(Options::default().without_local_endpoints()).await;
    for base in open.bases() {
        for host in [
            "127.0.0.1:8000",
            "localhost:8000",
            "10.1.2.3",
            "192.168.7.7",
            "169.254.169.254",
            "[::1]:8000",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "2130706433",
        ] {
            let asked = Subscribe::rest_hook(TOPIC, &format!("http://{host}/hook"));
            check_refused(&base, host, &asked.json(base.version), "endpoint").await;
        }
        let full = Subscribe::rest_hook(TOPIC, "http://hook.x.test/").content("full-resource");
        let reply = base.post("Subscription", &full.json(base.version)).await;
        reply.refused(422);
        let secure = Subscribe::rest_hook(TOPIC, "https://hook.x.test/").content("full-resource");
        base.post("Subscription", &secure.json(base.version)).await.expect(201);
    }
    let strict = Options::default().without_local_endpoints().set("rest-hook.https-only", true);
    let strict = Server::start_with(strict).await;
    for base in strict.bases() {
        let plain = Subscribe::rest_hook(TOPIC, "http://hook.x.test/").json(base.version);
        check_refused(&base, "http", &plain, "endpoint").await;
        let secure = Subscribe::rest_hook(TOPIC, "https://hook.x.test/").json(base.version);
        base.post("Subscription", &secure).await.expect(201);
    }
}

#[tokio::test]
async fn content_levels_and_payload_types_that_cannot_be_sent_are_refused() {
    verifies!("RQ-SB-34", "RQ-SB-36", "RQ-SB-04", "RQ-CH-09", "RQ-CF-12");
    let server = Server::start().await;
    for base in server.bases() {
        for content in ["everything", "Empty", ""] {
            let asked = Subscribe::websocket(TOPIC).content(content).json(base.version);
            check_refused(&base, content, &asked, "content").await;
        }
        let other = if base.version == Version::R5 { "4.0" } else { "5.0" };
        for mime_type in [
            "text/plain".to_owned(),
            "application/pdf".to_owned(),
            "json".to_owned(),
            "invalid".to_owned(),
            "application/fhir+json; fhirVersion=9.9".to_owned(),
            format!("application/fhir+json; fhirVersion={other}"),
            format!("application/fhir+xml; fhirVersion={other}"),
        ] {
            let asked = Subscribe::websocket(TOPIC).mime_type(&mime_type).json(base.version);
            check_refused(&base, &mime_type, &asked, "contentType").await;
        }
        let own = base.version.mime();
        for mime_type in [
            "application/fhir+json".to_owned(),
            "application/json".to_owned(),
            format!("application/fhir+json; fhirVersion={own}"),
            format!("application/fhir+json;fhirVersion={own}"),
        ] {
            let asked = Subscribe::websocket(TOPIC).mime_type(&mime_type).json(base.version);
            let created = base.create(&asked).await;
            let pointer =
                if base.version.is_backport() { "/channel/payload" } else { "/contentType" };
            let shown = created.pointer(pointer).and_then(Value::as_str);
            assert_eq!(shown, Some(mime_type.as_str()), "{created}");
        }
    }
}

#[tokio::test]
async fn what_the_backport_profile_demands_must_be_there() {
    verifies!("RQ-SB-03", "RQ-CF-11");
    let server = Server::start().await;
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        for (pointer, at) in [
            ("/channel/_payload", "channel.payload"),
            ("/channel/payload", "channel.payload"),
            ("/channel", "channel"),
            ("/criteria", "criteria"),
            ("/reason", "reason"),
            ("/status", "status"),
            ("/channel/type", "channel.type"),
        ] {
            let mut asked = Subscribe::rest_hook(TOPIC, ENDPOINT).json(base.version);
            set(&mut asked, pointer, Value::Null);
            check_refused(base, pointer, &asked, at).await;
        }
        let mut twice = Subscribe::websocket(TOPIC).json(base.version);
        let level = |code: &str| json!({"url": format!("{GUIDE}/backport-payload-content"), "valueCode": code});
        let both = json!({"extension": [level("empty"), level("id-only")]});
        set(&mut twice, "/channel/_payload", both);
        check_refused(base, "two levels", &twice, "channel.payload").await;
    }
    let base = server.base(Version::R5);
    for name in ["status", "topic", "channelType"] {
        let mut asked = Subscribe::rest_hook(TOPIC, ENDPOINT).json(Version::R5);
        set(&mut asked, &format!("/{name}"), Value::Null);
        check_refused(&base, name, &asked, name).await;
    }
}

#[tokio::test]
async fn extensions_that_are_not_known_are_not_taken_for_filters() {
    verifies!("RQ-SB-37", "RQ-CF-13");
    let server = Server::start().await;
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        let newer = "http://hl7.org/fhir/5.0/subscriptions-backport/StructureDefinition/backport-filter-criteria";
        let cross = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.filterBy";
        let misspelt = format!("{GUIDE}/backport-filter-criterion");
        for url in [newer, cross, misspelt.as_str()] {
            let mut asked = Subscribe::websocket(TOPIC).json(base.version);
            let extension = json!({"url": url, "valueString": "Patient?gender=male"});
            set(&mut asked, "/_criteria", json!({"extension": [extension]}));
            check_refused(base, url, &asked, "filterBy").await;
        }
        // At the root and harmless.
        let mut named = Subscribe::websocket(TOPIC).json(base.version);
        let url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.identifier";
        let identifier = json!({"url": url, "valueIdentifier": {"value": "1"}});
        set(&mut named, "/extension", json!([identifier]));
        base.create(&named).await;
    }
}

#[tokio::test]
async fn elements_that_a_subscription_does_not_have_are_refused() {
    verifies!("RQ-FL-11");
    let server = Server::start().await;
    for base in server.bases() {
        for name in ["filterBY", "filter", "criteriaa"] {
            let mut asked = Subscribe::websocket(TOPIC).json(base.version);
            set(&mut asked, &format!("/{name}"), "x");
            check_refused(&base, name, &asked, name).await;
        }
    }
}

#[tokio::test]
async fn zero_periods_and_counts_are_refused() {
    verifies!("RQ-SB-14");
    let server = Server::start().await;
    for base in server.bases() {
        let subscribe = Subscribe::websocket(TOPIC);
        for (asked, at) in [
            (subscribe.clone().heartbeat_period(0), "heartbeatPeriod"),
            (subscribe.clone().timeout(0), "timeout"),
            (subscribe.max_count(0), "maxCount"),
        ] {
            check_refused(&base, at, &asked.json(base.version), at).await;
        }
    }
}

#[tokio::test]
async fn headers_that_are_not_a_clients_are_refused() {
    verifies!("RQ-CH-29");
    let server = Server::start().await;
    for base in server.bases() {
        for (name, value) in [
            ("Host", "x.test"),
            ("content-length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Content-Type", "text/plain"),
            ("X-Break", "a\r\nX-Other: b"),
            ("X Blank", "a"),
            ("", "a"),
        ] {
            let asked = Subscribe::rest_hook(TOPIC, ENDPOINT).header(name, value);
            check_refused(&base, name, &asked.json(base.version), "parameter").await;
        }
        if base.version.is_backport() {
            let mut asked = Subscribe::rest_hook(TOPIC, ENDPOINT).json(base.version);
            set(&mut asked, "/channel/header", json!(["without a colon"]));
            check_refused(&base, "no colon", &asked, "parameter").await;
        }
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    verifies!("RQ-SB-38");
    let server = Server::start().await;
    for base in server.bases() {
        let asked = Subscribe::rest_hook(TOPIC, "ftp://x.test")
            .content("everything")
            .mime_type("text/plain")
            .header("Host", "x")
            .timeout(0)
            .json(base.version);
        let reply = base.post("Subscription", &asked).await;
        let outcome = reply.refused(422);
        for r5 in ["endpoint", "content", "contentType", "parameter", "timeout"] {
            let element = element(base.version, r5);
            let told = outcome.issues.iter().any(|issue| issue.expression.starts_with(&element));
            assert!(told, "{element}: {reply}");
        }
    }
}
