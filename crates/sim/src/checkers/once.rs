//! I2: a change gives a subscription at most one event, and an event is always the same change.

use std::collections::BTreeSet;

use super::{Checked, Violation};
use crate::facts::{Committed, Facts, Subscription};
use crate::wire::Notification;

pub(super) fn committed(committed: &Committed) -> Checked {
    let mut seen = BTreeSet::new();
    for event in &committed.events {
        if !seen.insert(event.subscription) {
            let text =
                format!("{} is twice an event of {}", committed.change.key, event.subscription);
            return Err(Violation::new("once", text));
        }
    }
    Ok(())
}

/// A number names the change that it was given to, in whatever notification.
pub(super) fn told(
    subscription: &Subscription,
    notification: &Notification,
    facts: &Facts,
) -> Checked {
    for (number, focus) in &notification.events {
        let Some(focus) = focus else { continue };
        let position = subscription.position(*number).map_or(0, |position| position.get());
        let index = usize::try_from(position.saturating_sub(1)).expect("a position");
        let known = facts.log.get(index).map(|one| one.change.key.id.as_str());
        if known != Some(focus.as_str()) {
            let text = format!(
                "event {number} of {} is {known:?} in the log and {focus} for the receiver",
                subscription.id
            );
            return Err(Violation::new("once", text));
        }
    }
    Ok(())
}
