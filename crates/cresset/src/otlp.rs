//! Spans on their way to a collector: OTLP over HTTP in its JSON form, with the client and the TLS
//! that the server has anyway.
//!
//! It is never in anybody's way: what the collector does not take in time is dropped and counted, and
//! the queue is bounded (`cresset_node::Tracer`). What waits when the server stops has a moment to go.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use cresset_node::{Span, SpanKind, SpanValue, Tracer};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::config::Telemetry;

/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_millis(200);
/// How long the collector may take for a request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// Pauses before a batch is tried again that the collector may take later.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// How long what waits may take when the server stops.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(3);
/// Most headers of the operator's.
const HEADERS_MAX: usize = 16;

/// Sends spans until it is told to stop.
pub(crate) struct Exporter {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Where spans go.
struct Collector {
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    tracer: Tracer,
    /// The last batch was not taken, which was told.
    failing: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Later,
    Never,
    Taken,
}

/// The tracer of the configuration and what sends its spans; nothing where no collector is named.
pub(crate) fn start(telemetry: &Telemetry) -> anyhow::Result<Option<(Tracer, Exporter)>> {
    let Some(endpoint) = &telemetry.otlp_endpoint else { return Ok(None) };
    let headers = match &telemetry.otlp_headers_file {
        Some(path) => read_headers(path)?,
        None => HeaderMap::new(),
    };
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(REQUEST_TIME_MAX)
        .build()
        .context("the client for the collector of traces cannot be made")?;
    let (tracer, spans) = Tracer::new(telemetry.sampled_one_in);
    let url = traces_url(endpoint);
    let collector = Collector { client, url, headers, tracer: tracer.clone(), failing: false };
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(collector.run(spans, stopped));
    Ok(Some((tracer, Exporter { stop, task })))
}

impl Exporter {
    /// Sends what waits, for a moment at most, and ends.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if timeout(FLUSH_TIME_MAX, self.task).await.is_err() {
            tracing::warn!("spans were left that the collector had not taken");
        }
    }
}

impl Collector {
    async fn run(mut self, mut spans: mpsc::Receiver<Span>, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        while !*stop.borrow() {
            tokio::select! {
                _ = spans.recv_many(&mut batch, BATCH_MAX) => {}
                _ = stop.changed() => {}
            }
            tokio::select! {
                () = sleep(GATHER) => {}
                _ = stop.changed() => {}
            }
            take(&mut spans, &mut batch);
            self.send(&batch, &mut stop).await;
            batch.clear();
        }
        loop {
            take(&mut spans, &mut batch);
            if batch.is_empty() {
                return;
            }
            self.send(&batch, &mut stop).await;
            batch.clear();
        }
    }

    /// Sends a batch, again if that may help; never again while the server stops.
    async fn send(&mut self, batch: &[Span], stop: &mut watch::Receiver<bool>) {
        if batch.is_empty() {
            return;
        }
        let body = render(batch).to_string();
        let mut pauses = PAUSES.into_iter();
        let taken = loop {
            match (self.post(body.clone()).await, pauses.next()) {
                (Sent::Taken, _) => break true,
                (Sent::Later, Some(pause)) if !*stop.borrow() => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        _ = stop.changed() => {}
                    }
                }
                (Sent::Later | Sent::Never, _) => break false,
            }
        };
        let count = batch.len() as u64;
        if taken { self.tracer.exported(count) } else { self.tracer.dropped(count) }
    }

    async fn post(&mut self, body: String) -> Sent {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone());
        let sent = request.header(CONTENT_TYPE, "application/json").body(body).send().await;
        let sent = match sent {
            Ok(answer) => of_status(answer.status()),
            Err(_) => Sent::Later,
        };
        // Told once, not with every batch.
        let was_failing = std::mem::replace(&mut self.failing, sent != Sent::Taken);
        if self.failing && !was_failing {
            tracing::warn!(outcome = ?sent, "the collector of traces did not take a batch");
        }
        sent
    }
}

/// Adds spans that wait, as many as there is room for.
fn take(spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    while batch.len() < BATCH_MAX
        && let Ok(span) = spans.try_recv()
    {
        batch.push(span);
    }
}

/// What an answer means, as the protocol says.
fn of_status(status: StatusCode) -> Sent {
    match status.as_u16() {
        200..300 => Sent::Taken,
        429 | 502..=504 => Sent::Later,
        _ => Sent::Never,
    }
}

/// Where traces are posted.
fn traces_url(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// Headers of a file, one on each line. No message repeats one.
fn read_headers(path: &Path) -> anyhow::Result<HeaderMap> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the headers in {} cannot be read", path.display()))?;
    parse_headers(&text).with_context(|| format!("in {}", path.display()))
}

fn parse_headers(text: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = name.trim().parse::<HeaderName>().ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let (name, mut value) = header.with_context(|| format!("line {number} is no header"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    anyhow::ensure!(headers.len() <= HEADERS_MAX, "there are more than {HEADERS_MAX} headers");
    Ok(headers)
}

/// The body of a request: an ExportTraceServiceRequest.
fn render(batch: &[Span]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", "cresset"), ("service.version", version)]
        .map(|(key, text)| json!({"key": key, "value": {"stringValue": text}}));
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": "cresset", "version": version},
            "spans": batch.iter().map(render_span).collect::<Vec<_>>(),
        }],
    }]})
}

fn render_span(span: &Span) -> Value {
    let start = span.start.duration_since(UNIX_EPOCH).unwrap_or_default();
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    };
    let attributes = span.attributes.iter().map(|(key, value)| {
        let value = match value {
            // 64 bits are text in this form.
            SpanValue::Number(number) => json!({"intValue": number.to_string()}),
            SpanValue::Text(text) => json!({"stringValue": text}),
        };
        json!({"key": key, "value": value})
    });
    json!({
        "traceId": span.context.trace_id(),
        "spanId": span.context.span_id(),
        "parentSpanId": span.parent.map(|parent| parent.span_id()).unwrap_or_default(),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": start.as_nanos().to_string(),
        "endTimeUnixNano": (start + span.duration).as_nanos().to_string(),
        "attributes": attributes.collect::<Vec<_>>(),
        // 2 is an error, 0 says nothing.
        "status": {"code": if span.failed { 2 } else { 0 }},
    })
}

#[cfg(test)]
mod tests {
    use cresset_model::TraceContext;

    use super::*;

    #[test]
    fn a_span_has_the_form_of_the_protocol() {
        let context = |header| TraceContext::parse(header).unwrap();
        let span = Span {
            context: context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            parent: Some(context("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01")),
            name: "attempt",
            kind: SpanKind::Client,
            start: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            duration: Duration::from_nanos(1_500),
            attributes: vec![
                ("event.number.first", SpanValue::from(7)),
                ("attempt.outcome", SpanValue::from("no-response")),
            ],
            failed: true,
        };
        assert_eq!(
            render_span(&span),
            json!({
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "b7ad6b7169203331",
                "parentSpanId": "00f067aa0ba902b7",
                "name": "attempt",
                "kind": 3,
                "startTimeUnixNano": "1700000000000000000",
                "endTimeUnixNano": "1700000000000001500",
                "attributes": [
                    {"key": "event.number.first", "value": {"intValue": "7"}},
                    {"key": "attempt.outcome", "value": {"stringValue": "no-response"}},
                ],
                "status": {"code": 2},
            })
        );
    }

    #[test]
    fn headers_are_read_by_line_and_no_message_repeats_one() {
        let headers = parse_headers("authorization: Bearer a:b\n\nx-scope: one\n").unwrap();
        assert_eq!(headers.get("authorization").unwrap(), "Bearer a:b");
        assert_eq!(headers.len(), 2);
        let error = parse_headers("x: 1\nsecret-without-colon").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2 is no header");
        assert!(parse_headers(&"a: b\n".repeat(HEADERS_MAX + 1)).is_err());
    }

    #[test]
    fn traces_go_below_the_endpoint() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://a.example/otlp/", "https://a.example/otlp/v1/traces"),
        ] {
            assert_eq!(traces_url(&endpoint.parse().unwrap()).as_str(), url);
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, sent) in
            [(200, Sent::Taken), (400, Sent::Never), (404, Sent::Never), (503, Sent::Later)]
        {
            assert_eq!(of_status(StatusCode::from_u16(status).unwrap()), sent);
        }
    }
}
