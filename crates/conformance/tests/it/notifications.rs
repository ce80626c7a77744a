//! What notifications hold: each type, each content level, each version.

use cresset_conformance::{
    Answer, Client, Notification, NotifiedEvent, Receiver, Server, Subscribe, encounter, patient,
    set, verifies,
};

const PATIENTS: &str = "http://cresset.test/topics/patient-any";
const ENCOUNTERS: &str = "http://cresset.test/topics/encounter-start";
const MIXED: &str = "http://cresset.test/topics/visit-or-finding";

/// Whether a notification shows as much as its content level allows (RQ section 6.5).
fn check_content(base: &Client, content: &str, topic: &str, notification: &Notification) {
    let json = &notification.json;
    match content {
        "empty" => {
            assert!(notification.topic.is_none(), "RQ-NB-21: {json}");
            assert!(notification.entries.is_empty(), "RQ-NB-20: {json}");
            for event in &notification.events {
                assert!(event.focus.is_none(), "RQ-NB-20: {json}");
                assert!(event.additional_context.is_empty(), "RQ-NB-20: {json}");
            }
        }
        "id-only" => {
            check_foci(base, notification);
            for entry in &notification.entries {
                assert!(entry.resource.is_none(), "RQ-NB-24: {json}");
            }
        }
        "full-resource" => {
            check_foci(base, notification);
            assert_eq!(notification.topic.as_deref(), Some(topic), "RQ-NB-27: {json}");
            for event in &notification.events {
                let focus = event.focus.as_deref();
                let mut entries = notification
                    .entries
                    .iter()
                    .filter(|entry| Some(entry.full_url.as_str()) == focus);
                let has = entries.any(|entry| entry.resource.is_some() || entry.method == "DELETE");
                assert!(has, "RQ-NB-25: {json}");
            }
        }
        other => panic!("no content level {other}"),
    }
}

fn check_foci(base: &Client, notification: &Notification) {
    for event in &notification.events {
        let focus = event.focus.as_deref().unwrap_or_default();
        let relative = focus.strip_prefix(&format!("{}/", base.url));
        let parts = relative.map(|it| it.split('/').count());
        assert_eq!(parts, Some(2), "RQ-NB-23, RQ-NB-29: {}", notification.json);
    }
}

#[tokio::test]
async fn each_content_level_shows_what_it_may_over_websocket_and_rest_hook() {
    verifies!(
        "RQ-NB-01", "RQ-NB-02", "RQ-NB-03", "RQ-NB-04", "RQ-NB-05", "RQ-NB-07", "RQ-NB-08",
        "RQ-NB-09", "RQ-NB-20", "RQ-NB-21", "RQ-NB-22", "RQ-NB-23", "RQ-NB-24", "RQ-NB-25",
        "RQ-NB-27", "RQ-NB-30", "RQ-NB-29", "RQ-NB-42", "RQ-CH-01", "RQ-CH-24", "RQ-CH-45",
        "RQ-CH-46", "RQ-CF-07", "RQ-CF-11", "RQ-SS-09",
    );
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let v = base.version;
        for content in ["empty", "id-only", "full-resource"] {
            let path = format!("/{v}/{content}");
            let hook = Subscribe::rest_hook(PATIENTS, &receiver.endpoint(&path)).content(content);
            let hook = base.subscribe(&hook).await;
            base.wait_for_status(&hook, "active").await;
            let web = base.subscribe(&Subscribe::websocket(PATIENTS).content(content)).await;
            let mut socket = base.listen(&web).await;
            let handshake = receiver.notification(v, &path).await;
            check_content(&base, content, PATIENTS, &handshake);
            assert_eq!((handshake.kind.as_str(), handshake.count), ("handshake", 0));

            let id = format!("marker-{content}");
            base.save(&patient(&id)).await;
            base.save(&patient(&id)).await;
            base.remove(&format!("Patient/{id}")).await;
            for number in 1..=3 {
                let sent = receiver.next(&path).await;
                let by_hook = sent.notification(v);
                let by_socket = socket.event().await;
                for (of, told) in [(&hook, &by_hook), (&web, &by_socket)] {
                    assert_eq!(told.kind, "event-notification", "{}", told.json);
                    assert_eq!(told.status, "active", "{}", told.json);
                    assert_eq!(told.subscription, format!("{}/Subscription/{of}", base.url));
                    assert_eq!(told.numbers(), [number], "{}", told.json);
                    check_content(&base, content, PATIENTS, told);
                }
                assert_eq!(by_hook.events, by_socket.events, "the same event, twice subscribed");
                if content == "empty" {
                    let body = String::from_utf8_lossy(&sent.body);
                    assert!(!body.contains("marker") && !body.contains("patient-any"), "{body}");
                }
            }
        }
    }
}

#[tokio::test]
async fn entries_tell_the_interaction_that_happened() {
    verifies!("RQ-NB-06", "RQ-NB-26", "RQ-NB-12");
    let server = Server::start().await;
    for base in server.bases() {
        for content in ["id-only", "full-resource"] {
            let id = base.subscribe(&Subscribe::websocket(PATIENTS).content(content)).await;
            let mut socket = base.listen(&id).await;
            base.save(&patient("p")).await;
            let mut changed = patient("p");
            set(&mut changed, "/active", false);
            base.save(&changed).await;
            base.remove("Patient/p").await;
            let wanted = [
                ("POST", "Patient", "201", Some(true)),
                ("PUT", "Patient/p", "200", Some(false)),
                ("DELETE", "Patient/p", "204", None),
            ];
            for (number, (method, url, status, active)) in (1..).zip(wanted) {
                let told = socket.event().await;
                assert_eq!(
                    (told.numbers(), told.entries.len()),
                    (vec![number], 1),
                    "{}",
                    told.json
                );
                let entry = &told.entries[0];
                assert_eq!(entry.full_url, format!("{}/Patient/p", base.url));
                assert_eq!((entry.method.as_str(), entry.url.as_str()), (method, url));
                if base.version.is_backport() {
                    let given = entry.status.as_deref().unwrap_or_default();
                    let same_as_created = method == "POST" && given == "201";
                    assert!(same_as_created || given == status, "{}", told.json);
                }
                let shown = entry.resource.as_ref().map(|resource| resource["active"] == true);
                let wanted = active.filter(|_| content == "full-resource");
                assert_eq!(shown, wanted, "{content} {method}: {}", told.json);
            }
        }
    }
}

#[tokio::test]
async fn resources_are_sent_as_they_were_at_the_event() {
    verifies!("RQ-NB-31", "RQ-OP-27", "RQ-CH-01");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(PATIENTS).content("full-resource")).await;
        let odd = "{\"resourceType\":\"Patient\",\"id\":\"odd\",\"name\":[{\"text\":\"b\",\
            \"family\":\"a\"}],\"extension\":[{\"valueDecimal\":1.500,\"url\":\"http://x.test\"}]}";
        let put = base.request(reqwest::Method::PUT, "Patient/odd").body(odd).send().await;
        let stored = String::from_utf8_lossy(&put.expect(201).body).into_owned();
        base.save(&patient("odd")).await;
        let answer = base.get(&format!("Subscription/{id}/$events")).await.expect(200);
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains(&stored), "{body}");
        let events = base.events(&id, "").await;
        let versions = events
            .entries
            .iter()
            .map(|entry| entry.resource.as_ref().expect("a resource")["meta"]["versionId"].clone());
        assert_eq!(versions.collect::<Vec<_>>(), ["1", "2"]);
    }
}

#[tokio::test]
async fn a_burst_comes_in_batches_no_larger_than_asked_in_order() {
    verifies!("RQ-SB-07", "RQ-CH-02", "RQ-NB-33", "RQ-NB-32", "RQ-NB-41");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let v = base.version;
        let path = format!("/{v}");
        let gate = std::sync::Arc::new(tokio::sync::Notify::new());
        receiver.script(&path, [Answer::Status(200), Answer::Held(gate.clone())]);
        let asked = Subscribe::rest_hook(PATIENTS, &receiver.endpoint(&path))
            .content("full-resource")
            .max_count(2);
        let id = base.subscribe(&asked).await;
        base.wait_for_status(&id, "active").await;
        // The first is on its way and held; the others gather behind it.
        base.save(&patient("p0")).await;
        assert_eq!(receiver.next(&path).await.notification(v).kind, "handshake");
        assert_eq!(receiver.event(v, &path).await.numbers(), [1]);
        for number in [1, 2, 2, 3, 4] {
            base.save(&patient(&format!("p{number}"))).await;
        }
        gate.notify_one();
        let mut sizes = Vec::new();
        let mut told: Vec<NotifiedEvent> = Vec::new();
        let mut last = 1;
        while last < 6 {
            let batch = receiver.event(v, &path).await;
            assert_eq!(batch.numbers().first(), Some(&(last + 1)), "{}", batch.json);
            last = batch.count;
            sizes.push(batch.events.len());
            let foci: Vec<&str> =
                batch.events.iter().filter_map(|event| event.focus.as_deref()).collect();
            let full_urls: Vec<&str> =
                batch.entries.iter().map(|entry| entry.full_url.as_str()).collect();
            assert_eq!(foci, full_urls, "entries in the order of events: {}", batch.json);
            told.extend(batch.events);
        }
        assert_eq!(sizes, [2, 2, 1], "{v}");
        let foci: Vec<String> = told.iter().map(NotifiedEvent::relative_focus).collect();
        assert_eq!(foci, ["p1", "p2", "p2", "p3", "p4"].map(|id| format!("Patient/{id}")));
    }
}

#[tokio::test]
async fn a_resource_that_changed_twice_is_in_a_bundle_once_or_once_for_each_version() {
    verifies!("RQ-NB-32");
    let server = Server::start().await;
    for base in server.bases() {
        let full = base.subscribe(&Subscribe::websocket(PATIENTS).content("full-resource")).await;
        let ids = base.subscribe(&Subscribe::websocket(PATIENTS)).await;
        base.save(&patient("p")).await;
        base.save(&patient("p")).await;
        let events = base.events(&full, "").await;
        assert_eq!(events.numbers(), [1, 2]);
        let versions: Vec<_> = events
            .entries
            .iter()
            .map(|entry| entry.resource.as_ref().expect("a resource")["meta"]["versionId"].clone())
            .collect();
        assert_eq!(versions, ["1", "2"], "{}", events.json);
        let events = base.events(&ids, "").await;
        assert_eq!((events.numbers(), events.entries.len()), (vec![1, 2], 1), "{}", events.json);
    }
}

#[tokio::test]
async fn numbers_count_from_one_and_only_events_move_them() {
    verifies!("RQ-NB-40", "RQ-NB-41", "RQ-CH-06", "RQ-NB-42");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(PATIENTS).heartbeat_period(1)).await;
        let mut socket = base.listen(&id).await;
        for number in 1..=3 {
            base.status(&id).await;
            base.save(&patient("p")).await;
            base.events(&id, "").await;
            let mut told = socket.next().await;
            while told.kind == "heartbeat" {
                told = socket.next().await;
            }
            assert_eq!((told.numbers(), told.count), (vec![number], number), "{}", told.json);
        }
        let mut other = base.listen(&id).await;
        let heartbeat = other.next().await;
        assert_eq!((heartbeat.kind.as_str(), heartbeat.count), ("heartbeat", 3));
        assert_eq!(base.count(&id).await, 3);
    }
}

#[tokio::test]
async fn timestamps_are_those_of_the_change() {
    verifies!("RQ-NB-22", "RQ-OP-23");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(PATIENTS)).await;
        let mut socket = base.listen(&id).await;
        let saved = base.save(&patient("p")).await;
        let at = saved["meta"]["lastUpdated"].as_str().expect("an instant").to_owned();
        let told = socket.event().await;
        let instant = |text: &str| text.parse::<jiff::Timestamp>().expect("an instant");
        assert_eq!(instant(&told.events[0].timestamp), instant(&at));
        assert_eq!(base.events(&id, "").await.events, told.events);
    }
}

#[tokio::test]
async fn the_focus_has_the_type_of_the_trigger_and_nothing_else_comes_along() {
    verifies!("RQ-NB-12", "RQ-CF-17");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(MIXED).content("full-resource")).await;
        base.save(&patient("p")).await;
        base.save(&encounter(base.version, "e", "planned", "p")).await;
        base.save(&cresset_conformance::observation("o", "p", 70.0)).await;
        let events = base.events(&id, "").await;
        assert_eq!(events.foci(), ["Encounter/e", "Observation/o"]);
        let types: Vec<_> = events
            .entries
            .iter()
            .map(|entry| entry.resource.as_ref().expect("a resource")["resourceType"].clone())
            .collect();
        assert_eq!(types, ["Encounter", "Observation"], "{}", events.json);
        assert!(events.events.iter().all(|event| event.additional_context.is_empty()));
    }
}

#[tokio::test]
async fn the_status_is_the_newest_when_the_bundle_is_built() {
    verifies!("RQ-NB-10");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(ENCOUNTERS)).await;
        base.save(&encounter(base.version, "e", "in-progress", "p")).await;
        assert_eq!(base.events(&id, "").await.status, "active");
        let off = Subscribe::websocket(ENCOUNTERS).id(&id).status("off");
        base.save(&off.json(base.version)).await;
        let events = base.events(&id, "").await;
        assert_eq!((events.status.as_str(), events.numbers()), ("off", vec![1]));
    }
}

#[tokio::test]
async fn heartbeats_come_at_the_period_asked_for_and_only_then() {
    verifies!("RQ-SB-05", "RQ-CH-05", "RQ-CH-07", "RQ-SB-08");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let work = server.bases().map(|base| {
        let receiver = &receiver;
        async move {
            let v = base.version;
            let (with, without) = (format!("/{v}/with"), format!("/{v}/without"));
            let asked = Subscribe::rest_hook(PATIENTS, &receiver.endpoint(&without));
            let silent = base.subscribe(&asked).await;
            let asked = Subscribe::rest_hook(PATIENTS, &receiver.endpoint(&with));
            let beating = base.subscribe(&asked.heartbeat_period(1)).await;
            let web = base.subscribe(&Subscribe::websocket(PATIENTS).heartbeat_period(1)).await;
            let quiet = base.subscribe(&Subscribe::websocket(PATIENTS)).await;
            base.wait_for_status(&silent, "active").await;
            base.wait_for_status(&beating, "active").await;
            let mut quiet = base.listen(&quiet).await;
            let mut web = base.listen(&web).await;
            let handshake = receiver.next(&with).await;
            let mut last = handshake.at;
            for _ in 0..2 {
                let sent = receiver.next(&with).await;
                let heartbeat = sent.notification(v);
                assert_eq!((heartbeat.kind.as_str(), heartbeat.count), ("heartbeat", 0));
                assert_eq!(heartbeat.status, "active");
                let pause = sent.at - last;
                assert!((800..5_000).contains(&pause.as_millis()), "{pause:?}");
                last = sent.at;
                assert_eq!(web.next().await.kind, "heartbeat");
            }
            // What was silent so far is alive: the next thing that it tells is an event.
            base.save(&patient(&format!("p-{v}"))).await;
            assert_eq!(receiver.notification(v, &without).await.kind, "handshake");
            assert_eq!(receiver.notification(v, &without).await.kind, "event-notification");
            assert_eq!(quiet.next().await.kind, "event-notification");
            assert_eq!(receiver.event(v, &with).await.numbers(), [1]);
        }
    });
    futures_util::future::join_all(work).await;
}

#[tokio::test]
async fn events_of_one_write_and_subscription_come_once() {
    verifies!("RQ-SB-26", "RQ-TP-20");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(MIXED)).await;
        let mut socket = base.listen(&id).await;
        for number in 0..20 {
            base.save(&cresset_conformance::observation(&format!("o{number}"), "p", 1.0)).await;
        }
        let mut numbers = Vec::new();
        while numbers.len() < 20 {
            numbers.extend(socket.event().await.numbers());
        }
        assert_eq!(numbers, (1..=20).collect::<Vec<u64>>());
    }
}
