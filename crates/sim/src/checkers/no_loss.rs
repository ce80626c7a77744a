//! I5: every event of a subscription that stays active arrives, in the end.

use std::collections::{BTreeMap, BTreeSet};

use cresset_model::SubscriptionKey;

use super::{Checked, Violation};
use crate::facts::Facts;

/// What has arrived.
#[derive(Debug, Default)]
pub(crate) struct NoLoss {
    taken: BTreeMap<SubscriptionKey, BTreeSet<u64>>,
}

impl NoLoss {
    pub(super) fn taken(&mut self, key: SubscriptionKey, first: u64, last: u64) {
        self.taken.entry(key).or_default().extend(first..=last);
    }

    pub(super) fn has(&self, key: SubscriptionKey, number: u64) -> bool {
        self.taken.get(&key).is_some_and(|taken| taken.contains(&number))
    }

    /// What is owed in the calm and has not arrived yet: one subscription, and why.
    pub(crate) fn missing(&self, facts: &Facts) -> Option<String> {
        let alive = facts.subscriptions.values().filter(|one| one.is_alive);
        for one in alive {
            if !one.is_active() {
                return Some(format!(
                    "{} is {} though nothing is wrong any more",
                    one.id, one.status
                ));
            }
            let lost =
                (1..=one.last()).find(|number| one.is_owed(*number) && !self.has(one.key, *number));
            if let Some(number) = lost {
                let last = one.last();
                return Some(format!("event {number} of {} ({last} in all) never arrived", one.id));
            }
        }
        None
    }

    /// After the calm.
    pub(crate) fn check(&self, facts: &Facts) -> Checked {
        match self.missing(facts) {
            Some(text) => Err(Violation::new("no_loss", text)),
            None => Ok(()),
        }
    }
}
