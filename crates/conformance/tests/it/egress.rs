//! Outbound connections of the binary: certificate files read again on SIGHUP, and the proxy.

use std::fs;

use cresset_conformance::{
    Options, Receiver, Server, Subscribe, TlsFront, Version, patient, until, verifies,
};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// Waits until the log says this so many times.
async fn logged(server: &Server, text: &str, times: usize) {
    until(text, || std::future::ready((server.log().matches(text).count() >= times).then_some(())))
        .await;
}

#[tokio::test]
async fn sighup_has_certificate_files_read_again_and_bad_ones_change_nothing() {
    verifies!("RQ-SS-08");
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
