//! What the index finds of one type, looked at a lot at a time.
//!
//! The index is asked for more with every call, so that what one call has to look up, however far
//! along the walk is, is looked up a few times and not for each lot.

use std::collections::VecDeque;
use std::sync::Arc;

use cresset_model::{Change, Position, ResourceType};
use cresset_store::{Found, Query, SEARCH_PAGE_MAX, SearchCursor};

use super::finder::Finder;
use super::narrow::Narrowed;
use super::request::Asking;
use super::too_costly;
use crate::error::Error;

/// Resources that are judged together; a page can end after each lot.
pub(super) const LOT_MAX: usize = 64;
/// Bytes of resources read for one lot, apart from a single larger one (I10).
const LOT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A walk along what the index finds, in its order.
pub(super) struct Walk<'w> {
    asking: &'w Asking,
    /// Asks for what comes after `ahead`.
    query: Query,
    /// Found, and not looked at yet.
    ahead: VecDeque<Found>,
    /// Behind what was looked at; none at the beginning.
    place: Option<SearchCursor>,
    /// The index has nothing after `ahead`.
    is_read: bool,
}

impl Walk<'_> {
    /// Where the walk goes on; none at its end.
    pub(super) fn place(&self) -> Option<SearchCursor> {
        self.place.filter(|_| !self.ahead.is_empty() || !self.is_read)
    }

    /// The next candidate, if it was found already.
    fn step(&mut self) -> Option<Position> {
        let found = self.ahead.pop_front()?;
        // Behind the last one the index has looked further.
        self.place = if self.ahead.is_empty() { self.query.after } else { Some(found.cursor) };
        Some(found.position)
    }
}

impl Finder<'_> {
    /// A walk from a place on.
    ///
    /// # Errors
    /// `TooCostly` if the index would be asked for too much.
    pub(super) fn walk<'w>(
        &self,
        asking: &'w Asking,
        narrowed: &Narrowed,
        place: Option<SearchCursor>,
    ) -> Result<Walk<'w>, Error> {
        if narrowed.is_hopeless {
            return Err(too_costly("follow the chains"));
        }
        let query = Query { after: place, ..self.query(asking, narrowed) };
        Ok(Walk { asking, query, ahead: VecDeque::new(), place, is_read: false })
    }

    /// What the index is asked of a type; for no resource yet.
    pub(super) fn query(&self, asking: &Asking, narrowed: &Narrowed) -> Query {
        let resource_type = ResourceType::new(asking.resource_type);
        Query {
            base: self.base,
            resource_type: resource_type.expect("FHIR's types are types"),
            clauses: narrowed.clauses.clone(),
            after: None,
            limit: 0,
            total: false,
        }
    }

    /// Looks at the next candidates, at most `limit`, and gives those that fit.
    pub(super) fn lot(
        &mut self,
        walk: &mut Walk<'_>,
        limit: usize,
    ) -> Result<Vec<Arc<Change>>, Error> {
        let limit = limit.min(LOT_MAX);
        self.look_ahead(walk, limit)?;
        let (asking, mut left) = (walk.asking, limit);
        let mut candidates = std::iter::from_fn(|| {
            left = left.checked_sub(1)?;
            walk.step()
        });
        self.lot_at(asking, &mut candidates)
    }

    /// Passes over the next candidates and tells how many they are.
    pub(super) fn pass(&mut self, walk: &mut Walk<'_>) -> Result<usize, Error> {
        self.look_ahead(walk, SEARCH_PAGE_MAX)?;
        Ok(std::iter::from_fn(|| walk.step()).count())
    }

    /// Asks the index for the next candidates, unless there are some: `first` of them at first.
    fn look_ahead(&mut self, walk: &mut Walk<'_>, first: usize) -> Result<(), Error> {
        if !walk.ahead.is_empty() || walk.is_read {
            return Ok(());
        }
        walk.query.limit = (walk.query.limit * 2).clamp(first, SEARCH_PAGE_MAX);
        let page = self.store.search(&walk.query)?;
        walk.is_read = page.next.is_none();
        if !walk.is_read && page.found.len() < walk.query.limit {
            self.spend_scan();
        }
        walk.query.after = page.next;
        walk.ahead = page.found.into();
        if walk.ahead.is_empty() {
            walk.place = page.next;
        }
        Ok(())
    }

    /// The next of these candidates that fit: of a lot, which may be none.
    pub(super) fn lot_at(
        &mut self,
        asking: &Asking,
        candidates: &mut impl Iterator<Item = Position>,
    ) -> Result<Vec<Arc<Change>>, Error> {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while changes.len() < LOT_MAX
            && bytes <= LOT_BYTES_MAX
            && let Some(position) = candidates.next()
        {
            let change = self.store.change(position)?;
            bytes += change.as_ref().map_or(0, |change| change.body.len());
            changes.extend(change.map(Arc::new));
        }
        self.spend(changes.len());
        Ok(self.judged(asking, changes))
    }
}
