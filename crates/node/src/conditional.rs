//! What conditional interactions are conditional on: the resources that search criteria find.
//!
//! The criteria are asked twice. Before the writer, on a thread that may block: the index as far as
//! it is, then what changed since, from memory ([`select`]). What was found becomes an
//! [`Assumption`] of the write that is prepared on it, and the writer asks the criteria of all that
//! changed since then, the open group included, before it decides the write ([`Watch`]). So of two
//! concurrent conditional creates the second one finds what the first one made; it is prepared
//! anew on that, at most [`ROUNDS_MAX`] times.
//!
//! Tests: `tests/conditional.rs` of this crate.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_fhir::json;
use cresset_model::{Base, Change, IssueCode, Position, ResourceKey, ResourceType, split_modifier};
use cresset_search::{Criterion, IndexKey, Lookup, Parameter, Parameters, ResourceValues, Scope};
use cresset_store::Query;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::bases::base_of;
use crate::caller::Caller;
use crate::draft::is_alive;
use crate::error::{Error, Kind};
use crate::indexer::is_searchable;
use crate::recent::Kept;
use crate::resources::creator;
use crate::rows;
use crate::search::SearchRequest;
use crate::shared::Shared;

mod watch;

pub(crate) use watch::{Selectors, Watch};

/// How often a write is prepared anew because others changed what it depends on.
pub(crate) const ROUNDS_MAX: usize = 32;
/// Search parameters in one condition.
const PARAMETERS_MAX: usize = 20;
/// Resources that one condition may find; with more it counts as not selective.
const FOUND_MAX: usize = 100;
/// Calls of the index for one condition; each looks at a bounded number of documents.
const PAGES_MAX: usize = 64;
/// Resources taken from the index in one call.
const PAGE_COUNT: usize = 32;
/// Changes that the index may be behind, or that may come between a preparation and the writer.
const TAIL_MAX: usize = 10_000;
/// Conditions of one bundle that no equality helps to find, such as those on dates.
pub(crate) const UNKEYED_MAX: usize = 50;
/// Bytes of changes that are taken from the log because the index is behind.
const TAIL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Resources of a tail that the conditions of one request are asked of, one by one.
const TAIL_LOOKS_MAX: usize = 1_000_000;
/// Parameters about the form of the answer that every request may carry.
const FORM: [&str; 2] = ["_format", "_pretty"];

/// The search criteria of a conditional interaction.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    version: FhirVersion,
    base: Base,
    base_url: String,
    resource_type: ResourceType,
    criteria: Vec<Criterion>,
}

/// What a selector found.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// The base of them.
    pub(crate) base: Base,
    /// The resources.
    pub(crate) found: BTreeSet<ResourceKey>,
    /// All changes up to here were taken into account.
    pub(crate) upto: Option<Position>,
}

/// That a selector still finds what a write was prepared on.
#[derive(Debug, Clone)]
pub(crate) struct Assumption {
    pub(crate) selector: Arc<Selector>,
    pub(crate) selection: Selection,
}

impl Selector {
    /// Reads the criteria of a condition, as they stand behind the `?` of a URL.
    ///
    /// # Errors
    /// `Malformed` for criteria that are missing, not known, or not among those indexed.
    pub(crate) fn parse(
        shared: &Shared,
        version: FhirVersion,
        resource_type: &ResourceType,
        query: &str,
    ) -> Result<Self, Error> {
        let parameters = SearchRequest::parse(query.strip_prefix('?').unwrap_or(query)).parameters;
        let wanted: Vec<_> = parameters.into_iter().filter(|(name, _)| !is_form(name)).collect();
        if wanted.is_empty() || wanted.len() > PARAMETERS_MAX {
            let text = format!("a condition has 1 to {PARAMETERS_MAX} search parameters");
            return Err(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text));
        }
        let base_url = shared.base_url(version);
        let scope = Scope { parameters: Parameters::of(version), base_url: &base_url };
        let index = &shared.config.search.index;
        let mut criteria = Vec::with_capacity(wanted.len());
        for (name, value) in &wanted {
            let (code, modifier) = split_modifier(name);
            let read = Criterion::new(&scope, resource_type.as_str(), code, modifier, None, value);
            let criterion = read.map_err(|issues| Error::new(Kind::Malformed, issues))?;
            let code = criterion.parameter().code();
            let is_usable = is_searchable(index, resource_type.as_str(), code);
            if criterion.needs_others() || !is_usable {
                let text = format!(
                    "`{code}` cannot be used in a condition: it looks at other resources, or is not \
                     among the search parameters that this server indexes"
                );
                return Err(Error::of(Kind::Malformed, IssueCode::UnsupportedSearch, text));
            }
            criteria.push(criterion);
        }
        let resource_type = resource_type.clone();
        Ok(Self { version, base: base_of(version), base_url, resource_type, criteria })
    }

    /// The type of what it finds.
    pub(crate) fn resource_type(&self) -> &ResourceType {
        &self.resource_type
    }

    /// Whether a resource of its type is one of those.
    pub(crate) fn is_match(&self, value: &Value) -> bool {
        let scope = self.scope();
        let values = ResourceValues::new(scope, self.resource_type.as_str(), value);
        self.fits(&values, &scope)
    }

    fn fits(&self, values: &ResourceValues<'_>, scope: &Scope<'_>) -> bool {
        let lookup = Lookup::new(*scope);
        self.criteria.iter().all(|one| one.matches(values, &lookup).unwrap_or(false))
    }

    fn scope(&self) -> Scope<'_> {
        Scope { parameters: Parameters::of(self.version), base_url: &self.base_url }
    }

    /// Whether no criterion asks for equality, so that only asking it tells what it finds.
    pub(crate) fn is_unkeyed(&self) -> bool {
        self.keys().is_none()
    }

    /// A criterion that asks for equality, and the keys of which a match has one.
    fn keys(&self) -> Option<(&'static Parameter, Vec<IndexKey>)> {
        self.criteria.iter().find_map(|one| Some((one.parameter(), one.index_keys()?.to_vec())))
    }
}

fn is_form(name: &str) -> bool {
    FORM.contains(&name)
}

/// What changed behind the search index, taken once for all conditions of a request.
pub(crate) struct Tail {
    changes: Vec<Kept>,
    /// All changes up to here are in the index, or among these.
    upto: Option<Position>,
    /// The newest versions of a type, each read once; none of what the caller may not know of.
    of_types: FxHashMap<(Base, ResourceType), Vec<Latest>>,
    looks: usize,
}

type Latest = (ResourceKey, Option<Value>);

impl Tail {
    /// What the index does not hold by now.
    ///
    /// # Errors
    /// `Unavailable` if that is too much.
    pub(crate) fn take(shared: &Shared) -> Result<Self, Error> {
        let indexed = shared.store.index_position()?;
        let changes = tail_after(shared, indexed)?;
        let upto = changes.last().map(|kept| kept.change.position).max(indexed);
        Ok(Self { changes, upto, of_types: FxHashMap::default(), looks: 0 })
    }

    fn of_type(
        &mut self,
        shared: &Shared,
        caller: &Caller,
        selector: &Selector,
    ) -> Result<&[Latest], Error> {
        let of_type = match self.of_types.entry((selector.base, selector.resource_type.clone())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let mut latest = BTreeMap::new();
                for change in self.changes.iter().map(|kept| &kept.change) {
                    let key = &change.key;
                    if key.base == selector.base && key.resource_type == selector.resource_type {
                        latest.insert(key, change);
                    }
                }
                let read = latest.into_iter().map(|(key, change)| {
                    let is_there = is_known_to(shared, caller, change)?;
                    let value = is_there.then(|| json::parse(&change.body).ok()).flatten();
                    Ok((key.clone(), value))
                });
                place.insert(read.collect::<Result<_, Error>>()?)
            }
        };
        self.looks += of_type.len();
        if self.looks > TAIL_LOOKS_MAX { Err(behind()) } else { Ok(of_type) }
    }
}

/// What a selector finds among what the caller may know of, with all that is visible by now.
///
/// The index may be ahead of the tail when it is asked: what came since is looked at by the writer,
/// which comes to the same, or finds that it differs and has the write prepared anew.
///
/// # Errors
/// `VersionMismatch` if it finds more than a condition may; `TooCostly` if the index cannot tell
/// within its bounds; `Unavailable` if the index is too far behind.
pub(crate) fn select(
    shared: &Shared,
    caller: &Caller,
    selector: &Selector,
    tail: &mut Tail,
) -> Result<Selection, Error> {
    let mut found = indexed_matches(shared, caller, selector)?;
    for (key, value) in tail.of_type(shared, caller, selector)? {
        if value.as_ref().is_some_and(|value| selector.is_match(value)) {
            found.insert(key.clone());
        } else {
            found.remove(key);
        }
    }
    Ok(Selection { base: selector.base, found, upto: tail.upto })
}

/// What the index finds, as far as it is.
fn indexed_matches(
    shared: &Shared,
    caller: &Caller,
    selector: &Selector,
) -> Result<BTreeSet<ResourceKey>, Error> {
    let mut query = Query {
        base: selector.base,
        resource_type: selector.resource_type.clone(),
        clauses: selector.criteria.iter().filter_map(rows::clause).collect(),
        after: None,
        limit: PAGE_COUNT,
        total: false,
    };
    let mut found = BTreeSet::new();
    for _ in 0..PAGES_MAX {
        let page = shared.store.search(&query)?;
        for one in page.found {
            let Some(change) = shared.store.change(one.position)? else { continue };
            if is_selected(shared, caller, selector, &change)? {
                found.insert(one.key);
            }
        }
        if found.len() > FOUND_MAX {
            return Err(several());
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(found);
        }
    }
    let text = "the condition looks at too many resources; name an identifier";
    Err(Error::of(Kind::TooCostly, IssueCode::UnsupportedSearch, text))
}

/// All visible changes after a position.
fn tail_after(shared: &Shared, position: Option<Position>) -> Result<Vec<Kept>, Error> {
    let head = shared.head();
    if position >= head {
        return Ok(Vec::new());
    }
    // Positions follow one another, so this tells how many there are without reading them.
    let count = head.map_or(0, Position::get) - position.map_or(0, Position::get);
    if count > TAIL_MAX as u64 {
        return Err(behind());
    }
    if let Some(tail) = shared.recent.after(position, TAIL_MAX) {
        return Ok(tail);
    }
    let mut tail: Vec<Kept> = Vec::new();
    let mut bytes = 0;
    let mut after = position;
    while after < head {
        let page = shared.store.changes(after, TAIL_MAX)?;
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        bytes += page.iter().map(|one| one.body.len()).sum::<usize>();
        tail.extend(page.into_iter().map(|one| Kept { change: Arc::new(one), rows: None }));
        if bytes > TAIL_BYTES_MAX {
            return Err(behind());
        }
    }
    Ok(tail)
}

fn behind() -> Error {
    Error::unavailable("the search index is behind; try again")
}

fn is_selected(
    shared: &Shared,
    caller: &Caller,
    selector: &Selector,
    change: &Change,
) -> Result<bool, Error> {
    if !is_known_to(shared, caller, change)? {
        return Ok(false);
    }
    Ok(json::parse(&change.body).is_ok_and(|value| selector.is_match(&value)))
}

/// Whether a version is alive, and the caller may know of it: a Subscription of somebody else looks
/// as if it were not there (RQ-SS-07).
fn is_known_to(shared: &Shared, caller: &Caller, change: &Change) -> Result<bool, Error> {
    if !is_alive(Some(change)) {
        return Ok(false);
    }
    if change.key.resource_type.as_str() != "Subscription" || caller.is_admin() {
        return Ok(true);
    }
    if let Some(live) = shared.live.find(change.key.base, &change.key.id) {
        return Ok(caller.sees(&live.owner));
    }
    // What was made just now is in the log before it is in the live table.
    let owner = creator(shared.store.as_ref(), &change.key)?;
    Ok(owner.is_some_and(|owner| caller.sees(&owner)))
}

/// Several resources fit where at most one may.
pub(crate) fn several() -> Error {
    let text = "several resources fit the condition; it must single out one";
    Error::of(Kind::VersionMismatch, IssueCode::SeveralMatches, text)
}

/// What others changed that a write was prepared on.
pub(crate) fn stale() -> Error {
    let text = "others changed what this depends on in the meantime; read again, then decide";
    Error::of(Kind::Conflict, IssueCode::Conflict, text).into_stale()
}
