//! An element of a topic, whichever way it is written.

use cresset_model::Issues;
use serde_json::{Map, Value};

use crate::element::{self, Element, invalid, missing, unknown_code};

/// An element of a topic: a JSON object of a SubscriptionTopic, or a list of extensions.
pub(super) enum Source<'a> {
    /// Members of an object.
    Element(Element<'a>),
    /// Extensions, each with its path.
    Extensions { extensions: Vec<(&'a Map<String, Value>, String)>, path: String },
}

/// One value and where it stands.
pub(super) type Located<'a> = (&'a Value, String);

impl<'a> Source<'a> {
    /// Where the element itself stands.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Element(element) => &element.path,
            Self::Extensions { path, .. } => path,
        }
    }

    /// Where a part of it stands, or would stand.
    pub(super) fn at(&self, name: &str) -> String {
        match self {
            Self::Element(element) => element.at(name).into(),
            Self::Extensions { extensions, path } => extensions
                .iter()
                .find(|(extension, _)| is_named(extension, name))
                .map_or_else(|| path.clone(), |(_, path)| path.clone()),
        }
    }

    /// The values of a part, in order; a member that is no array counts as one.
    pub(super) fn values(&self, name: &str) -> Vec<Located<'a>> {
        match self {
            Self::Element(element) => match element.members.get(name) {
                None => Vec::new(),
                Some(Value::Array(items)) => {
                    let path = |index| format!("{}[{index}]", element.at(name));
                    items.iter().enumerate().map(|(index, item)| (item, path(index))).collect()
                }
                Some(value) => vec![(value, element.at(name).into())],
            },
            Self::Extensions { extensions, .. } => extensions
                .iter()
                .filter(|(extension, _)| is_named(extension, name))
                .filter_map(|(extension, path)| {
                    let mut members = extension.iter();
                    let (_, value) = members.find(|(name, _)| name.starts_with("value"))?;
                    Some((value, format!("{path}.value")))
                })
                .collect(),
        }
    }

    /// The parts that have parts of their own.
    pub(super) fn children(&self, name: &str, issues: &mut Issues) -> Vec<Self> {
        match self {
            Self::Element(_) => {
                let mut children = Vec::new();
                for (value, path) in self.values(name) {
                    match value.as_object() {
                        Some(members) => {
                            children.push(Self::Element(Element { members, path }));
                        }
                        None => issues.push(invalid("must be an object").at(path)),
                    }
                }
                children
            }
            Self::Extensions { extensions, .. } => extensions
                .iter()
                .filter(|(extension, _)| is_named(extension, name))
                .map(|(extension, path)| Self::inside(extension, path))
                .collect(),
        }
    }

    /// The extensions inside an extension.
    pub(super) fn inside(extension: &'a Map<String, Value>, path: &str) -> Self {
        Self::Extensions { extensions: list(extension, "extension", path), path: path.to_owned() }
    }

    /// The extensions with this URL that stand on the element itself, whichever way it is written.
    pub(super) fn extensions(&self, url: &str, issues: &mut Issues) -> Vec<Self> {
        match self {
            Self::Element(element) => {
                Self::inside(element.members, &element.path).children(url, issues)
            }
            Self::Extensions { .. } => self.children(url, issues),
        }
    }

    /// The element's own extensions as parts of it, by their URLs.
    pub(super) fn own_extensions(&self) -> Self {
        match self {
            Self::Element(element) => Self::inside(element.members, &element.path),
            Self::Extensions { extensions, path } => {
                Self::Extensions { extensions: extensions.clone(), path: path.clone() }
            }
        }
    }

    /// A string, if it is there.
    pub(super) fn string(&self, name: &str, issues: &mut Issues) -> Option<&'a str> {
        let values = self.values(name);
        if let Some((_, path)) = values.get(1) {
            issues.push(invalid(format!("{name} may stand here only once")).at(path));
        }
        let (value, path) = values.into_iter().next()?;
        text(value, path, issues)
    }

    /// A string that must be there.
    pub(super) fn required(&self, name: &str, issues: &mut Issues) -> Option<&'a str> {
        if self.values(name).is_empty() {
            issues.push(missing(name).at(self.at(name)));
        }
        self.string(name, issues)
    }

    /// All strings of a part.
    pub(super) fn strings(&self, name: &str, issues: &mut Issues) -> Vec<&'a str> {
        let values = self.values(name).into_iter();
        values.filter_map(|(value, path)| text(value, path, issues)).collect()
    }

    /// All codes of a part.
    pub(super) fn codes<T>(
        &self,
        name: &str,
        from_code: impl Fn(&str) -> Option<T>,
        issues: &mut Issues,
    ) -> Vec<T> {
        let mut codes = Vec::new();
        for (value, path) in self.values(name) {
            let Some(text) = text(value, path.clone(), issues) else { continue };
            match from_code(text) {
                Some(code) => codes.push(code),
                None => issues.push(unknown_code(text).at(path)),
            }
        }
        codes
    }

    /// One code, if it is there.
    pub(super) fn code<T>(
        &self,
        name: &str,
        from_code: impl Fn(&str) -> Option<T>,
        issues: &mut Issues,
    ) -> Option<T> {
        self.codes(name, from_code, issues).into_iter().next()
    }

    /// A boolean, if it is there.
    pub(super) fn boolean(&self, name: &str, issues: &mut Issues) -> Option<bool> {
        let (value, path) = self.values(name).into_iter().next()?;
        if value.as_bool().is_none() {
            issues.push(invalid("must be true or false").at(path));
        }
        value.as_bool()
    }
}

/// The objects of an array member with their paths.
pub(super) fn list<'a>(
    members: &'a Map<String, Value>,
    name: &str,
    path: &str,
) -> Vec<(&'a Map<String, Value>, String)> {
    let items = members.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
    items
        .filter_map(|(index, item)| Some((item.as_object()?, format!("{path}.{name}[{index}]"))))
        .collect()
}

fn text<'a>(value: &'a Value, path: String, issues: &mut Issues) -> Option<&'a str> {
    let found = element::text(value);
    if found.is_none() {
        issues.push(invalid("must be a string that is not empty").at(path));
    }
    found
}

/// Whether the extension stands for this part: by its bare name inside another extension, or by
/// the last part of a cross-version URL. Guides in use mix the versions in that URL (RQ-TP-02).
pub(super) fn is_named(extension: &Map<String, Value>, name: &str) -> bool {
    let Some(url) = extension.get("url").and_then(Value::as_str) else { return false };
    if url == name {
        return true;
    }
    let path = topic_path(url).and_then(|path| path.strip_prefix('.'));
    path.and_then(|path| path.rsplit('.').next()) == Some(name)
}

/// What follows `extension-SubscriptionTopic` in a cross-version URL of any version.
pub(super) fn topic_path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://hl7.org/fhir/")?;
    let (version, rest) = rest.split_once('/')?;
    let numeric = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !numeric {
        return None;
    }
    rest.strip_prefix("StructureDefinition/extension-SubscriptionTopic")
}
