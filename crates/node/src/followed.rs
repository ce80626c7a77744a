//! One change on its way: whose event it is, with which number, and what became of sending it.
//!
//! Who it is an event of is found anew, by what is in force now; the numbers come from the store, the
//! attempts from memory. Tests: `tests/operators.rs`.

use std::cmp::Ordering;
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
    /// The number that the event got; none if it is none, as of a subscription that came later, or is
    /// not kept any more.
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

/// The number of the event that the change at a position is: numbers go with positions, so that it is
/// found by halves.
fn number_at(
    store: &dyn Store,
    live: &LiveSubscription,
    position: Position,
) -> Result<Option<EventNumber>, cresset_store::Error> {
    let (mut low, mut high) = (1_u64, live.state().last);
    while low <= high {
        let Some(middle) = EventNumber::new(low.midpoint(high)) else { break };
        let found = store.events(live.key, middle, middle, 1)?;
        match found.first().map(|event| event.position.cmp(&position)) {
            Some(Ordering::Equal) => return Ok(Some(middle)),
            Some(Ordering::Greater) => high = middle.get() - 1,
            // What is not kept any more is older than all that is.
            Some(Ordering::Less) | None => low = middle.get() + 1,
        }
    }
    Ok(None)
}
