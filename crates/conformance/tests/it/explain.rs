//! `$explain`, `cresset explain` and `cresset topic check`.

use std::process::Command;

use cresset_conformance::{
    Client, Filter, Options, Server, Subscribe, Version, cresset, encounter, set, verifies,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::topic_forms::{path, topic, url};

/// What must be in no log.
const MARKER: &str = "marker-of-a-patient-7731";

fn parts<'v>(of: &'v Value, name: &str) -> Vec<&'v Value> {
    let parts = of["parameter"].as_array().or_else(|| of["part"].as_array()).expect("parts");
    parts.iter().filter(|part| part["name"] == name).collect()
}

fn text(of: &Value, name: &str) -> String {
    let part = parts(of, name)[0].as_object().expect("an object");
    let (_, value) = part.iter().find(|(name, _)| name.starts_with("value")).expect("a value");
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A topic of ended encounters with a filter for patients, and a subscription for `p`.
async fn subscribed(base: &Client) -> String {
    let criteria = json!({
        "previous": "status:not=cancelled", "current": "status=cancelled",
        "resultForCreate": "test-passes", "requireBoth": true,
    });
    let members = json!({
        "resourceTrigger": [{"resource": "Encounter", "queryCriteria": criteria}],
        "canFilterBy": [
            {"resource": "Encounter", "filterParameter": "patient"},
            {"resource": "Encounter", "filterParameter": "identifier"},
        ],
    });
    base.save(&topic(base.version, "ended", members)).await;
    let filters = [Filter::new("patient", "Patient/p"), Filter::new("identifier", MARKER)];
    let filters = filters.map(|filter| filter.of("Encounter"));
    let subscribe = Subscribe::websocket(&url("ended"));
    base.subscribe(&filters.into_iter().fold(subscribe, Subscribe::filter)).await
}

fn cancelled(base: &Client, id: &str, patient: &str) -> Value {
    let mut cancelled = encounter(base.version, id, "cancelled", patient);
    set(&mut cancelled, "/identifier", json!([{"value": MARKER}]));
    cancelled
}

#[tokio::test]
async fn an_explanation_shows_each_criterion_and_filter_with_what_it_saw() {
    verifies!("RQ-TP-24", "RQ-FL-05");
    let server = Server::start().await;
    for base in server.bases() {
        let subscription = subscribed(&base).await;
        let operation = format!("Subscription/{subscription}/$explain");
        base.save(&cancelled(&base, "a", "p")).await;
        base.save(&cancelled(&base, "b", "q")).await;
        let explained =
            base.get(&format!("{operation}?focus=Encounter/a")).await.expect(200).json();
        assert_eq!(text(&explained, "verdict"), "holds", "{explained}");
        let states = json!({"resourceType": "Parameters", "parameter": [
            {"name": "previous", "resource": cancelled(&base, "c", "q")},
            {"name": "current", "resource": cancelled(&base, "c", "q")},
        ]});
        let explained = base.post(&operation, &states).await.expect(200).json();
        assert_eq!(text(&explained, "verdict"), "fails", "{explained}");
        let trigger = parts(&explained, "trigger")[0];
        let criteria: Vec<_> =
            parts(trigger, "criterion").into_iter().map(|one| text(one, "verdict")).collect();
        assert_eq!(
            (text(trigger, "verdict").as_str(), criteria),
            ("fails", vec!["fails".to_owned(), "holds".to_owned()])
        );
        let filters: Vec<_> = parts(&explained, "filter")
            .into_iter()
            .map(|one| (text(one, "verdict"), text(one, "value")))
            .collect();
        assert_eq!(filters[0].0, "fails");
        assert!(filters[0].1.contains("Patient/q") && filters[1].1.contains(MARKER), "{filters:?}");
        let newest = base.get(&format!("{operation}?changes=50")).await.expect(200).json();
        assert_eq!(text(&newest, "events"), "1", "{newest}");
        assert_eq!(text(parts(&newest, "change")[0], "focus"), "Encounter/a/_history/1");
        let on_topic = format!("{}/$explain?changes=50", path(base.version, "ended"));
        assert_eq!(text(&base.read(&on_topic).await, "events"), "2");
        for bad in
            ["", "?changes=0", "?changes=1001", "?changes=1&focus=Encounter/a", "?nonsense=1"]
        {
            base.get(&format!("{operation}{bad}")).await.refused(400);
        }
        base.get(&format!("{operation}?focus=Encounter/none")).await.refused(404);
        base.get("Encounter/a/$explain?changes=1").await.refused(404);
        let metadata = base.read("metadata").await;
        let resources = metadata["rest"][0]["resource"].as_array().expect("resources");
        let entry = resources.iter().find(|one| one["type"] == "Subscription").expect("an entry");
        let operations = entry["operation"].as_array().expect("operations");
        assert!(operations.iter().any(|one| one["name"] == "explain"), "{operations:?}");
        assert_eq!(base.count(&subscription).await, 1, "explaining is no event");
    }
    assert!(!server.log().contains(MARKER), "{}", server.log());
}

fn run(mut command: Command) -> (i32, String, String) {
    let output = command.output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_a_server_for_explanations() {
    let options = Options::default().client("us", "a-token-of-some-length", &["admin"]);
    let server = Server::start_with(options).await;
    let folder = tempfile::tempdir().expect("a folder");
    for version in Version::ALL {
        let base = server.base(version).with_bearer("a-token-of-some-length");
        let subscription = subscribed(&base).await;
        base.save(&cancelled(&base, "a", "p")).await;
        let file = folder.path().join("state.json");
        std::fs::write(&file, cancelled(&base, "a", "q").to_string()).expect("written");
        let file = file.display().to_string();
        let explain = |more: &[&str], token: &str| {
            let version = version.to_string();
            let mut all = vec!["explain", "--server", server.url(), "--fhir-version", &version];
            all.extend(more);
            let mut command = cresset(&all);
            command.env("CRESSET_TOKEN", token);
            run(command)
        };
        let token = "a-token-of-some-length";
        let on = ["--subscription", &subscription];
        let (code, text, _) = explain(&[on[0], on[1], "--focus", "Encounter/a"], token);
        assert!(
            code == 0 && text.starts_with("holds: ") && text.contains("saw cancelled"),
            "{text}"
        );
        let (_, text, _) = explain(&[on[0], on[1], "--current", &file], token);
        assert!(text.starts_with("fails: ") && text.contains("Patient/q"), "{text}");
        let (_, text, _) = explain(&["--topic", "ended", "--changes", "9"], token);
        assert!(text.contains(" 1 events\n\nEncounter/a/_history/1 at "), "{text}");
        let (_, text, _) = explain(&[on[0], on[1], "--changes", "9", "--json"], token);
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["resourceType"], "Parameters");
        let (code, _, error) =
            explain(&[on[0], on[1], "--changes", "9"], "another-token-altogether");
        assert!(code == 1 && error.contains("401"), "{error}");
    }
}

#[tokio::test]
async fn topics_are_checked_without_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    let members = json!({
        "resourceTrigger": [{"resource": "Encounter", "supportedInteraction": ["create", "update"],
            "fhirPathCriteria": "%previous.status != 'x' and %current.status = 'x'"}],
    });
    let broken = json!({"resourceTrigger": [{"resource": "Encounter", "fhirPathCriteria": "%current.stauts = 'x'"}]});
    for version in Version::ALL {
        for (name, members) in [("warned", &members), ("broken", &broken)] {
            let file = folder.path().join(format!("{version}-{name}.json"));
            std::fs::write(&file, topic(version, name, members.clone()).to_string())
                .expect("written");
            files.push(file.display().to_string());
        }
    }
    let (warned, broken): (Vec<&str>, Vec<&str>) =
        files.iter().map(String::as_str).partition(|file| file.contains("warned"));
    let check = |more: &[&str], files: &[&str]| {
        let mut all = vec!["topic", "check"];
        all.extend(more.iter().chain(files));
        run(cresset(&all))
    };
    let (code, text, _) = check(&[], &warned);
    assert!(code == 0 && text.matches("warning S0029").count() == 3, "{text}");
    assert_eq!(check(&["--deny-warnings"], &warned).0, 1);
    let (code, text, _) = check(&[], &broken);
    let at = "error S0025 SubscriptionTopic.resourceTrigger[0].fhirPathCriteria";
    // R4B and R5 have other elements, so the issue of one file is told for each.
    assert!(
        code == 2
            && text.matches(at).count() == 5
            && text.contains("(at offset 9), before `stauts = 'x'`"),
        "{text}"
    );
    let (code, text, _) = check(&["--json"], &[warned[0], broken[0], "no-such-file"]);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, json.as_array().map(Vec::len)), (2, Some(3)), "{json}");
    assert_eq!(
        (&json[0]["form"], &json[1]["issues"][0]["severity"]),
        (&json!("Basic"), &json!("error"))
    );
}

#[tokio::test]
async fn a_client_that_asks_for_the_outcome_sees_the_warnings() {
    verifies!("RQ-TP-06");
    let server = Server::start().await;
    for base in server.bases() {
        let members = json!({"resourceTrigger": [
            {"resource": "Encounter", "queryCriteria": {"previous": "status=planned", "current": "status=cancelled"}},
        ]});
        let put = base.request(Method::PUT, &path(base.version, "surprising"));
        let stored = topic(base.version, "surprising", members);
        let reply =
            put.header("prefer", "return=OperationOutcome").json(&stored).send().await.expect(201);
        let issue = &reply.json()["issue"][0];
        assert_eq!(issue["severity"], "warning", "{reply}");
        assert_eq!(issue["expression"][0], "SubscriptionTopic.resourceTrigger[0].queryCriteria");
    }
}
