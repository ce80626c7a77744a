use std::collections::BTreeMap;

use super::*;
use crate::test_data::shared_values;

const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/";

fn named(version: FhirVersion) -> Vec<(String, Value)> {
    let all = own_definitions(version).into_iter();
    all.map(|one| (one.id, json::parse(&one.body).unwrap())).collect()
}

fn ids_of(version: FhirVersion, resource_type: &str) -> Vec<String> {
    let all = own_definitions(version).into_iter();
    all.filter(|one| one.resource_type == resource_type).map(|one| one.id).collect()
}

#[test]
fn each_has_the_form_of_its_version_and_the_names_of_its_file() {
    for version in FhirVersion::ALL {
        for one in own_definitions(version) {
            let value = json::parse(&one.body).unwrap();
            let issues = Codec::of(version).validate(&value);
            assert!(issues.0.is_empty(), "{} in {version}: {issues}", one.id);
            assert_eq!(value["resourceType"], one.resource_type);
            assert_eq!(value["id"], one.id.as_str());
            let url = value["url"].as_str().unwrap();
            assert!(url.ends_with(&format!("/{}/{}", one.resource_type, one.id)), "{url}");
        }
    }
}

#[test]
fn a_version_has_what_its_topics_and_its_statement_need() {
    let operations = |version| {
        let mut ids = ids_of(version, "OperationDefinition");
        ids.sort_unstable();
        ids
    };
    let of_guide = |topic_type: &str| -> Vec<String> {
        let notify = format!("{topic_type}-notify-event");
        let names = ["events", "get-ws-binding-token", "resend", "status"];
        let guide = names.map(|name| format!("backport-subscription-{name}"));
        let own = ["Resource-validate", &notify, "explain"].map(str::to_owned);
        let mut all = [&own[..], &guide[..]].concat();
        all.sort_unstable();
        all
    };
    assert_eq!(operations(FhirVersion::R4), of_guide("Basic"));
    assert_eq!(operations(FhirVersion::R4B), of_guide("SubscriptionTopic"));
    assert_eq!(
        operations(FhirVersion::R5),
        [
            "Resource-validate",
            "Subscription-events",
            "Subscription-get-ws-binding-token",
            "Subscription-status",
            "SubscriptionTopic-notify-event",
            "explain",
            "resend",
        ]
    );
    let extensions = ["event-code", "filters-choose-types", "subscription-retry-period"];
    assert_eq!(ids_of(FhirVersion::R5, "StructureDefinition"), extensions);
}

#[test]
fn topics_are_what_they_are_in_the_version() {
    for (version, topic_type, place) in [
        (
            FhirVersion::R4,
            "Basic",
            "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.canFilterBy",
        ),
        (FhirVersion::R4B, "SubscriptionTopic", "SubscriptionTopic.canFilterBy"),
        (FhirVersion::R5, "SubscriptionTopic", "SubscriptionTopic.canFilterBy"),
    ] {
        let all = named(version);
        let get = |id| &all.iter().find(|(one, _)| *one == id).unwrap().1;
        assert!(get("explain")["resource"].as_array().unwrap().contains(&topic_type.into()));
        assert_eq!(get("explain")["resource"].as_array().unwrap().len(), 2);
        let contexts = get("event-code")["context"].as_array().unwrap();
        let places: Vec<_> = contexts.iter().map(|one| &one["expression"]).collect();
        assert_eq!(places, [place]);
        assert_eq!(get("event-code")["fhirVersion"], version.full());
    }
}

/// What of a definition binds whoever uses it, without the texts for people.
fn rules(definition: &Value) -> Value {
    let only = |names: &[&str], value: &Value| -> Value {
        let members = value.as_object().into_iter().flatten();
        members
            .filter(|(name, _)| names.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let each = |names: &[&str], list: &Value| -> Value {
        list.as_array().into_iter().flatten().map(|one| only(names, one)).collect()
    };
    let mut rules = only(
        &[
            "affectsState",
            "baseDefinition",
            "caseSensitive",
            "code",
            "compose",
            "content",
            "context",
            "derivation",
            "fhirVersion",
            "format",
            "implementationGuide",
            "instance",
            "kind",
            "resource",
            "rest",
            "system",
            "type",
            "url",
        ],
        definition,
    );
    rules["concept"] = each(&["code"], &definition["concept"]);
    rules["parameter"] = each(&["max", "min", "name", "type", "use"], &definition["parameter"]);
    let elements = definition["differential"]["element"].as_array().into_iter().flatten();
    rules["element"] =
        elements.map(rule).filter(|one| one.as_object().unwrap().len() > 2).collect();
    rules
}

/// What is demanded of an element.
fn rule(element: &Value) -> Value {
    let mut element = element.clone();
    let members = element.as_object_mut().unwrap();
    let texts = ["comment", "definition", "isSummary", "requirements", "short"];
    members.retain(|name, _| !texts.contains(&name.as_str()));
    if let Some(slicing) = members.get_mut("slicing").and_then(Value::as_object_mut) {
        slicing.remove("description");
    }
    for constraint in
        members.get_mut("constraint").and_then(Value::as_array_mut).into_iter().flatten()
    {
        constraint.as_object_mut().unwrap().retain(|name, _| name != "human" && name != "xpath");
    }
    element
}

/// The 1.1.0 files; its search parameters are rendered from the definitions, with working expressions.
#[test]
fn what_the_guide_defines_is_restated_without_a_change_of_meaning() {
    for (version, folder) in [(FhirVersion::R4, "ig-1.1.0/r4"), (FhirVersion::R4B, "ig-1.1.0/r4b")]
    {
        let own = named(version);
        let guide: BTreeMap<String, Value> = shared_values(folder, "")
            .into_iter()
            .filter_map(|(_, value)| Some((value["url"].as_str()?.to_owned(), value)))
            .collect();
        if guide.is_empty() {
            return;
        }
        let mut compared = 0;
        for (id, value) in &own {
            let url = value["url"].as_str().unwrap();
            // Of a later ballot; and a list of pages and files, of which nothing is demanded.
            let is_later = id == "backport-subscription-resend";
            if !url.starts_with(GUIDE) || is_later || value["resourceType"] == "ImplementationGuide"
            {
                continue;
            }
            let of_guide = guide.get(url).unwrap_or_else(|| panic!("{url} is none of the guide's"));
            assert_eq!(rules(value), rules(of_guide), "{url} in {version}");
            compared += 1;
        }
        assert!(compared > 10, "{compared}");
    }
}
