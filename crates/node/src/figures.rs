//! What the node has done since its start, and where it stands: for metrics and for the console.
//!
//! [`Figures`] costs next to nothing and can be asked for every second. [`StateFigures`] looks at
//! every subscription; what it says is kept for a while, so that nobody who asks often makes it
//! cost more than a small part of a processor.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{
    EventNumber, Interaction, NotificationType, Position, SubscriptionKey, SubscriptionStatus,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::attempts::AttemptOutcome;
use crate::audit::AuditFigures;
use crate::caller::{Caller, Right};
use crate::counters::{ChannelCounters, Counters, SENT_TYPES};
use crate::error::Error;
use crate::histogram::Distribution;
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::shared::Shared;
use crate::spans::SpanFigures;

/// Subscriptions whose oldest undelivered event is looked up in the store for one answer.
const LOOKUPS_MAX: usize = 1_000;
/// Looking at all subscriptions takes a processor for one part in so many of the time at most.
const REST: u32 = 20;

/// Changes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeFigures {
    /// Of which version.
    pub version: FhirVersion,
    /// What was done.
    pub interaction: Interaction,
    /// How many.
    pub count: u64,
}

/// Attempts of one kind. On a websocket an attempt is a frame that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptFigures {
    /// What was sent.
    pub notification_type: NotificationType,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// How many.
    pub count: u64,
}

/// What was sent over one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelFigures {
    /// The channel's code.
    pub channel_type: &'static str,
    /// Attempts, by what was sent and how they ended.
    pub attempts: Vec<AttemptFigures>,
    /// How long attempts took; of websockets nothing is told.
    pub attempt_seconds: Distribution,
    /// Events whose first notification was taken.
    pub events_delivered: u64,
    /// From the change to then, of the first event in each notification.
    pub lag_seconds: Distribution,
}

/// What has happened since the start, and how full the queues are now.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// When the node was started.
    pub started: Timestamp,
    /// Durable changes, by version and interaction.
    pub changes: Vec<ChangeFigures>,
    /// Events told of with `$notify-event`.
    pub occurrences: u64,
    /// How long it took to find which subscriptions a change is an event of.
    pub evaluation_seconds: Distribution,
    /// Subscriptions that were found.
    pub matches: u64,
    /// Triggers and filters that could not be evaluated (I9).
    pub evaluation_problems: u64,
    /// Events that became durable.
    pub events_appended: u64,
    /// The channels that this server sends over.
    pub channels: Vec<ChannelFigures>,
    /// Changes in each group that was committed.
    pub group_changes: Distribution,
    /// How long the store took for a group.
    pub commit_seconds: Distribution,
    /// Groups that the store did not take.
    pub commits_failed: u64,
    /// Changes of subscriptions' status that the server made, by the status that came of it.
    pub status_changes: Vec<(SubscriptionStatus, u64)>,
    /// Events that retention has forgotten.
    pub events_forgotten: u64,
    /// Writes that wait for the writer.
    pub write_queue: u64,
    /// Attempts under way.
    pub attempts_running: u64,
    /// Attempts that wait for a place at their host.
    pub attempts_waiting: u64,
    /// Hosts that attempts are kept back from since they do not answer.
    pub breakers_open: u64,
    /// Websockets that are open.
    pub websockets: u64,
    /// Of these, those without a binding.
    pub websockets_unbound: u64,
    /// Subscriptions bound to websockets; one on two sockets counts twice.
    pub websocket_bindings: u64,
    /// Changes that the search index has not seen yet.
    pub index_lag_changes: u64,
    /// Entries of the audit trail; nothing where none is kept.
    pub audit: Option<AuditFigures>,
    /// Spans of traces; nothing where nothing is traced.
    pub spans: Option<SpanFigures>,
}

/// The subscriptions with one status and one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionFigures {
    /// The status.
    pub status: SubscriptionStatus,
    /// The channel's code.
    pub channel_type: &'static str,
    /// How many there are.
    pub subscriptions: u64,
    /// Their undelivered events.
    pub lag: u64,
}

/// Where the subscriptions and the store stand.
#[derive(Debug, Clone, PartialEq)]
pub struct StateFigures {
    /// By status and channel; those that there are none of are left out.
    pub subscriptions: Vec<SubscriptionFigures>,
    /// Age of the oldest event that an active subscription has not been sent with success; those
    /// over websockets do not count. A lower bound where very many subscriptions lag far behind.
    pub oldest_undelivered_age: Option<Duration>,
    /// Age of the oldest change that the search index has not seen yet.
    pub index_lag: Option<Duration>,
    /// Bytes on disk, by what they are for; nothing for a store in memory.
    pub store_bytes: Vec<(&'static str, u64)>,
}

/// The newest [`StateFigures`], and what they took.
pub(crate) struct Kept {
    made: Instant,
    took: Duration,
    figures: Arc<StateFigures>,
}

impl Node {
    /// What has happened since the start, and how full the queues are.
    ///
    /// # Errors
    /// `Forbidden` without the right `metrics`.
    pub fn figures(&self, caller: &Caller) -> Result<Figures, Error> {
        caller.require(Right::Metrics)?;
        let (shared, counters) = (&self.shared, &self.shared.counters);
        let changes = counters.changes();
        let head = shared.head.load(Ordering::Acquire);
        let count = |number: &std::sync::atomic::AtomicUsize| number.load(Ordering::Relaxed) as u64;
        Ok(Figures {
            started: shared.started,
            changes: changes
                .map(|(version, interaction, count)| ChangeFigures { version, interaction, count })
                .collect(),
            occurrences: counters.occurrences.value(),
            evaluation_seconds: counters.evaluation_time.seconds(),
            matches: counters.matches.value(),
            evaluation_problems: counters.evaluation_problems.value(),
            events_appended: counters.events_appended.value(),
            channels: channel_figures(shared),
            group_changes: counters.group_changes.values(),
            commit_seconds: counters.commit_time.seconds(),
            commits_failed: counters.commits_failed.value(),
            status_changes: counters.status_changes().collect(),
            events_forgotten: counters.events_forgotten.value(),
            write_queue: self.writer.waiting(),
            attempts_running: counters.attempts_running.value(),
            attempts_waiting: counters.attempts_waiting.value(),
            breakers_open: counters.breakers_open.value(),
            websockets: count(&shared.sockets),
            websockets_unbound: count(&shared.sockets_unbound),
            websocket_bindings: shared.hub.bindings(),
            index_lag_changes: head.saturating_sub(*shared.indexed.borrow()),
            audit: self.audit_figures(),
            spans: self.span_figures(),
        })
    }

    /// Where the subscriptions and the store stand; as it was a short while ago, where finding out
    /// takes long.
    ///
    /// # Errors
    /// `Forbidden` without the right `metrics`; whatever the store answers.
    pub async fn state_figures(&self, caller: &Caller) -> Result<Arc<StateFigures>, Error> {
        caller.require(Right::Metrics)?;
        let mut kept = self.shared.state_figures.lock().await;
        if let Some(kept) = kept.as_ref()
            && kept.made.elapsed() < kept.took.saturating_mul(REST)
        {
            return Ok(kept.figures.clone());
        }
        let begun = Instant::now();
        let figures = Arc::new(StateFigures::now(&self.shared).await?);
        *kept =
            Some(Kept { made: Instant::now(), took: begun.elapsed(), figures: figures.clone() });
        Ok(figures)
    }
}

fn channel_figures(shared: &Shared) -> Vec<ChannelFigures> {
    let offered = shared.channels();
    let channels = shared.counters.channels();
    let channels = channels.filter(|(channel, _)| offered.contains(&channel.code()));
    channels
        .map(|(channel, counters)| ChannelFigures {
            channel_type: channel.code(),
            attempts: attempt_figures(counters),
            attempt_seconds: counters.attempt_time.seconds(),
            events_delivered: counters.events_delivered.value(),
            lag_seconds: counters.lag.seconds(),
        })
        .collect()
}

fn attempt_figures(counters: &ChannelCounters) -> Vec<AttemptFigures> {
    let by_type = SENT_TYPES.into_iter().zip(&counters.attempts);
    let figures =
        by_type.flat_map(|(notification_type, counted)| {
            AttemptOutcome::ALL.into_iter().zip(counted).map(move |(outcome, counter)| {
                AttemptFigures { notification_type, outcome, count: counter.value() }
            })
        });
    figures.collect()
}

impl StateFigures {
    async fn now(shared: &Arc<Shared>) -> Result<Self, Error> {
        let asked = shared.clone();
        let table = shared.work(move || Ok(Table::read(&asked))).await?;
        let oldest_undelivered_age = table.oldest_age(shared).await?;
        let (index_lag, store_bytes) = {
            let indexed = *shared.indexed.borrow();
            let head = shared.head();
            shared
                .read(move |store| {
                    let next = Position::new(indexed + 1).filter(|next| Some(*next) <= head);
                    let change = next.map(|next| store.change(next)).transpose()?.flatten();
                    Ok((change.map(|change| change.at), store.bytes_on_disk()))
                })
                .await?
        };
        Ok(Self {
            subscriptions: table.groups,
            oldest_undelivered_age,
            index_lag: index_lag.map(|at| age(shared, at)),
            store_bytes,
        })
    }
}

/// What the live table says of all subscriptions.
pub(crate) struct Table {
    pub(crate) groups: Vec<SubscriptionFigures>,
    /// Where the oldest undelivered event that is in memory happened.
    oldest: Option<Position>,
    /// First undelivered events that are not in memory.
    unknown: Vec<(SubscriptionKey, EventNumber)>,
}

impl Table {
    /// Looks at every subscription; takes a while where there are a million.
    pub(crate) fn read(shared: &Shared) -> Self {
        let mut table = Self { groups: Vec::new(), oldest: None, unknown: Vec::new() };
        for live in shared.live.each() {
            table.add(&live);
        }
        table.groups.sort_unstable_by_key(|group| (group.status, group.channel_type));
        table
    }

    fn add(&mut self, live: &LiveSubscription) {
        let (status, lag, channel_type) = {
            let state = live.state();
            let channel = Counters::channel_code(&state.settings.channel_type);
            (state.status, lag_of(state.last, state.cursor), channel)
        };
        let same = |one: &&mut SubscriptionFigures| {
            one.status == status && one.channel_type == channel_type
        };
        match self.groups.iter_mut().find(same) {
            Some(group) => {
                group.subscriptions += 1;
                group.lag += lag;
            }
            None => {
                let subscriptions = 1;
                self.groups.push(SubscriptionFigures { status, channel_type, subscriptions, lag });
            }
        }
        // What nobody has bound owes nothing.
        if status != SubscriptionStatus::Active || lag == 0 || live.is_websocket() {
            return;
        }
        match first_undelivered(live) {
            Ok(at) => self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at))),
            Err(entry) if self.unknown.len() < LOOKUPS_MAX => self.unknown.push(entry),
            Err(_) => {}
        }
    }

    /// Age of the oldest event that is still to be delivered.
    pub(crate) async fn oldest_age(&self, shared: &Arc<Shared>) -> Result<Option<Duration>, Error> {
        let (mut oldest, unknown) = (self.oldest, self.unknown.clone());
        let at = shared.read(move |store| {
            for (key, number) in unknown {
                let found = store.events(key, number, number, 1)?;
                oldest = oldest.into_iter().chain(found.iter().map(|event| event.position)).min();
            }
            let Some(oldest) = oldest else { return Ok(None) };
            Ok(store.change(oldest)?.map(|change| change.at))
        });
        Ok(at.await?.map(|at| age(shared, at)))
    }
}

/// Events that are still to be delivered, or were missed.
pub(crate) fn lag_of(last: u64, cursor: Option<EventNumber>) -> u64 {
    last.saturating_sub(cursor.map_or(0, EventNumber::get))
}

fn age(shared: &Shared, at: Timestamp) -> Duration {
    Duration::try_from(shared.clock.now().duration_since(at)).unwrap_or_default()
}

/// Where the first undelivered event happened, or what to ask the store for.
fn first_undelivered(live: &LiveSubscription) -> Result<Position, (SubscriptionKey, EventNumber)> {
    let state = live.state();
    let number = state.cursor.map_or(EventNumber::FIRST, EventNumber::next);
    let known = state.positions(number, number);
    known.and_then(|known| known.first().map(|(_, at)| *at)).ok_or((live.key, number))
}
