//! In which form a topic is written.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::Comparator;
use serde_json::{Map, Value};

use super::parse::is_basic_topic;

/// The forms of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicForm {
    /// R4's `Basic` with cross-version extensions.
    Basic,
    /// A SubscriptionTopic as R4B has it.
    R4B,
    /// A SubscriptionTopic that R4B and R5 have alike.
    R4BOrR5,
    /// A SubscriptionTopic as R5 has it.
    R5,
}

impl TopicForm {
    /// The versions whose form it is.
    pub const fn versions(self) -> &'static [FhirVersion] {
        match self {
            Self::Basic => &[FhirVersion::R4],
            Self::R4B => &[FhirVersion::R4B],
            Self::R4BOrR5 => &[FhirVersion::R4B, FhirVersion::R5],
            Self::R5 => &[FhirVersion::R5],
        }
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::R4B => "R4B",
            Self::R4BOrR5 => "R4B or R5",
            Self::R5 => "R5",
        }
    }
}

/// The form of a topic, by its elements; none if it is no topic.
pub fn topic_form(value: &Value) -> Option<TopicForm> {
    match value.get("resourceType").and_then(Value::as_str)? {
        "Basic" if is_basic_topic(value) => Some(TopicForm::Basic),
        "SubscriptionTopic" => {
            let filters = value.get("canFilterBy").and_then(Value::as_array);
            let filters = filters.into_iter().flatten().filter_map(Value::as_object);
            let (mut mixed, mut apart) = (false, false);
            for filter in filters {
                mixed |= has_comparator_as_modifier(filter);
                apart |= filter.contains_key("comparator");
            }
            let root = value.as_object()?;
            Some(match (mixed, apart || is_only_in_r5(root)) {
                (true, _) => TopicForm::R4B,
                (false, true) => TopicForm::R5,
                (false, false) => TopicForm::R4BOrR5,
            })
        }
        _ => None,
    }
}

/// R4B's value set of modifiers holds comparators (TR-23).
fn has_comparator_as_modifier(filter: &Map<String, Value>) -> bool {
    let modifiers = filter.get("modifier").and_then(Value::as_array).into_iter().flatten();
    let mut codes = modifiers.filter_map(Value::as_str);
    codes.any(|code| code == "=" || Comparator::from_code(code).is_some())
}

fn is_only_in_r5(root: &Map<String, Value>) -> bool {
    let has = |version, name: &str| {
        let definition = Definitions::of(version).type_named("SubscriptionTopic");
        definition.is_some_and(|one| one.element_for_json(name).is_some())
    };
    root.keys().any(|name| has(FhirVersion::R5, name) && !has(FhirVersion::R4B, name))
}
