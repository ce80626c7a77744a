//! The channel `message`: notifications as FHIR messages.

use cresset_conformance::{
    Answer, Client, Notification, Options, Receiver, Sent, Server, Subscribe, Version, patient,
    verifies,
};
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// The header and the notification of a message, with all rules of its frame checked.
fn opened(base: &Client, endpoint: &str, sent: &Sent) -> (Value, Notification) {
    let bundle: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("message")));
    assert!(bundle["timestamp"].is_string());
    let [first, second] = bundle["entry"].as_array().expect("entries").as_slice() else {
        panic!("not two entries: {bundle}")
    };
    let header = &first["resource"];
    assert_eq!(header["resourceType"], "MessageHeader");
    let focus = header["focus"][0]["reference"].as_str().expect("a focus");
    assert!(focus.starts_with("urn:uuid:"), "{focus}");
    assert_eq!(second["fullUrl"], focus, "the focus resolves");
    for entry in [first, second] {
        assert!(entry.get("request").is_none() && entry.get("response").is_none(), "bdl-3a");
    }
    let (name, kind) = match base.version {
        Version::R4 | Version::R4B => ("endpoint", "history"),
        Version::R5 => ("endpointUrl", "subscription-notification"),
    };
    assert_eq!(header["source"][name], base.url);
    assert_eq!(header["destination"][0][name], endpoint);
    assert_eq!(second["resource"]["type"], kind);
    (header.clone(), Notification::read(base.version, &second["resource"]))
}

#[tokio::test]
async fn notifications_are_messages_to_the_operation_of_the_endpoint() {
    verifies!("RQ-CH-80", "RQ-CH-81", "RQ-CH-82", "RQ-CH-83", "RQ-CH-10");
    let options = Options::default()
        .set("message.event-system", "http://events.test")
        .set("message.event-code", "told");
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        for ending in ["", "/$process-message"] {
            let path = format!("/{}/{}", base.version, ending.len());
            let target = format!("{path}/$process-message");
            receiver.script(&target, [503, 200, 200].map(Answer::Status));
            let endpoint = receiver.endpoint(&format!("{path}{ending}"));
            let asked = Subscribe::message(TOPIC, &endpoint)
                .header("Authorization", "Bearer s3cr3t")
                .heartbeat_period(1);
            let id = base.subscribe(&asked).await;
            let mut headers = Vec::new();
            for _ in 0..2 {
                let sent = receiver.next(&target).await;
                assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", target.as_str()));
                assert_eq!(sent.header("authorization"), ["Bearer s3cr3t"]);
                assert!(sent.header("content-type")[0].starts_with("application/fhir+json"));
                let (header, told) = opened(&base, &endpoint, &sent);
                assert_eq!((told.kind.as_str(), told.status.as_str()), ("handshake", "requested"));
                let event = json!({"system": "http://events.test", "code": "told"});
                assert_eq!(header["eventCoding"], event);
                headers.push(header);
            }
            assert_eq!(headers[0]["id"], headers[1]["id"], "a repetition is the same message");
            base.wait_for_status(&id, "active").await;
            base.save(&patient("p")).await;
            let mut kinds = Vec::new();
            while kinds.len() < 2 {
                let (header, told) = opened(&base, &endpoint, &receiver.next(&target).await);
                assert_eq!(told.status, "active");
                if told.kind == "event-notification" {
                    assert_eq!(told.numbers(), [1]);
                    assert_ne!(header["id"], headers[0]["id"]);
                }
                if !kinds.contains(&told.kind) {
                    kinds.push(told.kind);
                }
            }
            kinds.sort_unstable();
            assert_eq!(kinds, ["event-notification", "heartbeat"]);
            base.remove(&format!("Subscription/{id}")).await;
        }
    }
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_an_error() {
    verifies!("RQ-CH-83");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        receiver.always(&format!("{path}/$process-message"), Answer::Status(500));
        let id = base.subscribe(&Subscribe::message(TOPIC, &receiver.endpoint(&path))).await;
        let status = base.wait_for_status(&id, "error").await;
        assert!(status.errors[0].to_string().contains("500"), "{status:?}");
    }
}

#[tokio::test]
async fn endpoints_of_messages_are_held_to_the_same_rules() {
    verifies!("RQ-CH-84", "RQ-SB-33");
    let strict = Options::default().without_local_endpoints().set("rest-hook.https-only", true);
    let server = Server::start_with(strict).await;
    for base in server.bases() {
        for endpoint in ["https://127.0.0.1/fhir", "http://example.org/fhir", "mailto:x@x.test"] {
            let asked = Subscribe::message(TOPIC, endpoint).json(base.version);
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, 422, "{endpoint}: {reply}");
        }
    }
}
