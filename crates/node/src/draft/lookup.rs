//! What an evaluation needs besides the change in hand, as it is at this point of the log.
//!
//! That is: as the store has it, with the changes of the open group before this one on top, and the
//! change in hand on top of those. Resources that are not named but sought (by canonical URL, or
//! because they refer to one) come from the search index, which is brought up to the last durable
//! change first. What cannot be told is said so, and never passed off as "there is none" (I9);
//! everything is bounded (I10). It runs in the writer, and costs only changes that somebody asks
//! such questions about. Tests: `tests/lookups.rs`.

use std::sync::Arc;

use cresset_engine::{CompiledSubscription, Need, ResourceChange};
use cresset_fhir::json;
use cresset_model::{Base, Change, Interaction, Issue, IssueCode, ResourceKey, ResourceType};
use cresset_search::{
    Criterion, Parameter, Parameters, Reference, Referring, ResourceValues, Scope,
};
use cresset_search::{SearchValue, Target, escape};
use cresset_store::{Query, SEARCH_PAGE_MAX};
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;
use smol_str::{SmolStr, format_smolstr};

use super::{Draft, is_alive};
use crate::bases::version_of;
use crate::config::SearchIndex;
use crate::indexer::{self, is_searchable};
use crate::shared::Shared;
use crate::{reference, rows};

/// Resources that one need may find (I10).
const FOUND_MAX: usize = 1_000;
/// Calls of the index for one need (I10).
const PAGES_MAX: usize = 16;
/// Batches that the index is brought forward by before a need counts as unavailable (I10).
const INDEX_STEPS_MAX: usize = 16;

/// What was found for a need, or why that cannot be told.
pub(crate) type Found = Result<Vec<Arc<Value>>, &'static str>;

const STORE: &str = "the store could not be read";
const UNREADABLE: &str = "a resource that it depends on could not be read";
const NOT_INDEXED: &str = "the search index does not hold the parameter that it needs";
const BEHIND: &str = "the search index is too far behind";
const TOO_MANY: &str = "more resources than can be looked at may decide it";
const BUG: &str = "the search for what it needs could not be made";

/// No change at all.
pub(super) const NOTHING: ResourceChange<'_> = ResourceChange {
    resource_type: "",
    id: "",
    interaction: Interaction::Update,
    at: Timestamp::UNIX_EPOCH,
    previous: None,
    current: None,
};

/// Refuses what depends on resources that the index does not find.
pub(crate) fn check_indexed(
    index: &SearchIndex,
    searches: impl Iterator<Item = (&'static str, &'static str)>,
) -> Result<(), Issue> {
    for (resource_type, code) in searches {
        if !is_searchable(index, resource_type, code) {
            let text = format!(
                "`{resource_type}.{code}` would have to be searched, and is not among the search \
                 parameters that this server indexes (`search.index` of its configuration)"
            );
            return Err(Issue::error(IssueCode::UnsupportedSearch, text));
        }
    }
    Ok(())
}

/// The newest changes of the open group, by a value of one parameter.
#[derive(Default)]
pub(super) struct GroupIndex {
    /// How many changes of the group are in it.
    seen: usize,
    by_value: FxHashMap<SmolStr, Vec<ResourceKey>>,
    /// Those whose values cannot be read: they may have any.
    unreadable: Vec<ResourceKey>,
}

/// The indexes of the open group, by type and parameter.
pub(super) type GroupIndexes = FxHashMap<(Base, &'static str, &'static str), GroupIndex>;

/// Resources of a type by a value of one of its parameters.
struct Sought<'s> {
    base: Base,
    resource_type: &'static str,
    parameter: &'static Parameter,
    /// The value as [`values_of`] writes it.
    value: &'s str,
    /// What else narrows the search of the index down.
    narrower: Option<&'s Criterion>,
}

impl<'s> Sought<'s> {
    fn canonical(
        base: Base,
        resource_type: &'static str,
        url: &'s str,
    ) -> Result<Self, &'static str> {
        let parameter = version_of(base)
            .and_then(|version| Parameters::of(version).get(resource_type, "url"))
            .ok_or(BUG)?;
        Ok(Self { base, resource_type, parameter, value: url, narrower: None })
    }

    /// More may come out; whoever asked looks at each.
    fn referring(base: Base, referring: &'s Referring) -> Self {
        Self {
            base,
            resource_type: referring.resource_type(),
            parameter: referring.parameter(),
            value: referring.target(),
            narrower: Some(referring.criterion()),
        }
    }
}

impl Draft<'_> {
    /// Refuses a subscription whose filters ask what this server could never answer: by parameters
    /// that are not indexed, or about sets that are not here (RQ-FL-11).
    pub(super) fn check_answerable(
        &mut self,
        base: Base,
        subscription: &CompiledSubscription,
    ) -> Result<(), Issue> {
        check_indexed(&self.shared.config.search.index, subscription.searches())
            .map_err(|issue| issue.at("Subscription.filterBy"))?;
        for set in subscription.sets() {
            let text = match self.look_up(base, &set.need(), &NOTHING) {
                Ok(found) if found.iter().any(|one| set.is(one)) => continue,
                Ok(_) => {
                    "a filter asks about a ValueSet, CodeSystem, Group, List, CareTeam or what has \
                     parts, that is not on this server"
                }
                Err(reason) => reason,
            };
            let issue = Issue::error(IssueCode::UnsupportedSearch, text);
            return Err(issue.at("Subscription.filterBy"));
        }
        Ok(())
    }

    /// Looks up what an evaluation of a change needs.
    pub(super) fn look_up(
        &mut self,
        base: Base,
        need: &Need,
        change: &ResourceChange<'_>,
    ) -> Found {
        match need {
            Need::Canonical { resource_type, url } => {
                let mut found = self.seek(&Sought::canonical(base, resource_type, url)?, change)?;
                found.retain(|one| has_url(one, url));
                Ok(found)
            }
            Need::Referring(referring) => self.seek(&Sought::referring(base, referring), change),
            Need::Resource(reference) => match local_key(self.shared, base, reference) {
                Some(key) => Ok(self.resource(&key, change)?.into_iter().collect()),
                // Nothing of this base: not here, whoever may have it.
                None => Ok(Vec::new()),
            },
        }
    }

    /// A resource as it is after the change.
    fn resource(
        &mut self,
        key: &ResourceKey,
        change: &ResourceChange<'_>,
    ) -> Result<Option<Arc<Value>>, &'static str> {
        if is_of(change, key) {
            let is_deleted = change.interaction == Interaction::Delete;
            return Ok(change.current.filter(|_| !is_deleted).map(|value| Arc::new(value.clone())));
        }
        let current = self.overlay.current(self.store, key).map_err(|_| STORE)?;
        let Some(current) = current.filter(|current| is_alive(Some(current))) else {
            return Ok(None);
        };
        // What is not durable yet may not come to be, and another change take its position.
        let parsed = if current.position < self.first {
            self.shared.parsed.get(&current)
        } else {
            json::parse(&current.body).ok().map(Arc::new)
        };
        parsed.map(Some).ok_or(UNREADABLE)
    }

    fn seek(&mut self, sought: &Sought<'_>, change: &ResourceChange<'_>) -> Found {
        self.catch_up()?;
        let mut keys = indexed(self.shared, sought)?;
        keys.extend(self.in_group(sought));
        if change.resource_type == sought.resource_type {
            let own =
                reference::key_of(sought.base, &format!("{}/{}", change.resource_type, change.id));
            keys.extend(own);
        }
        let mut seen = FxHashSet::default();
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            if seen.insert(key.clone()) {
                found.extend(self.resource(&key, change)?);
            }
        }
        Ok(found)
    }

    /// Brings the index up to the last durable change.
    fn catch_up(&self) -> Result<(), &'static str> {
        for _ in 0..INDEX_STEPS_MAX {
            let position = self.store.index_position().map_err(|_| STORE)?;
            if position.map_or(0, |position| position.get()) + 1 >= self.first.get() {
                return Ok(());
            }
            indexer::contained(|| indexer::step(self.shared)).ok_or(STORE)?;
        }
        Err(BEHIND)
    }

    /// Resources that the open group made such a value of; they may have another one by now.
    fn in_group(&mut self, sought: &Sought<'_>) -> Vec<ResourceKey> {
        let key = (sought.base, sought.resource_type, sought.parameter.code());
        let mut index = self.group_indexes.remove(&key).unwrap_or_default();
        for kept in &self.changes[index.seen..] {
            let change = &kept.change;
            let is_sought = change.key.base == sought.base
                && change.key.resource_type.as_str() == sought.resource_type;
            if !is_sought || !is_alive(Some(change)) {
                continue;
            }
            match self.values_of(change, sought.parameter) {
                Some(values) => values.into_iter().for_each(|value| {
                    index.by_value.entry(value).or_default().push(change.key.clone());
                }),
                None => index.unreadable.push(change.key.clone()),
            }
        }
        index.seen = self.changes.len();
        let found = index.by_value.get(sought.value).into_iter().flatten();
        let found = found.chain(&index.unreadable).cloned().collect();
        self.group_indexes.insert(key, index);
        found
    }

    /// The references as `Type/id` and the URIs that a parameter finds; `None` if that cannot be
    /// told.
    fn values_of(&self, change: &Change, parameter: &'static Parameter) -> Option<Vec<SmolStr>> {
        let version = version_of(change.key.base)?;
        let base_url = self.shared.base_url(version);
        let scope = Scope { parameters: Parameters::of(version), base_url: &base_url };
        let value = json::parse(&change.body).ok()?;
        let values = ResourceValues::new(scope, change.key.resource_type.as_str(), &value);
        let found = values.of(parameter).ok()?.iter();
        let texts = found.filter_map(|value| match value {
            SearchValue::Reference(Reference {
                target: Target::Local { resource_type, id, .. },
                ..
            }) => Some(format_smolstr!("{resource_type}/{id}")),
            SearchValue::Uri(uri) => Some(SmolStr::new(uri.url)),
            SearchValue::Composite(_)
            | SearchValue::Date(_)
            | SearchValue::Number(_)
            | SearchValue::Quantity(_)
            | SearchValue::Reference(_)
            | SearchValue::String(_)
            | SearchValue::Token(_) => None,
        });
        Some(texts.collect())
    }
}

/// Whether this is the resource that changes.
fn is_of(change: &ResourceChange<'_>, key: &ResourceKey) -> bool {
    change.resource_type == key.resource_type.as_str() && change.id == key.id.as_str()
}

/// What the index finds, as far as it is.
fn indexed(shared: &Shared, sought: &Sought<'_>) -> Result<Vec<ResourceKey>, &'static str> {
    let Sought { base, resource_type, parameter, value, narrower } = *sought;
    let index = &shared.config.search.index;
    if !is_searchable(index, resource_type, parameter.code()) {
        return Err(NOT_INDEXED);
    }
    let version = version_of(base).ok_or(BUG)?;
    let base_url = shared.base_url(version);
    let scope = Scope { parameters: Parameters::of(version), base_url: &base_url };
    let criterion =
        Criterion::new(&scope, resource_type, parameter.code(), None, None, &escape(value));
    let criterion = criterion.map_err(|_| BUG)?;
    let narrower = narrower.filter(|one| {
        !one.needs_others() && is_searchable(index, resource_type, one.parameter().code())
    });
    let clauses = [Some(&criterion), narrower];
    let mut query = Query {
        base,
        resource_type: ResourceType::new(resource_type).map_err(|_| BUG)?,
        clauses: clauses.into_iter().flatten().filter_map(rows::clause).collect(),
        after: None,
        limit: SEARCH_PAGE_MAX,
        total: false,
    };
    let mut keys = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = shared.store.search(&query).map_err(|_| STORE)?;
        keys.extend(page.found.into_iter().map(|found| found.key));
        if keys.len() > FOUND_MAX {
            return Err(TOO_MANY);
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(keys);
        }
    }
    Err(TOO_MANY)
}

/// Looks up what an explanation needs: as the store and the index have it now.
pub(crate) fn look_up_stored(shared: &Shared, base: Base, need: &Need) -> Found {
    let (keys, url) = match need {
        Need::Canonical { resource_type, url } => {
            (indexed(shared, &Sought::canonical(base, resource_type, url)?)?, Some(url))
        }
        Need::Referring(referring) => (indexed(shared, &Sought::referring(base, referring))?, None),
        Need::Resource(reference) => {
            (local_key(shared, base, reference).into_iter().collect(), None)
        }
    };
    let current = shared.store.current(&keys).map_err(|_| STORE)?;
    let alive = current.into_iter().flatten().filter(|change| is_alive(Some(change)));
    let found = alive.map(|change| shared.parsed.get(&change).ok_or(UNREADABLE));
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.retain(|one| url.is_none_or(|url| has_url(one, url)));
    Ok(found)
}

/// The resource of this base that a reference names.
fn local_key(shared: &Shared, base: Base, reference: &str) -> Option<ResourceKey> {
    let base_url = version_of(base).map(|version| shared.base_url(version));
    let relative = base_url
        .as_deref()
        .and_then(|url| reference.strip_prefix(url).and_then(|rest| rest.strip_prefix('/')));
    reference::key_of(base, relative.unwrap_or(reference))
}

fn has_url(resource: &Value, url: &str) -> bool {
    resource.get("url").and_then(Value::as_str) == Some(url)
}
