//! The index that finds subscriptions by the values of a resource, those of all topics together.
//!
//! A subscription is found by the most selective equality of its filters: under the parameter's
//! URL and the value's key it stands in a small set. One without such a filter is found by where a
//! range of it lies; one without either stands in the residual list of the types it is for. Whoever
//! finds a candidate asks it: the index never decides. Tests: `catalog/tests.rs`.

use std::cmp::Reverse;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cresset_definitions::SearchKind;
use cresset_model::SubscriptionKey;
use cresset_search::{Criterion, IndexKey, Parameter, Problem, ResourceValues, Span};
use imbl::OrdMap;
use smallvec::SmallVec;

use super::intervals::Intervals;
use crate::evaluate::FAILED;
use crate::focus::TypeSet;
use crate::subscription::{Entry, Group, Placement};

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
struct Indexed {
    /// The parameter's URL: one that several types share is one index.
    url: &'static str,
    /// The parameter of each type that has groups in it.
    parameters: Vec<(&'static str, &'static Parameter)>,
    /// How many groups the topic in each slot has in it.
    slots: OrdMap<u32, usize>,
    /// By equality.
    buckets: OrdMap<IndexKey, Bucket>,
    /// The forms of all keys that were ever among them.
    forms: u16,
    /// By range.
    intervals: Intervals,
}

impl Indexed {
    fn new(url: &'static str) -> Self {
        Self {
            url,
            parameters: Vec::new(),
            slots: OrdMap::new(),
            buckets: OrdMap::new(),
            forms: 0,
            intervals: Intervals::default(),
        }
    }

    fn insert(&mut self, group: &Group, place: &Place, entry: &Arc<Entry>) {
        for one in group.types.as_slice() {
            if !self.parameters.iter().any(|(known, _)| known == one) {
                self.parameters.push((one, place.parameter));
            }
        }
        *self.slots.entry(entry.slot).or_default() += 1;
        match &place.by {
            By::Keys(keys) => {
                for key in keys {
                    self.forms |= key.form_bit();
                    match self.buckets.get_mut(key) {
                        Some(bucket) => bucket.insert(entry),
                        None => {
                            self.buckets.insert(*key, Bucket::One(Arc::clone(entry)));
                        }
                    }
                }
            }
            By::Span(span) => self.intervals.insert(*span, entry),
        }
    }

    fn remove(&mut self, by: &By, entry: &Entry) {
        if let Some(count) = self.slots.get_mut(&entry.slot) {
            *count -= 1;
            if *count == 0 {
                self.slots.remove(&entry.slot);
            }
        }
        match by {
            By::Keys(keys) => {
                for key in keys {
                    let bucket = self.buckets.get_mut(key);
                    if bucket.is_some_and(|bucket| bucket.remove(entry.key)) {
                        self.buckets.remove(key);
                    }
                }
            }
            By::Span(span) => self.intervals.remove(*span, entry.key),
        }
    }

    fn parameter(&self, resource_type: &str) -> Option<&'static Parameter> {
        let mut parameters = self.parameters.iter();
        parameters.find(|(one, _)| *one == resource_type).map(|(_, parameter)| *parameter)
    }

    fn candidates<'i>(
        &'i self,
        parameter: &'static Parameter,
        values: &ResourceValues<'_>,
        candidates: &mut Vec<&'i Entry>,
    ) -> Result<(), Problem> {
        if !self.buckets.is_empty() {
            let keys = values.index_keys(parameter)?;
            for key in keys.filter(|key| key.form_bit() & self.forms != 0) {
                if let Some(bucket) = self.buckets.get(&key) {
                    bucket.extend(candidates);
                }
            }
        }
        if !self.intervals.is_empty()
            && let Some(span) = values.span(parameter)?
        {
            self.intervals.overlapping(span, candidates);
        }
        Ok(())
    }
}

/// Where a group is found.
struct Place {
    parameter: &'static Parameter,
    by: By,
}

enum By {
    Keys(SmallVec<[IndexKey; 2]>),
    Span(Span),
}

/// The place of a group, if it is in no residual list.
fn place(group: &Group) -> Option<Place> {
    match group.placement {
        Placement::Keys(index) => {
            let criterion = group.criteria.get(usize::from(index))?;
            let by = By::Keys(criterion.index_keys()?);
            Some(Place { parameter: criterion.parameter(), by })
        }
        Placement::Residual => None,
        Placement::Span(index) => {
            let parameter = group.criteria.get(usize::from(index))?.parameter();
            Some(Place { parameter, by: By::Span(span(&group.criteria, parameter)?) })
        }
    }
}

/// Where the criteria of one parameter ask its values to be.
///
/// What all of them can overlap overlaps the stretch they have in common. Without one in common, the
/// first of them stands for all.
fn span(criteria: &[Criterion], parameter: &Parameter) -> Option<Span> {
    let of_parameter = criteria.iter().filter(|one| one.parameter().url() == parameter.url());
    let mut spans = of_parameter.filter_map(Criterion::span);
    let first = spans.next()?;
    Some(spans.try_fold(first, Span::intersection).unwrap_or(first))
}

/// How well a criterion finds its subscription; later is better.
///
/// A range with both ends is better than a value that nearly everybody asks for, one with one end is
/// what about half of all resources meet.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Selectivity {
    HalfLine,
    CommonValue,
    Interval,
    Value(usize),
}

/// All subscriptions of a catalog, by what finds them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    indexed: Vec<Indexed>,
    /// By their types and the slot of their topic.
    residual: OrdMap<(TypeSet, u32), Entries>,
}

impl Index {
    /// How many subscriptions no index finds.
    pub(super) fn residual_len(&self) -> usize {
        self.residual.values().map(OrdMap::len).sum()
    }

    /// Adds a subscription whose groups were placed.
    pub(super) fn insert(&mut self, entry: &Arc<Entry>) {
        for group in &entry.groups {
            let Some(place) = place(group) else {
                let entries = self.residual.entry((group.types.clone(), entry.slot)).or_default();
                entries.insert(entry.key, Arc::clone(entry));
                continue;
            };
            let url = place.parameter.url();
            let index = self.indexed.iter().position(|one| one.url == url).unwrap_or_else(|| {
                self.indexed.push(Indexed::new(url));
                self.indexed.len() - 1
            });
            self.indexed[index].insert(group, &place, entry);
        }
    }

    /// Takes out a subscription that is in it.
    pub(super) fn remove(&mut self, entry: &Entry) {
        for group in &entry.groups {
            if let Some(Place { parameter, by }) = place(group) {
                let url = parameter.url();
                if let Some(indexed) = self.indexed.iter_mut().find(|one| one.url == url) {
                    indexed.remove(&by, entry);
                }
                continue;
            }
            let types = (group.types.clone(), entry.slot);
            if let Some(entries) = self.residual.get_mut(&types) {
                entries.remove(&entry.key);
                if entries.is_empty() {
                    self.residual.remove(&types);
                }
            }
        }
        self.indexed.retain(|one| !one.slots.is_empty());
    }

    /// Where a group with these criteria is found best: by what the fewest resources are likely to
    /// meet.
    pub(super) fn placement(&self, criteria: &[Criterion]) -> Placement {
        let placements = (0..=u8::MAX).zip(criteria).filter_map(|(index, criterion)| {
            let (selectivity, placement) = match criterion.index_keys() {
                Some(keys) => (self.selectivity(criterion, &keys), Placement::Keys(index)),
                None => {
                    let span = criterion.span().and(span(criteria, criterion.parameter()))?;
                    let is_open = span.low == i64::MIN || span.high == i64::MAX;
                    let selectivity =
                        if is_open { Selectivity::HalfLine } else { Selectivity::Interval };
                    (selectivity, Placement::Span(index))
                }
            };
            Some((selectivity, Reverse(index), placement))
        });
        let best =
            placements.max_by(|(a, a_index, _), (b, b_index, _)| (a, a_index).cmp(&(b, b_index)));
        best.map_or(Placement::Residual, |(_, _, placement)| placement)
    }

    fn selectivity(&self, criterion: &Criterion, keys: &[IndexKey]) -> Selectivity {
        let parameter = criterion.parameter();
        let indexed = self.indexed.iter().find(|one| one.url == parameter.url());
        let distinct = indexed.map_or(0, |one| one.buckets.len());
        let others: usize = indexed.map_or(0, |one| {
            keys.iter().filter_map(|key| one.buckets.get(key)).map(Bucket::len).sum()
        });
        // A parameter that tells many subscriptions apart will tell resources apart too; a value
        // that many subscriptions share may be one that many resources share.
        match distinctness(parameter).saturating_mul(distinct + 1) / (others + keys.len()) {
            0 => Selectivity::CommonValue,
            score => Selectivity::Value(score),
        }
    }

    /// The subscriptions that events about this resource may be for, some of them twice.
    ///
    /// A parameter whose values cannot be extracted hides the subscriptions that are found by it;
    /// each such problem is passed to `report`, with the slots of their topics (I9).
    pub(crate) fn candidates<'i>(
        &'i self,
        values: &ResourceValues<'_>,
        candidates: &mut Vec<&'i Entry>,
        mut report: impl FnMut(&dyn fmt::Display, &mut dyn Iterator<Item = u32>),
    ) {
        let resource_type = values.resource_type();
        for indexed in &self.indexed {
            let Some(parameter) = indexed.parameter(resource_type) else { continue };
            let slots = || indexed.slots.keys().copied();
            // A bug in one parameter's extraction hides no more than an error would.
            let found = catch_unwind(AssertUnwindSafe(|| {
                indexed.candidates(parameter, values, candidates)
            }));
            match found {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => report(&problem, &mut slots()),
                Err(_) => report(&FAILED, &mut slots()),
            }
        }
        for ((types, _), entries) in &self.residual {
            if types.contains(resource_type) {
                candidates.extend(entries.values().map(|entry| &**entry));
            }
        }
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
