//! I6: an endpoint in trouble delays no other and holds no more than its share of the attempts.

use std::collections::BTreeMap;

use cresset_model::{Event, SubscriptionKey};

use super::{Checked, Violation};
use crate::facts::Facts;
use crate::network::host_of;

/// Longest wait of an event for an endpoint that is never in trouble, in milliseconds, while nothing
/// else is wrong: the window in which events gather, and the attempts before it.
const WAIT_MAX: u64 = 10_000;

/// What the host that is never in trouble waits for.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// When each event became durable.
    waiting: BTreeMap<(SubscriptionKey, u64), u64>,
    /// Attempts under way to each host, as the node knows.
    running: BTreeMap<usize, usize>,
    /// Until then something else is to blame for what takes long, by the clock of the world.
    excused_until: u64,
    /// Attempts to one host at most.
    pub(crate) per_host_max: usize,
}

impl Isolation {
    pub(super) fn committed(&mut self, events: &[Event], facts: &Facts, now: u64) {
        // A change of its subscription begins everything anew.
        self.waiting.retain(|(key, _), _| {
            facts.subscriptions.get(key).is_some_and(|one| {
                let newest = facts.log.last().map(|last| last.change.position);
                one.is_active() && Some(one.version) != newest
            })
        });
        for event in events {
            let Some(one) = facts.subscriptions.get(&event.subscription) else { continue };
            let is_steady = one.endpoint.as_deref().is_some_and(|it| host_of(it) == 0);
            if is_steady && one.is_active() && now >= self.excused_until {
                self.waiting.insert((one.key, event.number.get()), now);
            }
        }
    }

    /// What is forgotten waits for nothing any more.
    pub(super) fn forgotten(&mut self, facts: &Facts) {
        self.waiting.retain(|(key, number), _| {
            facts.subscriptions.get(key).is_some_and(|one| *number > one.forgotten)
        });
    }

    /// Something else is to blame for what takes long until then.
    pub(super) fn excuse(&mut self, until: u64) {
        self.waiting.clear();
        self.excused_until = self.excused_until.max(until);
    }

    /// The node is another one.
    pub(super) fn restarted(&mut self) {
        self.running.clear();
    }

    pub(super) fn sent(&mut self, key: SubscriptionKey, first: u64, last: u64) {
        for number in first..=last {
            self.waiting.remove(&(key, number));
        }
    }

    /// An attempt begins.
    pub(crate) fn began(&mut self, host: usize) -> Checked {
        let running = self.running.entry(host).or_default();
        *running += 1;
        if *running > self.per_host_max {
            let text = format!("{running} attempts are under way to host {host}");
            return Err(Violation::new("isolation", text));
        }
        Ok(())
    }

    /// The node knows that it has ended.
    pub(crate) fn ended(&mut self, host: usize) {
        if let Some(running) = self.running.get_mut(&host) {
            *running = running.saturating_sub(1);
        }
    }

    /// Events that wait.
    pub(super) fn watched(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn overdue(&self, now: u64) -> Checked {
        match self.waiting.iter().find(|(_, since)| now > **since + WAIT_MAX) {
            Some(((key, number), since)) => {
                let text = format!("event {number} of {key} waits for {} ms", now - since);
                Err(Violation::new("isolation", text))
            }
            None => Ok(()),
        }
    }
}
