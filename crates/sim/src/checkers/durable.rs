//! I3 and I11: what is told is durable, what was acknowledged stays, what was refused never was.

use std::collections::{BTreeMap, BTreeSet};

use cresset_model::{Change, Position};
use cresset_store::Store;

use super::{Checked, Violation};
use crate::facts::{Committed, Facts, Subscription, body_of};
use crate::wire::Notification;

/// What clients were answered.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    /// Changes that were acknowledged since a node last started.
    acknowledged: Vec<Change>,
    refused: BTreeSet<String>,
    /// What tells a write from others, of all writes in the log, and where it is.
    written: BTreeMap<String, Position>,
    /// Writes that are made together or not at all: how many of which transaction.
    together: BTreeMap<String, (u64, usize)>,
    transactions: u64,
    /// Writes of transactions that were committed just now: which, of how many, in which group.
    parts: Vec<(u64, usize, u64)>,
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
        // The server's own changes of a status leave it as it is.
        if self.written.contains_key(&marker) {
            return Ok(());
        }
        if let Some((transaction, count)) = self.together.get(&marker) {
            self.parts.push((*transaction, *count, committed.append));
        }
        self.written.insert(marker, committed.change.position);
        Ok(())
    }

    /// What was committed just now is no transaction in part.
    pub(super) fn whole(&mut self) -> Checked {
        let mut parts = BTreeMap::new();
        for part in self.parts.drain(..) {
            *parts.entry(part).or_insert(0_usize) += 1;
        }
        match parts.into_iter().find(|((_, count, _), found)| count != found) {
            Some(((_, count, _), found)) => Err(violation(format!(
                "{found} of the {count} writes of a transaction are in a group"
            ))),
            None => Ok(()),
        }
    }

    /// A client asks that these writes be made together or not at all.
    pub(crate) fn asked_together(&mut self, markers: &[String]) {
        self.transactions += 1;
        let of = (self.transactions, markers.len());
        self.together.extend(markers.iter().map(|marker| (marker.clone(), of)));
    }

    /// A client heard that this write of several was made.
    pub(crate) fn acknowledged_by_marker(
        &mut self,
        marker: &str,
        facts: &Facts,
        store: &dyn Store,
    ) -> Checked {
        let index = self.written.get(marker).and_then(|at| usize::try_from(at.get() - 1).ok());
        match index.and_then(|index| facts.log.get(index)) {
            Some(committed) => self.acknowledged(&committed.change, store),
            None => Err(violation(format!("{marker} was acknowledged and is not in the log"))),
        }
    }

    /// A client heard that its change was made.
    pub(crate) fn acknowledged(&mut self, change: &Change, store: &dyn Store) -> Checked {
        check(change, store)?;
        self.acknowledged.push(change.clone());
        Ok(())
    }

    /// A client heard that its write was not made.
    pub(crate) fn refused(&mut self, marker: &str) -> Checked {
        if self.written.contains_key(marker) {
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
    let body = body_of(change);
    let marker = match change.key.resource_type.as_str() {
        "Subscription" => &body["reason"],
        "Basic" | "SubscriptionTopic" => &body["description"],
        _ => &body["identifier"][0]["value"],
    };
    marker.as_str().map(str::to_owned)
}
