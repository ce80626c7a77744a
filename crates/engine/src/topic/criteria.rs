//! The topic behind subscriptions with a search as their criteria (RQ-SB-02).

use cresset_model::{Interaction, ResourceTrigger, Topic, TopicStatus, criteria_topic_url};

/// The topic of a type: creates and updates; what subscribers search for are its filters.
pub(crate) fn criteria_topic(resource_type: &str) -> Topic {
    Topic {
        url: criteria_topic_url(resource_type),
        version: None,
        title: None,
        description: None,
        status: TopicStatus::Active,
        derived_from: Vec::new(),
        effective_period: None,
        metadata: Vec::new(),
        resource_triggers: vec![ResourceTrigger {
            description: None,
            resource: resource_type.into(),
            supported_interactions: vec![Interaction::Create, Interaction::Update],
            query_criteria: None,
            fhir_path_criteria: None,
        }],
        event_triggers: Vec::new(),
        can_filter_by: Vec::new(),
        filters_choose_types: false,
        notification_shapes: Vec::new(),
    }
}
