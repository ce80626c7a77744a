//! The producer against a broker of the tests' own, which misbehaves as told. That a broker of others
//! is spoken to as it should be is proven by `crates/conformance/tests/it/kafka.rs`.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::config::{Login, Mechanism, ServerAddress};

mod broker;

use broker::{Broker, Deed};

/// Far more than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(server: ServerAddress) -> Config {
    Config {
        servers: vec![server],
        tls: None,
        login: None,
        client_id: "tests".to_owned(),
        connect_timeout: PATIENCE,
        silence_max: Duration::ZERO,
        record_bytes_max: 1024,
    }
}

fn record(key: &str) -> Record {
    Record {
        topic: "orders".to_owned(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        headers: vec![("webhook-id".to_owned(), Bytes::from_static(b"msg_1"))],
        value: Bytes::from_static(b"{}"),
        timestamp: 1_700_000_000_123,
    }
}

fn login(mechanism: Mechanism, password: &str) -> Option<Login> {
    Some(Login { mechanism, user: "cres,set".to_owned(), password: password.to_owned() })
}

#[tokio::test]
async fn a_record_is_written_whole_and_asks_for_all_replicas() {
    let broker = Broker::start().await;
    let producer = Producer::new(config(broker.address()));
    for key in ["a", "b", "c", "d"] {
        let placed = producer.send(&record(key), PATIENCE).await.unwrap();
        let seen = broker.seen();
        let last = seen.last().unwrap();
        assert_eq!((last.acks, last.topic.as_str()), (-1, "orders"));
        assert_eq!(last.partition, i32::try_from(partition(key)).unwrap());
        assert_eq!(placed, Placed { partition: last.partition, offset: 7 });
        assert_eq!(last.record.key.as_deref(), Some(key.as_bytes()));
        assert_eq!(last.record.value.as_deref(), Some(b"{}".as_slice()));
        assert_eq!(last.record.timestamp, 1_700_000_000_123);
        let header = last.record.headers.get("webhook-id".as_bytes()).unwrap().clone();
        assert_eq!(header.as_deref(), Some(b"msg_1".as_slice()));
    }
    assert_eq!((broker.seen().len(), broker.connections()), (4, 1), "one connection for all");
}

fn partition(key: &str) -> usize {
    crate::partition::partition_of(key.as_bytes(), broker::PARTITIONS)
}

#[tokio::test]
async fn records_are_sent_at_the_same_time() {
    let broker = Broker::start().await;
    broker.will([Deed::Hang]);
    let producer = Producer::new(config(broker.address()));
    let hangs = producer.clone();
    let hanging = tokio::spawn(async move { hangs.send(&record("a"), PATIENCE).await });
    broker.until_seen(1).await;
    // Kafka answers in order, so this one is not answered either; but it is asked.
    let second = producer.clone();
    let waiting = tokio::spawn(async move { second.send(&record("b"), PATIENCE).await });
    broker.until_seen(2).await;
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    let told = waiting.await.unwrap();
    assert!(matches!(told, Err(Error::Interrupted)), "{told:?}");
    producer.send(&record("c"), PATIENCE).await.unwrap();
    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn who_gives_up_early_leaves_the_connection_to_the_others() {
    let broker = Broker::start().await;
    broker.will([Deed::Wait]);
    let producer = Producer::new(Config { silence_max: PATIENCE, ..config(broker.address()) });
    let hasty = producer.clone();
    let hasty = tokio::spawn(async move { hasty.send(&record("a"), Duration::from_secs(1)).await });
    broker.until_seen(1).await;
    let patient = producer.clone();
    let patient = tokio::spawn(async move { patient.send(&record("b"), PATIENCE).await });
    let told = hasty.await.unwrap();
    assert!(matches!(told, Err(Error::TimedOut)), "{told:?}");
    broker.go_on();
    patient.await.unwrap().unwrap();
    producer.send(&record("c"), PATIENCE).await.unwrap();
    assert_eq!((broker.seen().len(), broker.connections()), (3, 1));
}

#[tokio::test]
async fn nothing_in_the_clear_goes_to_a_broker_elsewhere_that_one_on_this_machine_names() {
    // Of a network for documentation: nothing answers there.
    let elsewhere = ServerAddress { host: "192.0.2.1".to_owned(), port: 9092 };
    let broker = Broker::start().await;
    broker.lead_to(elsewhere.clone());
    let told = Producer::new(config(broker.address())).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Exposed)), "{told:?}");
    let with_password = Config { login: login(Mechanism::Plain, "pencil"), ..config(elsewhere) };
    let told = Producer::new(with_password).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Exposed)), "{told:?}");
}

#[tokio::test]
async fn a_partition_that_has_moved_is_followed_at_once() {
    let (old, new) = (Broker::start().await, Broker::start().await);
    old.will([Deed::Answer(6)]);
    let producer = Producer::new(config(old.address()));
    producer.send(&record("a"), PATIENCE).await.unwrap();
    assert_eq!(old.seen().len(), 2, "asked anew, and the same broker leads again");
    old.lead_to(new.address());
    old.will([Deed::Answer(6)]);
    producer.send(&record("a"), PATIENCE).await.unwrap();
    assert_eq!((old.seen().len(), new.seen().len()), (3, 1));
    // Twice in a row is the caller's to wait for.
    new.will([Deed::Answer(5), Deed::Answer(5)]);
    let told = producer.send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
    assert_eq!(new.seen().len(), 3);
}

#[tokio::test]
async fn what_the_broker_says_is_told() {
    let broker = Broker::start().await;
    let producer = Producer::new(config(broker.address()));
    for (code, expected) in [
        (10, "the record is larger than the broker takes"),
        (18, "the record is larger than the broker takes"),
        (19, "the broker cannot take the record now: NotEnoughReplicas (19)"),
        (29, "the broker does not let this server write the record: TopicAuthorizationFailed (29)"),
        (
            31,
            "the broker does not let this server write the record: ClusterAuthorizationFailed (31)",
        ),
        (35, "the broker does not speak as expected: it does not speak this version of a request"),
        (58, "the broker refused the login"),
        (87, "the broker refused the record: InvalidRecord (87)"),
        (-1, "the broker refused the record: UnknownServerError (-1)"),
    ] {
        let before = broker.seen().len();
        broker.will([Deed::Answer(code)]);
        let told = producer.send(&record("a"), PATIENCE).await;
        assert_eq!(told.unwrap_err().to_string(), expected);
        assert_eq!(broker.seen().len(), before + 1, "{code}: nothing is tried again");
    }
}

#[tokio::test]
async fn a_broker_that_says_nothing_or_goes_away_may_have_written_the_record() {
    let broker = Broker::start().await;
    let producer = Producer::new(config(broker.address()));
    broker.will([Deed::Hang]);
    let told = producer.send(&record("a"), Duration::from_secs(2)).await;
    assert!(matches!(told, Err(Error::TimedOut)), "{told:?}");
    broker.will([Deed::Close]);
    let told = producer.send(&record("b"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Interrupted)), "{told:?}");
    producer.send(&record("c"), PATIENCE).await.unwrap();
    assert_eq!(broker.connections(), 3, "each time a new connection");
}

#[tokio::test]
async fn another_broker_is_asked_when_one_is_not_there() {
    let gone = Broker::start().await.address();
    let broker = Broker::start().await;
    let mut config = config(gone.clone());
    let told = Producer::new(config.clone()).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Connect(_))), "{told:?}");
    config.servers.push(broker.address());
    Producer::new(config.clone()).send(&record("a"), PATIENCE).await.unwrap();
    config.servers = vec![ServerAddress { host: "no-such-host.invalid".to_owned(), port: 1 }];
    let told = Producer::new(config).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Lookup)), "{told:?}");
}

#[tokio::test]
async fn what_is_no_kafka_broker_is_told_so() {
    let broker = Broker::start().await;
    broker.greet(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let told = Producer::new(config(broker.address())).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Protocol(_))), "{told:?}");
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let broker = Broker::start().await;
    let large = Record { value: Bytes::from(vec![0; 2048]), ..record("a") };
    let told = Producer::new(config(broker.address())).send(&large, PATIENCE).await;
    assert!(matches!(told, Err(Error::TooLarge)), "{told:?}");
    assert_eq!(broker.connections(), 0);
}

#[tokio::test]
async fn each_mechanism_logs_in_over_tls_and_no_wrong_password_does() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let (broker, tls) = Broker::start_with_tls(Some(mechanism)).await;
        let mut config = config(broker.address());
        config.tls = Some(tls);
        config.login = login(mechanism, "pencil");
        Producer::new(config.clone()).send(&record("a"), PATIENCE).await.unwrap();
        assert_eq!(broker.seen().len(), 1, "{mechanism:?}");
        config.login = login(mechanism, "eraser");
        let told = Producer::new(config.clone()).send(&record("a"), PATIENCE).await;
        assert!(matches!(told, Err(Error::Authentication)), "{mechanism:?}: {told:?}");
        assert!(!format!("{config:?}").contains("eraser"));
    }
}

#[tokio::test]
async fn a_broker_that_cannot_prove_that_it_knows_the_password_is_not_spoken_to() {
    let (broker, tls) = Broker::start_with_tls(Some(Mechanism::ScramSha256)).await;
    broker.pretend();
    let mut config = config(broker.address());
    config.tls = Some(tls);
    config.login = login(Mechanism::ScramSha256, "pencil");
    let told = Producer::new(config).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Authentication)), "{told:?}");
    assert_eq!(broker.seen().len(), 0);
}

#[tokio::test]
async fn a_broker_without_a_trusted_certificate_gets_nothing() {
    let (broker, _) = Broker::start_with_tls(None).await;
    let (_, of_another) = Broker::start_with_tls(None).await;
    let mut config = config(broker.address());
    config.tls = Some(of_another);
    let told = Producer::new(config).send(&record("a"), PATIENCE).await;
    assert!(matches!(told, Err(Error::Tls(_))), "{told:?}");
}
