//! The resources of the simulation in the forms of the versions, and back.
//!
//! Everything else thinks in R5. What a client writes at a base of another version gets that version's
//! form here, and what stands in the log or comes in a notification is read back from it.

use cresset_definitions::FhirVersion;
use cresset_model::Base;
use serde_json::{Value, json};

/// What topics of R4 are made of.
const TOPIC: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
/// What subscriptions of R4 and R4B are made of.
const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport";

/// A status of an Encounter, and what it was called before R5.
const COMPLETED: &str = "completed";
const FINISHED: &str = "finished";

/// Members of R5's Subscription that are extensions of the channel in R4 and R4B.
const BOUNDS: [(&str, &str, &str); 3] = [
    ("heartbeatPeriod", "heartbeat-period", "valueUnsignedInt"),
    ("timeout", "timeout", "valueUnsignedInt"),
    ("maxCount", "max-count", "valuePositiveInt"),
];

/// The version that a base speaks.
pub(crate) fn version_at(base: Base) -> FhirVersion {
    FhirVersion::ALL[usize::from(base.number()) - 1]
}

/// The type of the resource that is a topic.
pub(crate) fn topic_type(version: FhirVersion) -> &'static str {
    match version {
        FhirVersion::R4 => "Basic",
        FhirVersion::R4B | FhirVersion::R5 => "SubscriptionTopic",
    }
}

/// A resource in the form of a version.
pub(crate) fn write(version: FhirVersion, resource: &Value) -> Value {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    match (version, kind) {
        (FhirVersion::R5, _) => resource.clone(),
        (FhirVersion::R4 | FhirVersion::R4B, "Encounter") => encounter(resource),
        (FhirVersion::R4 | FhirVersion::R4B, "Subscription") => subscription(resource),
        (FhirVersion::R4B, "SubscriptionTopic") => r4b_topic(resource),
        (FhirVersion::R4, "SubscriptionTopic") => basic(resource),
        (FhirVersion::R4 | FhirVersion::R4B, _) => resource.clone(),
    }
}

/// A resource as R5 would have it, as far as the simulation looks at it.
pub(crate) fn read(version: FhirVersion, resource: &Value) -> Value {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    match (version, kind) {
        (FhirVersion::R5, _) => resource.clone(),
        (FhirVersion::R4 | FhirVersion::R4B, "Encounter") => read_encounter(resource),
        (FhirVersion::R4 | FhirVersion::R4B, "Subscription") => read_subscription(resource),
        (FhirVersion::R4, "Basic") => read_basic(resource),
        (FhirVersion::R4 | FhirVersion::R4B, _) => resource.clone(),
    }
}

/// The status in a notification as R5 would have it.
pub(crate) fn read_status(status: &Value) -> Value {
    if status["resourceType"] != "Parameters" {
        return status.clone();
    }
    let all = status["parameter"].as_array().map(Vec::as_slice).unwrap_or_default();
    let value = |name: &str, member: &str| {
        let found = all.iter().find(|one| one["name"] == name);
        found.map_or(Value::Null, |one| one[member].clone())
    };
    let named = |name: &'static str| all.iter().filter(move |one| one["name"] == name);
    let events = named("notification-event").map(|event| {
        let parts = event["part"].as_array().map(Vec::as_slice).unwrap_or_default();
        let part = |name: &str, member: &str| {
            let found = parts.iter().find(|one| one["name"] == name);
            found.map_or(Value::Null, |one| one[member].clone())
        };
        json!({
            "eventNumber": part("event-number", "valueString"),
            "focus": part("focus", "valueReference"),
        })
    });
    let errors = named("error").map(|error| error["valueCodeableConcept"].clone());
    json!({
        "type": value("type", "valueCode"),
        "status": value("status", "valueCode"),
        "subscription": value("subscription", "valueReference"),
        "topic": value("topic", "valueCanonical"),
        "eventsSinceSubscriptionStart": value("events-since-subscription-start", "valueString"),
        "notificationEvent": events.collect::<Vec<_>>(),
        "error": errors.collect::<Vec<_>>(),
    })
}

fn encounter(encounter: &Value) -> Value {
    let mut encounter = encounter.clone();
    if encounter["status"] == COMPLETED {
        encounter["status"] = FINISHED.into();
    }
    let class = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    encounter["class"] = json!({"system": class, "code": "AMB"});
    if let Some(period) = encounter.as_object_mut().and_then(|it| it.remove("actualPeriod")) {
        encounter["period"] = period;
    }
    encounter
}

fn read_encounter(encounter: &Value) -> Value {
    let mut encounter = encounter.clone();
    if encounter["status"] == FINISHED {
        encounter["status"] = COMPLETED.into();
    }
    if let Some(period) = encounter.as_object_mut().and_then(|it| it.remove("period")) {
        encounter["actualPeriod"] = period;
    }
    encounter
}

fn extension(name: &str, member: &str, value: &Value) -> Value {
    json!({"url": format!("{BACKPORT}-{name}"), (member): value})
}

fn subscription(r5: &Value) -> Value {
    let bounds = BOUNDS.iter().filter_map(|(member, name, value_name)| {
        r5.get(*member).map(|bound| extension(name, value_name, bound))
    });
    let mut channel = json!({
        "type": r5["channelType"]["code"],
        "payload": r5["contentType"],
        "_payload": {"extension": [extension("payload-content", "valueCode", &r5["content"])]},
    });
    let bounds: Vec<Value> = bounds.collect();
    if !bounds.is_empty() {
        channel["extension"] = bounds.into();
    }
    if let Some(endpoint) = r5.get("endpoint") {
        channel["endpoint"] = endpoint.clone();
    }
    let mut subscription = json!({
        "resourceType": "Subscription", "id": r5["id"], "status": r5["status"],
        "reason": r5["reason"], "criteria": r5["topic"], "channel": channel,
    });
    let filters = r5["filterBy"].as_array().into_iter().flatten().map(|filter| {
        let text = |name: &str| filter[name].as_str().unwrap_or_default();
        let value = if text("value") == COMPLETED { FINISHED } else { text("value") };
        let criteria = format!("{}={}{value}", text("filterParameter"), text("comparator"));
        extension("filter-criteria", "valueString", &criteria.into())
    });
    let filters: Vec<Value> = filters.collect();
    if !filters.is_empty() {
        subscription["_criteria"] = json!({"extension": filters});
    }
    subscription
}

fn read_subscription(backport: &Value) -> Value {
    let mut r5 = json!({
        "resourceType": "Subscription", "id": backport["id"], "status": backport["status"],
        "reason": backport["reason"], "topic": backport["criteria"],
        "endpoint": backport["channel"]["endpoint"],
        "content": backport["channel"]["_payload"]["extension"][0]["valueCode"],
    });
    for bound in backport["channel"]["extension"].as_array().into_iter().flatten() {
        let known = BOUNDS.iter().find(|(_, name, _)| bound["url"] == format!("{BACKPORT}-{name}"));
        if let Some((member, _, value_name)) = known {
            r5[*member] = bound[*value_name].clone();
        }
    }
    let criteria = backport["_criteria"]["extension"][0]["valueString"].as_str();
    if let Some((parameter, value)) = criteria.and_then(|text| text.split_once('=')) {
        let value = if value == FINISHED { COMPLETED } else { value };
        r5["filterBy"] = json!([{"filterParameter": parameter, "value": value}]);
    }
    r5
}

/// R4B mixes comparators and modifiers.
fn r4b_topic(r5: &Value) -> Value {
    let mut topic = older_criteria(r5);
    let offers = topic["canFilterBy"].as_array_mut().into_iter().flatten();
    for offer in offers.filter_map(Value::as_object_mut) {
        if let Some(comparators) = offer.remove("comparator") {
            offer.insert("modifier".to_owned(), comparators);
        }
    }
    topic
}

/// The same in the words of the older versions.
fn older_criteria(r5: &Value) -> Value {
    let mut topic = r5.clone();
    let current = &mut topic["resourceTrigger"][0]["queryCriteria"];
    if current["current"] == "status=completed" {
        current["current"] = "status=finished".into();
    }
    if current.is_null()
        && let Some(trigger) = topic["resourceTrigger"][0].as_object_mut()
    {
        trigger.remove("queryCriteria");
    }
    topic
}

/// R4 has topics as `Basic`.
fn basic(r5: &Value) -> Value {
    let topic = older_criteria(r5);
    let (trigger, criteria) =
        (&topic["resourceTrigger"][0], &topic["resourceTrigger"][0]["queryCriteria"]);
    let mut parts =
        parts_of(trigger, &[("resource", "valueUri"), ("fhirPathCriteria", "valueString")]);
    let interactions = trigger["supportedInteraction"].as_array().into_iter().flatten();
    parts.extend(interactions.map(|one| json!({"url": "supportedInteraction", "valueCode": one})));
    if !criteria.is_null() {
        let members = [
            ("previous", "valueString"),
            ("resultForCreate", "valueCode"),
            ("current", "valueString"),
            ("requireBoth", "valueBoolean"),
        ];
        parts.push(json!({"url": "queryCriteria", "extension": parts_of(criteria, &members)}));
    }
    let of_topic = |name: &str| format!("{TOPIC}.{name}");
    let mut extensions = vec![
        json!({"url": of_topic("url"), "valueUri": topic["url"]}),
        json!({"url": of_topic("title"), "valueString": topic["title"]}),
        json!({"url": of_topic("description"), "valueMarkdown": topic["description"]}),
        json!({"url": of_topic("resourceTrigger"), "extension": parts}),
    ];
    for offer in topic["canFilterBy"].as_array().into_iter().flatten() {
        let members = [("resource", "valueUri"), ("filterParameter", "valueString")];
        let mut parts = parts_of(offer, &members);
        let comparators = offer["comparator"].as_array().into_iter().flatten();
        parts.extend(comparators.map(|one| json!({"url": "comparator", "valueCode": one})));
        extensions.push(json!({"url": of_topic("canFilterBy"), "extension": parts}));
    }
    let types = "http://hl7.org/fhir/fhir-types";
    json!({
        "resourceType": "Basic", "id": topic["id"], "extension": extensions,
        "modifierExtension": [{"url": of_topic("status"), "valueCode": topic["status"]}],
        "code": {"coding": [{"system": types, "code": "SubscriptionTopic"}]},
    })
}

fn read_basic(basic: &Value) -> Value {
    let value = |name: &str, member: &str| {
        let url = format!("{TOPIC}.{name}");
        let mut extensions = basic["extension"].as_array().into_iter().flatten();
        let found = extensions.find(|one| one["url"] == url.as_str());
        found.map_or(Value::Null, |one| one[member].clone())
    };
    json!({
        "resourceType": "SubscriptionTopic", "id": basic["id"],
        "title": value("title", "valueString"),
        "description": value("description", "valueMarkdown"),
    })
}

/// Members as extensions, those that are there.
fn parts_of(from: &Value, members: &[(&str, &str)]) -> Vec<Value> {
    let part = |(name, member): &(&str, &str)| {
        from.get(*name).map(|value| json!({"url": name, (*member): value}))
    };
    members.iter().filter_map(part).collect()
}
