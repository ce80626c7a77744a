//! What a server says it can do, from its CapabilityStatement.
//!
//! Its tests are in `capability/tests.rs`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::Error;
use crate::json::{extensions, items, text};
use crate::version::FhirVersion;

/// The guide's extension that names topics.
const TOPIC: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical";

/// What a server says it can do with subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The FHIR version of the base.
    pub version: FhirVersion,
    /// Name and version of the software, where told.
    pub software: Option<String>,
    /// Formats, such as `json`.
    pub formats: BTreeSet<String>,
    /// The canonicals that it instantiates.
    pub instantiates: BTreeSet<String>,
    /// Topics that the guide's extension names; servers of R4B and R5 offer them by search.
    pub topics: BTreeSet<String>,
    /// Profiles of Subscription that it supports.
    pub profiles: BTreeSet<String>,
    /// Interactions on Subscription, such as `create`.
    pub interactions: BTreeSet<String>,
    /// Interactions on the type that holds topics.
    pub topic_interactions: BTreeSet<String>,
    /// Operations on Subscription, without `$` (TR-32).
    pub operations: BTreeSet<String>,
}

impl Capabilities {
    /// Reads a CapabilityStatement.
    ///
    /// # Errors
    ///
    /// [`Error::Answer`] if it is none, or of a FHIR version without subscriptions to topics.
    pub fn parse(statement: &Value) -> Result<Self, Error> {
        if statement["resourceType"] != "CapabilityStatement" {
            return Err(Error::Answer("/metadata is no CapabilityStatement"));
        }
        let version = statement["fhirVersion"].as_str().and_then(FhirVersion::parse);
        let version = version.ok_or(Error::Answer("its FHIR version is not R4, R4B or R5"))?;
        let rest = items(statement, "rest").iter().find(|rest| rest["mode"] == "server");
        let rest = rest.unwrap_or(&Value::Null);
        let entry = |name: &str| {
            let entry = items(rest, "resource").iter().find(|entry| entry["type"] == *name);
            entry.unwrap_or(&Value::Null)
        };
        let subscription = entry("Subscription");
        let operations = items(subscription, "operation").iter().chain(items(rest, "operation"));
        let name_of = |operation: &Value| {
            operation["name"].as_str().map(|name| name.trim_start_matches('$').to_owned())
        };
        let software = &statement["software"];
        let name = text(software, "name").map(|name| match text(software, "version") {
            Some(version) => format!("{name} {version}"),
            None => name,
        });
        Ok(Self {
            version,
            software: name,
            formats: texts(items(statement, "format")),
            instantiates: texts(items(statement, "instantiates")),
            topics: extensions(subscription, TOPIC)
                .filter_map(|topic| topic.as_str().map(str::to_owned))
                .collect(),
            profiles: texts(items(subscription, "supportedProfile")),
            interactions: codes(subscription),
            topic_interactions: codes(entry(version.topic_type())),
            operations: operations.filter_map(name_of).collect(),
        })
    }
}

fn texts(list: &[Value]) -> BTreeSet<String> {
    list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn codes(entry: &Value) -> BTreeSet<String> {
    items(entry, "interaction").iter().filter_map(|one| text(one, "code")).collect()
}

#[cfg(test)]
mod tests;
