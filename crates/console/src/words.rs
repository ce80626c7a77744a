//! Triggers and filters in plain words.
//!
//! Words are ours; names, values and criteria are quoted as they stand in the topic or subscription.

use cresset_model::{
    Comparator, CriteriaResult, EventTrigger, Filter, FilterDefinition, Interaction, Modifier,
    ResourceTrigger,
};

/// A sentence, of which some parts are quoted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sentence(pub(crate) Vec<Part>);

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) text: String,
    /// Whether it is quoted.
    pub(crate) is_code: bool,
}

impl Sentence {
    fn say(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part { text: text.into(), is_code: false });
        self
    }

    fn quote(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part { text: text.into(), is_code: true });
        self
    }
}

/// What a trigger says: when it fires, and what must hold.
pub(crate) struct TriggerWords {
    pub(crate) when: Sentence,
    pub(crate) conditions: Vec<Sentence>,
    /// What the topic itself says about it.
    pub(crate) description: String,
}

/// A resource trigger in words.
pub(crate) fn resource_trigger(trigger: &ResourceTrigger) -> TriggerWords {
    let when = Sentence::default()
        .say("When a resource of type ")
        .quote(last_part(&trigger.resource))
        .say(format!(" is {}", interactions(&trigger.supported_interactions)));
    let mut conditions = Vec::new();
    if let Some(criteria) = &trigger.query_criteria {
        let result = |result: Option<CriteriaResult>, interaction: &str| match result {
            Some(CriteriaResult::TestPasses) => format!("; {interaction} counts as matching"),
            Some(CriteriaResult::TestFails) => format!("; {interaction} counts as not matching"),
            None => String::new(),
        };
        let parts = [
            (
                "before the change it matched ",
                &criteria.previous,
                result(criteria.result_for_create, "a create"),
            ),
            (
                "after the change it matches ",
                &criteria.current,
                result(criteria.result_for_delete, "a delete"),
            ),
        ];
        for (words, search, result) in parts {
            let Some(search) = search else { continue };
            conditions.push(Sentence::default().say(words).quote(search.clone()).say(result));
        }
        if conditions.len() == 2 {
            let both = match criteria.require_both {
                true => "both of these must hold",
                false => "one of these is enough",
            };
            conditions.push(Sentence::default().say(both));
        }
    }
    if let Some(expression) = &trigger.fhir_path_criteria {
        let words = Sentence::default().say("this FHIRPath expression is true: ");
        conditions.push(words.quote(expression.0.clone()));
    }
    let description = trigger.description.clone().unwrap_or_default();
    TriggerWords { when, conditions, description }
}

/// An event trigger in words.
pub(crate) fn event_trigger(trigger: &EventTrigger) -> TriggerWords {
    let codes: Vec<String> = trigger.event.iter().map(|one| one.code.to_string()).collect();
    let when = Sentence::default()
        .say("When somebody reports the event ")
        .quote(codes.join(", "))
        .say(" about a resource of type ")
        .quote(last_part(&trigger.resource));
    let description = trigger.description.clone().or(trigger.text.clone()).unwrap_or_default();
    TriggerWords { when, conditions: Vec::new(), description }
}

/// A filter that a topic offers: its name, and what may be said with it.
pub(crate) fn offered(definition: &FilterDefinition) -> (String, String) {
    let name = match &definition.resource {
        Some(resource) => format!("{} {}", last_part(resource), definition.filter_parameter),
        None => definition.filter_parameter.to_string(),
    };
    let words = std::iter::once("is")
        .chain(definition.comparators.iter().map(|one| comparator(*one)))
        .chain(definition.modifiers.iter().map(|one| modifier(*one)));
    let mut words: Vec<&str> = words.collect();
    words.dedup();
    (name, words.join(", "))
}

/// A filter of a subscription in words.
pub(crate) fn filter(filter: &Filter) -> Sentence {
    let subject = match &filter.resource_type {
        Some(resource_type) => format!("{resource_type}: "),
        None => String::new(),
    };
    let words = match (filter.modifier, filter.comparator) {
        (Some(Modifier::Missing), _) => {
            let is_missing = filter.value == "true";
            let words = if is_missing { " is missing" } else { " is there" };
            return Sentence::default().say(subject).quote(filter.parameter.as_str()).say(words);
        }
        (Some(one), _) => modifier(one),
        (None, Some(one)) => comparator(one),
        (None, None) => "is",
    };
    let mut sentence =
        Sentence::default().say(subject).quote(filter.parameter.as_str()).say(format!(" {words} "));
    for (index, value) in alternatives(&filter.value).into_iter().enumerate() {
        if index > 0 {
            sentence = sentence.say(" or ");
        }
        sentence = sentence.quote(value);
    }
    sentence
}

/// The values that a comma separates; one behind a backslash belongs to the value.
fn alternatives(value: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut is_escaped = false;
    for character in value.chars() {
        if character == ',' && !is_escaped {
            values.push(String::new());
            continue;
        }
        is_escaped = character == '\\' && !is_escaped;
        if let Some(last) = values.last_mut() {
            last.push(character);
        }
    }
    values
}

fn interactions(interactions: &[Interaction]) -> String {
    let word = |interaction: &Interaction| match interaction {
        Interaction::Create => "created",
        Interaction::Delete => "deleted",
        Interaction::Update => "updated",
    };
    let words: Vec<&str> = interactions.iter().map(word).collect();
    match words.as_slice() {
        [] => "created, updated or deleted".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

pub(crate) const fn comparator(comparator: Comparator) -> &'static str {
    match comparator {
        Comparator::Ap => "is about",
        Comparator::Eb => "ends before",
        Comparator::Eq => "is",
        Comparator::Ge => "is at least",
        Comparator::Gt => "is greater than",
        Comparator::Le => "is at most",
        Comparator::Lt => "is less than",
        Comparator::Ne => "is not",
        Comparator::Sa => "starts after",
    }
}

pub(crate) const fn modifier(modifier: Modifier) -> &'static str {
    match modifier {
        Modifier::Above => "is, or is above,",
        Modifier::Below => "is, or is below,",
        Modifier::CodeText => "has a code or text that begins with",
        Modifier::Contains => "contains",
        Modifier::Exact => "is exactly",
        Modifier::Identifier => "refers by the identifier",
        Modifier::In => "is in the set",
        Modifier::Iterate => "iterates",
        Modifier::Missing => "is missing",
        Modifier::Not => "is not",
        Modifier::NotIn => "is not in the set",
        Modifier::OfType => "has the typed identifier",
        Modifier::Text => "has a text that begins with",
        Modifier::TextAdvanced => "has a text with the words",
        Modifier::Type => "refers to the type",
    }
}

/// The type that a StructureDefinition URL ends in.
fn last_part(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sentence: &Sentence) -> String {
        let quoted = |part: &Part| match part.is_code {
            true => format!("`{}`", part.text),
            false => part.text.clone(),
        };
        sentence.0.iter().map(quoted).collect()
    }

    fn filter_of(
        modifier: Option<Modifier>,
        comparator: Option<Comparator>,
        value: &str,
    ) -> String {
        text(&filter(&Filter {
            resource_type: Some("Encounter".into()),
            parameter: "patient".into(),
            comparator,
            modifier,
            value: value.to_owned(),
        }))
    }

    #[test]
    fn filters_say_what_they_ask() {
        for (modifier, comparator, value, expect) in [
            (None, None, "Patient/a,Patient/b", "is `Patient/a` or `Patient/b`"),
            (None, None, r"a\,b", r"is `a\,b`"),
            (Some(Modifier::Not), None, "x", "is not `x`"),
            (None, Some(Comparator::Ge), "2026", "is at least `2026`"),
            (Some(Modifier::Missing), None, "true", "is missing"),
            (Some(Modifier::Missing), None, "false", "is there"),
        ] {
            let expect = format!("Encounter: `patient` {expect}");
            assert_eq!(filter_of(modifier, comparator, value), expect);
        }
    }

    #[test]
    fn triggers_say_when_they_fire() {
        let trigger = ResourceTrigger {
            description: None,
            resource: "http://hl7.org/fhir/StructureDefinition/Encounter".into(),
            supported_interactions: vec![Interaction::Create, Interaction::Update],
            query_criteria: Some(cresset_model::QueryCriteria {
                previous: Some("status:not=finished".to_owned()),
                result_for_create: Some(CriteriaResult::TestPasses),
                current: Some("status=finished".to_owned()),
                result_for_delete: None,
                require_both: true,
            }),
            fhir_path_criteria: None,
        };
        let words = resource_trigger(&trigger);
        assert_eq!(text(&words.when), "When a resource of type `Encounter` is created or updated");
        let conditions: Vec<String> = words.conditions.iter().map(text).collect();
        assert_eq!(
            conditions,
            [
                "before the change it matched `status:not=finished`; a create counts as matching",
                "after the change it matches `status=finished`",
                "both of these must hold",
            ]
        );
    }
}
