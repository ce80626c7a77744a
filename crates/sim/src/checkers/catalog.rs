//! I7: the catalog in force for a change is the fold of the log up to it: a naive recount gives the
//! same events.

use std::collections::BTreeSet;

use cresset_model::Event;

use super::{Checked, Violation};
use crate::facts::{Expected, Facts};
use crate::naive::Verdict;

/// `blind`: nothing could be looked up, so that what depends on it may be missing.
pub(super) fn committed(
    (at, blind): (&str, bool),
    expected: &Expected,
    events: &[Event],
    facts: &Facts,
) -> Checked {
    let mut given: BTreeSet<_> = events.iter().map(|event| event.subscription).collect();
    let violation = |key, what| {
        let text = format!("{at} {what} {}", facts.describe(key));
        Err(Violation::new("catalog", text))
    };
    for (key, verdict) in expected {
        match (verdict, given.remove(key)) {
            (Verdict::Yes, false) if !blind => return violation(*key, "should be an event of"),
            (Verdict::No, true) => return violation(*key, "should be no event of"),
            (Verdict::Yes | Verdict::No | Verdict::Unknowable, _) => {}
        }
    }
    match given.first() {
        Some(key) => violation(*key, "is an event though none is counted of"),
        None => Ok(()),
    }
}
