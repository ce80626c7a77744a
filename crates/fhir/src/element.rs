//! A view of one JSON object that reads members, knows its own path and collects issues.

use std::fmt;

use cresset_model::{Issue, IssueCode, IssueKind, Issues};
use serde_json::{Map, Value};

/// One object of a resource and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Element<'a> {
    /// Its members.
    pub(crate) members: &'a Map<String, Value>,
    /// Its FHIRPath, such as `Subscription.channel`.
    pub(crate) path: String,
}

/// One extension.
#[derive(Debug, Clone)]
pub(crate) struct Extension<'a> {
    /// What it means.
    pub(crate) url: &'a str,
    /// It.
    pub(crate) element: Element<'a>,
}

/// The path of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'n> {
    path: &'n str,
    name: &'n str,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.path, self.name)
    }
}

impl From<At<'_>> for String {
    fn from(At { path, name }: At<'_>) -> Self {
        [path, ".", name].concat()
    }
}

impl<'a> Element<'a> {
    /// The resource, if it is an object of this type.
    pub(crate) fn resource(value: &'a Value, resource_type: &str) -> Result<Self, Issues> {
        let members = value.as_object().filter(|members| {
            members.get("resourceType").and_then(Value::as_str) == Some(resource_type)
        });
        match members {
            Some(members) => Ok(Self { members, path: resource_type.to_owned() }),
            None => Err(Issue::error(
                IssueCode::WrongResourceType,
                format!("the resource must be a {resource_type}"),
            )
            .into()),
        }
    }

    /// The path of a member; written down only where there is something to say of it.
    pub(crate) fn at<'n>(&'n self, name: &'n str) -> At<'n> {
        At { path: &self.path, name }
    }

    /// A string, if it is there.
    pub(crate) fn string(&self, name: &str, issues: &mut Issues) -> Option<&'a str> {
        let text = text(self.members.get(name)?);
        if text.is_none() {
            issues.push(invalid("must be a string that is not empty").at(self.at(name)));
        }
        text
    }

    /// A string that must be there.
    pub(crate) fn required(&self, name: &str, issues: &mut Issues) -> Option<&'a str> {
        if !self.members.contains_key(name) {
            issues.push(missing(name).at(self.at(name)));
        }
        self.string(name, issues)
    }

    /// A code of an enum of ours, if it is there.
    pub(crate) fn code<T>(
        &self,
        name: &str,
        from_code: impl FnOnce(&str) -> Option<T>,
        issues: &mut Issues,
    ) -> Option<T> {
        let text = self.string(name, issues)?;
        let code = from_code(text);
        if code.is_none() {
            issues.push(unknown_code(text).at(self.at(name)));
        }
        code
    }

    /// An object, if it is there.
    pub(crate) fn child(&self, name: &str, issues: &mut Issues) -> Option<Self> {
        let members = self.members.get(name)?.as_object();
        if members.is_none() {
            issues.push(invalid("must be an object").at(self.at(name)));
        }
        members.map(|members| Self { members, path: self.at(name).into() })
    }

    /// The objects of an array; none if it is not there.
    pub(crate) fn children(&self, name: &str, issues: &mut Issues) -> Vec<Self> {
        let mut children = Vec::new();
        for (item, path) in self.items(name, issues) {
            match item.as_object() {
                Some(members) => children.push(Self { members, path }),
                None => issues.push(invalid("must be an object").at(path)),
            }
        }
        children
    }

    /// The strings of an array with their paths; none if it is not there.
    pub(crate) fn strings(&self, name: &str, issues: &mut Issues) -> Vec<(&'a str, String)> {
        let mut strings = Vec::new();
        for (item, path) in self.items(name, issues) {
            match text(item) {
                Some(text) => strings.push((text, path)),
                // A place holder: the element has only extensions, in the member with `_`.
                None if item.is_null() => {}
                None => issues.push(invalid("must be a string that is not empty").at(path)),
            }
        }
        strings
    }

    fn items(&self, name: &str, issues: &mut Issues) -> Vec<(&'a Value, String)> {
        match self.members.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) if !items.is_empty() => items
                .iter()
                .enumerate()
                .map(|(index, item)| (item, format!("{}.{name}[{index}]", self.path)))
                .collect(),
            Some(_) => {
                issues.push(invalid("must be an array that is not empty").at(self.at(name)));
                Vec::new()
            }
        }
    }

    /// The extensions of the element itself.
    pub(crate) fn extensions(&self, issues: &mut Issues) -> Vec<Extension<'a>> {
        let mut extensions = Vec::new();
        for element in self.children("extension", issues) {
            if let Some(url) = element.required("url", issues) {
                extensions.push(Extension { url, element });
            }
        }
        extensions
    }

    /// The extensions of a primitive member, which stand in its sibling with `_`.
    pub(crate) fn extensions_of(&self, name: &str, issues: &mut Issues) -> Vec<Extension<'a>> {
        let sibling = |(other, _): &(&String, _)| other.strip_prefix('_') == Some(name);
        match self.members.iter().find(sibling).map(|(_, value)| value) {
            None => Vec::new(),
            Some(Value::Object(members)) => {
                Self { members, path: self.at(name).into() }.extensions(issues)
            }
            Some(_) => {
                issues.push(invalid("must be an object").at(self.at(name)));
                Vec::new()
            }
        }
    }
}

/// A string that is not empty.
pub(crate) fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// An element has a value of the wrong type or form.
pub(crate) fn invalid(text: impl Into<String>) -> Issue {
    Issue::error(IssueCode::InvalidElement, text)
}

/// An element that must be there is not.
pub(crate) fn missing(name: &str) -> Issue {
    Issue::error(IssueCode::MissingElement, format!("{name} is missing"))
}

/// A code that is not in the value set of its element.
pub(crate) fn unknown_code(code: &str) -> Issue {
    invalid(format!("`{}` is none of the codes allowed here", shortened(code)))
        .of_kind(IssueKind::CodeInvalid)
}

/// The text if it is short, else its start: a client's own words go back to it, but not without bound.
pub(crate) fn shortened(text: &str) -> &str {
    const CHARACTERS_MAX: usize = 80;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// `Encounter` of `http://hl7.org/fhir/StructureDefinition/Encounter`; other texts as they are
/// (RQ-FL-09).
pub(crate) fn type_name(text: &str) -> &str {
    text.strip_prefix(crate::urls::STRUCTURE_DEFINITION).unwrap_or(text)
}
