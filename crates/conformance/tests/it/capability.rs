//! The CapabilityStatement, and that it is true.

use cresset_conformance::{
    Client, Options, Reply, Server, Subscribe, Version, encounter, patient, verifies,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::shapes::{admissions, admitted};
use crate::topic_forms::{topic, url};

const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport";
const TOPIC: &str = "http://cresset.test/topics/patient-any";

async fn statement(base: &Client) -> Value {
    let statement = base.read("metadata").await;
    assert_eq!(statement["resourceType"], "CapabilityStatement", "{statement}");
    statement
}

fn resource<'s>(statement: &'s Value, resource_type: &str) -> &'s Value {
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let found: Vec<_> = resources.iter().filter(|one| one["type"] == resource_type).collect();
    assert_eq!(found.len(), 1, "{resource_type}");
    found[0]
}

fn strings(list: &Value, member: &str) -> Vec<String> {
    let text = |one: &Value| one[member].as_str().expect("text").to_owned();
    list.as_array().into_iter().flatten().map(text).collect()
}

/// The topics that a statement names by the guide's extension.
pub(crate) async fn advertised_topics(base: &Client) -> Vec<String> {
    let statement = statement(base).await;
    let url =
        format!("{GUIDE}/StructureDefinition/capabilitystatement-subscriptiontopic-canonical");
    let extensions = resource(&statement, "Subscription")["extension"].as_array();
    let topics = extensions.into_iter().flatten().filter(|one| one["url"] == url);
    topics.map(|one| one["valueCanonical"].as_str().expect("a canonical").to_owned()).collect()
}

#[tokio::test]
async fn each_base_states_its_version() {
    verifies!("RQ-CF-14", "RQ-CF-01");
    let server = Server::start().await;
    for base in server.bases() {
        let reply = base.get("metadata").await.expect(200);
        assert!(reply.header("content-type").starts_with("application/fhir+json"));
        let statement = reply.json();
        assert_eq!(statement["fhirVersion"], base.version.full());
        assert_eq!(statement["kind"], "instance");
        assert_eq!(statement["status"], "active");
        assert!(statement["date"].is_string());
        assert_eq!(statement["implementation"]["url"], base.url);
        let formats = statement["format"].as_array().expect("formats");
        assert!(formats.contains(&"application/fhir+json".into()), "{statement}");
        assert_eq!(statement["rest"].as_array().map(Vec::len), Some(1));
        assert_eq!(statement["rest"][0]["mode"], "server");
        resource(&statement, "Subscription");
    }
}

#[tokio::test]
async fn the_statement_has_what_the_guide_asks_for() {
    verifies!(R4, R4B: "RQ-CF-08", "RQ-CF-09", "RQ-CF-10", "RQ-CF-03");
    let server = Server::start().await;
    for (version, canonical) in [
        (Version::R4, "backport-subscription-server-r4"),
        (Version::R4B, "backport-subscription-server"),
    ] {
        let statement = statement(&server.base(version)).await;
        let canonical = format!("{GUIDE}/CapabilityStatement/{canonical}");
        assert!(
            statement["instantiates"].as_array().is_some_and(|all| all.contains(&json!(canonical)))
        );
        let subscription = resource(&statement, "Subscription");
        let profile = format!("{GUIDE}/StructureDefinition/backport-subscription");
        assert_eq!(subscription["supportedProfile"], json!([profile]));
        let interactions = strings(&subscription["interaction"], "code");
        for code in ["read", "create", "update", "delete", "search-type"] {
            assert!(interactions.iter().any(|one| one == code), "{code}");
        }
        let parameters = strings(&subscription["searchParam"], "definition");
        for code in ["url", "status"] {
            let definition = format!("http://hl7.org/fhir/SearchParameter/Subscription-{code}");
            assert!(parameters.contains(&definition), "{parameters:?}");
        }
        check_operations(subscription, |name| {
            format!("{GUIDE}/OperationDefinition/backport-subscription-{name}")
        });
        if version == Version::R4B {
            let topic = resource(&statement, "SubscriptionTopic");
            let parameters = strings(&topic["searchParam"], "definition");
            for code in ["url", "derived-or-self", "resource", "title"] {
                let definition =
                    format!("http://hl7.org/fhir/SearchParameter/SubscriptionTopic-{code}");
                assert!(parameters.contains(&definition), "{code} in {parameters:?}");
            }
        }
    }
}

fn check_operations(subscription: &Value, definition: impl Fn(&str) -> String) {
    let operations = subscription["operation"].as_array().expect("operations");
    for name in ["status", "events", "get-ws-binding-token"] {
        let found = operations.iter().any(|one| {
            let named = one["name"].as_str().is_some_and(|it| it.trim_start_matches('$') == name);
            named && one["definition"] == definition(name)
        });
        assert!(found, "{name} in {operations:?}");
    }
}

#[tokio::test]
async fn r5_lists_interactions_and_operations() {
    verifies!("RQ-CF-16", "RQ-CF-15");
    let server = Server::start().await;
    let statement = statement(&server.base(Version::R5)).await;
    let subscription = resource(&statement, "Subscription");
    let interactions = strings(&subscription["interaction"], "code");
    for code in ["create", "read", "update", "delete", "search-type"] {
        assert!(interactions.iter().any(|one| one == code), "{code}");
    }
    check_operations(subscription, |name| {
        format!("http://hl7.org/fhir/OperationDefinition/Subscription-{name}")
    });
    let topic = strings(&resource(&statement, "SubscriptionTopic")["interaction"], "code");
    assert!(["read", "search-type"].iter().all(|code| topic.iter().any(|one| one == code)));
}

#[tokio::test]
async fn topics_in_force_are_advertised_in_r4() {
    verifies!("RQ-CF-05", "RQ-OP-60");
    let server = Server::start().await;
    let base = server.base(Version::R4);
    let topics = advertised_topics(&base).await;
    for id in ["encounter-start", "observation-created", "patient-any", "visit-or-finding"] {
        let canonical = format!("http://cresset.test/topics/{id}");
        assert!(topics.iter().any(|one| one.starts_with(&canonical)), "{topics:?}");
    }
    let trigger = json!({"resourceTrigger": [{"resource": "Patient"}]});
    base.save(&topic(Version::R4, "fresh", trigger)).await;
    assert!(advertised_topics(&base).await.contains(&url("fresh")));
    base.remove("Basic/fresh").await;
    assert!(!advertised_topics(&base).await.contains(&url("fresh")));
}

#[tokio::test]
async fn the_status_resource_has_no_place_of_its_own() {
    verifies!("RQ-NB-11", "RQ-OP-64");
    let server = Server::start().await;
    for base in server.bases() {
        let id = base.subscribe(&Subscribe::websocket(TOPIC)).await;
        base.get("SubscriptionStatus").await.refused(404);
        base.get(&format!("SubscriptionStatus/{id}")).await.refused(404);
        let status = json!({"resourceType": "SubscriptionStatus", "type": "heartbeat"});
        base.post("SubscriptionStatus", &status).await.refused(404);
        for path in ["Subscription/$topic-list", "$status", "Patient/$status"] {
            base.get(path).await.refused(404);
        }
        let statement = statement(&base).await;
        let types = strings(&statement["rest"][0]["resource"], "type");
        assert!(!types.iter().any(|one| one == "SubscriptionStatus"));
    }
}

/// A resource of a type that the server takes.
fn example(version: Version, resource_type: &str, id: &str) -> Value {
    match resource_type {
        "Subscription" => Subscribe::websocket(TOPIC).id(id).json(version),
        "SubscriptionTopic" => {
            topic(version, id, json!({"resourceTrigger": [{"resource": "Patient"}]}))
        }
        _ => json!({"resourceType": resource_type, "id": id}),
    }
}

/// A value that can be read as one of this type.
fn value(name: &str, kind: &str) -> &'static str {
    match kind {
        // An id has no system.
        _ if name == "_id" => "x",
        "date" => "2026-01-01",
        "number" => "1",
        "quantity" => "1%7C%7Ckg",
        "reference" => "Patient/p",
        "token" => "http://x.test%7Cx",
        "uri" => "http://x.test",
        "string" => "x",
        other => panic!("no value for {other}"),
    }
}

/// All includes that the statement offers for a type, as many at a time as a search may have.
async fn check_includes(base: &Client, resource: &Value) {
    const AT_A_TIME: usize = 50;
    let resource_type = resource["type"].as_str().expect("a type");
    let texts = |name: &str| -> Vec<String> {
        let all = resource[name].as_array().into_iter().flatten();
        all.map(|one| one.as_str().expect("text").to_owned()).collect()
    };
    for (offered, name) in [("searchInclude", "_include"), ("searchRevInclude", "_revinclude")] {
        for some in texts(offered).chunks(AT_A_TIME) {
            let query: Vec<String> = some.iter().map(|one| format!("{name}={one}")).collect();
            base.get(&format!("{resource_type}?_id=x&{}", query.join("&"))).await.expect(200);
        }
    }
}

/// Searches by a composite, of which the statement does not say what its two or three parts are.
async fn search_for_parts(base: &Client, prefix: &str) -> Value {
    let parts = ["http://x.test%7Cx", "1", "2026-01-01", "Patient/p"];
    let pairs = || parts.iter().flat_map(|a| parts.iter().map(move |b| format!("{a}${b}")));
    let threes = pairs().flat_map(|pair| parts.iter().map(move |part| format!("{pair}${part}")));
    for value in pairs().chain(threes) {
        let reply = base.get(&format!("{prefix}{value}")).await;
        if reply.status == 200 {
            return reply.json();
        }
    }
    panic!("no value is taken at {prefix}");
}

#[tokio::test]
async fn everything_that_the_statement_offers_works() {
    verifies!("RQ-CF-08", "RQ-CF-16");
    // Lenient, it takes resources of every type that have nothing in them.
    let options = Options::default().set("search.index", "all").set("validation.level", "lenient");
    let server = Server::start_with(options).await;
    let work = server.bases().map(|base| async move { check_statement(&base).await });
    futures_util::future::join_all(work).await;
}

async fn check_statement(base: &Client) {
    let statement = statement(base).await;
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    assert!(resources.len() > 100, "{}", resources.len());
    for resource in resources {
        let resource_type = resource["type"].as_str().expect("a type");
        for code in strings(&resource["interaction"], "code") {
            check_interaction(base, resource_type, &code).await;
        }
        assert_eq!(resource["updateCreate"], true, "{resource_type}");
        assert_eq!(resource["versioning"], "versioned-update", "{resource_type}");
        check_conditions(base, resource).await;
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            let kind = parameter["type"].as_str().expect("a type");
            let prefix = format!("{resource_type}?{name}=");
            let found = match kind {
                "composite" => search_for_parts(base, &prefix).await,
                _ => base.get(&format!("{prefix}{}", value(name, kind))).await.expect(200).json(),
            };
            assert_eq!(found["type"], "searchset", "{prefix}");
        }
        check_includes(base, resource).await;
        for name in strings(&resource["operation"], "name") {
            check_operation(base, resource_type, &name).await;
        }
    }
    check_compartments(base, &statement["rest"][0]["compartment"]).await;
    check_formats(base, &statement).await;
    for interaction in strings(&statement["rest"][0]["interaction"], "code") {
        if interaction == "history-system" {
            assert_eq!(base.read("_history?_count=1").await["type"], "history");
            continue;
        }
        if interaction == "search-system" {
            assert_eq!(base.read("?_type=Patient").await["type"], "searchset");
            continue;
        }
        let bundle = json!({"resourceType": "Bundle", "type": interaction});
        base.post("", &bundle).await.expect(200);
    }
}

async fn check_operation(base: &Client, resource_type: &str, name: &str) {
    let version = base.version;
    let of_example = example(version, resource_type, "truth");
    if name == "validate" {
        base.post(&format!("{resource_type}/$validate"), &of_example).await.expect(200);
        return;
    }
    base.save(&match (resource_type, name) {
        ("Subscription", _) => of_example,
        (_, "notify-event") => topic(version, "truth", admissions()),
        _ => topic(version, "truth", json!({"resourceTrigger": [{"resource": "Patient"}]})),
    })
    .await;
    let at = format!("{resource_type}/truth/${name}");
    match name {
        "events" | "get-ws-binding-token" | "status" => drop(base.get(&at).await.expect(200)),
        "explain" => drop(base.get(&format!("{at}?changes=1")).await.expect(200)),
        "notify-event" => {
            base.save(&encounter(version, "admitted", "planned", "p")).await;
            base.post(&at, &admitted("Encounter/admitted", &[])).await.expect(200);
        }
        // There is nothing to send again.
        "resend" => drop(base.get(&at).await.refused(422)),
        other => panic!("{resource_type} offers ${other}, which no test knows"),
    }
    base.remove(&format!("{resource_type}/truth")).await;
}

/// An observation that belongs to one of each is found in each, and in none of another.
async fn check_compartments(base: &Client, urls: &Value) {
    let to = |resource_type: &str| json!({"reference": format!("{resource_type}/c")});
    let shared = json!({
        "resourceType": "Observation",
        "id": "shared",
        "status": "final",
        "code": {"text": "x"},
        "subject": to("Patient"),
        "encounter": to("Encounter"),
        "device": to("Device"),
        "performer": [to("Practitioner"), to("RelatedPerson")],
    });
    base.save(&shared).await;
    let urls = urls.as_array().expect("compartments");
    assert_eq!(urls.len(), 5, "{urls:?}");
    for url in urls {
        let url = url.as_str().expect("a canonical");
        let path = url.strip_prefix("http://hl7.org/fhir/").expect("one of HL7's");
        let definition = base.read(path).await;
        let of = definition["code"].as_str().expect("a type");
        let found = base.read(&format!("{of}/c/Observation")).await;
        let ids = found["entry"].as_array().into_iter().flatten().map(|one| &one["resource"]["id"]);
        assert_eq!(ids.collect::<Vec<_>>(), ["shared"], "{of}: {found}");
        let none = base.read(&format!("{of}/nobody/Observation")).await;
        assert!(none.get("entry").is_none(), "{of}: {none}");
    }
}

/// What is said of conditions holds for the type.
async fn check_conditions(base: &Client, resource: &Value) {
    let resource_type = resource["type"].as_str().expect("a type");
    let criteria = format!("{resource_type}?_id=truth");
    let body = example(base.version, resource_type, "truth");
    let send = |method: Method| base.request(method, &criteria).json(&body).send();
    assert_eq!(resource["conditionalUpdate"], true, "{resource_type}");
    let version = send(Method::PUT).await;
    assert!(matches!(version.status, 200 | 201), "{version}");
    assert_eq!(resource["conditionalCreate"], true, "{resource_type}");
    let create = base.request(Method::POST, resource_type).json(&body);
    create.header("if-none-exist", "_id=truth").send().await.expect(200);
    assert_eq!(resource["conditionalRead"], "full-support", "{resource_type}");
    let read = base.request(Method::GET, &format!("{resource_type}/truth"));
    read.header("if-none-match", version.header("etag")).send().await.expect(304);
    // Before R5 there is no word for it.
    assert_eq!(
        resource["conditionalPatch"] == true,
        base.version == Version::R5,
        "{resource_type}"
    );
    let patch = base.request(Method::PATCH, &criteria);
    patch.body_as("[]", "application/json-patch+json").send().await.expect(200);
    assert_eq!(resource["conditionalDelete"], "single", "{resource_type}");
    base.delete(&criteria).await.expect(204);
    base.get(&format!("{resource_type}/truth")).await.refused(410);
    assert_eq!(resource["readHistory"], true, "{resource_type}");
    let number = version.header("etag").trim_start_matches("W/").trim_matches('"');
    base.get(&format!("{resource_type}/truth/_history/{number}")).await.expect(200);
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|one| one.as_str().expect("text")).collect()
}

/// What is said has each of the formats told of, and patches are read in each of theirs.
async fn check_formats(base: &Client, statement: &Value) {
    let formats = texts(&statement["format"]);
    assert!(formats.contains(&"json") && formats.contains(&"xml"), "{formats:?}");
    for format in formats {
        let asked = format!("metadata?_format={}", format.replace('+', "%2B"));
        let reply = base.get(&asked).await.expect(200);
        let said = if format.ends_with("xml") { "xml" } else { "json" };
        let content_type = reply.header("content-type");
        assert!(content_type.starts_with(&format!("application/fhir+{said}")), "{reply}");
    }
    let formats = texts(&statement["patchFormat"]);
    assert!(formats.contains(&"application/json-patch+json"), "{formats:?}");
    for format in formats {
        let patch = match format {
            "application/fhir+json" => json!({
                "resourceType": "Parameters",
                "parameter": [{"name": "operation", "part": [
                    {"name": "type", "valueCode": "delete"},
                    {"name": "path", "valueString": "Patient.active"},
                ]}],
            })
            .to_string(),
            "application/fhir+xml" => concat!(
                r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>"#,
                r#"<part><name value="type"/><valueCode value="delete"/></part>"#,
                r#"<part><name value="path"/><valueString value="Patient.active"/></part>"#,
                "</parameter></Parameters>"
            )
            .to_owned(),
            "application/json-patch+json" => {
                json!([{"op": "remove", "path": "/active"}]).to_string()
            }
            other => panic!("the statement offers {other}, which no test knows"),
        };
        assert_eq!(base.save(&patient("patched")).await["active"], true);
        let request = base.request(Method::PATCH, "Patient/patched").body_as(patch, format);
        assert_eq!(request.send().await.expect(200).json().get("active"), None, "{format}");
    }
}

async fn check_interaction(base: &Client, resource_type: &str, code: &str) {
    let path = format!("{resource_type}/truth");
    let body = example(base.version, resource_type, "truth");
    let put = async |status: [u16; 2]| -> Reply {
        let reply = base.put(&path, &body).await;
        assert!(status.contains(&reply.status), "{reply}");
        reply
    };
    match code {
        "create" => drop(
            base.post(resource_type, &example(base.version, resource_type, "x")).await.expect(201),
        ),
        "update" => drop(put([200, 201]).await),
        "read" => {
            put([200, 201]).await;
            base.get(&path).await.expect(200);
        }
        "vread" => {
            let reply = put([200, 201]).await;
            base.get(reply.header("location")).await.expect(200);
        }
        "history-instance" => {
            put([200, 201]).await;
            let history = base.read(&format!("{path}/_history")).await;
            assert_eq!(history["type"], "history");
        }
        "history-type" => {
            put([200, 201]).await;
            let history = base.read(&format!("{resource_type}/_history?_count=1")).await;
            assert_eq!(history["entry"].as_array().map(Vec::len), Some(1), "{history}");
        }
        "patch" => {
            put([200, 201]).await;
            let patch =
                base.request(Method::PATCH, &path).body_as("[]", "application/json-patch+json");
            patch.send().await.expect(200);
        }
        "search-type" => {
            put([200, 201]).await;
            let found = base.read(&format!("{resource_type}?_id=truth")).await;
            assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
        }
        "delete" => {
            put([200, 201]).await;
            base.delete(&path).await.expect(204);
            base.get(&path).await.refused(410);
        }
        other => panic!("{resource_type} offers {other}, which no test knows"),
    }
}

#[tokio::test]
async fn what_the_statement_does_not_offer_is_refused() {
    let server = Server::start().await;
    for base in server.bases() {
        let statement = statement(&base).await;
        let offered = strings(&resource(&statement, "Location")["searchParam"], "name");
        for code in ["near", "_content", "_text", "_filter"] {
            assert!(!offered.iter().any(|one| one == code), "it has no expression");
            base.get(&format!("Location?{code}=1")).await.refused(400);
        }
    }
}
