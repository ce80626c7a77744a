//! One group in the making: decides each wanted change against all before it.
//!
//! The writer makes one `Draft` per group. Nothing here is durable or visible until the store has
//! appended the group; a request that is refused is taken back alone, a group that fails whole.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use cresset_engine::{Catalog, Evaluation, Interest, Lookup, Need, ResourceChange, evaluate};
use cresset_fhir::{Codec, json};
use cresset_model::{
    Base, Canonical, Change, ClientName, EventNumber, Interaction, IssueCode, Issues, Position,
    ResourceId, ResourceKey, ResourceType, SubscriptionKey, SubscriptionStatus, TraceContext,
    VersionId,
};
use cresset_store::{Entry, Group, Record, Store, SubscriptionLife};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use crate::bases::version_of;
use crate::catalogs::{Catalogs, LOOKUP_ROUNDS_MAX, NEVER_A_FOCUS};
use crate::conditional::{Assumption, Watch, stale};
use crate::config::{Limits, SearchIndex};
use crate::error::{Error, Kind};
use crate::intent::{Action, Body, Effect, Intent, Precondition, Role, StatusChange, Written};
use crate::live::{Live, LiveSubscription};
use crate::overlay::Overlay;
use crate::recent::Kept;
use crate::resources::creator;
use crate::settings::{Settings, SettingsCache};
use crate::shared::Shared;
use crate::spans::OpenSpan;

mod catalog_changes;
mod lookup;
mod occurrences;
mod subscriptions;

use lookup::GroupIndexes;
pub(crate) use lookup::{Found, check_indexed, look_up_stored};

/// What a durable group changes in the live table.
pub(crate) enum LiveEffect {
    /// A subscription exists.
    Begin(Arc<LiveSubscription>),
    /// It was compiled anew against its topic: what was wrong with it before is so no more.
    Bound(SubscriptionKey),
    /// It exists no more.
    End(SubscriptionKey),
    /// Its events up to this one are not sent any more (RQ-ER-10).
    Missed(SubscriptionKey, EventNumber),
    /// An evaluation failed for it; told by `$status` (I9).
    Problem(SubscriptionKey, String),
    /// Its client changed it.
    Settings(SubscriptionKey, Settings, SubscriptionStatus, Timestamp),
    /// The server changed its status.
    Status(StatusChange),
    /// The topics of a base changed.
    Topics(Base),
    /// A trigger of this topic could not be evaluated; told by `$status` (I9).
    TriggerProblem(Base, Canonical, String),
}

/// A group in the making.
pub(crate) struct Draft<'w> {
    shared: &'w Shared,
    store: &'w dyn Store,
    live: &'w Live,
    limits: &'w Limits,
    index: &'w SearchIndex,
    settings: &'w SettingsCache,
    catalogs: &'w mut Catalogs,
    now: Timestamp,
    first: Position,
    /// The trace of what is being decided.
    trace: Option<TraceContext>,
    /// The commit in that trace, where it is sampled.
    commit: Option<TraceContext>,
    overlay: Overlay,
    group: Group,
    changes: Vec<Kept>,
    /// Events of the group's entries.
    events: usize,
    effects: Vec<LiveEffect>,
    begun: FxHashMap<(Base, ResourceId), Arc<LiveSubscription>>,
    group_indexes: GroupIndexes,
    watch: Watch,
    /// How many of the changes it has seen.
    watch_seen: usize,
}

/// Where a draft stood; see [`Draft::rollback`].
pub(crate) struct Mark {
    entries: usize,
    records: usize,
    effects: usize,
    events: usize,
    overlay: usize,
    catalogs: Catalogs,
}

/// Who writes a resource.
#[derive(Clone, Copy)]
struct Author<'i> {
    name: &'i ClientName,
    /// Whether it may ask about resources.
    may_read: bool,
}

/// What a finished draft leaves to the writer.
pub(crate) struct Finished {
    pub(crate) group: Group,
    pub(crate) changes: Vec<Kept>,
    pub(crate) effects: Vec<LiveEffect>,
}

impl<'w> Draft<'w> {
    /// An empty group that is to begin at `first`; its changes are made `now`.
    pub(crate) fn new(
        shared: &'w Shared,
        catalogs: &'w mut Catalogs,
        first: Position,
        now: Timestamp,
    ) -> Self {
        Self {
            shared,
            store: shared.store.as_ref(),
            live: &shared.live,
            limits: &shared.config.limits,
            index: &shared.config.search.index,
            settings: &shared.settings,
            catalogs,
            now,
            first,
            trace: None,
            commit: None,
            overlay: Overlay::default(),
            group: Group::default(),
            changes: Vec::new(),
            events: 0,
            effects: Vec::new(),
            begun: FxHashMap::default(),
            group_indexes: GroupIndexes::default(),
            watch: Watch::default(),
            watch_seen: 0,
        }
    }

    /// Reads the current versions of all resources the intents name, in one go.
    pub(crate) fn load<'i>(
        &mut self,
        intents: impl Iterator<Item = &'i Intent>,
    ) -> Result<(), Error> {
        let keys: Vec<ResourceKey> = intents
            .filter(|intent| intent.precondition != Precondition::Fresh)
            .map(|intent| intent.key.clone())
            .collect();
        if !keys.is_empty() {
            self.overlay.load(self.store, &keys)?;
        }
        Ok(())
    }

    /// Where the draft stands.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            entries: self.group.entries.len(),
            records: self.group.records.len(),
            effects: self.effects.len(),
            events: self.events,
            overlay: self.overlay.mark(),
            catalogs: self.catalogs.clone(),
        }
    }

    /// Takes back all that was decided since the mark.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        self.group.entries.truncate(mark.entries);
        self.group.records.truncate(mark.records);
        self.changes.truncate(mark.entries);
        self.effects.truncate(mark.effects);
        self.events = mark.events;
        self.overlay.rollback(mark.overlay);
        self.group_indexes.clear();
        *self.catalogs = mark.catalogs;
        let position = self.next_position();
        self.begun.retain(|_, begun| begun.key.position() < position);
    }

    /// Whether the group has so many events that what follows belongs in the next one: with one
    /// more write of the size allowed it would have more than the store takes.
    pub(crate) fn is_full(&self) -> bool {
        self.events > self.limits.write_events_max / 3
    }

    /// Refuses a write that is too many events since the mark.
    pub(crate) fn check_events(&self, since: &Mark) -> Result<(), Error> {
        let max = self.limits.write_events_max;
        if self.events - since.events <= max {
            return Ok(());
        }
        let text = format!("the write would be more than {max} events for subscriptions");
        Err(Error::of(Kind::TooCostly, IssueCode::TooManyEvents, text))
    }

    /// Adds bookkeeping.
    pub(crate) fn record(&mut self, records: Vec<Record>) {
        self.group.records.extend(records);
    }

    pub(crate) fn finish(self) -> Finished {
        Finished { group: self.group, changes: self.changes, effects: self.effects }
    }

    /// Takes note of what all writes of the group were prepared on, in order.
    pub(crate) fn watch<'a>(&mut self, assumptions: impl Iterator<Item = &'a Assumption>) {
        self.watch = Watch::new(assumptions, self.first, &self.shared.recent);
    }

    /// Refuses a write that was prepared on what is so no more: the assumptions at these places.
    ///
    /// It is asked before anything of the write is decided, so what it has seen is never rolled back.
    pub(crate) fn check(&mut self, places: Range<usize>) -> Result<(), Error> {
        if places.is_empty() {
            return Ok(());
        }
        for kept in &self.changes[self.watch_seen..] {
            self.watch.see(&kept.change);
        }
        self.watch_seen = self.changes.len();
        if self.watch.holds(places) { Ok(()) } else { Err(stale()) }
    }

    /// Decides one intent: what it does, and which subscriptions it is an event for.
    pub(crate) fn decide(&mut self, intent: Intent) -> Result<Written, Error> {
        self.take_trace(intent.trace);
        let current = match intent.precondition {
            Precondition::Fresh => None,
            Precondition::Absent
            | Precondition::None
            | Precondition::Present
            | Precondition::Unchanged(_)
            | Precondition::Version(_) => self.overlay.current(self.store, &intent.key)?,
        };
        self.check_owner(&intent, current.as_deref())?;
        self.check_topic(&intent)?;
        check_precondition(&intent, current.as_deref())?;
        match intent.action {
            Action::Delete => self.delete(&intent.key, &intent.author, current),
            Action::Put(body) => {
                let author = Author { name: &intent.author, may_read: intent.may_read };
                self.put(&intent.key, author, *body, current)
            }
        }
    }

    /// What follows, up to the next call, is decided for a request of this trace; gives the span of
    /// its commit.
    pub(crate) fn begin_commit(&mut self, trace: Option<TraceContext>) -> Option<OpenSpan> {
        let span = self.shared.span(trace, "commit");
        self.commit = span.as_ref().and_then(OpenSpan::context);
        span
    }

    /// Keeps the trace of what is decided next, where notifications are to pass it on or attempts
    /// are to be part of it.
    fn take_trace(&mut self, trace: Option<TraceContext>) {
        let passed_on = trace.filter(|_| self.shared.config.delivery.traceparent);
        self.trace = self.commit.or(passed_on);
    }

    /// A subscription of somebody else looks as if it were not there, to all but admins.
    fn check_owner(&self, intent: &Intent, current: Option<&Change>) -> Result<(), Error> {
        let is_subscription = intent.key.resource_type.as_str() == "Subscription";
        let Some(current) = current.filter(|_| is_subscription && !intent.admin) else {
            return Ok(());
        };
        // The id of a deleted one stays its owner's: its history holds what others may not see.
        let owner = match self.subscription_at(&intent.key) {
            Some(subscription) => Some(ClientName::clone(&subscription.owner)),
            None if is_alive(Some(current)) => None,
            None => creator(self.store, &intent.key)?,
        };
        match owner {
            Some(owner) if owner != intent.author => match intent.action {
                Action::Delete => Err(Error::not_found(&intent.key)),
                Action::Put(_) => {
                    let text = "this id is not free for this client";
                    Err(Error::of(Kind::Forbidden, IssueCode::Forbidden, text))
                }
            },
            Some(_) | None => Ok(()),
        }
    }

    /// Only who may manage topics replaces or deletes what is one now; and who may do no more
    /// deletes no `Basic` that is none.
    fn check_topic(&self, intent: &Intent) -> Result<(), Error> {
        let is_topic = self.is_topic(&intent.key)?;
        let plain_basic = !is_topic && intent.key.resource_type.as_str() == "Basic";
        let lacks = match intent.action {
            Action::Delete | Action::Put(_) if is_topic && !intent.may_topics => "topics",
            Action::Delete if plain_basic && !intent.may_write => "write",
            Action::Delete | Action::Put(_) => return Ok(()),
        };
        let text = format!("this client lacks the right '{lacks}'");
        Err(Error::of(Kind::Forbidden, IssueCode::Forbidden, text))
    }

    fn delete(
        &mut self,
        key: &ResourceKey,
        author: &ClientName,
        current: Option<Arc<Change>>,
    ) -> Result<Written, Error> {
        let Some(previous) = current.filter(|current| is_alive(Some(current))) else {
            return Ok(Written {
                change: self.overlay.current(self.store, key)?,
                effect: Effect::Untouched,
                warnings: Issues::default(),
                spent: None,
            });
        };
        let events = self.events(key, Interaction::Delete, Some(&previous), None);
        let subscription = self.subscription_at(key).map(|subscription| subscription.key);
        if let Some(subscription) = subscription {
            self.end_subscription(key.base, subscription);
        }
        let change =
            self.change(key, previous.version.next(), Interaction::Delete, author, Bytes::new());
        let change = self.push(change, events, subscription.map(SubscriptionLife::Ends));
        self.remove_topic(key)?;
        let warnings = Issues::default();
        Ok(Written { change: Some(change), effect: Effect::Deleted, warnings, spent: None })
    }

    fn put(
        &mut self,
        key: &ResourceKey,
        author: Author<'_>,
        body: Body,
        current: Option<Arc<Change>>,
    ) -> Result<Written, Error> {
        let version = current.as_ref().map_or(VersionId::FIRST, |current| current.version.next());
        let previous = current.filter(|current| is_alive(Some(current)));
        let interaction =
            if previous.is_some() { Interaction::Update } else { Interaction::Create };
        let effect = if previous.is_some() { Effect::Updated } else { Effect::Created };
        let Body { bytes, mut value, role, rows, warnings: mut told } = body;
        let (change, warnings) = match role {
            Role::Plain => {
                // A `Basic` that was a topic and is one no more.
                self.remove_topic(key)?;
                let bytes = self.stamp(key, version, &bytes, &mut value)?;
                let events = self.events(key, interaction, previous.as_deref(), Some(&value));
                let change = self.change(key, version, interaction, author.name, bytes);
                (self.push(change, events, None), Issues::default())
            }
            Role::Topic(topic) => {
                let bytes = self.stamp(key, version, &bytes, &mut value)?;
                let warnings = self.insert_topic(key, author, &topic)?;
                let events = self.events(key, interaction, previous.as_deref(), Some(&value));
                let change = self.change(key, version, interaction, author.name, bytes);
                let change = self.push(change, events, None);
                self.rebind(key.base, &topic.url)?;
                (change, warnings)
            }
            Role::Subscription(asked) => {
                let life = (version, interaction);
                self.put_subscription(key, author, life, (&bytes, &value), *asked)?
            }
        };
        if let Some(kept) = self.changes.iter_mut().rfind(|kept| Arc::ptr_eq(&kept.change, &change))
        {
            kept.rows = rows;
        }
        told.0.extend(warnings.0);
        let spent = Some(Arc::new(value));
        Ok(Written { change: Some(change), effect, warnings: told, spent })
    }

    /// Makes a status change of the server's own a new version of the Subscription.
    pub(crate) fn change_status(&mut self, change: StatusChange) -> Result<(), Error> {
        let Some(live) = self.live.get(change.subscription) else { return Ok(()) };
        self.commit = None;
        self.take_trace(None);
        let stale = {
            let state = live.state();
            // What supersedes is in force here before it is durable.
            let same = state.status == change.to && state.error() == change.error.as_ref();
            same && !change.supersedes || state.revision != change.revision
        };
        if stale || self.was_touched(&live) {
            return Ok(());
        }
        let key = subscription_key(&live)?;
        let Some(current) = self.overlay.current(self.store, &key)? else { return Ok(()) };
        let done = || {
            let current: Option<Value> = json::parse(&current.body).ok();
            current.is_some_and(|current| current["status"] == change.to.code())
        };
        if !is_alive(Some(&current)) || change.supersedes && done() {
            return Ok(());
        }
        let codec = codec_of(live.base)?;
        let text = change.error.as_ref().map(|error| error.text.as_str());
        let bytes = codec.with_subscription_status(&current.body, change.to, text);
        let version = current.version.next();
        let bytes = self.stamp(&key, version, &Bytes::from(bytes), &mut Value::Null)?;
        if !is_counted(change.to) {
            self.uncount(live.base, live.key);
        }
        let entry = self.change(&key, version, Interaction::Update, &server_name(), bytes);
        self.push(entry, Vec::new(), None);
        self.group
            .records
            .push(Record::Error { subscription: live.key, error: change.error.clone() });
        self.effects.push(LiveEffect::Status(change));
        Ok(())
    }

    /// Which subscriptions this change is an event for.
    fn events(
        &mut self,
        key: &ResourceKey,
        interaction: Interaction,
        previous: Option<&Change>,
        current: Option<&Value>,
    ) -> Vec<SubscriptionKey> {
        let type_name = key.resource_type.as_str();
        if NEVER_A_FOCUS.contains(&type_name) {
            return Vec::new();
        }
        let Some(catalog) = self.catalogs.of(key.base) else { return Vec::new() };
        let needs_previous = match catalog.interest(type_name, interaction) {
            Interest::None => return Vec::new(),
            Interest::Current => false,
            Interest::CurrentAndPrevious | Interest::Previous => true,
        };
        let previous = previous
            .filter(|_| needs_previous)
            .and_then(|previous| json::parse(&previous.body).ok());
        let change = ResourceChange {
            resource_type: type_name,
            id: key.id.as_str(),
            interaction,
            at: self.now,
            previous: previous.as_ref(),
            current,
        };
        self.evaluate(key.base, &change, |catalog, lookup| evaluate(&change, catalog, lookup))
    }

    /// Evaluates, looking up what is missing a bounded number of times. What is looked up is as
    /// `change` leaves it.
    fn evaluate(
        &mut self,
        base: Base,
        change: &ResourceChange<'_>,
        ask: impl Fn(&Catalog, &Lookup<'_>) -> Evaluation,
    ) -> Vec<SubscriptionKey> {
        let (begun, mut span) = (Instant::now(), self.shared.span(self.commit, "evaluate"));
        let found = self.evaluate_in_rounds(base, change, ask);
        let counters = &self.shared.counters;
        counters.evaluation_time.observe(begun.elapsed());
        counters.matches.add(found.len() as u64);
        if let Some(span) = &mut span {
            span.set("resource.type", change.resource_type.to_owned());
            span.set("matches", found.len() as u64);
        }
        found
    }

    fn evaluate_in_rounds(
        &mut self,
        base: Base,
        change: &ResourceChange<'_>,
        ask: impl Fn(&Catalog, &Lookup<'_>) -> Evaluation,
    ) -> Vec<SubscriptionKey> {
        let mut looked_up: Vec<(Need, Found)> = Vec::new();
        for round in 0..=LOOKUP_ROUNDS_MAX {
            let Some(catalog) = self.catalogs.of(base) else { break };
            let mut lookup = catalog.lookup();
            for (need, found) in &looked_up {
                match found {
                    Ok(found) => lookup.insert(need.clone(), found.iter().map(AsRef::as_ref)),
                    Err(reason) => lookup.insert_unavailable(need.clone(), reason),
                }
            }
            if round == LOOKUP_ROUNDS_MAX {
                lookup.close("it needs too many other resources, one after the other");
            }
            let evaluation = ask(catalog, &lookup);
            drop(lookup);
            if evaluation.missing.is_empty() {
                for problem in evaluation.problems {
                    self.report(base, problem);
                }
                return evaluation.matches.into_iter().map(|one| one.subscription).collect();
            }
            for need in evaluation.missing {
                let found = self.look_up(base, &need, change);
                looked_up.push((need, found));
            }
        }
        Vec::new()
    }

    fn report(&mut self, base: Base, problem: cresset_engine::Problem) {
        self.shared.counters.evaluation_problems.add(1);
        self.effects.push(match problem.subscription {
            Some(key) => LiveEffect::Problem(key, problem.text),
            None => LiveEffect::TriggerProblem(base, problem.topic, problem.text),
        });
    }

    /// Sets id and meta, in the bytes and in the parsed value.
    fn stamp(
        &self,
        key: &ResourceKey,
        version: VersionId,
        bytes: &Bytes,
        value: &mut Value,
    ) -> Result<Bytes, Error> {
        let stamp = json::Stamp { id: key.id.as_str(), version, last_updated: self.now };
        let bytes =
            json::stamp(bytes, &stamp).map_err(|issues| Error::new(Kind::Malformed, issues))?;
        stamp_value(value, key.id.as_str(), version, self.now);
        Ok(Bytes::from(bytes))
    }

    fn change(
        &self,
        key: &ResourceKey,
        version: VersionId,
        interaction: Interaction,
        author: &ClientName,
        body: Bytes,
    ) -> Change {
        Change {
            position: self.next_position(),
            key: key.clone(),
            version,
            interaction,
            at: self.now,
            author: author.clone(),
            body,
            trace: self.trace,
        }
    }

    fn push(
        &mut self,
        change: Change,
        events: Vec<SubscriptionKey>,
        subscription: Option<SubscriptionLife>,
    ) -> Arc<Change> {
        let change = Arc::new(change);
        self.overlay.set(change.clone());
        self.changes.push(Kept { change: change.clone(), rows: None });
        self.events += events.len();
        let entry = Entry { change: Change::clone(&change), events, subscription };
        self.group.entries.push(entry);
        change
    }

    fn next_position(&self) -> Position {
        let offset = u64::try_from(self.group.entries.len()).unwrap_or(u64::MAX);
        Position::new(self.first.get() + offset).unwrap_or(self.first)
    }

    /// The subscription that exists under this key at this point of the group.
    fn subscription_at(&self, key: &ResourceKey) -> Option<Arc<LiveSubscription>> {
        if key.resource_type.as_str() != "Subscription" {
            return None;
        }
        let begun = self.begun.get(&(key.base, key.id.clone())).cloned();
        let found = begun.or_else(|| self.live.find(key.base, &key.id))?;
        let ended = self
            .effects
            .iter()
            .any(|effect| matches!(effect, LiveEffect::End(key) if *key == found.key));
        (!ended).then_some(found)
    }

    /// Whether the client changes the subscription in this very group.
    fn was_touched(&self, live: &LiveSubscription) -> bool {
        self.effects.iter().any(|effect| match effect {
            LiveEffect::End(key) | LiveEffect::Settings(key, ..) => *key == live.key,
            LiveEffect::Begin(_)
            | LiveEffect::Bound(_)
            | LiveEffect::Missed(..)
            | LiveEffect::Problem(..)
            | LiveEffect::Status(_)
            | LiveEffect::Topics(_)
            | LiveEffect::TriggerProblem(..) => false,
        })
    }
}

/// Refuses what the caller made conditional and the current version does not meet.
fn check_precondition(intent: &Intent, current: Option<&Change>) -> Result<(), Error> {
    let alive = current.filter(|current| is_alive(Some(current)));
    match intent.precondition {
        Precondition::Fresh | Precondition::None => Ok(()),
        Precondition::Absent if alive.is_none() => Ok(()),
        Precondition::Absent => {
            let text = format!("{} exists already", intent.key);
            Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text))
        }
        Precondition::Present if alive.is_some() => Ok(()),
        Precondition::Present => {
            let text = format!("{} does not exist", intent.key);
            Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text))
        }
        Precondition::Unchanged(known) if alive.is_some_and(|alive| alive.version == known) => {
            Ok(())
        }
        Precondition::Unchanged(_) => Err(stale()),
        Precondition::Version(asked) => match alive {
            Some(alive) if alive.version == asked => Ok(()),
            Some(alive) => {
                let text = format!("{} has version {}, not {asked}", intent.key, alive.version);
                Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text))
            }
            None => {
                let text = format!("{} does not exist", intent.key);
                Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text))
            }
        },
    }
}

/// Whether there is a version and it is not a delete.
pub(crate) fn is_alive(current: Option<&Change>) -> bool {
    current.is_some_and(|current| current.interaction != Interaction::Delete)
}

/// Whether events are found and counted for a subscription with this status (RQ-ER-01, RQ-ER-11).
pub(crate) fn is_counted(status: SubscriptionStatus) -> bool {
    match status {
        SubscriptionStatus::Active | SubscriptionStatus::Error | SubscriptionStatus::Requested => {
            true
        }
        SubscriptionStatus::EnteredInError | SubscriptionStatus::Off => false,
    }
}

/// The key of the Subscription resource behind a live subscription.
pub(crate) fn subscription_key(live: &LiveSubscription) -> Result<ResourceKey, Error> {
    let resource_type = ResourceType::new("Subscription").map_err(Error::internal)?;
    Ok(ResourceKey { base: live.base, resource_type, id: live.id.clone() })
}

/// The codec of a base.
pub(crate) fn codec_of(base: Base) -> Result<&'static Codec, Error> {
    let version = version_of(base).ok_or_else(|| Error::internal("a base without a version"))?;
    Ok(Codec::of(version))
}

/// The author of the server's own changes.
pub(crate) fn server_name() -> ClientName {
    ClientName::new("cresset").expect("a literal of the right form")
}

/// Sets id and meta of the parsed resource, so that criteria see what is stored.
fn stamp_value(value: &mut Value, id: &str, version: VersionId, at: Timestamp) {
    let Some(resource) = value.as_object_mut() else { return };
    resource.insert("id".to_owned(), Value::from(id));
    let meta = resource.entry("meta").or_insert_with(|| Value::Object(Map::new()));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("versionId".to_owned(), Value::from(version.to_string()));
        meta.insert("lastUpdated".to_owned(), Value::from(format!("{at:.3}")));
    }
}
