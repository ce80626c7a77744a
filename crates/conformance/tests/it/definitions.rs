//! The definitions that the CapabilityStatement refers to: all of them are served.

use cresset_conformance::{Client, Options, Server, Subscribe, Version, verifies};
use reqwest::Method;
use serde_json::{Value, json};

const OWN: &str = "https://cresset.dev/fhir/";
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/";
const TOPIC: &str = "http://cresset.test/topics/patient-any";
const HL7_PARAMETERS: &str = "http://hl7.org/fhir/SearchParameter/";

async fn resources(base: &Client) -> Vec<Value> {
    let statement = base.read("metadata").await;
    statement["rest"][0]["resource"].as_array().expect("resources").clone()
}

/// What the resources of a statement refer to under a member, each once.
fn named(resources: &[Value], member: &str) -> Vec<String> {
    let lists = resources.iter().flat_map(|one| one[member].as_array().into_iter().flatten());
    let mut all: Vec<String> =
        lists.map(|one| one["definition"].as_str().expect("a canonical").to_owned()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Refuses what has not the form of its type in this version.
async fn check_form(base: &Client, resource: &Value) {
    let resource_type = resource["resourceType"].as_str().expect("a type");
    let outcome = base.post(&format!("{resource_type}/$validate"), resource).await.expect(200);
    let outcome = outcome.json();
    let issues = outcome["issue"].as_array().expect("issues");
    assert!(issues.iter().all(|one| one["severity"] == "information"), "{outcome}\n{resource}");
}

fn found(page: &Value) -> Vec<&str> {
    let entries = page["entry"].as_array().into_iter().flatten();
    entries.map(|one| one["resource"]["id"].as_str().expect("an id")).collect()
}

/// What a canonical means here: found by it, and read by its id.
async fn resolve(base: &Client, url: &str) -> Value {
    let path: Vec<&str> = url.rsplitn(3, '/').collect();
    let (id, resource_type) = (path[0], path[1]);
    let page = base.read(&format!("{resource_type}?url={url}")).await;
    assert_eq!(found(&page), [id], "{url}");
    let definition = base.read(&format!("{resource_type}/{id}")).await;
    assert_eq!(definition["url"], url);
    check_form(base, &definition).await;
    definition
}

#[tokio::test]
async fn the_operations_are_defined_here() {
    verifies!("RQ-CF-08", "RQ-CF-16");
    let server = Server::start().await;
    for base in server.bases() {
        let resources = resources(&base).await;
        let urls = named(&resources, "operation");
        assert!(urls.contains(&format!("{OWN}OperationDefinition/explain")), "{urls:?}");
        for url in urls {
            let definition = resolve(&base, &url).await;
            let name = definition["code"].as_str().expect("a code");
            let of = definition["resource"].as_array().expect("types");
            for resource in &resources {
                let operations = resource["operation"].as_array().into_iter().flatten();
                let offered = operations.filter(|one| one["definition"] == url.as_str());
                let names: Vec<&Value> = offered.map(|one| &one["name"]).collect();
                let is_of = of.contains(&resource["type"]) || of.contains(&"Resource".into());
                assert_eq!(names, if is_of { vec![name] } else { vec![] }, "{url} of {resource}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_guide_defines_of_subscriptions_is_defined_here() {
    verifies!("RQ-CF-09", "RQ-CF-10", "RQ-CF-11");
    let server = Server::start().await;
    for base in server.bases().into_iter().filter(|base| base.version.is_backport()) {
        let statement = base.read("metadata").await;
        let text = |one: &Value| one.as_str().expect("a canonical").to_owned();
        let mut urls: Vec<String> = ["instantiates", "implementationGuide"]
            .iter()
            .flat_map(|name| statement[*name].as_array().expect("canonicals"))
            .map(text)
            .collect();
        let resources = statement["rest"][0]["resource"].as_array().expect("resources");
        let profiles = resources.iter().filter_map(|one| one["supportedProfile"].as_array());
        urls.extend(profiles.flatten().map(text));
        let topics = resources.iter().filter_map(|one| one["extension"].as_array()).flatten();
        urls.extend(topics.map(|one| text(&one["url"])));
        // What notifications and statuses say of themselves.
        base.save(&Subscribe::websocket(TOPIC).id("told").json(base.version)).await;
        for path in ["Subscription/told/$events", "Subscription/told/$status"] {
            profiles_in(&base.read(path).await, &mut urls);
        }
        urls.sort_unstable();
        urls.dedup();
        assert!(urls.len() >= 4, "{urls:?}");
        while let Some(url) = urls.pop() {
            let definition = resolve(&base, &url).await;
            // What profiles are made of.
            let elements = definition["differential"]["element"].as_array();
            let types = elements.into_iter().flatten().filter_map(|one| one["type"].as_array());
            let of_types = types.flatten().filter_map(|one| one["profile"].as_array()).flatten();
            urls.extend(of_types.map(text));
        }
        let set = resolve(&base, &format!("{GUIDE}ValueSet/backport-content-value-set")).await;
        resolve(&base, set["compose"]["include"][0]["system"].as_str().expect("a system")).await;
    }
}

#[tokio::test]
async fn the_compartments_are_defined_here() {
    verifies!("RQ-CF-08", "RQ-CF-16");
    let server = Server::start().await;
    for base in server.bases() {
        let statement = base.read("metadata").await;
        let urls = statement["rest"][0]["compartment"].as_array().expect("compartments");
        assert_eq!(urls.len(), 5, "{urls:?}");
        let resources = resources(&base).await;
        let observations =
            resources.iter().find(|one| one["type"] == "Observation").expect("a type");
        for url in urls {
            let definition = resolve(&base, url.as_str().expect("a canonical")).await;
            let of = definition["resource"].as_array().expect("types");
            let observation = of.iter().find(|one| one["code"] == "Observation");
            let offered = observations["searchParam"].as_array().expect("parameters");
            for code in observation.expect("it belongs to all")["param"].as_array().expect("codes")
            {
                assert!(offered.iter().any(|one| one["name"] == *code), "{code} in {url}");
            }
        }
    }
}

fn profiles_in(value: &Value, found: &mut Vec<String>) {
    let named = value["meta"]["profile"].as_array().into_iter().flatten();
    found.extend(named.map(|one| one.as_str().expect("a canonical").to_owned()));
    for entry in value["entry"].as_array().into_iter().flatten() {
        profiles_in(&entry["resource"], found);
    }
}

#[tokio::test]
async fn the_extensions_and_codes_of_our_own_are_defined_here() {
    let server = Server::start().await;
    for base in server.bases() {
        for path in [
            "CodeSystem/channel-type",
            "StructureDefinition/event-code",
            "StructureDefinition/filters-choose-types",
            "StructureDefinition/subscription-retry-period",
        ] {
            let definition = base.read(path).await;
            assert_eq!(definition["url"], format!("{OWN}{path}"));
            check_form(&base, &definition).await;
            let (resource_type, id) = path.split_once('/').expect("a type and an id");
            let page = base.read(&format!("{resource_type}?url={OWN}{path}")).await;
            assert_eq!(found(&page), [id]);
        }
        let xml = base.request(Method::GET, "CodeSystem/channel-type");
        let xml = xml.header("accept", "application/fhir+xml").send().await.expect(200);
        assert!(xml.header("content-type").starts_with("application/fhir+xml"), "{xml}");
    }
}

/// That the parameters can be used, on every type and in every version, is tested beside the statement.
#[tokio::test]
async fn each_search_parameter_that_is_offered_is_defined_here() {
    verifies!("RQ-CF-08", "RQ-CF-16");
    let server = Server::start().await;
    let work = server.bases().map(|base| async move { check_parameters(&base).await });
    futures_util::future::join_all(work).await;
}

async fn check_parameters(base: &Client) {
    let resources = resources(base).await;
    for url in named(&resources, "searchParam") {
        // Those of the base specification, and in R4 and R4B of the guide.
        let (_, id) = url.rsplit_once('/').expect("a canonical");
        let definition = base.read(&format!("SearchParameter/{id}")).await;
        assert_eq!(definition["url"], url.as_str());
        check_form(base, &definition).await;
        let types = definition["base"].as_array().expect("types");
        for resource in &resources {
            let offered = resource["searchParam"].as_array().into_iter().flatten();
            for one in offered.filter(|one| one["definition"] == url.as_str()) {
                assert_eq!(one["name"], definition["code"], "{url}");
                assert_eq!(one["type"], definition["type"], "{url}");
                let of_all = ["DomainResource", "Resource"].map(Value::from);
                let is_base = types.contains(&resource["type"])
                    || of_all.iter().any(|abstract_type| types.contains(abstract_type));
                assert!(is_base, "{url} of {}", resource["type"]);
            }
        }
    }
}

#[tokio::test]
async fn the_modifiers_and_comparators_that_a_definition_tells_of_can_be_asked() {
    verifies!("RQ-CF-08", "RQ-CF-16");
    let server = Server::start_with(Options::default().set("search.index", "all")).await;
    for base in server.bases() {
        save_sets(&base).await;
        for (resource_type, code, value) in [
            ("Observation", "subject", ""),
            ("Observation", "value-quantity", "1"),
            ("Patient", "birthdate", "2026-01-01"),
            ("Patient", "family", ""),
            ("Patient", "identifier", ""),
            ("ValueSet", "url", ""),
        ] {
            let named = format!("SearchParameter?code={code}&base={resource_type}");
            let page = base.read(&named).await;
            assert_eq!(found(&page).len(), 1, "{page}");
            let definition = &page["entry"][0]["resource"];
            let kind = definition["type"].as_str().expect("a type");
            let modifiers = codes(&definition["modifier"]);
            assert!(modifiers.contains(&"missing"), "{definition}");
            for modifier in modifiers {
                let value = value_for(modifier, kind);
                let asked = format!("{resource_type}?{code}:{modifier}={value}");
                base.get(&asked).await.expect(200);
            }
            let comparators = codes(&definition["comparator"]);
            assert_eq!(comparators.is_empty(), value.is_empty(), "{definition}");
            for comparator in comparators {
                base.get(&format!("{resource_type}?{code}={comparator}{value}")).await.expect(200);
            }
        }
    }
}

/// What [`value_for`] asks about, which has to be there.
async fn save_sets(base: &Client) {
    for resource in [
        json!({
            "resourceType": "CodeSystem", "id": "c", "url": "http://x.test", "status": "active",
            "content": "complete", "concept": [{"code": "x"}],
        }),
        json!({
            "resourceType": "ValueSet", "id": "v", "url": "http://x.test/set", "status": "active",
            "compose": {"include": [{"system": "http://x.test"}]},
        }),
        json!({"resourceType": "List", "id": "l", "status": "current", "mode": "working"}),
        json!({"resourceType": "Location", "id": "l"}),
    ] {
        base.save(&resource).await;
    }
}

fn codes(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|one| one.as_str().expect("a code")).collect()
}

/// A value that can be read with a modifier on a parameter of this type.
fn value_for(modifier: &str, kind: &str) -> &'static str {
    match (modifier, kind) {
        ("missing", _) => "true",
        ("of-type" | "ofType", _) => "http://x.test%7Cx%7C1",
        ("identifier", _) | ("above" | "below" | "not", "token") => "http://x.test%7Cx",
        ("in" | "not-in", "token") => "http://x.test/set",
        ("in" | "not-in", _) => "List/l",
        ("above" | "below" | "contains", "uri") => "http://x.test",
        ("above" | "below", _) => "Location/l",
        ("type", _) => "Patient/p",
        _ => "x",
    }
}

#[tokio::test]
async fn search_parameters_are_found_by_what_names_them() {
    let server = Server::start().await;
    for base in server.bases() {
        let page = base.read(&format!("SearchParameter?url={HL7_PARAMETERS}clinical-code")).await;
        assert_eq!(found(&page), ["clinical-code"]);
        assert_eq!(page["total"], 1);
        let page = base.read("SearchParameter?_id=Observation-value-concept").await;
        assert_eq!(found(&page), ["Observation-value-concept"]);
        let page = base.read("SearchParameter?code=birthdate&base=Patient&type=date").await;
        let birthdate = found(&page);
        assert!(birthdate.len() == 1 && birthdate[0].ends_with("birthdate"), "{birthdate:?}");
        let page = base.read("SearchParameter?type=token&_count=3").await;
        assert!(page["total"].as_u64().is_some_and(|total| total > 100), "{page}");
        let outcome = page["entry"].as_array().expect("entries").last().expect("one");
        assert_eq!(outcome["search"]["mode"], "outcome", "what has no room is told of");
        let count = base.read("SearchParameter?type=token&_summary=count").await;
        assert_eq!(count["total"], page["total"]);
        // All else is about what clients stored.
        assert_eq!(base.read("SearchParameter").await["total"], 0);
        for code in ["near", "_text", "_content", "_filter"] {
            let page = base.read(&format!("SearchParameter?code={code}")).await;
            assert!(found(&page).is_empty(), "{code} is not supported");
        }
    }
}

#[tokio::test]
async fn what_a_client_stores_hides_the_servers_own() {
    let server = Server::start().await;
    for base in server.bases() {
        let id = "channel-type";
        let own = base.read(&format!("CodeSystem/{id}")).await;
        let mine = json!({
            "resourceType": "CodeSystem", "id": id, "url": own["url"], "status": "draft",
            "content": "complete",
        });
        base.save(&mine).await;
        assert_eq!(base.read(&format!("CodeSystem/{id}")).await["status"], "draft");
        let page = base.read(&format!("CodeSystem?_id={id}")).await;
        assert_eq!(found(&page), [id]);
        assert_eq!(page["entry"][0]["resource"]["status"], "draft");
        base.remove(&format!("CodeSystem/{id}")).await;
        assert_eq!(base.read(&format!("CodeSystem/{id}")).await, own);
        assert_eq!(found(&base.read(&format!("CodeSystem?_id={id}")).await), [id]);
        base.get(&format!("CodeSystem/{id}/_history/9")).await.refused(404);
    }
}

#[tokio::test]
async fn reading_them_takes_no_more_than_reading_the_statement() {
    const TOKEN: &str = "a-token-of-some-length";
    let server = Server::start_with(Options::default().client("us", TOKEN, &["subscribe"])).await;
    let base = server.base(Version::R4);
    for asked in [base.clone(), base.with_bearer(TOKEN)] {
        asked.get("metadata").await.expect(200);
        asked.get("SearchParameter/clinical-code").await.expect(200);
    }
    base.get("SearchParameter/mine").await.refused(401);
    base.with_bearer(TOKEN).get("SearchParameter/mine").await.refused(403);
    base.get("SearchParameter?_id=clinical-code").await.refused(401);
}
