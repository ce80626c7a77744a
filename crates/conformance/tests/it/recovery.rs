//! Recovery from errors, as the guide's diagrams show it.

use std::collections::BTreeSet;

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, Version, patient, verifies,
};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// A subscription that was sent one event, then went to error with the second.
async fn broken(base: &Client, receiver: &Receiver, path: &str) -> (String, Subscribe) {
    receiver.script(path, [Answer::Status(200), Answer::Status(200)]);
    let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(path));
    let id = base.subscribe(&asked).await;
    base.wait_for_status(&id, "active").await;
    base.save(&patient("p")).await;
    assert_eq!(receiver.event(base.version, path).await.numbers(), [1]);
    receiver.always(path, Answer::Status(500));
    base.save(&patient("p")).await;
    base.wait_for_status(&id, "error").await;
    base.save(&patient("p")).await;
    receiver.always(path, Answer::Status(200));
    (id.clone(), asked.id(&id))
}

/// The next event at a path with a higher number than this.
async fn next_above(receiver: &Receiver, base: &Client, path: &str, number: u64) -> Vec<u64> {
    loop {
        let numbers = receiver.event(base.version, path).await.numbers();
        if numbers.last() > Some(&number) {
            return numbers;
        }
    }
}

#[tokio::test]
async fn a_client_asks_for_what_it_missed_and_takes_up_again() {
    verifies!(
        "RQ-ER-07", "RQ-ER-08", "RQ-ER-09", "RQ-ER-10", "RQ-SB-24", "RQ-NB-43", "RQ-NB-44",
        "RQ-ER-01",
    );
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        for status in ["requested", "active"] {
            let path = format!("/{}/{status}", base.version);
            let (id, asked) = broken(&base, &receiver, &path).await;
            let found = base.status(&id).await;
            assert_eq!((found.status.as_str(), found.count), ("error", 3));
            let missed = base.events(&id, "eventsSinceNumber=2").await;
            assert_eq!(missed.numbers(), [2, 3]);

            base.save(&asked.status(status).json(base.version)).await;
            let found = base.wait_for_status(&id, "active").await;
            assert!(found.errors.is_empty(), "cleared: {found:?}");
            let read = base.read(&format!("Subscription/{id}")).await;
            assert!(read.get("error").is_none(), "{read}");
            base.save(&patient("p")).await;
            assert_eq!(next_above(&receiver, &base, &path, 2).await, [4], "only what is new");
            let last = receiver.all(&path);
            let kinds: Vec<String> = last[last.len() - 2..]
                .iter()
                .map(|sent| sent.notification(base.version).kind)
                .collect();
            assert_eq!(kinds, ["handshake", "event-notification"]);
            base.remove(&format!("Subscription/{id}")).await;
        }
    }
}

#[tokio::test]
async fn a_client_takes_up_again_from_off() {
    verifies!("RQ-SB-24", "RQ-ER-11");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        for status in ["requested", "active"] {
            let path = format!("/{}/{status}", base.version);
            let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path));
            let id = base.subscribe(&asked).await;
            base.wait_for_status(&id, "active").await;
            assert_eq!(receiver.notification(base.version, &path).await.kind, "handshake");
            base.save(&asked.clone().id(&id).status("off").json(base.version)).await;
            base.save(&patient("p")).await;
            let answered = base.save(&asked.id(&id).status(status).json(base.version)).await;
            assert_eq!(answered["status"], "requested", "{answered}");
            assert_eq!(receiver.notification(base.version, &path).await.kind, "handshake");
            base.wait_for_status(&id, "active").await;
            base.save(&patient("p")).await;
            assert_eq!(receiver.event(base.version, &path).await.numbers(), [1]);
        }
    }
}

#[tokio::test]
async fn an_operator_may_have_missed_events_sent_after_reactivation() {
    verifies!("RQ-ER-10");
    let options = Options::default().set("subscriptions.flush-missed", true);
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let (_, asked) = broken(&base, &receiver, &path).await;
        let before = receiver.all(&path).len();
        base.save(&asked.json(base.version)).await;
        let mut numbers = Vec::new();
        while numbers.last() != Some(&3) {
            numbers = next_above(&receiver, &base, &path, 1).await;
        }
        let told: Vec<u64> = receiver.all(&path)[before..]
            .iter()
            .flat_map(|sent| sent.notification(base.version).numbers())
            .collect();
        assert_eq!(told, [2, 3]);
    }
}

#[tokio::test]
async fn a_kill_right_after_taking_up_again_changes_nothing_of_what_was_missed() {
    verifies!(R5: "RQ-ER-10");
    for (flush, expected) in [(false, vec![4]), (true, vec![2, 3, 4])] {
        let options = Options::default().set("subscriptions.flush-missed", flush);
        let mut server = Server::start_with(options).await;
        let receiver = Receiver::start().await;
        let base = server.base(Version::R5);
        let (id, asked) = broken(&base, &receiver, "/hook").await;
        let before = receiver.all("/hook").len();
        base.save(&asked.json(base.version)).await;
        server.kill();
        server.start_again().await;
        let base = server.base(Version::R5);
        base.wait_for_status(&id, "active").await;
        base.save(&patient("p")).await;
        next_above(&receiver, &base, "/hook", 3).await;
        // What was told just before a kill may come again, with its number.
        let told: BTreeSet<u64> = receiver.all("/hook")[before..]
            .iter()
            .flat_map(|sent| sent.notification(base.version).numbers())
            .filter(|number| *number > 1)
            .collect();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), expected, "flush-missed = {flush}");
    }
}

#[tokio::test]
async fn error_and_its_reason_survive_a_restart() {
    verifies!("RQ-ER-01", "RQ-NB-43", "RQ-ER-05");
    let mut server = Server::start().await;
    let receiver = Receiver::start().await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let path = format!("/{}", base.version);
        ids.push(broken(&base, &receiver, &path).await.0);
    }
    server.restart().await;
    for (base, id) in server.bases().iter().zip(&ids) {
        let status = base.status(id).await;
        assert_eq!((status.status.as_str(), status.count), ("error", 3));
        assert_eq!(status.errors.len(), 1, "{status:?}");
        base.save(&patient("p")).await;
        assert_eq!(base.count(id).await, 4);
    }
}

#[tokio::test]
async fn what_was_not_delivered_before_a_restart_is_delivered_after_it() {
    verifies!("RQ-CH-03", "RQ-NB-41");
    let options = Options::default().set("rest-hook.retry-schedule", vec!["200ms"; 50]);
    let mut server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let mut subscriptions = Vec::new();
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))).await;
        base.wait_for_status(&id, "active").await;
        receiver.always(&path, Answer::Status(503));
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        assert_eq!(receiver.event(base.version, &path).await.numbers()[0], 1);
        subscriptions.push((path, id));
    }
    server.restart().await;
    for (base, (path, id)) in server.bases().iter().zip(&subscriptions) {
        receiver.always(path, Answer::Status(200));
        assert_eq!(next_above(&receiver, base, path, 1).await.last(), Some(&2));
        assert_eq!(base.status(id).await.status, "active");
    }
}

#[tokio::test]
async fn heartbeats_go_on_in_error_and_say_so_and_lead_nowhere() {
    verifies!("RQ-CH-08", "RQ-ER-02", "RQ-ER-03");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        receiver.script(&path, [Answer::Status(200)]);
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).heartbeat_period(1);
        let id = base.subscribe(&asked).await;
        base.wait_for_status(&id, "active").await;
        receiver.always(&path, Answer::Status(500));
        base.save(&patient("p")).await;
        base.wait_for_status(&id, "error").await;
        receiver.always(&path, Answer::Status(200));
        let mut sent = receiver.notification(base.version, &path).await;
        while sent.status != "error" {
            sent = receiver.notification(base.version, &path).await;
        }
        base.save(&patient("p")).await;
        for _ in 0..2 {
            assert_eq!((sent.kind.as_str(), sent.status.as_str()), ("heartbeat", "error"));
            sent = receiver.notification(base.version, &path).await;
        }
        let status = base.status(&id).await;
        assert_eq!((status.status.as_str(), status.count), ("error", 2));
        assert!(status.errors[0].to_string().contains("500"), "{status:?}");
    }
}
