//! One topic in the form of each version.

use cresset_conformance::{Version, set};
use serde_json::{Map, Value, json};

/// Where the extensions of `Basic` are defined.
const EXTENSION: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";

/// An active topic with these members, which are written as in R5.
pub(crate) fn topic(version: Version, id: &str, members: Value) -> Value {
    let mut topic = json!({
        "resourceType": "SubscriptionTopic",
        "id": id,
        "url": url(id),
        "status": "active",
    });
    for (name, value) in members.as_object().expect("members") {
        set(&mut topic, &format!("/{name}"), value.clone());
    }
    match version {
        Version::R4 => basic(&topic),
        Version::R4B => r4b(topic),
        Version::R5 => topic,
    }
}

/// The canonical of the topic with this id.
pub(crate) fn url(id: &str) -> String {
    format!("http://cresset.test/rest-topics/{id}")
}

/// Where topics of a version are.
pub(crate) fn path(version: Version, id: &str) -> String {
    match version {
        Version::R4 => format!("Basic/{id}"),
        Version::R4B | Version::R5 => format!("SubscriptionTopic/{id}"),
    }
}

/// R4B has comparators among the modifiers.
fn r4b(mut topic: Value) -> Value {
    let filters = topic.get_mut("canFilterBy").and_then(Value::as_array_mut);
    for filter in filters.into_iter().flatten() {
        let members = filter.as_object_mut().expect("an object");
        let comparators = members.remove("comparator");
        if let Some(Value::Array(comparators)) = comparators {
            let modifiers = members.entry("modifier").or_insert_with(|| json!([]));
            modifiers.as_array_mut().expect("a list").extend(comparators);
        }
    }
    topic
}

/// As in the guide after 1.1.0, and as fhir-candle writes it.
fn basic(topic: &Value) -> Value {
    let mut members = topic.as_object().expect("an object").clone();
    members.remove("resourceType");
    let id = members.remove("id");
    let status = members.remove("status");
    let status = json!({"url": format!("{EXTENSION}.status"), "valueCode": status});
    let extensions = extensions(&members, &|name| format!("{EXTENSION}.{name}"));
    json!({
        "resourceType": "Basic",
        "id": id,
        "extension": extensions,
        "modifierExtension": [status],
        "code": {"coding": [{
            "system": "http://hl7.org/fhir/fhir-types",
            "code": "SubscriptionTopic",
        }]},
    })
}

fn extensions(members: &Map<String, Value>, url: &dyn Fn(&str) -> String) -> Vec<Value> {
    let mut extensions = Vec::new();
    for (name, value) in members {
        // What is an extension in any form.
        if let ("extension", Some(values)) = (name.as_str(), value.as_array()) {
            extensions.extend(values.iter().cloned());
            continue;
        }
        let values = match value {
            Value::Array(values) => values.clone(),
            Value::Bool(_)
            | Value::Null
            | Value::Number(_)
            | Value::Object(_)
            | Value::String(_) => vec![value.clone()],
        };
        extensions.extend(values.iter().map(|value| extension(name, value, url)));
    }
    extensions
}

fn extension(name: &str, value: &Value, url: &dyn Fn(&str) -> String) -> Value {
    let data_type = match name {
        "effectivePeriod" => Some("valuePeriod"),
        "event" => Some("valueCodeableConcept"),
        _ => None,
    };
    if let Some(value_name) = data_type {
        let mut extension = json!({"url": url(name)});
        set(&mut extension, &format!("/{value_name}"), value.clone());
        return extension;
    }
    if let Some(members) = value.as_object() {
        let inner = extensions(members, &str::to_owned);
        return json!({"extension": inner, "url": url(name)});
    }
    let value_name = match name {
        "comparator"
        | "modifier"
        | "resultForCreate"
        | "resultForDelete"
        | "supportedInteraction" => "valueCode",
        "filterDefinition" | "resource" | "url" => "valueUri",
        "requireBoth" => "valueBoolean",
        _ => "valueString",
    };
    let mut extension = json!({"url": url(name)});
    set(&mut extension, &format!("/{value_name}"), value.clone());
    extension
}
