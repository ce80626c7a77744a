//! Many selectors asked at once: of a change, which of them it is a match of now.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use cresset_fhir::json;
use cresset_model::{Base, Change, Position, ResourceKey};
use cresset_search::{IndexKey, Parameter, ResourceValues};
use rustc_hash::FxHashMap;
use serde_json::Value;
use smol_str::SmolStr;

use super::{Assumption, Selector, TAIL_MAX};
use crate::draft::is_alive;
use crate::recent::Recent;

/// Selectors without an equality that are asked of each change of a group; further ones count as
/// stale, and are prepared anew for a group that follows.
const UNKEYED_GROUP_MAX: usize = 200;

/// Many selectors, found by what a resource holds without asking each.
#[derive(Default)]
pub(crate) struct Selectors {
    all: Vec<Arc<Selector>>,
    by_type: FxHashMap<(Base, SmolStr), OfType>,
    unkeyed: usize,
}

#[derive(Default)]
struct OfType {
    /// For each parameter, which selectors ask for equality with what.
    keyed: Vec<(&'static Parameter, FxHashMap<IndexKey, Vec<usize>>)>,
    /// Those that ask for no equality.
    others: Vec<usize>,
}

impl Selectors {
    /// Adds one; its place is how many there were before.
    pub(crate) fn push(&mut self, selector: Arc<Selector>) {
        let place = self.all.len();
        let name = SmolStr::new(selector.resource_type.as_str());
        let of_type = self.by_type.entry((selector.base, name)).or_default();
        match selector.keys() {
            Some((parameter, keys)) => {
                let known = of_type.keyed.iter().position(|(one, _)| std::ptr::eq(*one, parameter));
                let at = known.unwrap_or_else(|| {
                    of_type.keyed.push((parameter, FxHashMap::default()));
                    of_type.keyed.len() - 1
                });
                for key in keys {
                    of_type.keyed[at].1.entry(key).or_default().push(place);
                }
            }
            None => {
                of_type.others.push(place);
                self.unkeyed += 1;
            }
        }
        self.all.push(selector);
    }

    /// The places of those that a resource fits.
    pub(crate) fn matching(&self, key: &ResourceKey, value: &Value) -> Vec<usize> {
        let name = key.resource_type.as_str();
        let Some(of_type) = self.by_type.get(&(key.base, SmolStr::new(name))) else {
            return Vec::new();
        };
        let Some(any) = self.all.iter().find(|one| one.base == key.base) else {
            return Vec::new();
        };
        let scope = any.scope();
        let values = ResourceValues::new(scope, name, value);
        let mut places = of_type.others.clone();
        for (parameter, by_key) in &of_type.keyed {
            // A value that cannot be read matches nothing.
            for key in values.index_keys(parameter).unwrap_or_default() {
                places.extend(by_key.get(&key).into_iter().flatten());
            }
        }
        places.sort_unstable();
        places.dedup();
        places.retain(|place| self.all[*place].fits(&values, &scope));
        places
    }

    fn ask_of(&self, key: &ResourceKey) -> bool {
        let name = SmolStr::new(key.resource_type.as_str());
        self.by_type.contains_key(&(key.base, name))
    }
}

/// What the assumptions of a group's writes come to while its changes are decided. Each change is
/// looked at once, however many assumptions there are.
#[derive(Default)]
pub(crate) struct Watch {
    selectors: Selectors,
    /// By place.
    watched: Vec<Watched>,
    found_by: FxHashMap<ResourceKey, BTreeSet<usize>>,
}

struct Watched {
    wanted: BTreeSet<ResourceKey>,
    found: BTreeSet<ResourceKey>,
    /// What it finds is not known: it is of long ago, or one of too many.
    is_lost: bool,
}

impl Watch {
    /// The assumptions, in order, as they are just before the position `first`.
    pub(crate) fn new<'a>(
        assumptions: impl Iterator<Item = &'a Assumption>,
        first: Position,
        recent: &Recent,
    ) -> Self {
        let mut watch = Self::default();
        let durable = first.get() - 1;
        let mut behind_max = 0;
        for Assumption { selector, selection } in assumptions {
            let upto = selection.upto.map_or(0, Position::get);
            let behind = usize::try_from(durable.saturating_sub(upto)).unwrap_or(usize::MAX);
            let is_one_too_many =
                selector.is_unkeyed() && watch.selectors.unkeyed >= UNKEYED_GROUP_MAX;
            watch.push(selector, &selection.found, behind > TAIL_MAX || is_one_too_many);
            if behind <= TAIL_MAX {
                behind_max = behind_max.max(behind);
            }
        }
        if behind_max == 0 {
            return watch;
        }
        let upto = Position::new(durable - behind_max as u64);
        let tail = recent.after(upto, behind_max).unwrap_or_default();
        if tail.len() < behind_max {
            // What memory does not hold any more was long ago.
            watch.watched.iter_mut().for_each(|one| one.is_lost = true);
        }
        tail.iter().for_each(|kept| watch.see(&kept.change));
        watch
    }

    fn push(&mut self, selector: &Arc<Selector>, found: &BTreeSet<ResourceKey>, is_lost: bool) {
        let place = self.watched.len();
        if is_lost {
            // It keeps its place, and is asked of nothing.
            self.selectors.all.push(selector.clone());
        } else {
            self.selectors.push(selector.clone());
            for key in found {
                self.found_by.entry(key.clone()).or_default().insert(place);
            }
        }
        self.watched.push(Watched { wanted: found.clone(), found: found.clone(), is_lost });
    }

    /// Takes the next change into account.
    pub(crate) fn see(&mut self, change: &Change) {
        let key = &change.key;
        if !self.selectors.ask_of(key) {
            return;
        }
        for place in self.found_by.remove(key).unwrap_or_default() {
            self.watched[place].found.remove(key);
        }
        if !is_alive(Some(change)) {
            return;
        }
        let Ok(value) = json::parse(&change.body) else { return };
        for place in self.selectors.matching(key, &value) {
            self.watched[place].found.insert(key.clone());
            self.found_by.entry(key.clone()).or_default().insert(place);
        }
    }

    /// Whether the assumptions at these places hold.
    pub(crate) fn holds(&self, places: Range<usize>) -> bool {
        let watched = self.watched.get(places).unwrap_or_default();
        watched.iter().all(|one| !one.is_lost && one.found == one.wanted)
    }
}
