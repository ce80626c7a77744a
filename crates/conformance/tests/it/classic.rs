//! Subscriptions with a search as their criteria, as the base specification of R4 and R4B has them
//! (docs/classic.md).

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Socket, Version, observation, patient, set, verifies,
};
use serde_json::{Value, json};

const CRITERIA: &str = "Observation?code=http://loinc.org|29463-7&subject=Patient/p";

fn classic(criteria: &str, channel: Value) -> Value {
    json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a test",
        "criteria": criteria,
        "channel": channel,
    })
}

/// The bases that have such subscriptions.
fn bases(server: &Server) -> [Client; 2] {
    [server.base(Version::R4), server.base(Version::R4B)]
}

async fn subscribed(base: &Client, subscription: &Value) -> String {
    let created = base.create(subscription).await;
    assert_eq!(created["status"], "active", "there is no handshake");
    created["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn without_a_payload_each_create_and_update_that_matches_is_an_empty_post() {
    verifies!("RQ-SB-02");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in bases(&server) {
        let path = format!("/{}", base.version);
        let endpoint = receiver.endpoint(&path);
        let channel = json!({"type": "rest-hook", "endpoint": endpoint, "header": ["X-Ward: 7"]});
        let id = subscribed(&base, &classic(CRITERIA, channel)).await;
        receiver.script(&path, [503, 200].map(Answer::Status));
        base.save(&observation("o", "other", 70.0)).await;
        base.save(&observation("o", "p", 70.0)).await;
        base.save(&patient("p")).await;
        base.save(&observation("o", "p", 71.0)).await;
        base.remove("Observation/o").await;
        let status = base.status(&id).await;
        assert_eq!((status.count, status.status.as_str()), (2, "active"));
        // The first is repeated until it is taken, and comes before the second.
        for _ in 0..3 {
            let sent = receiver.next(&path).await;
            assert_eq!((sent.method.as_str(), sent.body.len()), ("POST", 0));
            assert_eq!(sent.header("x-ward"), ["7"]);
            assert_eq!(sent.header("content-type"), [""; 0]);
        }
        assert_eq!(base.events(&id, "").await.numbers(), [1, 2]);
        assert_eq!(receiver.all(&path).len(), 3, "a delete is no event");
    }
}

#[tokio::test]
async fn with_a_payload_the_resource_is_put_to_the_endpoint() {
    verifies!("RQ-SB-02");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in bases(&server) {
        for (form, end) in [("application/fhir+json", "}"), ("application/fhir+xml", ">")] {
            let path = format!("/{}/{}", base.version, &form[17..]);
            let endpoint = format!("{}?key=1", receiver.endpoint(&path));
            let channel = json!({"type": "rest-hook", "endpoint": endpoint, "payload": form});
            let id = subscribed(&base, &classic("Observation", channel)).await;
            let mut changed = observation("o", "p", 70.0);
            base.save(&changed).await;
            set(&mut changed, "/status", "amended");
            base.save(&changed).await;
            let target = format!("{path}/Observation/o");
            for status in ["final", "amended"] {
                let sent = receiver.next(&target).await;
                assert_eq!(sent.method, "PUT");
                assert_eq!(sent.target, format!("{target}?key=1"));
                assert_eq!(sent.header("content-type"), [form]);
                let text = String::from_utf8_lossy(&sent.body);
                assert!(text.contains(status) && text.trim_end().ends_with(end), "{text}");
                assert!(text.contains("Patient/p") && text.contains("29463-7"), "{text}");
            }
            base.remove(&format!("Subscription/{id}")).await;
            base.remove("Observation/o").await;
        }
    }
}

#[tokio::test]
async fn a_websocket_is_bound_by_id_and_pinged() {
    verifies!("RQ-SB-02");
    let server = Server::start().await;
    for base in bases(&server) {
        let id = subscribed(&base, &classic(CRITERIA, json!({"type": "websocket"}))).await;
        let url = base.token(&[id.as_str()]).await.url;
        let mut socket = Socket::open(base.version, &url).await;
        socket.send(format!("bind {id}")).await;
        assert_eq!(socket.text().await, format!("bound {id}"));
        for kilograms in [70.0, 71.0] {
            base.save(&observation("o", "p", kilograms)).await;
            assert_eq!(socket.text().await, format!("ping {id}"));
        }
        // What comes while nobody listens is told to who binds next.
        socket.close().await;
        base.save(&observation("o", "p", 72.0)).await;
        let mut again = Socket::open(base.version, &url).await;
        again.send(format!("bind {id}")).await;
        assert_eq!(again.text().await, format!("bound {id}"));
        assert_eq!(again.text().await, format!("ping {id}"));
        // Whoever binds by token is told in the guide's form.
        let mut by_token = base.listen(&id).await;
        base.save(&observation("o", "p", 73.0)).await;
        let told = by_token.event().await;
        assert_eq!(told.entries[0].resource.as_ref().expect("sent")["id"], "o");
    }
}

#[tokio::test]
async fn a_websocket_is_bound_by_id_only_by_who_may_see_the_subscription() {
    verifies!("RQ-SB-02");
    let options = Options::default()
        .client("one", "one-token-of-the-tests", &["read", "write", "subscribe"])
        .client("two", "two-token-of-the-tests", &["read", "write", "subscribe"]);
    let server = Server::start_with(options).await;
    for base in bases(&server) {
        let one = base.with_bearer("one-token-of-the-tests");
        let id = subscribed(&one, &classic(CRITERIA, json!({"type": "websocket"}))).await;
        let url = one.token(&[id.as_str()]).await.url;
        for bearer in [None, Some("two-token-of-the-tests"), Some("no-token-of-the-tests")] {
            let mut socket = Socket::open_as(base.version, &url, bearer).await;
            socket.send(format!("bind {id}")).await;
            assert_eq!(socket.closed().await.code, 1008);
        }
        let mut socket = Socket::open_as(base.version, &url, Some("one-token-of-the-tests")).await;
        socket.send(format!("bind {id}")).await;
        assert_eq!(socket.text().await, format!("bound {id}"));
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused() {
    verifies!("RQ-SB-02", "RQ-SB-01");
    let server = Server::start().await;
    let hook = |payload: &str| json!({"type": "rest-hook", "endpoint": "http://127.0.0.1:1/x", "payload": payload});
    let socket = || json!({"type": "websocket"});
    for base in bases(&server) {
        for (criteria, channel, element) in [
            ("Observashun?code=1", socket(), "Subscription.criteria"),
            ("Observation?colour=red", socket(), "Subscription.criteria"),
            ("Observation?code", socket(), "Subscription.criteria"),
            ("Observation?_count=5", socket(), "Subscription.criteria"),
            ("Subscription?status=active", socket(), "Subscription.criteria"),
            ("https://cresset.dev/fhir/criteria/Observation", socket(), "Subscription.criteria"),
            (CRITERIA, hook("text/plain"), "Subscription.channel.payload"),
            (
                CRITERIA,
                hook("application/fhir+json; fhirVersion=5.0"),
                "Subscription.channel.payload",
            ),
            (CRITERIA, json!({"type": "rest-hook"}), "Subscription.channel.endpoint"),
            (CRITERIA, json!({"type": "sms", "endpoint": "tel:1"}), "Subscription.channel.type"),
            (
                CRITERIA,
                json!({"type": "message", "endpoint": "https://example.org"}),
                "Subscription.channel.type",
            ),
        ] {
            let reply = base.post("Subscription", &classic(criteria, channel)).await;
            let outcome = reply.refused(422);
            let told = outcome.issues.iter().any(|issue| issue.expression.starts_with(element));
            assert!(told, "{criteria}: {reply}");
        }
    }
    let r5 = server.base(Version::R5);
    r5.post("Subscription", &classic(CRITERIA, socket())).await.refused(422);
}
