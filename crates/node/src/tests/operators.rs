//! What operators look up: pages of subscriptions, one with its events, topics, a change on its way.

use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, ResourceId, SubscriptionStatus};
use serde_json::json;

use super::fixture::{Fixture, admin, encounter, subscription, topic};
use crate::{Caller, Kind, Right, RosterQuery, Troubles};

impl Fixture {
    async fn roster(&self, query: RosterQuery, count: usize) -> (Vec<String>, bool) {
        let page = self.node.roster(&admin(), query, count).await.unwrap();
        (page.lines.iter().map(|line| line.id.to_string()).collect(), page.has_more)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_found_by_what_they_are() {
    let fixture = Fixture::new();
    for id in ["one", "two"] {
        fixture.put(&topic(id, &[])).await.unwrap();
    }
    let first = fixture.subscribe("one", &[]).await;
    let second = fixture.subscribe("two", &[]).await;
    let mut hook = subscription("one", &[]);
    hook["channel"]["type"] = "rest-hook".into();
    hook["channel"]["endpoint"] = "http://127.0.0.1:8099/hook".into();
    let hook = Fixture::id(&fixture.create(&hook).await.unwrap());
    let other =
        Caller::new(ClientName::new("other").unwrap(), [Right::Subscribe].into_iter().collect());
    let mut theirs = subscription("two", &[]);
    theirs["id"] = "theirs".into();
    theirs["status"] = "off".into();
    fixture.put_as(&other, &theirs).await.unwrap();
    let all = RosterQuery::default;
    let text = |text: &str| Some(text.to_owned());
    for (query, expect) in [
        (all(), vec!["theirs", &hook, &second, &first]),
        (RosterQuery { topic: text("topic/one"), ..all() }, vec![&hook, &first]),
        (RosterQuery { endpoint: text("127.0.0.1"), ..all() }, vec![&hook]),
        (RosterQuery { owner: text("other"), ..all() }, vec!["theirs"]),
        (RosterQuery { status: Some(SubscriptionStatus::Off), ..all() }, vec!["theirs"]),
        (RosterQuery { id: text(&second), ..all() }, vec![&second]),
        (RosterQuery { version: Some(FhirVersion::R5), ..all() }, vec![]),
    ] {
        let asked = format!("{query:?}");
        assert_eq!(fixture.roster(query, 10).await.0, expect, "{asked}");
    }
    let refused = fixture.node.roster(&other, all(), 10).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_without_gap_or_overlap() {
    let fixture = Fixture::new();
    fixture.put(&topic("t", &[])).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(fixture.subscribe("t", &[]).await);
    }
    ids.reverse();
    let mut found = Vec::new();
    let mut before = None;
    for (count, has_more) in [(2, true), (2, true), (1, false)] {
        let query = RosterQuery { before, ..RosterQuery::default() };
        let page = fixture.node.roster(&admin(), query, 2).await.unwrap();
        assert_eq!((page.lines.len(), page.has_more), (count, has_more));
        before = page.lines.last().map(|line| line.created);
        found.extend(page.lines.into_iter().map(|line| line.id.to_string()));
    }
    assert_eq!(found, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_told_with_its_newest_events() {
    let fixture = Fixture::new();
    fixture.put(&topic("t", &[])).await.unwrap();
    let id = fixture.subscribe("t", &["Encounter?patient=Patient/p"]).await;
    for round in 0..25 {
        let status = if round % 2 == 0 { "planned" } else { "finished" };
        fixture.put(&encounter("e", status, "p")).await.unwrap();
    }
    fixture.delete("Encounter", "e").await;
    let id = ResourceId::new(&id).unwrap();
    let detail = fixture.node.subscription_detail(&admin(), FhirVersion::R4, &id).await.unwrap();
    assert_eq!((detail.line.events, detail.line.lag), (26, 26));
    assert_eq!(detail.subscription.filters.len(), 1);
    let numbers: Vec<u64> = detail.events.iter().map(|event| event.number.get()).collect();
    assert_eq!(numbers, (7..=26).rev().collect::<Vec<_>>());
    let newest = &detail.events[0];
    assert_eq!(newest.focus, "Encounter/e");
    assert_eq!(newest.interaction.map(|one| one.code()), Some("delete"));
    let unknown = ResourceId::new("unknown").unwrap();
    let refused = fixture.node.subscription_detail(&admin(), FhirVersion::R4, &unknown).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_told_with_how_many_listen() {
    let fixture = Fixture::new();
    for id in ["b", "a"] {
        fixture.put(&topic(id, &[])).await.unwrap();
    }
    for _ in 0..3 {
        fixture.subscribe("b", &[]).await;
    }
    let lines = fixture.node.topic_lines(&admin(), FhirVersion::R4).await.unwrap();
    let told: Vec<_> = lines.iter().map(|line| (line.id.as_str(), line.subscriptions)).collect();
    assert_eq!(told, [("a", 0), ("b", 3)]);
    assert!(fixture.node.topic_lines(&admin(), FhirVersion::R5).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_followed_to_whom_it_is_an_event_of() {
    let fixture = Fixture::new();
    fixture.put(&topic("t", &[])).await.unwrap();
    let told = fixture.subscribe("t", &["Encounter?patient=Patient/p"]).await;
    fixture.subscribe("t", &["Encounter?patient=Patient/q"]).await;
    fixture.put(&encounter("before", "planned", "p")).await.unwrap();
    fixture.put(&encounter("e", "planned", "p")).await.unwrap();
    fixture.put(&encounter("e", "finished", "q")).await.unwrap();
    let admin = admin();
    let follow =
        |reference: &str| fixture.node.followed(&admin, FhirVersion::R4, reference.to_owned());
    let followed = follow("Encounter/e/_history/1").await.unwrap();
    assert_eq!(followed.change.version.get(), 1);
    let [one] = followed.subscriptions.as_slice() else { panic!("one is told") };
    assert_eq!((one.line.id.as_str(), one.number.map(|one| one.get())), (told.as_str(), Some(2)));
    assert!(!one.is_delivered && one.attempts.is_empty(), "no socket is bound");
    fixture.put(&json!({"resourceType": "Patient", "id": "p"})).await.unwrap();
    assert!(follow("Patient/p").await.unwrap().subscriptions.is_empty());
    for reference in ["Patient/none", "Patient/p/_history/2", "Patient"] {
        assert_eq!(follow(reference).await.unwrap_err().kind(), Kind::NotFound, "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_told_of_with_its_reason() {
    let fixture = Fixture::new();
    fixture.put(&topic("t", &[])).await.unwrap();
    fixture.subscribe("t", &[]).await;
    assert_eq!(fixture.node.troubles(&admin()).await.unwrap(), Troubles::default());
    let mut refused = subscription("t", &[]);
    refused["channel"]["type"] = "rest-hook".into();
    // Nobody listens there.
    refused["channel"]["endpoint"] = "http://127.0.0.1:8099/hook?secret".into();
    fixture.create(&refused).await.unwrap();
    let found = fixture.node.troubles(&admin()).await.unwrap();
    assert!(found.endpoints.is_empty(), "a handshake that is due is no trouble: {found:?}");
    let anybody = Caller::new(ClientName::new("a").unwrap(), [Right::Read].into_iter().collect());
    assert_eq!(fixture.node.troubles(&anybody).await.unwrap_err().kind(), Kind::Forbidden);
}
