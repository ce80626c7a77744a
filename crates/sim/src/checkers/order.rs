//! I4: attempts go in number order, one at a time whatever the clock does; a retry repeats the same
//! events and never overtakes.

use std::collections::{BTreeMap, BTreeSet};

use cresset_model::{Position, SubscriptionKey};

use super::no_loss::NoLoss;
use super::{Checked, Violation};
use crate::facts::{Facts, Subscription};

/// An attempt as it leaves the node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) key: SubscriptionKey,
    /// Names it.
    pub(crate) flight: u64,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    sent: Sent,
    first: u64,
    last: u64,
    result: Known,
    /// The version of the subscription at that time.
    version: Position,
}

/// What the node knows of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Failed,
    /// Nothing yet.
    Nothing,
    Succeeded,
}

/// What is known of each subscription.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The newest attempt of this node.
    newest: BTreeMap<SubscriptionKey, Attempt>,
    /// Highest number that a node knows to have arrived.
    confirmed: BTreeMap<SubscriptionKey, u64>,
    /// Subscriptions that this node was asked to send something again for.
    resends: BTreeSet<SubscriptionKey>,
    /// Last number of each subscription on each socket.
    sockets: BTreeMap<(u64, SubscriptionKey), u64>,
}

fn violation(text: String) -> Violation {
    Violation::new("order", text)
}

impl Order {
    pub(super) fn restarted(&mut self) {
        self.newest.clear();
        self.resends.clear();
        self.sockets.clear();
    }

    /// Somebody asked for events to be sent again.
    pub(crate) fn resend(&mut self, key: SubscriptionKey) {
        self.resends.insert(key);
    }

    pub(super) fn sent(&mut self, sent: Sent, (first, last): (u64, u64), facts: &Facts) -> Checked {
        let Some(subscription) = facts.subscriptions.get(&sent.key) else { return Ok(()) };
        let id = &subscription.id;
        let confirmed = self.confirmed.get(&sent.key).copied().unwrap_or(0);
        let before = self.newest.get(&sent.key).copied();
        if let Some(before) = &before
            && before.result == Known::Nothing
        {
            let text =
                format!("{first}-{last} of {id} go out beside {}-{}", before.first, before.last);
            return Err(violation(text));
        }
        let version = subscription.version;
        let attempt = Attempt { sent, first, last, result: Known::Nothing, version };
        if self.resends.contains(&sent.key) && last <= confirmed {
            // Sent again on purpose; it takes turns with the others.
            self.newest.insert(sent.key, attempt);
            return Ok(());
        }
        if let Some(skipped) = (confirmed + 1..first).find(|number| subscription.is_owed(*number)) {
            return Err(violation(format!("{first}-{last} of {id} go out without {skipped}")));
        }
        if let Some(before) = before.filter(|before| before.version == version)
            && !self.resends.contains(&sent.key)
        {
            let follows = first == before.last + 1;
            let repeats = (first, last) == (before.first, before.last);
            let expected = match before.result {
                Known::Succeeded => follows,
                Known::Failed | Known::Nothing => repeats,
            };
            if !expected {
                let Attempt { first: f, last: l, result, .. } = before;
                let text = format!("{first}-{last} of {id} follow {f}-{l} ({result:?})");
                return Err(violation(text));
            }
        }
        self.newest.insert(sent.key, attempt);
        Ok(())
    }

    /// The node was told what came of an attempt with these events.
    pub(crate) fn outcome(
        &mut self,
        key: SubscriptionKey,
        flight: u64,
        last: u64,
        succeeded: bool,
    ) {
        let Some(newest) = self.newest.get_mut(&key) else { return };
        if newest.sent.flight != flight {
            return;
        }
        newest.result = if succeeded { Known::Succeeded } else { Known::Failed };
        if succeeded {
            let confirmed = self.confirmed.entry(key).or_default();
            *confirmed = last.max(*confirmed);
        }
    }

    /// A receiver takes events for the first time only after those before them.
    pub(super) fn taken(
        &self,
        key: SubscriptionKey,
        first: u64,
        facts: &Facts,
        taken: &NoLoss,
    ) -> Checked {
        let Some(subscription) = facts.subscriptions.get(&key) else { return Ok(()) };
        match missing(subscription, first, taken) {
            Some(number) => {
                let text = format!("{first} of {} arrives before {number}", subscription.id);
                Err(violation(text))
            }
            None => Ok(()),
        }
    }

    /// A frame with events is written to a socket.
    pub(crate) fn framed(
        &mut self,
        socket: u64,
        key: SubscriptionKey,
        (first, last): (u64, u64),
    ) -> Checked {
        let place = self.sockets.entry((socket, key)).or_insert(first - 1);
        // What is sent again takes turns with what is new; that nothing is skipped is seen when it
        // is taken.
        if first == *place + 1 || self.resends.contains(&key) {
            *place = last.max(*place);
            return Ok(());
        }
        Err(violation(format!("a socket gets {first}-{last} of {key} after {place}")))
    }
}

/// An event below this one that is owed and has not arrived.
fn missing(subscription: &Subscription, first: u64, taken: &NoLoss) -> Option<u64> {
    // What is owed is the newest ones, so the search ends with the first that is not.
    let owed = (1..first).rev().take_while(|number| subscription.is_owed(*number));
    owed.take_while(|number| !taken.has(subscription.key, *number)).last()
}
