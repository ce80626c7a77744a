//! Writes topics in the form of each version, for topics that were configured in another form.

use cresset_definitions::FhirVersion;
use cresset_model::{
    Coding, CriteriaResult, EventTrigger, FilterDefinition, Interaction, Modifier,
    NotificationShape, Period, QueryCriteria, RelatedQuery, ResourceId, ResourceTrigger, Topic,
};

use super::metadata::{render_extensions, render_members};
use crate::json::{ArrayWriter, ObjectWriter, write_object};
use crate::urls;

/// Where `modifier` and `comparator` stand apart, and where not (TR-23).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Modifiers {
    Apart,
    Mixed,
}

/// Writes a SubscriptionTopic of R4B or R5. For R4, which has none, it is R5's.
pub(crate) fn render_resource(version: FhirVersion, topic: &Topic, id: &ResourceId) -> Vec<u8> {
    let modifiers = match version {
        FhirVersion::R4B => Modifiers::Mixed,
        FhirVersion::R4 | FhirVersion::R5 => Modifiers::Apart,
    };
    let r4b = modifiers == Modifiers::Mixed;
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "SubscriptionTopic");
        o.string("id", id.as_str());
        o.array("extension", |a| {
            if r4b {
                render_extensions(a, &topic.metadata, r4b);
            }
            filters_choose_types(a, topic);
        });
        o.string("url", &topic.url);
        o.optional("version", topic.version.as_deref());
        o.optional("title", topic.title.as_deref());
        o.strings("derivedFrom", &topic.derived_from);
        o.string("status", topic.status.code());
        o.optional("description", topic.description.as_deref());
        render_members(o, &topic.metadata, r4b);
        if let Some(period) = &topic.effective_period {
            o.object("effectivePeriod", |o| render_period(o, period));
        }
        o.array("resourceTrigger", |a| {
            for trigger in &topic.resource_triggers {
                a.object(|o| resource_trigger(o, trigger));
            }
        });
        o.array("eventTrigger", |a| {
            for trigger in &topic.event_triggers {
                a.object(|o| event_trigger(o, trigger));
            }
        });
        o.array("canFilterBy", |a| {
            for filter in &topic.can_filter_by {
                a.object(|o| filter_definition(o, filter, modifiers));
            }
        });
        o.array("notificationShape", |a| {
            for shape in &topic.notification_shapes {
                a.object(|o| notification_shape(o, shape));
            }
        });
    });
    out
}

fn render_period(o: &mut ObjectWriter<'_>, period: &Period) {
    o.optional("start", period.start.as_deref());
    o.optional("end", period.end.as_deref());
}

fn resource_trigger(o: &mut ObjectWriter<'_>, trigger: &ResourceTrigger) {
    o.optional("description", trigger.description.as_deref());
    o.string("resource", &trigger.resource);
    let interactions = trigger.supported_interactions.iter();
    o.strings("supportedInteraction", interactions.copied().map(Interaction::code));
    if let Some(criteria) = &trigger.query_criteria {
        o.object("queryCriteria", |o| query_criteria(o, criteria));
    }
    let path = trigger.fhir_path_criteria.as_ref();
    o.optional("fhirPathCriteria", path.map(|path| path.0.as_str()));
}

fn query_criteria(o: &mut ObjectWriter<'_>, criteria: &QueryCriteria) {
    o.optional("previous", criteria.previous.as_deref());
    o.optional("resultForCreate", criteria.result_for_create.map(CriteriaResult::code));
    o.optional("current", criteria.current.as_deref());
    o.optional("resultForDelete", criteria.result_for_delete.map(CriteriaResult::code));
    o.boolean("requireBoth", criteria.require_both);
}

fn event_trigger(o: &mut ObjectWriter<'_>, trigger: &EventTrigger) {
    o.optional("description", trigger.description.as_deref());
    o.object("event", |o| event(o, trigger));
    o.string("resource", &trigger.resource);
}

fn event(o: &mut ObjectWriter<'_>, trigger: &EventTrigger) {
    o.array("coding", |a| {
        for one in &trigger.event {
            a.object(|o| coding(o, one));
        }
    });
    o.optional("text", trigger.text.as_deref());
}

fn filter_definition(o: &mut ObjectWriter<'_>, filter: &FilterDefinition, form: Modifiers) {
    let (inside, outside): (Vec<_>, Vec<_>) = match form {
        Modifiers::Apart => (filter.modifiers.clone(), Vec::new()),
        Modifiers::Mixed => filter.modifiers.iter().partition(|modifier| is_in_r4b(**modifier)),
    };
    o.array("extension", |a| {
        for modifier in outside {
            a.object(|o| {
                o.string("url", urls::CROSS_VERSION_MODIFIER);
                o.string("valueCode", modifier.code());
            });
        }
        event_codes(a, &filter.codes);
    });
    o.optional("description", filter.description.as_deref());
    o.optional("resource", filter.resource.as_deref());
    o.string("filterParameter", &filter.filter_parameter);
    o.optional("filterDefinition", filter.filter_definition.as_deref());
    let comparators: Vec<_> = filter.comparators.iter().map(|it| it.code()).collect();
    let modifiers: Vec<_> = inside.iter().map(|it| it.code()).collect();
    match form {
        Modifiers::Apart => {
            o.strings("comparator", comparators);
            o.strings("modifier", modifiers);
        }
        Modifiers::Mixed => o.strings("modifier", [comparators, modifiers].concat()),
    }
}

/// Whether R4B's value set `subscription-search-modifier` has the modifier.
const fn is_in_r4b(modifier: Modifier) -> bool {
    match modifier {
        Modifier::Above | Modifier::Below | Modifier::In | Modifier::NotIn | Modifier::OfType => {
            true
        }
        Modifier::CodeText
        | Modifier::Contains
        | Modifier::Exact
        | Modifier::Identifier
        | Modifier::Iterate
        | Modifier::Missing
        | Modifier::Not
        | Modifier::Text
        | Modifier::TextAdvanced
        | Modifier::Type => false,
    }
}

fn notification_shape(o: &mut ObjectWriter<'_>, shape: &NotificationShape) {
    o.array("extension", |a| related_queries(a, &shape.related_queries));
    o.string("resource", &shape.resource);
    o.strings("include", &shape.include);
    o.strings("revInclude", &shape.rev_include);
}

/// Writes the guide's extension for each query, as it stands on shapes and on events.
pub(crate) fn related_queries(a: &mut ArrayWriter<'_>, queries: &[RelatedQuery]) {
    for query in queries {
        branch(a, urls::RELATED_QUERY, |a| {
            if let Some(query_type) = &query.query_type {
                a.object(|o| {
                    o.string("url", "queryType");
                    o.raw("valueCoding", query_type.0.as_bytes());
                });
            }
            leaf(a, "query", "valueString", &query.query);
        });
    }
}

/// Writes a `Basic` with cross-version extensions (RQ-TP-02), for R4.
pub(crate) fn render_basic(topic: &Topic, id: &ResourceId) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Basic");
        o.string("id", id.as_str());
        o.array("extension", |a| basic_extensions(a, topic));
        o.array("modifierExtension", |a| {
            leaf(a, &cross_version("status"), "valueCode", topic.status.code());
        });
        o.object("code", |o| {
            o.array("coding", |a| {
                a.object(|o| {
                    o.string("system", urls::FHIR_TYPES);
                    o.string("code", "SubscriptionTopic");
                });
            });
        });
    });
    out
}

fn basic_extensions(a: &mut ArrayWriter<'_>, topic: &Topic) {
    leaf(a, &cross_version("url"), "valueUri", &topic.url);
    optional_leaf(a, &cross_version("version"), "valueString", topic.version.as_deref());
    optional_leaf(a, &cross_version("title"), "valueString", topic.title.as_deref());
    for url in &topic.derived_from {
        leaf(a, &cross_version("derivedFrom"), "valueCanonical", url);
    }
    let description = topic.description.as_deref();
    optional_leaf(a, &cross_version("description"), "valueMarkdown", description);
    render_extensions(a, &topic.metadata, false);
    if let Some(period) = &topic.effective_period {
        a.object(|o| {
            o.string("url", &cross_version("effectivePeriod"));
            o.object("valuePeriod", |o| render_period(o, period));
        });
    }
    for trigger in &topic.resource_triggers {
        branch(a, &cross_version("resourceTrigger"), |a| basic_resource_trigger(a, trigger));
    }
    for trigger in &topic.event_triggers {
        branch(a, &cross_version("eventTrigger"), |a| basic_event_trigger(a, trigger));
    }
    for filter in &topic.can_filter_by {
        branch(a, &cross_version("canFilterBy"), |a| basic_filter_definition(a, filter));
    }
    filters_choose_types(a, topic);
    for shape in &topic.notification_shapes {
        branch(a, &cross_version("notificationShape"), |a| {
            leaf(a, "resource", "valueUri", &shape.resource);
            leaves(a, "include", "valueString", &shape.include);
            leaves(a, "revInclude", "valueString", &shape.rev_include);
            related_queries(a, &shape.related_queries);
        });
    }
}

fn basic_resource_trigger(a: &mut ArrayWriter<'_>, trigger: &ResourceTrigger) {
    optional_leaf(a, "description", "valueMarkdown", trigger.description.as_deref());
    leaf(a, "resource", "valueUri", &trigger.resource);
    let interactions = trigger.supported_interactions.iter().map(|it| it.code());
    leaves(a, "supportedInteraction", "valueCode", interactions);
    if let Some(criteria) = &trigger.query_criteria {
        branch(a, "queryCriteria", |a| {
            optional_leaf(a, "previous", "valueString", criteria.previous.as_deref());
            let result = criteria.result_for_create.map(CriteriaResult::code);
            optional_leaf(a, "resultForCreate", "valueCode", result);
            optional_leaf(a, "current", "valueString", criteria.current.as_deref());
            let result = criteria.result_for_delete.map(CriteriaResult::code);
            optional_leaf(a, "resultForDelete", "valueCode", result);
            a.object(|o| {
                o.string("url", "requireBoth");
                o.boolean("valueBoolean", criteria.require_both);
            });
        });
    }
    let path = trigger.fhir_path_criteria.as_ref();
    optional_leaf(a, "fhirPathCriteria", "valueString", path.map(|path| path.0.as_str()));
}

fn basic_event_trigger(a: &mut ArrayWriter<'_>, trigger: &EventTrigger) {
    optional_leaf(a, "description", "valueMarkdown", trigger.description.as_deref());
    a.object(|o| {
        o.string("url", "event");
        o.object("valueCodeableConcept", |o| event(o, trigger));
    });
    leaf(a, "resource", "valueUri", &trigger.resource);
}

fn basic_filter_definition(a: &mut ArrayWriter<'_>, filter: &FilterDefinition) {
    optional_leaf(a, "description", "valueMarkdown", filter.description.as_deref());
    optional_leaf(a, "resource", "valueUri", filter.resource.as_deref());
    leaf(a, "filterParameter", "valueString", &filter.filter_parameter);
    optional_leaf(a, "filterDefinition", "valueUri", filter.filter_definition.as_deref());
    leaves(a, "comparator", "valueCode", filter.comparators.iter().map(|it| it.code()));
    leaves(a, "modifier", "valueCode", filter.modifiers.iter().map(|it| it.code()));
    event_codes(a, &filter.codes);
}

fn event_codes(a: &mut ArrayWriter<'_>, codes: &[Coding]) {
    for code in codes {
        a.object(|o| {
            o.string("url", urls::EVENT_CODE);
            o.object("valueCoding", |o| coding(o, code));
        });
    }
}

fn filters_choose_types(a: &mut ArrayWriter<'_>, topic: &Topic) {
    if topic.filters_choose_types {
        a.object(|o| {
            o.string("url", urls::FILTERS_CHOOSE_TYPES);
            o.boolean("valueBoolean", true);
        });
    }
}

/// Writes the members of a Coding.
pub(crate) fn coding(o: &mut ObjectWriter<'_>, coding: &Coding) {
    o.optional("system", coding.system.as_deref());
    o.string("code", &coding.code);
}

fn cross_version(element: &str) -> String {
    format!("{}.{element}", urls::CROSS_VERSION_TOPIC)
}

fn branch(a: &mut ArrayWriter<'_>, url: &str, content: impl FnOnce(&mut ArrayWriter<'_>)) {
    a.object(|o| {
        o.array("extension", content);
        o.string("url", url);
    });
}

fn leaf(a: &mut ArrayWriter<'_>, url: &str, member: &str, value: &str) {
    a.object(|o| {
        o.string("url", url);
        o.string(member, value);
    });
}

fn optional_leaf(a: &mut ArrayWriter<'_>, url: &str, member: &str, value: Option<&str>) {
    if let Some(value) = value {
        leaf(a, url, member, value);
    }
}

fn leaves<T: AsRef<str>>(
    a: &mut ArrayWriter<'_>,
    url: &str,
    member: &str,
    values: impl IntoIterator<Item = T>,
) {
    for value in values {
        leaf(a, url, member, value.as_ref());
    }
}
