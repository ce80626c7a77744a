//! The operation `$explain`, of our own: its input and its output (docs/explain.md).
//!
//! Input and output are Parameters, the same in all versions. An explanation holds values of
//! resources: what is rendered here goes to the caller and nowhere else.

use std::collections::VecDeque;

use cresset_model::{
    ExplainedTest, ExplainedTrigger, Explanation, Issue, IssueCode, Issues, VersionId,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::element::{Element, invalid, shortened};
use crate::instant::instant;
use crate::json::{ArrayWriter, write_object};

#[cfg(test)]
mod tests;

/// Most changes that one call goes back over.
pub const EXPLAINED_CHANGES_MAX: usize = 1_000;

/// What is to be explained.
#[derive(Clone, PartialEq)]
pub enum ExplainInput {
    /// The newest changes of the server's log.
    Changes(usize),
    /// The change that made a version of a stored resource, `Type/id` or `Type/id/_history/n`.
    Focus(String),
    /// A change from one state to the other; at least one of them is there.
    States {
        /// The resource before.
        previous: Option<Value>,
        /// The resource after.
        current: Option<Value>,
    },
}

/// Reads the input: `previous` and `current` as resources, or `focus` as a reference or text, or
/// `changes` as a number; `query` holds what stood in the URL.
///
/// # Errors
/// All that is wrong, or that it asks for nothing or for several things.
pub fn parse_explain(
    body: Option<&Value>,
    query: &[(String, String)],
) -> Result<ExplainInput, Issues> {
    let mut issues = Issues::default();
    let mut read = Read::default();
    for (name, value) in query {
        read.primitive(name, value, name, &mut issues);
    }
    if let Some(body) = body {
        let root = Element::resource(body, "Parameters")?;
        if root.members.contains_key("parameter") {
            for parameter in root.children("parameter", &mut issues) {
                if let Some(name) = parameter.required("name", &mut issues) {
                    read.parameter(name, &parameter, &mut issues);
                }
            }
        }
    }
    let asked = [
        read.changes.is_some(),
        read.focus.is_some(),
        read.previous.is_some() || read.current.is_some(),
    ];
    if !issues.has_errors() && asked.iter().filter(|one| **one).count() != 1 {
        let text = "give either `previous` and `current` (one of them is enough), or `focus`, or \
                    `changes`";
        issues.push(Issue::error(IssueCode::InvalidParameter, text).at("Parameters.parameter"));
    }
    let Read { previous, current, focus, changes } = read;
    let input = match (changes, focus) {
        (Some(changes), _) => ExplainInput::Changes(changes),
        (None, Some(focus)) => ExplainInput::Focus(focus),
        (None, None) => ExplainInput::States { previous, current },
    };
    issues.into_result(input).map(|(input, _)| input)
}

#[derive(Default)]
struct Read {
    previous: Option<Value>,
    current: Option<Value>,
    focus: Option<String>,
    changes: Option<usize>,
}

impl Read {
    fn parameter(&mut self, name: &str, parameter: &Element<'_>, issues: &mut Issues) {
        let path = &parameter.path;
        let mut members = parameter.members.iter();
        let value = members.find(|(name, _)| name.starts_with("value") || *name == "resource");
        let text = match value {
            Some((_, Value::Object(object))) => {
                let state = match name {
                    "current" => &mut self.current,
                    "previous" => &mut self.previous,
                    "focus" => {
                        let reference = object.get("reference").and_then(Value::as_str);
                        let reference = reference.unwrap_or_default();
                        return self.primitive(name, reference, path, issues);
                    }
                    _ => return self.primitive(name, "", path, issues),
                };
                if state.replace(Value::Object(object.clone())).is_some() {
                    issues.push(bad(name, "may be given once").at(path));
                }
                return;
            }
            Some((_, Value::String(text))) => text.clone(),
            Some((_, Value::Number(number))) => number.to_string(),
            Some((_, Value::Array(_) | Value::Bool(_) | Value::Null)) | None => {
                issues.push(invalid("must have a value of the right type").at(path));
                return;
            }
        };
        self.primitive(name, &text, path, issues);
    }

    fn primitive(&mut self, name: &str, text: &str, path: &str, issues: &mut Issues) {
        let repeated = match name {
            "changes" => {
                let number =
                    text.parse().ok().filter(|one| (1..=EXPLAINED_CHANGES_MAX).contains(one));
                let Some(number) = number else {
                    let text = format!("must be a number from 1 to {EXPLAINED_CHANGES_MAX}");
                    issues.push(bad(name, &text).at(path));
                    return;
                };
                self.changes.replace(number).is_some()
            }
            "focus" if !text.is_empty() => self.focus.replace(text.to_owned()).is_some(),
            "focus" => {
                issues.push(bad(name, "must be a reference such as Encounter/1").at(path));
                return;
            }
            "current" | "previous" => {
                issues.push(bad(name, "must be a resource").at(path));
                return;
            }
            "_format" | "_pretty" => return,
            _ => {
                let known = "is not known; known are changes, current, focus and previous";
                issues.push(bad(name, known).at(path));
                return;
            }
        };
        if repeated {
            issues.push(bad(name, "may be given once").at(path));
        }
    }
}

fn bad(name: &str, what: &str) -> Issue {
    let text = format!("the parameter `{}` {what}", shortened(name));
    Issue::error(IssueCode::InvalidParameter, text)
}

/// One change of the log, explained.
#[derive(Clone, PartialEq)]
pub struct ExplainedChange {
    /// The resource, `Type/id`.
    pub reference: String,
    /// Its version.
    pub version: VersionId,
    /// When it was made.
    pub at: Timestamp,
    /// What came of it.
    pub explanation: Explanation,
}

/// What an explanation of the newest changes found.
#[derive(Clone, PartialEq)]
pub struct ExplainedChanges {
    /// How many changes were looked at.
    pub looked_at: usize,
    /// How many of them are of the base and about types the topic has events of.
    pub concerned: usize,
    /// How many of those are events.
    pub events: usize,
    /// The newest of those that are events, or of which it cannot be told; oldest first.
    pub changes: VecDeque<ExplainedChange>,
}

/// Writes the explanation of one change.
pub fn render_explanation(explanation: &Explanation) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Parameters");
        o.array("parameter", |a| write_explanation(explanation, a));
    });
    out
}

/// Writes the explanation of the newest changes.
pub fn render_explained_changes(found: &ExplainedChanges) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Parameters");
        o.array("parameter", |a| {
            number(a, "looked-at", found.looked_at);
            number(a, "concerned", found.concerned);
            number(a, "events", found.events);
            for change in &found.changes {
                part(a, "change", |a| {
                    text(a, "focus", &format!("{}/_history/{}", change.reference, change.version));
                    leaf(a, "at", "valueInstant", &instant(change.at));
                    write_explanation(&change.explanation, a);
                });
            }
        });
    });
    out
}

fn write_explanation(explanation: &Explanation, a: &mut ArrayWriter<'_>) {
    leaf(a, "verdict", "valueCode", explanation.verdict.code());
    text(a, "summary", &explanation.summary);
    leaf(a, "topic", "valueUri", &explanation.topic.to_string());
    leaf(a, "resource", "valueCode", &explanation.resource_type);
    leaf(a, "interaction", "valueCode", explanation.interaction.code());
    for trigger in &explanation.triggers {
        write_trigger(trigger, a);
    }
    for filter in &explanation.filters {
        write_test("filter", filter, a);
    }
    for problem in &explanation.problems {
        text(a, "problem", problem);
    }
    for reference in &explanation.missing {
        text(a, "missing", reference);
    }
}

fn write_trigger(trigger: &ExplainedTrigger, a: &mut ArrayWriter<'_>) {
    part(a, "trigger", |a| {
        text(a, "element", &trigger.element);
        leaf(a, "verdict", "valueCode", trigger.verdict.code());
        if let Some(reason) = &trigger.reason {
            text(a, "reason", reason);
        }
        for criterion in &trigger.criteria {
            write_test("criterion", criterion, a);
        }
    });
}

fn write_test(name: &str, test: &ExplainedTest, a: &mut ArrayWriter<'_>) {
    part(a, name, |a| {
        text(a, "element", &test.element);
        text(a, "text", &test.text);
        leaf(a, "verdict", "valueCode", test.verdict.code());
        if let Some(reason) = &test.reason {
            text(a, "reason", reason);
        }
        // FHIR has no empty strings.
        for value in test.values.iter().filter(|value| !value.is_empty()) {
            text(a, "value", value);
        }
        if test.values_left_out > 0 {
            number(a, "values-left-out", test.values_left_out);
        }
    });
}

fn part(a: &mut ArrayWriter<'_>, name: &str, content: impl FnOnce(&mut ArrayWriter<'_>)) {
    a.object(|o| {
        o.string("name", name);
        o.array("part", content);
    });
}

fn leaf(a: &mut ArrayWriter<'_>, name: &str, member: &str, value: &str) {
    a.object(|o| {
        o.string("name", name);
        o.string(member, value);
    });
}

fn text(a: &mut ArrayWriter<'_>, name: &str, value: &str) {
    leaf(a, name, "valueString", value);
}

fn number(a: &mut ArrayWriter<'_>, name: &str, value: usize) {
    a.object(|o| {
        o.string("name", name);
        o.number("valueInteger", value as u64);
    });
}
