//! Builds notifications from the log, at the moment they are sent (RQ-NB-10).
//!
//! What an event tells is the change at its position. A retry, a frame and `$events` therefore
//! show the same number, time, focus and includes (RQ-ER-15), whatever happened since.

use std::sync::Arc;
use std::{thread, vec};

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{Blanks, Codec, Format, render_for_medplum};
use cresset_model::{
    Change, ChannelType, Event, EventNumber, Interaction, Notification, NotificationEvent,
    NotificationResource, NotificationType, PayloadContent, Position, ResourceId, ResourceType,
    SubscriptionError, SubscriptionStatus, TraceContext, VersionId,
};
use cresset_store::{self as store, Store};
use jiff::Timestamp;
use rustc_hash::FxHashSet;
use uuid::Uuid;

use crate::bases::version_of;
use crate::catch_up;
use crate::error::Error;
use crate::frames::FrameKey;
use crate::includes::{self, Focus, Gatherer, Includes};
use crate::live::LiveSubscription;
use crate::occurrence::{Occurrence, is_occurrence};
use crate::random::random;
use crate::settings::Common;
use crate::shared::Shared;

/// A range of events, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: EventNumber,
    pub(crate) last: EventNumber,
}

impl Range {
    /// How many events it is.
    pub(crate) const fn count(self) -> u64 {
        self.last.get() - self.first.get() + 1
    }

    /// The same, up to another end where there is one.
    pub(crate) fn until(self, last: Option<EventNumber>) -> Self {
        Self { last: last.unwrap_or(self.last), ..self }
    }

    /// What of it lies above this number, where anything does.
    fn above(self, number: Option<EventNumber>) -> Option<Self> {
        let first = number.map_or(self.first, |number| self.first.max(number.next()));
        (first <= self.last).then_some(Self { first, ..self })
    }
}

/// Bytes of resources in one notification at most; what goes beyond is told of without its content,
/// as the guide foresees for what cannot be included (RQ-NB-26).
pub(crate) const CONTENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of resources in one frame at most; what goes beyond is in the next one. Each socket may
/// hold a frame, so this is what a slow reader costs.
const FRAME_CONTENT_BYTES_MAX: usize = 256 * 1024;

/// Changes that are read in one go: a fraction of a millisecond. More are not always told in one notification.
const AHEAD: usize = 32;
/// Bytes of them after which it ends, so that little is read in vain.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a notification without events.
const NOTIFICATION_BYTES: usize = 1024;
/// Bytes of what an event tells of a resource, but for the resource itself.
const EVENT_BYTES: usize = 512;

/// What a notification says where something that goes with its events is missing.
const LEFT_OUT: &str =
    "not all resources that go with these events are included; ask the server for the others";

/// What becomes of events whose content is too much for one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// They are told of without it: which events a notification has is settled.
    Bare,
    /// The same, with room for so many bytes only, whatever the first event needs.
    BareWithin(usize),
    /// They are left for the next one.
    Later,
}

/// Whose words a notification is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Those of the version.
    Fhir,
    /// Those that Medplum's client reads (docs/clients.md).
    Medplum,
}

/// Where the first event of a notification comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    /// The trace of the request that made it.
    pub(crate) trace: Option<TraceContext>,
    /// When it happened; none for a notification without events.
    pub(crate) happened: Option<Timestamp>,
}

/// A notification as bytes.
pub(crate) struct Rendered {
    pub(crate) bytes: Bytes,
    /// What the bytes say; not for what was filled in, which no mail is.
    pub(crate) told: Option<Notification>,
    /// The last event in it.
    pub(crate) last: Option<EventNumber>,
    pub(crate) origin: Origin,
}

/// Builds and renders a notification of one subscription; `status` where the caller knows better
/// than the live table, which learns of a status only when it is durable.
///
/// None if there are no events in the range any more: retention has forgotten them.
pub(crate) async fn render(
    shared: &Arc<Shared>,
    live: &LiveSubscription,
    (notification_type, dialect): (NotificationType, Dialect),
    events: Option<(Range, Overflow)>,
    status: Option<SubscriptionStatus>,
) -> Result<Option<Rendered>, Error> {
    let version =
        version_of(live.base).ok_or_else(|| Error::internal("a base without a version"))?;
    // One for the whole of it: an update meanwhile must not mix two content levels.
    let settings = live.state().settings.common().clone();
    let single = match (dialect, events) {
        (Dialect::Fhir, Some((range, _))) => Single::of(shared, live, settings, range, status),
        // Too few to be worth it.
        (Dialect::Medplum, _) | (Dialect::Fhir, None) => Err(settings),
    };
    if let Some(rendered) = single.as_ref().ok().and_then(|single| single.fill(shared, live)) {
        return Ok(Some(rendered));
    }
    let settings = single.as_ref().map_or_else(Arc::clone, |single| single.key.common.clone());
    let read = match events {
        Some((range, overflow)) => {
            let apart = overflow == Overflow::Later;
            let how = (overflow, apart);
            let read = read_events(shared, live, range, settings.content, how).await?;
            if let Some(forgotten) = read.forgotten_of(range) {
                tell_loss(live, forgotten);
            }
            if read.events.is_empty() {
                return Ok(None);
            }
            read
        }
        None => Read::default(),
    };
    let plain = read.plain;
    let last = read.events.last().map(|event| event.number);
    let origin = read.origin;
    let mut notification = notification(shared, live, &settings, version, notification_type, read);
    notification.status = status.unwrap_or(notification.status);
    let mut bytes = Vec::with_capacity(room_for(&notification));
    // Medplum's client reads nothing but JSON.
    let format = if dialect == Dialect::Medplum { Format::Json } else { form_of(&settings) };
    match dialect {
        Dialect::Fhir => Codec::of(version).render_notification(&notification, &mut bytes),
        Dialect::Medplum if version == FhirVersion::R4 => {
            render_for_medplum(&notification, &mut bytes);
        }
        Dialect::Medplum => Codec::of(version).render_notification(&notification, &mut bytes),
    }
    let bytes = match format {
        Format::Json => bytes,
        Format::Xml => Codec::of(version).xml_of_json(&bytes).map_err(Error::internal)?,
    };
    // It may not be well any more.
    let is_well =
        notification.status == SubscriptionStatus::Active && notification.errors.is_empty();
    if let Some(single) = single.ok().filter(|_| plain && is_well) {
        let make =
            || Codec::of(version).notification_template(&notification, format, random_salt()?);
        shared.frames.rendered(single.key, notification.timestamp, origin, make);
    }
    Ok(Some(Rendered { bytes: Bytes::from(bytes), told: Some(notification), last, origin }))
}

/// Tells the operator and the subscriber that events are lost to retention, which only ever forgets the
/// oldest ones: sent nowhere, although the subscription was active all the time (I5).
///
/// Those up to the cursor are not lost: they were sent once, or need not be, and now somebody asks for them again,
/// or another socket of the subscription has not come as far.
pub(crate) fn tell_loss(live: &LiveSubscription, forgotten: Range) {
    let cursor = live.state().cursor;
    let Some(Range { first, last }) = forgotten.above(cursor) else { return };
    tracing::warn!(
        subscription.id = %live.id,
        %first,
        %last,
        "events were forgotten before they could be sent"
    );
    live.state().set_loss(Range { first, last });
}

/// The form that a notification is rendered in: one that becomes part of a message is made XML with it.
fn form_of(settings: &Common) -> Format {
    match settings.channel_type {
        ChannelType::Message => Format::Json,
        ChannelType::Custom(_)
        | ChannelType::Email
        | ChannelType::Kafka
        | ChannelType::Nats
        | ChannelType::RestHook
        | ChannelType::Websocket => settings.format(),
    }
}

/// A notification of one event in the plainest case: to an active subscription with which nothing is wrong.
struct Single {
    key: FrameKey,
    number: EventNumber,
}

impl Single {
    /// By these settings, which it gives back where it is none.
    fn of(
        shared: &Shared,
        live: &LiveSubscription,
        settings: Arc<Common>,
        Range { first, last }: Range,
        status: Option<SubscriptionStatus>,
    ) -> Result<Self, Arc<Common>> {
        let position = {
            let state = live.state();
            let active = status.unwrap_or(state.status) == SubscriptionStatus::Active;
            let troubled =
                state.error().is_some() || state.problem().is_some() || state.loss().is_some();
            // A mail tells in words what its Bundle says.
            let mailed = settings.channel_type == ChannelType::Email;
            let plain = first == last && active && !troubled && !mailed;
            state.position(first).filter(|_| plain)
        };
        let topic = &settings.topic;
        let whole = shared.trigger_problem(live.base, topic).is_none()
            && shared.shaped_topic(live.base, topic).is_none();
        match position.filter(|_| whole) {
            Some(position) => {
                let key = FrameKey { base: live.base, position, common: settings };
                Ok(Self { key, number: first })
            }
            None => Err(settings),
        }
    }

    /// The notification, if others of the same event have been rendered.
    fn fill(&self, shared: &Shared, live: &LiveSubscription) -> Option<Rendered> {
        let now = shared.clock.now();
        let template = shared.frames.template(&self.key, now)?;
        let (id, status_id) = two_uuids(now);
        let (mut id_text, mut status_text) = (Uuid::encode_buffer(), Uuid::encode_buffer());
        let bytes = template.notification.fill(&Blanks {
            id: id.hyphenated().encode_lower(&mut id_text),
            status_id: status_id.hyphenated().encode_lower(&mut status_text),
            subscription: &live.id,
            number: self.number,
        });
        let (bytes, origin) = (Bytes::from(bytes), template.origin);
        Some(Rendered { bytes, told: None, last: Some(self.number), origin })
    }
}

/// A number that nobody can guess; without randomness there are no templates.
fn random_salt() -> Option<u128> {
    random().map(u128::from_be_bytes)
}

/// About as many bytes as a notification takes, so that its buffer grows at most once.
fn room_for(notification: &Notification) -> usize {
    let events = notification.events.iter().map(|event| {
        let resources = std::iter::once(&event.focus).chain(&event.additional_context);
        resources.map(|one| EVENT_BYTES + one.body.as_ref().map_or(0, Bytes::len)).sum::<usize>()
    });
    NOTIFICATION_BYTES + events.sum::<usize>()
}

/// Two random names.
fn two_uuids(now: Timestamp) -> (Uuid, Uuid) {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let name = || {
        let name = |random| uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        random().map_or_else(Uuid::now_v7, name)
    };
    (name(), name())
}

/// What a notification of this type says now about a subscription.
pub(crate) fn notification(
    shared: &Shared,
    live: &LiveSubscription,
    settings: &Common,
    version: FhirVersion,
    notification_type: NotificationType,
    Read { events, left_out, .. }: Read,
) -> Notification {
    let state = live.state();
    // The count of an event notification is that of its highest event, so that a retry says what
    // the first try said (TR-38, RQ-NB-41).
    let count = match (notification_type, events.last()) {
        (NotificationType::EventNotification, Some(last)) => last.number.get(),
        _ => state.last,
    };
    let of_topic = shared.trigger_problem(live.base, &settings.topic);
    let problems = [of_topic.as_deref(), state.problem()];
    let problems = problems.into_iter().flatten().map(|text| format!("not evaluated: {text}"));
    let loss = state.loss().map(str::to_owned);
    let left_out = left_out.then(|| LEFT_OUT.to_owned());
    let told = problems.chain(loss).chain(left_out);
    let told = told.map(|text| SubscriptionError { code: None, text });
    let now = shared.clock.now();
    let (id, status_id) = two_uuids(now);
    Notification {
        id: id.to_string(),
        status_id: status_id.to_string(),
        timestamp: now,
        base_url: shared.base_url(version),
        subscription: live.id.clone(),
        topic: settings.topic.clone(),
        status: state.status,
        notification_type,
        events_since_subscription_start: count,
        events,
        errors: state.error().cloned().into_iter().chain(told).collect(),
        content: settings.content,
    }
}

/// Events with what they tell.
#[derive(Default)]
pub(crate) struct Read {
    /// Oldest first.
    pub(crate) events: Vec<NotificationEvent>,
    /// Something that goes with them is missing.
    pub(crate) left_out: bool,
    pub(crate) origin: Origin,
    /// They tell of changes alone, and nothing could go with them: the same to all who may be told as much.
    plain: bool,
}

impl Read {
    /// Which events of a range are forgotten: those before the first that was found.
    fn forgotten_of(&self, range: Range) -> Option<Range> {
        match self.events.first() {
            None => Some(range),
            Some(found) => {
                let last = EventNumber::new(found.number.get() - 1)?;
                (range.first <= last).then_some(Range { last, ..range })
            }
        }
    }
}

/// The events of a range with what they tell. Events beyond retention are left out.
///
/// Many of them are read behind everything else that the machine has to do, if `apart`: for who asks for what is
/// long past, not for what is sent to an endpoint, which a busy machine must not leave behind.
pub(crate) async fn read_events(
    shared: &Arc<Shared>,
    live: &LiveSubscription,
    range: Range,
    content: PayloadContent,
    (overflow, apart): (Overflow, bool),
) -> Result<Read, Error> {
    let apart = apart && catch_up::is_long(range);
    let known = live.state().positions(range.first, range.last);
    let positions = match known {
        Some(positions) => positions,
        None => {
            let key = live.key;
            let limit = usize::try_from(range.last.get() - range.first.get())
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let read = move |store: &dyn Store| store.events(key, range.first, range.last, limit);
            let events = shared.read(read).await?;
            events.into_iter().map(|Event { number, position, .. }| (number, position)).collect()
        }
    };
    let version =
        version_of(live.base).ok_or_else(|| Error::internal("a base without a version"))?;
    let includes = Includes::of(shared, live, version, content).await;
    let recent: Vec<_> = positions
        .into_iter()
        .map(|(number, position)| (number, position, shared.recent.get(position)))
        .collect();
    let in_memory = includes.is_empty()
        && recent
            .iter()
            .all(|(.., change)| change.as_ref().is_some_and(|change| !is_occurrence(change)));
    let tell = move |store: &dyn Store| {
        let gatherer = Gatherer::new(store, content);
        Teller { store, content, includes, gatherer, apart }.tell(recent, overflow)
    };
    // The plain case asks the store nothing, and so needs no thread that may block.
    if in_memory {
        Ok(Read { plain: true, ..tell(shared.store.as_ref())? })
    } else if apart {
        let store = shared.store.clone();
        shared.work_apart(move || Ok(tell(store.as_ref())?)).await
    } else {
        shared.read(tell).await
    }
}

/// Changes of events that are in the store alone, read a stretch ahead.
struct Stored<'s> {
    store: &'s dyn Store,
    wanted: vec::IntoIter<Position>,
    ahead: vec::IntoIter<Option<Change>>,
    /// Whether others go first.
    apart: bool,
}

impl<'s> Stored<'s> {
    fn of(
        store: &'s dyn Store,
        changes: &[(EventNumber, Position, Option<Arc<Change>>)],
        apart: bool,
    ) -> Self {
        let wanted = changes.iter().filter(|(.., change)| change.is_none());
        let wanted: Vec<_> = wanted.map(|(_, position, _)| *position).collect();
        Self { store, wanted: wanted.into_iter(), ahead: Vec::new().into_iter(), apart }
    }

    /// The next of them, if it has not been forgotten.
    fn next(&mut self) -> Result<Option<Change>, store::Error> {
        if self.ahead.len() == 0 {
            if self.apart {
                // Not every system interrupts a thread that is to run last at once.
                thread::yield_now();
            }
            let wanted = self.wanted.as_slice();
            let wanted = &wanted[..wanted.len().min(AHEAD)];
            let ahead = self.store.changes_at(wanted, AHEAD_BYTES_MAX)?;
            self.wanted.by_ref().take(ahead.len()).for_each(drop);
            self.ahead = ahead.into_iter();
        }
        Ok(self.ahead.next().flatten())
    }
}

/// Tells events, each with its focus and what goes with it.
struct Teller<'s> {
    store: &'s dyn Store,
    content: PayloadContent,
    includes: Includes,
    gatherer: Gatherer<'s>,
    apart: bool,
}

impl Teller<'_> {
    fn tell(
        mut self,
        changes: Vec<(EventNumber, Position, Option<Arc<Change>>)>,
        overflow: Overflow,
    ) -> Result<Read, store::Error> {
        let mut room = Room::new(overflow);
        let mut read = Read { events: Vec::with_capacity(changes.len()), ..Read::default() };
        let mut stored = Stored::of(self.store, &changes, self.apart);
        for (number, _, change) in changes {
            let change = match change {
                Some(change) => change,
                None => match stored.next()? {
                    Some(change) => Arc::new(change),
                    None => continue,
                },
            };
            let (mut event, left_out) = self.event(number, &change)?;
            if !room.fit(&mut event, read.events.is_empty()) {
                break;
            }
            if read.events.is_empty() {
                read.origin = Origin { trace: change.trace, happened: Some(change.at) };
            }
            read.left_out |= left_out;
            read.events.push(event);
        }
        Ok(read)
    }

    /// One event; and whether something that goes with it was left out.
    fn event(
        &mut self,
        number: EventNumber,
        change: &Change,
    ) -> Result<(NotificationEvent, bool), store::Error> {
        let damaged = || store::Error::corrupt("an occurrence that cannot be read");
        let occurrence = match is_occurrence(change) {
            true => Some(Occurrence::decode(change.key.base, &change.body).ok_or_else(damaged)?),
            false => None,
        };
        let subject = match &occurrence {
            Some(Occurrence { focus, .. }) => {
                Some(self.store.version(&focus.key, focus.version)?.ok_or_else(damaged)?)
            }
            None => None,
        };
        let interaction = occurrence.is_none().then_some(change.interaction);
        let focus = subject.as_ref().unwrap_or(change);
        let deleted = match focus.interaction {
            Interaction::Delete if !self.includes.is_empty() => previous(self.store, focus)?,
            Interaction::Create | Interaction::Delete | Interaction::Update => None,
        };
        let body = &deleted.as_ref().unwrap_or(focus).body;
        let named = occurrence.as_ref().map_or(&[][..], |occurrence| &occurrence.context);
        let seen = Focus { key: &focus.key, body, at: change.at };
        let gathered = self.gatherer.gather(&self.includes, &seen, named)?;
        let event = NotificationEvent {
            number,
            timestamp: change.at,
            focus: includes::resource(focus, interaction, self.content),
            additional_context: gathered.context,
            related_queries: gathered.related_queries,
            codes: gathered.codes,
        };
        Ok((event, gathered.left_out))
    }
}

/// The version that a delete ended.
fn previous(store: &dyn Store, deleted: &Change) -> Result<Option<Change>, store::Error> {
    match VersionId::new(deleted.version.get() - 1) {
        Some(before) => store.version(&deleted.key, before),
        None => Ok(None),
    }
}

/// Room for the content of one notification.
struct Room {
    bytes: usize,
    overflow: Overflow,
    /// What is in it already costs nothing again.
    held: FxHashSet<(ResourceType, ResourceId, VersionId)>,
}

impl Room {
    fn new(overflow: Overflow) -> Self {
        let bytes = match overflow {
            Overflow::Bare => CONTENT_BYTES_MAX,
            Overflow::BareWithin(bytes) => bytes.min(CONTENT_BYTES_MAX),
            Overflow::Later => FRAME_CONTENT_BYTES_MAX,
        };
        Self { bytes, overflow, held: FxHashSet::default() }
    }

    /// Takes an event in, without the content that there is no room for; tells if it is to wait
    /// for the next notification instead.
    fn fit(&mut self, event: &mut NotificationEvent, is_first: bool) -> bool {
        let mut resources: Vec<_> =
            std::iter::once(&mut event.focus).chain(&mut event.additional_context).collect();
        let needed: usize = resources.iter().map(|one| self.cost(one)).sum();
        if needed > self.bytes && !is_first && self.overflow == Overflow::Later {
            return false;
        }
        // A single resource is sent whatever its size; bodies are bounded when they come in.
        let whole_first = is_first && !matches!(self.overflow, Overflow::BareWithin(_));
        for (index, resource) in resources.iter_mut().enumerate() {
            let cost = self.cost(resource);
            if cost <= self.bytes || (whole_first && index == 0) {
                self.bytes = self.bytes.saturating_sub(cost);
                if resource.body.is_some() {
                    self.held.insert(identity(resource));
                }
            } else {
                resource.body = None;
            }
        }
        true
    }

    fn cost(&self, resource: &NotificationResource) -> usize {
        let bytes = resource.body.as_ref().map_or(0, Bytes::len);
        if bytes > 0 && self.held.contains(&identity(resource)) { 0 } else { bytes }
    }
}

fn identity(resource: &NotificationResource) -> (ResourceType, ResourceId, VersionId) {
    (resource.resource_type.clone(), resource.id.clone(), resource.version)
}
