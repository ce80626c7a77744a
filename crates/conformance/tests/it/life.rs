//! The process: health, SIGTERM, configuration, and a data folder of its own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cresset_conformance::{
    Answer, Options, Receiver, Server, Subscribe, Version, patient, until, verifies,
};
use futures_util::future::join_all;
use tokio::sync::Notify;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

#[tokio::test]
async fn health_is_told_without_a_token() {
    let options = Options::default().client("ward", "token-of-the-tests-of-life", &["read"]);
    let server = Server::start_with(options).await;
    let base = server.base(Version::R4);
    for path in ["health/live", "health/ready"] {
        base.get(&format!("{}/{path}", server.url())).await.expect(200);
    }
}

#[tokio::test]
async fn sigterm_ends_requests_in_progress_closes_sockets_and_exits_0() {
    let mut server = Server::start().await;
    let mut kept = Vec::new();
    let mut sockets = Vec::new();
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        sockets.push(base.listen(&id).await);
        base.save(&patient("p")).await;
        kept.push(id);
    }
    let base = server.base(Version::R4);
    let writes = (0..50).map(|number| {
        let base = &base;
        async move {
            let patient = patient(&format!("w{number}"));
            let request = base.request(reqwest::Method::PUT, &format!("Patient/w{number}"));
            request.json(&patient).try_send().await.ok().map(|reply| (number, reply.status))
        }
    });
    let (answers, ()) = futures_util::future::join(join_all(writes), async {
        server.terminate();
    })
    .await;
    for socket in &mut sockets {
        let closed = loop {
            match socket.next_or_closed().await {
                Ok(_) => {}
                Err(closed) => break closed,
            }
        };
        assert_eq!(closed.code, 1001, "{closed:?}");
    }
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0), "{status}");
    server.start_again().await;
    let base = server.base(Version::R4);
    for (number, status) in answers.into_iter().flatten() {
        match status {
            201 => drop(base.read(&format!("Patient/w{number}")).await),
            503 => base.get(&format!("Patient/w{number}")).await.refused(404).issues.clear(),
            other => panic!("{other}"),
        }
    }
    for (base, id) in server.bases().iter().zip(&kept) {
        assert!(base.count(id).await >= 1);
    }
}

#[tokio::test]
async fn an_attempt_under_way_at_sigterm_may_end_and_is_not_made_again() {
    verifies!(R4B: "RQ-CH-03", "RQ-NB-40");
    let mut server =
        Server::start_with(Options::default().set("server.shutdown-grace", "20s")).await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4B);
    let gate = Arc::new(Notify::new());
    let endpoint = receiver.endpoint("/slow");
    let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &endpoint).max_count(1)).await;
    base.wait_for_status(&id, "active").await;
    receiver.script("/slow", [Answer::Held(gate.clone())]);
    base.save(&patient("p")).await;
    base.save(&patient("p")).await;
    assert_eq!(receiver.event(base.version, "/slow").await.numbers(), [1]);
    server.terminate();
    until("the server takes no more requests", || async {
        let asked = base.request(reqwest::Method::GET, "metadata").try_send().await;
        asked.map_or(true, |reply| reply.status == 503).then_some(())
    })
    .await;
    gate.notify_one();
    assert_eq!(server.ended().await.code(), Some(0));
    assert_eq!(receiver.all("/slow").len(), 2, "nothing is begun any more");
    server.start_again().await;
    assert_eq!(receiver.event(base.version, "/slow").await.numbers(), [2], "1 was taken");
}

#[tokio::test]
async fn an_attempt_that_outlasts_the_grace_time_is_cut_off_and_made_again_with_its_number() {
    verifies!(R5: "RQ-CH-03", "RQ-NB-40", "RQ-ER-15");
    let options = Options::default()
        .set("server.shutdown-grace", "500ms")
        .set("subscriptions.timeout-default", "60s");
    let mut server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R5);
    let id = base.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint("/hang"))).await;
    base.wait_for_status(&id, "active").await;
    receiver.script("/hang", [Answer::Never]);
    base.save(&patient("p")).await;
    let cut = receiver.event(base.version, "/hang").await;
    let told = Instant::now();
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(20), "it waited for {:?}", told.elapsed());
    assert!(server.log().contains("attempts under way were cut off"));
    server.start_again().await;
    let base = server.base(Version::R5);
    base.save(&patient("p")).await;
    let again = receiver.event(base.version, "/hang").await;
    assert_eq!(again.events[0].number, cut.events[0].number);
    assert_eq!(again.events[0].timestamp, cut.events[0].timestamp);
    assert_eq!(base.status(&id).await.status, "active");
}

#[tokio::test]
async fn a_start_without_configuration_serves_with_the_bundled_topics() {
    let server = Server::start_with(Options::untouched()).await;
    let topics = crate::capability::advertised_topics(&server.base(Version::R4)).await;
    assert!(!topics.is_empty());
    for base in server.bases() {
        base.subscribe(&Subscribe::websocket(&topics[0])).await;
    }
}

#[tokio::test]
async fn the_demo_shows_notifications_and_goes_on_serving() {
    let mut server = Server::start_with(Options::untouched().demo()).await;
    for wanted in ["curl ", "bind-with-token", "handshake", "event-notification"] {
        let what = format!("the demo prints {wanted}");
        until(&what, || std::future::ready(server.printed().contains(wanted).then_some(()))).await;
    }
    let base = server.base(Version::R4);
    let count = until("the demo's subscription has events", || async {
        let statuses = base.read("Subscription/$status").await;
        let statuses = cresset_conformance::Status::of_searchset(Version::R4, &statuses);
        statuses.iter().map(|status| status.count).find(|count| *count > 0)
    });
    assert!(count.await > 0);
    base.save(&patient("by-hand")).await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_data_folder_has_one_server_at_a_time() {
    let server = Server::start().await;
    let output = server.second_on_the_same_data().stdout(Stdio::null()).output().expect("it ends");
    assert!(!output.status.success(), "{output:?}");
    assert!(!output.stderr.is_empty(), "it says why");
    let base = server.base(Version::R4);
    base.save(&patient("p")).await;
}

#[tokio::test]
async fn a_configuration_with_faults_is_refused_whole() {
    let server = Server::start().await;
    let mut command = server.second_on_the_same_data();
    command.env("CRESSET__LIMITS__BODY_MAX", "much").env("CRESSET__NONSENSE__KEY", "1");
    let output = command.output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(!output.status.success());
    assert!(told.contains("body") && told.contains("nonsense"), "{told}");
}

#[tokio::test]
async fn topics_of_files_that_are_gone_are_gone_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/topics/patient-any.json");
    let file = folder.path().join("one.json");
    std::fs::copy(fixture, &file).expect("copied");
    std::fs::write(folder.path().join("broken.json"), "{").expect("written");
    let mut server = Server::start_with(Options::default().topics(folder.path())).await;
    let asked = Subscribe::websocket(TOPIC);
    for base in server.bases() {
        base.subscribe(&asked).await;
    }
    assert!(server.log().contains("broken.json"), "the bad file is told");
    std::fs::remove_file(&file).expect("removed");
    server.restart().await;
    for base in server.bases() {
        base.post("Subscription", &asked.json(base.version)).await.refused_as(422, "not-supported");
    }
    std::fs::copy(fixture, &file).expect("copied");
    server.restart().await;
    for base in server.bases() {
        base.subscribe(&asked).await;
    }
}

#[tokio::test]
async fn the_search_index_is_rebuilt_when_it_is_missing() {
    let mut server = Server::start().await;
    for base in server.bases() {
        base.subscribe(&Subscribe::websocket(TOPIC)).await;
    }
    server.kill();
    let removed = server.remove_data(|name| name.contains("index"));
    assert!(removed > 0, "the index has files of its own");
    server.start_again().await;
    for base in server.bases() {
        let found = until("the search answers", || async {
            let reply = base.get("Subscription?status=active").await;
            (reply.status == 200).then(|| reply.json())
        })
        .await;
        assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    }
}
