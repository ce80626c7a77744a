//! Named points at which the crash tests have the process die.
//!
//! They are there in builds with debug assertions only, which is what tests run. In a release build
//! [`crash_point`] is an empty function, so that neither the points nor their names are in the binary.
//! They are no `cfg` of their own, which would be a second build of the workspace in every test run.

/// What names the point: `name` for its first pass, `name:7` for its seventh.
#[cfg(debug_assertions)]
const VARIABLE: &str = "CRESSET_CRASH_AT";

/// Ends the process as `kill -9` does, if the environment asks for it at this point.
///
/// `crates/conformance/tests/it/crash.rs` lists the points, and a test there compares.
#[cfg(debug_assertions)]
pub fn crash_point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let asked = std::env::var(VARIABLE).ok()?;
        let (name, pass) = asked.split_once(':').unwrap_or((&asked, "1"));
        Some((name.to_owned(), AtomicU64::new(pass.parse().ok()?)))
    });
    if let Some((wanted, left)) = wanted
        && wanted == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Nothing, in this build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn crash_point(_: &str) {}
