//! Business versions: which of two is the later one, and what a search asks of one.
//!
//! Tests: `version/tests.rs`.

use std::cmp::Ordering;

use smol_str::SmolStr;

use crate::value::redact;

/// What separates the pieces of a version.
const SEPARATORS: [char; 4] = ['.', '-', '+', '_'];

/// What is asked of the version that a canonical names.
#[derive(Clone, PartialEq, Eq)]
pub enum VersionTest {
    /// It is later than this one, and not within it (`:above`).
    After(SmolStr),
    /// It is this one.
    Exact(SmolStr),
    /// It is this one or begins with its pieces (`:below`): `1`, `1.2` and `1-rc` are within `1`.
    Within(SmolStr),
}

impl VersionTest {
    /// Whether the test holds; it never does where no version is named.
    pub fn holds(&self, version: Option<&str>) -> bool {
        version.is_some_and(|version| match self {
            Self::After(asked) => is_later(version, asked) && !is_within(version, asked),
            Self::Exact(asked) => version == asked,
            Self::Within(asked) => is_within(version, asked),
        })
    }

    /// The version that is written in it.
    pub(crate) fn into_version(self) -> SmolStr {
        match self {
            Self::After(version) | Self::Exact(version) | Self::Within(version) => version,
        }
    }
}

redact!(VersionTest);

fn is_within(version: &str, asked: &str) -> bool {
    let rest = version.strip_prefix(asked);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATORS))
}

fn is_later(version: &str, asked: &str) -> bool {
    in_order(version, asked) == Ordering::Greater
}

/// Compares versions piece by piece, numbers as numbers: `1.9` < `1.10` < `2.0`.
///
/// FHIR does not say how versions compare (`versionAlgorithm` is R5's, and optional). No version is
/// earlier than any, a pre-release (`2.0-ballot`) is earlier than its release, and numbers are
/// earlier than words.
pub fn compare_versions(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_some().cmp(&b.is_some());
    };
    // Versions that say the same in other words still need an order that is always the same.
    in_order(a, b).then_with(|| a.cmp(b))
}

fn in_order(a: &str, b: &str) -> Ordering {
    let (a_release, a_pre) = split(a);
    let (b_release, b_pre) = split(b);
    pieces(a_release)
        .cmp(pieces(b_release))
        .then_with(|| a_pre.is_none().cmp(&b_pre.is_none()))
        .then_with(|| pieces(a_pre.unwrap_or_default()).cmp(pieces(b_pre.unwrap_or_default())))
}

/// The release and what comes after its first dash.
fn split(version: &str) -> (&str, Option<&str>) {
    match version.split_once('-') {
        // A date is a version of its own, not a pre-release of its year.
        Some((year, rest)) if rest.starts_with(|c: char| c.is_ascii_digit()) && year.len() == 4 => {
            (version, None)
        }
        Some((release, pre)) => (release, Some(pre)),
        None => (version, None),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'v> {
    /// Digits without leading zeros: the longer one is the greater one.
    Number(usize, &'v str),
    Word(&'v str),
}

fn pieces(version: &str) -> impl Iterator<Item = Piece<'_>> {
    version.split(SEPARATORS).map(|piece| {
        if !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit()) {
            let digits = piece.trim_start_matches('0');
            Piece::Number(digits.len(), digits)
        } else {
            Piece::Word(piece)
        }
    })
}

#[cfg(test)]
mod tests;
