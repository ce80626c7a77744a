//! One change on its way: whose event it is, with which number, and what became of sending it.
//!
//! Who it is an event of is found anew, by what is in force now; the numbers come from the store, the
//! attempts from memory. Tests: `tests/operators.rs`.

use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_model::{Change, EventNumber, Position};
use cresset_store::Store;

use crate::attempts::AttemptRecord;
use crate::caller::{Caller, Right};
use crate::error::Error;
use crate::explain::Explainer;
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::roster::{RosterLine, RosterQuery};

/// Most subscriptions that are told of.
const SUBSCRIPTIONS_MAX: usize = 50;

/// Newest events of a subscription among which one is looked for.
const EVENTS_LOOKED_AT_MAX: u64 = 1_000;

/// A change and what came of it.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The change.
    pub change: Change,
    /// The subscriptions that it is an event of.
    pub subscriptions: Vec<FollowedSubscription>,
    /// How many further ones there are.
    pub left_out: usize,
}

/// What came of a change for one subscription.
#[derive(Debug, Clone)]
pub struct FollowedSubscription {
    /// The subscription.
    pub line: RosterLine,
    /// The number that the event got; none if it is none, or one long ago.
    pub number: Option<EventNumber>,
    /// Whether it was sent with success.
    pub is_delivered: bool,
    /// The attempts at sending it that are kept, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

impl Node {
    /// What came of the change that made a version of a resource, `Type/id/_history/n`, or of its
    /// newest change.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin; `NotFound` if there is no such change.
    pub async fn followed(
        &self,
        caller: &Caller,
        version: FhirVersion,
        reference: String,
    ) -> Result<Followed, Error> {
        caller.require(Right::Admin)?;
        self.with_explainer(version, move |explainer| explainer.followed(&reference)).await
    }
}

impl Explainer<'_> {
    fn followed(&self, reference: &str) -> Result<Followed, Error> {
        let change = self.change_of(reference)?;
        let matches = self.matches(&change)?;
        let left_out = matches.len().saturating_sub(SUBSCRIPTIONS_MAX);
        let live = matches.into_iter().take(SUBSCRIPTIONS_MAX);
        let live = live.filter_map(|key| self.shared.live.get(key));
        let subscriptions =
            live.filter_map(|live| self.followed_by(&live, change.position).transpose());
        let subscriptions = subscriptions.collect::<Result<_, _>>()?;
        Ok(Followed { change, subscriptions, left_out })
    }

    fn followed_by(
        &self,
        live: &Arc<LiveSubscription>,
        position: Position,
    ) -> Result<Option<FollowedSubscription>, Error> {
        let Some(line) = RosterQuery::default().line(live) else { return Ok(None) };
        let number = number_at(self.store, live, position)?;
        let cursor = live.state().cursor;
        let is_about = |record: &AttemptRecord| {
            let is_in = |(first, last)| number.is_some_and(|one| first <= one && one <= last);
            record.events.is_some_and(is_in)
        };
        let mut attempts = self.shared.attempts.of(live.key);
        attempts.retain(is_about);
        let is_delivered = number.is_some() && cursor >= number;
        Ok(Some(FollowedSubscription { line, number, is_delivered, attempts }))
    }
}

/// The number of the event that the change at a position is.
fn number_at(
    store: &dyn Store,
    live: &LiveSubscription,
    position: Position,
) -> Result<Option<EventNumber>, cresset_store::Error> {
    let newest = live.state().last;
    let Some(last) = EventNumber::new(newest) else { return Ok(None) };
    let first = newest.saturating_sub(EVENTS_LOOKED_AT_MAX - 1);
    let first = EventNumber::new(first).unwrap_or(EventNumber::FIRST);
    let limit = usize::try_from(EVENTS_LOOKED_AT_MAX).unwrap_or(usize::MAX);
    let events = store.events(live.key, first, last, limit)?;
    Ok(events.iter().rev().find(|event| event.position == position).map(|event| event.number))
}
