//! Which of two business versions is the later one.

use std::cmp::Ordering;

/// Compares versions piece by piece, numbers as numbers: `1.9` < `1.10` < `2.0`.
///
/// FHIR does not say how versions compare (`versionAlgorithm` is R5's, and optional). No version is
/// earlier than any, a pre-release (`2.0-ballot`) is earlier than its release, and numbers are
/// earlier than words.
pub fn compare_versions(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_some().cmp(&b.is_some());
    };
    let (a_release, a_pre) = split(a);
    let (b_release, b_pre) = split(b);
    pieces(a_release)
        .cmp(pieces(b_release))
        .then_with(|| a_pre.is_none().cmp(&b_pre.is_none()))
        .then_with(|| pieces(a_pre.unwrap_or_default()).cmp(pieces(b_pre.unwrap_or_default())))
        // Versions that say the same in other words still need an order that is always the same.
        .then_with(|| a.cmp(b))
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
    version.split(['.', '-', '+', '_']).map(|piece| {
        if !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit()) {
            let digits = piece.trim_start_matches('0');
            Piece::Number(digits.len(), digits)
        } else {
            Piece::Word(piece)
        }
    })
}
