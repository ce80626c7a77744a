//! Histories: of an instance, of a type, of a base, newest first.
//!
//! A page goes on below a place in the log, or below a version of the instance, so that no write
//! meanwhile moves anything on the pages that follow. A page looks at a bounded number of changes
//! and may be short, or empty, although there is more.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{
    Change, Interaction, IssueCode, Position, ResourceKey, ResourceType, VersionId,
};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use std::sync::Arc;

use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::error::{Error, Kind};
use crate::node::Node;
use crate::occurrence::is_occurrence;
use crate::resources::require_read;

/// Versions on a page of a history at most.
pub const HISTORY_PAGE_MAX: usize = 1_000;
/// Changes that one page looks at, at most.
const SCAN_MAX: usize = 20_000;
/// Changes read at once.
const CHUNK: u16 = 256;
/// Bytes of resources after which a page ends.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub enum HistoryOf<'h> {
    /// Of the whole base.
    Base,
    /// Of one resource.
    Instance(&'h str, &'h str),
    /// Of all resources of a type.
    Type(&'h str),
}

/// What part of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct HistoryQuery {
    /// Most versions to give.
    pub count: usize,
    /// Where the page before this one ended: a version of an instance, else a position.
    pub before: Option<u64>,
    /// Only what was made at or after this time (`_since`).
    pub since: Option<Timestamp>,
    /// Only what was current at some time from the first to the second (`_at`).
    pub at: Option<(Timestamp, Timestamp)>,
}

/// A page of a history, newest first.
#[derive(Debug, Clone)]
pub struct HistoryPage {
    /// The versions.
    pub changes: Vec<Change>,
    /// Continue below this, if there may be more.
    pub before: Option<u64>,
    /// How many versions there are, where that is known.
    pub total: Option<u64>,
}

impl Node {
    /// A page of a history.
    ///
    /// # Errors
    /// `NotFound` for a type that there is not, and for an instance of which there never was a
    /// version that the caller may know of; `Forbidden`.
    pub async fn history(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        of: HistoryOf<'_>,
        query: HistoryQuery,
    ) -> Result<HistoryPage, Error> {
        let query = HistoryQuery { count: query.count.clamp(1, HISTORY_PAGE_MAX), ..query };
        let (node, by) = (self.clone(), caller.clone());
        let resource_type = match of {
            HistoryOf::Instance(resource_type, id) => {
                let key = self.readable(caller, version, resource_type, id)?;
                let page = move || node.instance_history(&by, &key, query);
                return self.shared.work(page).await;
            }
            HistoryOf::Type(resource_type) => {
                let unknown = || {
                    let text = format!("FHIR {} defines no such resource type", version.full());
                    Error::of(Kind::NotFound, IssueCode::UnknownPath, text)
                };
                let is_type = Definitions::of(version).is_resource(resource_type);
                if !is_type || resource_type == "SubscriptionStatus" {
                    return Err(unknown());
                }
                require_read(caller, resource_type)?;
                Some(ResourceType::new(resource_type).map_err(|_| unknown())?)
            }
            HistoryOf::Base => {
                caller.require(Right::Read)?;
                None
            }
        };
        let page = move || node.log_history(&by, version, resource_type.as_ref(), query);
        self.shared.work(page).await
    }

    fn instance_history(
        &self,
        caller: &Caller,
        key: &ResourceKey,
        query: HistoryQuery,
    ) -> Result<HistoryPage, Error> {
        let store = self.shared.store.as_ref();
        let newest = store.current(std::slice::from_ref(key))?.pop().flatten();
        let newest = newest.ok_or_else(|| Error::not_found(key))?;
        if !self.is_visible(caller, key)? {
            return Err(Error::not_found(key));
        }
        let is_whole = query.since.is_none() && query.at.is_none();
        let total = is_whole.then(|| newest.version.get());
        let mut page = Page::new(query);
        let mut before = query.before.and_then(VersionId::new);
        while page.has_room() {
            let versions = store.history(key, before, usize::from(CHUNK))?;
            let Some(last) = versions.last() else { return Ok(page.ended(total)) };
            before = Some(last.version);
            for change in versions {
                if query.is_over(change.at) {
                    return Ok(page.ended(total));
                }
                let place = change.version.get();
                let is_wanted = self.was_current(&change, &query)?;
                if !page.take(change, place, is_wanted) {
                    return Ok(page.cut(total));
                }
            }
        }
        Ok(page.cut(total))
    }

    fn log_history(
        &self,
        caller: &Caller,
        version: FhirVersion,
        resource_type: Option<&ResourceType>,
        query: HistoryQuery,
    ) -> Result<HistoryPage, Error> {
        let head = self.shared.head().map_or(0, Position::get);
        let mut before = query.before.unwrap_or(u64::MAX).min(head + 1);
        if let Some((_, until)) = query.at {
            before = before.min(self.first_after(until, before)?);
        }
        let may_subscriptions = caller.require(Right::Subscribe).is_ok();
        let mut visible: FxHashMap<ResourceKey, bool> = FxHashMap::default();
        let mut page = Page::new(query);
        while page.has_room() && before > 1 {
            let chunk = self.changes_below(before)?;
            before = before.saturating_sub(u64::from(CHUNK)).max(1);
            for change in chunk.into_iter().rev() {
                if query.is_over(change.at) {
                    return Ok(page.ended(None));
                }
                let place = change.position.get();
                let key = &change.key;
                let is_of = key.base == base_of(version)
                    && resource_type.is_none_or(|one| *one == key.resource_type)
                    && !is_occurrence(&change);
                let is_subscription = key.resource_type.as_str() == "Subscription";
                let mut is_wanted = is_of && (!is_subscription || may_subscriptions);
                if is_wanted && is_subscription {
                    is_wanted = match visible.get(key) {
                        Some(known) => *known,
                        None => {
                            let known = self.is_visible(caller, key)?;
                            visible.insert(key.clone(), known);
                            known
                        }
                    };
                }
                let is_wanted = is_wanted && self.was_current(&change, &query)?;
                if !page.take(change, place, is_wanted) {
                    return Ok(page.cut(None));
                }
            }
        }
        Ok(if before > 1 { page.cut(None) } else { page.ended(None) })
    }

    /// The changes just below a position, in order; all of them from [`CHUNK`] below on.
    fn changes_below(&self, before: u64) -> Result<Vec<Change>, Error> {
        let first = before.saturating_sub(u64::from(CHUNK)).max(1);
        let mut chunk: Vec<Change> = Vec::new();
        let mut after = Position::new(first - 1);
        loop {
            let left = before - after.map_or(0, Position::get) - 1;
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            if limit == 0 {
                return Ok(chunk);
            }
            let page = self.shared.store.changes(after, limit)?;
            let Some(last) = page.last() else { return Ok(chunk) };
            after = Some(last.position);
            chunk.extend(page);
        }
    }

    /// The first position below `before` whose change is later than a time, or `before`. The time
    /// of the log never runs back.
    fn first_after(&self, time: Timestamp, before: u64) -> Result<u64, Error> {
        let (mut low, mut high) = (1, before);
        while low < high {
            let middle = low + (high - low) / 2;
            let change = Position::new(middle).map(|one| self.shared.store.change(one));
            match change.transpose()?.flatten() {
                Some(change) if change.at > time => high = middle,
                Some(_) | None => low = middle + 1,
            }
        }
        Ok(low)
    }

    /// Whether a version was current at some time that was asked for.
    fn was_current(&self, change: &Change, query: &HistoryQuery) -> Result<bool, Error> {
        let Some((from, until)) = query.at else { return Ok(true) };
        if change.at > until {
            return Ok(false);
        }
        if change.at >= from {
            return Ok(true);
        }
        if change.interaction == Interaction::Delete {
            return Ok(false);
        }
        let next = self.shared.store.version(&change.key, change.version.next())?;
        Ok(next.is_none_or(|next| next.at > from))
    }
}

impl HistoryQuery {
    /// Whether nothing older than this is asked for.
    fn is_over(&self, at: Timestamp) -> bool {
        self.since.is_some_and(|since| at < since)
    }
}

/// A page in the making.
struct Page {
    query: HistoryQuery,
    changes: Vec<Change>,
    bytes: usize,
    scanned: usize,
    /// The place of the last change that was looked at.
    last: Option<u64>,
}

impl Page {
    fn new(query: HistoryQuery) -> Self {
        Self { query, changes: Vec::new(), bytes: 0, scanned: 0, last: query.before }
    }

    fn has_room(&self) -> bool {
        self.changes.len() < self.query.count
            && self.scanned < SCAN_MAX
            && self.bytes < PAGE_BYTES_MAX
    }

    /// Takes the next change, if there is room.
    fn take(&mut self, change: Change, place: u64, is_wanted: bool) -> bool {
        if !self.has_room() {
            return false;
        }
        self.scanned += 1;
        self.last = Some(place);
        if is_wanted {
            self.bytes += change.body.len();
            self.changes.push(change);
        }
        true
    }

    /// There is nothing more.
    fn ended(self, total: Option<u64>) -> HistoryPage {
        HistoryPage { changes: self.changes, before: None, total }
    }

    /// There may be more, unless this went down to the first.
    fn cut(self, total: Option<u64>) -> HistoryPage {
        HistoryPage { before: self.last.filter(|last| *last > 1), changes: self.changes, total }
    }
}
