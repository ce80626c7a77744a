//! Attempts against receivers on loopback, with names resolved by a table.

mod proxy;
mod receiver;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, post};
use url::Url;

use super::{Config, RESPONSE_TEXT_BYTES_MAX, Request, RestHook};
use crate::address::AddressPolicy;
use crate::endpoint::EndpointPolicy;
use crate::outcome::{FailureKind, NoResponse, Outcome, Verdict};
use crate::resolver::{Looking, Lookup};
use crate::signature::{SigningKey, signatures};
use receiver::Receiver;

/// Time enough on a busy machine; no test waits for it to pass.
const PATIENT: Duration = Duration::from_secs(30);
/// For tests that do wait for it to pass.
const SHORT: Duration = Duration::from_millis(200);

/// Names of the tests; others do not exist, and `hang` never answers.
struct Table(BTreeMap<&'static str, Vec<IpAddr>>);

impl Lookup for Table {
    fn lookup(&self, name: String) -> Looking {
        if name.ends_with("hang.example") {
            return Box::pin(std::future::pending());
        }
        let found = self.0.get(name.as_str()).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)) })
    }
}

fn local_policy() -> EndpointPolicy {
    let addresses = AddressPolicy { allow_local: true, ..AddressPolicy::default() };
    EndpointPolicy { addresses, https_only: false }
}

fn rest_hook(policy: EndpointPolicy, names: &[(&'static str, &[&str])]) -> RestHook {
    rest_hook_with(&Config::default(), policy, names)
}

fn rest_hook_with(
    config: &Config,
    policy: EndpointPolicy,
    names: &[(&'static str, &[&str])],
) -> RestHook {
    let table = names.iter().map(|(name, addresses)| {
        (*name, addresses.iter().map(|address| address.parse().unwrap()).collect())
    });
    let lookup = Arc::new(Table(table.collect()));
    RestHook::with_lookup(config, policy, lookup).unwrap()
}

fn request(endpoint: &str, deadline: Duration) -> Request {
    Request {
        endpoint: Url::parse(endpoint).unwrap(),
        method: super::Method::Post,
        content_type: Some("application/fhir+json; fhirVersion=4.0".to_owned()),
        headers: Vec::new(),
        body: Bytes::from_static(b"{\"resourceType\":\"Bundle\"}"),
        deadline,
        now: "2026-11-06T08:49:00Z".parse().unwrap(),
        message_id: "msg_1".to_owned(),
        traceparent: None,
    }
}

fn failure_kind(outcome: &Outcome) -> FailureKind {
    match &outcome.verdict {
        Verdict::Failure(failure) => failure.kind,
        Verdict::Published => panic!("published"),
        Verdict::Success { status } => panic!("succeeded with {status}"),
    }
}

async fn attempt_at(router: Router, path: &str) -> Outcome {
    let receiver = Receiver::start(router).await;
    let hook = rest_hook(local_policy(), &[]);
    hook.attempt(request(&receiver.url(path), PATIENT)).await
}

#[tokio::test]
async fn any_2xx_is_a_success_and_everything_else_a_failure() {
    async fn with_status(axum::extract::Path(status): axum::extract::Path<u16>) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }
    let receiver = Receiver::start(Router::new().route("/{status}", post(with_status))).await;
    let hook = rest_hook(local_policy(), &[]);
    for status in [200, 201, 202, 204, 299, 300, 304, 400, 401, 404, 410, 429, 500, 503, 599] {
        let outcome = hook.attempt(request(&receiver.url(&status.to_string()), PATIENT)).await;
        if status < 300 {
            assert_eq!(outcome.verdict, Verdict::Success { status });
            assert!(outcome.is_success());
        } else {
            let expect = FailureKind::Response { status, retry_after: None };
            assert_eq!(failure_kind(&outcome), expect);
            let Verdict::Failure(failure) = outcome.verdict else { unreachable!() };
            assert_eq!(failure.detail, format!("the endpoint answered with HTTP status {status}"));
        }
    }
}

#[tokio::test]
async fn the_request_is_a_post_with_the_bytes_and_headers_asked_for() {
    async fn echo(method: Method, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
        let keys: Vec<_> = headers.get_all("x-key").iter().map(|v| v.to_str().unwrap()).collect();
        let authorization = headers[header::AUTHORIZATION].to_str().unwrap();
        let content_type = headers[header::CONTENT_TYPE].to_str().unwrap();
        let agent = headers[header::USER_AGENT].to_str().unwrap();
        let plain = !headers.contains_key(header::ACCEPT_ENCODING);
        let body = std::str::from_utf8(&body).unwrap();
        format!("{method}|{content_type}|{authorization}|{}|{plain}|{agent}|{body}", keys.join(","))
    }
    let receiver = Receiver::start(Router::new().route("/hook", any(echo))).await;
    let hook = rest_hook(local_policy(), &[]);
    let mut request = request(&receiver.url("hook?key=1"), PATIENT);
    request.headers = [("Authorization", "Bearer t"), ("X-Key", " a "), ("x-key", "b")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let outcome = hook.attempt(request).await;
    assert_eq!(
        outcome.text.unwrap().as_str(),
        "POST|application/fhir+json; fhirVersion=4.0|Bearer t|a,b|true|cresset/0.1.0|\
         {\"resourceType\":\"Bundle\"}"
    );
}

#[tokio::test]
async fn the_servers_own_headers_are_sent_where_it_has_keys_and_cannot_be_forged() {
    const OWN: [&str; 4] = ["webhook-id", "webhook-timestamp", "webhook-signature", "traceparent"];
    async fn echo(headers: HeaderMap) -> String {
        let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        let told = OWN.map(|name| values(name).collect::<Vec<_>>().join("|"));
        told.join("\n")
    }
    let receiver = Receiver::start(Router::new().route("/", post(echo))).await;
    let signed = || Request {
        headers: OWN.map(|name| (name.to_owned(), "forged".to_owned())).to_vec(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".to_owned()),
        ..request(&receiver.url(""), PATIENT)
    };
    let told = |outcome: Outcome| outcome.text.map(|text| text.as_str().to_owned());
    let key = SigningKey::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let timestamp = signed().now.as_second();
    let expected = signatures(std::slice::from_ref(&key), "msg_1", timestamp, &signed().body);
    let plain = rest_hook(local_policy(), &[]);
    let traceparent = signed().traceparent.unwrap();
    let unsigned = told(plain.attempt(signed()).await);
    assert_eq!(unsigned, Some(format!("forged\nforged\nforged\n{traceparent}")));
    let signing = plain.signing_with(vec![key]);
    let told = told(signing.attempt(signed()).await);
    assert_eq!(told, Some(format!("msg_1\n{timestamp}\n{expected}\n{traceparent}")));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let router = Router::new()
        .route("/from", post(|| async { (StatusCode::FOUND, [(header::LOCATION, "/to")]) }))
        .route(
            "/keep",
            post(|| async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/to")]) }),
        )
        .route("/to", any(|| async { StatusCode::OK }));
    let receiver = Receiver::start(router).await;
    let hook = rest_hook(local_policy(), &[]);
    for (path, status) in [("from", 302), ("keep", 307)] {
        let outcome = hook.attempt(request(&receiver.url(path), PATIENT)).await;
        assert_eq!(failure_kind(&outcome), FailureKind::Response { status, retry_after: None });
    }
}

#[tokio::test]
async fn retry_after_is_passed_on_as_seconds_and_as_date() {
    let busy = |value: &'static str| {
        post(
            move || async move { (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, value)]) },
        )
    };
    let router = Router::new()
        .route("/seconds", busy("7"))
        .route("/date", busy("Fri, 06 Nov 2026 09:49:00 GMT"))
        .route("/other", busy("later"));
    let receiver = Receiver::start(router).await;
    let hook = rest_hook(local_policy(), &[]);
    let mut waits = Vec::new();
    for path in ["seconds", "date", "other"] {
        let outcome = hook.attempt(request(&receiver.url(path), PATIENT)).await;
        let FailureKind::Response { status: 503, retry_after } = failure_kind(&outcome) else {
            panic!("{outcome:?}");
        };
        waits.push(retry_after);
    }
    assert_eq!(waits[0], Some(Duration::from_secs(7)));
    // The date is seen from the time the response came, a little after the attempt began.
    let date = waits[1].unwrap();
    assert!(date <= Duration::from_secs(3600) && date > Duration::from_secs(3500), "{date:?}");
    assert_eq!(waits[2], None);
}

#[tokio::test]
async fn a_hanging_endpoint_times_out_within_the_deadline() {
    let router = Router::new().route("/", post(std::future::pending::<StatusCode>));
    let receiver = Receiver::start(router).await;
    let hook = rest_hook(local_policy(), &[]);
    let started = Instant::now();
    let outcome = hook.attempt(request(&receiver.url(""), SHORT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::NoResponse(NoResponse::Timeout));
    assert!(outcome.duration >= SHORT);
    assert!(started.elapsed() < PATIENT);
}

#[tokio::test]
async fn a_hanging_name_lookup_times_out_within_the_deadline() {
    let hook = rest_hook(local_policy(), &[]);
    let outcome = hook.attempt(request("http://hang.example/", SHORT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::NoResponse(NoResponse::Timeout));
}

#[tokio::test]
async fn names_that_hang_keep_no_known_name_from_being_looked_up() {
    let receiver = Receiver::start(Router::new().route("/", post(|| async {}))).await;
    let names: &[(_, &[&str])] =
        &[("known.example", &["127.0.0.1"]), ("new.example", &["127.0.0.1"])];
    let config = Config { idle_connections_per_host_max: 0, ..Config::default() };
    let hook = rest_hook_with(&config, local_policy(), names);
    let known = format!("http://known.example:{}/", receiver.port());
    let outcome = hook.attempt(request(&known, PATIENT)).await;
    assert!(outcome.is_success(), "{outcome:?}");
    let hanging = (0..crate::resolver::LOOKUPS_MAX).map(|number| {
        let (hook, endpoint) = (hook.clone(), format!("http://{number}.hang.example/"));
        tokio::spawn(async move { hook.attempt(request(&endpoint, SHORT)).await })
    });
    // Those that find no room are told so; the lookups of the others last for ever.
    let hanging: Vec<_> = hanging.collect();
    let mut kinds = Vec::new();
    for one in hanging {
        kinds.push(failure_kind(&one.await.unwrap()));
    }
    assert!(kinds.contains(&FailureKind::NoResponse(NoResponse::Timeout)), "{kinds:?}");
    let new = format!("http://new.example:{}/", receiver.port());
    let outcome = hook.attempt(request(&new, PATIENT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::NoRoom, "no fault of its host");
    let outcome = hook.attempt(request(&known, PATIENT)).await;
    assert!(outcome.is_success(), "{outcome:?}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_and_the_status_stands() {
    let trickle = || async {
        let first = once_then_pending(Bytes::from_static(b"so far"));
        Body::from_stream(first)
    };
    let receiver = Receiver::start(Router::new().route("/", post(trickle))).await;
    let hook = rest_hook(local_policy(), &[]);
    let started = Instant::now();
    let outcome = hook.attempt(request(&receiver.url(""), PATIENT)).await;
    assert_eq!(outcome.verdict, Verdict::Success { status: 200 });
    assert_eq!(outcome.text.unwrap().as_str(), "so far");
    assert!(started.elapsed() < PATIENT);
}

#[tokio::test]
async fn of_a_huge_body_one_kibibyte_is_kept() {
    let huge = || async { Body::from(vec![b'x'; 64 * 1024 * 1024]) };
    let outcome = attempt_at(Router::new().route("/", post(huge)), "").await;
    assert_eq!(outcome.text.unwrap().as_str(), "x".repeat(RESPONSE_TEXT_BYTES_MAX));
}

#[tokio::test]
async fn response_text_is_made_printable_and_kept_out_of_debug() {
    let odd = || async { Body::from(&b"marker \xff\x1b[31m\n"[..]) };
    let outcome = attempt_at(Router::new().route("/", post(odd)), "").await;
    assert_eq!(outcome.text.as_ref().unwrap().as_str(), "marker \u{fffd}\u{fffd}[31m\n");
    assert!(!format!("{outcome:?}").contains("marker"));
}

#[tokio::test]
async fn a_name_without_addresses_is_a_resolution_failure() {
    let hook = rest_hook(local_policy(), &[("empty.example", &[])]);
    for endpoint in ["http://name.invalid/?marker", "http://empty.example/"] {
        let outcome = hook.attempt(request(endpoint, PATIENT)).await;
        assert_eq!(failure_kind(&outcome), FailureKind::DnsResolution);
        assert!(!format!("{outcome:?}").contains("marker"));
    }
}

#[tokio::test]
async fn a_closed_port_is_a_failure_to_connect() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let hook = rest_hook(local_policy(), &[]);
    let outcome = hook.attempt(request(&format!("http://127.0.0.1:{port}/"), PATIENT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::NoResponse(NoResponse::Connect));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_response_is_an_interruption() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 16];
        stream.read_exact(&mut first).await.unwrap();
    });
    let hook = rest_hook(local_policy(), &[]);
    let outcome = hook.attempt(request(&format!("http://127.0.0.1:{port}/"), PATIENT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::NoResponse(NoResponse::Interrupted));
    receiver.await.unwrap();
}

#[tokio::test]
async fn refused_addresses_are_never_connected_to() {
    let receiver = Receiver::start(Router::new().route("/", post(|| async {}))).await;
    let names: &[(_, &[&str])] =
        &[("rebound.example", &["127.0.0.1"]), ("mapped.example", &["::ffff:127.0.0.1"])];
    let hook = rest_hook(EndpointPolicy::default(), names);
    for host in ["127.0.0.1", "localhost", "rebound.example", "mapped.example", "[::1]"] {
        let endpoint = format!("http://{host}:{}/", receiver.port());
        let outcome = hook.attempt(request(&endpoint, PATIENT)).await;
        let expected = match host.strip_suffix(".example") {
            Some(_) => FailureKind::RefusedAddress,
            None => FailureKind::Refused,
        };
        assert_eq!(failure_kind(&outcome), expected, "{host}");
        let Verdict::Failure(failure) = outcome.verdict else { unreachable!() };
        assert_eq!(failure.detail, "the endpoint is a loopback address, which is not allowed");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn of_several_addresses_the_allowed_are_used() {
    let receiver = Receiver::start(Router::new().route("/", post(|| async {}))).await;
    let mixed: &[(_, &[&str])] = &[("mixed.example", &["169.254.169.254", "127.0.0.1"])];
    let hook = rest_hook(local_policy(), mixed);
    let endpoint = format!("http://mixed.example:{}/", receiver.port());
    let outcome = hook.attempt(request(&endpoint, PATIENT)).await;
    assert!(outcome.is_success(), "{outcome:?}");
}

#[tokio::test]
async fn refused_headers_and_schemes_are_not_sent() {
    let receiver = Receiver::start(Router::new().route("/", post(|| async {}))).await;
    let hook = rest_hook(local_policy(), &[]);
    let mut smuggling = request(&receiver.url(""), PATIENT);
    smuggling.headers = vec![("X-Key".to_owned(), "marker\r\nHost: other".to_owned())];
    let outcome = hook.attempt(smuggling).await;
    assert_eq!(failure_kind(&outcome), FailureKind::Refused);
    assert!(!format!("{outcome:?}").contains("marker"));
    let outcome = hook.attempt(request("ftp://example.org/", PATIENT)).await;
    assert_eq!(failure_kind(&outcome), FailureKind::Refused);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn connections_are_used_again() {
    let receiver = Receiver::start(Router::new().route("/", post(|| async { "ok" }))).await;
    let hook = rest_hook(local_policy(), &[]);
    for _ in 0..5 {
        assert!(hook.attempt(request(&receiver.url(""), PATIENT)).await.is_success());
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn the_system_resolves_localhost() {
    let receiver = Receiver::start(Router::new().route("/", post(|| async {}))).await;
    let hook = RestHook::new(&Config::default(), local_policy()).unwrap();
    let endpoint = format!("http://localhost:{}/", receiver.port());
    let outcome = hook.attempt(request(&endpoint, PATIENT)).await;
    assert!(outcome.is_success(), "{outcome:?}");
}

#[test]
fn a_request_hides_its_secrets_from_debug() {
    let mut request = request("https://example.org/path-marker?key=marker", PATIENT);
    request.headers = vec![("X-Key".to_owned(), "marker".to_owned())];
    request.body = Bytes::from_static(b"marker");
    assert!(!format!("{request:?}").contains("marker"));
}

/// A body that gives one piece and then neither more nor its end.
fn once_then_pending(
    piece: Bytes,
) -> impl futures_util::Stream<Item = Result<Bytes, io::Error>> + Send {
    use futures_util::StreamExt;
    futures_util::stream::once(async move { Ok(piece) }).chain(futures_util::stream::pending())
}
