//! Subscriptions as JSON of each version.

use serde_json::{Map, Value, json};

use super::{CHANNEL_TYPES, GUIDE, Subscription};
use crate::version::FhirVersion;

/// R4 and R4B demand a reason.
const REASON: &str = "notifications by topic";

pub(super) fn subscription(of: &Subscription, version: FhirVersion) -> Value {
    let mut resource = Map::new();
    set(&mut resource, "resourceType", "Subscription");
    set(&mut resource, "id", of.id.clone());
    set(&mut resource, "status", of.status.code());
    set(&mut resource, "end", of.end.clone());
    if version.is_backport() {
        backport(of, &mut resource);
    } else {
        r5(of, &mut resource);
    }
    resource.into()
}

fn backport(of: &Subscription, resource: &mut Map<String, Value>) {
    set(resource, "meta", json!({ "profile": [format!("{GUIDE}/backport-subscription")] }));
    set(resource, "reason", of.reason.as_deref().unwrap_or(REASON));
    set(resource, "criteria", of.topic.as_str());
    let filters: Vec<Value> = of
        .filters
        .iter()
        .map(|filter| extension("backport-filter-criteria", "valueString", filter.to_string()))
        .collect();
    if !filters.is_empty() {
        set(resource, "_criteria", json!({ "extension": filters }));
    }
    let mut channel = Map::new();
    let bounds: Vec<Value> = [
        ("backport-heartbeat-period", "valueUnsignedInt", of.heartbeat_period),
        ("backport-timeout", "valueUnsignedInt", of.timeout),
        ("backport-max-count", "valuePositiveInt", of.max_count),
    ]
    .into_iter()
    .filter_map(|(name, value, bound)| Some(extension(name, value, bound?)))
    .collect();
    set(&mut channel, "extension", bounds);
    channel_type(of, &mut channel);
    set(&mut channel, "endpoint", of.endpoint.clone());
    set(&mut channel, "payload", of.content_type.clone());
    let content = extension("backport-payload-content", "valueCode", of.content.code());
    set(&mut channel, "_payload", json!({ "extension": [content] }));
    let headers: Vec<String> =
        of.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    set(&mut channel, "header", headers);
    set(resource, "channel", channel);
}

/// A code that FHIR does not have stands in an extension; the element must have one of FHIR's all the same.
fn channel_type(of: &Subscription, channel: &mut Map<String, Value>) {
    let code = of.channel_type.code.as_str();
    let Some(system) = &of.channel_type.system else { return set(channel, "type", code) };
    set(channel, "type", "rest-hook");
    let coding = json!({ "system": system, "code": code });
    let extension = extension("backport-channel-type", "valueCoding", coding);
    set(channel, "_type", json!({ "extension": [extension] }));
}

fn r5(of: &Subscription, resource: &mut Map<String, Value>) {
    set(resource, "topic", of.topic.as_str());
    set(resource, "reason", of.reason.clone());
    set(resource, "filterBy", of.filters.iter().map(crate::filter::Filter::r5).collect::<Vec<_>>());
    let system = of.channel_type.system.as_deref().unwrap_or(CHANNEL_TYPES);
    set(resource, "channelType", json!({ "system": system, "code": of.channel_type.code }));
    set(resource, "endpoint", of.endpoint.clone());
    let headers: Vec<Value> =
        of.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    set(resource, "parameter", headers);
    set(resource, "heartbeatPeriod", of.heartbeat_period);
    set(resource, "timeout", of.timeout);
    set(resource, "contentType", of.content_type.clone());
    set(resource, "content", of.content.code());
    set(resource, "maxCount", of.max_count);
}

/// Sets a member; FHIR has neither null nor empty lists.
fn set(object: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    if !value.is_null() && !value.as_array().is_some_and(Vec::is_empty) {
        object.insert(name.to_owned(), value);
    }
}

fn extension(name: &str, value_name: &str, value: impl Into<Value>) -> Value {
    let mut extension = Map::new();
    set(&mut extension, "url", format!("{GUIDE}/{name}"));
    set(&mut extension, value_name, value);
    extension.into()
}
