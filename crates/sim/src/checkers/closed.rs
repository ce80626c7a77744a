//! I9: what cannot be evaluated lets nothing through.

use cresset_model::Event;

use super::{Checked, Violation};
use crate::facts::Expected;
use crate::naive::Verdict;

pub(super) fn committed(at: &str, expected: &Expected, events: &[Event]) -> Checked {
    for (key, verdict) in expected {
        let is_given = events.iter().any(|event| event.subscription == *key);
        if *verdict == Verdict::Unknowable && is_given {
            let text = format!("{at} cannot be evaluated for {key} and is an event of it");
            return Err(Violation::new("closed", text));
        }
    }
    Ok(())
}
