//! What goes with the focus of an event: the includes of the topic's notificationShape.
//!
//! An event is told as it was: includes are the versions that were current when the event happened,
//! at the end of the group that it was written in, so a transaction's resources see one another.
//! A retry, a frame and `$events` therefore show the same (RQ-ER-15). What refers to the focus is
//! found through the search index: what does now and did then.
//!
//! Subscribers must do without includes anyway (RQ-TP-60), so whatever keeps one from being found
//! leaves it out, and never keeps the event from being sent. Tests: `tests/includes.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_engine::{CompiledTopic, Include, Iterate, RevInclude, Shape};
use cresset_fhir::json;
use cresset_model::{
    Base, Change, Coding, Interaction, NotificationResource, PayloadContent, RelatedQuery,
    ResourceId, ResourceKey, ResourceType,
};
use cresset_search::{Criterion, Lookup, Parameters, ResourceValues, Scope, SearchValue, Target};
use cresset_store::{self as store, Page, Query, Store};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use crate::caller::Right;
use crate::catalogs::NEVER_A_FOCUS;
use crate::config::SearchIndex;
use crate::draft::is_alive;
use crate::indexer::is_searchable;
use crate::live::LiveSubscription;
use crate::occurrence::Subject;
use crate::rows;
use crate::search::wait_for_index;
use crate::shared::Shared;
use crate::versions;

/// Longest wait for the index: less than what an attempt has beyond its timeout, so that an index
/// that stays behind costs includes and no delivery.
const INDEX_WAIT_MAX: Duration = Duration::from_secs(2);
/// References looked at for one event, whether there is a resource behind them or not (I10).
const REFERENCES_MAX: usize = 1_000;
/// Calls of the index for one reverse include; each looks at a bounded number of documents.
const ROUNDS_MAX: usize = 8;

/// What may go with the events of one notification.
pub(crate) struct Includes {
    /// The topic, if it has shapes and anything may be told (RQ-TP-61).
    topic: Option<Arc<CompiledTopic>>,
    version: FhirVersion,
    base: Base,
    base_url: String,
    /// The subscriber may read resources (RQ-SS-12).
    may_read: bool,
    /// The index has seen what the events are about.
    index: Option<SearchIndex>,
    count_max: usize,
}

/// What goes with one event.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) context: Vec<NotificationResource>,
    pub(crate) related_queries: Vec<RelatedQuery>,
    /// What kinds of event it is of.
    pub(crate) codes: Vec<Coding>,
    /// There would have been more.
    pub(crate) left_out: bool,
}

/// Whether an index holds what a reverse include asks for.
pub(crate) fn is_indexed(index: &SearchIndex, include: &RevInclude) -> bool {
    is_searchable(index, include.resource_type, include.parameter.code())
}

/// Whether a topic has reverse includes that the index can answer.
fn searches(topic: &CompiledTopic, index: &SearchIndex) -> bool {
    let mut includes = topic.shapes().flat_map(|shape| &shape.rev_includes);
    includes.any(|include| is_indexed(index, include))
}

impl Includes {
    /// What may go with the events of a subscription.
    pub(crate) async fn of(
        shared: &Arc<Shared>,
        live: &LiveSubscription,
        version: FhirVersion,
        content: PayloadContent,
    ) -> Self {
        let tells = match content {
            PayloadContent::Empty => false,
            PayloadContent::FullResource | PayloadContent::IdOnly => true,
        };
        let name = live.state().settings.topic.clone();
        let topic = shared.shaped_topic(live.base, &name).filter(|_| tells);
        let may_read = tells && shared.rights.has(&live.owner, Right::Read);
        let index = &shared.config.search.index;
        let searches = topic.as_ref().is_some_and(|topic| may_read && searches(topic, index));
        let index = match searches {
            true => {
                let wait_max = shared.config.search.wait_max.min(INDEX_WAIT_MAX);
                wait_for_index(shared, wait_max).await.ok().map(|()| index.clone())
            }
            false => Some(SearchIndex::None),
        };
        Self {
            topic,
            version,
            base: live.base,
            base_url: shared.base_url(version),
            may_read,
            index,
            count_max: shared.config.subscriptions.includes_per_event_max,
        }
    }

    /// Whether only what the reporter of an event named goes with it.
    pub(crate) fn is_empty(&self) -> bool {
        self.topic.is_none()
    }

    fn scope(&self) -> Scope<'_> {
        Scope { parameters: Parameters::of(self.version), base_url: &self.base_url }
    }
}

/// Finds what goes with events, one after the other.
pub(crate) struct Gatherer<'g> {
    store: &'g dyn Store,
    content: PayloadContent,
    /// Versions that were current at a time: events of one notification share what goes with them.
    known: FxHashMap<(ResourceKey, Timestamp), Option<Arc<Change>>>,
}

/// An event's focus, as what goes with it is found from it.
pub(crate) struct Focus<'f> {
    pub(crate) key: &'f ResourceKey,
    /// The resource; before a delete, what was deleted.
    pub(crate) body: &'f [u8],
    /// When the event happened.
    pub(crate) at: Timestamp,
}

impl<'g> Gatherer<'g> {
    pub(crate) fn new(store: &'g dyn Store, content: PayloadContent) -> Self {
        Self { store, content, known: FxHashMap::default() }
    }

    /// What goes with an event: what its reporter named first, then the includes of the shape.
    ///
    /// # Errors
    /// The log cannot be read. That the index cannot is none.
    pub(crate) fn gather(
        &mut self,
        includes: &Includes,
        focus: &Focus<'_>,
        named: &[Subject],
    ) -> Result<Gathered, store::Error> {
        let mut gathered = Gathered::default();
        let topic = includes.topic.as_ref();
        let shape = topic.and_then(|topic| topic.shape(focus.key.resource_type.as_str()));
        if let Some(shape) = shape {
            gathered.related_queries.clone_from(&shape.related_queries);
            gathered.codes.clone_from(&shape.codes);
        }
        if !includes.may_read {
            return Ok(gathered);
        }
        let keys = vec![focus.key.clone()];
        let (room, looks) = (includes.count_max, REFERENCES_MAX);
        let mut list = List { room, looks, keys, added: Vec::new(), gathered };
        for subject in named {
            if let Some(change) = self.store.version(&subject.key, subject.version)? {
                self.add(&mut list, &Arc::new(change));
            }
        }
        if let Some(shape) = shape {
            self.included(includes, shape, focus, &mut list)?;
            self.referring(includes, shape, focus, &mut list)?;
            self.iterated(includes, shape, focus.at, &mut list)?;
        }
        Ok(list.gathered)
    }

    /// Adds what the focus refers to.
    fn included(
        &mut self,
        includes: &Includes,
        shape: &Shape,
        focus: &Focus<'_>,
        list: &mut List,
    ) -> Result<(), store::Error> {
        if shape.includes.is_empty() {
            return Ok(());
        }
        let Ok(value) = json::parse(focus.body) else { return Ok(()) };
        let resource_type = focus.key.resource_type.as_str();
        let values = ResourceValues::new(includes.scope(), resource_type, &value);
        for include in &shape.includes {
            self.follow(includes.base, &values, (include, focus.at), list)?;
        }
        Ok(())
    }

    /// Adds what the resources in the list refer to, and what these do, until there is nothing new.
    fn iterated(
        &mut self,
        includes: &Includes,
        shape: &Shape,
        at: Timestamp,
        list: &mut List,
    ) -> Result<(), store::Error> {
        let mut next = 0;
        while let Some(change) = list.added.get(next).cloned() {
            next += 1;
            let resource_type = change.key.resource_type.as_str();
            let is_from = |one: &&Iterate| one.resource_type == resource_type;
            let mut iterates = shape.iterates.iter().filter(is_from).peekable();
            if iterates.peek().is_none() {
                continue;
            }
            let Ok(value) = json::parse(&change.body) else { continue };
            let values = ResourceValues::new(includes.scope(), resource_type, &value);
            for iterate in iterates {
                self.follow(includes.base, &values, (&iterate.include, at), list)?;
            }
        }
        Ok(())
    }

    /// Adds what a resource refers to by one parameter.
    fn follow(
        &mut self,
        base: Base,
        values: &ResourceValues<'_>,
        (include, at): (&Include, Timestamp),
        list: &mut List,
    ) -> Result<(), store::Error> {
        // A reference that cannot be read cannot be followed.
        for value in values.of(include.parameter).unwrap_or_default() {
            let SearchValue::Reference(reference) = value else { continue };
            let Target::Local { resource_type, id, .. } = reference.target else { continue };
            if include.target.is_some_and(|target| target != resource_type) {
                continue;
            }
            let Some(key) = key_of(base, resource_type, id) else { continue };
            if list.keys.contains(&key) {
                continue;
            }
            // Each look costs reads, and there may be more references than anybody wants to follow.
            if list.room == 0 || list.looks == 0 {
                list.gathered.left_out = true;
                return Ok(());
            }
            list.looks -= 1;
            if let Some(change) = self.as_of(&key, at)? {
                self.add(list, &change);
            }
        }
        Ok(())
    }

    /// Adds what refers to the focus, ordered by id.
    fn referring(
        &mut self,
        includes: &Includes,
        shape: &Shape,
        focus: &Focus<'_>,
        list: &mut List,
    ) -> Result<(), store::Error> {
        for include in &shape.rev_includes {
            let Some(index) = &includes.index else {
                list.gathered.left_out = true;
                return Ok(());
            };
            if is_indexed(index, include) {
                let mut found = self.found(includes, include, focus, list)?;
                found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                found.iter().for_each(|change| self.add(list, change));
            }
        }
        Ok(())
    }

    /// The resources that one reverse include finds, up to one more than there is room for.
    fn found(
        &mut self,
        includes: &Includes,
        include: &RevInclude,
        focus: &Focus<'_>,
        list: &mut List,
    ) -> Result<Vec<Arc<Change>>, store::Error> {
        let scope = includes.scope();
        let (resource_type, code) = (include.resource_type, include.parameter.code());
        let reference = focus.key.to_string();
        let criterion = Criterion::new(&scope, resource_type, code, None, None, &reference).ok();
        let clause = criterion.as_ref().and_then(rows::clause);
        let (Some(criterion), Some(clause)) = (criterion, clause) else { return Ok(Vec::new()) };
        let Ok(resource_type) = ResourceType::new(resource_type) else { return Ok(Vec::new()) };
        let mut query = Query {
            base: includes.base,
            resource_type,
            clauses: vec![clause],
            after: None,
            limit: list.room + 1,
            total: false,
        };
        let mut changes = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let Page { found, next, .. } = match self.store.search(&query) {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "the search index was not read for an include");
                    list.gathered.left_out = true;
                    return Ok(changes);
                }
            };
            for one in found {
                let change = self.as_of(&one.key, focus.at)?;
                changes.extend(change.filter(|change| refers(&scope, &criterion, change)));
            }
            if next.is_none() || changes.len() > list.room {
                return Ok(changes);
            }
            query.after = next;
        }
        list.gathered.left_out = true;
        Ok(changes)
    }

    /// The version of a resource that was current at a time, unless it was deleted or not there.
    fn as_of(
        &mut self,
        key: &ResourceKey,
        at: Timestamp,
    ) -> Result<Option<Arc<Change>>, store::Error> {
        let known = (key.clone(), at);
        if let Some(found) = self.known.get(&known) {
            return Ok(found.clone());
        }
        let newest = self.store.current(std::slice::from_ref(key))?.pop().flatten();
        let is_then = |change: &Change| change.at <= at;
        let found = newest.map(|newest| versions::last_that(self.store, newest, is_then));
        let found = found.transpose()?.and_then(|(found, _)| found);
        let found = found.filter(|found| is_alive(Some(found))).map(Arc::new);
        self.known.insert(known, found.clone());
        Ok(found)
    }

    /// Adds a resource, unless it is there already or may never be told.
    fn add(&self, list: &mut List, change: &Arc<Change>) {
        let resource_type = change.key.resource_type.as_str();
        if list.keys.contains(&change.key) || NEVER_A_FOCUS.contains(&resource_type) {
            return;
        }
        if list.room == 0 {
            list.gathered.left_out = true;
            return;
        }
        list.room -= 1;
        list.keys.push(change.key.clone());
        list.added.push(change.clone());
        list.gathered.context.push(resource(change, None, self.content));
    }
}

/// What goes with an event, while it is gathered.
struct List {
    /// How many more there may be.
    room: usize,
    /// How many more references may be looked at.
    looks: usize,
    /// The focus and what is in the list.
    keys: Vec<ResourceKey>,
    /// What is in the list without the focus, as it was.
    added: Vec<Arc<Change>>,
    gathered: Gathered,
}

/// A version of a resource as notifications tell it.
pub(crate) fn resource(
    change: &Change,
    interaction: Option<Interaction>,
    content: PayloadContent,
) -> NotificationResource {
    let wanted =
        content == PayloadContent::FullResource && change.interaction != Interaction::Delete;
    NotificationResource {
        resource_type: change.key.resource_type.clone(),
        id: change.key.id.clone(),
        version: change.version,
        interaction,
        body: wanted.then(|| Bytes::clone(&change.body)),
    }
}

fn key_of(base: Base, resource_type: &str, id: &str) -> Option<ResourceKey> {
    let resource_type = ResourceType::new(resource_type).ok()?;
    Some(ResourceKey { base, resource_type, id: ResourceId::new(id).ok()? })
}

/// Whether a version refers to the focus.
fn refers(scope: &Scope<'_>, criterion: &Criterion, change: &Change) -> bool {
    let Ok(value) = json::parse(&change.body) else { return false };
    let values = ResourceValues::new(*scope, change.key.resource_type.as_str(), &value);
    criterion.matches(&values, &Lookup::new(*scope)).unwrap_or(false)
}
