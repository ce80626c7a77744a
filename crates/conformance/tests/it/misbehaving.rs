//! Receivers that misbehave in every way there is: what each costs, and whom.

use std::time::{Duration, Instant};

use cresset_conformance::{
    Answer, Client, Misbehaviour, Options, Receiver, Rogue, Server, Subscribe, Version, patient,
    until, verifies,
};
use jiff::Timestamp;
use serde_json::Value;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

async fn active(base: &Client, subscribe: Subscribe) -> String {
    let id = base.subscribe(&subscribe).await;
    base.wait_for_status(&id, "active").await;
    id
}

/// The attempts of a subscription that tell of events, once there are so many.
async fn attempts(server: &Server, base: &Client, id: &str, count: usize) -> Vec<Value> {
    let address = format!("{}/admin/subscriptions/{id}/attempts", server.url());
    until("the attempts are recorded", || async {
        let told = base.get(&address).await.expect(200).json();
        let all = told["subscriptions"][0]["attempts"].as_array().expect("attempts").clone();
        let events: Vec<_> =
            all.into_iter().filter(|one| one["notificationType"] == "event-notification").collect();
        (events.len() >= count).then_some(events)
    })
    .await
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure_that_is_repeated_and_then_an_error() {
    verifies!(R4B: "RQ-CH-26", "RQ-ER-05", "RQ-ER-06", "RQ-SB-06");
    use Misbehaviour::{Close, EndlessHead, Garbage, Reset, SlowHead};
    let server = Server::start().await;
    let base = server.base(Version::R4B);
    let healthy = Receiver::start().await;
    active(&base, Subscribe::rest_hook(TOPIC, &healthy.endpoint("/"))).await;
    let mut all = Vec::new();
    for misbehaviour in [Close, EndlessHead, Garbage, Reset, SlowHead] {
        let rogue = Rogue::start(misbehaviour).await;
        let asked = Subscribe::rest_hook(TOPIC, &rogue.endpoint("http")).timeout(2);
        let id = active(&base, asked).await;
        all.push((misbehaviour, id, rogue));
    }
    base.save(&patient("p")).await;
    assert_eq!(healthy.event(Version::R4B, "/").await.numbers(), [1]);
    for (misbehaviour, id, _rogue) in all {
        let status = base.wait_for_status(&id, "error").await;
        let coding = &status.errors[0]["coding"][0];
        assert_eq!(coding["code"], "no-response", "{misbehaviour:?}: {status:?}");
        for attempt in attempts(&server, &base, &id, 3).await {
            assert_eq!(attempt["outcome"], "no-response", "{misbehaviour:?}: {attempt}");
            assert_eq!(attempt["httpStatus"], Value::Null, "{misbehaviour:?}: {attempt}");
        }
    }
}

#[tokio::test]
async fn the_status_of_an_answer_counts_whatever_its_body_does() {
    verifies!(R5: "RQ-CH-26");
    let server = Server::start().await;
    let base = server.base(Version::R5);
    for misbehaviour in [Misbehaviour::EndlessBody, Misbehaviour::SlowBody] {
        let rogue = Rogue::start(misbehaviour).await;
        let id = active(&base, Subscribe::rest_hook(TOPIC, &rogue.endpoint("http"))).await;
        for _ in 0..2 {
            base.save(&patient("p")).await;
        }
        for attempt in attempts(&server, &base, &id, 1).await {
            assert_eq!(attempt["outcome"], "success", "{misbehaviour:?}: {attempt}");
            let response = attempt["response"].as_str().expect("what came of it");
            assert!(response.len() <= 1024, "{misbehaviour:?}: {response}");
        }
        assert_eq!(base.status(&id).await.status, "active", "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn an_endpoint_whose_tls_is_none_gets_nothing() {
    verifies!(R4: "RQ-CH-28", "RQ-SB-22");
    let server = Server::start().await;
    let base = server.base(Version::R4);
    for misbehaviour in [Misbehaviour::Garbage, Misbehaviour::Reset] {
        let rogue = Rogue::start(misbehaviour).await;
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &rogue.endpoint("https"))).await;
        let status = base.wait_for_status(&id, "error").await;
        assert_eq!(status.errors[0]["coding"][0]["code"], "no-response", "{status:?}");
    }
}

#[tokio::test]
async fn time_that_an_overloaded_endpoint_asks_for_is_kept_to_in_every_form() {
    verifies!(R4: "RQ-ER-06");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4);
    for status in [429, 503] {
        for as_date in [false, true] {
            let path = format!("/{status}-{as_date}");
            active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
            let after = match as_date {
                // A date has whole seconds, so that this is one to two seconds from now.
                true => (Timestamp::now() + Duration::from_secs(2))
                    .strftime("%a, %d %b %Y %H:%M:%S GMT")
                    .to_string(),
                false => "1".to_owned(),
            };
            receiver.script(&path, [Answer::Busy { status, retry_after: after }]);
            base.save(&patient("p")).await;
            let first = receiver.event(base.version, &path).await;
            let refused = Instant::now();
            let second = receiver.event(base.version, &path).await;
            assert_eq!(first.events, second.events);
            let waited = refused.elapsed().as_millis();
            assert!(waited > 700, "{status} {as_date}: it came after {waited} ms");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_restarted_over_and_over_does_not_begin_its_retries_anew() {
    verifies!(R5: "RQ-ER-06", "RQ-ER-15");
    let options = Options::default()
        .set("rest-hook.retry-schedule", vec!["300ms"; 3])
        .set("rest-hook.handshake-retry-schedule", vec!["300ms"; 3]);
    let mut server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R5);
    let hook = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint("/hook"))).await;
    receiver.always("/hook", Answer::Status(500));
    receiver.always("/new", Answer::Status(500));
    base.save(&patient("p")).await;
    let new = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint("/new"))).await;
    let told = |path| receiver.all(path).len();
    // One attempt with events, and one handshake, in each life at least; four of each are allowed.
    for life in 1..=4 {
        until("another attempt of each", || {
            std::future::ready((told("/hook") > life && told("/new") >= life).then_some(()))
        })
        .await;
        if life < 4 {
            server.terminate();
            assert_eq!(server.ended().await.code(), Some(0));
            server.start_again().await;
        }
    }
    let base = server.base(Version::R5);
    for id in [&hook, &new] {
        base.wait_for_status(id, "error").await;
    }
    assert_eq!((told("/hook"), told("/new")), (1 + 4, 4));
    let batches: Vec<_> = receiver.all("/hook")[1..]
        .iter()
        .map(|sent| sent.notification(Version::R5).numbers())
        .collect();
    assert_eq!(batches, vec![vec![1]; 4]);
}

#[tokio::test]
async fn a_subscription_bounds_for_how_long_its_failures_are_repeated() {
    verifies!("RQ-ER-06");
    const URL: &str = "https://cresset.dev/fhir/StructureDefinition/subscription-retry-period";
    let options = Options::default().set("rest-hook.retry-schedule", vec!["200ms"; 60]);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path));
        let mut asked = asked.json(base.version);
        asked["extension"] = serde_json::json!([{ "url": URL, "valueUnsignedInt": -1 }]);
        base.post("Subscription", &asked).await.refused_at(422, "Subscription.extension[0]");
        asked["extension"][0]["valueUnsignedInt"] = 1.into();
        let id = base.create(&asked).await["id"].as_str().expect("an id").to_owned();
        base.wait_for_status(&id, "active").await;
        assert_eq!(base.read(&format!("Subscription/{id}")).await["extension"][0]["url"], URL);
        receiver.always(&path, Answer::Status(503));
        base.save(&patient("p")).await;
        base.wait_for_status(&id, "error").await;
        let tried = receiver.all(&path).len() - 1;
        assert!((2..=7).contains(&tried), "{tried} attempts in a second");
    }
}

#[tokio::test]
async fn whole_resources_go_in_the_clear_to_ones_own_network_only() {
    verifies!("RQ-SS-05", "RQ-SS-06", "RQ-CH-28");
    let server = Server::start().await;
    for base in server.bases() {
        let cases = [
            ("http://example.org", "full-resource", 422),
            ("http://receiver.example.com:8000", "full-resource", 422),
            ("http://1.1.1.1", "full-resource", 422),
            ("http://127.0.0.1:8000", "full-resource", 201),
            ("http://localhost:8000", "full-resource", 201),
            ("https://example.org", "full-resource", 201),
            ("http://example.org", "id-only", 201),
        ];
        for (number, (host, content, status)) in cases.into_iter().enumerate() {
            let asked = Subscribe::rest_hook(TOPIC, &format!("{host}/hook")).content(content);
            let id = format!("hook-{number}");
            let asked = asked.id(&id).status("off").json(base.version);
            let reply = base.put(&format!("Subscription/{id}"), &asked).await;
            assert_eq!(reply.status, status, "{host} {content}: {reply}");
            if status == 422 {
                let issues = reply.refused(422).issues;
                assert!(issues.iter().any(|issue| issue.code == "S0018"), "{host}: {reply}");
            }
        }
    }
}

#[tokio::test]
async fn whole_resources_do_not_go_in_the_clear_also_after_a_change_of_policy() {
    verifies!(R5: "RQ-SS-06", "RQ-CH-28");
    let mut server = Server::start().await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R5);
    let mut ids = Vec::new();
    for content in ["full-resource", "id-only"] {
        let endpoint = receiver.endpoint(&format!("/{content}"));
        ids.push(active(&base, Subscribe::rest_hook(TOPIC, &endpoint).content(content)).await);
    }
    // The addresses stay allowed, by name; what is gone is the leave for trying things out.
    let strict = server.options().clone().without_local_endpoints();
    let strict = strict.set("rest-hook.https-only", false);
    *server.options() = strict.set("rest-hook.allow-addresses", vec!["127.0.0.0/8"]);
    server.restart().await;
    let base = server.base(Version::R5);
    base.save(&patient("p")).await;
    assert_eq!(receiver.event(base.version, "/id-only").await.numbers(), [1]);
    let status = base.wait_for_status(&ids[0], "error").await;
    assert!(status.errors[0].to_string().contains("https only"), "{status:?}");
    assert_eq!(receiver.all("/full-resource").len(), 1, "the handshake of before");
    let attempt = &attempts(&server, &base, &ids[0], 1).await[0];
    assert_eq!(attempt["outcome"], "refused", "{attempt}");
}
