//! The OpenAPI description: it says what the CapabilityStatement says, and Schemathesis makes
//! thousands of requests of it that never meet an error of the server's.

use std::collections::BTreeSet;
use std::time::Duration;

use cresset_conformance::{
    Client, Options, Server, Subscribe, Version, observation, patient, schemathesis, verifies,
};
use serde_json::{Value, json};

use crate::topic_forms::topic;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// Requests of each operation, in each of the ways that Schemathesis makes them.
const REQUESTS_MAX: u32 = 5;

/// Far more than it takes on a busy machine.
const TIME_MAX: Duration = Duration::from_mins(8);
const TIME_BY_HAND_MAX: Duration = Duration::from_mins(600);

fn members(value: &Value) -> BTreeSet<String> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn texts(values: &Value, member: &str) -> BTreeSet<String> {
    let values = values.as_array().into_iter().flatten();
    values.filter_map(|value| value[member].as_str()).map(str::to_owned).collect()
}

fn strings(values: &Value) -> BTreeSet<String> {
    let values = values.as_array().into_iter().flatten();
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The definitions of the compartments that have such a path.
fn compartments_at(base: &Client, paths: &Value, path: &str) -> BTreeSet<String> {
    let root = format!("/{}/", base.version);
    let paths = members(paths);
    let types = paths.iter().filter_map(|one| one.strip_prefix(&root)?.strip_suffix(path));
    types
        .map(|name| {
            let (first, rest) = name.split_at(1);
            let first = first.to_ascii_lowercase();
            format!("http://hl7.org/fhir/CompartmentDefinition/{first}{rest}")
        })
        .collect()
}

#[tokio::test]
async fn the_description_says_what_the_capability_statement_says() {
    verifies!("RQ-CF-08");
    let server = Server::start().await;
    for base in server.bases() {
        let stated = base.read("metadata").await;
        let described = base.read("openapi.json").await;
        let paths = &described["paths"];
        for resource in stated["rest"][0]["resource"].as_array().expect("types") {
            let name = resource["type"].as_str().expect("a type");
            let root = format!("/{}/{name}", base.version);
            let parameters = texts(&paths[&root]["get"]["parameters"], "name");
            let mut searched = texts(&resource["searchParam"], "name");
            searched.remove("_lastUpdated");
            assert_eq!(parameters, searched, "{root}");
            for operation in texts(&resource["operation"], "name") {
                let anywhere =
                    [format!("{root}/${operation}"), format!("{root}/{{id}}/${operation}")];
                assert!(anywhere.iter().any(|path| paths.get(path).is_some()), "{anywhere:?}");
            }
            let methods = members(&paths[format!("{root}/{{id}}")]);
            assert_eq!(methods.into_iter().collect::<Vec<_>>(), ["delete", "get", "patch", "put"]);
        }
        let compartments = strings(&stated["rest"][0]["compartment"]);
        assert_eq!(compartments.len(), 5, "{compartments:?}");
        for path in ["/{id}/{type}", "/{id}/{type}/_search"] {
            assert_eq!(compartments_at(&base, paths, path), compartments, "{path}");
        }
        let audit = format!("/admin/audit/{}", base.version);
        assert!(paths.get(&audit).is_some(), "{audit}");
        let one = base.read("openapi.json?_type=Patient").await;
        assert!(members(&one["paths"]).is_subset(&members(paths)));
        base.get("openapi.json?_type=Nothing").await.refused(400);
    }
}

/// Resources under the ids that the requests go for half of the time
/// (`clients/python/requests_hooks.py`).
async fn fill(base: &Client) {
    base.save(&patient("a")).await;
    base.save(&observation("a", "a", 70.0)).await;
    base.save(&Subscribe::websocket(TOPIC).id("a").json(base.version)).await;
    let trigger = json!({"resourceTrigger": [{"resource": "Patient"}]});
    base.save(&topic(base.version, "a", trigger)).await;
}

/// Requests for the base and some of its types; `CRESSET_SCHEMATHESIS_TYPES` names others, for hours by hand
/// (with `cargo test`: nextest ends what takes minutes).
async fn never_an_error(version: Version, types: &str) {
    let server = Server::start_with(Options::default().set("search.index", "all")).await;
    let base = server.base(version);
    fill(&base).await;
    let by_hand = std::env::var("CRESSET_SCHEMATHESIS_TYPES").ok();
    let (types, time_max) = match &by_hand {
        Some(types) => (types.as_str(), TIME_BY_HAND_MAX),
        None => (types, TIME_MAX),
    };
    let url = format!("{}/openapi.json?_type={types}", base.url);
    let told = schemathesis(&url, REQUESTS_MAX, time_max).await;
    let generated = told.lines().find_map(|line| line.trim().split_once(" generated, "));
    let (generated, _) = generated.unwrap_or_else(|| panic!("no summary in {told}"));
    let generated: u32 = generated.parse().unwrap_or_else(|_| panic!("no number in {told}"));
    assert!(generated > 5_000, "{told}");
    assert!(!server.log().contains("a request failed"), "{}", server.log());
}

#[tokio::test]
async fn no_request_that_the_description_of_r4_allows_or_forbids_is_an_error() {
    never_an_error(Version::R4, "Basic,Subscription").await;
}

#[tokio::test]
async fn no_request_that_the_description_of_r4b_allows_or_forbids_is_an_error() {
    never_an_error(Version::R4B, "Subscription,SubscriptionTopic").await;
}

#[tokio::test]
async fn no_request_that_the_description_of_r5_allows_or_forbids_is_an_error() {
    never_an_error(Version::R5, "Patient,Subscription").await;
}
