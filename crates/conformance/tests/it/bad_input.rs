//! What must be refused, clearly, at bounded cost, and without changing anything.

use cresset_conformance::{
    Client, Filter, Options, Server, Socket, Subscribe, Version, patient, set, verifies,
};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::topic_forms::{path, topic};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// Everything that a bad request could change.
#[derive(Debug, PartialEq)]
struct Snapshot {
    history: Value,
    patients: Value,
    subscriptions: Value,
    topics: Value,
    count: u64,
}

impl Snapshot {
    async fn take(base: &Client, subscription: &str) -> Self {
        let topics = if base.version == Version::R4 { "Basic" } else { "SubscriptionTopic" };
        let entries = async |path: &str| base.read(path).await["entry"].clone();
        Self {
            history: entries("Patient/there/_history").await,
            patients: entries("Patient?_count=1000").await,
            subscriptions: entries("Subscription?_count=1000").await,
            topics: entries(&format!("{topics}?_count=1000")).await,
            count: base.count(subscription).await,
        }
    }
}

/// Bodies that are no FHIR JSON, with the status of their refusal.
fn bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let deep = |open: &str, close: &str, levels: usize| {
        let body = format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"there\",\"x\":{}1{}}}",
            open.repeat(levels),
            close.repeat(levels),
        );
        body.into_bytes()
    };
    let mut bodies: Vec<(&str, Vec<u8>, u16)> = [
        ("nothing", ""),
        ("blanks", "  \n "),
        ("not JSON", "this is no JSON"),
        ("half of it", "{\"resourceType\":\"Patient\",\"id\":\"the"),
        ("two of it", "{\"resourceType\":\"Patient\",\"id\":\"there\"}{}"),
        ("a list", "[]"),
        ("a string", "\"Patient\""),
        ("a number", "17"),
        ("null", "null"),
        ("no type", "{\"id\":\"there\"}"),
        ("a type that is a number", "{\"resourceType\":1,\"id\":\"there\"}"),
        ("an unknown type", "{\"resourceType\":\"Nothing\",\"id\":\"there\"}"),
        ("another type", "{\"resourceType\":\"Observation\",\"id\":\"there\"}"),
        ("an abstract type", "{\"resourceType\":\"DomainResource\",\"id\":\"there\"}"),
        ("a member twice", "{\"resourceType\":\"Patient\",\"id\":\"there\",\"id\":\"there\"}"),
        (
            "a bare control character",
            "{\"resourceType\":\"Patient\",\"id\":\"there\",\"x\":\"\u{1}\"}",
        ),
        ("half a surrogate", "{\"resourceType\":\"Patient\",\"id\":\"there\",\"x\":\"\\ud800\"}"),
        ("a number that is none", "{\"resourceType\":\"Patient\",\"id\":\"there\",\"x\":01}"),
        ("not a number", "{\"resourceType\":\"Patient\",\"id\":\"there\",\"x\":NaN}"),
        ("a trailing comma", "{\"resourceType\":\"Patient\",\"id\":\"there\",}"),
        ("an id that is a number", "{\"resourceType\":\"Patient\",\"id\":7}"),
        ("another id", "{\"resourceType\":\"Patient\",\"id\":\"elsewhere\"}"),
        ("a meta that is a list", "{\"resourceType\":\"Patient\",\"id\":\"there\",\"meta\":[]}"),
    ]
    .into_iter()
    .map(|(what, body)| (what, body.as_bytes().to_vec(), 400))
    .collect();
    bodies.push(("invalid UTF-8", b"{\"resourceType\":\"Patient\",\"id\":\"\xff\"}".to_vec(), 400));
    bodies.push((
        "overlong UTF-8",
        b"{\"resourceType\":\"Patient\",\"x\":\"\xc0\x80\"}".to_vec(),
        400,
    ));
    bodies.push(("deep lists", deep("[", "]", 100), 413));
    bodies.push(("deep objects", deep("{\"y\":", "}", 100), 413));
    bodies.push(("very deep lists", deep("[", "]", 1_000_000), 413));
    bodies
}

#[tokio::test]
async fn bodies_that_are_no_resource_are_refused_and_change_nothing() {
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("there")).await;
        let subscription = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let before = Snapshot::take(&base, &subscription).await;
        for (what, body, status) in bodies() {
            let put = base.request(Method::PUT, "Patient/there").body(body.clone()).send().await;
            let refused = put.status == status || (status == 413 && put.status == 400);
            assert!(refused, "{what}: {put}");
            put.refused(put.status);
            let bundle = base.request(Method::POST, "").body(body.clone()).send().await;
            assert!(matches!(bundle.status, 400 | 413), "{what}: {bundle}");
            let subscribed = base.request(Method::POST, "Subscription").body(body).send().await;
            assert!(matches!(subscribed.status, 400 | 413), "{what}: {subscribed}");
            assert_eq!(Snapshot::take(&base, &subscription).await, before, "{what}");
        }
        base.save(&patient("there")).await;
        assert_eq!(base.count(&subscription).await, before.count + 1);
    }
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let server = Server::start().await;
    for base in server.bases() {
        let long = "a".repeat(65);
        for id in [long.as_str(), "under_score", "a%20b", "caf%C3%A9", "a%2Fb", "..%2F..", "%00"] {
            let decoded = id.replace("%20", " ");
            let reply = base.put(&format!("Patient/{id}"), &patient(&decoded)).await;
            assert!(matches!(reply.status, 400 | 404), "{reply}");
            reply.refused(reply.status);
            base.get(&format!("Patient/{id}")).await.refused(404);
            let reply = base.delete(&format!("Patient/{id}")).await;
            assert!(matches!(reply.status, 400 | 404), "{reply}");
        }
        let longest = "a".repeat(64);
        base.put(&format!("Patient/{longest}"), &patient(&longest)).await.expect(201);
        let found = base.read("Patient").await;
        assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = Server::start().await;
    let small = Server::start_with(Options::default().set("limits.body-max", "64KiB")).await;
    for (server, limit) in [(&server, 10 * 1024 * 1024), (&small, 64 * 1024)] {
        for base in server.bases() {
            let sized = |size: usize| {
                let empty = "{\"resourceType\":\"Patient\",\"id\":\"big\"}";
                format!("{}{}}}", &empty[..empty.len() - 1], " ".repeat(size - empty.len()))
            };
            let put =
                |size: usize| base.request(Method::PUT, "Patient/big").body(sized(size)).send();
            put(limit + 1).await.refused_as(413, "too-long");
            base.get("Patient/big").await.refused(404);
            put(limit).await.expect(201);
            // Without a length that could be looked at first.
            let parts = sized(limit + 1).into_bytes();
            let chunks = parts.chunks(4096).map(|part| Ok::<_, std::io::Error>(part.to_vec()));
            let chunks: Vec<_> = chunks.collect();
            let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
            let reply = base.stream(Method::PUT, "Patient/big", body).await;
            if let Ok(reply) = reply {
                reply.refused(413);
            }
            assert_eq!(base.read("Patient/big").await["meta"]["versionId"], "1");
        }
    }
}

#[tokio::test]
async fn topics_and_filters_that_mean_nothing_are_refused() {
    verifies!("RQ-TP-06", "RQ-FL-11");
    let server = Server::start().await;
    for base in server.bases() {
        base.save(&patient("there")).await;
        let subscription = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        let before = Snapshot::take(&base, &subscription).await;
        let unknown = json!({"resourceTrigger": [
            {"resource": "Patient", "queryCriteria": {"current": "nonsense=1"}},
        ]});
        let bad = topic(base.version, "bad", unknown);
        let outcome =
            base.put(&path(base.version, "bad"), &bad).await.refused_as(422, "not-supported");
        // At the element, or in R4 the extension, that holds the criteria.
        let told = outcome.issues.iter().any(|issue| {
            issue.expression.contains("queryCriteria") || issue.expression.contains("extension")
        });
        assert!(told, "{outcome:?}");
        for (what, query) in [
            ("100,000 characters", format!("family={}", "x".repeat(100_000))),
            ("1,000 parameters", "gender=male&".repeat(1_000)),
            ("a chain of 10,000", format!("{}name=x", "general-practitioner.".repeat(10_000))),
            ("the year 0000", "birthdate=0000".to_owned()),
            ("the year 0000 with a comparator", "birthdate=ge0000-01-01".to_owned()),
            ("a pattern for a date", "birthdate=(a+)+$".to_owned()),
            ("an unknown modifier", "family:regex=(a+)+$".to_owned()),
            ("2,000 alternatives", format!("gender={}", vec!["male"; 2_000].join(","))),
        ] {
            let trigger = json!({"resource": "Patient", "queryCriteria": {"current": query}});
            let bad = topic(base.version, "bad", json!({"resourceTrigger": [trigger]}));
            let reply = base.put(&path(base.version, "bad"), &bad).await;
            assert_eq!(reply.status, 422, "{what}: {reply}");
            reply.refused(422);
        }
        let filter = Subscribe::websocket(TOPIC).filter(Filter::new("nonsense", "1"));
        let reply = base.post("Subscription", &filter.json(base.version)).await;
        let outcome = reply.refused_as(422, "not-supported");
        assert!(outcome.issues.iter().any(|issue| issue.text.contains("nonsense")), "{outcome:?}");
        let mut many = Subscribe::websocket(TOPIC);
        for _ in 0..1_000 {
            many = many.filter(Filter::new("gender", "male"));
        }
        base.post("Subscription", &many.json(base.version)).await.refused(422);
        for (name, value) in [
            ("birthdate", "0000".to_owned()),
            ("birthdate", "0000-01-01T00:00:00Z".to_owned()),
            ("birthdate", "(a+)+$".to_owned()),
            ("birthdate", "9".repeat(10_000)),
            ("family", "x".repeat(100_000)),
            ("gender", vec!["male"; 2_000].join(",")),
        ] {
            let bad = Subscribe::websocket(TOPIC).filter(Filter::new(name, &value));
            base.post("Subscription", &bad.json(base.version)).await.refused(422);
        }
        let mut long = Subscribe::websocket(TOPIC).json(base.version);
        let name = if base.version.is_backport() { "/criteria" } else { "/topic" };
        set(&mut long, name, format!("http://x.test/{}", "x".repeat(100_000)));
        base.post("Subscription", &long).await.refused(422);
        assert_eq!(Snapshot::take(&base, &subscription).await, before);
    }
}

#[tokio::test]
async fn a_bundle_with_too_many_entries_is_refused() {
    let options = Options::default().set("limits.bundle-entries-max", 10);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let entries = |count: usize| -> Vec<Value> {
            (0..count)
                .map(|number| {
                    let id = format!("p{number}");
                    let url = format!("Patient/{id}");
                    json!({"resource": patient(&id), "request": {"method": "PUT", "url": url}})
                })
                .collect()
        };
        for kind in ["batch", "transaction"] {
            let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries(11)});
            let reply = base.post("", &bundle).await;
            assert!(matches!(reply.status, 413 | 422), "{reply}");
            reply.refused(reply.status);
            base.get("Patient/p0").await.refused(404);
        }
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries(10)});
        base.post("", &bundle).await.expect(200);
    }
    let server = Server::start().await;
    for base in server.bases() {
        let request = json!({"method": "DELETE", "url": "Patient/p"});
        let entries = vec![json!({"request": request}); 20_000];
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        base.post("", &bundle).await.refused(413);
    }
}

/// Sockets opened and never bound.
const SOCKETS: usize = 10_000;
/// Of them at the same time.
const AT_ONCE: usize = 500;
/// Open files that the test process may have; each socket takes one here.
const FILES_MIN: usize = 12_000;

#[tokio::test]
async fn thousands_of_sockets_that_never_bind_cost_little_and_keep_nobody_out() {
    verifies!(R4: "RQ-SS-14", "RQ-CH-50");
    let count = if open_files_max() < FILES_MIN { 1_500 } else { SOCKETS };
    let options = Options::default()
        .set("websocket.bind-deadline", "10m")
        .set("limits.sockets-unbound-max", 1_000);
    let server = Server::start_with(options).await;
    let base = server.base(Version::R4);
    let bound = base.subscribe(&Subscribe::websocket(TOPIC)).await;
    let url = base.token(&[&bound]).await.url;
    let mut listening = base.listen(&bound).await;
    let before = server.memory_bytes();
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..count / AT_ONCE {
        let tries = (0..AT_ONCE).map(|_| Socket::try_open(Version::R4, &url));
        for tried in join_all(tries).await {
            match tried {
                Ok(socket) => open.push(socket),
                Err(status) => {
                    assert!(matches!(status, Some(429 | 503)), "{status:?}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((open.len(), refused), (1_000, count - 1_000));
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    // Those who are bound notice nothing, and what was full has room again.
    base.save(&patient("p")).await;
    assert_eq!(listening.event().await.numbers(), [1]);
    drop(open);
    let again = cresset_conformance::until("a place for a socket", || async {
        Socket::try_open(Version::R4, &url).await.ok()
    });
    drop(again.await);
    base.listen(&bound).await;
}

/// The limit of this process.
fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(0)
}

#[tokio::test]
async fn a_client_that_is_slow_to_send_does_not_hold_the_server() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let options = Options::default().set("server.request-timeout", "1s");
    let server = Server::start_with(options).await;
    let address = server.url().strip_prefix("http://").expect("a URL").to_owned();
    for head in [
        "POST /r4/Patient HTTP/1.1\r\nHost: x\r\nContent-Ty",
        "POST /r4/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n\
         Content-Length: 1000\r\n\r\n{",
    ] {
        let mut slow = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        slow.write_all(head.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        let read =
            tokio::time::timeout(cresset_conformance::PATIENCE, slow.read_to_end(&mut answer));
        drop(read.await.expect("the server ends it"));
    }
    server.base(Version::R4).save(&patient("p")).await;
}
