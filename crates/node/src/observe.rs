//! What became durable and what was sent, told to everybody who only watches: counters, traces and the
//! audit trail.

use std::sync::Arc;
use std::time::Duration;

use cresset_model::{Change, ChannelType, EventNumber, NotificationType, TraceContext};
use jiff::Timestamp;

use crate::attempts::AttemptOutcome;
use crate::audit::{Note, SentNote};
use crate::live::LiveSubscription;
use crate::notify::{Origin, Range};
use crate::shared::Shared;
use crate::spans::Begun;

/// An attempt that has ended, or a frame that was written.
pub(crate) struct Told<'t> {
    pub(crate) live: &'t LiveSubscription,
    pub(crate) channel_type: &'t ChannelType,
    pub(crate) notification_type: NotificationType,
    pub(crate) events: Option<Range>,
    pub(crate) origin: Origin,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) http_status: Option<u16>,
    /// When it began; nobody asks without a collector of traces.
    pub(crate) begun: Option<Begun>,
    /// When it ended.
    pub(crate) ended: Timestamp,
    /// The host that it went to; none for a websocket.
    pub(crate) destination: Option<&'t Arc<str>>,
    /// How long it took; none where that says nothing of the other side.
    pub(crate) duration: Option<Duration>,
    /// The context that the other side was told.
    pub(crate) context: Option<TraceContext>,
}

impl Shared {
    /// Counts a durable change, and has it kept in the audit trail if it is of a subscription.
    pub(crate) fn observe_change(&self, change: &Arc<Change>) {
        self.counters.changed(change);
        if let Some(auditor) = &self.auditor
            && change.key.resource_type.as_str() == "Subscription"
        {
            auditor.keep(Note::Change(change.clone()), self.clock.now());
        }
    }

    /// Counts what was told, and tells the audit trail and the collector of traces. Before the cursor
    /// moves: what was delivered before does not count again.
    pub(crate) fn observe(&self, told: &Told<'_>) {
        self.count(told);
        self.audit(told);
        self.trace(told);
    }

    fn audit(&self, told: &Told<'_>) {
        let Some(auditor) = self.auditor.as_ref().filter(|one| one.keeps_notifications()) else {
            return;
        };
        // Nothing has left the server.
        if told.outcome == AttemptOutcome::Unsent {
            return;
        }
        let (now, live) = (told.ended, told.live);
        let note = SentNote {
            at: now,
            key: live.key,
            base: live.base,
            id: live.id.clone(),
            owner: live.owner.clone(),
            notification_type: told.notification_type,
            events: told.events,
            content: live.state().settings.content,
            channel_type: told.channel_type.code().to_owned(),
            destination: told.destination.cloned().unwrap_or_else(|| "websocket".into()),
            outcome: told.outcome,
        };
        auditor.keep(Note::Sent(Box::new(note)), now);
    }

    fn count(&self, told: &Told<'_>) {
        let Some(counters) = self.counters.channel(told.channel_type) else { return };
        counters.attempted(told.notification_type, told.outcome);
        if let Some(duration) = told.duration {
            counters.attempt_time.observe(duration);
        }
        if told.outcome == AttemptOutcome::Success
            && let Some(Range { first, last }) = told.events
        {
            let before = told.live.state().cursor.map_or(0, EventNumber::get);
            let events = last.get().saturating_sub(before.max(first.get() - 1));
            let happened = told.origin.happened.filter(|_| before < first.get());
            counters.delivered(events, happened, told.ended);
        }
    }

    fn trace(&self, told: &Told<'_>) {
        let span = told.begun.and_then(|begun| self.attempt_span(told.origin.trace, begun));
        let Some(mut span) = span else { return };
        if let Some(context) = told.context {
            span.rename(context);
        }
        span.set("subscription.id", told.live.id.to_string());
        span.set("channel.type", told.channel_type.code().to_owned());
        span.set("notification.type", told.notification_type.code());
        span.set("attempt.outcome", told.outcome.as_str());
        if let Some(Range { first, last }) = told.events {
            span.set("event.number.first", first.get());
            span.set("event.number.last", last.get());
        }
        if let Some(status) = told.http_status {
            span.set("http.response.status_code", u64::from(status));
        }
        if told.outcome != AttemptOutcome::Success {
            span.fail();
        }
    }
}
