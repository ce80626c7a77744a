//! Pages in an order that the client asks for.
//!
//! All matches are found and put in order for each page, as many as [`SORTED_MAX`]; of more, those
//! that changed last or first come by the index (`by_time.rs`). A resource that changed since the
//! first page is ordered as it was then (`place.rs`).

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use cresset_fhir::json;
use cresset_model::{Change, Position, ResourceKey, VersionId};
use cresset_search::{ResourceValues, SearchValue, Target};
use jiff::Timestamp;

use super::answer::Page;
use super::finder::{Finder, PAGE_BYTES_MAX};
use super::narrow::Narrowed;
use super::place::Place;
use super::request::{Asked, Asking};
use super::too_costly;
use super::walk::LOT_MAX;
use super::wanted::{SortKey, bad_place};
use crate::draft::is_alive;
use crate::error::{Error, Kind};
use crate::versions;

/// Matches that are put in order at most (I10).
pub(super) const SORTED_MAX: usize = 10_000;
/// Matches that are put in order as a whole, though the index has their order.
const FEW: usize = 256;

/// A match, by what it is put in order.
pub(super) struct Row {
    keys: Vec<Option<Key>>,
    /// The version by which it is put in order: nothing else has its position.
    pub(super) then: Position,
    /// When that came to be.
    pub(super) at: Timestamp,
    /// The version that is shown.
    pub(super) position: Position,
}

/// The order that is asked for, and which part of it.
pub(super) struct Order<'o> {
    pub(super) sort: &'o [SortKey],
    /// As it was at this position of the log.
    pub(super) upto: u64,
    /// Behind this one.
    pub(super) after: Option<Row>,
}

impl Order<'_> {
    /// The rows that are in the part, in order.
    pub(super) fn rest(&self, mut rows: Vec<Row>) -> Vec<Row> {
        let is_after =
            |row: &Row| self.after.as_ref().is_none_or(|last| self.compare(last, row).is_lt());
        rows.retain(is_after);
        rows.sort_unstable_by(|a, b| self.compare(a, b));
        rows
    }

    /// By each key, what has no value last; then by what changed first, so that nothing is equal.
    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let pairs = self.sort.iter().zip(a.keys.iter().zip(&b.keys));
        let by_keys = pairs.map(|(key, pair)| match pair {
            (Some(a), Some(b)) => {
                let ordering = a.partial_cmp(b).unwrap_or(Ordering::Equal);
                if key.descending { ordering.reverse() } else { ordering }
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        by_keys.fold(Ordering::Equal, Ordering::then).then_with(|| a.then.cmp(&b.then))
    }
}

/// A value that has an order.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Key {
    Number(f64),
    Text(String),
    Time(i64),
}

impl Finder<'_> {
    /// A page in the order asked for.
    pub(super) fn sorted_page(&mut self, asked: &Asked) -> Result<Page, Error> {
        let sort = &asked.wanted.sort;
        let (upto, after) = match &asked.wanted.place {
            Some(Place::Sorted { upto, last }) => (*upto, Some(self.row_of(sort, *upto, last)?)),
            Some(Place::Indexed { .. }) | None => {
                (self.store.index_position()?.map_or(0, Position::get), None)
            }
        };
        let order = Order { sort, upto, after };
        if let [SortKey { code, .. }] = sort.as_slice()
            && code == "_lastUpdated"
            && self.are_many(asked, FEW)?
        {
            return self.page_by_time(asked, &order);
        }
        let mut rows = Vec::new();
        for asking in &asked.askings {
            let Some(narrowed) = self.narrow(asking)? else { continue };
            if !self.add_rows(asking, &narrowed, &order, &mut rows)? {
                return Err(too_costly("put what matches in order"));
            }
        }
        let total = rows.len() as u64;
        let page = self.page_of(order.rest(rows), &order, asked.wanted.count)?;
        Ok(Page { total: Some(total), ..page })
    }

    /// The first of these rows, which are in order.
    pub(super) fn page_of(
        &self,
        rows: Vec<Row>,
        order: &Order<'_>,
        count: usize,
    ) -> Result<Page, Error> {
        let mut rows = rows.into_iter().peekable();
        let mut page = Page::default();
        let mut bytes = 0;
        while page.matches.len() < count
            && bytes <= PAGE_BYTES_MAX
            && let Some(row) = rows.next()
        {
            if let Some(change) = self.store.change(row.position)? {
                bytes += change.body.len();
                page.matches.push(Arc::new(change));
            }
        }
        let last = page.matches.last().filter(|_| rows.peek().is_some());
        let upto = order.upto;
        page.next = last.map(|last| Place::Sorted { upto, last: last.key.to_string() });
        Ok(page)
    }

    /// A match as it is put in order; none if it was not there at the first page.
    pub(super) fn row(
        &mut self,
        order: &Order<'_>,
        change: &Arc<Change>,
    ) -> Result<Option<Row>, Error> {
        let then = match change.position.get() <= order.upto {
            true => Some(change.clone()),
            // There is none before its first version.
            false if change.version == VersionId::FIRST => None,
            false => self.as_of(&change.key, order.upto)?,
        };
        Ok(then.map(|then| Row {
            keys: self.keys(order.sort, &then),
            then: then.position,
            at: then.at,
            position: change.position,
        }))
    }

    /// Adds all matches that were there; false if they are too many.
    fn add_rows(
        &mut self,
        asking: &Asking,
        narrowed: &Narrowed,
        order: &Order<'_>,
        rows: &mut Vec<Row>,
    ) -> Result<bool, Error> {
        let mut walk = self.walk(asking, narrowed, None)?;
        loop {
            for change in self.lot(&mut walk, LOT_MAX)? {
                rows.extend(self.row(order, &change)?);
            }
            if walk.place().is_none() {
                return Ok(rows.len() <= SORTED_MAX);
            }
            if rows.len() > SORTED_MAX || self.is_spent() {
                return Ok(false);
            }
        }
    }

    /// The resource that a page is behind, as it was.
    fn row_of(&mut self, sort: &[SortKey], upto: u64, last: &str) -> Result<Row, Error> {
        let bad = || Error::new(Kind::Malformed, bad_place());
        let key = Place::key(self.base, last).ok_or_else(bad)?;
        let change = self.as_of(&key, upto)?.filter(|change| self.sees(change)).ok_or_else(bad)?;
        let (position, at) = (change.position, change.at);
        Ok(Row { keys: self.keys(sort, &change), then: position, at, position })
    }

    /// A resource as it was at a position; none if it was not there.
    ///
    /// Versions that were looked at are resources that were judged; a search that runs out of those
    /// is refused, for a page without this one would lie.
    fn as_of(&mut self, key: &ResourceKey, upto: u64) -> Result<Option<Arc<Change>>, Error> {
        let Some(newest) = self.store.current(std::slice::from_ref(key))?.pop().flatten() else {
            return Ok(None);
        };
        let is_then = |change: &Change| change.position.get() <= upto;
        let (then, looks) = versions::last_that(self.store, newest, is_then)?;
        if !self.spend(looks) {
            return Err(too_costly("find what it was at the first page"));
        }
        Ok(then.filter(|then| is_alive(Some(then))).map(Arc::new))
    }

    fn keys(&self, sort: &[SortKey], change: &Change) -> Vec<Option<Key>> {
        let Ok(value) = json::parse(&change.body) else { return vec![None; sort.len()] };
        let resource_type = change.key.resource_type.as_str();
        let values = ResourceValues::new(self.scope, resource_type, &value);
        let key = |one: &SortKey| {
            let parameter = self.scope.parameters.get(resource_type, &one.code)?;
            // What cannot be read has no place, as if it were not there.
            let keys = values.of(parameter).unwrap_or_default().iter().filter_map(key_of);
            keys.reduce(|a, b| match (a.partial_cmp(&b), one.descending) {
                (Some(Ordering::Less), true) | (Some(Ordering::Greater), false) => b,
                (_, _) => a,
            })
        };
        sort.iter().map(key).collect()
    }
}

/// What a value is ordered by; times by their start, numbers as they are written.
fn key_of(value: &SearchValue<'_>) -> Option<Key> {
    let number = |low: Bound<_>, high: Bound<_>| {
        let bound = match (low, high) {
            (Bound::Included(bound) | Bound::Excluded(bound), _)
            | (Bound::Unbounded, Bound::Included(bound) | Bound::Excluded(bound)) => bound,
            (Bound::Unbounded, Bound::Unbounded) => return None,
        };
        f64::try_from(bound).ok().map(Key::Number)
    };
    match value {
        SearchValue::Composite(_) => None,
        SearchValue::Date(range) => Some(Key::Time(range.start)),
        SearchValue::Number(range) => number(range.low, range.high),
        SearchValue::Quantity(quantity) => number(quantity.number.low, quantity.number.high),
        SearchValue::Reference(reference) => match reference.target {
            Target::Local { resource_type, id, .. } => {
                Some(Key::Text(format!("{resource_type}/{id}")))
            }
            Target::Url { url, .. } => Some(Key::Text(url.to_owned())),
            Target::Contained | Target::Logical => None,
        },
        SearchValue::String(text) => Some(Key::Text(text.folded.to_string())),
        SearchValue::Token(token) => token.code.map(|code| Key::Text(code.to_owned())),
        SearchValue::Uri(uri) => Some(Key::Text(uri.url.to_owned())),
    }
}
