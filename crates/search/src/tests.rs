//! What tests of this crate share, and tests over the whole of it.

mod examples;
mod properties;

use std::fs;
use std::path::{Path, PathBuf};

use cresset_definitions::FhirVersion;
use cresset_model::{IssueCode, Issues};
use serde_json::Value;

use crate::{Criteria, Criterion, Lookup, Need, Parameters, Problem, ResourceValues, Scope};

pub(crate) const BASE_URL: &str = "http://example.org/fhir";

/// Whether an environment variable has this value.
#[expect(clippy::disallowed_methods, reason = "tests alone are told by their environment")]
pub(crate) fn env_is(name: &str, value: &str) -> bool {
    std::env::var(name).as_deref() == Ok(value)
}

/// A folder of `shared/data`, which is not part of the repository: without it a test is skipped with a
/// notice, and fails where `CI=true` says that it must be there.
pub(crate) fn shared_data(folder: &str) -> Option<PathBuf> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let path = Path::new(data).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(!env_is("CI", "true"), "{} is missing", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

/// The text in a zstd file.
pub(crate) fn unpacked(path: &Path) -> String {
    let packed = fs::read(path).unwrap();
    String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

pub(crate) fn scope(version: FhirVersion) -> Scope<'static> {
    Scope { parameters: Parameters::of(version), base_url: BASE_URL }
}

/// Whether the resource fits the search string, read in this version.
pub(crate) fn matches(
    version: FhirVersion,
    resource: &Value,
    query: &str,
) -> Result<bool, Problem> {
    let resource_type = resource["resourceType"].as_str().unwrap();
    let criteria = Criteria::parse(&scope(version), resource_type, query)
        .unwrap_or_else(|issues| panic!("{query} is refused: {issues}"));
    let values = ResourceValues::new(scope(version), resource_type, resource);
    let matches = criteria.matches(&values, &Lookup::new(scope(version)));
    if matches == Ok(true) {
        criteria.criteria().iter().for_each(|criterion| assert_indexed(criterion, &values));
    }
    matches
}

/// Whether the resource fits the search string, where these are the other resources there are.
pub(crate) fn matches_among(
    version: FhirVersion,
    others: &[Value],
    resource: &Value,
    query: &str,
) -> Result<bool, Problem> {
    let resource_type = resource["resourceType"].as_str().unwrap();
    let criteria = Criteria::parse(&scope(version), resource_type, query)
        .unwrap_or_else(|issues| panic!("{query} is refused: {issues}"));
    let values = ResourceValues::new(scope(version), resource_type, resource);
    let mut lookup = Lookup::new(scope(version));
    for _ in 0..10 {
        let outcome = criteria.matches(&values, &lookup);
        match &outcome {
            Err(problem) if !problem.missing().is_empty() => {
                for need in problem.missing() {
                    lookup.insert(need.clone(), found(others, need));
                }
            }
            Ok(_) | Err(_) => return outcome,
        }
    }
    panic!("{query} never has enough");
}

/// What a store of these resources answers.
fn found<'v>(others: &'v [Value], need: &Need) -> Vec<&'v Value> {
    let fits = |one: &&Value| match need {
        Need::Canonical { resource_type, url } => {
            one["resourceType"] == *resource_type && one["url"] == url.as_str()
        }
        Need::Referring(referring) => one["resourceType"] == referring.resource_type(),
        Need::Resource(reference) => {
            let text = |name: &str| one[name].as_str().unwrap_or_default();
            *reference == format!("{}/{}", text("resourceType"), text("id"))
        }
    };
    others.iter().filter(fits).collect()
}

/// That a criterion which matches is found by a key of the resource, and lies where its values do.
pub(crate) fn assert_indexed(criterion: &Criterion, values: &ResourceValues<'_>) {
    let parameter = criterion.parameter();
    if let Some(wanted) = criterion.index_keys() {
        let keys = values.index_keys(parameter).unwrap();
        assert!(
            keys.iter().any(|key| wanted.contains(key)),
            "{criterion:?} has no key of the resource"
        );
    }
    if let Some((line, wanted)) = criterion.span() {
        let span = values.span(parameter, line).unwrap();
        assert!(span.is_some_and(|span| span.overlaps(wanted)), "{criterion:?} lies elsewhere");
    }
}

/// Whether the resource fits the search string in R4.
#[track_caller]
pub(crate) fn check(resource: &Value, query: &str, expected: bool) {
    assert_eq!(matches(FhirVersion::R4, resource, query), Ok(expected), "{query}");
}

/// The codes of the issues for which R4 refuses the search string.
pub(crate) fn refused(resource_type: &str, query: &str) -> Vec<IssueCode> {
    match Criteria::parse(&scope(FhirVersion::R4), resource_type, query) {
        Ok(_) => Vec::new(),
        Err(Issues(issues)) => issues.iter().map(|issue| issue.code).collect(),
    }
}
