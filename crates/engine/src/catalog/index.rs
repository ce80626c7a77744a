//! The index that finds subscriptions by the values of a resource, those of all topics together.
//!
//! A subscription is found by the most selective equality of its filters: under the parameter's
//! URL and the value's key it stands in a small set. One without such a filter is found by where a
//! range of it lies; one without either stands in the residual list of the types it is for. Whoever
//! finds a candidate asks it: the index never decides. Tests: `catalog/tests.rs`.

use std::cmp::Reverse;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cresset_definitions::SearchKind;
use cresset_model::SubscriptionKey;
use cresset_search::{
    Criterion, IndexKey, KeyForms, Line, Parameter, Problem, ResourceValues, Span,
};
use imbl::OrdMap;
use smallvec::SmallVec;

use super::intervals::Intervals;
use super::pages::Pages;
use crate::evaluate::FAILED;
use crate::focus::TypeSet;
use crate::subscription::{Entry, Placed, Placement};

/// Subscriptions that a change may be an event of.
pub(crate) type Candidates<'i> = SmallVec<[&'i Entry; CANDIDATES_INLINE]>;

/// Candidates of most changes.
const CANDIDATES_INLINE: usize = 8;

type Entries = OrdMap<SubscriptionKey, Entry>;

/// The most subscriptions under one key that stand where all do; further ones have a map of their own.
const FEW: usize = 8;

/// Subscriptions by the keys of their values.
#[derive(Debug, Clone, Default)]
struct Buckets {
    few: Pages<Entry>,
    /// Of keys that have more than [`FEW`], those beyond.
    many: OrdMap<IndexKey, Entries>,
    /// How many keys there are.
    distinct: usize,
}

impl Buckets {
    fn is_empty(&self) -> bool {
        self.few.is_empty()
    }

    /// How many subscriptions a key has.
    fn count(&self, key: IndexKey) -> usize {
        self.few.get(key.get()).count() + self.many.get(&key).map_or(0, OrdMap::len)
    }

    fn insert(&mut self, key: IndexKey, entry: &Entry) {
        match self.few.get(key.get()).count() {
            FEW.. => {
                self.many.entry(key).or_default().insert(entry.key(), entry.clone());
            }
            few => {
                self.distinct += usize::from(few == 0);
                self.few.insert(key.get(), entry.clone());
            }
        }
    }

    fn remove(&mut self, key: IndexKey, subscription: SubscriptionKey) {
        let many = self.many.get_mut(&key);
        let was_of_many = many.is_some_and(|many| many.remove(&subscription).is_some());
        if !was_of_many {
            let is = |entry: &Entry| entry.key() == subscription;
            if self.few.remove(key.get(), is).is_none() {
                return;
            }
            // Where there is room among the few, none stands with the many.
            let next = self.many.get_mut(&key).and_then(|many| {
                let next = many.get_min().map(|(one, _)| *one)?;
                many.remove(&next)
            });
            match next {
                Some(next) => self.few.insert(key.get(), next),
                None => {
                    self.distinct -= usize::from(self.few.get(key.get()).next().is_none());
                }
            }
        }
        if self.many.get(&key).is_some_and(OrdMap::is_empty) {
            self.many.remove(&key);
        }
    }

    fn extend<'b>(&'b self, key: IndexKey, candidates: &mut Candidates<'b>) {
        let before = candidates.len();
        candidates.extend(self.few.get(key.get()));
        if candidates.len() - before == FEW {
            candidates.extend(self.many.get(&key).into_iter().flat_map(OrdMap::values));
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
    buckets: Buckets,
    /// The forms of all keys that were ever among them.
    forms: KeyForms,
    /// By range, on each line of values.
    intervals: [(Line, Intervals); 2],
}

impl Indexed {
    fn new(url: &'static str) -> Self {
        Self {
            url,
            parameters: Vec::new(),
            slots: OrdMap::new(),
            buckets: Buckets::default(),
            forms: KeyForms::default(),
            intervals: [Line::Written, Line::Measured].map(|line| (line, Intervals::default())),
        }
    }

    fn insert(&mut self, group: &Placed<'_>, place: &Place, entry: &Entry) {
        for one in group.types.as_slice() {
            if !self.parameters.iter().any(|(known, _)| known == one) {
                self.parameters.push((one, place.parameter));
            }
        }
        *self.slots.entry(entry.slot()).or_default() += 1;
        match &place.by {
            By::Keys(keys) => {
                for key in keys {
                    self.forms.add(key.form());
                    self.buckets.insert(*key, entry);
                }
            }
            By::Span(line, span) => {
                self.on(*line).into_iter().for_each(|on| on.insert(*span, entry));
            }
        }
    }

    fn remove(&mut self, by: &By, entry: &Entry) {
        if let Some(count) = self.slots.get_mut(&entry.slot()) {
            *count -= 1;
            if *count == 0 {
                self.slots.remove(&entry.slot());
            }
        }
        match by {
            By::Keys(keys) => keys.iter().for_each(|key| self.buckets.remove(*key, entry.key())),
            By::Span(line, span) => {
                self.on(*line).into_iter().for_each(|on| on.remove(*span, entry.key()));
            }
        }
    }

    /// What lies on a line.
    fn on(&mut self, line: Line) -> Option<&mut Intervals> {
        self.intervals.iter_mut().find(|(one, _)| *one == line).map(|(_, intervals)| intervals)
    }

    fn parameter(&self, resource_type: &str) -> Option<&'static Parameter> {
        let mut parameters = self.parameters.iter();
        parameters.find(|(one, _)| *one == resource_type).map(|(_, parameter)| *parameter)
    }

    fn candidates<'i>(
        &'i self,
        parameter: &'static Parameter,
        values: &ResourceValues<'_>,
        candidates: &mut Candidates<'i>,
    ) -> Result<(), Problem> {
        if !self.buckets.is_empty() {
            for key in values.index_keys_of(parameter, self.forms)? {
                self.buckets.extend(key, candidates);
            }
        }
        for (line, intervals) in &self.intervals {
            if !intervals.is_empty()
                && let Some(span) = values.span(parameter, *line)?
            {
                intervals.overlapping(span, candidates);
            }
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
    Span(Line, Span),
}

/// The place of a group, if it is in no residual list.
fn place(group: &Placed<'_>) -> Option<Place> {
    match group.placement {
        Placement::Keys(index) => {
            let criterion = group.criteria.get(usize::from(index))?;
            let by = By::Keys(criterion.index_keys()?);
            Some(Place { parameter: criterion.parameter(), by })
        }
        Placement::Residual => None,
        Placement::Span(index) => {
            let criterion = group.criteria.get(usize::from(index))?;
            let (line, span) = span(group.criteria, criterion)?;
            Some(Place { parameter: criterion.parameter(), by: By::Span(line, span) })
        }
    }
}

/// Where a criterion, and those of the same parameter on the same line, ask values to be.
///
/// What all of them can overlap overlaps the stretch they have in common. Without one in common, the
/// first of them stands for all.
fn span(criteria: &[Criterion], criterion: &Criterion) -> Option<(Line, Span)> {
    let (line, _) = criterion.span()?;
    let url = criterion.parameter().url();
    let of_parameter = criteria.iter().filter(|one| one.parameter().url() == url);
    let on_line = of_parameter.filter_map(Criterion::span).filter(|(one, _)| *one == line);
    let mut spans = on_line.map(|(_, span)| span);
    let first = spans.next()?;
    Some((line, spans.try_fold(first, Span::intersection).unwrap_or(first)))
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
    pub(super) fn insert(&mut self, entry: &Entry) {
        for group in entry.groups() {
            let Some(place) = place(&group) else {
                let entries = self.residual.entry((group.types, entry.slot())).or_default();
                entries.insert(entry.key(), entry.clone());
                continue;
            };
            let url = place.parameter.url();
            let index = self.indexed.iter().position(|one| one.url == url).unwrap_or_else(|| {
                self.indexed.push(Indexed::new(url));
                self.indexed.len() - 1
            });
            self.indexed[index].insert(&group, &place, entry);
        }
    }

    /// Takes out a subscription that is in it.
    pub(super) fn remove(&mut self, entry: &Entry) {
        for group in entry.groups() {
            if let Some(Place { parameter, by }) = place(&group) {
                let url = parameter.url();
                if let Some(indexed) = self.indexed.iter_mut().find(|one| one.url == url) {
                    indexed.remove(&by, entry);
                }
                continue;
            }
            let types = (group.types, entry.slot());
            if let Some(entries) = self.residual.get_mut(&types) {
                entries.remove(&entry.key());
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
                    let (_, span) = span(criteria, criterion)?;
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
        let distinct = indexed.map_or(0, |one| one.buckets.distinct);
        let others: usize =
            indexed.map_or(0, |one| keys.iter().map(|key| one.buckets.count(*key)).sum());
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
        candidates: &mut Candidates<'i>,
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
        // Starting a walk costs more than to see that there is none to go.
        if self.residual.is_empty() {
            return;
        }
        for ((types, _), entries) in &self.residual {
            if types.contains(resource_type) {
                candidates.extend(entries.values());
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
