//! Two ways to one truth: what REST search finds is what the matcher lets through, for thousands of
//! criteria made from the values of all of HL7's examples, the Backport guide, published topics and some of
//! Synthea's records, on all of these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_search::{
    Criteria, Lookup, Need, Parameter, Parameters, Reference, ResourceValues, Scope, SearchValue,
    Target, TokenSystem, escape,
};
use jiff::Timestamp;
use serde_json::Value;

use super::fixture::{Fixture, admin};
use crate::built_ins::BuiltIns;
use crate::{Condition, SearchIndex, SearchRequest, SearchTarget, ValidationLevel};

/// Criteria of one parameter of one type at most.
const PER_PARAMETER_MAX: usize = 7;
/// Records of Synthea that R4 has beside HL7's examples.
const RECORDS: usize = 1;
/// Where the guide and published topics are among the shared data.
const FOLDERS: [&str; 7] = [
    "ig-1.1.0/r4",
    "ig-1.1.0/r4b",
    "topics/davinci-cdex",
    "topics/davinci-pas",
    "topics/fhir-candle",
    "topics/r4b-core",
    "topics/r5-core",
];
/// By these a search of definitions finds the server's own, too.
const NAMES_OF_OWN: [&str; 5] = ["_id", "base", "code", "type", "url"];
/// Look-ups one after the other.
const ROUNDS_MAX: usize = 8;

/// A version's examples, as they are stored.
struct World {
    version: FhirVersion,
    base_url: String,
    resources: BTreeMap<String, Vec<Value>>,
}

impl World {
    fn scope(&self) -> Scope<'_> {
        Scope { parameters: Parameters::of(self.version), base_url: &self.base_url }
    }

    fn values<'w>(&'w self, resource: &'w Value) -> ResourceValues<'w> {
        let resource_type = resource["resourceType"].as_str().unwrap();
        ResourceValues::new(self.scope(), resource_type, resource)
    }

    /// What is needed, found by looking at everything.
    fn found(&self, need: &Need) -> Vec<&Value> {
        match need {
            Need::Canonical { resource_type, url } => {
                let all = self.resources.get(*resource_type).into_iter().flatten();
                all.filter(|one| one["url"] == url.as_str()).collect()
            }
            Need::Referring(referring) => {
                let all = self.resources.get(referring.resource_type()).into_iter().flatten();
                all.filter(|one| {
                    let values = self.values(one);
                    let found = values.of(referring.parameter()).unwrap_or_default();
                    found.iter().any(|value| local(value).as_deref() == Some(referring.target()))
                })
                .collect()
            }
            Need::Resource(reference) => {
                let (of, id) = reference.split_once('/').unwrap_or_default();
                let all = self.resources.get(of).into_iter().flatten();
                all.filter(|one| one["id"] == id).collect()
            }
        }
    }

    /// Ids of the resources that the matcher lets through.
    fn matching(&self, resource_type: &str, query: &str) -> BTreeSet<String> {
        let criteria = Criteria::parse(&self.scope(), resource_type, query).unwrap();
        let all = self.resources.get(resource_type).into_iter().flatten();
        let matching = all.filter(|one| {
            let values = self.values(one);
            let mut lookup = Lookup::new(self.scope());
            for _ in 0..ROUNDS_MAX {
                match criteria.matches(&values, &lookup) {
                    Ok(fits) => return fits,
                    Err(problem) if problem.missing().is_empty() => return false,
                    Err(problem) => {
                        for need in problem.missing() {
                            lookup.insert(need.clone(), self.found(need));
                        }
                    }
                }
            }
            false
        });
        matching.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn local(value: &SearchValue<'_>) -> Option<String> {
    let SearchValue::Reference(Reference { target, .. }) = value else { return None };
    let Target::Local { resource_type, id, .. } = target else { return None };
    Some(format!("{resource_type}/{id}"))
}

/// The examples of a version; `None` if they are not there, which `CI=true` does not let pass.
fn examples(version: FhirVersion) -> Option<Vec<Value>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/examples");
    let name = match version {
        FhirVersion::R4 => "all-R4.ndjson.zst",
        FhirVersion::R4B => "all-R4B.ndjson.zst",
        FhirVersion::R5 => "all-R5.ndjson.zst",
    };
    let Ok(packed) = fs::read(Path::new(folder).join(name)) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{folder} is missing");
        println!("skipped: {folder} is missing");
        return None;
    };
    let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let mut all: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    all.extend(published(version));
    if version == FhirVersion::R4 {
        all.extend(records());
    }
    Some(all)
}

/// The resources of a version in the folders of the guide and of topics.
fn published(version: FhirVersion) -> Vec<Value> {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let mut found = Vec::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(data.join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let path = format!("{folder}/{}", name.to_str().unwrap());
            if version_of(&path) == version {
                let text = fs::read_to_string(data.join(path)).unwrap();
                // One file begins with a mark of its byte order.
                found.push(serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap());
            }
        }
    }
    found
}

/// The version of what is in a file, as its folder or its name tells.
fn version_of(path: &str) -> FhirVersion {
    if path.contains("r4b") {
        FhirVersion::R4B
    } else if path.contains("r5") || path.contains("davinci-pas/") {
        FhirVersion::R5
    } else {
        FhirVersion::R4
    }
}

/// The resources of some of Synthea's records, which refer to each other by type and id.
fn records() -> Vec<Value> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/synthea/synthea-r4-transactions.ndjson.zst"
    );
    let mut decoder = zstd::Decoder::new(fs::File::open(file).unwrap()).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut records = Vec::new();
    for line in BufReader::new(decoder).lines().take(records_max()) {
        let mut line = line.unwrap();
        let bundle: Value = serde_json::from_str(&line).unwrap();
        for entry in bundle["entry"].as_array().unwrap() {
            let (url, resource) = (entry["fullUrl"].as_str().unwrap(), &entry["resource"]);
            let (of, id) = (&resource["resourceType"], &resource["id"]);
            let name = format!("{}/{}", of.as_str().unwrap(), id.as_str().unwrap());
            line = line
                .replace(&format!("\"reference\":\"{url}\""), &format!("\"reference\":\"{name}\""));
        }
        let bundle: Value = serde_json::from_str(&line).unwrap();
        let entries = bundle["entry"].as_array().unwrap();
        records.extend(entries.iter().map(|entry| entry["resource"].clone()));
    }
    records
}

/// How many records: `CRESSET_TWO_WAYS_RECORDS` for a long run by hand.
fn records_max() -> usize {
    let asked = std::env::var("CRESSET_TWO_WAYS_RECORDS");
    asked.ok().and_then(|text| text.parse().ok()).unwrap_or(RECORDS)
}

/// A node with the examples of a version, and what it stored.
async fn prepared(version: FhirVersion) -> Option<(Fixture, World)> {
    let examples = examples(version)?;
    let fixture = Fixture::configured(|config| {
        config.search.index = SearchIndex::All;
        // A fault of an example is no reason to leave it out.
        config.validation = ValidationLevel::Off;
    });
    let mut resources: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for resource in examples {
        let (Some(of), Some(id)) = (resource["resourceType"].as_str(), resource["id"].as_str())
        else {
            continue;
        };
        // Subscriptions change by themselves, and their status has no place of its own.
        if ["Subscription", "SubscriptionStatus"].contains(&of) {
            continue;
        }
        let bytes = Bytes::from(resource.to_string());
        let target = (of, id);
        let written = fixture.node.update(&admin(), version, target, Condition::None, bytes).await;
        let written = written.unwrap_or_else(|error| panic!("{of}/{id}: {error}"));
        let stored = serde_json::from_slice(&written.change.unwrap().body).unwrap();
        let of = resources.entry(of.to_owned()).or_default();
        of.retain(|one| one["id"] != id);
        of.push(stored);
    }
    let base_url = fixture.node.base_url_of(version);
    Some((fixture, World { version, base_url, resources }))
}

/// Ids of the resources that a search finds, over all its pages.
async fn found(fixture: &Fixture, version: FhirVersion, of: &str, query: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut request = SearchRequest::parse(&format!("{query}&_count=20"));
    loop {
        let target = SearchTarget::Type(of);
        let answer = fixture.node.search(&admin(), version, target, &request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{of}?{query}: {error}"));
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        for entry in page["entry"].as_array().into_iter().flatten() {
            assert_eq!(entry["search"]["mode"], "match", "{of}?{query}: {entry}");
            let is_new = ids.insert(entry["resource"]["id"].as_str().unwrap().to_owned());
            assert!(is_new, "{of}?{query}: {} twice", entry["resource"]["id"]);
        }
        let links = page["link"].as_array().unwrap();
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else { return ids };
        let (_, query) = next["url"].as_str().unwrap().split_once('?').unwrap();
        request = SearchRequest::parse(query);
    }
}

/// Ways to ask for a value: what stands after the code of the parameter.
fn asked(value: &SearchValue<'_>) -> Vec<String> {
    match value {
        SearchValue::Composite(parts) => {
            let firsts: Option<Vec<String>> = parts
                .iter()
                .map(|part| {
                    let asked = part.first().map(asked)?;
                    asked.into_iter().find_map(|one| Some(one.strip_prefix('=')?.to_owned()))
                })
                .collect();
            firsts.map(|all| format!("={}", all.join("$"))).into_iter().collect()
        }
        SearchValue::Date(range) => {
            let Ok(at) = Timestamp::from_microsecond(range.start) else { return Vec::new() };
            let text = at.to_string();
            let (day, month) = (text.get(..10), text.get(..7));
            let all = [day, month].into_iter().flatten();
            let all = all.flat_map(|one| {
                ["", "ge", "lt", "sa", "ap", "ne"].map(|prefix| format!("={prefix}{one}"))
            });
            all.collect()
        }
        SearchValue::Number(range) => numbers(range.low),
        SearchValue::Quantity(quantity) => {
            let unit = match (quantity.system, quantity.code, quantity.unit) {
                (Some(system), Some(code), _) => format!("|{}|{}", escape(system), escape(code)),
                (_, _, Some(unit)) => format!("||{}", escape(unit)),
                _ => String::new(),
            };
            let mut all = numbers(quantity.number.low);
            all.extend(all.clone().into_iter().map(|one| format!("{one}{unit}")));
            all
        }
        SearchValue::Reference(reference) => {
            let mut all = match reference.target {
                Target::Local { resource_type, id, .. } => vec![
                    format!("={resource_type}/{id}"),
                    format!("={id}"),
                    format!(":{resource_type}={id}"),
                ],
                Target::Url { url, .. } => vec![format!("={}", escape(url))],
                Target::Contained | Target::Logical => Vec::new(),
            };
            if let Some(code) = reference.identifier.and_then(|token| token.code) {
                all.push(format!(":identifier={}", escape(code)));
            }
            all
        }
        SearchValue::String(text) => {
            let start: String = text.text.chars().take(4).collect();
            let middle: String = text.text.chars().skip(2).take(5).collect();
            vec![
                format!("={}", escape(&start)),
                format!(":contains={}", escape(&middle)),
                format!(":exact={}", escape(text.text)),
            ]
        }
        SearchValue::Token(token) => {
            let mut all = Vec::new();
            if let Some(code) = token.code {
                let code = escape(code);
                all.extend([format!("={code}"), format!(":not={code}"), format!("=|{code}")]);
                if let TokenSystem::Named(system) = token.system {
                    all.push(format!("={}|{code}", escape(system)));
                    all.push(format!("={}|", escape(system)));
                }
            }
            all.extend(token.text.map(|text| format!(":text={}", escape(text))));
            all
        }
        SearchValue::Uri(uri) => {
            vec![format!("={}", escape(uri.url)), format!(":contains={}", escape(uri.url))]
        }
    }
}

fn numbers<N: std::fmt::Display>(low: std::ops::Bound<N>) -> Vec<String> {
    let (std::ops::Bound::Included(number) | std::ops::Bound::Excluded(number)) = low else {
        return Vec::new();
    };
    ["", "gt", "le", "ap", "ne"].map(|prefix| format!("={prefix}{number}")).to_vec()
}

/// Criteria about one parameter of the resources of one type.
fn criteria(world: &World, resources: &[Value], parameter: &'static Parameter) -> Vec<String> {
    let code = parameter.code();
    let mut all = BTreeSet::new();
    for resource in resources {
        let values = world.values(resource);
        for value in values.of(parameter).unwrap_or_default() {
            all.extend(asked(value).into_iter().map(|one| format!("{code}{one}")));
            if let Some(target) = local(value) {
                let (of, id) = target.split_once('/').unwrap();
                all.insert(format!("{code}:{of}._id={id}"));
                all.insert(format!(
                    "{code}:{of}._has:{}:{code}:_lastUpdated=gt2000",
                    resource["resourceType"].as_str().unwrap()
                ));
            }
        }
    }
    // Others of many, always the same.
    let step = (all.len() / (PER_PARAMETER_MAX - 1)).max(1);
    let mut some: Vec<String> = all.into_iter().step_by(step).take(PER_PARAMETER_MAX).collect();
    some.extend(["true", "false"].map(|is| format!("{code}:missing={is}")));
    some
}

async fn check(version: FhirVersion) {
    let Some((fixture, world)) = prepared(version).await else { return };
    let count: usize = world.resources.values().map(Vec::len).sum();
    assert!(count > 600, "only {count} examples were stored");
    let (mut asked, mut hits) = (0, 0);
    for (of, resources) in &world.resources {
        let mut previous: Option<String> = None;
        let has_own = BuiltIns::of(version).of_type(of).next().is_some();
        for parameter in world.scope().parameters.of_type(of) {
            if parameter.check().is_err()
                || ["_in", "_list"].contains(&parameter.code())
                || has_own && NAMES_OF_OWN.contains(&parameter.code())
            {
                continue;
            }
            for one in criteria(&world, resources, parameter) {
                // A value may have a form that no search can name.
                let encoded = encode(&one);
                if Criteria::parse(&world.scope(), of, &encoded).is_err() {
                    continue;
                }
                let both = previous.iter().map(|other| format!("{encoded}&{other}"));
                for query in [encoded.clone()].into_iter().chain(both) {
                    let expected = world.matching(of, &query);
                    let found = found(&fixture, version, of, &query).await;
                    assert_eq!(found, expected, "{of}?{query}");
                    asked += 1;
                    hits += found.len();
                }
                previous = Some(encoded);
            }
        }
    }
    println!("{}: {asked} criteria over {count} resources, {hits} found", version.full());
    assert!(asked > 2_000 && hits > 4_000, "{asked} criteria, {hits} found");
}

/// As it stands in a URL, where both ways read it.
fn encode(criterion: &str) -> String {
    let (name, value) = criterion.split_once('=').unwrap();
    let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    format!("{name}={}", value.replace('+', "%20"))
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_what_the_matcher_lets_through_in_r4() {
    check(FhirVersion::R4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_what_the_matcher_lets_through_in_r4b() {
    check(FhirVersion::R4B).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_what_the_matcher_lets_through_in_r5() {
    check(FhirVersion::R5).await;
}
