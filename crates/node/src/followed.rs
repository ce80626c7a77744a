//! One change on its way: whose event it is, with which number, and what became of sending it.
//!
//! Who it is an event of is found by what is in force when it is asked; the numbers come from the store,
//! the attempts from memory. Tests: `tests/operators.rs`.

use std::cmp::Ordering;

use cresset_definitions::FhirVersion;
use cresset_model::{Change, EventNumber, Position, SubscriptionKey};
use cresset_store::Store;

use crate::attempts::AttemptRecord;
use crate::caller::{Caller, Right};
use crate::error::Error;
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::roster::{RosterLine, RosterQuery};
use crate::shared::Shared;

/// Most subscriptions that are told of.
const SUBSCRIPTIONS_MAX: usize = 50;

/// A change and the subscriptions that it is an event of.
#[derive(Debug, Clone)]
pub struct Matched {
    change: Change,
    /// At most [`SUBSCRIPTIONS_MAX`].
    subscriptions: Vec<SubscriptionKey>,
    left_out: usize,
}

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
    /// Who the change that made a version of a resource, `Type/id/_history/n`, or its newest change, is
    /// an event of by what is in force now.
    ///
    /// It costs an evaluation of the change, so whoever looks again and again keeps the answer.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin; `NotFound` if there is no such change.
    pub async fn matched(
        &self,
        caller: &Caller,
        version: FhirVersion,
        reference: String,
    ) -> Result<Matched, Error> {
        caller.require(Right::Admin)?;
        let asked = self.with_explainer(version, move |explainer| {
            let change = explainer.change_of(&reference)?;
            let mut subscriptions = explainer.matches(&change)?;
            let left_out = subscriptions.len().saturating_sub(SUBSCRIPTIONS_MAX);
            subscriptions.truncate(SUBSCRIPTIONS_MAX);
            Ok(Matched { change, subscriptions, left_out })
        });
        asked.await
    }

    /// What has come of a change up to now.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin.
    pub async fn followed(&self, caller: &Caller, matched: Matched) -> Result<Followed, Error> {
        caller.require(Right::Admin)?;
        let shared = self.shared.clone();
        let found = self.shared.read(move |store| {
            let Matched { change, subscriptions, left_out } = matched;
            let live = subscriptions.into_iter().filter_map(|key| shared.live.get(key));
            let followed = live
                .filter_map(|live| followed_by(&shared, store, &live, change.position).transpose());
            let subscriptions = followed.collect::<Result<_, _>>()?;
            Ok(Followed { change, subscriptions, left_out })
        });
        found.await
    }
}

fn followed_by(
    shared: &Shared,
    store: &dyn Store,
    live: &LiveSubscription,
    position: Position,
) -> Result<Option<FollowedSubscription>, cresset_store::Error> {
    let Some(line) = RosterQuery::default().line(live) else { return Ok(None) };
    let number = number_at(store, live, position)?;
    let cursor = live.state().cursor;
    let is_about = |record: &AttemptRecord| {
        let is_in = |(first, last)| number.is_some_and(|one| first <= one && one <= last);
        record.events.is_some_and(is_in)
    };
    let mut attempts = shared.attempts.of(live.key);
    attempts.retain(is_about);
    let is_delivered = number.is_some() && cursor >= number;
    Ok(Some(FollowedSubscription { line, number, is_delivered, attempts }))
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
