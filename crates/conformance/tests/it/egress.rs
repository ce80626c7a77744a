//! Outbound connections of the binary: certificate files read again on SIGHUP, and the proxy.

use std::fs;
use std::path::Path;

use cresset_conformance::{
    Client, KafkaCluster, NatsServer, Options, Receiver, Relay, Server, Subscribe, TlsFront,
    Version, patient, until, verifies,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// Waits until the log says this so many times.
async fn logged(server: &Server, text: &str, times: usize) {
    until(text, || std::future::ready((server.log().matches(text).count() >= times).then_some(())))
        .await;
}

#[tokio::test]
async fn sighup_has_certificate_files_read_again_and_bad_ones_change_nothing() {
    verifies!(R5: "RQ-SS-08");
    let receiver = Receiver::start().await;
    let (front, other) =
        (TlsFront::start(receiver.address()).await, TlsFront::start(receiver.address()).await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    fs::write(&file, other.certificate()).expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    let options = Options::default().set("rest-hook.extra-ca-files", vec![path]);
    let server = Server::start_with(options).await;
    let base = server.base(Version::R5);
    let untrusted = base.subscribe(&Subscribe::rest_hook(TOPIC, &front.endpoint("/hook"))).await;
    base.wait_for_status(&untrusted, "error").await;
    fs::write(&file, front.certificate()).expect("a file");
    server.hang_up();
    logged(&server, "certificate files were read again", 1).await;
    let trusted = base.subscribe(&Subscribe::rest_hook(TOPIC, &front.endpoint("/hook"))).await;
    base.wait_for_status(&trusted, "active").await;
    fs::write(&file, "nonsense").expect("a file");
    server.hang_up();
    logged(&server, "certificate files cannot be used", 1).await;
    base.save(&patient("p")).await;
    assert_eq!(receiver.event(base.version, "/hook").await.numbers(), [1]);
}

/// A NATS server that speaks TLS, and its certificate, which is its own authority.
async fn nats_with_tls(folder: &Path) -> (NatsServer, String) {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a key");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (certificate, key) =
        (file("nats.pem", &cert.pem()), file("nats.key", &signing_key.serialize_pem()));
    let config = format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}\n");
    let mut nats = NatsServer::launch_with(&config).await;
    let reader = async_nats::ConnectOptions::new()
        .add_root_certificates(certificate.into())
        .require_tls(true);
    let url = format!("nats://{}", nats.address());
    nats.connected(reader.connect(url).await.expect("a connection"));
    nats.make_stream(&["cresset.>"], &[]).await;
    (nats, cert.pem())
}

/// Why a new subscription becomes an error.
async fn failure(base: &Client, asked: Subscribe) -> String {
    let id = base.subscribe(&asked).await;
    base.wait_for_status(&id, "error").await.errors[0].to_string()
}

#[tokio::test]
async fn sighup_has_those_for_mails_and_brokers_read_again_too() {
    verifies!(R5: "RQ-SS-08");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut nats, nats_certificate) = nats_with_tls(folder.path()).await;
    let relay = Relay::start("tls").await;
    // The cluster itself speaks no TLS, so that more than its certificate is never found right.
    let kafka = KafkaCluster::start("cresset").await;
    let kafka = TlsFront::start(kafka.address()).await;
    let stranger = TlsFront::start(nats.address()).await;
    let file = folder.path().join("ca.pem");
    fs::write(&file, stranger.certificate()).expect("a file");
    let path = vec![file.display().to_string()];
    let options = relay
        .options()
        .set("email.extra-ca-files", path.clone())
        .set("nats.servers", vec![nats.address().to_string()])
        .set("nats.extra-ca-files", path.clone())
        .set("nats.connect-timeout", "500ms")
        .set("kafka.servers", vec![kafka.address().to_string()])
        .set("kafka.extra-ca-files", path)
        .set("kafka.connect-timeout", "500ms")
        .set("delivery.host-pause-min", "100ms")
        .set("delivery.host-pause-max", "200ms");
    let server = Server::start_with(options).await;
    let base = server.base(Version::R5);
    let untrusted = "certificate";
    let mailed = failure(&base, Subscribe::email(TOPIC, "before@ward.test")).await;
    assert!(mailed.contains(untrusted), "{mailed}");
    let recorded = failure(&base, Subscribe::kafka(TOPIC, None)).await;
    assert!(recorded.contains(untrusted), "{recorded}");
    failure(&base, Subscribe::nats(TOPIC, None)).await;
    let all = [&relay.authority(), &nats_certificate, kafka.certificate()].map(str::to_owned);
    fs::write(&file, all.concat()).expect("a file");
    server.hang_up();
    logged(&server, "certificate files were read again", 4).await;
    base.subscribe(&Subscribe::email(TOPIC, "after@ward.test")).await;
    relay.next("after@ward.test").await;
    let recorded = failure(&base, Subscribe::kafka(TOPIC, None)).await;
    assert!(!recorded.contains(untrusted), "{recorded}");
    let published = base.subscribe(&Subscribe::nats(TOPIC, None)).await;
    base.wait_for_status(&published, "active").await;
    assert!(nats.next().await.subject.ends_with(&published), "the handshake");
    fs::write(&file, "nonsense").expect("a file");
    server.hang_up();
    logged(&server, "certificate files cannot be used", 3).await;
    base.save(&patient("p")).await;
    assert_eq!(nats.next().await.header("fhir-event-numbers"), "1-1");
}

#[tokio::test]
async fn a_proxy_makes_all_connections_and_looks_names_up() {
    verifies!("RQ-SS-08");
    // It takes requests whole, as a proxy does, and answers them itself.
    let proxy = Receiver::start().await;
    let options = Options::default().set("rest-hook.proxy", proxy.endpoint(""));
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let (path, endpoint) = (format!("/{}", base.version), "http://receiver.invalid");
        let asked = Subscribe::rest_hook(TOPIC, &format!("{endpoint}{path}"));
        let id = base.subscribe(&asked).await;
        base.wait_for_status(&id, "active").await;
        base.save(&patient("p")).await;
        assert_eq!(proxy.event(base.version, &path).await.numbers(), [1]);
        assert_eq!(proxy.all(&path)[0].header("host"), ["receiver.invalid"]);
        base.remove(&format!("Subscription/{id}")).await;
    }
}
