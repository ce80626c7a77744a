//! Reads topics of all forms into the model.

use cresset_model::{
    Coding, Comparator, CriteriaResult, EventTrigger, FhirPathCriteria, FilterDefinition,
    Interaction, Issue, IssueCode, Issues, Modifier, NotificationShape, Opaque, Period,
    QueryCriteria, RelatedQuery, ResourceTrigger, Topic, TopicStatus,
};
use serde_json::Value;
use smol_str::SmolStr;

use super::metadata::parse_metadata;
use super::source::{Source, list, topic_path};
use super::unknown;
use crate::element::{Element, invalid, missing, type_name, unknown_code};
use crate::{element, urls};

/// Most triggers, filters or shapes of one topic.
const PARTS_MAX: usize = 500;

/// Reads a topic in any form: SubscriptionTopic of R4B or R5, or `Basic` with extensions.
///
/// For topic files, which may be in any form on any base. What comes by REST goes through
/// `Codec::parse_topic`, which takes only what the version of its base has.
///
/// # Errors
/// All issues found, located in the form at hand.
pub fn parse_topic_any(value: &Value) -> Result<Topic, Issues> {
    if value.get("resourceType").is_some_and(|it| it == "Basic") {
        parse_basic(value)
    } else {
        parse_resource(value)
    }
}

/// Reads a SubscriptionTopic.
pub(crate) fn parse_resource(value: &Value) -> Result<Topic, Issues> {
    let root = Element::resource(value, "SubscriptionTopic")?;
    parse(&Source::Element(root))
}

/// Reads a `Basic` that holds a topic (RQ-TP-02).
///
/// Accepted: an extension per element at the root, or one extension that holds them all; with
/// URLs of any FHIR version; `status` among the modifier extensions or the others.
pub(crate) fn parse_basic(value: &Value) -> Result<Topic, Issues> {
    let root = Element::resource(value, "Basic")?;
    let mut extensions = list(root.members, "extension", &root.path);
    extensions.extend(list(root.members, "modifierExtension", &root.path));
    let whole = extensions.iter().find(|(extension, _)| {
        extension.get("url").and_then(Value::as_str).and_then(topic_path) == Some("")
    });
    if let Some((whole, path)) = whole {
        let mut inner = list(whole, "extension", path);
        inner.extend(list(whole, "modifierExtension", path));
        extensions.extend(inner);
    }
    parse(&Source::Extensions { extensions, path: root.path })
}

/// Whether a `Basic` says that it is a topic.
pub(crate) fn is_basic_topic(value: &Value) -> bool {
    let codings = value.pointer("/code/coding").and_then(Value::as_array);
    let coded = codings.into_iter().flatten().any(|coding| {
        let system = coding.get("system").and_then(Value::as_str);
        let known = matches!(system, Some(urls::FHIR_TYPES | urls::RESOURCE_TYPES));
        known && coding.get("code").is_some_and(|code| code == "SubscriptionTopic")
    });
    let extensions = ["extension", "modifierExtension"].into_iter();
    let mut extensions = extensions
        .filter_map(|name| value.get(name).and_then(Value::as_array))
        .flatten()
        .filter_map(|extension| extension.get("url").and_then(Value::as_str));
    coded || extensions.any(|url| topic_path(url).is_some())
}

fn parse(root: &Source<'_>) -> Result<Topic, Issues> {
    let mut issues = unknown::check(root);
    let url = root.required("url", &mut issues);
    let status = parse_status(root, &mut issues);
    let topic = Topic {
        url: url.map(SmolStr::new).unwrap_or_default(),
        version: root.string("version", &mut issues).map(SmolStr::new),
        title: root.string("title", &mut issues).map(str::to_owned),
        description: root.string("description", &mut issues).map(str::to_owned),
        status: status.unwrap_or(TopicStatus::Unknown),
        derived_from: root.strings("derivedFrom", &mut issues).iter().map(SmolStr::new).collect(),
        effective_period: parse_period(root, &mut issues),
        metadata: parse_metadata(root, &mut issues),
        resource_triggers: parts(root, "resourceTrigger", parse_resource_trigger, &mut issues),
        event_triggers: parts(root, "eventTrigger", parse_event_trigger, &mut issues),
        can_filter_by: parts(root, "canFilterBy", parse_filter_definition, &mut issues),
        filters_choose_types: root
            .own_extensions()
            .boolean(urls::FILTERS_CHOOSE_TYPES, &mut issues)
            .unwrap_or_default(),
        notification_shapes: parts(root, "notificationShape", parse_shape, &mut issues),
    };
    issues.into_result(topic).map(|(topic, _)| topic)
}

/// `effectivePeriod`; what its ends mean is for the engine.
fn parse_period(root: &Source<'_>, issues: &mut Issues) -> Option<Period> {
    let (value, path) = root.values("effectivePeriod").into_iter().next()?;
    let Some(members) = value.as_object() else {
        issues.push(invalid("must be an object").at(path));
        return None;
    };
    let period = Element { members, path };
    let period = Period {
        start: period.string("start", issues).map(SmolStr::new),
        end: period.string("end", issues).map(SmolStr::new),
    };
    (period != Period::default()).then_some(period)
}

fn parse_status(root: &Source<'_>, issues: &mut Issues) -> Option<TopicStatus> {
    let text = root.required("status", issues)?;
    let status = TopicStatus::from_code(text);
    if status.is_none() {
        issues.push(unknown_code(text).at(root.at("status")));
    }
    status
}

fn parts<T>(
    root: &Source<'_>,
    name: &str,
    parse: impl Fn(&Source<'_>, &mut Issues) -> Option<T>,
    issues: &mut Issues,
) -> Vec<T> {
    let children = root.children(name, issues);
    if children.len() > PARTS_MAX {
        let text = format!("there are more than {PARTS_MAX} of {name}");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(root.at(name)));
        return Vec::new();
    }
    children.iter().filter_map(|child| parse(child, issues)).collect()
}

fn parse_resource_trigger(trigger: &Source<'_>, issues: &mut Issues) -> Option<ResourceTrigger> {
    let resource = parse_focus(trigger, issues);
    let criteria = trigger.children("queryCriteria", issues);
    if let Some(second) = criteria.get(1) {
        let issue = Issue::error(IssueCode::InvalidTrigger, "queryCriteria may stand here once");
        issues.push(issue.at(second.path()));
    }
    Some(ResourceTrigger {
        description: trigger.string("description", issues).map(str::to_owned),
        supported_interactions: trigger.codes(
            "supportedInteraction",
            Interaction::from_code,
            issues,
        ),
        query_criteria: criteria.first().map(|criteria| parse_query_criteria(criteria, issues)),
        fhir_path_criteria: trigger
            .string("fhirPathCriteria", issues)
            .map(|text| FhirPathCriteria(text.to_owned())),
        resource: SmolStr::new(resource?),
    })
}

/// The type of the focus. Two types would break the rule that a notification holds one status
/// resource (TR-31).
fn parse_focus<'a>(trigger: &Source<'a>, issues: &mut Issues) -> Option<&'a str> {
    let resource = trigger.required("resource", issues)?;
    if matches!(type_name(resource), "Parameters" | "SubscriptionStatus") {
        let text = "Parameters and SubscriptionStatus cannot be the focus of a notification";
        issues.push(Issue::error(IssueCode::InvalidTrigger, text).at(trigger.at("resource")));
        return None;
    }
    Some(resource)
}

fn parse_query_criteria(criteria: &Source<'_>, issues: &mut Issues) -> QueryCriteria {
    QueryCriteria {
        previous: criteria.string("previous", issues).map(str::to_owned),
        result_for_create: criteria.code("resultForCreate", CriteriaResult::from_code, issues),
        current: criteria.string("current", issues).map(str::to_owned),
        result_for_delete: criteria.code("resultForDelete", CriteriaResult::from_code, issues),
        require_both: criteria.boolean("requireBoth", issues).unwrap_or(false),
    }
}

fn parse_event_trigger(trigger: &Source<'_>, issues: &mut Issues) -> Option<EventTrigger> {
    let resource = parse_focus(trigger, issues);
    let (mut event, mut text) = (Vec::new(), None);
    let concepts = trigger.values("event");
    if concepts.is_empty() {
        issues.push(missing("event").at(trigger.at("event")));
    }
    for (concept, path) in concepts {
        let codings = concept.get("coding").and_then(Value::as_array).into_iter().flatten();
        let before = event.len();
        for coding in codings {
            event.extend(read_coding(coding));
        }
        text = text.or_else(|| concept.get("text")?.as_str().map(str::to_owned));
        if event.len() == before {
            issues.push(missing("a coding with a code").at(path));
        }
    }
    Some(EventTrigger {
        description: trigger.string("description", issues).map(str::to_owned),
        event,
        text,
        resource: SmolStr::new(resource?),
    })
}

/// A Coding that has a code.
pub(crate) fn read_coding(coding: &Value) -> Option<Coding> {
    let text = |name| coding.get(name).and_then(element::text).map(SmolStr::new);
    Some(Coding { system: text("system"), code: text("code")? })
}

fn parse_filter_definition(filter: &Source<'_>, issues: &mut Issues) -> Option<FilterDefinition> {
    let parameter = filter.required("filterParameter", issues);
    let mut comparators = filter.codes("comparator", Comparator::from_code, issues);
    let mut modifiers = Vec::new();
    for code in filter.codes("modifier", ModifierCode::from_code, issues) {
        match code {
            ModifierCode::Comparator(comparator) => comparators.push(comparator),
            ModifierCode::Equality => {}
            ModifierCode::Modifier(modifier) => modifiers.push(modifier),
        }
    }
    modifiers.extend(cross_version_modifiers(filter, issues));
    // Their order says nothing.
    comparators.sort_unstable();
    comparators.dedup();
    modifiers.sort_unstable();
    modifiers.dedup();
    let resource = filter.string("resource", issues).filter(|resource| *resource != "*");
    Some(FilterDefinition {
        description: filter.string("description", issues).map(str::to_owned),
        resource: resource.map(SmolStr::new),
        filter_parameter: SmolStr::new(parameter?),
        filter_definition: filter.string("filterDefinition", issues).map(SmolStr::new),
        comparators,
        modifiers,
        codes: parse_event_codes(filter, issues),
    })
}

/// The kinds of event that a filter of the topic's own asks for.
fn parse_event_codes(filter: &Source<'_>, issues: &mut Issues) -> Vec<Coding> {
    let mut codes = Vec::new();
    for (value, path) in filter.own_extensions().values(urls::EVENT_CODE) {
        match read_coding(value) {
            Some(coding) if !codes.contains(&coding) => codes.push(coding),
            Some(_) => {}
            None => issues.push(missing("a coding with a code").at(path)),
        }
    }
    codes
}

/// R4B's value set for `modifier` holds comparators, and `=` for the plain equality that is always
/// allowed (RQ-FL-10, TR-23).
enum ModifierCode {
    Comparator(Comparator),
    Equality,
    Modifier(Modifier),
}

impl ModifierCode {
    fn from_code(code: &str) -> Option<Self> {
        if code == "=" {
            return Some(Self::Equality);
        }
        Comparator::from_code(code)
            .map(Self::Comparator)
            .or_else(|| Modifier::from_code(code).map(Self::Modifier))
    }
}

/// Modifiers that R4B's value set lacks, as [`super::render_resource`] writes them for R4B.
fn cross_version_modifiers(filter: &Source<'_>, issues: &mut Issues) -> Vec<Modifier> {
    match filter {
        Source::Extensions { .. } => Vec::new(),
        Source::Element(element) => {
            let inside = Source::inside(element.members, &element.path);
            inside.codes("modifier", Modifier::from_code, issues)
        }
    }
}

fn parse_shape(shape: &Source<'_>, issues: &mut Issues) -> Option<NotificationShape> {
    let resource = shape.required("resource", issues);
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    Some(NotificationShape {
        include: owned(shape.strings("include", issues)),
        rev_include: owned(shape.strings("revInclude", issues)),
        related_queries: shape
            .extensions(urls::RELATED_QUERY, issues)
            .iter()
            .filter_map(|query| parse_related_query(query, issues))
            .collect(),
        resource: SmolStr::new(resource?),
    })
}

fn parse_related_query(query: &Source<'_>, issues: &mut Issues) -> Option<RelatedQuery> {
    let text = query.required("query", issues);
    let query_type = match query.values("queryType").into_iter().next() {
        Some((value, _)) if value.is_object() => Some(Opaque(value.to_string())),
        Some((_, path)) => {
            issues.push(invalid("must be a Coding").at(path));
            None
        }
        None => None,
    };
    Some(RelatedQuery { query_type, query: text?.to_owned() })
}
