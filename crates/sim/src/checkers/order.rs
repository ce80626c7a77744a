//! I4: attempts go in number order, one at a time whatever the clock does; a retry repeats the same
//! events and never overtakes.

use std::collections::{BTreeMap, BTreeSet};

use cresset_model::{Position, SubscriptionKey};

use super::no_loss::NoLoss;
use super::{Checked, Violation};
use crate::facts::{Facts, Subscription};
use crate::wire::Notification;

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
    /// What was missed is sent after all.
    pub(crate) flushes_missed: bool,
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

    /// Events leave the node for an endpoint; `has_error` if the notification tells of a loss, or of
    /// anything else that is wrong.
    pub(super) fn sent(
        &mut self,
        sent: Sent,
        (first, last): (u64, u64),
        has_error: bool,
        facts: &Facts,
    ) -> Checked {
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
        let resends = self.resends.contains(&sent.key);
        if !self.flushes_missed && !resends && subscription.was_missed(first) {
            let text =
                format!("{first} of {id} goes out, which happened before it was taken up again");
            return Err(violation(text));
        }
        if let Some(before) = before.filter(|before| before.version == version && !resends) {
            before.is_followed_by((first, last), has_error, subscription)?;
        }
        self.newest.insert(sent.key, attempt);
        Ok(())
    }

    /// A notification without events leaves the node: it goes out beside no other, and no heartbeat
    /// overtakes a batch to repeat.
    pub(super) fn silent(
        &self,
        key: SubscriptionKey,
        notification: &Notification,
        facts: &Facts,
    ) -> Checked {
        let known = self.newest.get(&key).zip(facts.subscriptions.get(&key));
        let Some((newest, subscription)) = known else { return Ok(()) };
        let (kind, status) = (notification.kind.as_str(), notification.status.as_str());
        let Attempt { first, last, result, version, .. } = *newest;
        let waits = result == Known::Failed
            && version == subscription.version
            && last > subscription.forgotten;
        let how = match (kind, status, result) {
            (_, _, Known::Nothing) => "goes out beside",
            ("heartbeat", "active", _) if waits => "overtakes",
            _ => return Ok(()),
        };
        Err(violation(format!("a {kind} of {} {how} {first}-{last}", subscription.id)))
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
        facts: &Facts,
    ) -> Checked {
        let forgotten = facts.subscriptions.get(&key).map_or(0, |one| one.forgotten);
        let place = self.sockets.entry((socket, key)).or_insert(first - 1);
        let follows = first == *place + 1 || first > *place && first <= forgotten + 1;
        // What is sent again takes turns with what is new; that nothing is skipped is seen when it
        // is taken.
        if follows || self.resends.contains(&key) {
            *place = last.max(*place);
            return Ok(());
        }
        Err(violation(format!("a socket gets {first}-{last} of {key} after {place}")))
    }
}

impl Attempt {
    /// Checks that these events may follow it, while its subscription stays as it is: the next ones, or
    /// the same if it failed. What is forgotten by then is left out, and that is told.
    fn is_followed_by(
        &self,
        (first, last): (u64, u64),
        has_error: bool,
        subscription: &Subscription,
    ) -> Checked {
        let due = match self.result {
            Known::Succeeded => self.last + 1,
            Known::Failed | Known::Nothing => self.first,
        };
        let follows = due <= first && first <= due.max(subscription.forgotten + 1);
        let repeats = self.result == Known::Succeeded || self.last < first || self.last == last;
        if !follows || !repeats {
            let Self { first: f, last: l, result, .. } = self;
            let text = format!("{first}-{last} of {} follow {f}-{l} ({result:?})", subscription.id);
            return Err(violation(text));
        }
        if due < first && !has_error {
            let text = format!(
                "{due} of {} is forgotten, which {first}-{last} do not tell",
                subscription.id
            );
            return Err(Violation::new("no_loss", text));
        }
        Ok(())
    }
}

/// An event below this one that is owed and has not arrived.
fn missing(subscription: &Subscription, first: u64, taken: &NoLoss) -> Option<u64> {
    // What is owed is the newest ones, so the search ends with the first that is not.
    let owed = (1..first).rev().take_while(|number| subscription.is_owed(*number));
    owed.take_while(|number| !taken.has(subscription.key, *number)).last()
}
