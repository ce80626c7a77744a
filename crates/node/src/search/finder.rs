//! Candidates from the index, judged by `search` itself, within a budget.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_fhir::json;
use cresset_model::{Base, Change, Issue, IssueCode, Issues};
use cresset_search::{
    Criterion, Has, Lookup, Need, Parameters, Problem, ProblemKind, ResourceValues, Scope,
};
use cresset_store::{Query, Store};
use rustc_hash::FxHashMap;
use serde_json::Value;
use smol_str::SmolStr;

use super::COUNTED_MAX;
use super::answer::Page;
use super::place::Place;
use super::request::{Asked, Asking};
use super::walk::LOT_MAX;
use super::wanted::bad_place;
use crate::bases::base_of;
use crate::caller::Caller;
use crate::draft::{Found, look_up_stored};
use crate::error::{Error, Kind};
use crate::resources::require_read;
use crate::shared::Shared;

/// Resources that one search judges or looks up, for itself and for its chains (I10).
const JUDGED_MAX: usize = 50_000;
/// Calls of the index that end because they looked at as much as one may (I10).
const SCANS_MAX: usize = 10;
/// Bytes of resources after which a page ends (I10).
pub(super) const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How often what is missing is looked up before a resource is judged without (I10).
const LOOKUPS_MAX: usize = 12;

const TOO_DEEP: &str = "it depends on too many resources, one after the other";
const TOO_MANY: &str = "they depend on too many resources";

/// Those that refer to a resource, by its id.
pub(super) type Referring = FxHashMap<SmolStr, Vec<Arc<Value>>>;

/// Finds resources for one search; blocks.
pub(super) struct Finder<'f> {
    pub(super) shared: &'f Shared,
    pub(super) store: &'f dyn Store,
    pub(super) caller: &'f Caller,
    pub(super) base: Base,
    pub(super) scope: Scope<'f>,
    /// Resources that may still be judged.
    judged_left: usize,
    scans_left: usize,
    /// What is known of who refers to whom, by what was asked.
    pub(super) referring: Vec<(Arc<Has>, Referring)>,
    /// Why something could not be told.
    reasons: Vec<&'static str>,
}

impl<'f> Finder<'f> {
    pub(super) fn new(
        shared: &'f Shared,
        caller: &'f Caller,
        version: FhirVersion,
        base_url: &'f str,
    ) -> Self {
        Self {
            shared,
            store: shared.store.as_ref(),
            caller,
            base: base_of(version),
            scope: Scope { parameters: Parameters::of(version), base_url },
            judged_left: JUDGED_MAX,
            scans_left: SCANS_MAX,
            referring: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// Refuses a search that asks about sets that are not here, which would find nothing for the
    /// wrong reason.
    pub(super) fn check_sets(&self, asked: &Asked) -> Result<(), Error> {
        let Some(asking) = asked.askings.first() else { return Ok(()) };
        for set in asking.criteria.iter().flat_map(Criterion::sets) {
            let is_here = match look_up_stored(self.shared, self.base, &set.need()) {
                Ok(found) => found.iter().any(|one| set.is(one)),
                Err(_) => false,
            };
            if !is_here {
                let text = "a parameter asks about a ValueSet, CodeSystem, Group, List, CareTeam or \
                            what has parts, that is not on this server";
                return Err(Error::of(Kind::Unprocessable, IssueCode::UnsupportedSearch, text));
            }
        }
        Ok(())
    }

    /// A page in the order of the index.
    pub(super) fn page(&mut self, asked: &Asked) -> Result<Page, Error> {
        let count = asked.wanted.count;
        let (mut part, mut cursor) = match &asked.wanted.place {
            Some(Place::Indexed { part, cursor }) => (*part, *cursor),
            Some(Place::Sorted { .. }) | None => (0, None),
        };
        if part >= asked.askings.len() && part > 0 {
            return Err(Error::new(Kind::Malformed, bad_place()));
        }
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(asking) = asked.askings.get(part) {
            let Some(narrowed) = self.narrow(asking)? else {
                (part, cursor) = (part + 1, None);
                continue;
            };
            let mut walk = self.walk(asking, &narrowed, cursor)?;
            loop {
                let lot = self.lot(&mut walk, count - page.matches.len())?;
                bytes += lot.iter().map(|change| change.body.len()).sum::<usize>();
                page.matches.extend(lot);
                let is_full = page.matches.len() >= count || bytes > PAGE_BYTES_MAX;
                cursor = walk.place();
                if cursor.is_none() {
                    part += 1;
                }
                if is_full || self.is_spent() {
                    let is_end = part == asked.askings.len();
                    page.next = (!is_end).then_some(Place::Indexed { part, cursor });
                    if !is_full && !is_end {
                        let text = "many resources had to be looked at, so that this page ended \
                                    before it was full; the next link goes on";
                        page.issues.push(Issue::warning(IssueCode::SearchIncomplete, text));
                    }
                    page.total = self.total_of(asked, &page);
                    return Ok(page);
                }
                if cursor.is_none() {
                    break;
                }
            }
        }
        page.total = self.total_of(asked, &page);
        Ok(page)
    }

    /// The total, where everything is on this one page.
    fn total_of(&self, asked: &Asked, page: &Page) -> Option<u64> {
        let is_whole = asked.wanted.place.is_none() && page.next.is_none();
        is_whole.then_some(page.matches.len() as u64)
    }

    /// How many resources match; none if there are too many to count.
    pub(super) fn count(&mut self, asked: &Asked) -> Result<Option<u64>, Error> {
        let mut total = 0;
        for asking in &asked.askings {
            let Some(narrowed) = self.narrow(asking)? else { continue };
            let is_counted_by_index =
                asking.is_everything() && asking.resource_type != "Subscription";
            let mut walk = self.walk(asking, &narrowed, None)?;
            loop {
                let found = match is_counted_by_index {
                    true => self.pass(&mut walk)?,
                    false => self.lot(&mut walk, LOT_MAX)?.len(),
                };
                total += found as u64;
                if walk.place().is_none() {
                    break;
                }
                if total > COUNTED_MAX as u64 || self.is_spent() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(total))
    }

    /// About how many resources match, for who asks; none where that is too many to tell.
    pub(super) fn estimate(&mut self, asked: &Asked) -> Result<Option<u64>, Error> {
        // The index knows nothing of owners, and its numbers would tell of others' Subscriptions.
        let has_owners = asked.askings.iter().any(|asking| asking.resource_type == "Subscription");
        if has_owners && !self.caller.is_admin() { self.count(asked) } else { self.indexed(asked) }
    }

    /// How many resources match as the index sees it, whoever may see them; none where it sees too
    /// many, or too little of what is asked.
    fn indexed(&mut self, asked: &Asked) -> Result<Option<u64>, Error> {
        let mut total = 0;
        for asking in &asked.askings {
            let Some(narrowed) = self.narrow(asking)? else { continue };
            if narrowed.is_hopeless {
                return Ok(None);
            }
            let query = Query { total: true, ..self.query(asking, &narrowed) };
            match self.store.search(&query)?.total {
                Some(counted) if counted.exact => total += counted.count,
                Some(_) | None => return Ok(None),
            }
        }
        Ok(Some(total))
    }

    /// Whether there may be more matches than so many, as the index sees it.
    pub(super) fn are_many(&mut self, asked: &Asked, count: usize) -> Result<bool, Error> {
        let mut left = count;
        for asking in &asked.askings {
            let Some(narrowed) = self.narrow(asking)? else { continue };
            let query = Query { limit: left + 1, ..self.query(asking, &narrowed) };
            let page = self.store.search(&query)?;
            if narrowed.is_hopeless || page.next.is_some() || page.found.len() > left {
                return Ok(true);
            }
            left -= page.found.len();
        }
        Ok(false)
    }

    /// All that fits; none if it is more than `limit`, or too costly to find.
    pub(super) fn all(
        &mut self,
        asking: &Asking,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Change>>>, Error> {
        let Some(narrowed) = self.narrow(asking)? else { return Ok(Some(Vec::new())) };
        let mut walk = self.walk(asking, &narrowed, None)?;
        let mut found = Vec::new();
        loop {
            found.extend(self.lot(&mut walk, LOT_MAX)?);
            if found.len() > limit {
                return Ok(None);
            }
            if walk.place().is_none() {
                return Ok(Some(found));
            }
            if self.is_spent() {
                return Ok(None);
            }
        }
    }

    /// Counts resources that were looked at beside the candidates; false if they were too many.
    pub(super) fn spend(&mut self, count: usize) -> bool {
        self.judged_left = self.judged_left.saturating_sub(count);
        self.judged_left > 0
    }

    /// Counts a call of the index that ended at its bound; false if there were too many.
    pub(super) fn spend_scan(&mut self) -> bool {
        self.scans_left = self.scans_left.saturating_sub(1);
        self.scans_left > 0
    }

    /// Whether a bound was met.
    pub(super) fn is_spent(&self) -> bool {
        self.judged_left == 0 || self.scans_left == 0
    }

    /// Those that fit and that the caller may see.
    pub(super) fn judged(
        &mut self,
        asking: &Asking,
        changes: Vec<Arc<Change>>,
    ) -> Vec<Arc<Change>> {
        let seen = changes.into_iter().filter(|change| self.sees(change));
        if asking.is_everything() {
            return seen.collect();
        }
        let parsed: Vec<(Arc<Change>, Value)> = seen
            .filter_map(|change| json::parse(&change.body).ok().map(|value| (change, value)))
            .collect();
        let mut verdicts: Vec<Option<bool>> = vec![None; parsed.len()];
        let mut answers: FxHashMap<Need, Found> = FxHashMap::default();
        for round in 0..=LOOKUPS_MAX {
            let mut lookup = lookup_of(self.scope, &answers);
            if round == LOOKUPS_MAX {
                lookup.close(TOO_DEEP);
            } else if self.judged_left == 0 {
                lookup.close(TOO_MANY);
            }
            let missing = self.decide(asking, &parsed, &mut verdicts, &lookup);
            drop(lookup);
            if missing.is_empty() {
                break;
            }
            for need in missing {
                if self.judged_left == 0 {
                    break;
                }
                if let Entry::Vacant(place) = answers.entry(need) {
                    let found = self.look_up(place.key());
                    let cost = found.as_ref().map_or(1, |found| found.len().max(1));
                    self.spend(cost);
                    place.insert(found);
                }
            }
        }
        let fits = parsed.into_iter().zip(verdicts).filter(|(_, fits)| *fits == Some(true));
        fits.map(|((change, _), _)| change).collect()
    }

    /// Decides what can be decided, and gives what has to be looked up for the rest.
    fn decide(
        &mut self,
        asking: &Asking,
        parsed: &[(Arc<Change>, Value)],
        verdicts: &mut [Option<bool>],
        lookup: &Lookup<'_>,
    ) -> Vec<Need> {
        let mut missing = Vec::new();
        for ((_, value), verdict) in parsed.iter().zip(verdicts) {
            if verdict.is_some() {
                continue;
            }
            let values = ResourceValues::new(self.scope, asking.resource_type, value);
            match asking.matches(&values, lookup) {
                Ok(fits) => *verdict = Some(fits),
                Err(problem) if !problem.missing().is_empty() => {
                    missing.extend_from_slice(problem.missing());
                }
                Err(problem) => {
                    *verdict = Some(false);
                    self.note(&problem);
                }
            }
        }
        missing
    }

    /// What a criterion needs besides the resource, as far as the caller may see it.
    fn look_up(&self, need: &Need) -> Found {
        if let Need::Referring(asked) = need
            && let Some((_, known)) = self.referring.iter().find(|(has, _)| asked.is_of(has))
        {
            return Ok(known.get(asked.target()).cloned().unwrap_or_default());
        }
        let mut found = look_up_stored(self.shared, self.base, need)?;
        found.retain(|value| self.sees_value(value));
        Ok(found)
    }

    /// Whether the caller may see a resource.
    pub(super) fn sees(&self, change: &Change) -> bool {
        self.sees_named(change.key.resource_type.as_str(), change.key.id.as_str())
    }

    fn sees_value(&self, value: &Value) -> bool {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        self.sees_named(text("resourceType"), text("id"))
    }

    fn sees_named(&self, resource_type: &str, id: &str) -> bool {
        if require_read(self.caller, resource_type).is_err() {
            return false;
        }
        if resource_type != "Subscription" {
            return true;
        }
        let Ok(id) = cresset_model::ResourceId::new(id) else { return false };
        let live = self.shared.live.find(self.base, &id);
        live.is_some_and(|live| self.caller.sees(&live.owner))
    }

    /// Keeps why a resource could not be judged.
    fn note(&mut self, problem: &Problem) {
        if let ProblemKind::Unavailable(reason) = problem.kind()
            && !self.reasons.contains(reason)
        {
            self.reasons.push(reason);
        }
    }

    /// What is to be told of resources that could not be judged and are left out.
    pub(super) fn notes(self) -> Issues {
        let issue = |reason: &str| {
            let text = format!("resources were left out that could not be judged: {reason}");
            Issue::warning(IssueCode::SearchIncomplete, text)
        };
        Issues(self.reasons.into_iter().map(issue).collect())
    }
}

/// What was found so far, for the next round.
fn lookup_of<'a>(scope: Scope<'a>, answers: &'a FxHashMap<Need, Found>) -> Lookup<'a> {
    let mut lookup = Lookup::new(scope);
    for (need, found) in answers {
        match found {
            Ok(values) => lookup.insert(need.clone(), values.iter().map(|value| &**value)),
            Err(reason) => lookup.insert_unavailable(need.clone(), reason),
        }
    }
    lookup
}
