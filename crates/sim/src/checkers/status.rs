//! I5: a subscription leaves `active` only with a reason, and for one.

use std::collections::{BTreeMap, BTreeSet};

use cresset_engine::{BreakerPolicy, RetryPolicy};
use cresset_model::{Position, SubscriptionKey};
use cresset_store::Store;

use super::{Checked, Violation};
use crate::facts::{Facts, Subscription};
use crate::network::host_of;
use crate::scenario::HOSTS;

/// What a node was told of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Failure,
    Gone,
    Rejection,
    Success,
}

/// What speaks against a subscription since its last success, or since its client asked for a handshake.
#[derive(Debug, Clone, Copy, Default)]
struct Against {
    failures: usize,
    rejections: usize,
    gone: bool,
    /// Failures before the last success, which a crash may have the node remember.
    failures_before: usize,
}

/// What nodes were told.
#[derive(Debug, Default)]
pub(crate) struct Status {
    against: BTreeMap<SubscriptionKey, Against>,
    /// Those in `error`: nothing need be tried while they are.
    in_error: BTreeSet<SubscriptionKey>,
    /// Failures of each host since its last success.
    hosts: [usize; HOSTS],
    /// The operator's part.
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: BreakerPolicy,
}

fn violation(text: String) -> Violation {
    Violation::new("status", text)
}

impl Status {
    /// A node was told what came of an attempt.
    pub(crate) fn heard(&mut self, key: SubscriptionKey, host: usize, heard: Heard) {
        let against = self.against.entry(key).or_default();
        match heard {
            Heard::Success => {
                *against = Against { failures_before: against.failures, ..Against::default() };
                self.hosts[host] = 0;
                return;
            }
            Heard::Gone => against.gone = true,
            Heard::Rejection => against.rejections += 1,
            Heard::Failure => {}
        }
        against.failures += 1;
        self.hosts[host] += 1;
    }

    /// What a node noted last before a crash may not be stored.
    pub(super) fn restarted(&mut self) {
        for against in self.against.values_mut() {
            against.failures += std::mem::take(&mut against.failures_before);
        }
    }

    /// Looks at subscriptions whose newest version is of `first` or later; tells how many of them the server made
    /// what they are.
    pub(super) fn committed(
        &mut self,
        first: Position,
        facts: &Facts,
        store: &dyn Store,
    ) -> Result<usize, Violation> {
        let mut judged = 0;
        let alive = facts.subscriptions.values().filter(|one| one.is_alive);
        for one in alive.filter(|one| one.version >= first) {
            if one.version != one.asked {
                self.judge(one, store)?;
                judged += 1;
            } else if one.status == "requested" {
                self.against.remove(&one.key);
            }
            match one.status.as_str() {
                "error" => self.in_error.insert(one.key),
                _ => self.in_error.remove(&one.key),
            };
        }
        Ok(judged)
    }

    fn judge(&self, one: &Subscription, store: &dyn Store) -> Checked {
        let id = &one.id;
        let record = store.subscription(one.key);
        let record = record.map_err(|error| violation(format!("{id} cannot be read: {error}")))?;
        let reason = record.and_then(|record| record.error).map(|error| error.text);
        let is_due = match (one.status.as_str(), reason.as_deref()) {
            ("active", None) => true,
            ("error" | "off", None | Some("")) => false,
            // It is not in force.
            ("error" | "off", Some(text)) if text.contains("topic") => true,
            ("error", Some(_)) => self.has_failed(one),
            ("off", Some(_)) => {
                let against = self.against.get(&one.key).copied().unwrap_or_default();
                let never_heard = against.failures > 0 || self.in_error.contains(&one.key);
                against.gone || never_heard && self.retry.off_after.is_some()
            }
            _ => false,
        };
        if is_due {
            return Ok(());
        }
        let (status, against) = (&one.status, self.against.get(&one.key));
        let text = format!("the server made {id} {status} with the reason {reason:?}: {against:?}");
        Err(violation(text))
    }

    /// Whether a schedule was used up, or the host counts as dead.
    fn has_failed(&self, one: &Subscription) -> bool {
        let Some(host) = one.endpoint.as_deref().map(host_of) else { return false };
        let Against { failures, rejections, .. } =
            self.against.get(&one.key).copied().unwrap_or_default();
        let schedules = [&self.retry.retries, &self.retry.handshake_retries];
        let tries = schedules.map(|schedule| schedule.steps() + 1).into_iter().min().unwrap_or(1);
        let rejections_max =
            usize::try_from(self.retry.rejection_retries_max).unwrap_or(usize::MAX);
        let failures_max = usize::try_from(self.breaker.failures_max.get()).unwrap_or(usize::MAX);
        failures >= tries || rejections > rejections_max || self.hosts[host] >= failures_max
    }
}
