//! Elements of a topic that no version of SubscriptionTopic has, and extensions that may change its
//! meaning: refused, since what is not understood would be left out of the evaluation (RQ-TP-06).
//!
//! Extensions that are no modifiers may be ignored, as FHIR says. Tests: `topic/tests.rs`.

use cresset_definitions::{Definitions, FhirVersion, TypeDefinition};
use cresset_model::{Issue, IssueCode, IssueKind, Issues};
use serde_json::{Map, Value};

use super::source::{Source, list, topic_path};
use crate::element::shortened;

const ROOT: &str = "SubscriptionTopic";

/// What is unknown in a topic.
pub(super) fn check(root: &Source<'_>) -> Issues {
    let mut issues = Issues::default();
    match root {
        Source::Element(element) => object(element.members, ROOT, &element.path, &mut issues),
        Source::Extensions { extensions, .. } => {
            for (extension, path) in extensions {
                of_basic(extension, path, &mut issues);
            }
        }
    }
    issues
}

/// The types of this name in the versions that have topics.
fn types(name: &str) -> impl Iterator<Item = &'static TypeDefinition> {
    let versions = [FhirVersion::R5, FhirVersion::R4B].into_iter();
    versions.filter_map(move |version| Definitions::of(version).type_named(name))
}

/// Checks the members of an object of a type.
fn object(members: &Map<String, Value>, type_name: &str, path: &str, issues: &mut Issues) {
    for (name, value) in members {
        let bare = name.strip_prefix('_').unwrap_or(name);
        if path == ROOT && name == "resourceType" {
            continue;
        }
        let path = format!("{path}.{}", shortened(bare));
        if !types(type_name).any(|one| one.element_for_json(bare).is_some()) {
            issues.push(unknown(bare, type_name).at(path));
            continue;
        }
        if bare == "modifierExtension" {
            issues.push(modifier().at(path));
            continue;
        }
        let inner = format!("{type_name}.{bare}");
        if types(&inner).next().is_none() {
            continue;
        }
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(members) = item.as_object() {
                        object(members, &inner, &format!("{path}[{index}]"), issues);
                    }
                }
            }
            Value::Object(members) => object(members, &inner, &path, issues),
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Checks an extension of a `Basic`; one that is not of a topic is ignored unless it is a modifier.
fn of_basic(extension: &Map<String, Value>, path: &str, issues: &mut Issues) {
    let Some(url) = extension.get("url").and_then(Value::as_str) else { return };
    match topic_path(url) {
        // One extension holds the whole topic; its parts are in the list too.
        Some("") => {}
        Some(name) => {
            let name = name.rsplit('.').next().unwrap_or_default();
            part(extension, (ROOT, name), path, issues);
        }
        None if url.contains(':') => {
            if path.contains("modifierExtension") {
                issues.push(modifier().at(path));
            }
        }
        // A bare name is a part of the one extension that holds all.
        None => part(extension, (ROOT, url), path, issues),
    }
}

/// Checks an extension that stands for an element of a type.
fn part(
    extension: &Map<String, Value>,
    (type_name, name): (&str, &str),
    path: &str,
    issues: &mut Issues,
) {
    let known =
        |one: &TypeDefinition| one.element(name).is_some() || one.element_for_json(name).is_some();
    if !types(type_name).any(known) {
        issues.push(unknown(name, type_name).at(path));
        return;
    }
    let inner = format!("{type_name}.{name}");
    if types(&inner).next().is_none() {
        return;
    }
    for (extension, path) in list(extension, "extension", path) {
        let Some(url) = extension.get("url").and_then(Value::as_str) else { continue };
        match topic_path(url) {
            Some(name) => {
                let name = name.rsplit('.').next().unwrap_or_default();
                part(extension, (&inner, name), &path, issues);
            }
            None if url.contains(':') => {}
            None => part(extension, (&inner, url), &path, issues),
        }
    }
    for (_, path) in list(extension, "modifierExtension", path) {
        issues.push(modifier().at(path));
    }
}

fn unknown(name: &str, type_name: &str) -> Issue {
    let text = format!("{type_name} has no element `{}`", shortened(name));
    Issue::error(IssueCode::InvalidElement, text).of_kind(IssueKind::Structure)
}

fn modifier() -> Issue {
    let text = "this server does not know the extension, which may change what the topic means";
    Issue::error(IssueCode::UnknownExtension, text)
}
