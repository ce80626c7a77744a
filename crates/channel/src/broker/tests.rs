//! Destinations, patterns and headers as tables.

use super::*;

fn policy(broker: Broker, allow: &[&str]) -> BrokerPolicy {
    let allow = allow.iter().map(|text| AllowedDestination::parse(broker, text).unwrap());
    BrokerPolicy {
        broker,
        default: "cresset".to_owned(),
        allow: allow.collect(),
        confidential: true,
    }
}

#[test]
fn without_an_endpoint_messages_go_where_the_server_says() {
    for broker in [Broker::Kafka, Broker::Nats] {
        assert_eq!(policy(broker, &[]).destination("ward", None), Ok("cresset"));
        let named = format!("{}:cresset", broker.scheme());
        assert_eq!(policy(broker, &[]).destination("ward", Some(&named)), Ok("cresset"));
        let other = format!("{}:other", broker.scheme());
        let refused = Err(DestinationRefusal::NotAllowed(broker));
        assert_eq!(policy(broker, &[]).destination("ward", Some(&other)), refused);
    }
}

#[test]
fn endpoints_are_places_in_the_broker_and_nothing_else() {
    let kafka = policy(Broker::Kafka, &["*"]);
    for (endpoint, good) in [
        ("kafka:orders", true),
        ("kafka:orders.new_1-2", true),
        ("kafka://broker/orders", false),
        ("kafka:", false),
        ("kafka:..", false),
        ("kafka:__consumer_offsets", false),
        ("kafka:or ders", false),
        ("kafka:orders,others", false),
        ("nats:orders", false),
        ("KAFKA:orders", false),
        ("orders", false),
    ] {
        assert_eq!(kafka.destination("ward", Some(endpoint)).is_ok(), good, "{endpoint}");
    }
    let long = format!("kafka:{}", "a".repeat(250));
    assert!(kafka.destination("ward", Some(&long)).is_err());
    let nats = policy(Broker::Nats, &[">"]);
    for (endpoint, good) in [
        ("nats:orders", true),
        ("nats:orders.new", true),
        ("nats://broker:4222", false),
        ("nats:", false),
        ("nats:orders.*", false),
        ("nats:orders.>", false),
        ("nats:orders..new", false),
        ("nats:.orders", false),
        ("nats:or\tders", false),
        ("nats:$JS.API.STREAM.DELETE.orders", false),
        ("nats:_INBOX.x", false),
        ("kafka:orders", false),
    ] {
        assert_eq!(nats.destination("ward", Some(endpoint)).is_ok(), good, "{endpoint}");
    }
    let long = format!("nats:{}", "a".repeat(201));
    assert!(nats.destination("ward", Some(&long)).is_err());
}

#[test]
fn clients_reach_what_is_allowed_to_them() {
    let nats =
        policy(Broker::Nats, &["shared.>", "clients.{client}.*", "ward-7=wards.7.>", "exact"]);
    for (client, subject, good) in [
        ("ward-7", "shared.a.b", true),
        ("ward-7", "shared", false),
        ("ward-7", "clients.ward-7.x", true),
        ("ward-7", "clients.ward-7.x.y", false),
        ("ward-7", "clients.ward-8.x", false),
        ("ward-7", "wards.7.x", true),
        ("ward-8", "wards.7.x", false),
        ("ward-8", "exact", true),
        ("ward-8", "exact.more", false),
        ("*", "clients.ward-8.x", false),
        ("a.b", "clients.a.b", false),
    ] {
        let endpoint = format!("nats:{subject}");
        let found = nats.destination(client, Some(&endpoint));
        assert_eq!(found.is_ok(), good, "{client}: {subject}");
    }
    let kafka = policy(Broker::Kafka, &["shared.*", "{client}-events", "ward-7=wards"]);
    for (client, topic, good) in [
        ("ward-7", "shared.a", true),
        ("ward-7", "shared", false),
        ("ward-7", "ward-7-events", true),
        ("ward-8", "ward-7-events", false),
        ("ward-7", "wards", true),
        ("ward-8", "wards", false),
        ("ward-7", "wards-too", false),
    ] {
        let endpoint = format!("kafka:{topic}");
        let found = kafka.destination(client, Some(&endpoint));
        assert_eq!(found.is_ok(), good, "{client}: {topic}");
    }
}

#[test]
fn what_allows_nothing_is_told() {
    for text in ["", "a b", "a*b", "__x", "=x", "x="] {
        let parsed = AllowedDestination::parse(Broker::Kafka, text);
        assert_eq!(parsed, Err(InvalidDestination::Kafka), "{text}");
    }
    for text in ["", "a..b", "a.>.b", "a*", "a b", "=x", "x="] {
        let parsed = AllowedDestination::parse(Broker::Nats, text);
        assert_eq!(parsed, Err(InvalidDestination::Nats), "{text}");
    }
    let odd = AllowedDestination::parse(Broker::Nats, "a=b=c.>").unwrap();
    assert!(odd.fits(Broker::Nats, "a=b", "c.d"), "a client's name may hold the sign");
}

#[test]
fn subjects_end_with_the_key() {
    assert_eq!(subject("cresset", "r5/Subscription/a-1"), "cresset.r5.Subscription.a-1");
    assert_eq!(subject("x", "r4/Subscription/a..b"), "x.r4.Subscription.a__b");
}

#[test]
fn headers_of_the_server_and_commands_to_the_broker_are_not_a_subscribers() {
    for name in [
        "Content-Type",
        "webhook-id",
        "Traceparent",
        "FHIR-Version",
        "fhir-anything",
        "Nats-Msg-Id",
        "Nats-Rollup",
        "nats-expected-stream",
    ] {
        assert_eq!(published_header_refusal(name, "x"), Some(HeaderRefusal::Reserved), "{name}");
    }
    assert_eq!(published_header_refusal("x-ward", "7"), None);
    assert_eq!(published_header_refusal("x-ward", "7\r\nx: y"), Some(HeaderRefusal::Value));
    assert_eq!(published_header_refusal("x ward", "7"), Some(HeaderRefusal::Name));
}

#[test]
fn loopback_is_told_from_what_only_looks_so() {
    for (host, expected) in [
        ("localhost", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        ("localhost.example.org", false),
        ("10.0.0.1", false),
    ] {
        assert_eq!(is_loopback(host), expected, "{host}");
    }
}
