//! A topic: what is an event, what may be filtered, what a notification carries.

use smol_str::SmolStr;

use crate::subscription::codes;
use crate::{Coding, Comparator, Interaction, Modifier};

codes! {
    /// `SubscriptionTopic.status`.
    TopicStatus {
        /// For use.
        Active = "active",
        /// Not yet for use.
        Draft = "draft",
        /// No longer for use.
        Retired = "retired",
        /// Not known.
        Unknown = "unknown",
    }
}

codes! {
    /// `queryCriteria.resultForCreate` and `resultForDelete`.
    CriteriaResult {
        /// The test that cannot be made counts as failed.
        TestFails = "test-fails",
        /// The test that cannot be made counts as passed.
        TestPasses = "test-passes",
    }
}

/// A topic in its R5 shape, whatever form it was read from (RQ-TP-04).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Canonical URL, as published elsewhere.
    pub url: SmolStr,
    /// Business version.
    pub version: Option<SmolStr>,
    /// Title for people.
    pub title: Option<String>,
    /// Description for people.
    pub description: Option<String>,
    /// Whether it is for use.
    pub status: TopicStatus,
    /// Topics it derives from.
    pub derived_from: Vec<SmolStr>,
    /// When it is in force; outside of it nothing is an event (RQ-TP-09).
    pub effective_period: Option<Period>,
    /// Elements that only tell people about it, such as `publisher`, each with its name; one that
    /// is repeated stands here more than once.
    pub metadata: Vec<(SmolStr, Opaque)>,
    /// Any of these fires (RQ-TP-20).
    pub resource_triggers: Vec<ResourceTrigger>,
    /// Any of these fires.
    pub event_triggers: Vec<EventTrigger>,
    /// Filters a subscription may use.
    pub can_filter_by: Vec<FilterDefinition>,
    /// A subscription that has filters gets events of the types only that they are for, as US Core
    /// has it; otherwise a filter leaves other types alone (RQ-FL-06).
    pub filters_choose_types: bool,
    /// What goes with the focus.
    pub notification_shapes: Vec<NotificationShape>,
}

/// A value that the server keeps and does not read: a codec wrote it, and a codec writes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque(pub String);

/// A span of time, both ends included, as it is written: `2026`, `2026-05`, `2026-05-01T10:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Period {
    /// Its start; none means that it was always.
    pub start: Option<SmolStr>,
    /// Its end; none means that it goes on.
    pub end: Option<SmolStr>,
}

/// `resourceTrigger`: a kind of data change that is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTrigger {
    /// For people.
    pub description: Option<String>,
    /// Resource type as written: bare (`Encounter`), or a StructureDefinition URL.
    pub resource: SmolStr,
    /// Interactions it is for; empty means all (RQ-TP-21).
    pub supported_interactions: Vec<Interaction>,
    /// Criteria as searches.
    pub query_criteria: Option<QueryCriteria>,
    /// Criteria as FHIRPath.
    pub fhir_path_criteria: Option<FhirPathCriteria>,
}

/// `queryCriteria`: searches that the states before and after must match (RQ section 2.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryCriteria {
    /// Search string for the state before.
    pub previous: Option<String>,
    /// What stands for `previous` on create.
    pub result_for_create: Option<CriteriaResult>,
    /// Search string for the state after.
    pub current: Option<String>,
    /// What stands for `current` on delete.
    pub result_for_delete: Option<CriteriaResult>,
    /// Both must pass; else either.
    pub require_both: bool,
}

/// `fhirPathCriteria`: an expression over `%previous` and `%current` (RQ-TP-28).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FhirPathCriteria(pub String);

/// `eventTrigger`: an occurrence that is not a data change (RQ-TP-34).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTrigger {
    /// For people.
    pub description: Option<String>,
    /// Codes of the occurrence, all for the same one.
    pub event: Vec<Coding>,
    /// The occurrence in words.
    pub text: Option<String>,
    /// Type of the focus.
    pub resource: SmolStr,
}

/// `canFilterBy`: a filter that subscriptions may use (RQ section 2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterDefinition {
    /// For people.
    pub description: Option<String>,
    /// Type it applies to; none means all focus types for which it is defined.
    pub resource: Option<SmolStr>,
    /// Search parameter code, common parameter, chain, canonical, or a label of the topic's own.
    pub filter_parameter: SmolStr,
    /// Canonical of what defines it.
    pub filter_definition: Option<SmolStr>,
    /// Comparators a subscription may use; plain equality is always allowed.
    pub comparators: Vec<Comparator>,
    /// Modifiers a subscription may use.
    pub modifiers: Vec<Modifier>,
    /// Where there are any, it is a label of the topic's own for a kind of event, and every event
    /// of its types is of each of these kinds: what a subscription may ask for, and what an event
    /// is told to be.
    pub codes: Vec<Coding>,
}

/// `notificationShape`: what goes with a focus of this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationShape {
    /// Type of the focus.
    pub resource: SmolStr,
    /// `_include` values.
    pub include: Vec<String>,
    /// `_revinclude` values.
    pub rev_include: Vec<String>,
    /// Queries that tell a subscriber more, carried into each event.
    pub related_queries: Vec<RelatedQuery>,
}

/// A query that tells more of an event (the guide's extension `backport-related-query`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedQuery {
    /// What kind of information it gives, a Coding.
    pub query_type: Option<Opaque>,
    /// The query; what it holds of placeholders is the subscriber's to fill in.
    pub query: String,
}
