//! What is counted while the node works: additions to atomics, which cost a change nanoseconds.
//!
//! Nothing here is read by anything that decides. [`crate::Figures`] is what it says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_model::{Change, ChannelType, Interaction, NotificationType, SubscriptionStatus};
use jiff::Timestamp;

use crate::attempts::AttemptOutcome;
use crate::bases::version_of;
use crate::histogram::{Histogram, LAG, LONG, SHORT, SIZES};
use crate::occurrence::is_occurrence;

/// How many of them there are.
const CHANNELS_COUNT: usize = 6;
/// Channels that notifications are sent over, in the order of their codes.
static CHANNELS: [ChannelType; CHANNELS_COUNT] = [
    ChannelType::Email,
    ChannelType::Kafka,
    ChannelType::Message,
    ChannelType::Nats,
    ChannelType::RestHook,
    ChannelType::Websocket,
];
/// Notifications that are sent by the server, not asked for.
pub(crate) const SENT_TYPES: [NotificationType; 3] =
    [NotificationType::EventNotification, NotificationType::Handshake, NotificationType::Heartbeat];
/// All interactions.
pub(crate) const INTERACTIONS: [Interaction; 3] =
    [Interaction::Create, Interaction::Delete, Interaction::Update];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Where it stands.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that its owner sets.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    /// Where it stands.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of one channel.
#[derive(Debug)]
pub(crate) struct ChannelCounters {
    /// By [`SENT_TYPES`] and outcome.
    pub(crate) attempts: [[Counter; AttemptOutcome::ALL.len()]; SENT_TYPES.len()],
    pub(crate) attempt_time: Histogram,
    /// Events whose first notification was taken.
    pub(crate) events_delivered: Counter,
    /// From the change to then, of the first event in each notification.
    pub(crate) lag: Histogram,
}

impl ChannelCounters {
    fn new() -> Self {
        Self {
            attempts: Default::default(),
            attempt_time: Histogram::new(LONG),
            events_delivered: Counter::default(),
            lag: Histogram::new(LAG),
        }
    }

    /// An attempt has ended.
    pub(crate) fn attempted(&self, notification_type: NotificationType, outcome: AttemptOutcome) {
        let place = SENT_TYPES.iter().position(|one| *one == notification_type);
        if let Some(place) = place {
            self.attempts[place][outcome as usize].add(1);
        }
    }

    /// So many events were delivered for the first time, the first of which happened then.
    pub(crate) fn delivered(&self, events: u64, happened: Option<Timestamp>, now: Timestamp) {
        self.events_delivered.add(events);
        if let Some(happened) = happened.filter(|_| events > 0) {
            self.lag.observe(Duration::try_from(now.duration_since(happened)).unwrap_or_default());
        }
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Counters {
    /// By version and [`INTERACTIONS`].
    changes: [[Counter; INTERACTIONS.len()]; FhirVersion::ALL.len()],
    /// Events told of that are no changes.
    pub(crate) occurrences: Counter,
    pub(crate) evaluation_time: Histogram,
    /// Subscriptions that evaluations found.
    pub(crate) matches: Counter,
    /// Triggers and filters that could not be evaluated.
    pub(crate) evaluation_problems: Counter,
    pub(crate) events_appended: Counter,
    pub(crate) group_changes: Histogram,
    pub(crate) commit_time: Histogram,
    pub(crate) commits_failed: Counter,
    /// Changes of status that the server made, by the status that came of it.
    status_changes: [Counter; SubscriptionStatus::ALL.len()],
    pub(crate) events_forgotten: Counter,
    channels: [ChannelCounters; CHANNELS_COUNT],
    /// Attempts under way.
    pub(crate) attempts_running: Gauge,
    /// Attempts that wait for a place at their host.
    pub(crate) attempts_waiting: Gauge,
    /// Hosts that attempts are kept back from.
    pub(crate) breakers_open: Gauge,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            changes: Default::default(),
            occurrences: Counter::default(),
            evaluation_time: Histogram::new(SHORT),
            matches: Counter::default(),
            evaluation_problems: Counter::default(),
            events_appended: Counter::default(),
            group_changes: Histogram::new(SIZES),
            commit_time: Histogram::new(SHORT),
            commits_failed: Counter::default(),
            status_changes: Default::default(),
            events_forgotten: Counter::default(),
            channels: std::array::from_fn(|_| ChannelCounters::new()),
            attempts_running: Gauge::default(),
            attempts_waiting: Gauge::default(),
            breakers_open: Gauge::default(),
        }
    }
}

impl Counters {
    /// A change is durable.
    pub(crate) fn changed(&self, change: &Change) {
        if is_occurrence(change) {
            return self.occurrences.add(1);
        }
        let version = version_of(change.key.base);
        let version = FhirVersion::ALL.iter().position(|one| Some(*one) == version);
        let interaction = INTERACTIONS.iter().position(|one| *one == change.interaction);
        if let (Some(version), Some(interaction)) = (version, interaction) {
            self.changes[version][interaction].add(1);
        }
    }

    /// Changes by version and interaction.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (FhirVersion, Interaction, u64)> {
        FhirVersion::ALL.into_iter().zip(&self.changes).flat_map(|(version, counters)| {
            let counted = INTERACTIONS.into_iter().zip(counters);
            counted.map(move |(interaction, counter)| (version, interaction, counter.value()))
        })
    }

    /// The server gave a subscription this status.
    pub(crate) fn status_changed(&self, to: SubscriptionStatus) {
        if let Some(place) = SubscriptionStatus::ALL.iter().position(|one| *one == to) {
            self.status_changes[place].add(1);
        }
    }

    /// What is counted of a channel; none for one that nothing is sent over.
    pub(crate) fn channel(&self, channel: &ChannelType) -> Option<&ChannelCounters> {
        let place = CHANNELS.iter().position(|one| one == channel)?;
        self.channels.get(place)
    }

    /// The code of a channel, for as long as the program runs.
    pub(crate) fn channel_code(channel: &ChannelType) -> &'static str {
        CHANNELS.iter().find(|one| *one == channel).map_or("custom", ChannelType::code)
    }

    /// Changes of status by the status that came of them.
    pub(crate) fn status_changes(&self) -> impl Iterator<Item = (SubscriptionStatus, u64)> {
        let counted = SubscriptionStatus::ALL.iter().copied().zip(&self.status_changes);
        counted.map(|(status, counter)| (status, counter.value()))
    }

    /// How many attempts to endpoints, mailboxes and brokers ended how.
    pub(crate) fn attempts_to_endpoints(
        &self,
    ) -> [(AttemptOutcome, u64); AttemptOutcome::ALL.len()] {
        let sent_to = || self.channels().filter(|(channel, _)| **channel != ChannelType::Websocket);
        AttemptOutcome::ALL.map(|outcome| {
            let of_type = sent_to().flat_map(|(_, counters)| &counters.attempts);
            (outcome, of_type.map(|outcomes| outcomes[outcome as usize].value()).sum())
        })
    }

    /// What is counted of each channel.
    pub(crate) fn channels(
        &self,
    ) -> impl Iterator<Item = (&'static ChannelType, &ChannelCounters)> {
        CHANNELS.iter().zip(&self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_by_channel_and_their_lag_once_for_each_notification() {
        let counters = Counters::default();
        let hook = counters.channel(&ChannelType::RestHook).unwrap();
        let start = Timestamp::UNIX_EPOCH;
        let now = start.checked_add(Duration::from_secs(2)).unwrap();
        hook.delivered(3, Some(start), now);
        hook.delivered(0, Some(start), now);
        hook.attempted(NotificationType::Heartbeat, AttemptOutcome::Refused);
        hook.attempted(NotificationType::QueryStatus, AttemptOutcome::Refused);
        let told: Vec<_> = counters
            .channels()
            .filter(|(_, one)| one.events_delivered.value() > 0)
            .map(|(channel, one)| (channel.code(), one.lag.seconds().count()))
            .collect();
        assert_eq!(told, [("rest-hook", 1)]);
        let socket = counters.channel(&ChannelType::Websocket).unwrap();
        socket.attempted(NotificationType::Heartbeat, AttemptOutcome::Success);
        let endpoints = counters.attempts_to_endpoints();
        let ended: Vec<_> = endpoints.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(ended, [(AttemptOutcome::Refused, 1)]);
        assert!((hook.lag.seconds().sum - 2.0).abs() < 1e-9);
        let attempts: u64 = hook.attempts.iter().flatten().map(Counter::value).sum();
        assert_eq!(attempts, 1, "what is asked for is no attempt");
    }

    #[test]
    fn every_channel_but_a_custom_one_is_counted() {
        let counters = Counters::default();
        for channel in &CHANNELS {
            assert!(counters.channel(channel).is_some(), "{channel:?}");
        }
        let custom = cresset_model::Coding { system: None, code: "x".into() };
        assert!(counters.channel(&ChannelType::Custom(custom)).is_none());
    }
}
