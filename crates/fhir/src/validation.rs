//! Structural validation: does a resource have the elements, types, numbers and codes that its
//! version defines?
//!
//! Checked are unknown elements, JSON types and the forms of primitives, cardinalities, choices with
//! more than one value, required bindings to small value sets, targets of references, contained
//! resources, extensions without or with too much content, and what a narrative may hold. Not
//! checked are profiles, invariants written in FHIRPath, other bindings, and whether a target of a
//! reference exists outside the resource.
//!
//! All issues are reported, at most [`ISSUES_MAX`], each with its element. Recursion is bounded by
//! the depth that `json::parse` accepts. Tests: `validation/tests.rs`; over HL7's own examples too.

mod narrative;
mod path;
mod primitive;
mod reference;
mod shape;

#[cfg(test)]
mod tests;

use cresset_definitions::{FhirVersion, ValueSet};
use cresset_model::{Issue, IssueCode, IssueKind, Issues};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::element::{invalid, missing, shortened, unknown_code};
use path::Path;
use shape::{Content, Member, Shape, Shapes};

/// Most issues that one resource gets; what is beyond them is not looked at.
pub const ISSUES_MAX: usize = 100;

/// All that is wrong with the form of a resource of this version, each with severity error.
///
/// An `UnknownElement` issue is about an element that the version does not define; whoever keeps
/// such elements may take these for warnings.
pub(crate) fn validate(version: FhirVersion, resource: &Value) -> Issues {
    let mut validator =
        Validator { shapes: Shapes::of(version), issues: Issues::default(), container: None };
    let resource_type = resource.get("resourceType").and_then(Value::as_str).unwrap_or("Resource");
    validator.resource(resource, &Path::root(resource_type));
    validator.issues
}

struct Validator<'v> {
    shapes: &'static Shapes,
    issues: Issues,
    /// The resource whose contained resources `#id` means.
    container: Option<&'v Map<String, Value>>,
}

impl<'v> Validator<'v> {
    fn is_full(&self) -> bool {
        self.issues.0.len() >= ISSUES_MAX
    }

    fn push(&mut self, issue: Issue, path: &Path<'_>) {
        if !self.is_full() {
            self.issues.push(issue.at(path.to_string()));
        }
    }

    /// A resource: the whole, one contained, or one in a Bundle or in Parameters.
    fn resource(&mut self, value: &'v Value, path: &Path<'_>) {
        let Some(members) = value.as_object() else {
            return self.push(invalid("must be a resource, so an object"), path);
        };
        let Some(name) = members.get("resourceType").and_then(Value::as_str) else {
            return self.push(missing("resourceType"), path);
        };
        let Some(shape) = self.shapes.resource(name) else {
            let text = format!("there is no resource type `{}`", shortened(name));
            return self.push(Issue::error(IssueCode::WrongResourceType, text), path);
        };
        let is_contained = path.is_in("contained");
        if is_contained {
            self.contained(members, path);
            return self.object(members, shape, path);
        }
        let outer = self.container.replace(members);
        self.object(members, shape, path);
        self.container = outer;
    }

    /// What only holds for contained resources.
    fn contained(&mut self, members: &Map<String, Value>, path: &Path<'_>) {
        if !members.contains_key("id") {
            self.push(missing("id"), &path.member("id"));
        }
        if members.contains_key("contained") {
            let issue = invalid("a contained resource cannot contain others");
            self.push(issue, &path.member("contained"));
        }
    }

    fn object(&mut self, members: &'v Map<String, Value>, shape: &'static Shape, path: &Path<'_>) {
        if members.is_empty() {
            return self.push(invalid("an element must have a value or children"), path);
        }
        let mut seen: u128 = 0;
        let mut choices: SmallVec<[(u8, &str); 2]> = SmallVec::new();
        for (name, value) in members {
            if self.is_full() {
                return;
            }
            if shape.is_resource && name == "resourceType" {
                continue;
            }
            let (base, is_sibling) = match name.strip_prefix('_') {
                Some(base) => (base, true),
                None => (name.as_str(), false),
            };
            let at = path.member(base);
            let Some(member) = shape.member(base) else {
                self.unknown(name, shape, &at);
                continue;
            };
            seen |= 1 << member.element;
            if member.rule.choice {
                match choices.iter().find(|(element, _)| *element == member.element) {
                    Some((_, other)) if *other != base => {
                        let text = format!("only one of {}[x] may be there", member.rule.name);
                        self.push(invalid(text), &at);
                    }
                    Some(_) => {}
                    None => choices.push((member.element, base)),
                }
            }
            if is_sibling {
                self.sibling(value, member, &at);
            } else {
                self.member(value, member, &at, || members.get(&format!("_{name}")));
            }
        }
        self.missing(shape, seen, path);
        if shape.is_extension {
            self.extension(members, path);
        }
    }

    fn unknown(&mut self, name: &str, shape: &Shape, at: &Path<'_>) {
        let text = format!("{} has no element `{}`", shape.name, shortened(name));
        self.push(Issue::error(IssueCode::UnknownElement, text), at);
    }

    /// Tells each element that must be there and is not.
    fn missing(&mut self, shape: &'static Shape, seen: u128, path: &Path<'_>) {
        let mut lacking = shape.required & !seen;
        while lacking != 0 {
            let element = lacking.trailing_zeros() as usize;
            lacking &= lacking - 1;
            let rule = &shape.elements[element];
            let name = if rule.choice { format!("{}[x]", rule.name) } else { rule.name.to_owned() };
            self.push(missing(&name), &path.member(&name));
        }
    }

    /// An extension has a value or extensions, never both (ext-1).
    fn extension(&mut self, members: &Map<String, Value>, path: &Path<'_>) {
        let has_value =
            members.keys().any(|name| name.trim_start_matches('_').starts_with("value"));
        if has_value == members.contains_key("extension") {
            self.push(invalid("an extension must have either a value or extensions"), path);
        }
    }

    /// The value of a member; `sibling` gives the member with `_`, where place holders need it.
    fn member(
        &mut self,
        value: &'v Value,
        member: &'static Member,
        path: &Path<'_>,
        sibling: impl Fn() -> Option<&'v Value>,
    ) {
        if !member.rule.is_list() {
            return match value {
                Value::Array(_) => self.push(invalid("must not be an array"), path),
                Value::Bool(_)
                | Value::Null
                | Value::Number(_)
                | Value::Object(_)
                | Value::String(_) => self.one(value, member, path),
            };
        }
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            return self.push(invalid("must be an array that is not empty"), path);
        };
        self.count(items.len(), member, path);
        let mut siblings = None;
        for (index, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            let at = path.item(index);
            if item.is_null() && matches!(member.content, Content::Primitive(_)) {
                let siblings = *siblings.get_or_insert_with(&sibling);
                let has_content =
                    siblings.and_then(|all| all.get(index)).is_some_and(Value::is_object);
                if !has_content {
                    self.push(invalid("null stands only for a value with extensions"), &at);
                }
            } else {
                self.one(item, member, &at);
            }
        }
    }

    fn count(&mut self, count: usize, member: &Member, path: &Path<'_>) {
        if let Some(max) = member.rule.max.filter(|max| count > usize::from(*max)) {
            self.push(invalid(format!("there may be at most {max}")), path);
        }
        if count < usize::from(member.rule.min) {
            self.push(invalid(format!("there must be at least {}", member.rule.min)), path);
        }
    }

    /// One value.
    fn one(&mut self, value: &'v Value, member: &'static Member, path: &Path<'_>) {
        match &member.content {
            Content::Primitive(primitive) => {
                if let Err(text) = primitive.check(value) {
                    return self.push(invalid(text), path);
                }
                if let (Some(set), Some(code)) = (member.codes, value.as_str())
                    && !set.has_code(code)
                {
                    self.push(unknown_code(code), path);
                }
            }
            Content::Object(shape) => {
                let Some(members) = value.as_object() else {
                    return self
                        .push(invalid(format!("must be an object ({})", member.type_name)), path);
                };
                self.object(members, self.shapes.at(*shape), path);
                self.binding(members, member, path);
                self.references(members, member, path);
            }
            Content::Resource => self.resource(value, path),
        }
    }

    /// The member with `_` beside a primitive: ids and extensions of its values.
    fn sibling(&mut self, value: &'v Value, member: &'static Member, path: &Path<'_>) {
        if !matches!(member.content, Content::Primitive(_)) {
            let issue = Issue::error(
                IssueCode::UnknownElement,
                "only primitive elements have a member with `_`",
            );
            return self.push(issue, path);
        }
        let shape = self.shapes.element();
        if !member.rule.is_list() {
            return match value.as_object() {
                Some(members) => self.object(members, shape, path),
                None => self.push(invalid("must be an object with id or extension"), path),
            };
        }
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            return self.push(invalid("must be an array that is not empty"), path);
        };
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::Null => {}
                Value::Object(members) => self.object(members, shape, &path.item(index)),
                Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    self.push(invalid("must be an object or null"), &path.item(index));
                }
            }
        }
    }

    /// The codes of a Coding or CodeableConcept with a required binding.
    fn binding(&mut self, members: &Map<String, Value>, member: &Member, path: &Path<'_>) {
        let Some(set) = member.codes else { return };
        let is_bound = match member.type_name {
            "CodeableConcept" => {
                let codings = members.get("coding").and_then(Value::as_array);
                codings.is_none_or(|all| all.iter().any(|coding| has_coding(set, coding)))
            }
            "Coding" => !members.contains_key("code") || has_member_coding(set, members),
            _ => true,
        };
        if !is_bound {
            let text = format!("has no code of the value set {}", set.name);
            self.push(invalid(text).of_kind(IssueKind::CodeInvalid), path);
        }
    }

    /// What a Reference, or the reference in a CodeableReference, points at.
    fn references(&mut self, members: &'v Map<String, Value>, member: &Member, path: &Path<'_>) {
        let fault = match member.type_name {
            "Reference" => reference::check(self.shapes, members, member.targets, self.container),
            "CodeableReference" => {
                members.get("reference").and_then(Value::as_object).and_then(|inner| {
                    reference::check(self.shapes, inner, member.targets, self.container)
                })
            }
            _ => None,
        };
        if let Some(text) = fault {
            self.push(invalid(text), path);
        }
    }
}

fn has_coding(set: &ValueSet, coding: &Value) -> bool {
    coding.as_object().is_some_and(|members| has_member_coding(set, members))
}

fn has_member_coding(set: &ValueSet, coding: &Map<String, Value>) -> bool {
    let text = |name: &str| coding.get(name).and_then(Value::as_str);
    match (text("system"), text("code")) {
        (Some(system), Some(code)) => set.has_coding(system, code),
        (None, Some(code)) => set.has_code(code),
        (_, None) => false,
    }
}
