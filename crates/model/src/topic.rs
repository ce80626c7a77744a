//! A topic: what is an event, what may be filtered, what a notification carries.

use smol_str::SmolStr;

use crate::subscription::codes;
use crate::{Comparator, Interaction, Modifier};

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
    /// Any of these fires (RQ-TP-20).
    pub resource_triggers: Vec<ResourceTrigger>,
    /// Any of these fires.
    pub event_triggers: Vec<EventTrigger>,
    /// Filters a subscription may use.
    pub can_filter_by: Vec<FilterDefinition>,
    /// What goes with the focus.
    pub notification_shapes: Vec<NotificationShape>,
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
    /// Codes of the occurrence, `(system, code)`.
    pub event: Vec<(Option<SmolStr>, SmolStr)>,
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
}
