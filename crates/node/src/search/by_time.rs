//! Pages by the time of the last change (`_sort=_lastUpdated`, `_sort=-_lastUpdated`), of however
//! many matches.
//!
//! The index is asked for one stretch of time after the other, from the place of the page on, each
//! longer than the last one while little is found in them. What changed since the first page is
//! ordered as it was then, so it is found first, wherever it was.

use std::ops::Bound;

use cresset_model::Position;
use cresset_store::{Clause, Condition};
use jiff::{SignedDuration, Timestamp};

use super::answer::Page;
use super::finder::Finder;
use super::narrow::Narrowed;
use super::request::Asked;
use super::sort::{Order, Row};
use super::too_costly;
use crate::error::Error;

/// The first stretch of time.
const STRETCH: SignedDuration = SignedDuration::from_mins(1);
/// The shortest: times are told apart by the millisecond.
const STRETCH_MIN: SignedDuration = SignedDuration::from_millis(1);
/// How much longer the next stretch is.
const FACTOR: i32 = 8;
/// Stretches for one page (I10).
const STRETCHES_MAX: usize = 100;

/// What is left of the log's time, from the page's place to its end.
struct Left {
    from: Timestamp,
    to: Timestamp,
    descending: bool,
}

impl Left {
    /// The next stretch of this length, both ends in it.
    fn stretch(&self, length: SignedDuration) -> (Timestamp, Timestamp) {
        match self.descending {
            true => (self.to.checked_sub(length).unwrap_or(self.from).max(self.from), self.to),
            false => (self.from, self.from.checked_add(length).unwrap_or(self.to).min(self.to)),
        }
    }

    /// Goes on behind a stretch; false if that was the last one.
    fn pass(&mut self, (from, to): (Timestamp, Timestamp)) -> bool {
        let one = SignedDuration::from_nanos(1);
        match self.descending {
            true => self.to = from.checked_sub(one).unwrap_or(from),
            false => self.from = to.checked_add(one).unwrap_or(to),
        }
        self.from <= self.to
    }
}

impl Finder<'_> {
    /// A page in the order of the last changes.
    pub(super) fn page_by_time(&mut self, asked: &Asked, order: &Order<'_>) -> Result<Page, Error> {
        let Some(mut left) = self.left(order)? else { return Ok(Page::default()) };
        let mut moved = Vec::new();
        let since = (Bound::Included(self.time_of(order.upto)?), Bound::Unbounded);
        if !self.add_stretch(asked, order, since, &mut moved)? {
            return Err(too_costly("find what changed since the first page"));
        }
        moved.retain(|row| row.position.get() > order.upto);
        let count = asked.wanted.count;
        let (mut rows, mut length) = (Vec::new(), STRETCH);
        for _ in 0..STRETCHES_MAX {
            let (from, to) = left.stretch(length);
            let mut found: Vec<Row> =
                moved.extract_if(.., |row| from <= row.at && row.at <= to).collect();
            let bounds = (Bound::Included(from), Bound::Included(to));
            let back = found.len();
            if !self.add_stretch(asked, order, bounds, &mut found)? {
                if length <= STRETCH_MIN || self.is_spent() {
                    break;
                }
                found.truncate(back);
                moved.append(&mut found);
                length = (length / FACTOR).max(STRETCH_MIN);
                continue;
            }
            // Those that moved are there already.
            let mut index = 0;
            found.retain(|row| {
                index += 1;
                index <= back || row.position.get() <= order.upto
            });
            rows.extend(order.rest(found));
            let is_end = !left.pass((from, to));
            if rows.len() > count || is_end {
                return self.page_of(rows, order, count);
            }
            length *= FACTOR;
        }
        Err(too_costly("put what matches in order"))
    }

    /// The time that the page is about; none of an empty log.
    fn left(&self, order: &Order<'_>) -> Result<Option<Left>, Error> {
        let Some(first) = self.store.changes(None, 1)?.first().map(|change| change.at) else {
            return Ok(None);
        };
        let descending = order.sort.first().is_some_and(|key| key.descending);
        let mut left = Left { from: first, to: self.time_of(order.upto)?, descending };
        if let Some(after) = &order.after {
            match descending {
                true => left.to = after.at,
                false => left.from = after.at,
            }
        }
        Ok(Some(left))
    }

    /// When a position of the log was written.
    fn time_of(&self, position: u64) -> Result<Timestamp, Error> {
        let change = Position::new(position).map(|position| self.store.change(position));
        let change = change.transpose()?.flatten();
        Ok(change.map_or(Timestamp::MAX, |change| change.at))
    }

    /// Adds the matches that changed last in a stretch of time; false if they are too many.
    fn add_stretch(
        &mut self,
        asked: &Asked,
        order: &Order<'_>,
        (from, to): (Bound<Timestamp>, Bound<Timestamp>),
        rows: &mut Vec<Row>,
    ) -> Result<bool, Error> {
        for asking in &asked.askings {
            let Some(Narrowed { mut clauses, is_hopeless }) = self.narrow(asking)? else {
                continue;
            };
            let any = vec![Condition::LastUpdated(from, to)];
            clauses.push(Clause { any, negated: false });
            if !self.add_rows(asking, &Narrowed { clauses, is_hopeless }, order, rows)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
