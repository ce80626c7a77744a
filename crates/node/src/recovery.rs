//! Recovery: what an endpoint or a topic's subscribers lost is sent again, at a bounded rate.
//!
//! A queue of ranges, one of each subscription, of which the loop hands out pieces in turn: each
//! piece goes the way of `$resend`. Stands in memory only; a restart ends it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cresset_engine::batch_limit;
use cresset_model::{EventNumber, IssueCode, SubscriptionKey};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::caller::{Caller, Right};
use crate::error::{Error, Kind};
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::notify::Range;
use crate::resend::{self, Begun, ResendQuery};
use crate::shared::Shared;

/// Subscriptions that wait for what they lost at most.
pub const RECOVERED_SUBSCRIPTIONS_MAX: usize = 10_000;
/// How often pieces are handed out.
const PERIOD: Duration = Duration::from_millis(100);
/// Periods in a second.
const PERIODS_PER_SECOND: u32 = 10;

/// Whose events are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoverySubject {
    /// Subscriptions whose endpoint begins with this.
    Endpoint(String),
    /// Subscriptions on the topic with this canonical URL, whatever its version.
    Topic(String),
}

/// What a recovery sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Subscriptions with events to send.
    pub subscriptions: usize,
    /// Those events.
    pub events: u64,
    /// Subscriptions that had more, which is not kept any more.
    pub forgotten: usize,
    /// Subscriptions that are not active.
    pub skipped: usize,
}

/// What waits to be sent again.
#[derive(Default)]
pub(crate) struct Recoveries {
    queue: Mutex<VecDeque<(SubscriptionKey, Range)>>,
    /// Held while a recovery is put together.
    planning: tokio::sync::Mutex<()>,
}

impl Recoveries {
    fn queue(&self) -> MutexGuard<'_, VecDeque<(SubscriptionKey, Range)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Has everything since an instant sent again to the subscriptions of an endpoint or topic.
    ///
    /// # Errors
    /// `Forbidden` without the right `admin`; `Conflict` while another one is put together;
    /// `TooCostly` for more than [`RECOVERED_SUBSCRIPTIONS_MAX`] subscriptions.
    pub async fn recover(
        &self,
        caller: &Caller,
        subject: &RecoverySubject,
        since: Timestamp,
    ) -> Result<Recovery, Error> {
        caller.require(Right::Admin)?;
        let recoveries = &self.shared.recoveries;
        let _planning = recoveries.planning.try_lock().map_err(|_| {
            let text = "another recovery is being put together: ask again";
            Error::of(Kind::Conflict, IssueCode::CannotResend, text)
        })?;
        let mut concerned = self.shared.live.all();
        concerned.retain(|live| concerns(subject, live));
        let waiting = recoveries.queue().len();
        if concerned.len() > RECOVERED_SUBSCRIPTIONS_MAX.saturating_sub(waiting) {
            let text = format!(
                "{} subscriptions are concerned and {waiting} still wait, more than {RECOVERED_SUBSCRIPTIONS_MAX}: narrow it, or wait",
                concerned.len()
            );
            return Err(Error::of(Kind::TooCostly, IssueCode::OutOfBounds, text));
        }
        let (planned, recovery) = self.plan_recovery(&concerned, since).await?;
        tracing::info!(
            subscriptions = recovery.subscriptions,
            events = recovery.events,
            "recovery"
        );
        recoveries.queue().extend(planned);
        Ok(recovery)
    }

    /// What has to be sent to each.
    async fn plan_recovery(
        &self,
        concerned: &[Arc<LiveSubscription>],
        since: Timestamp,
    ) -> Result<(Vec<(SubscriptionKey, Range)>, Recovery), Error> {
        let mut recovery = Recovery::default();
        let mut planned = Vec::new();
        for live in concerned {
            if !live.state().is_active() {
                recovery.skipped += 1;
                continue;
            }
            let query = ResendQuery { since_instant: Some(since), ..ResendQuery::default() };
            let found = resend::find(&self.shared, live, query).await?;
            recovery.forgotten += usize::from(found.forgotten_below.is_some());
            recovery.events += found.count();
            planned.extend(found.range.map(|range| (live.key, range)));
        }
        recovery.subscriptions = planned.len();
        Ok((planned, recovery))
    }
}

fn concerns(subject: &RecoverySubject, live: &LiveSubscription) -> bool {
    let state = live.state();
    match subject {
        RecoverySubject::Endpoint(start) => {
            state.settings.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with(start))
        }
        RecoverySubject::Topic(url) => *state.settings.topic.url == **url,
    }
}

/// Hands out what waits, until told to stop.
pub(crate) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut room = 0;
    while !*stop.borrow() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => {}
        }
        room = tick(&shared, room);
    }
}

/// What is done each period: tenths of events that may be handed out come in, at most as many as a
/// second brings; those left come out.
pub(crate) fn tick(shared: &Shared, room: u32) -> u32 {
    let rate = shared.config.recovery.events_per_second.get();
    hand_out(shared, (room + rate).min(rate * PERIODS_PER_SECOND))
}

/// Hands out pieces in turn while there is room, and tells what room is left.
///
/// A subscription that still sends its last piece waits for another turn.
fn hand_out(shared: &Shared, mut room: u32) -> u32 {
    let mut queue = shared.recoveries.queue();
    for _ in 0..queue.len() {
        let events = room / PERIODS_PER_SECOND;
        if events == 0 {
            break;
        }
        let Some((key, range)) = queue.pop_front() else { break };
        let Some(live) = shared.live.get(key) else { continue };
        let piece = piece(shared, &live, range, events);
        match resend::begin(shared, &live, piece) {
            Begun::Sending => {
                let count = u32::try_from(piece.count()).unwrap_or(events);
                room = room.saturating_sub(count.saturating_mul(PERIODS_PER_SECOND));
                if piece.last < range.last {
                    queue.push_back((key, Range { first: piece.last.next(), ..range }));
                }
            }
            Begun::Busy => queue.push_back((key, range)),
            Begun::Inactive | Begun::Unbound => tracing::warn!(
                subscription.id = %live.id,
                first = %range.first,
                last = %range.last,
                "events are not sent again: nothing can be sent now"
            ),
        }
    }
    room
}

/// The first events of a range, as many as one notification and the room take.
fn piece(shared: &Shared, live: &LiveSubscription, range: Range, room: u32) -> Range {
    let max_count = live.state().settings.max_count;
    let limit = batch_limit(max_count, shared.config.delivery.retry.max_count_default);
    let end = range.first.get().saturating_add(u64::from(limit.get().min(room)) - 1);
    Range { last: EventNumber::new(end).unwrap_or(range.last).min(range.last), ..range }
}
