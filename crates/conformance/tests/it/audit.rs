//! The audit trail: who changed subscriptions, and what was sent to whom.

use cresset_conformance::{
    Answer, Client, Options, Receiver, Server, Subscribe, Version, patient, until, verifies,
};
use serde_json::{Value, json};

const TOPIC: &str = "http://cresset.test/topics/patient-any";

fn options(level: &str) -> Options {
    Options::default()
        .client("ward", "ward-token-of-the-tests", &["read", "write", "subscribe"])
        .client("boss", "boss-token-of-the-tests", &["admin"])
        .set("audit.level", level)
}

fn clients(base: &Client) -> (Client, Client) {
    (base.with_bearer("ward-token-of-the-tests"), base.with_bearer("boss-token-of-the-tests"))
}

fn url(server: &Server, version: Version, query: &str) -> String {
    format!("{}/admin/audit/{version}{query}", server.url())
}

/// The entries of the trail, the newest first.
async fn trail(server: &Server, boss: &Client, query: &str) -> Vec<Value> {
    let bundle = boss.read(&url(server, boss.version, query)).await;
    assert_eq!(
        (&bundle["resourceType"], &bundle["type"]),
        (&json!("Bundle"), &json!("collection"))
    );
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let entry = |entry: Value| {
        let id = entry["resource"]["id"].as_str().expect("an id");
        assert_eq!(entry["fullUrl"], format!("urn:uuid:{id}"));
        entry["resource"].clone()
    };
    entries.into_iter().map(entry).collect()
}

/// The code that tells what an entry is about: an interaction, or a type of notification.
fn code(entry: &Value) -> &str {
    let r4 = entry["subtype"][0]["code"].as_str();
    r4.or_else(|| entry["code"]["coding"][0]["code"].as_str()).expect("a code")
}

fn references(entry: &Value) -> Vec<&str> {
    let entities = entry["entity"].as_array().expect("entities");
    entities.iter().filter_map(|one| one["what"]["reference"].as_str()).collect()
}

/// The client that asked for it.
fn requestor(entry: &Value) -> &str {
    let agents = entry["agent"].as_array().expect("agents");
    let asked = agents.iter().find(|agent| agent["requestor"] == true).expect("somebody");
    asked["who"]["identifier"]["value"].as_str().expect("a name")
}

#[tokio::test]
async fn changes_of_subscriptions_and_notifications_are_kept() {
    verifies!("RQ-SS-11");
    let server = Server::start_with(options("all")).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let (ward, boss) = clients(&base);
        let path = format!("/{}", base.version);
        let endpoint = receiver.endpoint(&format!("{path}?marker-secret"));
        let asked = Subscribe::rest_hook(TOPIC, &endpoint).content("id-only").id("audited");
        ward.save(&asked.json(base.version)).await;
        ward.wait_for_status("audited", "active").await;
        ward.save(&patient("p")).await;
        receiver.event(base.version, &path).await;
        ward.remove("Subscription/audited").await;
        let kept = until("all of it is kept", || async {
            let kept = trail(&server, &boss, "?subscription=audited").await;
            let wanted = ["create", "handshake", "update", "event-notification", "delete"];
            wanted.iter().all(|wanted| kept.iter().any(|one| code(one) == *wanted)).then_some(kept)
        })
        .await;
        let of = |wanted: &str| kept.iter().find(|one| code(one) == wanted).expect("seen");
        for (interaction, author, version) in
            [("create", "ward", 1), ("update", "cresset", 2), ("delete", "ward", 3)]
        {
            let entry = of(interaction);
            assert_eq!(requestor(entry), author, "{entry:#}");
            let reference = format!("Subscription/audited/_history/{version}");
            assert_eq!(references(entry), [reference.as_str()]);
        }
        let told = of("event-notification");
        assert_eq!(requestor(told), "ward");
        assert_eq!(references(told), ["Subscription/audited", "Patient/p/_history/1"]);
        let host = receiver.address().to_string();
        assert!(told.to_string().contains(&host), "{host} in {told:#}");
        for entry in &kept {
            assert!(!entry.to_string().contains("marker-secret"), "{entry:#}");
            let checked = ward.post("AuditEvent/$validate", entry).await.expect(200).json();
            assert!(!checked.to_string().contains("\"error\""), "{checked:#}");
        }
        // Those of another version and of another subscription are elsewhere.
        assert!(trail(&server, &boss, "?subscription=audite").await.is_empty());
        assert_eq!(trail(&server, &boss, "?_count=1").await.len(), 1);
        assert!(trail(&server, &boss, "?since=2999-01-01T00:00:00Z").await.is_empty());
    }
}

#[tokio::test]
async fn attempts_that_fail_are_kept_and_empty_notifications_tell_of_no_resource() {
    verifies!("RQ-SS-11");
    let server = Server::start_with(options("all")).await;
    let receiver = Receiver::start().await;
    for base in server.bases() {
        let (ward, boss) = clients(&base);
        let path = format!("/{}", base.version);
        let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path)).content("empty");
        let id = ward.subscribe(&asked).await;
        ward.wait_for_status(&id, "active").await;
        receiver.always(&path, Answer::Status(500));
        ward.save(&patient("p")).await;
        let failed = until("the failed attempt is kept", || async {
            let kept = trail(&server, &boss, &format!("?subscription={id}")).await;
            kept.into_iter().find(|one| code(one) == "event-notification")
        })
        .await;
        assert!(failed.to_string().contains("error-response"), "{failed:#}");
        assert_eq!(references(&failed), [format!("Subscription/{id}")]);
        let minor = [&failed["outcome"], &failed["outcome"]["code"]["code"]];
        assert!(minor.contains(&&json!("4")), "{failed:#}");
    }
}

#[tokio::test]
async fn the_level_says_what_is_kept_and_a_restart_loses_nothing() {
    let mut server = Server::start_with(options("changes")).await;
    let receiver = Receiver::start().await;
    let (ward, _) = clients(&server.base(Version::R5));
    let id = ward.subscribe(&Subscribe::rest_hook(TOPIC, &receiver.endpoint("/hook"))).await;
    ward.wait_for_status(&id, "active").await;
    ward.save(&patient("p")).await;
    receiver.event(Version::R5, "/hook").await;
    ward.remove(&format!("Subscription/{id}")).await;
    server.terminate();
    server.ended().await;
    server.start_again().await;
    let (ward, boss) = clients(&server.base(Version::R5));
    let kept = trail(&server, &boss, "").await;
    let codes: Vec<_> = kept.iter().map(code).collect();
    assert_eq!(codes, ["delete", "update", "create"]);
    ward.get(&url(&server, Version::R5, "")).await.refused_as(403, "forbidden");
    boss.get(&url(&server, Version::R5, "?nonsense=1")).await.refused(400);
    let off = Server::start_with(options("off")).await;
    let (_, boss) = clients(&off.base(Version::R5));
    boss.get(&url(&off, Version::R5, "")).await.refused(404);
}
