//! Topics, subscriptions and resources for the tests of several modules.

use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_model::{
    Canonical, ChannelType, Comparator, FhirPathCriteria, Filter, FilterDefinition, Interaction,
    Issues, Modifier, PayloadContent, Position, QueryCriteria, ResourceId, ResourceTrigger,
    Subscription, SubscriptionKey, SubscriptionStatus, Topic, TopicStatus, split_modifier,
};
use cresset_search::Parameters;
use jiff::Timestamp;
use serde_json::Value;
use smol_str::SmolStr;

use crate::{Catalog, CompiledTopic, Evaluation, ResourceChange, evaluate as evaluate_change};

pub(crate) const BASE_URL: &str = "http://server.example/r5";
pub(crate) const TOPIC_URL: &str = "http://topics.example/encounter";

pub(crate) fn catalog() -> Catalog {
    Catalog::new(Parameters::of(FhirVersion::R5), BASE_URL)
}

pub(crate) fn key(number: u64) -> SubscriptionKey {
    SubscriptionKey::created_at(Position::new(number).unwrap())
}

pub(crate) fn id(text: &str) -> ResourceId {
    ResourceId::new(text).unwrap()
}

/// A trigger on any interaction with this type.
pub(crate) fn trigger(resource: &str) -> ResourceTrigger {
    ResourceTrigger {
        description: None,
        resource: resource.into(),
        supported_interactions: Vec::new(),
        query_criteria: None,
        fhir_path_criteria: None,
    }
}

pub(crate) fn query(previous: &str, current: &str) -> QueryCriteria {
    let given = |query: &str| (!query.is_empty()).then(|| query.to_owned());
    QueryCriteria {
        previous: given(previous),
        current: given(current),
        require_both: true,
        ..QueryCriteria::default()
    }
}

pub(crate) fn query_trigger(resource: &str, criteria: QueryCriteria) -> ResourceTrigger {
    ResourceTrigger { query_criteria: Some(criteria), ..trigger(resource) }
}

pub(crate) fn fhir_path_trigger(resource: &str, expression: &str) -> ResourceTrigger {
    let criteria = FhirPathCriteria(expression.to_owned());
    ResourceTrigger { fhir_path_criteria: Some(criteria), ..trigger(resource) }
}

/// A filter that a topic offers: `patient`, `Encounter.patient`, with comparators and modifiers
/// after a space.
pub(crate) fn offer(text: &str) -> FilterDefinition {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    let (resource, name) = match name.split_once('.') {
        Some((resource, name)) if resource.starts_with(char::is_uppercase) => {
            (Some(SmolStr::new(resource)), name)
        }
        _ => (None, name),
    };
    let words: Vec<_> = words.collect();
    FilterDefinition {
        description: None,
        resource,
        filter_parameter: name.into(),
        filter_definition: None,
        comparators: words.iter().filter_map(|word| Comparator::from_code(word)).collect(),
        modifiers: words.iter().filter_map(|word| Modifier::from_code(word)).collect(),
        codes: Vec::new(),
    }
}

pub(crate) fn topic(triggers: Vec<ResourceTrigger>, offers: &[&str]) -> Topic {
    Topic {
        url: TOPIC_URL.into(),
        version: None,
        title: None,
        description: None,
        status: TopicStatus::Active,
        derived_from: Vec::new(),
        effective_period: None,
        metadata: Vec::new(),
        resource_triggers: triggers,
        event_triggers: Vec::new(),
        can_filter_by: offers.iter().map(|text| offer(text)).collect(),
        filters_choose_types: false,
        notification_shapes: Vec::new(),
    }
}

/// A filter: `patient=Patient/1`, `Encounter.patient:missing=true`, `date:ge=2020`.
pub(crate) fn filter(text: &str) -> Filter {
    let (name, value) = text.split_once('=').unwrap();
    let (resource_type, name) = match name.split_once('.') {
        Some((resource, name)) if resource.starts_with(char::is_uppercase) => {
            (Some(SmolStr::new(resource)), name)
        }
        _ => (None, name),
    };
    let (parameter, suffix) = split_modifier(name);
    let suffix = suffix.unwrap_or_default();
    Filter {
        resource_type,
        parameter: parameter.into(),
        comparator: Comparator::from_code(suffix),
        modifier: Modifier::from_code(suffix),
        value: value.to_owned(),
    }
}

pub(crate) fn subscription(filters: &[&str]) -> Subscription {
    Subscription {
        status: SubscriptionStatus::Active,
        topic: Canonical::new(TOPIC_URL),
        end: None,
        filters: filters.iter().map(|text| filter(text)).collect(),
        channel_type: ChannelType::RestHook,
        endpoint: None,
        headers: Vec::new(),
        heartbeat_period: None,
        timeout: None,
        max_count: None,
        retry_period: None,
        mime_type: None,
        content: PayloadContent::IdOnly,
    }
}

/// Compiles and inserts a topic; panics where it is refused.
pub(crate) fn add_topic(catalog: &mut Catalog, name: &str, topic: &Topic) -> Arc<CompiledTopic> {
    let (compiled, _) = catalog.compile_topic(&id(name), topic).unwrap();
    let compiled = Arc::new(compiled);
    catalog.insert_topic(id(name), Arc::clone(&compiled));
    compiled
}

/// Compiles and inserts a subscription; panics where it is refused.
pub(crate) fn subscribe(catalog: &mut Catalog, number: u64, filters: &[&str]) {
    let compiled = catalog.compile_subscription(&subscription(filters)).unwrap();
    catalog.insert_subscription(key(number), compiled);
}

/// A catalog with one topic and these subscriptions, numbered from 1.
pub(crate) fn catalog_of(topic: &Topic, subscriptions: &[&[&str]]) -> Catalog {
    let mut catalog = catalog();
    add_topic(&mut catalog, "t", topic);
    for (number, filters) in (1..).zip(subscriptions) {
        subscribe(&mut catalog, number, filters);
    }
    catalog
}

/// When changes happen.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// The change of a resource between these states; its interaction follows from which are there.
pub(crate) fn change<'a>(
    resource_type: &'a str,
    previous: Option<&'a Value>,
    current: Option<&'a Value>,
) -> ResourceChange<'a> {
    let interaction = match (previous, current) {
        (None, _) => Interaction::Create,
        (Some(_), None) => Interaction::Delete,
        (Some(_), Some(_)) => Interaction::Update,
    };
    ResourceChange { resource_type, id: "1", interaction, at: now(), previous, current }
}

pub(crate) fn evaluate(catalog: &Catalog, change: &ResourceChange<'_>) -> Evaluation {
    evaluate_change(change, catalog, &catalog.lookup())
}

/// The numbers of the subscriptions that a change is an event of.
pub(crate) fn matched(catalog: &Catalog, change: &ResourceChange<'_>) -> Vec<u64> {
    numbers(&evaluate(catalog, change))
}

pub(crate) fn numbers(evaluation: &Evaluation) -> Vec<u64> {
    evaluation.matches.iter().map(|found| found.subscription.position().get()).collect()
}

/// Issues as `code expression`, one a line.
pub(crate) fn codes(issues: &Issues) -> Vec<String> {
    let text = |issue: &cresset_model::Issue| {
        format!("{:?} {}", issue.code, issue.expression.as_deref().unwrap_or("-"))
    };
    issues.0.iter().map(text).collect()
}
