//! The channel `kafka`, against the cluster and the consumer of librdkafka (docs/channels/kafka.md).

use cresset_conformance::{
    Detour, KafkaCluster, KafkaRecord, Notification, Options, Server, Subscribe, Version, patient,
    until, verifies,
};
use serde_json::Value;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn options(address: impl ToString) -> Options {
    Options::default()
        .set("kafka.servers", vec![address.to_string()])
        .set("kafka.tls", false)
        .set("delivery.traceparent", true)
        .set("delivery.host-pause-min", "100ms")
        .set("delivery.host-pause-max", "200ms")
        .set("rest-hook.retry-schedule", vec!["100ms"; 64])
}

/// The notification in a record, whose headers must tell the same.
fn told(version: Version, record: &KafkaRecord) -> Notification {
    let bundle: Value = serde_json::from_str(&record.value).expect("JSON");
    let told = Notification::read(version, &bundle);
    assert_eq!(record.header("fhir-notification-type"), told.kind);
    let numbers = told.numbers();
    match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) => {
            assert_eq!(record.header("fhir-event-numbers"), format!("{first}-{last}"));
        }
        _ => assert!(record.headers.iter().all(|(name, _)| name != "fhir-event-numbers")),
    }
    told
}

/// The next record of this subscription: those of others may lie between.
async fn next_of(kafka: &mut KafkaCluster, id: &str) -> KafkaRecord {
    loop {
        let record = kafka.next().await;
        if record.key.ends_with(id) {
            return record;
        }
    }
}

#[tokio::test]
async fn notifications_are_records_of_kafka_keyed_by_subscription() {
    verifies!("RQ-CH-90", "RQ-SB-09", "RQ-CH-10", "RQ-CH-01");
    let mut kafka = KafkaCluster::start("cresset").await;
    let server = Server::start_with(options(kafka.address())).await;
    for base in server.bases() {
        let asked = Subscribe::kafka(TOPIC, None).header("x-ward", "7").heartbeat_period(1);
        let id = base.subscribe(&asked).await;
        let handshake = next_of(&mut kafka, &id).await;
        let first = told(base.version, &handshake);
        assert_eq!((first.kind.as_str(), first.status.as_str()), ("handshake", "requested"));
        base.wait_for_status(&id, "active").await;
        for patient_id in ["p", "q", "r"] {
            base.save(&patient(patient_id)).await;
        }
        let (mut numbers, mut kinds, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        while numbers.len() < 3 || kinds.len() < 2 {
            let record = next_of(&mut kafka, &id).await;
            assert_eq!(record.key, format!("{}/Subscription/{id}", base.version));
            assert_eq!(record.partition, handshake.partition, "one key, one partition");
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
            ] {
                assert_eq!(record.header(name), expected, "{name}");
            }
            assert_eq!(record.header("traceparent").len(), 55);
            ids.push(record.header("webhook-id").to_owned());
            let told = told(base.version, &record);
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
        assert_eq!(ids.len(), count, "each record has an id of its own");
        base.remove(&format!("Subscription/{id}")).await;
    }
}

#[tokio::test]
async fn a_kafka_broker_that_is_killed_and_comes_back_elsewhere_gets_every_event_in_order() {
    verifies!(R5: "RQ-CH-90", "RQ-ER-15");
    let mut kafka = KafkaCluster::start("cresset").await;
    let detour = Detour::start().await;
    detour.lead_to(Some(kafka.address()));
    let server = Server::start_with(options(detour.address())).await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::kafka(TOPIC, None).max_count(2)).await;
    base.wait_for_status(&id, "active").await;
    base.save(&patient("before")).await;
    assert_eq!(told(base.version, &kafka.next().await).kind, "handshake");
    assert_eq!(told(base.version, &kafka.next().await).numbers(), [1]);
    kafka.kill();
    detour.lead_to(None);
    for number in 0..5 {
        base.save(&patient(&format!("while-{number}"))).await;
    }
    let attempts = format!("{}/admin/subscriptions/{id}/attempts", server.url());
    until("an attempt fails", || async {
        base.get(&attempts).await.to_string().contains("no-response").then_some(())
    })
    .await;
    let mut kafka = KafkaCluster::start("cresset").await;
    detour.lead_to(Some(kafka.address()));
    let mut numbers = Vec::new();
    while numbers.len() < 5 {
        let told = told(base.version, &kafka.next().await);
        assert_eq!(told.status, "active", "retries were not used up");
        numbers.extend(told.numbers());
    }
    assert_eq!(numbers, [2, 3, 4, 5, 6], "none lost, none twice, none out of order");
}

#[tokio::test]
async fn topics_that_a_client_may_not_use_are_refused() {
    verifies!("RQ-CH-90", "RQ-SB-33");
    // Nothing is connected to before a handshake is due, and none of these gets that far.
    let rights = ["subscribe", "read"];
    let options = options("kafka.example.org:9092")
        .set("kafka.allow-topics", vec!["shared.*", "{client}-events", "ward-7=orders"])
        .client("ward-7", "token-of-the-client-7", &rights)
        .client("ward-8", "token-of-the-client-8", &rights);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        for (client, endpoint, status) in [
            ("7", "kafka:shared.a", 201),
            ("7", "kafka:ward-7-events", 201),
            ("7", "kafka:orders", 201),
            ("8", "kafka:orders", 422),
            ("8", "kafka:ward-7-events", 422),
            ("7", "kafka:other", 422),
            ("7", "kafka:__consumer_offsets", 422),
            ("7", "kafka://kafka.example.org:9092", 422),
            ("7", "nats:shared.a", 422),
        ] {
            let base = base.with_bearer(&format!("token-of-the-client-{client}"));
            let asked = Subscribe::kafka(TOPIC, Some(endpoint)).json(base.version);
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, status, "{client}, {endpoint}: {reply}");
            if status == 422 {
                assert_eq!(reply.refused(422).issues[0].code, "S0018", "{endpoint}");
            }
        }
        let base = base.with_bearer("token-of-the-client-7");
        let clear = Subscribe::kafka(TOPIC, None).content("full-resource").json(base.version);
        let reply = base.post("Subscription", &clear).await;
        assert_eq!(reply.status, 422, "whole resources without TLS: {reply}");
        for (second, value) in [("webhook-id", "x"), ("X-Ward", "8")] {
            let asked = Subscribe::kafka(TOPIC, None).header("x-ward", "7").header(second, value);
            let reply = base.post("Subscription", &asked.json(base.version)).await;
            assert_eq!(reply.status, 422, "{second}: {reply}");
            assert_eq!(reply.refused(422).issues[0].code, "S0021");
        }
    }
}

#[tokio::test]
async fn a_notification_that_is_too_large_for_a_record_is_an_error_that_says_so() {
    verifies!(R5: "RQ-CH-90");
    let mut kafka = KafkaCluster::start("cresset").await;
    let options = options(kafka.address())
        .set("kafka.record-max", "2KiB")
        .set("delivery.rejection-retries-max", 1);
    let server = Server::start_with(options).await;
    let base = server.base(Version::R5);
    let asked = Subscribe::kafka(TOPIC, None).content("full-resource");
    let id = base.subscribe(&asked).await;
    base.wait_for_status(&id, "active").await;
    let mut large = patient("large");
    large["name"] = serde_json::json!([{"family": "x".repeat(4096)}]);
    base.save(&large).await;
    let status = base.wait_for_status(&id, "error").await;
    assert!(status.errors[0].to_string().contains("larger"), "{status:?}");
    assert_eq!(told(base.version, &kafka.next().await).kind, "handshake");
}
