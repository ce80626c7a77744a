//! Filters of subscriptions, in the guide's text form and in R5's elements.
//!
//! Its tests are in `filter/tests.rs`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::json::text;

/// Prefixes of values that are comparators.
const COMPARATORS: [&str; 9] = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

/// What has a meaning of its own in a text of filters.
const IN_VALUES: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%').add(b'&').add(b'+');
/// In a name also what ends it, or the type before it.
const IN_NAMES: &AsciiSet = &IN_VALUES.add(b'=').add(b'?');

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

    /// Reads a text with one filter; [`Filter::list`] reads one with several.
    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        <[Self; 1]>::try_from(Self::list(text)?).map(|[filter]| filter).map_err(|_| InvalidFilter)
    }
}

impl fmt::Display for Filter {
    /// The form of the guide, percent-encoded (RQ-FL-02); a comparator begins the value there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(resource_type) = &self.resource_type {
            write!(f, "{resource_type}?")?;
        }
        write!(f, "{}", utf8_percent_encode(&self.parameter, IN_NAMES))?;
        if let Some(modifier) = &self.modifier {
            write!(f, ":{}", utf8_percent_encode(modifier, IN_NAMES))?;
        }
        let comparator = self.comparator.as_deref().unwrap_or_default();
        write!(f, "={comparator}{}", utf8_percent_encode(&self.value, IN_VALUES))
    }
}

impl Filter {
    /// Reads a text of the guide: filters joined by `&` and percent-encoded (RQ-FL-02), all of them for the
    /// `Type?` that it may begin with, or each with its grammar's `Type.` (TR-01).
    ///
    /// # Errors
    ///
    /// If one of them has no parameter or no value, or there is none.
    pub fn list(text: &str) -> Result<Vec<Self>, InvalidFilter> {
        let (resource_type, pairs) = split_type(text);
        let pairs = pairs.split('&').filter(|pair| !pair.is_empty());
        let filters: Vec<Self> =
            pairs.map(|pair| Self::of_pair(resource_type, pair)).collect::<Result<_, _>>()?;
        if filters.is_empty() { Err(InvalidFilter) } else { Ok(filters) }
    }

    fn of_pair(resource_type: Option<&str>, pair: &str) -> Result<Self, InvalidFilter> {
        let (name, value) = pair.split_once('=').ok_or(InvalidFilter)?;
        let (name, value) = (decoded(name), decoded(value));
        let (resource_type, name) = match (resource_type, name.split_once('.')) {
            // A chain begins with a parameter, a type with a capital letter.
            (None, Some((first, rest))) if first.starts_with(|c: char| c.is_ascii_uppercase()) => {
                (Some(first), rest)
            }
            _ => (resource_type, &*name),
        };
        let (parameter, modifier) = match name.split_once(':') {
            // A chain with a type, patient:Patient.name, is all parameter, as a URL is.
            Some((parameter, modifier)) if !modifier.contains(['.', '/']) => {
                (parameter, Some(modifier))
            }
            _ => (name, None),
        };
        if parameter.is_empty() || value.is_empty() || modifier == Some("") {
            return Err(InvalidFilter);
        }
        Ok(Self {
            resource_type: resource_type.map(str::to_owned),
            parameter: parameter.to_owned(),
            modifier: modifier.map(str::to_owned),
            comparator: None,
            value: value.into_owned(),
        })
    }

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

/// Takes `Type?` off the front; its type may be left out.
fn split_type(text: &str) -> (Option<&str>, &str) {
    let head = text.split('=').next().unwrap_or_default();
    match head.split_once('?') {
        Some((name, _)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            (Some(name).filter(|name| !name.is_empty()), &text[name.len() + 1..])
        }
        // A parameter that is a URL may hold a question mark of its own.
        Some(_) | None => (None, text),
    }
}

/// The text as it is if what comes out would not be UTF-8, as the server reads it.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8().unwrap_or(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests;
