//! How delivery goes: for those who operate the server, and for metrics.

use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{EventNumber, Position, ResourceId, SubscriptionKey, SubscriptionStatus};

use crate::attempts::{AttemptOutcome, AttemptRecord};
use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::error::Error;
use crate::live::LiveSubscription;
use crate::node::Node;

/// Subscriptions whose oldest undelivered event is looked up in the store for one answer.
const LOOKUPS_MAX: usize = 1_000;

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
        let mut statuses = Vec::new();
        for status in [
            SubscriptionStatus::Active,
            SubscriptionStatus::EnteredInError,
            SubscriptionStatus::Error,
            SubscriptionStatus::Off,
            SubscriptionStatus::Requested,
        ] {
            statuses.push(StatusFigures { status, subscriptions: 0, lag: 0 });
        }
        let mut oldest: Option<Position> = None;
        let mut unknown = Vec::new();
        for live in self.shared.live.all() {
            if live.is_websocket() {
                continue;
            }
            let (status, lag) = status_and_lag(&live);
            if let Some(figures) = statuses.iter_mut().find(|one| one.status == status) {
                figures.subscriptions += 1;
                figures.lag += lag;
            }
            if status == SubscriptionStatus::Active && lag > 0 {
                match first_undelivered(&live) {
                    Ok(position) => oldest = Some(oldest.map_or(position, |at| at.min(position))),
                    Err(entry) if unknown.len() < LOOKUPS_MAX => unknown.push(entry),
                    Err(_) => {}
                }
            }
        }
        let attempts = self.shared.attempts.counts().to_vec();
        let oldest_undelivered_age = self.age_of_oldest(oldest, unknown).await?;
        let not_indexed = self.writer.catalogs().await?.residual_len();
        Ok(DeliveryFigures { attempts, statuses, oldest_undelivered_age, not_indexed })
    }

    async fn age_of_oldest(
        &self,
        mut oldest: Option<Position>,
        unknown: Vec<(SubscriptionKey, EventNumber)>,
    ) -> Result<Option<Duration>, Error> {
        let at = self.shared.read(move |store| {
            for (key, number) in unknown {
                let found = store.events(key, number, number, 1)?;
                oldest = oldest.into_iter().chain(found.iter().map(|event| event.position)).min();
            }
            let Some(oldest) = oldest else { return Ok(None) };
            Ok(store.change(oldest)?.map(|change| change.at))
        });
        let Some(at) = at.await? else { return Ok(None) };
        let age = self.shared.clock.now().duration_since(at);
        Ok(Some(Duration::try_from(age).unwrap_or_default()))
    }
}

fn status_and_lag(live: &LiveSubscription) -> (SubscriptionStatus, u64) {
    let state = live.state();
    (state.status, state.last.saturating_sub(state.cursor.map_or(0, EventNumber::get)))
}

/// Where the first undelivered event happened, or what to ask the store for.
fn first_undelivered(live: &LiveSubscription) -> Result<Position, (SubscriptionKey, EventNumber)> {
    let state = live.state();
    let number = state.cursor.map_or(EventNumber::FIRST, EventNumber::next);
    let known = state.positions(number, number);
    known.and_then(|known| known.first().map(|(_, at)| *at)).ok_or((live.key, number))
}
