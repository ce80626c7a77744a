//! What is legal in a topic and yet hardly meant: warnings for its author (RQ-TP-06, TR-18, TR-19).
//!
//! Tests: `topic/tests.rs`.

use cresset_fhirpath::{joins_booleans, never_holds_without};
use cresset_model::{
    CriteriaResult, FilterDefinition, Interaction, Issue, IssueCode, Issues, ResourceTrigger, Topic,
};

use crate::query::{Foresight, QueryTest};
use crate::trigger::{CURRENT, FhirPathTest, Interactions, PREVIOUS};

fn warn(issues: &mut Issues, text: impl Into<String>, path: impl Into<String>) {
    issues.push(Issue::warning(IssueCode::SurprisingTopic, text).at(path));
}

/// Interactions named twice, and results for interactions that are not supported.
pub(super) fn interactions(source: &ResourceTrigger, path: &str, issues: &mut Issues) {
    let listed = &source.supported_interactions;
    for (index, one) in listed.iter().enumerate() {
        if listed[..index].contains(one) {
            let path = format!("{path}.supportedInteraction[{index}]");
            warn(issues, format!("{} is listed twice", one.code()), path);
        }
    }
    let Some(criteria) = &source.query_criteria else { return };
    let supported = Interactions::listed(listed);
    for (interaction, name, result) in [
        (Interaction::Create, "resultForCreate", criteria.result_for_create),
        (Interaction::Delete, "resultForDelete", criteria.result_for_delete),
    ] {
        // Saying that what is not supported fails is only careful.
        if result == Some(CriteriaResult::TestPasses) && !supported.contains(interaction) {
            let code = interaction.code();
            let text = format!("{code} is not among the supported interactions: no {code} fires");
            warn(issues, text, format!("{path}.queryCriteria.{name}"));
        }
    }
}

/// Criteria that hold for nearly everything, or for nothing.
pub(super) fn query(
    query: &QueryTest,
    interactions: Interactions,
    path: &str,
    issues: &mut Issues,
) {
    let both = query.previous.is_some() && query.current.is_some();
    if both && !query.require_both && interactions.contains(Interaction::Update) {
        let text = "without requireBoth either of previous and current suffices, which fires \
                    on nearly every update";
        warn(issues, text, path);
    }
    let foresights: Vec<_> = interactions.iter().map(|one| (one, query.foresee(one))).collect();
    for (interaction, foresight) in &foresights {
        let result = match interaction {
            Interaction::Create => query.result_for_create,
            Interaction::Delete => query.result_for_delete,
            Interaction::Update => None,
        };
        if *foresight == Foresight::Always && result == Some(CriteriaResult::TestPasses) {
            let text =
                format!("the criteria hold for every {}, whatever it is", interaction.code());
            warn(issues, text, path);
        }
    }
    if foresights.iter().all(|(_, foresight)| *foresight == Foresight::Never) {
        warn(issues, "the criteria can never hold for any of the interactions supported", path);
    }
}

/// Expressions that can never be true, for all or some interactions, and `|` where `or` is meant
/// (TR-19).
pub(super) fn expression(
    FhirPathTest { expression, otherwise }: &FhirPathTest,
    source: &ResourceTrigger,
    path: &str,
    issues: &mut Issues,
) {
    if let Some(types) = expression.never_boolean() {
        let then = match otherwise {
            Some(_) => "queryCriteria decides instead",
            None => "the trigger never fires",
        };
        let text = format!("it yields {types} and never true or false: {then}");
        warn(issues, text, path);
        return;
    }
    let text = expression.source();
    if joins_booleans(text) {
        let then = match otherwise {
            Some(_) => "queryCriteria decides then",
            None => "the trigger does not fire then",
        };
        let text = format!(
            "`|` joins collections: two different booleans joined are no single boolean, and {then}; \
             write `or` if that is meant"
        );
        warn(issues, text, path);
    }
    let never = |interaction: Interaction| match interaction {
        Interaction::Create => never_holds_without(text, PREVIOUS),
        Interaction::Delete => never_holds_without(text, CURRENT),
        // Both states are there: only what is false whatever they hold.
        Interaction::Update => never_holds_without(text, ""),
    };
    let supported = Interactions::listed(&source.supported_interactions);
    if supported.iter().all(never) {
        warn(issues, "it can never be true for any of the interactions supported", path);
        return;
    }
    // Where none is listed, nobody said that each of them should fire.
    for interaction in &source.supported_interactions {
        if never(*interaction) {
            let (code, variable) = match interaction {
                Interaction::Create => ("create", PREVIOUS),
                Interaction::Delete => ("delete", CURRENT),
                Interaction::Update => continue,
            };
            let text = format!(
                "on {code} %{variable} is empty, and then this is never true: no {code} fires, \
                 although it is a supported interaction"
            );
            warn(issues, text, path);
        }
    }
}

/// Triggers that say the same, and filters that are offered twice.
pub(super) fn duplicates(topic: &Topic, issues: &mut Issues) {
    let triggers = &topic.resource_triggers;
    for (index, trigger) in triggers.iter().enumerate() {
        let same = |other: &ResourceTrigger| {
            ResourceTrigger { description: None, ..other.clone() }
                == ResourceTrigger { description: None, ..trigger.clone() }
        };
        if let Some(first) = triggers[..index].iter().position(same) {
            let text = format!("it says the same as resourceTrigger[{first}]");
            warn(issues, text, format!("SubscriptionTopic.resourceTrigger[{index}]"));
        }
    }
    let filters = &topic.can_filter_by;
    for (index, filter) in filters.iter().enumerate() {
        let same = |other: &FilterDefinition| {
            other.filter_parameter == filter.filter_parameter && other.resource == filter.resource
        };
        if let Some(first) = filters[..index].iter().position(same) {
            let text = format!(
                "the filter is offered twice, see canFilterBy[{first}]; what either allows is \
                 allowed"
            );
            warn(issues, text, format!("SubscriptionTopic.canFilterBy[{index}].filterParameter"));
        }
    }
}
