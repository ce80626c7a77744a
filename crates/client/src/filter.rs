//! Filters of subscriptions, in the guide's text form and in R5's elements.
//!
//! Its tests are in `filter/tests.rs`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::json::text;

/// Prefixes of values that are comparators.
const COMPARATORS: [&str; 9] = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

/// One filter: `[Type?]parameter[:modifier]=[comparator]value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The resource type that it is for; any that has the parameter if none is told.
    pub resource_type: Option<String>,
    /// The search parameter, or a name that the topic defines.
    pub parameter: String,
    /// The modifier, without its colon.
    pub modifier: Option<String>,
    /// The comparator where it stands by itself, as in R5; in text it begins the value.
    pub comparator: Option<String>,
    /// The value.
    pub value: String,
}

/// Text that is no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a filter is [Type?]parameter[:modifier]=value, such as Encounter?patient=Patient/1")]
pub struct InvalidFilter;

impl FromStr for Filter {
    type Err = InvalidFilter;

    /// Reads the form of the guide, with its `Type?` or its grammar's `Type.` (TR-01).
    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let (name, value) = text.split_once('=').ok_or(InvalidFilter)?;
        let (resource_type, name) = match name.split_once('?') {
            Some((resource_type, name)) => (Some(resource_type), name),
            None => match name.split_once('.') {
                // A chain begins with a parameter, a type with a capital letter.
                Some((first, rest)) if first.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    (Some(first), rest)
                }
                _ => (None, name),
            },
        };
        let (parameter, modifier) = match name.split_once(':') {
            // A chain with a type, patient:Patient.name, is all parameter.
            Some((parameter, modifier)) if !modifier.contains('.') => (parameter, Some(modifier)),
            _ => (name, None),
        };
        let blank = resource_type == Some("") || modifier == Some("");
        if parameter.is_empty() || value.is_empty() || blank {
            return Err(InvalidFilter);
        }
        Ok(Self {
            resource_type: resource_type.map(str::to_owned),
            parameter: parameter.to_owned(),
            modifier: modifier.map(str::to_owned),
            comparator: None,
            value: value.to_owned(),
        })
    }
}

impl fmt::Display for Filter {
    /// The form of the guide; a comparator begins the value there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(resource_type) = &self.resource_type {
            write!(f, "{resource_type}?")?;
        }
        f.write_str(&self.parameter)?;
        if let Some(modifier) = &self.modifier {
            write!(f, ":{modifier}")?;
        }
        write!(f, "={}{}", self.comparator.as_deref().unwrap_or_default(), self.value)
    }
}

impl Filter {
    /// R5's `Subscription.filterBy`.
    pub(crate) fn r5(&self) -> Value {
        let mut element = Map::new();
        let mut set = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                element.insert(name.to_owned(), value.into());
            }
        };
        set("resourceType", self.resource_type.as_deref());
        set("filterParameter", Some(&self.parameter));
        set("comparator", self.comparator.as_deref());
        set("modifier", self.modifier.as_deref());
        set("value", Some(&self.value));
        element.into()
    }

    /// Reads R5's `Subscription.filterBy`; a type may be its definition's URL.
    pub(crate) fn from_r5(element: &Value) -> Option<Self> {
        let resource_type = text(element, "resourceType").map(|resource_type| {
            resource_type.rsplit('/').next().map(str::to_owned).unwrap_or(resource_type)
        });
        let comparator = text(element, "comparator");
        Some(Self {
            resource_type,
            parameter: text(element, "filterParameter")?,
            modifier: text(element, "modifier"),
            comparator: comparator.filter(|code| COMPARATORS.contains(&code.as_str())),
            value: text(element, "value")?,
        })
    }
}

#[cfg(test)]
mod tests;
