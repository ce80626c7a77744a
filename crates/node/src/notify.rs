//! Builds notifications from the log, at the moment they are sent (RQ-NB-10).
//!
//! What an event tells is the change at its position. A retry, a frame and `$events` therefore
//! show the same number, time and focus (RQ-ER-15), whatever happened since.

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::Codec;
use cresset_model::{
    Change, Event, EventNumber, Interaction, Notification, NotificationEvent, NotificationResource,
    NotificationType, PayloadContent, Position, SubscriptionError, SubscriptionStatus,
};
use uuid::Uuid;

use crate::bases::version_of;
use crate::error::Error;
use crate::live::LiveSubscription;
use crate::shared::Shared;

/// A range of events, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: EventNumber,
    pub(crate) last: EventNumber,
}

/// Bytes of resources in one notification at most; what goes beyond is told of without its content,
/// as the guide foresees for what cannot be included (RQ-NB-26).
const CONTENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of resources in one frame at most; what goes beyond is in the next one. Each socket may
/// hold a frame, so this is what a slow reader costs.
const FRAME_CONTENT_BYTES_MAX: usize = 256 * 1024;

/// What becomes of events whose content is too much for one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// They are told of without it: which events a notification has is settled.
    Bare,
    /// They are left for the next one.
    Later,
}

/// A notification as bytes.
pub(crate) struct Rendered {
    pub(crate) bytes: Bytes,
    /// The last event in it.
    pub(crate) last: Option<EventNumber>,
}

/// Builds and renders a notification of one subscription; `status` where the caller knows better
/// than the live table, which learns of a status only when it is durable.
///
/// None if there are no events in the range any more: retention has forgotten them.
pub(crate) async fn render(
    shared: &Arc<Shared>,
    live: &LiveSubscription,
    notification_type: NotificationType,
    events: Option<(Range, Overflow)>,
    status: Option<SubscriptionStatus>,
) -> Result<Option<Rendered>, Error> {
    let version =
        version_of(live.base).ok_or_else(|| Error::internal("a base without a version"))?;
    let content = live.state().settings.content;
    let events = match events {
        Some((range, overflow)) => {
            let events = read_events(shared, live, range, content, overflow).await?;
            if events.is_empty() {
                tracing::warn!(
                    subscription.id = %live.id,
                    first = %range.first,
                    last = %range.last,
                    "events were forgotten before they could be sent"
                );
                let text = format!(
                    "events {} to {} were older than what is kept before they could be sent",
                    range.first, range.last
                );
                live.state().problem = Some(text.into());
                return Ok(None);
            }
            events
        }
        None => Vec::new(),
    };
    let last = events.last().map(|event| event.number);
    let mut notification = notification(shared, live, version, notification_type, events);
    notification.status = status.unwrap_or(notification.status);
    let mut bytes = Vec::new();
    Codec::of(version).render_notification(&notification, &mut bytes);
    Ok(Some(Rendered { bytes: Bytes::from(bytes), last }))
}

/// What a notification of this type says now about a subscription.
pub(crate) fn notification(
    shared: &Shared,
    live: &LiveSubscription,
    version: FhirVersion,
    notification_type: NotificationType,
    events: Vec<NotificationEvent>,
) -> Notification {
    let state = live.state();
    // The count of an event notification is that of its highest event, so that a retry says what
    // the first try said (TR-38, RQ-NB-41).
    let count = match (notification_type, events.last()) {
        (NotificationType::EventNotification, Some(last)) => last.number.get(),
        _ => state.last,
    };
    let of_topic = shared.trigger_problems.of(live.base, &state.settings.topic.url);
    let problems = [of_topic.as_deref(), state.problem.as_deref()];
    let problems = problems
        .into_iter()
        .flatten()
        .map(|text| SubscriptionError { code: None, text: format!("not evaluated: {text}") });
    Notification {
        id: Uuid::now_v7().to_string(),
        status_id: Uuid::now_v7().to_string(),
        timestamp: shared.clock.now(),
        base_url: shared.base_url(version),
        subscription: live.id.clone(),
        topic: state.settings.topic.clone(),
        status: state.status,
        notification_type,
        events_since_subscription_start: count,
        events,
        errors: state.error.as_deref().cloned().into_iter().chain(problems).collect(),
        content: state.settings.content,
    }
}

/// The events of a range with what they tell, oldest first. Events beyond retention are left out.
pub(crate) async fn read_events(
    shared: &Arc<Shared>,
    live: &LiveSubscription,
    range: Range,
    content: PayloadContent,
    overflow: Overflow,
) -> Result<Vec<NotificationEvent>, Error> {
    let known = live.state().positions(range.first, range.last);
    let positions = match known {
        Some(positions) => positions,
        None => {
            let key = live.key;
            let limit = usize::try_from(range.last.get() - range.first.get())
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let read = move |store: &dyn cresset_store::Store| {
                store.events(key, range.first, range.last, limit)
            };
            let events = shared.read(read).await?;
            events.into_iter().map(|Event { number, position, .. }| (number, position)).collect()
        }
    };
    let mut events = Vec::with_capacity(positions.len());
    let mut room = match overflow {
        Overflow::Bare => CONTENT_BYTES_MAX,
        Overflow::Later => FRAME_CONTENT_BYTES_MAX,
    };
    for (number, change) in read_changes(shared, positions, content).await? {
        let mut event = event(number, &change, content);
        match room.checked_sub(event.focus.body.as_ref().map_or(0, Bytes::len)) {
            Some(left) => room = left,
            // A single resource is sent whatever its size; bodies are bounded when they come in.
            None if events.is_empty() => room = 0,
            None if overflow == Overflow::Later => break,
            None => event.focus.body = None,
        }
        events.push(event);
    }
    Ok(events)
}

/// The changes behind events: from memory where they all are, else with one trip to the store.
async fn read_changes(
    shared: &Arc<Shared>,
    positions: Vec<(EventNumber, Position)>,
    content: PayloadContent,
) -> Result<Vec<(EventNumber, Arc<Change>)>, Error> {
    let recent: Option<Vec<_>> = positions
        .iter()
        .map(|(number, position)| Some((*number, shared.recent.get(*position)?)))
        .collect();
    if let Some(changes) = recent {
        return Ok(changes);
    }
    shared
        .read(move |store| {
            let mut changes = Vec::with_capacity(positions.len());
            for (number, position) in positions {
                if let Some(mut change) = store.change(position)? {
                    if content != PayloadContent::FullResource {
                        change.body = Bytes::new();
                    }
                    changes.push((number, Arc::new(change)));
                }
            }
            Ok(changes)
        })
        .await
}

fn event(number: EventNumber, change: &Change, content: PayloadContent) -> NotificationEvent {
    let wanted =
        content == PayloadContent::FullResource && change.interaction != Interaction::Delete;
    NotificationEvent {
        number,
        timestamp: change.at,
        focus: NotificationResource {
            resource_type: change.key.resource_type.clone(),
            id: change.key.id.clone(),
            version: change.version,
            interaction: Some(change.interaction),
            body: wanted.then(|| change.body.clone()),
        },
        additional_context: Vec::new(),
    }
}
