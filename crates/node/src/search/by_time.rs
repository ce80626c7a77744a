//! Pages by the time of the last change (`_sort=_lastUpdated`, `_sort=-_lastUpdated`), of however
//! many matches.
//!
//! The index is asked for one stretch of time after the other, from the place of the page on. The log
//! tells how long the first one is to be; they become longer while little is found in them, and
//! shorter where there is much. Much may have one time, since all that a transaction writes has: of
//! that, what is written first comes first, and no more is looked at than the page needs. What
//! changed since the first page is ordered as it was then, so it is found first, wherever it was.

use std::ops::Bound;

use cresset_model::{Position, VersionId};
use cresset_store::{Clause, Condition, Found, Query, SEARCH_PAGE_MAX};
use jiff::{SignedDuration, Timestamp};

use super::answer::Page;
use super::finder::Finder;
use super::narrow::Narrowed;
use super::request::{Asked, Asking};
use super::sort::{Order, Row, SORTED_MAX};
use super::too_costly;
use crate::error::Error;

/// Changes in the first stretch of time.
const FIRST_COUNT: u64 = 200;
/// The shortest: times are told apart by the millisecond, so all in it have the same one.
const STRETCH_MIN: SignedDuration = SignedDuration::from_micros(999);
/// How much longer or shorter the next stretch is.
const FACTOR: i32 = 4;
/// Stretches for one page (I10): enough to come to any millisecond of a century.
const STRETCHES_MAX: usize = 200;
/// Candidates of one type in a stretch; one with more is made shorter.
const STRETCH_COUNT_MAX: usize = 256;
/// Candidates of one type that have the same time (I10): more than a transaction can have.
const MOMENT_COUNT_MAX: usize = 200_000;
/// Pages of the index for the candidates of one type in a stretch (I10).
const PAGES_MAX: usize = 400;

/// What is left of the log's time, from the page's place to its end.
struct Left {
    from: Timestamp,
    to: Timestamp,
    descending: bool,
    /// How long the next stretch is.
    length: SignedDuration,
    /// The end of a stretch that was too long; until there, none is made longer.
    crowded_until: Option<Timestamp>,
}

impl Left {
    /// The next stretch of this length, both ends in it.
    fn stretch(&self) -> Stretch {
        let length = self.length;
        match self.descending {
            true => (self.to.checked_sub(length).unwrap_or(self.from).max(self.from), self.to),
            false => (self.from, self.from.checked_add(length).unwrap_or(self.to).min(self.to)),
        }
    }

    /// Goes on behind a stretch; false if that was the last one.
    fn pass(&mut self, (from, to): Stretch) -> bool {
        let one = SignedDuration::from_nanos(1);
        let is_behind = |end| if self.descending { from <= end } else { to >= end };
        if self.crowded_until.is_none_or(is_behind) {
            self.crowded_until = None;
            self.length = self.length.saturating_mul(FACTOR);
        }
        match self.descending {
            true => self.to = from.checked_sub(one).unwrap_or(from),
            false => self.from = to.checked_add(one).unwrap_or(to),
        }
        self.from <= self.to
    }

    /// Makes the next stretch shorter, since there is too much in this one; false if none can be.
    fn shorten(&mut self, (from, to): Stretch) -> bool {
        if self.length <= STRETCH_MIN {
            return false;
        }
        self.crowded_until = Some(if self.descending { from } else { to });
        self.length = (self.length / FACTOR).max(STRETCH_MIN);
        true
    }
}

/// What is asked of a type, and what the index is asked for it.
type Part<'a> = (&'a Asking, Narrowed);

/// Both ends of a stretch are in it.
type Stretch = (Timestamp, Timestamp);

impl Finder<'_> {
    /// A page in the order of the last changes.
    pub(super) fn page_by_time(&mut self, asked: &Asked, order: &Order<'_>) -> Result<Page, Error> {
        let Some(mut left) = self.left(order)? else { return Ok(Page::default()) };
        let mut parts = Vec::new();
        for asking in &asked.askings {
            parts.extend(self.narrow(asking)?.map(|narrowed| (asking, narrowed)));
        }
        if parts.iter().any(|(_, narrowed)| narrowed.is_hopeless) {
            return Err(too_costly("follow the chains"));
        }
        let mut moved = self.moved(&parts, order)?;
        let count = asked.wanted.count;
        let mut rows = Vec::new();
        for _ in 0..STRETCHES_MAX {
            let stretch = left.stretch();
            let Some(mut found) = self.unmoved(&parts, order, stretch, count + 1)? else {
                if self.is_spent() || !left.shorten(stretch) {
                    break;
                }
                continue;
            };
            let (from, to) = stretch;
            found.extend(moved.extract_if(.., |row| (from..=to).contains(&row.at)));
            rows.extend(order.rest(found));
            let is_end = !left.pass(stretch);
            if rows.len() > count || is_end {
                return self.page_of(rows, order, count);
            }
        }
        Err(too_costly("put what matches in order"))
    }

    /// The time that the page is about; none of an empty log.
    fn left(&self, order: &Order<'_>) -> Result<Option<Left>, Error> {
        let Some(first) = self.store.changes(None, 1)?.into_iter().next() else { return Ok(None) };
        let descending = order.sort.first().is_some_and(|key| key.descending);
        let (mut from, mut to) = (first.at, self.time_of(order.upto)?.unwrap_or(Timestamp::MAX));
        let after = order.after.as_ref().map(|after| (after.then.get(), after.at));
        let other = match descending {
            true => {
                let (place, at) = after.unwrap_or((order.upto, to));
                to = at;
                place.saturating_sub(FIRST_COUNT).max(first.position.get())
            }
            false => {
                let (place, at) = after.unwrap_or((first.position.get(), from));
                from = at;
                place.saturating_add(FIRST_COUNT).min(order.upto)
            }
        };
        let start = if descending { to } else { from };
        let length = self.time_of(other)?.map(|at| at.duration_since(start).abs());
        let length = length.unwrap_or(STRETCH_MIN).max(STRETCH_MIN);
        Ok(Some(Left { from, to, descending, length, crowded_until: None }))
    }

    /// When a position of the log was written, if it is there.
    fn time_of(&self, position: u64) -> Result<Option<Timestamp>, Error> {
        let change = Position::new(position).map(|position| self.store.change(position));
        Ok(change.transpose()?.flatten().map(|change| change.at))
    }

    /// The matches that changed since the first page, by what they were then.
    fn moved(&mut self, parts: &[Part<'_>], order: &Order<'_>) -> Result<Vec<Row>, Error> {
        let Some(from) = self.time_of(order.upto.saturating_add(1))? else {
            return Ok(Vec::new());
        };
        let since = (Bound::Included(from), Bound::Unbounded);
        // What has its first version since then was not there.
        let is_moved =
            |one: &Found| one.position.get() > order.upto && one.version > VersionId::FIRST;
        let mut rows = Vec::new();
        for part in parts {
            let found = self.candidates(part, since, SORTED_MAX, is_moved)?;
            let is_all = match found {
                Some(found) => {
                    self.add_candidates(part.0, order, (&found, usize::MAX), &mut rows)?
                }
                None => false,
            };
            if !is_all {
                return Err(too_costly("find what changed since the first page"));
            }
        }
        Ok(rows)
    }

    /// The matches that did not change since the first page and changed last in a stretch of time,
    /// behind the place of the page; none if they are too many.
    ///
    /// In a stretch that is a single moment, as many as are wanted of each type are enough: those
    /// that come first.
    fn unmoved(
        &mut self,
        parts: &[Part<'_>],
        order: &Order<'_>,
        (from, to): Stretch,
        wanted: usize,
    ) -> Result<Option<Vec<Row>>, Error> {
        let is_moment = to.duration_since(from) <= STRETCH_MIN;
        let (limit, wanted) = match is_moment {
            true => (MOMENT_COUNT_MAX, wanted),
            false => (STRETCH_COUNT_MAX, usize::MAX),
        };
        let after =
            order.after.as_ref().filter(|after| is_moment && (from..=to).contains(&after.at));
        let after = after.map(|after| after.then);
        let is_left = |one: &Found| one.position.get() <= order.upto && Some(one.position) > after;
        let bounds = (Bound::Included(from), Bound::Included(to));
        let mut rows = Vec::new();
        for part in parts {
            let Some(mut found) = self.candidates(part, bounds, limit, is_left)? else {
                return Ok(None);
            };
            found.sort_unstable();
            if !self.add_candidates(part.0, order, (&found, wanted), &mut rows)? {
                return Ok(None);
            }
        }
        Ok(Some(rows))
    }

    /// What the index has of a type in a stretch of time, as far as it is of use; none if that is
    /// more than `limit`, or too much to look at. No resource is looked at.
    fn candidates(
        &mut self,
        (asking, narrowed): &Part<'_>,
        bounds: (Bound<Timestamp>, Bound<Timestamp>),
        limit: usize,
        is_of_use: impl Fn(&Found) -> bool,
    ) -> Result<Option<Vec<Position>>, Error> {
        let page_count = SEARCH_PAGE_MAX.min(limit + 1);
        let mut query = Query { limit: page_count, ..self.query(asking, narrowed) };
        let any = vec![Condition::LastUpdated(bounds.0, bounds.1)];
        query.clauses.push(Clause { any, negated: false });
        let mut positions = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.store.search(&query)?;
            let count = page.found.len();
            let of_use = page.found.into_iter().filter(&is_of_use);
            positions.extend(of_use.map(|one| one.position));
            if positions.len() > limit {
                return Ok(None);
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(Some(positions));
            }
            if count < page_count && !self.spend_scan() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Adds those of these candidates that match, in this order, until there are as many as wanted;
    /// false if that takes a look at too many.
    fn add_candidates(
        &mut self,
        asking: &Asking,
        order: &Order<'_>,
        (candidates, wanted): (&[Position], usize),
        rows: &mut Vec<Row>,
    ) -> Result<bool, Error> {
        let end = rows.len().saturating_add(wanted);
        let mut left = candidates.iter().copied().peekable();
        while rows.len() < end && left.peek().is_some() {
            if self.is_spent() {
                return Ok(false);
            }
            for change in self.lot_at(asking, &mut left)? {
                rows.extend(self.row(order, &change)?);
            }
        }
        Ok(true)
    }
}
