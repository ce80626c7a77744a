//! Expressions that are too long, too deep or too costly: refused or bounded.

use cresset_conformance::{Client, Server, Subscribe, encounter, set, verifies};
use serde_json::{Value, json};

use crate::topic_forms::{path, topic, url};

fn with_expression(base: &Client, id: &str, expression: &str) -> Value {
    let trigger = json!({"resource": "Encounter", "fhirPathCriteria": expression});
    topic(base.version, id, json!({"resourceTrigger": [trigger]}))
}

#[tokio::test]
async fn expressions_that_cannot_be_compiled_are_refused_with_their_place() {
    verifies!("RQ-TP-06");
    let server = Server::start().await;
    let cases = [
        ("100,000 characters", "a".repeat(100_000)),
        ("nested 10,000 deep", format!("{}true{}", "(".repeat(10_000), ")".repeat(10_000))),
        ("nested within the length", format!("{}true{}", "(".repeat(4_000), ")".repeat(4_000))),
        ("functions nested", "iif(true,".repeat(1_000)),
        ("a terminology function", "%current.type.memberOf('http://x.test/vs')".to_owned()),
        ("a profile", "%current.conformsTo('http://x.test/profile')".to_owned()),
        ("a clock", "%current.period.start < now()".to_owned()),
        ("an unknown element", "%current.stauts = 'planned'".to_owned()),
        ("an unknown function", "%current.status.frobnicate()".to_owned()),
        ("a pattern that is none", "%current.id.matches('(')".to_owned()),
        ("a year 0000", "%current.id.toString() = 'x' and @0000-01-01 < @2020".to_owned()),
        ("no end", "%current.status = 'planned".to_owned()),
    ];
    for base in server.bases() {
        for (what, expression) in &cases {
            let id = "bad";
            let reply =
                base.put(&path(base.version, id), &with_expression(&base, id, expression)).await;
            assert_eq!(reply.status, 422, "{what}: {reply}");
            reply.refused_at(422, "fhirPathCriteria");
        }
        base.get(&path(base.version, "bad")).await.refused(404);
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_version_of_a_topic_is_not_told_of_another() {
    verifies!("RQ-TP-29");
    let server = Server::start().await;
    for base in server.bases() {
        let versioned = |id: &str, number: &str, expression: &str| {
            let trigger = json!({"resource": "Encounter", "fhirPathCriteria": expression});
            let members =
                json!({"url": url("both"), "version": number, "resourceTrigger": [trigger]});
            topic(base.version, id, members)
        };
        let runs_away = "%current.repeatAll($this).exists()";
        base.save(&versioned("bad", "1.0.0", runs_away)).await;
        base.save(&versioned("good", "2.0.0", "%current.status.exists()")).await;
        let named = async |end: &str| {
            base.subscribe(&Subscribe::websocket(&format!("{}{end}", url("both")))).await
        };
        let (bad, good, newest) = (named("|1.0.0").await, named("|2.0.0").await, named("").await);
        base.save(&encounter(base.version, "e", "planned", "p")).await;
        for (id, is_well, count) in [(&bad, false, 0), (&good, true, 1), (&newest, true, 1)] {
            let status = base.status(id).await;
            assert_eq!((status.errors.is_empty(), status.count), (is_well, count), "{status:?}");
        }
    }
}

#[tokio::test]
async fn expressions_that_run_away_are_stopped_and_reported() {
    verifies!("RQ-TP-29");
    let server = Server::start().await;
    let cases = [
        ("repeat", "%current.descendants().repeat($this.toString() & 'a').exists()"),
        ("repeat-all", "%current.repeatAll($this).exists()"),
        (
            "product",
            "%current.descendants().select(%current.descendants().select(%current.descendants().select(%current.descendants()))).exists()",
        ),
        // Backtracking engines need 2^30 steps for this; it simply does not match.
        ("pattern", "%current.identifier.value.first().matches('^(a+)+$')"),
    ];
    for base in server.bases() {
        for (id, expression) in cases {
            base.put(&path(base.version, id), &with_expression(&base, id, expression))
                .await
                .expect(201);
            let subscription = base.subscribe(&Subscribe::websocket(&url(id))).await;
            let mut resource = encounter(base.version, "e", "planned", "p");
            let value = format!("{}!", "a".repeat(5_000));
            set(&mut resource, "/identifier", json!([{"value": value}, {"value": "x"}]));
            base.save(&resource).await;
            let status = base.status(&subscription).await;
            assert_eq!(status.count, 0, "{id}: {status:?}");
            assert_eq!(status.errors.is_empty(), id == "pattern", "{id}: {status:?}");
            base.remove(&path(base.version, id)).await;
        }
    }
}
