//! I3 and I11: what is told is durable, what was acknowledged stays, what was refused never was.

use std::collections::BTreeSet;

use cresset_model::{Change, Interaction};
use cresset_store::Store;
use serde_json::Value;

use super::{Checked, Violation};
use crate::facts::{Committed, Subscription};
use crate::wire::Notification;

/// What clients were answered.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    /// Changes that were acknowledged since a node last started.
    acknowledged: Vec<Change>,
    refused: BTreeSet<String>,
    /// What tells a write from others, of all writes in the log.
    written: BTreeSet<String>,
}

fn violation(text: String) -> Violation {
    Violation::new("durable", text)
}

/// A notification names no event beyond the last durable one.
pub(super) fn told(subscription: &Subscription, notification: &Notification) -> Checked {
    match notification.range() {
        Some((_, last)) if last > subscription.last() => Err(violation(format!(
            "event {last} of {} is told of, {} are durable",
            subscription.id,
            subscription.last()
        ))),
        Some(_) | None => Ok(()),
    }
}

impl Durable {
    pub(super) fn committed(&mut self, committed: &Committed) -> Checked {
        let Some(marker) = marker(&committed.change) else { return Ok(()) };
        if self.refused.contains(&marker) {
            return Err(violation(format!("{marker} was refused and is in the log")));
        }
        self.written.insert(marker);
        Ok(())
    }

    /// A client heard that its change was made.
    pub(crate) fn acknowledged(&mut self, change: &Change, store: &dyn Store) -> Checked {
        check(change, store)?;
        self.acknowledged.push(change.clone());
        Ok(())
    }

    /// A client heard that its write was not made.
    pub(crate) fn refused(&mut self, marker: &str) -> Checked {
        if self.written.contains(marker) {
            return Err(violation(format!("{marker} is in the log and was refused")));
        }
        self.refused.insert(marker.to_owned());
        Ok(())
    }

    /// After a crash.
    pub(super) fn stored(&mut self, store: &dyn Store) -> Checked {
        self.acknowledged.drain(..).try_for_each(|change| check(&change, store))
    }
}

fn check(change: &Change, store: &dyn Store) -> Checked {
    let stored = store.change(change.position);
    let stored = stored.map_err(|error| violation(format!("the store cannot be read: {error}")))?;
    if stored.as_ref() != Some(change) {
        let text = format!("{} was acknowledged at {}", change.key, change.position.get());
        return Err(violation(format!("{text}, where the store has something else")));
    }
    Ok(())
}

/// What tells a client's write from all others.
fn marker(change: &Change) -> Option<String> {
    if change.interaction == Interaction::Delete {
        return None;
    }
    let body: Value = serde_json::from_slice(&change.body).ok()?;
    let marker = match change.key.resource_type.as_str() {
        "Subscription" => &body["reason"],
        "SubscriptionTopic" => &body["description"],
        _ => &body["identifier"][0]["value"],
    };
    marker.as_str().map(str::to_owned)
}
