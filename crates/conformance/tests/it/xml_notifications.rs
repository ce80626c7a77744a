//! Notifications in XML, over each channel; their exact bytes are goldens of the codecs.

use cresset_conformance::{
    Client, NatsServer, Options, Receiver, Server, Socket, Subscribe, Version, patient, set,
    verifies,
};
use serde_json::json;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn xml_of(version: Version) -> String {
    format!("application/fhir+xml; fhirVersion={}", version.mime())
}

/// What a notification must hold in XML: its frame, its event and its focus.
fn check(base: &Client, text: &str, event: Option<(u64, &str)>) {
    let start =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Bundle xmlns=\"http://hl7.org/fhir\"><id ";
    assert!(text.starts_with(start) && text.ends_with("</Bundle>"), "{text}");
    let (kind, number) = match base.version {
        Version::R4 => ("history", "<name value=\"event-number\"/><valueString value="),
        Version::R4B => ("history", "<eventNumber value="),
        Version::R5 => ("subscription-notification", "<eventNumber value="),
    };
    assert!(text.contains(&format!("<type value=\"{kind}\"/>")), "{text}");
    match event {
        Some((expected, focus)) => {
            assert!(text.contains(&format!("{number}\"{expected}\"/>")), "{text}");
            let focus = format!("<reference value=\"{}/{focus}\"/>", base.url);
            assert!(text.contains(&focus), "{text}");
        }
        None => assert!(!text.contains(number), "{text}"),
    }
}

#[tokio::test]
async fn rest_hooks_get_the_form_that_they_ask_for() {
    verifies!("RQ-SB-04", "RQ-CH-21");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let xml = xml_of(base.version);
        // Three, so that what they share is shared in XML too; and one in JSON beside them.
        let paths = ["a", "b", "c"].map(|name| format!("/{}/{name}", base.version));
        let json_path = format!("/{}/json", base.version);
        let mut ids = Vec::new();
        for path in paths.iter().chain([&json_path]) {
            let mut asked =
                Subscribe::rest_hook(TOPIC, &receiver.endpoint(path)).content("full-resource");
            if *path != json_path {
                asked = asked.mime_type(&xml);
            }
            ids.push(base.subscribe(&asked).await);
            base.wait_for_status(ids.last().expect("just pushed"), "active").await;
        }
        let mut resource = patient("p");
        set(&mut resource, "/name", json!([{"family": "<Ä & B>"}]));
        base.save(&resource).await;
        for (path, id) in paths.iter().zip(&ids) {
            let (handshake, told) = (receiver.next(path).await, receiver.next(path).await);
            for (sent, event) in [(&handshake, None), (&told, Some((1, "Patient/p")))] {
                assert_eq!(sent.header("content-type"), [xml.as_str()]);
                check(&base, std::str::from_utf8(&sent.body).expect("UTF-8"), event);
            }
            let text = String::from_utf8_lossy(&told.body);
            assert!(text.contains(&format!("{}/Subscription/{id}\"/>", base.url)), "{text}");
            assert!(text.contains("<family value=\"&lt;Ä &amp; B&gt;\"/>"), "{text}");
        }
        assert_eq!(receiver.event(base.version, &json_path).await.numbers(), [1]);
    }
}

#[tokio::test]
async fn websockets_and_messages_carry_xml_too() {
    verifies!("RQ-SB-04", "RQ-CH-81");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let xml = xml_of(base.version);
        let id = base.subscribe(&Subscribe::websocket(TOPIC).mime_type(&xml)).await;
        let token = base.token(&[id.as_str()]).await;
        let mut socket = Socket::open(base.version, &token.url).await;
        socket.bind(&token).await;
        check(&base, &socket.text().await, None);
        let path = format!("/{}", base.version);
        let asked = Subscribe::message(TOPIC, &receiver.endpoint(&path)).mime_type(&xml);
        let message_id = base.subscribe(&asked).await;
        base.wait_for_status(&message_id, "active").await;
        base.save(&patient("q")).await;
        check(&base, &socket.text().await, Some((1, "Patient/q")));
        let target = format!("{path}/$process-message");
        let (_handshake, told) = (receiver.next(&target).await, receiver.next(&target).await);
        assert_eq!(told.header("content-type"), [xml.as_str()]);
        let text = String::from_utf8_lossy(&told.body);
        assert!(text.contains("<type value=\"message\"/>"), "{text}");
        let (_, content) = text.split_once("</MessageHeader>").expect("a header");
        assert!(content.contains("<resource><Bundle><id value="), "{content}");
        assert!(content.contains(&format!("{}/Patient/q\"/>", base.url)), "{content}");
    }
}

#[tokio::test]
async fn heartbeats_are_xml_too() {
    verifies!("RQ-SB-04");
    let server = Server::start().await;
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).mime_type(&xml_of(base.version));
        let id = base.subscribe(&asked.heartbeat_period(1)).await;
        let token = base.token(&[id.as_str()]).await;
        let mut socket = Socket::open(base.version, &token.url).await;
        socket.bind(&token).await;
        for kind in ["handshake", "heartbeat"] {
            let text = socket.text().await;
            check(&base, &text, None);
            assert!(text.contains(&format!("value=\"{kind}\"")), "{text}");
        }
    }
}

#[tokio::test]
async fn brokers_get_xml_too() {
    verifies!("RQ-SB-04", "RQ-CH-90");
    let mut nats = NatsServer::start().await;
    nats.make_stream(&["cresset.>"], &[]).await;
    let options = Options::default()
        .set("nats.servers", vec![nats.address().to_string()])
        .set("nats.tls", false);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let xml = xml_of(base.version);
        base.subscribe(&Subscribe::nats(TOPIC, None).mime_type(&xml)).await;
        let handshake = nats.next().await;
        assert_eq!(handshake.header("content-type"), xml);
        check(&base, &handshake.value, None);
    }
}
