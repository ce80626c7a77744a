//! References: to resources of this base, to URLs, and by identifier.

use cresset_definitions::{Definitions, TypeDefinition};
use serde_json::Value;
use smol_str::SmolStr;

use crate::text::{StringOperand, Text};
use crate::token::{Token, TokenOperand};
use crate::uri::split_version;
use crate::value::redact;
use crate::version::VersionTest;

/// The longest id FHIR allows.
const ID_BYTES_MAX: usize = 64;

/// A reference of a resource.
#[derive(Clone, Copy, PartialEq)]
pub struct Reference<'a> {
    /// What it points at.
    pub target: Target<'a>,
    /// The identifier of what it points at, if it is written.
    pub identifier: Option<Token<'a>>,
    /// The text for people.
    pub display: Option<&'a str>,
}

/// What a reference points at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A resource contained in the same one; no search finds it.
    Contained,
    /// A resource of this base: `Type/id`, or the own base URL before it.
    Local {
        /// Its type.
        resource_type: &'a str,
        /// Its id.
        id: &'a str,
        /// Its version: after `/_history/`, or a canonical's after `|`.
        version: Option<&'a str>,
    },
    /// Nothing that can be followed: only an identifier or a text is written.
    Logical,
    /// Anything else: a URL outside of this base, a canonical, a URN.
    Url {
        /// The URL without version.
        url: &'a str,
        /// Its version: after `/_history/`, or a canonical's after `|`.
        version: Option<&'a str>,
    },
}

impl<'a> Target<'a> {
    /// Reads a reference or canonical as written; `base_url` has no final `/`.
    pub(crate) fn parse(text: &'a str, base_url: &str) -> Self {
        // Most are relative; what is written so can mean nothing else.
        if let Some((resource_type, id)) = local(text) {
            return Self::Local { resource_type, id, version: None };
        }
        if text.starts_with('#') {
            return Self::Contained;
        }
        let (url, business_version) = split_version(text);
        let relative = match url.strip_prefix(base_url).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) if !base_url.is_empty() => rest,
            Some(_) | None => url,
        };
        let (path, history) = match relative.split_once("/_history/") {
            Some((path, version)) => (path, Some(version)),
            None => (relative, None),
        };
        let version = business_version.or(history);
        match local(path) {
            Some((resource_type, id)) => Self::Local { resource_type, id, version },
            None => {
                Self::Url { url: url.split_once("/_history/").map_or(url, |(url, _)| url), version }
            }
        }
    }
}

/// The type and id of `Type/id`.
fn local(path: &str) -> Option<(&str, &str)> {
    // What ends the type is the first byte that is neither letter nor digit.
    let slash = path.bytes().position(|byte| !OF_NAME[usize::from(byte)])?;
    let (resource_type, id) = path.split_at_checked(slash)?;
    let id = id.strip_prefix('/')?;
    let is_type = resource_type.as_bytes().first()?.is_ascii_uppercase();
    (is_type && is_id(id)).then_some((resource_type, id))
}

fn is_id(text: &str) -> bool {
    let is_of_id = |byte: u8| OF_NAME[usize::from(byte)] || byte == b'-' || byte == b'.';
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_of_id)
}

/// Letters and digits of ASCII. A look into a table costs half of what comparisons do, and this is asked
/// of every reference.
static OF_NAME: [bool; 256] = {
    let mut of_name = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        of_name[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    of_name
};

impl<'a> Reference<'a> {
    /// `Reference`; `None` where it is empty.
    pub(crate) fn of_reference(json: &'a Value, base_url: &str) -> Option<Self> {
        let (mut target, mut identifier, mut display) = (Target::Logical, None, None);
        // Few members: one look at each costs less than a search for each.
        for (name, value) in json.as_object()? {
            match (name.as_str(), value) {
                ("reference", Value::String(text)) => target = Target::parse(text, base_url),
                ("identifier", value) => identifier = Token::of_identifier(value),
                ("display", Value::String(text)) => display = Some(text.as_str()),
                _ => {}
            }
        }
        let empty = target == Target::Logical && identifier.is_none() && display.is_none();
        (!empty).then_some(Self { target, identifier, display })
    }

    /// `canonical` or `uri`.
    pub(crate) fn of_url(text: &'a str, base_url: &str) -> Self {
        Self { target: Target::parse(text, base_url), identifier: None, display: None }
    }

    /// A resource nested in this one (`Bundle.entry.resource`); `None` without an id or of a type
    /// that the parameter does not point at.
    pub(crate) fn of_resource(json: &'a Value, targets: &[&str]) -> Option<Self> {
        let part = |name: &str| json.get(name).and_then(Value::as_str);
        let (resource_type, id) = (part("resourceType")?, part("id")?);
        if !targets.is_empty() && !targets.contains(&resource_type) {
            return None;
        }
        let target = Target::Local { resource_type, id, version: None };
        Some(Self { target, identifier: None, display: None })
    }
}

/// A reference to compare with.
#[derive(Clone, PartialEq, Eq)]
pub enum ReferenceOperand {
    /// This id in any type the parameter may point at.
    Id(SmolStr),
    /// This identifier beside the reference (`:identifier`).
    Identifier(TokenOperand),
    /// This resource of this base.
    Local {
        /// Its type.
        resource_type: &'static TypeDefinition,
        /// Its id.
        id: SmolStr,
    },
    /// This version of a resource of this base; boxed, since that is rare and there may be a
    /// million operands.
    LocalVersion(Box<LocalVersion>),
    /// The text for people (`:text`).
    Text(StringOperand),
    /// This URL.
    Url {
        /// The URL without version.
        url: SmolStr,
        /// What is asked of the version that a reference names, if anything is.
        version: Option<Box<VersionTest>>,
    },
}

/// A version of a resource of this base.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalVersion {
    /// The type of the resource.
    pub resource_type: &'static TypeDefinition,
    /// Its id.
    pub id: SmolStr,
    /// What is asked of the version that a reference names.
    pub version: VersionTest,
}

impl ReferenceOperand {
    /// Reads `id`, `Type/id`, an absolute URL or a canonical; the error says what is wrong.
    ///
    /// With `only` (`:Patient`) the reference must be to this type; with `typed` (`:type`) a type
    /// must be written.
    pub(crate) fn parse(
        text: &str,
        base_url: &str,
        definitions: &'static Definitions,
        only: Option<&'static str>,
        typed: bool,
    ) -> Result<Self, &'static str> {
        const UNKNOWN: &str = "a reference to a resource type of this FHIR version";
        let type_named = |name| definitions.type_named(name).ok_or(UNKNOWN);
        if is_id(text) {
            return match only {
                Some(only) => {
                    Ok(Self::Local { resource_type: type_named(only)?, id: SmolStr::new(text) })
                }
                None if typed => Err("Type/id, since the modifier is `type`"),
                None => Ok(Self::Id(SmolStr::new(text))),
            };
        }
        match Target::parse(text, base_url) {
            Target::Local { resource_type, id, version } => {
                let resource_type = type_named(resource_type)?;
                if !definitions.is_resource(resource_type.name) {
                    return Err(UNKNOWN);
                }
                if only.is_some_and(|only| only != resource_type.name) {
                    return Err("a reference to the type that the modifier names");
                }
                let id = SmolStr::new(id);
                Ok(match version.map(exactly) {
                    None => Self::Local { resource_type, id },
                    Some(version) => {
                        Self::LocalVersion(Box::new(LocalVersion { resource_type, id, version }))
                    }
                })
            }
            // The type of what lies on another server is not known.
            Target::Url { .. } if only.is_some() || typed => Err("Type/id or a URL on this server"),
            Target::Url { url, version } if url.contains(':') => Ok(Self::Url {
                url: SmolStr::new(url),
                version: version.map(exactly).map(Box::new),
            }),
            Target::Contained | Target::Logical | Target::Url { .. } => {
                Err("an id, Type/id or an absolute URL")
            }
        }
    }

    /// The same of a canonical, but about other versions than the very one that is written.
    pub(crate) fn about_versions(
        self,
        test: fn(SmolStr) -> VersionTest,
    ) -> Result<Self, &'static str> {
        match self {
            Self::Local { .. } => Ok(self),
            Self::LocalVersion(wanted) => {
                let version = test(wanted.version.into_version());
                Ok(Self::LocalVersion(Box::new(LocalVersion { version, ..*wanted })))
            }
            Self::Url { url, version } => {
                let version = version.map(|version| Box::new(test(version.into_version())));
                Ok(Self::Url { url, version })
            }
            Self::Id(_) | Self::Identifier(_) | Self::Text(_) => {
                Err("a canonical URL, perhaps with |version")
            }
        }
    }

    /// Whether the reference fits; `targets` are the types the parameter may point at, empty for
    /// any.
    pub fn matches(&self, value: &Reference<'_>, targets: &[&str]) -> bool {
        match (self, value.target) {
            (Self::Id(wanted), Target::Local { resource_type, id, .. }) => {
                wanted == id && (targets.is_empty() || targets.contains(&resource_type))
            }
            (
                Self::Local { resource_type: wanted, id: wanted_id },
                Target::Local { resource_type, id, .. },
            ) => wanted_id == id && wanted.name == resource_type,
            (Self::LocalVersion(wanted), Target::Local { resource_type, id, version }) => {
                wanted.id == id
                    && wanted.resource_type.name == resource_type
                    && wanted.version.holds(version)
            }
            (Self::Url { url: wanted, version: asked }, Target::Url { url, version }) => {
                wanted == url && asked.as_deref().is_none_or(|asked| asked.holds(version))
            }
            (Self::Identifier(token), _) => {
                value.identifier.is_some_and(|identifier| token.matches(&identifier))
            }
            (Self::Text(text), _) => {
                value.display.is_some_and(|display| text.matches(&Text::new(display)))
            }
            (
                Self::Id(_) | Self::Local { .. } | Self::LocalVersion(_) | Self::Url { .. },
                Target::Contained | Target::Local { .. } | Target::Logical | Target::Url { .. },
            ) => false,
        }
    }
}

fn exactly(version: &str) -> VersionTest {
    VersionTest::Exact(SmolStr::new(version))
}

redact!(LocalVersion, Reference<'_>, ReferenceOperand, Target<'_>);

#[cfg(test)]
mod tests;
