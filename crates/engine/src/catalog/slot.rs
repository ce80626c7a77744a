//! A topic's place in the catalog: the subscriptions to it, and the index that finds them.
//!
//! A subscription is found by the most selective equality of its filters: under the parameter's
//! URL and the value's key it stands in a small set. One without such a filter stands in the
//! residual list of the types it is for. Whoever finds a candidate asks it: the index never decides.
//!
//! A slot outlives its topic while there are subscriptions, so that they are found when the topic
//! comes back; without a topic nothing fires. Tests: `catalog/tests.rs`.

use std::cmp::Reverse;
use std::sync::Arc;

use cresset_definitions::SearchKind;
use cresset_model::SubscriptionKey;
use cresset_search::{Criterion, IndexKey, Parameter, Problem, ResourceValues};
use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, OrdMap};
use rustc_hash::FxBuildHasher;
use smol_str::SmolStr;

use crate::focus::TypeSet;
use crate::subscription::{CompiledSubscription, Entry, Group};
use crate::topic::CompiledTopic;

/// A persistent hash map with a fixed hasher.
pub(super) type Map<K, V> = GenericHashMap<K, V, FxBuildHasher, DefaultSharedPtr>;

type Entries = OrdMap<SubscriptionKey, Arc<Entry>>;

/// The subscriptions under one key.
#[derive(Debug, Clone)]
enum Bucket {
    Many(Arc<Entries>),
    One(Arc<Entry>),
}

impl Bucket {
    fn len(&self) -> usize {
        match self {
            Self::Many(entries) => entries.len(),
            Self::One(_) => 1,
        }
    }

    fn insert(&mut self, entry: &Arc<Entry>) {
        match self {
            Self::One(one) if one.key == entry.key => *one = Arc::clone(entry),
            Self::One(one) => {
                let entries = [Arc::clone(one), Arc::clone(entry)];
                let entries = entries.into_iter().map(|entry| (entry.key, entry)).collect();
                *self = Self::Many(Arc::new(entries));
            }
            Self::Many(entries) => {
                Arc::make_mut(entries).insert(entry.key, Arc::clone(entry));
            }
        }
    }

    /// Takes a subscription out; whether that leaves none.
    fn remove(&mut self, key: SubscriptionKey) -> bool {
        match self {
            Self::One(one) => one.key == key,
            Self::Many(entries) => {
                Arc::make_mut(entries).remove(&key);
                if entries.len() == 1
                    && let Some((_, last)) = entries.get_min()
                {
                    *self = Self::One(Arc::clone(last));
                    return false;
                }
                entries.is_empty()
            }
        }
    }

    fn extend<'b>(&'b self, candidates: &mut Vec<&'b Entry>) {
        match self {
            Self::Many(entries) => candidates.extend(entries.values().map(|entry| &**entry)),
            Self::One(one) => candidates.push(one),
        }
    }
}

/// The subscriptions that are found by values of one search parameter.
#[derive(Debug, Clone)]
struct Keyed {
    /// The parameter's URL: one that several types share is one index.
    url: &'static str,
    /// The parameter of each type that has groups in it.
    parameters: Vec<(&'static str, &'static Parameter)>,
    buckets: Map<IndexKey, Bucket>,
}

/// A topic's place in the catalog.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The topic's URL; stays when the topic goes.
    pub(super) url: SmolStr,
    pub(crate) topic: Option<Arc<CompiledTopic>>,
    keyed: Vec<Keyed>,
    residual: OrdMap<TypeSet, Entries>,
    /// How many subscriptions it has.
    len: usize,
}

impl Slot {
    pub(super) fn new(url: SmolStr) -> Self {
        Self { url, topic: None, keyed: Vec::new(), residual: OrdMap::new(), len: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many subscriptions no index finds.
    pub(super) fn residual_len(&self) -> usize {
        self.residual.values().map(OrdMap::len).sum()
    }

    /// Adds a subscription that is not in it, each group where it is found best.
    pub(super) fn insert(
        &mut self,
        key: SubscriptionKey,
        subscription: CompiledSubscription,
    ) -> Arc<Entry> {
        let slot = subscription.slot;
        let mut groups = subscription.groups;
        for group in &mut groups {
            group.indexed_by = self.best_criterion(&group.criteria);
        }
        let entry = Arc::new(Entry { key, slot, groups });
        for group in &entry.groups {
            self.insert_group(group, &entry);
        }
        self.len += 1;
        entry
    }

    fn insert_group(&mut self, group: &Group, entry: &Arc<Entry>) {
        let Some((parameter, keys)) = group.placement() else {
            let entries = self.residual.entry(group.types.clone()).or_default();
            entries.insert(entry.key, Arc::clone(entry));
            return;
        };
        let url = parameter.url();
        let index = self.keyed.iter().position(|keyed| keyed.url == url).unwrap_or_else(|| {
            let buckets = Map::with_hasher(FxBuildHasher);
            self.keyed.push(Keyed { url, parameters: Vec::new(), buckets });
            self.keyed.len() - 1
        });
        let Keyed { parameters, buckets, .. } = &mut self.keyed[index];
        for one in group.types.as_slice() {
            if !parameters.iter().any(|(known, _)| known == one) {
                parameters.push((one, parameter));
            }
        }
        for key in keys {
            match buckets.get_mut(&key) {
                Some(bucket) => bucket.insert(entry),
                None => {
                    buckets.insert(key, Bucket::One(Arc::clone(entry)));
                }
            }
        }
    }

    /// Takes out a subscription that is in it.
    pub(super) fn remove(&mut self, entry: &Entry) {
        for group in &entry.groups {
            match group.placement() {
                None => {
                    if let Some(entries) = self.residual.get_mut(&group.types) {
                        entries.remove(&entry.key);
                        if entries.is_empty() {
                            self.residual.remove(&group.types);
                        }
                    }
                }
                Some((parameter, keys)) => {
                    let url = parameter.url();
                    if let Some(keyed) = self.keyed.iter_mut().find(|keyed| keyed.url == url) {
                        for key in &keys {
                            let emptied = keyed
                                .buckets
                                .get_mut(key)
                                .is_some_and(|bucket| bucket.remove(entry.key));
                            if emptied {
                                keyed.buckets.remove(key);
                            }
                        }
                    }
                }
            }
        }
        self.keyed.retain(|keyed| !keyed.buckets.is_empty());
        self.len -= 1;
    }

    /// The criterion that the fewest resources are likely to meet; none if none asks for equality.
    fn best_criterion(&self, criteria: &[Criterion]) -> Option<u8> {
        let score = |(index, criterion): (u8, &Criterion)| {
            let keys = criterion.index_keys()?;
            let parameter = criterion.parameter();
            let keyed = self.keyed.iter().find(|keyed| keyed.url == parameter.url());
            let distinct = keyed.map_or(0, |keyed| keyed.buckets.len());
            let others: usize = keyed.map_or(0, |keyed| {
                keys.iter().filter_map(|key| keyed.buckets.get(key)).map(Bucket::len).sum()
            });
            // A parameter that tells many subscriptions apart will tell resources apart too; a
            // value that many subscriptions share may be one that many resources share.
            let score =
                distinctness(parameter).saturating_mul(distinct + 1) / (others + keys.len());
            Some((score, Reverse(index)))
        };
        let best = (0..=u8::MAX).zip(criteria).filter_map(score).max();
        best.map(|(_, Reverse(index))| index)
    }

    /// The subscriptions that events about this resource may be for, some of them twice.
    ///
    /// A parameter whose values cannot be extracted hides the subscriptions that are found by it;
    /// each such problem is passed to `report` (I9).
    pub(crate) fn candidates<'s>(
        &'s self,
        values: &ResourceValues<'_>,
        candidates: &mut Vec<&'s Entry>,
        mut report: impl FnMut(Problem),
    ) {
        let resource_type = values.resource_type();
        for keyed in &self.keyed {
            let mut parameters = keyed.parameters.iter();
            let Some((_, parameter)) = parameters.find(|(one, _)| *one == resource_type) else {
                continue;
            };
            match values.index_keys(parameter) {
                Ok(keys) => {
                    for key in keys {
                        if let Some(bucket) = keyed.buckets.get(&key) {
                            bucket.extend(candidates);
                        }
                    }
                }
                Err(problem) => report(problem),
            }
        }
        for (types, entries) in &self.residual {
            if types.contains(resource_type) {
                candidates.extend(entries.values().map(|entry| &**entry));
            }
        }
    }

    /// All subscriptions, some of them twice, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = SubscriptionKey> + '_ {
        let keyed = self.keyed.iter().flat_map(|keyed| keyed.buckets.values());
        let mut candidates = Vec::new();
        for bucket in keyed {
            bucket.extend(&mut candidates);
        }
        let residual = self.residual.values().flat_map(OrdMap::keys).copied();
        candidates.into_iter().map(|entry| entry.key).chain(residual)
    }
}

/// How many different values a parameter is taken to have, before any subscription tells.
fn distinctness(parameter: &Parameter) -> usize {
    match (parameter.code(), parameter.kind()) {
        ("_id" | "identifier", _) | (_, SearchKind::Reference) => 1_000,
        (_, SearchKind::String | SearchKind::Uri) => 100,
        (
            _,
            SearchKind::Composite
            | SearchKind::Date
            | SearchKind::Number
            | SearchKind::Quantity
            | SearchKind::Special
            | SearchKind::Token,
        ) => 10,
    }
}
