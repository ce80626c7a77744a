//! Signed notifications, verified as a receiver does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cresset_conformance::{Answer, Options, Receiver, Sent, Server, Subscribe, patient, verifies};
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};

const TOPIC: &str = "http://cresset.test/topics/patient-any";
const OLD: &str = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NEW: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// The first key pair of RFC 8032, section 7.1.
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// The id of a message whose signatures all verify.
fn verified(sent: &Sent) -> String {
    let header = |name| {
        let values = sent.header(name);
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0].to_owned()
    };
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(&sent.body);
    let signatures = header("webhook-signature");
    let signatures: Vec<_> = signatures.split(' ').collect();
    assert_eq!(signatures.len(), 3);
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    for (signature, key) in signatures.iter().zip([OLD, NEW]) {
        let signature = decode(signature.strip_prefix("v1,").expect("a symmetric one"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &decode(key));
        hmac::verify(&key, &content, &signature).expect("a signature that verifies");
    }
    let signature = decode(signatures[2].strip_prefix("v1a,").expect("an asymmetric one"));
    let key = UnparsedPublicKey::new(&ED25519, decode(PUBLIC));
    key.verify(&content, &signature).expect("a signature that verifies");
    id
}

#[tokio::test]
async fn notifications_are_signed_with_every_key_and_a_retry_keeps_its_id() {
    verifies!("RQ-SS-13", "RQ-ER-15");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    std::fs::write(&file, format!("whsec_{NEW}\n\nwhsk_{SEED}\n")).expect("a file");
    let options = Options::default()
        .set("log.level", "trace")
        .set("delivery.signing-keys", vec![format!("whsec_{OLD}")])
        .set("delivery.signing-key-files", vec![file.display().to_string()])
        .set("delivery.traceparent", true);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        receiver.script(&path, [503, 200, 503, 200, 200].map(Answer::Status));
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))
            .header("webhook-id", "forged")
            .header("Authorization", "Bearer s3cr3t");
        let id = base.subscribe(&asked).await;
        base.wait_for_status(&id, "active").await;
        base.save(&patient("p")).await;
        let mut ids = Vec::new();
        let mut traces = Vec::new();
        for _ in 0..4 {
            let sent = receiver.next(&path).await;
            assert_eq!(sent.header("authorization"), ["Bearer s3cr3t"]);
            ids.push(verified(&sent));
            let traceparent = sent.header("traceparent")[0].to_owned();
            assert_eq!(traceparent.len(), 55, "{traceparent}");
            traces.push(traceparent);
        }
        base.save(&patient("p")).await;
        ids.push(verified(&receiver.next(&path).await));
        assert_eq!((&ids[0], &ids[2]), (&ids[1], &ids[3]), "a retry keeps its id");
        assert!(ids[0] != ids[2] && ids[2] != ids[4], "{ids:?}");
        assert_eq!(traces[0][..35], traces[1][..35], "and its trace");
        assert_ne!(traces[0], traces[1], "but not its span");
    }
    let log = server.log();
    assert!(log.contains(&format!("whpk_{PUBLIC}")), "receivers need it");
    for secret in [OLD, NEW, SEED] {
        assert!(!log.contains(secret), "a key is in the log");
    }
}

#[tokio::test]
async fn the_trace_of_a_write_crosses_the_log_and_a_restart() {
    let options = Options::default().set("delivery.traceparent", true);
    let mut server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    for index in 0..3 {
        let base = server.bases()[index].clone();
        let path = format!("/{}", base.version);
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).max_count(1);
        let id = base.subscribe(&asked).await;
        base.wait_for_status(&id, "active").await;
        let handshake = receiver.next(&path).await.header("traceparent")[0].to_owned();
        receiver.script(&path, [Answer::Never]);
        for header in [Some(format!("00-{TRACE}-{SPAN}-01")), Some("no trace".to_owned()), None] {
            let put = base.request(reqwest::Method::PUT, "Patient/p").json(&patient("p"));
            let put = match header {
                Some(header) => put.header("traceparent", &header),
                None => put,
            };
            let reply = put.send().await;
            assert!(matches!(reply.status, 200 | 201), "{reply}");
        }
        let mut told = vec![receiver.next(&path).await];
        // What is sent after a restart is read from the store.
        server.restart().await;
        for _ in 0..3 {
            told.push(receiver.next(&path).await);
        }
        let traces: Vec<_> =
            told.iter().map(|sent| sent.header("traceparent")[0].to_owned()).collect();
        for trace in &traces[..2] {
            assert_eq!((&trace[3..35], &trace[53..]), (TRACE, "01"), "{traces:?}");
            assert!(!trace.contains(SPAN), "a span of its own: {trace}");
        }
        assert_ne!(traces[0], traces[1], "for each attempt");
        for trace in [&traces[2], &traces[3], &handshake] {
            assert!(!trace.contains(TRACE) && trace.ends_with("-00"), "{trace}");
        }
    }
}
