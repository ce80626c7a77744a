//! How delivery goes: for those who operate the server.

use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{ChannelType, ResourceId, SubscriptionStatus};

use crate::attempts::{AttemptOutcome, AttemptRecord};
use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::error::Error;
use crate::figures::{Table, lag_of};
use crate::live::LiveSubscription;
use crate::node::Node;

/// A subscription and its last attempts.
#[derive(Debug, Clone)]
pub struct SubscriptionAttempts {
    /// Its version of FHIR.
    pub version: FhirVersion,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// Events that are still to be delivered, or were missed.
    pub lag: u64,
    /// The last attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

/// The subscriptions with one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFigures {
    /// The status.
    pub status: SubscriptionStatus,
    /// How many there are.
    pub subscriptions: u64,
    /// Their undelivered events.
    pub lag: u64,
}

/// How delivery to endpoints goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFigures {
    /// Attempts since the start, by how they ended.
    pub attempts: Vec<(AttemptOutcome, u64)>,
    /// Subscriptions by status.
    pub statuses: Vec<StatusFigures>,
    /// Age of the oldest event that an active subscription has not been sent with success. A lower
    /// bound where very many subscriptions lag far behind.
    pub oldest_undelivered_age: Option<Duration>,
    /// Places of subscriptions, of any channel, that no index finds: each is tried on every change of
    /// its type.
    pub not_indexed: usize,
}

impl Node {
    /// The last attempts of the subscriptions with this id, one for each version that has one.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin; `NotFound` if there is none.
    pub fn attempts(
        &self,
        caller: &Caller,
        id: &ResourceId,
    ) -> Result<Vec<SubscriptionAttempts>, Error> {
        caller.require(Right::Admin)?;
        let found: Vec<_> = FhirVersion::ALL
            .into_iter()
            .filter_map(|version| {
                let live = self.shared.live.find(base_of(version), id)?;
                let (status, lag) = status_and_lag(&live);
                let attempts = self.shared.attempts.of(live.key);
                Some(SubscriptionAttempts { version, status, lag, attempts })
            })
            .collect();
        if found.is_empty() {
            return Err(Error::not_found(format!("Subscription/{id}")));
        }
        Ok(found)
    }

    /// How delivery to endpoints goes.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin; whatever the store answers.
    pub async fn delivery_figures(&self, caller: &Caller) -> Result<DeliveryFigures, Error> {
        caller.require(Right::Admin)?;
        let shared = self.shared.clone();
        let table = self.shared.work(move || Ok(Table::read(&shared))).await?;
        let of_status = |status: SubscriptionStatus| {
            let sent_to = table.groups.iter().filter(|group| {
                group.status == status && group.channel_type != ChannelType::Websocket.code()
            });
            let none = StatusFigures { status, subscriptions: 0, lag: 0 };
            sent_to.fold(none, |sum, group| StatusFigures {
                status,
                subscriptions: sum.subscriptions + group.subscriptions,
                lag: sum.lag + group.lag,
            })
        };
        let statuses = SubscriptionStatus::ALL.iter().copied().map(of_status).collect();
        let attempts = self.shared.counters.attempts_to_endpoints().to_vec();
        let oldest_undelivered_age = table.oldest_age(&self.shared).await?;
        let not_indexed = self.writer.catalogs().await?.residual_len();
        Ok(DeliveryFigures { attempts, statuses, oldest_undelivered_age, not_indexed })
    }
}

fn status_and_lag(live: &LiveSubscription) -> (SubscriptionStatus, u64) {
    let state = live.state();
    (state.status, lag_of(state.last, state.cursor))
}
