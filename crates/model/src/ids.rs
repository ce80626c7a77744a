//! Names of things: resource types and ids, canonicals, bases, clients.

use smol_str::SmolStr;
use std::fmt;
use std::num::NonZeroU64;

use crate::Position;

/// A text that is not what FHIR allows in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
}

/// One FHIR base of this server (`/r4`, `/r4b`, `/r5`): resources, topics and subscriptions of
/// its own. Which FHIR version it speaks is the business of the codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base(u8);

impl Base {
    /// The base with this number. Numbers are stored: they never change meaning.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number that stands for this base in stored records.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The name of a FHIR resource type (`Encounter`).
///
/// Success means the *form* of a type name, not that any FHIR version defines it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceType(SmolStr);

impl ResourceType {
    /// Checks the form: an upper-case ASCII letter, then up to 63 ASCII letters or digits.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        let valid = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if valid {
            Ok(Self(SmolStr::new(name)))
        } else {
            Err(InvalidId { what: "a resource type", rule: "a name such as Encounter" })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The logical id of a resource: 1 to 64 characters of `[A-Za-z0-9.-]`, but neither `.` nor `..`.
///
/// Those two are no segment of a URL's path: who follows a URL with one asks for another resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(SmolStr);

impl ResourceId {
    /// Checks FHIR's rule for the type `id`.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        let valid = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            && !matches!(id, "." | "..");
        if valid {
            Ok(Self(SmolStr::new(id)))
        } else {
            let rule = "1 to 64 characters of A-Z a-z 0-9 - . and neither . nor ..";
            Err(InvalidId { what: "an id", rule })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What names one resource on this server: base, type, id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The base the resource lives in.
    pub base: Base,
    /// Its type.
    pub resource_type: ResourceType,
    /// Its logical id.
    pub id: ResourceId,
}

impl fmt::Display for ResourceKey {
    /// `Type/id`, the form of a relative reference.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource_type, self.id)
    }
}

/// `meta.versionId` of a resource on this server: 1, 2, 3 … per resource, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(NonZeroU64);

impl VersionId {
    /// The version of a resource that was just created for the first time.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The version with this number, unless it is 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The version that follows this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a subscription, from its create to its delete.
///
/// It is the position of the change that created it, so it is unique for ever and needs no
/// counter of its own. A Subscription deleted and created again under the same id gets a new key,
/// and its event numbers start at 1 again (RQ-NB-40 counts since creation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionKey(Position);

impl SubscriptionKey {
    /// The key of the subscription that the change at this position creates.
    pub const fn created_at(position: Position) -> Self {
        Self(position)
    }

    /// The position of the change that created the subscription.
    pub const fn position(self) -> Position {
        self.0
    }
}

impl fmt::Display for SubscriptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The canonical URL of a topic, perhaps with `|version` (RQ-TP-05).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Canonical {
    /// The URL before `|`.
    pub url: SmolStr,
    /// The business version after `|`, if one is named.
    pub version: Option<SmolStr>,
}

impl Canonical {
    /// Splits `url|version` at the last `|`. An empty version counts as none.
    pub fn new(text: &str) -> Self {
        match text.rsplit_once('|') {
            Some((url, version)) => Self {
                url: SmolStr::new(url),
                version: (!version.is_empty()).then(|| SmolStr::new(version)),
            },
            None => Self { url: SmolStr::new(text), version: None },
        }
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        match &self.version {
            Some(version) => write!(f, "|{version}"),
            None => Ok(()),
        }
    }
}

/// The configured name of a client of this server; owner of the subscriptions it creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(SmolStr);

impl ClientName {
    /// Checks the form: 1 to 64 visible ASCII characters.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        let valid = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if valid {
            Ok(Self(SmolStr::new(name)))
        } else {
            Err(InvalidId { what: "a client name", rule: "1 to 64 visible ASCII characters" })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_segment_of_a_path() {
        for good in ["a", "-", "...", ".a", "A.1-b", &"x".repeat(64)] {
            assert!(ResourceId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a_b", "ä", &"x".repeat(65)] {
            assert!(ResourceId::new(bad).is_err(), "{bad}");
        }
    }
}
