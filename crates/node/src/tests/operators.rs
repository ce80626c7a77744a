//! What operators look up: pages of subscriptions, one with its events, topics, a change on its way.

use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_engine::{RetryPolicy, RetrySchedule};
use cresset_model::{ClientName, ResourceId, SubscriptionStatus};
use serde_json::json;
use tokio::net::TcpListener;

use super::fixture::{Fixture, admin, encounter, subscription, topic};
use crate::{Caller, EndpointTrouble, Error, Followed, Kind, Right, RosterQuery, Troubles};

/// Longest wait for something that is due at once.
const SOON: Duration = Duration::from_secs(10);

impl Fixture {
    async fn roster(&self, query: RosterQuery, count: usize) -> (Vec<String>, bool) {
        let page = self.node.roster(&admin(), query, count).await.unwrap();
        (page.lines.iter().map(|line| line.id.to_string()).collect(), page.has_more)
    }

    async fn follow(&self, reference: &str) -> Result<Followed, Error> {
        let matched = self.node.matched(&admin(), FhirVersion::R4, reference.to_owned()).await?;
        self.node.followed(&admin(), matched).await
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
async fn topics_are_told_whatever_their_status() {
    let fixture = Fixture::new();
    for status in ["active", "draft", "retired", "unknown"] {
        let mut resource = topic(status, &[]);
        resource["modifierExtension"][0]["valueCode"] = status.into();
        fixture.put(&resource).await.unwrap();
    }
    let fixture = fixture.restart().await;
    let lines = fixture.node.topic_lines(&admin(), FhirVersion::R4).await.unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line.id.as_str(), line.topic.status.code())).collect();
    assert_eq!(told, ["active", "draft", "retired", "unknown"].map(|status| (status, status)));
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
    let followed = fixture.follow("Encounter/e/_history/1").await.unwrap();
    assert_eq!(followed.change.version.get(), 1);
    let [one] = followed.subscriptions.as_slice() else { panic!("one is told") };
    assert_eq!((one.line.id.as_str(), one.number.map(|one| one.get())), (told.as_str(), Some(2)));
    assert!(!one.is_delivered && one.attempts.is_empty(), "no socket is bound");
    fixture.put(&json!({"resourceType": "Patient", "id": "p"})).await.unwrap();
    assert!(fixture.follow("Patient/p").await.unwrap().subscriptions.is_empty());
    for reference in ["Patient/none", "Patient/p/_history/2", "Patient"] {
        assert_eq!(
            fixture.follow(reference).await.unwrap_err().kind(),
            Kind::NotFound,
            "{reference}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_event_that_is_kept_is_found_and_what_was_before_a_subscription_is_none() {
    let fixture = Fixture::new();
    fixture.put(&topic("t", &[])).await.unwrap();
    fixture.subscribe("t", &[]).await;
    let numbers = async |version: u64| {
        let found = fixture.follow(&format!("Encounter/e/_history/{version}")).await.unwrap();
        let mut numbers: Vec<_> =
            found.subscriptions.iter().map(|one| one.number.map(|one| one.get())).collect();
        numbers.sort_unstable();
        numbers
    };
    for newest in 1..=9 {
        fixture.put(&encounter("e", "planned", "p")).await.unwrap();
        for version in 1..=newest {
            assert_eq!(numbers(version).await, [Some(version)], "of {newest}");
        }
    }
    fixture.subscribe("t", &[]).await;
    assert_eq!(numbers(9).await, [None, Some(9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_told_of_with_its_reason() {
    let fixture = Fixture::configured(|config| {
        config.delivery.retry = RetryPolicy {
            handshake_delay: Duration::from_millis(1),
            handshake_retries: RetrySchedule::new(&[]).unwrap(),
            ..RetryPolicy::default()
        };
    });
    fixture.put(&topic("t", &[])).await.unwrap();
    fixture.subscribe("t", &[]).await;
    assert_eq!(fixture.node.troubles(&admin()).await.unwrap(), Troubles::default());
    // Takes connections and ends them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let mut failing = subscription("t", &[]);
    failing["channel"]["type"] = "rest-hook".into();
    failing["channel"]["endpoint"] = format!("{endpoint}/hook?secret").into();
    fixture.create(&failing).await.unwrap();
    let found = fixture.node.troubles(&admin()).await.unwrap();
    assert!(found.endpoints.is_empty(), "a handshake that is due is no trouble: {found:?}");
    let told = async {
        for turn in 0_u64.. {
            // The loop may see the subscription only after the clock was moved, and wait from then on.
            if turn.is_multiple_of(1_000) {
                let due = fixture.clock.now().checked_add(Duration::from_secs(1)).unwrap();
                fixture.clock.set(due);
            }
            let found = fixture.node.troubles(&admin()).await.unwrap();
            if !found.endpoints.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
        unreachable!("it ends with the test's time");
    };
    let found = tokio::time::timeout(SOON, told).await.expect("the endpoint is told of");
    let [one] = found.endpoints.as_slice() else { panic!("one fails: {found:?}") };
    let reason = one.reason.clone().unwrap_or_default();
    assert!(reason.contains("connection") && !reason.contains("secret"), "{reason}");
    let expect =
        EndpointTrouble { endpoint, subscriptions: 1, failing: 1, lag: 0, reason: Some(reason) };
    assert_eq!(*one, expect);
    let anybody = Caller::new(ClientName::new("a").unwrap(), [Right::Read].into_iter().collect());
    assert_eq!(fixture.node.troubles(&anybody).await.unwrap_err().kind(), Kind::Forbidden);
}
