//! The rest-hook channel: what is sent, and what each answer means.

use std::time::Instant;

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, Version, patient, until, verifies,
};
use futures_util::future::join_all;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// A receiver's path of one base.
fn path(base: &Client, name: &str) -> String {
    format!("/{}/{name}", base.version)
}

/// Subscribes to a path and waits until the subscription is active.
async fn active(base: &Client, subscribe: Subscribe) -> String {
    let id = base.subscribe(&subscribe).await;
    base.wait_for_status(&id, "active").await;
    id
}

#[tokio::test]
async fn a_notification_is_a_post_to_the_endpoint_with_the_type_and_headers_asked_for() {
    verifies!("RQ-CH-20", "RQ-CH-21", "RQ-CH-22", "RQ-CH-23", "RQ-CH-09");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let v = base.version;
        let own = format!("application/fhir+json; fhirVersion={}", v.mime());
        for (name, mime_type) in
            [("plain", "application/fhir+json"), ("short", "application/json"), ("own", &own)]
        {
            let path = path(&base, name);
            let endpoint = receiver.endpoint(&format!("{path}?a=b%20c&d"));
            let subscribe = Subscribe::rest_hook(TOPIC, &endpoint)
                .mime_type(mime_type)
                .header("Authorization", "Bearer s3cr3t")
                .header("X-Twice", "one")
                .header("X-Twice", "two: three");
            active(&base, subscribe).await;
            base.save(&patient("p")).await;
            for kind in ["handshake", "event-notification"] {
                let sent = receiver.next(&path).await;
                assert_eq!(sent.notification(v).kind, kind);
                assert_eq!(sent.method, "POST");
                assert_eq!(sent.target, format!("{path}?a=b%20c&d"));
                let content_type = sent.header("content-type");
                assert_eq!(content_type.len(), 1);
                assert!(content_type[0].starts_with(mime_type), "{content_type:?}");
                assert_eq!(sent.header("authorization"), ["Bearer s3cr3t"]);
                assert_eq!(sent.header("x-twice"), ["one", "two: three"]);
            }
        }
    }
}

#[tokio::test]
async fn any_2xx_is_success() {
    verifies!("RQ-CH-26", "RQ-SB-21");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        for status in [200, 201, 202, 204, 299] {
            let path = path(&base, &status.to_string());
            receiver.always(&path, Answer::Status(status));
            let id = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
            base.save(&patient("p")).await;
            assert_eq!(receiver.event(base.version, &path).await.numbers(), [1]);
            base.save(&patient("p")).await;
            assert_eq!(receiver.event(base.version, &path).await.numbers(), [2]);
            assert_eq!(base.status(&id).await.status, "active");
        }
    }
}

#[tokio::test]
async fn a_handshake_that_fails_in_any_way_ends_in_error_with_the_reason() {
    verifies!("RQ-SB-22", "RQ-CH-26", "RQ-ER-05", "RQ-ER-06", "RQ-SB-06");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let closed = {
        // A port that was free a moment ago, so that nobody listens there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address")
    };
    let work = server.bases().map(|base| {
        let receiver = &receiver;
        async move {
            let target = receiver.endpoint(&path(&base, "target"));
            let mut subscriptions = Vec::new();
            for (name, answer, code, text) in [
                ("302", Answer::Redirect(target), "error-response", "302"),
                ("400", Answer::Status(400), "error-response", "400"),
                ("404", Answer::Status(404), "error-response", "404"),
                ("500", Answer::Status(500), "error-response", "500"),
                ("hang", Answer::Never, "no-response", ""),
            ] {
                let path = path(&base, name);
                receiver.always(&path, answer);
                let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).timeout(1);
                subscriptions.push((name, base.subscribe(&asked).await, code, text));
            }
            let refused = Subscribe::rest_hook(TOPIC, &format!("http://{closed}/"));
            subscriptions.push(("closed", base.subscribe(&refused).await, "no-response", ""));
            let unknown = Subscribe::rest_hook(TOPIC, "http://nobody.invalid/");
            let unknown = base.subscribe(&unknown).await;
            subscriptions.push(("dns", unknown, "dns-resolution-error", ""));
            for (name, id, code, text) in subscriptions {
                let status = base.wait_for_status(&id, "error").await;
                assert_eq!(status.errors.len(), 1, "{name}: {status:?}");
                let error = &status.errors[0];
                let coding = &error["coding"][0];
                let system = "http://terminology.hl7.org/CodeSystem/subscription-error";
                assert_eq!(coding["system"], system, "{name}: {error}");
                assert_eq!(coding["code"], code, "{name}: {error}");
                assert!(error.to_string().contains(text), "{name}: {error}");
                let read = base.read(&format!("Subscription/{id}")).await;
                assert_eq!(read["status"], "error", "{name}");
                assert_eq!(read["error"].is_string(), base.version.is_backport(), "{name}: {read}");
            }
            assert!(receiver.all(&path(&base, "target")).is_empty(), "no redirect is followed");
        }
    });
    join_all(work).await;
}

#[tokio::test]
async fn the_handshake_comes_after_the_answer_and_is_tried_again() {
    verifies!("RQ-CH-27", "RQ-CH-25", "RQ-CH-10");
    let options = Options::default()
        .set("rest-hook.handshake-delay", "1s")
        .set("rest-hook.handshake-retry-schedule", vec!["100ms", "100ms", "100ms", "100ms"]);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let work = server.bases().map(|base| {
        let receiver = &receiver;
        async move {
            let path = path(&base, "late");
            let refusals = [404, 500, 503].map(Answer::Status);
            receiver.script(&path, refusals);
            let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
            let answered = Instant::now();
            let first = receiver.next(&path).await;
            let delay = first.at.saturating_duration_since(answered);
            assert!(delay.as_millis() > 500, "the handshake came after {delay:?}");
            for _ in 0..3 {
                let next = receiver.notification(base.version, &path).await;
                assert_eq!((next.kind.as_str(), next.status.as_str()), ("handshake", "requested"));
                assert!(next.events.is_empty());
            }
            base.wait_for_status(&id, "active").await;
        }
    });
    join_all(work).await;
}

#[tokio::test]
async fn a_failed_notification_is_sent_again_with_the_same_events() {
    verifies!("RQ-CH-04", "RQ-ER-15", "RQ-ER-04", "RQ-CH-03", "RQ-NB-40");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = path(&base, "flaky");
        receiver.script(&path, [200, 503, 500, 200].map(Answer::Status));
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).content("full-resource");
        let id = active(&base, asked).await;
        base.save(&patient("p")).await;
        let tries = [
            receiver.event(base.version, &path).await,
            receiver.event(base.version, &path).await,
            receiver.event(base.version, &path).await,
        ];
        for again in &tries[1..] {
            assert_eq!(again.events, tries[0].events);
            assert_eq!(again.count, tries[0].count);
            let (first, again) = (&tries[0].entries[0], &again.entries[0]);
            assert_eq!(again.resource, first.resource);
        }
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, &path).await.numbers(), [2]);
        let status = base.status(&id).await;
        assert_eq!((status.status.as_str(), status.count), ("active", 2));
        assert!(status.errors.is_empty(), "{status:?}");
    }
}

#[tokio::test]
async fn events_that_come_while_one_is_retried_do_not_overtake_it() {
    verifies!("RQ-CH-02", "RQ-CH-03");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = path(&base, "order");
        receiver.script(&path, [200, 500].map(Answer::Status));
        active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).max_count(1)).await;
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, &path).await.numbers(), [1]);
        base.save(&patient("p")).await;
        for wanted in [1, 2] {
            assert_eq!(receiver.event(base.version, &path).await.numbers(), [wanted]);
        }
    }
}

#[tokio::test]
async fn a_subscription_goes_to_error_when_the_retries_are_used_up_and_stays_there() {
    verifies!("RQ-ER-01", "RQ-ER-03", "RQ-ER-05", "RQ-NB-44", "RQ-CH-26");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let v = base.version;
        let (bad, good) = (path(&base, "bad"), path(&base, "good"));
        receiver.script(&bad, [Answer::Status(200)]);
        let id = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&bad))).await;
        let other = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&good))).await;
        receiver.always(&bad, Answer::Status(500));
        base.save(&patient("p")).await;
        let status = base.wait_for_status(&id, "error").await;
        assert!(status.errors[0].to_string().contains("500"), "{status:?}");
        let read = base.read(&format!("Subscription/{id}")).await;
        assert_eq!(read["status"], "error");
        assert_eq!(read["error"].is_string(), v.is_backport(), "{read}");
        // Counted on, though not sent, also when the endpoint is well again.
        receiver.always(&bad, Answer::Status(200));
        let tries = receiver.all(&bad).len();
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        while receiver.event(v, &good).await.count < 3 {}
        let status = base.status(&id).await;
        assert_eq!((status.status.as_str(), status.count), ("error", 3));
        assert_eq!(receiver.all(&bad).len(), tries, "nothing is sent in error");
        assert_eq!(base.status(&other).await.status, "active");
        assert_eq!(base.events(&id, "").await.numbers(), [1, 2, 3]);
    }
}

#[tokio::test]
async fn gone_means_off() {
    verifies!("RQ-CH-26");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = path(&base, "gone");
        receiver.script(&path, [200, 410].map(Answer::Status));
        let id = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        base.save(&patient("p")).await;
        let status = base.wait_for_status(&id, "off").await;
        assert!(status.errors[0].to_string().contains("410"), "{status:?}");
        base.save(&patient("p")).await;
        assert_eq!(base.count(&id).await, 1);
        assert_eq!(receiver.all(&path).len(), 2, "a handshake and one attempt");
    }
}

#[tokio::test]
async fn what_an_endpoint_rejects_is_repeated_a_few_times_only() {
    verifies!("RQ-CH-04", "RQ-ER-05");
    let options = Options::default()
        .set("rest-hook.retry-schedule", vec!["50ms"; 60])
        .set("delivery.rejection-retries-max", 2);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = path(&base, "rejects");
        receiver.script(&path, [Answer::Status(200)]);
        let id = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        receiver.always(&path, Answer::Status(404));
        base.save(&patient("p")).await;
        let status = base.wait_for_status(&id, "error").await;
        assert!(status.errors[0].to_string().contains("404"), "{status:?}");
        assert_eq!(receiver.all(&path).len(), 4, "a handshake and three attempts");
    }
}

#[tokio::test]
async fn an_error_that_lasts_switches_off_also_over_a_restart() {
    verifies!("RQ-ER-04", "RQ-ER-05", "RQ-ER-11");
    let options = Options::default().set("delivery.off-after", "3s");
    let mut server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let path = path(&base, "lost");
        receiver.script(&path, [Answer::Status(200)]);
        let id = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        receiver.always(&path, Answer::Status(500));
        base.save(&patient("p")).await;
        base.wait_for_status(&id, "error").await;
        ids.push(id);
    }
    server.restart().await;
    for (base, id) in server.bases().iter().zip(&ids) {
        let status = base.wait_for_status(id, "off").await;
        assert!(status.errors[0].to_string().contains("no notification"), "{status:?}");
        let read = base.read(&format!("Subscription/{id}")).await;
        assert_eq!(read["status"], "off");
        assert_eq!(read["error"].is_string(), base.version.is_backport(), "{read}");
        base.save(&patient("p")).await;
        assert_eq!(base.count(id).await, 1, "not evaluated");
    }
}

#[tokio::test]
async fn events_of_a_bulk_load_share_notifications_where_a_window_is_configured() {
    verifies!("RQ-CH-02");
    let options = Options::default().set("delivery.coalesce-window", "1s");
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = path(&base, "bulk");
        active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).max_count(5)).await;
        for _ in 0..5 {
            base.save(&patient("p")).await;
        }
        let mut numbers = Vec::new();
        while numbers.len() < 5 {
            numbers.extend(receiver.event(base.version, &path).await.numbers());
        }
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert!(receiver.all(&path).len() < 6, "a handshake and fewer notifications than events");
    }
}

#[tokio::test]
async fn a_timeout_bounds_an_attempt() {
    verifies!("RQ-SB-06");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let work = server.bases().map(|base| {
        let receiver = &receiver;
        async move {
            let path = path(&base, "slow");
            receiver.script(&path, [Answer::Status(200), Answer::Never]);
            let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).timeout(1);
            let id = active(&base, asked).await;
            base.save(&patient("p")).await;
            assert_eq!(receiver.notification(base.version, &path).await.kind, "handshake");
            let first = receiver.next(&path).await;
            let second = receiver.next(&path).await;
            let pause = second.at - first.at;
            assert!((900..10_000).contains(&pause.as_millis()), "{pause:?}");
            assert_eq!(second.notification(base.version).numbers(), [1]);
            assert_eq!(base.status(&id).await.status, "active");
        }
    });
    join_all(work).await;
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_gets_it() {
    verifies!("RQ-CH-04");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let work = server.bases().map(|base| {
        let receiver = &receiver;
        async move {
            let path = path(&base, "busy");
            receiver.script(
                &path,
                [Answer::Status(200), Answer::Busy { status: 503, retry_after: "2".to_owned() }],
            );
            active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
            base.save(&patient("p")).await;
            assert_eq!(receiver.notification(base.version, &path).await.kind, "handshake");
            let first = receiver.next(&path).await;
            let second = receiver.next(&path).await;
            assert!((second.at - first.at).as_millis() >= 1900, "{:?}", second.at - first.at);
        }
    });
    join_all(work).await;
}

#[tokio::test]
async fn events_before_activation_are_counted_and_sent_after_it() {
    verifies!("RQ-ER-12", "RQ-CH-25");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = path(&base, "early");
        let gate = std::sync::Arc::new(tokio::sync::Notify::new());
        receiver.script(&path, [Answer::Held(gate.clone())]);
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        assert_eq!(receiver.notification(base.version, &path).await.kind, "handshake");
        base.save(&patient("p")).await;
        let status = base.status(&id).await;
        assert_eq!((status.status.as_str(), status.count), ("requested", 1));
        assert_eq!(receiver.all(&path).len(), 1, "nothing but the handshake");
        gate.notify_one();
        let event = receiver.event(base.version, &path).await;
        assert_eq!((event.numbers(), event.status.as_str()), (vec![1], "active"));
    }
}

#[tokio::test]
async fn a_dead_endpoint_delays_no_other() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4);
    receiver.always("/dead", Answer::Never);
    let mut dead = Vec::new();
    for _ in 0..20 {
        dead.push(base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint("/dead"))).await);
    }
    until("the dead endpoint holds the handshakes", || async {
        (receiver.all("/dead").len() == 20).then_some(())
    })
    .await;
    let alive = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint("/alive"))).await;
    for number in 1..=5 {
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(Version::R4, "/alive").await.numbers(), [number]);
    }
    assert_eq!(base.status(&alive).await.status, "active");
    assert_eq!(base.count(&dead[0]).await, 5);
}

#[tokio::test]
async fn a_deleted_subscription_is_told_nothing_more() {
    verifies!("RQ-ER-13");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let (gone, kept) = (path(&base, "deleted"), path(&base, "kept"));
        let id = active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&gone))).await;
        active(&base, Subscribe::rest_hook(TOPIC, &receiver.endpoint(&kept))).await;
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, &gone).await.numbers(), [1]);
        base.remove(&format!("Subscription/{id}")).await;
        let before = receiver.all(&gone).len();
        for _ in 0..3 {
            base.save(&patient("p")).await;
        }
        while receiver.event(base.version, &kept).await.count < 4 {}
        assert_eq!(receiver.all(&gone).len(), before);
    }
}
