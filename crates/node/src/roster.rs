//! Subscriptions as operators look them up: pages of them, and one with all that is known of it.
//!
//! A page is answered from the live table, on a thread that may block: it looks at the newest first
//! and ends once it is full, so that it costs the more the less is found, and never more than one look
//! at each (measured in docs/console.md). Tests: `tests/operators.rs`.

use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, json};
use cresset_model::{
    EventNumber, Interaction, PayloadContent, Position, ResourceId, Subscription,
    SubscriptionStatus, VersionId,
};
use jiff::Timestamp;

use crate::attempts::AttemptRecord;
use crate::audit::{Note, ShownNote};
use crate::bases::version_of;
use crate::caller::{Caller, Right};
use crate::draft::{is_alive, subscription_key};
use crate::error::Error;
use crate::figures::lag_of;
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::notify::{self, Overflow, Range};
use crate::subscriptions::EventsQuery;

/// Most subscriptions of one page.
pub const ROSTER_PAGE_MAX: usize = 200;

/// Newest events of a subscription that are told with it.
const EVENTS_SHOWN_MAX: u64 = 20;

/// Which subscriptions are asked for; all that is named must hold.
#[derive(Debug, Clone, Default)]
pub struct RosterQuery {
    /// Of this version.
    pub version: Option<FhirVersion>,
    /// With this id.
    pub id: Option<String>,
    /// With this status.
    pub status: Option<SubscriptionStatus>,
    /// On a topic whose URL contains this.
    pub topic: Option<String>,
    /// With an endpoint that contains this.
    pub endpoint: Option<String>,
    /// Of the client with this name.
    pub owner: Option<String>,
    /// Older than the one created here.
    pub before: Option<Position>,
}

/// A subscription on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterLine {
    /// The change that created it; its place among the others.
    pub created: Position,
    /// Its version of FHIR.
    pub version: FhirVersion,
    /// Its id.
    pub id: ResourceId,
    /// The client that it belongs to.
    pub owner: String,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// When it got there.
    pub since: Timestamp,
    /// Its topic.
    pub topic: String,
    /// How it is told.
    pub channel: String,
    /// Where.
    pub endpoint: Option<String>,
    /// Number of its last event; 0 before the first.
    pub events: u64,
    /// Events that are still to be delivered, or were missed.
    pub lag: u64,
    /// Why it left `active`, what keeps it from being evaluated, or what was lost.
    pub trouble: Option<String>,
}

/// Some subscriptions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPage {
    /// The subscriptions.
    pub lines: Vec<RosterLine>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// A subscription and all that is known of it.
#[derive(Debug, Clone)]
pub struct SubscriptionDetail {
    /// What a page says of it.
    pub line: RosterLine,
    /// What its client asked for.
    pub subscription: Subscription,
    /// The version of its resource.
    pub resource_version: VersionId,
    /// The lowest event that is kept.
    pub oldest: Option<EventNumber>,
    /// The last event that was delivered.
    pub cursor: Option<EventNumber>,
    /// Its newest events, newest first.
    pub events: Vec<EventLine>,
    /// Its last attempts, newest first.
    pub attempts: Vec<AttemptRecord>,
}

/// One event of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine {
    /// Its number.
    pub number: EventNumber,
    /// When it happened.
    pub at: Timestamp,
    /// What it happened to, as `Type/id`.
    pub focus: String,
    /// What was done; none if it was no change.
    pub interaction: Option<Interaction>,
}

impl RosterQuery {
    /// The line of a subscription, if it is asked for.
    pub(crate) fn line(&self, live: &LiveSubscription) -> Option<RosterLine> {
        let version = version_of(live.base)?;
        let is_named = self.version.is_none_or(|wanted| wanted == version)
            && self.id.as_deref().is_none_or(|id| live.id.as_str() == id)
            && self.owner.as_deref().is_none_or(|owner| live.owner.as_str() == owner);
        if !is_named {
            return None;
        }
        let state = live.state();
        let settings = &state.settings;
        let contains = |part: &Option<String>, text: &str| {
            part.as_deref().is_none_or(|part| text.contains(part))
        };
        let is_meant = self.status.is_none_or(|wanted| wanted == state.status)
            && contains(&self.topic, &settings.topic.url)
            && contains(&self.endpoint, settings.endpoint.as_deref().unwrap_or_default());
        if !is_meant || state.gone {
            return None;
        }
        let error = state.error().map(|error| error.text.as_str());
        Some(RosterLine {
            created: live.key.position(),
            version,
            id: live.id.clone(),
            owner: live.owner.as_str().to_owned(),
            status: state.status,
            since: state.since(),
            topic: settings.topic.to_string(),
            channel: settings.channel_type.code().to_owned(),
            endpoint: settings.endpoint.as_deref().map(str::to_owned),
            events: state.last,
            lag: lag_of(state.last, state.cursor),
            trouble: error.or(state.problem()).or(state.loss()).map(str::to_owned),
        })
    }
}

impl Node {
    /// Subscriptions of everybody, newest first; at most `count` and [`ROSTER_PAGE_MAX`].
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin.
    pub async fn roster(
        &self,
        caller: &Caller,
        query: RosterQuery,
        count: usize,
    ) -> Result<RosterPage, Error> {
        caller.require(Right::Admin)?;
        let count = count.min(ROSTER_PAGE_MAX);
        let shared = self.shared.clone();
        let look = move || {
            let all = shared.live.all();
            let end = query.before.map_or(all.len(), |before| {
                all.partition_point(|live| live.key.position() < before)
            });
            let found = all[..end].iter().rev().filter_map(|live| query.line(live));
            let mut lines: Vec<RosterLine> = found.take(count + 1).collect();
            let has_more = lines.len() > count;
            lines.truncate(count);
            Ok(RosterPage { lines, has_more })
        };
        self.shared.work(look).await
    }

    /// A subscription, whoever it belongs to, with its last attempts and newest events.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin; `NotFound` if there is no such subscription.
    pub async fn subscription_detail(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: &ResourceId,
    ) -> Result<SubscriptionDetail, Error> {
        caller.require(Right::Admin)?;
        let live = self.subscription(caller, version, id)?;
        let not_found = || Error::not_found(format!("Subscription/{id}"));
        let line = RosterQuery::default().line(&live).ok_or_else(not_found)?;
        let (resource, key) = (subscription_key(&live)?, live.key);
        let stored = self.shared.read(move |store| {
            let current = store.current(&[resource])?.pop().flatten();
            Ok((current, store.subscription(key)?))
        });
        let (current, record) = stored.await?;
        let current = current.filter(|one| is_alive(Some(one))).ok_or_else(not_found)?;
        let value = json::parse(&current.body).map_err(Error::internal)?;
        let (subscription, _) =
            Codec::of(version).parse_subscription(&value).map_err(Error::internal)?;
        let mut attempts = self.shared.attempts.of(key);
        attempts.reverse();
        let cursor = live.state().cursor;
        Ok(SubscriptionDetail {
            events: self.newest_events(&live, line.events).await?,
            line,
            subscription,
            resource_version: current.version,
            oldest: record.and_then(|record| record.oldest),
            cursor,
            attempts,
        })
    }

    /// What events of a subscription tell, for somebody who looks into what was sent: content of
    /// resources, so that it was shown is told to the log, and kept in the audit trail where there is
    /// one ([`Self::keeps_audit_trail`]).
    ///
    /// # Errors
    /// As [`Self::subscription_detail`]; `Unprocessable` if the last event is before the first.
    pub async fn shown_events(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: &ResourceId,
        (first, last): (EventNumber, EventNumber),
    ) -> Result<Vec<u8>, Error> {
        caller.require(Right::Admin)?;
        let live = self.subscription(caller, version, id)?;
        let query = EventsQuery { since: Some(first), until: Some(last), content: None };
        let bundle = self.subscription_events(caller, version, id, query).await?;
        tracing::info!(
            client = %caller.client(),
            subscription.id = %id,
            event.first = %first,
            event.last = %last,
            "what events tell was shown"
        );
        if let Some(auditor) = &self.shared.auditor {
            let at = self.shared.clock.now();
            let note = ShownNote {
                at,
                base: live.base,
                id: id.clone(),
                author: caller.client().clone(),
                events: Range { first, last },
            };
            auditor.keep(Note::Shown(Box::new(note)), at);
        }
        Ok(bundle)
    }

    /// The newest events up to this number, newest first.
    async fn newest_events(
        &self,
        live: &Arc<LiveSubscription>,
        last: u64,
    ) -> Result<Vec<EventLine>, Error> {
        let Some(newest) = EventNumber::new(last) else { return Ok(Vec::new()) };
        let first = last.saturating_sub(EVENTS_SHOWN_MAX - 1);
        let range =
            Range { first: EventNumber::new(first).unwrap_or(EventNumber::FIRST), last: newest };
        let content = PayloadContent::IdOnly;
        let how = (Overflow::Bare, false);
        let read = notify::read_events(&self.shared, live, range, content, how);
        let events = read.await?.events.into_iter().rev().map(|event| EventLine {
            number: event.number,
            at: event.timestamp,
            focus: format!("{}/{}", event.focus.resource_type, event.focus.id),
            interaction: event.focus.interaction,
        });
        Ok(events.collect())
    }
}
