//! The channel `nats`, against Debian's nats-server (docs/channels/nats.md).

use std::path::Path;

use cresset_conformance::{
    Detour, NatsMessage, NatsServer, Notification, Options, Server, Subscribe, Version, patient,
    set, until, verifies,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn options(address: impl ToString) -> Options {
    Options::default()
        .set("nats.servers", vec![address.to_string()])
        .set("nats.tls", false)
        .set("delivery.traceparent", true)
        .set("delivery.host-pause-min", "100ms")
        .set("delivery.host-pause-max", "200ms")
        .set("rest-hook.retry-schedule", vec!["100ms"; 64])
}

/// The notification in a message, whose headers must tell the same.
fn told(version: Version, message: &NatsMessage) -> Notification {
    let bundle: Value = serde_json::from_str(&message.value).expect("JSON");
    let told = Notification::read(version, &bundle);
    assert_eq!(message.header("fhir-notification-type"), told.kind);
    let numbers = told.numbers();
    match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) => {
            assert_eq!(message.header("fhir-event-numbers"), format!("{first}-{last}"));
        }
        _ => assert!(message.headers.iter().all(|(name, _)| name != "fhir-event-numbers")),
    }
    told
}

/// The next message of this subscription: heartbeats of others may be on their way yet.
async fn next_of(nats: &mut NatsServer, id: &str) -> NatsMessage {
    loop {
        let message = nats.next().await;
        if message.subject.ends_with(id) {
            return message;
        }
    }
}

#[tokio::test]
async fn notifications_are_messages_in_a_stream_of_nats() {
    verifies!("RQ-CH-90", "RQ-SB-09", "RQ-CH-10", "RQ-CH-01");
    let mut nats = NatsServer::start().await;
    nats.make_stream(&["cresset.>"], &[]).await;
    let server = Server::start_with(options(nats.address())).await;
    for base in server.bases() {
        let asked = Subscribe::nats(TOPIC, None).header("x-ward", "7").heartbeat_period(1);
        let id = base.subscribe(&asked).await;
        let handshake = next_of(&mut nats, &id).await;
        let first = told(base.version, &handshake);
        assert_eq!((first.kind.as_str(), first.status.as_str()), ("handshake", "requested"));
        base.wait_for_status(&id, "active").await;
        for patient_id in ["p", "q", "r"] {
            base.save(&patient(patient_id)).await;
        }
        let (mut numbers, mut kinds, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        while numbers.len() < 3 || kinds.len() < 2 {
            let message = next_of(&mut nats, &id).await;
            let subject = format!("cresset.{}.Subscription.{id}", base.version);
            assert_eq!(message.subject, subject, "keyed by subscription");
            let version = match base.version {
                Version::R4 => "4.0",
                Version::R4B => "4.3",
                Version::R5 => "5.0",
            };
            let subscription = format!("{}/Subscription/{id}", base.url);
            for (name, expected) in [
                ("content-type", "application/fhir+json"),
                ("fhir-version", version),
                ("fhir-subscription", subscription.as_str()),
                ("x-ward", "7"),
                ("Nats-Msg-Id", message.header("webhook-id")),
            ] {
                assert_eq!(message.header(name), expected, "{name}");
            }
            assert_eq!(message.header("traceparent").len(), 55);
            ids.push(message.header("webhook-id").to_owned());
            let told = told(base.version, &message);
            assert_eq!(told.status, "active");
            numbers.extend(told.numbers());
            if !kinds.contains(&told.kind) {
                kinds.push(told.kind);
            }
        }
        assert_eq!(numbers, [1, 2, 3]);
        kinds.sort_unstable();
        assert_eq!(kinds, ["event-notification", "heartbeat"]);
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "each message has an id of its own");
        base.remove(&format!("Subscription/{id}")).await;
    }
}

#[tokio::test]
async fn what_is_sent_again_on_request_is_no_duplicate_to_nats() {
    verifies!(R5: "RQ-CH-90");
    let mut nats = NatsServer::start().await;
    nats.make_stream(&["cresset.>"], &[]).await;
    let server = Server::start_with(options(nats.address())).await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::nats(TOPIC, None)).await;
    base.wait_for_status(&id, "active").await;
    assert_eq!(told(base.version, &nats.next().await).kind, "handshake");
    base.save(&patient("p")).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let message = nats.next().await;
        assert_eq!(told(base.version, &message).numbers(), [1]);
        ids.push(message.header("webhook-id").to_owned());
        until("the server knows that it has arrived", || async {
            let reply = base.get(&format!("Subscription/{id}/$resend?eventsSinceNumber=1")).await;
            (reply.status == 200).then_some(())
        })
        .await;
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "else the stream would have kept the first alone");
}

#[tokio::test]
async fn a_nats_server_that_is_killed_and_started_again_gets_every_event_in_order() {
    verifies!(R5: "RQ-CH-90", "RQ-ER-15");
    let mut nats = NatsServer::start().await;
    nats.make_stream(&["cresset.>"], &[]).await;
    let server = Server::start_with(options(nats.address())).await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::nats(TOPIC, None).max_count(2)).await;
    base.wait_for_status(&id, "active").await;
    base.save(&patient("before")).await;
    assert_eq!(told(base.version, &nats.next().await).kind, "handshake");
    assert_eq!(told(base.version, &nats.next().await).numbers(), [1]);
    nats.kill();
    for number in 0..5 {
        base.save(&patient(&format!("while-{number}"))).await;
    }
    let attempts = format!("{}/admin/subscriptions/{id}/attempts", server.url());
    until("an attempt fails", || async {
        base.get(&attempts).await.to_string().contains("no-response").then_some(())
    })
    .await;
    nats.start_again();
    let mut numbers = Vec::new();
    while numbers.len() < 5 {
        let told = told(base.version, &nats.next().await);
        assert_eq!(told.status, "active", "retries were not used up");
        numbers.extend(told.numbers());
    }
    assert_eq!(numbers, [2, 3, 4, 5, 6], "none lost, none twice, none out of order");
}

/// A publish that the broker has taken and whose confirmation is held back.
async fn under_way(grace: &str) -> (NatsServer, Detour, Server, String) {
    let mut nats = NatsServer::start().await;
    nats.make_stream(&["cresset.>"], &[]).await;
    let detour = Detour::start().await;
    detour.lead_to(Some(nats.address()));
    // The ids of messages hold it, so it outlives the restart, on whatever port.
    let options = options(detour.address()).set("server.base-url", "http://cresset.test");
    let options = options.set("server.shutdown-grace", grace);
    let server = Server::start_with(options).await;
    let base = server.base(Version::R4);
    let id = base.subscribe(&Subscribe::nats(TOPIC, None).max_count(1)).await;
    base.wait_for_status(&id, "active").await;
    assert_eq!(told(base.version, &nats.next().await).kind, "handshake");
    detour.hold_answers(true);
    base.save(&patient("p")).await;
    base.save(&patient("p")).await;
    assert_eq!(told(base.version, &nats.next().await).numbers(), [1]);
    (nats, detour, server, id)
}

#[tokio::test]
async fn a_publish_under_way_at_sigterm_may_end_and_is_not_made_again() {
    verifies!(R4: "RQ-CH-90", "RQ-CH-03");
    let (mut nats, detour, mut server, id) = under_way("20s").await;
    let base = server.base(Version::R4);
    server.terminate();
    until("the server takes no more requests", || async {
        let asked = base.request(reqwest::Method::GET, "metadata").try_send().await;
        asked.map_or(true, |reply| reply.status == 503).then_some(())
    })
    .await;
    detour.hold_answers(false);
    assert_eq!(server.ended().await.code(), Some(0));
    server.start_again().await;
    assert_eq!(told(Version::R4, &nats.next().await).numbers(), [2], "1 was confirmed");
    let attempts = format!("{}/admin/subscriptions/{id}/attempts", server.url());
    let attempts = until("the attempt is recorded", || async {
        let found = server.base(Version::R4).get(&attempts).await.expect(200).json();
        let attempts = found["subscriptions"][0]["attempts"].as_array()?;
        (!attempts.is_empty()).then(|| attempts.clone())
    });
    let attempts = attempts.await;
    assert_eq!(attempts.len(), 1, "nothing was made again: {attempts:?}");
}

#[tokio::test]
async fn a_publish_that_outlasts_the_grace_time_is_made_again_and_nothing_is_lost() {
    verifies!(R4: "RQ-CH-90", "RQ-ER-15");
    let (mut nats, detour, mut server, id) = under_way("500ms").await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(server.log().contains("attempts under way were cut off"));
    detour.hold_answers(false);
    server.start_again().await;
    // The stream knows the repetition by its id, and keeps one.
    assert_eq!(told(Version::R4, &nats.next().await).numbers(), [2]);
    let attempts = format!("{}/admin/subscriptions/{id}/attempts", server.url());
    until("both are recorded", || async {
        let found = server.base(Version::R4).get(&attempts).await.expect(200).json();
        (found["subscriptions"][0]["attempts"].as_array()?.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn subjects_that_a_client_may_not_use_are_refused() {
    verifies!("RQ-CH-90", "RQ-SB-33");
    // Nothing is connected to before a handshake is due, and none of these gets that far.
    let rights = ["subscribe", "read"];
    let options = options("nats.example.org:4222")
        .set("nats.allow-subjects", vec!["shared.>", "{client}.*", "ward-7=orders"])
        .client("ward-7", "token-of-the-client-7", &rights)
        .client("ward-8", "token-of-the-client-8", &rights);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        for (client, endpoint, status) in [
            ("7", "nats:shared.a", 201),
            ("7", "nats:ward-7.x", 201),
            ("7", "nats:orders", 201),
            ("8", "nats:orders", 422),
            ("8", "nats:ward-7.x", 422),
            ("7", "nats:other", 422),
            ("7", "nats:shared.*", 422),
            ("7", "nats:$JS.API.STREAM.DELETE.X", 422),
            ("7", "nats://nats.example.org:4222", 422),
            ("7", "https://example.org/hook", 422),
        ] {
            let base = base.with_bearer(&format!("token-of-the-client-{client}"));
            let asked = Subscribe::nats(TOPIC, Some(endpoint)).json(base.version);
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, status, "{client}, {endpoint}: {reply}");
            if status == 422 {
                assert_eq!(reply.refused(422).issues[0].code, "S0018", "{endpoint}");
            }
        }
        let base = base.with_bearer("token-of-the-client-7");
        let clear = Subscribe::nats(TOPIC, None).content("full-resource").json(base.version);
        let reply = base.post("Subscription", &clear).await;
        assert_eq!(reply.status, 422, "whole resources without TLS: {reply}");
        for (name, value) in [("Nats-Rollup", "all"), ("fhir-version", "4.0")] {
            let asked = Subscribe::nats(TOPIC, None).header(name, value).json(base.version);
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, 422, "{name}: {reply}");
            assert_eq!(reply.refused(422).issues[0].code, "S0021");
        }
    }
}

#[tokio::test]
async fn channels_without_a_broker_are_refused() {
    verifies!("RQ-CH-90", "RQ-SB-32", "RQ-SB-09");
    let server = Server::start().await;
    for base in server.bases() {
        for asked in [Subscribe::nats(TOPIC, None), Subscribe::kafka(TOPIC, None)] {
            let mut asked = asked.json(base.version);
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, 422, "{reply}");
            assert_eq!(reply.refused(422).issues[0].code, "S0070");
            let code = match base.version {
                Version::R4 | Version::R4B => "/channel/_type/extension/0/valueCoding/code",
                Version::R5 => "/channelType/code",
            };
            set(&mut asked, code, "carrier-pigeon");
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, 422, "{reply}");
            assert_eq!(reply.refused(422).issues[0].code, "S0017");
        }
    }
}

#[tokio::test]
async fn what_no_stream_takes_is_an_error_that_says_so() {
    verifies!("RQ-CH-90");
    let nats = NatsServer::start().await;
    nats.make_stream(&["cresset.>"], &[("max_msg_size", json!(300))]).await;
    let options = options(nats.address())
        .set("nats.allow-subjects", vec![">"])
        .set("delivery.rejection-retries-max", 1);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::nats(TOPIC, Some("nats:elsewhere"))).await;
        let status = base.wait_for_status(&id, "error").await;
        assert!(status.errors[0].to_string().contains("no JetStream stream"), "{status:?}");
        let id = base.subscribe(&Subscribe::nats(TOPIC, None)).await;
        let status = base.wait_for_status(&id, "error").await;
        assert!(status.errors[0].to_string().contains("larger"), "{status:?}");
    }
}

#[tokio::test]
async fn nats_is_spoken_to_over_tls_and_with_a_login() {
    verifies!(R5: "RQ-CH-90");
    let folder = tempfile::tempdir().expect("a folder");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("certificate", &cert.pem());
    let key = file("key", &signing_key.serialize_pem());
    let config = format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}\n\
         authorization {{ user: cresset, password: pencil }}\n"
    );
    let mut nats = NatsServer::launch_with(&config).await;
    let reader = async_nats::ConnectOptions::new()
        .user_and_password("cresset".to_owned(), "pencil".to_owned())
        .add_root_certificates(Path::new(&certificate).to_owned())
        .require_tls(true);
    let url = format!("nats://{}", nats.address());
    nats.connected(reader.connect(url).await.expect("a connection"));
    nats.make_stream(&["cresset.>"], &[]).await;
    let address = nats.address();
    let secured = |password: &str| {
        options(address)
            .set("nats.tls", true)
            .set("nats.extra-ca-files", vec![certificate.as_str()])
            .set("nats.user", "cresset")
            .set("nats.password-file", file("password", password))
    };
    let server = Server::start_with(secured("pencil\n")).await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::nats(TOPIC, None)).await;
    base.wait_for_status(&id, "active").await;
    assert_eq!(told(base.version, &nats.next().await).kind, "handshake");
    let wrong = secured("eraser").set("nats.connect-timeout", "500ms");
    let server = Server::start_with(wrong).await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::nats(TOPIC, None)).await;
    base.wait_for_status(&id, "error").await;
    assert!(!server.log().contains("eraser"), "passwords are not logged");
}
