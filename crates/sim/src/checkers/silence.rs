//! An active subscription that asked for heartbeats hears something within each period (RQ-CH-07).

use std::collections::BTreeMap;

use cresset_model::SubscriptionKey;

use super::{Checked, Violation};
use crate::facts::Facts;
use crate::network::host_of;

/// So much later than asked a heartbeat may go out to an endpoint that is never in trouble, in milliseconds: the
/// attempts before it.
const LATE_MAX: u64 = 10_000;

/// What subscriptions with an endpoint on the host that is never in trouble last heard.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Since when there is silence, and the period asked for.
    since: BTreeMap<SubscriptionKey, (u64, u64)>,
    /// Until then something else is to blame for silence, by the clock of the world.
    excused_until: u64,
}

impl Silence {
    /// A change begins the periods of its subscription anew.
    pub(super) fn committed(&mut self, facts: &Facts, now: u64) {
        let now = self.excused_until.max(now);
        self.since.retain(|key, _| facts.subscriptions.get(key).is_some_and(|one| one.is_active()));
        let first = facts.log.last().map(|last| last.append);
        let group = facts.log.iter().rev().take_while(|one| Some(one.append) == first);
        for committed in group {
            let Some(one) = facts.find(committed.change.key.id.as_str()) else { continue };
            let is_steady = one.endpoint.as_deref().is_some_and(|it| host_of(it) == 0);
            if is_steady && one.is_active() && one.version == committed.change.position {
                match one.terms.heartbeat_period {
                    0 => self.since.remove(&one.key),
                    period => self.since.insert(one.key, (now, period)),
                };
            }
        }
    }

    /// Something else is to blame for silence until then.
    pub(super) fn excuse(&mut self, until: u64) {
        self.excused_until = self.excused_until.max(until);
        for (since, _) in self.since.values_mut() {
            *since = self.excused_until.max(*since);
        }
    }

    /// A notification leaves the node.
    pub(super) fn sent(&mut self, key: SubscriptionKey, now: u64) {
        if let Some((since, _)) = self.since.get_mut(&key) {
            *since = now.max(*since);
        }
    }

    /// Subscriptions that may not hear nothing for long.
    pub(super) fn watched(&self) -> usize {
        self.since.len()
    }

    pub(super) fn overdue(&self, now: u64) -> Checked {
        let is_late = |(since, period): &(u64, u64)| now > since + period + LATE_MAX;
        match self.since.iter().find(|(_, heard)| is_late(heard)) {
            Some((key, (since, period))) => {
                let text = format!(
                    "{key} has heard nothing for {} ms and asked for a heartbeat every {period}",
                    now - since
                );
                Err(Violation::new("silence", text))
            }
            None => Ok(()),
        }
    }
}
