//! What operators rely on: isolation of endpoints, and attempts that can be looked at.

use std::time::Instant;

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, Version, patient, until, verifies,
};
use serde_json::Value;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

async fn active(base: &Client, subscribe: Subscribe) -> String {
    let id = base.subscribe(&subscribe).await;
    base.wait_for_status(&id, "active").await;
    id
}

#[tokio::test]
async fn a_host_that_hangs_delays_no_other_while_its_attempts_are_repeated() {
    verifies!(R5: "RQ-ER-06");
    let options = Options::default()
        .set("rest-hook.retry-schedule", vec!["1s"; 60])
        .set("rest-hook.concurrency-max", 4)
        .set("delivery.concurrency-per-host-max", 2)
        .set("delivery.host-failures-max", 2)
        .set("delivery.host-pause-min", "200ms");
    let server = Server::start_with(options).await;
    let (hanging, healthy) = (Receiver::start().await, Receiver::start().await);
    let base = server.base(Version::R5);
    for number in 0..10 {
        let path = format!("/{number}");
        active(&base, Subscribe::rest_hook(TOPIC, &hanging.endpoint(&path)).timeout(3)).await;
        hanging.always(&path, Answer::Never);
    }
    active(&base, Subscribe::rest_hook(TOPIC, &healthy.endpoint("/"))).await;
    base.save(&patient("p")).await;
    assert_eq!(healthy.event(Version::R5, "/").await.numbers(), [1]);
    until("attempts hang, fail, and are repeated", || async {
        let sent: usize = (0..10).map(|n| hanging.all(&format!("/{n}")).len()).sum();
        (sent >= 14).then_some(())
    })
    .await;
    for number in 2..=21 {
        let saved = Instant::now();
        base.save(&patient("p")).await;
        assert_eq!(healthy.event(Version::R5, "/").await.numbers(), [number]);
        assert!(saved.elapsed().as_millis() < 1_500, "it waited for the others");
    }
    // All of them get everything once the host is well again.
    for number in 0..10 {
        hanging.always(&format!("/{number}"), Answer::Status(200));
    }
    for number in 0..10 {
        while hanging.event(Version::R5, &format!("/{number}")).await.count < 21 {}
    }
}

#[tokio::test]
async fn attempts_can_be_looked_at_by_admins() {
    let options = Options::default().client("boss", "boss-token-of-the-tests", &["admin"]).client(
        "ward",
        "ward-token-of-the-tests",
        &["read", "write", "subscribe", "topics"],
    );
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let figures = format!("{}/admin/delivery", server.url());
    for base in server.bases() {
        let ward = base.with_bearer("ward-token-of-the-tests");
        let path = format!("/{}", base.version);
        receiver.script(&path, [200, 503, 200].map(Answer::Status));
        let endpoint = receiver.endpoint(&format!("{path}?q=marker-query"));
        let asked = Subscribe::rest_hook(TOPIC, &endpoint).header("X-Key", "marker-header");
        let id = active(&ward, asked).await;
        ward.save(&patient("p")).await;
        while receiver.all(&path).len() < 3 {
            receiver.next(&path).await;
        }
        let boss = base.with_bearer("boss-token-of-the-tests");
        let address = format!("{}/admin/subscriptions/{id}/attempts", server.url());
        let found = until("three attempts are recorded", || async {
            let found = boss.get(&address).await.expect(200).json();
            let found = found["subscriptions"][0].clone();
            (found["attempts"].as_array().is_some_and(|all| all.len() == 3)).then_some(found)
        })
        .await;
        assert_eq!(found["status"], "active");
        assert_eq!(found["fhirVersion"], base.version.mime());
        let told: Vec<_> = found["attempts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| {
                let kind = one["notificationType"].as_str().expect("a kind").to_owned();
                (kind, one["outcome"].clone(), one["httpStatus"].clone(), one["firstEvent"].clone())
            })
            .collect();
        let event = "event-notification".to_owned();
        assert_eq!(
            told,
            [
                ("handshake".to_owned(), "success".into(), 200.into(), Value::Null),
                (event.clone(), "error-response".into(), 503.into(), 1.into()),
                (event, "success".into(), 200.into(), 1.into()),
            ]
        );
        assert!(!found.to_string().contains("marker"), "{found}");
        for address in [&address, &figures] {
            assert_eq!(ward.get(address).await.status, 403);
            assert_eq!(base.get(address).await.status, 401);
        }
    }
    let boss = server.base(Version::R4).with_bearer("boss-token-of-the-tests");
    let nobody = format!("{}/admin/subscriptions/nobody/attempts", server.url());
    assert_eq!(boss.get(&nobody).await.status, 404);
    let figures = boss.get(&figures).await.expect(200).json();
    assert_eq!(figures["attempts"]["success"], 6);
    assert_eq!(figures["attempts"]["error-response"], 3);
    assert_eq!(figures["subscriptionsNotIndexed"], 3, "they have no filters");
    let active = &figures["statuses"][0];
    assert_eq!((&active["status"], &active["subscriptions"]), (&"active".into(), &3.into()));
    assert_eq!((&active["lag"], &figures["oldestUndeliveredSeconds"]), (&0.into(), &Value::Null));
}
