//! `/metrics`, and the dashboard and the alert rules that are made of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cresset_conformance::{
    Answer, Client, Metrics, Options, Receiver, Server, Subscribe, Version, patient, until,
};
use reqwest::Method;
use serde_json::Value;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// Runs Prometheus' own tool.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; `cargo xtask test` installs it");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("read to its end");
    drop(stdin);
    child.wait_with_output().expect("promtool ends")
}

fn check(output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}

async fn scraped(server: &Server, client: &Client) -> Metrics {
    Metrics::of(server.url(), client).await
}

#[tokio::test]
async fn changes_and_their_notifications_are_counted() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        base.wait_for_status(&id, "active").await;
        let web = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let mut socket = base.listen(&web).await;
        let version = base.version.to_string().to_uppercase();
        let before = scraped(&server, &base).await;
        for _ in 0..2 {
            base.save(&patient("p")).await;
            receiver.event(base.version, &path).await;
            socket.event().await;
        }
        let hook = [("channel_type", "rest-hook")];
        let after = until("both notifications are counted on both channels", || async {
            let now = scraped(&server, &base).await;
            let delivered =
                |metrics: &Metrics| metrics.count("cresset_events_delivered_total", &[]);
            (delivered(&now) == delivered(&before) + 4).then_some(now)
        })
        .await;
        let grown = |name: &str, labels: &[(&str, &str)]| {
            after.count(name, labels) - before.count(name, labels)
        };
        let change =
            |interaction| [("fhir_version", version.as_str()), ("interaction", interaction)];
        assert_eq!(grown("cresset_changes_total", &change("create")), 1);
        assert_eq!(grown("cresset_changes_total", &change("update")), 1);
        assert_eq!(grown("cresset_events_appended_total", &[]), 4);
        assert_eq!(grown("cresset_matches_total", &[]), 4);
        assert_eq!(grown("cresset_evaluation_seconds_count", &[]), 2);
        assert_eq!(grown("cresset_events_delivered_total", &hook), 2);
        assert_eq!(grown("cresset_delivery_lag_seconds_count", &hook), 2);
        let success = [("channel_type", "rest-hook"), ("outcome", "success")];
        assert_eq!(grown("cresset_attempts_total", &success), 2);
        let puts = [("method", "PUT")];
        assert_eq!(grown("cresset_http_requests_total", &puts), 2);
        assert_eq!(grown("cresset_http_request_seconds_count", &puts), 2);
        let committed = |metrics: &Metrics| metrics.sum("cresset_commit_changes_sum", &[]);
        assert!(committed(&after) > committed(&before) + 1.5);
        assert!(after.count("cresset_websocket_bindings", &[]) >= 1);
    }
    let base = server.base(Version::R5);
    let now = scraped(&server, &base).await;
    for channel in ["rest-hook", "websocket"] {
        let active = [("status", "active"), ("channel_type", channel)];
        assert_eq!(now.count("cresset_subscriptions", &active), 3);
    }
    assert!(now.sum("cresset_store_bytes", &[("part", "log")]) > 0.0);
    for own in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        assert!(now.sum(own, &[]) > 0.0, "{own}");
    }
}

#[tokio::test]
async fn what_waits_and_what_fails_can_be_seen() {
    let options = Options::default()
        .set("rest-hook.retry-schedule", vec!["10m"])
        .set("delivery.host-failures-max", 1);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4);
    let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint("/hook"));
    let id = base.subscribe(&asked).await;
    base.wait_for_status(&id, "active").await;
    receiver.always("/hook", Answer::Status(503));
    base.save(&patient("p")).await;
    let seen = until("the failure is counted", || async {
        let now = scraped(&server, &base).await;
        let failed = [("channel_type", "rest-hook"), ("outcome", "error-response")];
        let age = now.sum("cresset_oldest_undelivered_event_age_seconds", &[]);
        (now.count("cresset_attempts_total", &failed) > 0 && age > 0.0).then_some(now)
    })
    .await;
    let waiting = [("status", "active"), ("channel_type", "rest-hook")];
    assert_eq!(seen.count("cresset_undelivered_events", &waiting), 1);
    until("the host is kept back from", || async {
        let open = scraped(&server, &base).await.count("cresset_breakers_open", &[]);
        (open == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn requests_of_the_console_count_by_method_and_status() {
    let server = Server::start().await;
    let base = server.base(Version::R5);
    for page in ["", "subscriptions/r5/marker-id"] {
        base.get(&format!("{}/console/{page}", server.url())).await.expect(303);
    }
    let now = scraped(&server, &base).await;
    let redirected = [("method", "GET"), ("status", "303")];
    assert_eq!(now.count("cresset_http_requests_total", &redirected), 2);
    assert!(!now.text.contains("console") && !now.text.contains("marker-id"), "{}", now.text);
}

#[tokio::test]
async fn who_may_read_metrics_is_for_the_operator_to_say() {
    let token = "scraper-token-of-the-tests";
    let clients = Options::default().client("scraper", token, &["metrics"]).client(
        "ward",
        "ward-token-of-the-tests",
        &["read", "write"],
    );
    for (access, nobody, scraper, ward) in
        [("right", 401, 200, 403), ("open", 200, 200, 200), ("off", 404, 404, 404)]
    {
        let server = Server::start_with(clients.clone().set("metrics.access", access)).await;
        let base = server.base(Version::R5);
        let url = format!("{}/metrics", server.url());
        for (client, expected) in [
            (base.clone(), nobody),
            (base.with_bearer(token), scraper),
            (base.with_bearer("ward-token-of-the-tests"), ward),
        ] {
            assert_eq!(client.get(&url).await.status, expected, "{access}");
        }
        base.with_bearer(token).get("Patient").await.expect(403);
    }
}

#[tokio::test]
async fn both_formats_are_what_prometheus_reads() {
    let server = Server::start().await;
    let base = server.base(Version::R5);
    let url = format!("{}/metrics", server.url());
    base.save(&patient("p")).await;
    let plain = base.get(&url).await.expect(200);
    assert!(plain.header("content-type").starts_with("text/plain; version=0.0.4"), "{plain}");
    check(&promtool(&["check", "metrics"], &String::from_utf8_lossy(&plain.body)));
    let request = base.request(Method::GET, &url);
    let newer = request.header("accept", "application/openmetrics-text; version=1.0.0");
    let newer = newer.send().await.expect(200);
    assert!(newer.header("content-type").starts_with("application/openmetrics-text"), "{newer}");
    assert!(newer.body.ends_with(b"\n# EOF\n"));
}

/// Words of an expression that may be the name of a metric of ours.
fn names_in(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("cresset_") || word.starts_with("process_"))
}

/// The texts of all members with this name.
fn texts_of<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, name, found)),
        Value::Object(members) => {
            found.extend(members.get(name).and_then(Value::as_str));
            members.values().for_each(|member| texts_of(member, name, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_are_of_metrics_that_are_there() {
    // With everything on that has metrics of its own.
    let receiver = Receiver::start().await;
    let options = Options::default()
        .set("audit.level", "all")
        .set("telemetry.otlp-endpoint", receiver.endpoint(""));
    let server = Server::start_with(options).await;
    let base = server.base(Version::R5);
    base.subscribe(&Subscribe::websocket(TOPIC)).await;
    let metrics = scraped(&server, &base).await;
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../observability"));
    let rules = folder.join("alerts.yml");
    let checked = promtool(&["check", "rules", &rules.display().to_string()], "");
    check(&checked);
    let rules = std::fs::read_to_string(rules).expect("rules");
    let dashboard = std::fs::read_to_string(folder.join("dashboard.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let mut expressions = Vec::new();
    texts_of(&dashboard, "expr", &mut expressions);
    texts_of(&dashboard, "query", &mut expressions);
    assert!(expressions.len() > 30, "{expressions:?}");
    let named: BTreeSet<&str> =
        expressions.into_iter().chain([rules.as_str()]).flat_map(names_in).collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !metrics.has(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {}", metrics.text);
}
