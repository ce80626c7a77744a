//! URIs: compared exactly, or along their path.

use serde_json::Value;
use smol_str::SmolStr;

use crate::value::redact;
use crate::version::VersionTest;

/// A URI of a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The URI, without the version of a canonical.
    pub url: &'a str,
    /// The business version: what follows `|` in a canonical, or the `version` of the resource
    /// whose own canonical URL this is.
    pub version: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// A URI that is no canonical.
    pub(crate) fn plain(text: &'a str) -> Self {
        Self { url: text, version: None }
    }

    /// `url|version` or `url`.
    pub(crate) fn canonical(text: &'a str) -> Self {
        let (url, version) = split_version(text);
        Self { url, version }
    }

    /// The canonical URL of the resource itself, with its `version`.
    pub(crate) fn own(text: &'a str, resource: &'a Value) -> Self {
        Self { url: text, version: resource.get("version").and_then(Value::as_str) }
    }
}

/// Splits a canonical at its last `|`; an empty version counts as none.
pub(crate) fn split_version(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('|') {
        Some((url, version)) => (url, (!version.is_empty()).then_some(version)),
        None => (text, None),
    }
}

/// How a URI is compared with the searched one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UriTest {
    /// The searched one is the same or lies below it (`:above`).
    Above,
    /// It is the same as the searched one or lies below it (`:below`).
    Below,
    /// It contains the searched text, in upper or lower case (`:contains`).
    Contains,
    /// It is the same.
    Exact,
}

/// A URI to compare with.
#[derive(Clone, PartialEq, Eq)]
pub struct UriOperand {
    /// How to compare.
    pub test: UriTest,
    /// With what; in lower case for `Contains`.
    pub url: SmolStr,
    /// What is asked of its version, if anything is; boxed, since that is rare.
    pub version: Option<Box<VersionTest>>,
}

impl UriOperand {
    /// `None` where the test cannot be made with this text: an empty one, or a URN above or below
    /// something, since only URLs have paths.
    ///
    /// With a version, above and below ask for versions of the very canonical.
    pub(crate) fn new(test: UriTest, text: &str) -> Option<Self> {
        let (url, version) = split_version(text);
        let version = version.map(SmolStr::new);
        let (test, url, version) = match (test, version) {
            (UriTest::Contains, _) => (test, SmolStr::new(text.to_lowercase()), None),
            (UriTest::Above | UriTest::Below, None) if is_urn(url) => return None,
            (UriTest::Above | UriTest::Below | UriTest::Exact, None) => {
                (test, SmolStr::new(url), None)
            }
            (UriTest::Above, Some(version)) => {
                (UriTest::Exact, SmolStr::new(url), Some(VersionTest::After(version)))
            }
            (UriTest::Below, Some(version)) => {
                (UriTest::Exact, SmolStr::new(url), Some(VersionTest::Within(version)))
            }
            (UriTest::Exact, Some(version)) => {
                (test, SmolStr::new(url), Some(VersionTest::Exact(version)))
            }
        };
        (!url.is_empty()).then_some(Self { test, url, version: version.map(Box::new) })
    }

    /// Whether the test holds for the URI.
    pub fn matches(&self, value: &Uri<'_>) -> bool {
        match self.test {
            UriTest::Above => !is_urn(value.url) && is_at_or_below(&self.url, value.url),
            UriTest::Below => is_at_or_below(value.url, &self.url),
            UriTest::Contains => value.url.to_lowercase().contains(self.url.as_str()),
            UriTest::Exact => {
                value.url == self.url
                    && self.version.as_deref().is_none_or(|version| version.holds(value.version))
            }
        }
    }
}

fn is_urn(url: &str) -> bool {
    url.as_bytes().first_chunk().is_some_and(|start: &[u8; 4]| start.eq_ignore_ascii_case(b"urn:"))
}

/// Whether `url` is `parent`, or has all its segments and more.
fn is_at_or_below(url: &str, parent: &str) -> bool {
    let parent = parent.strip_suffix('/').unwrap_or(parent);
    match url.strip_prefix(parent) {
        Some(rest) => rest.is_empty() || rest.starts_with(['/', '?', '#']),
        None => false,
    }
}

redact!(Uri<'_>, UriOperand);

#[cfg(test)]
mod tests;
