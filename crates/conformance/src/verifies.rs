//! The marker that ties a test to the requirements it proves, and sees to it that the test asks the
//! bases of the versions that it proves them for.
//!
//! A test's process is its own, so what was asked in the process was asked by the test. Under a runner
//! that runs several tests in one, the check may pass where it should not, and never the other way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use crate::version::Version;

/// The bases that were asked something, a bit each.
static ASKED: AtomicU8 = AtomicU8::new(0);

/// The versions that each requirement is for, by their names.
static REQUIREMENTS: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let table: toml::Table =
        include_str!("../requirements.toml").parse().expect("the file is TOML");
    let all = table["requirement"].as_array().expect("requirements").iter();
    let text = |value: &toml::Value| value.as_str().expect("text").to_owned();
    all.map(|one| {
        let versions = one["versions"].as_array().expect("versions").iter().map(text);
        (text(&one["id"]), versions.collect())
    })
    .collect()
});

/// Names the requirements that a test proves: for all versions that they are for, or of these for
/// the versions that are named, as in `verifies!(R4, R5: "RQ-…")`.
///
/// Stands at the beginning of the test. At its end, the test fails unless it asked the base of each
/// of these versions.
#[macro_export]
macro_rules! verifies {
    ($($id:literal),+ $(,)?) => {
        let _proof = $crate::Proof::begin(&[$($id),+], &$crate::Version::ALL);
    };
    ($($version:ident),+: $($id:literal),+ $(,)?) => {
        let _proof = $crate::Proof::begin(&[$($id),+], &[$($crate::Version::$version),+]);
    };
}

/// A test that proves something is under way; what [`verifies!`](crate::verifies) begins.
#[derive(Debug)]
pub struct Proof(Vec<Version>);

impl Proof {
    /// A proof of requirements for those of the versions that they are for.
    ///
    /// # Panics
    /// If a requirement is not known, or is for none of the versions.
    pub fn begin(ids: &[&str], versions: &[Version]) -> Self {
        let mut needed = Vec::new();
        for id in ids {
            let of = REQUIREMENTS.get(*id).unwrap_or_else(|| panic!("{id} is not known"));
            let named = versions.iter().filter(|version| of.contains(version.name()));
            let before = needed.len();
            needed.extend(named);
            assert!(needed.len() > before, "{id} is for none of {versions:?}");
        }
        Self(needed)
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        let asked = ASKED.load(Ordering::Relaxed);
        let missing: Vec<_> = self.0.iter().filter(|version| asked & bit(**version) == 0).collect();
        // A test that has failed says more.
        if !thread::panicking() {
            assert!(missing.is_empty(), "nothing was asked of {missing:?}: name the versions");
        }
    }
}

/// Notes that a base of this version is asked something.
pub(crate) fn asked(version: Version) {
    ASKED.fetch_or(bit(version), Ordering::Relaxed);
}

const fn bit(version: Version) -> u8 {
    match version {
        Version::R4 => 1,
        Version::R4B => 2,
        Version::R5 => 4,
    }
}
