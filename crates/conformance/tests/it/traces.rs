//! Traces: what a collector gets to see of a change and its notification.

use std::collections::BTreeMap;

use cresset_conformance::{Options, Receiver, Server, Subscribe, patient, until};
use reqwest::Method;
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";
const TRACES: &str = "/v1/traces";

/// All spans that the collector was sent so far.
fn spans(collector: &Receiver) -> Vec<Value> {
    let mut all = Vec::new();
    for sent in collector.all(TRACES) {
        assert_eq!(sent.header("content-type"), ["application/json"]);
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        for resource in body["resourceSpans"].as_array().expect("resources") {
            let attributes = resource["resource"]["attributes"].to_string();
            assert!(attributes.contains("service.name"), "{attributes}");
            for scope in resource["scopeSpans"].as_array().expect("scopes") {
                all.extend(scope["spans"].as_array().expect("spans").iter().cloned());
            }
        }
    }
    all
}

/// The spans of a trace by their names, once there are so many.
async fn trace(collector: &Receiver, id: &str, count: usize) -> BTreeMap<String, Value> {
    until("the collector has the whole trace", || async {
        let of_trace = spans(collector).into_iter().filter(|span| span["traceId"] == id);
        let by_name: BTreeMap<_, _> = of_trace
            .map(|span| (span["name"].as_str().expect("a name").to_owned(), span))
            .collect();
        (by_name.len() >= count).then_some(by_name)
    })
    .await
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s Value {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    &found.unwrap_or_else(|| panic!("{key} in {span:#}"))["value"]
}

fn nanos(span: &Value, end: &str) -> u128 {
    span[end].as_str().and_then(|text| text.parse().ok()).expect("nanoseconds as text")
}

#[tokio::test]
async fn one_trace_leads_from_the_request_to_the_notification() {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    let options = Options::default()
        .set("telemetry.otlp-endpoint", collector.endpoint(""))
        .set("delivery.traceparent", true);
    let server = Server::start_with(options).await;
    for (number, base) in (1..).zip(server.bases()) {
        let path = format!("/{}", base.version);
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        base.wait_for_status(&id, "active").await;
        let trace_id = format!("{number:032x}");
        let put = base.request(Method::PUT, "Patient/traced").json(&patient("traced"));
        let put = put.header("traceparent", &format!("00-{trace_id}-00f067aa0ba902b7-01"));
        put.send().await.expect(201);
        let sent = loop {
            let sent = receiver.next(&path).await;
            if sent.notification(base.version).kind == "event-notification" {
                break sent;
            }
        };
        let spans = trace(&collector, &trace_id, 4).await;
        let names: Vec<_> = spans.keys().map(String::as_str).collect();
        assert_eq!(names, ["attempt", "commit", "evaluate", "request"]);
        let (request, commit) = (&spans["request"], &spans["commit"]);
        assert_eq!(request["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(commit["parentSpanId"], request["spanId"]);
        assert_eq!(spans["evaluate"]["parentSpanId"], commit["spanId"]);
        let attempt = &spans["attempt"];
        assert_eq!(attempt["parentSpanId"], commit["spanId"]);
        let told = sent.header("traceparent")[0].to_owned();
        let span_id = attempt["spanId"].as_str().expect("an id");
        assert_eq!(told, format!("00-{trace_id}-{span_id}-01"), "what the receiver goes on with");
        assert_eq!(attribute(attempt, "attempt.outcome"), &json!({"stringValue": "success"}));
        assert_eq!(attribute(attempt, "http.response.status_code"), &json!({"intValue": "200"}));
        assert_eq!(attribute(&spans["evaluate"], "matches"), &json!({"intValue": "1"}));
        let route = json!({"stringValue": "/{version}/{type}/{id}"});
        assert_eq!(attribute(request, "http.route"), &route);
        for span in spans.values() {
            let (start, end) = (nanos(span, "startTimeUnixNano"), nanos(span, "endTimeUnixNano"));
            assert!(start <= end && start >= nanos(request, "startTimeUnixNano"), "{span:#}");
        }
    }
}

#[tokio::test]
async fn a_trace_crosses_the_log_and_a_restart() {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    let options = Options::default()
        .set("telemetry.otlp-endpoint", collector.endpoint(""))
        .set("rest-hook.retry-schedule", vec!["10m"]);
    let mut server = Server::start_with(options).await;
    let base = server.base(cresset_conformance::Version::R5);
    let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint("/hook"))).await;
    base.wait_for_status(&id, "active").await;
    // The attempt hangs until the server is killed.
    receiver.always("/hook", cresset_conformance::Answer::Never);
    base.save(&patient("p")).await;
    receiver.event(base.version, "/hook").await;
    let evaluated = until("the write is traced", || async {
        spans(&collector).into_iter().find(|span| span["name"] == "evaluate")
    })
    .await;
    server.kill();
    receiver.always("/hook", cresset_conformance::Answer::Status(200));
    server.start_again().await;
    let attempt = until("the attempt is traced", || async {
        spans(&collector)
            .into_iter()
            .find(|span| span["name"] == "attempt" && span["traceId"] == evaluated["traceId"])
    })
    .await;
    assert_eq!(attempt["parentSpanId"], evaluated["parentSpanId"], "the commit");
}

#[tokio::test]
async fn who_asks_not_to_be_traced_is_not_and_nobody_is_without_a_collector() {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    let options = Options::default().set("telemetry.otlp-endpoint", collector.endpoint(""));
    let server = Server::start_with(options).await;
    let base = server.base(cresset_conformance::Version::R4);
    let put = |traceparent: &str| {
        let request = base.request(Method::PUT, "Patient/p").json(&patient("p"));
        request.header("traceparent", traceparent)
    };
    put("00-0000000000000000000000000000000a-00f067aa0ba902b7-00").send().await.expect(201);
    put("00-0000000000000000000000000000000b-00f067aa0ba902b7-01").send().await.expect(200);
    trace(&collector, "0000000000000000000000000000000b", 2).await;
    let unwanted = "0000000000000000000000000000000a";
    assert!(spans(&collector).iter().all(|span| span["traceId"] != unwanted));
    let untraced = Server::start().await;
    let base = untraced.base(cresset_conformance::Version::R4);
    let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint("/hook"))).await;
    base.wait_for_status(&id, "active").await;
    base.save(&patient("p")).await;
    receiver.event(base.version, "/hook").await;
    let sent = receiver.all("/hook");
    assert!(sent.iter().all(|sent| sent.header("traceparent").is_empty()));
}
