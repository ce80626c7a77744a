//! `$notify-event`: an event that is no change of data, reported for a topic (RQ-TP-34).
//!
//! Its input has a Coding and References, which the other operations' flat parameters cannot hold.

use cresset_model::{Canonical, Coding, Issue, IssueCode, Issues};
use serde_json::Value;
use smol_str::SmolStr;

use crate::element::{self, Element, invalid, missing};
use crate::json::write_object;
use crate::outcome::render_outcome;
use crate::topic::read_coding;

#[cfg(test)]
mod tests;

/// Most context references of one event.
pub const CONTEXTS_MAX: usize = 100;
/// Most codings of one event.
const CODINGS_MAX: usize = 20;

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyEvent {
    /// The topic, where it is named.
    pub topic: Option<Canonical>,
    /// Codes of what happened, all for the same.
    pub event: Vec<Coding>,
    /// Reference to what it happened to.
    pub focus: String,
    /// References to what goes with it.
    pub context: Vec<String>,
}

/// Reads the Parameters of `$notify-event`: `event` (Coding, CodeableConcept or a code), `focus`
/// and `context` (References or their text), `topic` (canonical).
///
/// # Errors
/// All issues found; a parameter that is not known is one.
pub fn parse_notify_event(value: &Value) -> Result<NotifyEvent, Issues> {
    let root = Element::resource(value, "Parameters")?;
    let mut issues = Issues::default();
    let (mut topic, mut event, mut focus) = (Vec::new(), Vec::new(), Vec::new());
    let mut context = Vec::new();
    for parameter in root.children("parameter", &mut issues) {
        let Some(name) = parameter.required("name", &mut issues) else { continue };
        let value = parameter.members.iter().find(|(name, _)| name.starts_with("value"));
        let Some((_, value)) = value else {
            issues.push(missing("a value").at(parameter.path));
            continue;
        };
        let read = match name {
            "topic" => element::text(value).map(|text| topic.push(Canonical::new(text))),
            "event" => read_event(value).map(|one| event.push(one)),
            "focus" => read_reference(value).map(|text| focus.push(text)),
            "context" => read_reference(value).map(|text| context.push(text)),
            _ => {
                let text = "is not known; known are topic, event, focus, context";
                issues.push(Issue::error(IssueCode::InvalidParameter, text).at(parameter.path));
                continue;
            }
        };
        if read.is_none() {
            issues.push(invalid(format!("has not the type of `{name}`")).at(parameter.path));
        }
    }
    if context.len() > CONTEXTS_MAX {
        let text = format!("there may be {CONTEXTS_MAX} of `context`");
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at("Parameters.parameter"));
    }
    let mut one = |name: &str, count: usize, needed: bool| {
        let issue = match count {
            0 if needed => missing(name),
            0 | 1 => return,
            _ => invalid(format!("`{name}` may stand here once")),
        };
        issues.push(issue.at("Parameters.parameter"));
    };
    one("topic", topic.len(), false);
    one("event", event.len(), true);
    one("focus", focus.len(), true);
    let (event, focus) = (event.pop().unwrap_or_default(), focus.pop().unwrap_or_default());
    let read = NotifyEvent { topic: topic.pop(), event, focus, context };
    issues.into_result(read).map(|(read, _)| read)
}

/// The codings of a CodeableConcept, a Coding, or a bare code; none if it is none of them.
fn read_event(value: &Value) -> Option<Vec<Coding>> {
    if let Some(code) = element::text(value) {
        return Some(vec![Coding { system: None, code: SmolStr::new(code) }]);
    }
    let Some(codings) = value.get("coding") else {
        return Some(vec![read_coding(value)?]);
    };
    let codings: Vec<_> = codings.as_array()?.iter().filter_map(read_coding).collect();
    (1..=CODINGS_MAX).contains(&codings.len()).then_some(codings)
}

fn read_reference(value: &Value) -> Option<String> {
    element::text(value.get("reference").unwrap_or(value)).map(str::to_owned)
}

/// Writes the answer: how many subscriptions got an event, and what there is to tell.
pub fn render_notified(count: usize, issues: &Issues) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Parameters");
        o.array("parameter", |a| {
            a.object(|o| {
                o.string("name", "count");
                o.number("valueInteger", count as u64);
            });
            if !issues.0.is_empty() {
                a.object(|o| {
                    o.string("name", "outcome");
                    o.raw("resource", &render_outcome(issues));
                });
            }
        });
    });
    out
}
