//! Resource types and client names as small numbers, so that rows need not repeat them.

use std::sync::{PoisonError, RwLock};

use cresset_model::{ClientName, ResourceType};
use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::fault::Fault;

/// What can be a name.
pub(crate) trait Name: Clone {
    /// Stored; never changes meaning.
    const KIND: i64;
    fn parse(text: &str) -> Option<Self>;
    fn text(&self) -> &str;
}

impl Name for ResourceType {
    const KIND: i64 = 1;
    fn parse(text: &str) -> Option<Self> {
        Self::new(text).ok()
    }
    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Name for ClientName {
    const KIND: i64 = 2;
    fn parse(text: &str) -> Option<Self> {
        Self::new(text).ok()
    }
    fn text(&self) -> &str {
        self.as_str()
    }
}

/// The names of one kind, remembered as they are met.
#[derive(Debug)]
pub(crate) struct Names<N> {
    known: RwLock<Known<N>>,
}

#[derive(Debug)]
struct Known<N> {
    names: FxHashMap<i64, N>,
    numbers: FxHashMap<SmolStr, i64>,
    /// Numbers given in the transaction that is under way.
    fresh: Vec<i64>,
}

impl<N: Name> Names<N> {
    pub(crate) fn new() -> Self {
        let known =
            Known { names: FxHashMap::default(), numbers: FxHashMap::default(), fresh: Vec::new() };
        Self { known: RwLock::new(known) }
    }

    /// The number of a name, if it has one.
    pub(crate) fn number(&self, connection: &Connection, name: &N) -> Result<Option<i64>, Fault> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.numbers.get(name.text()) {
            return Ok(Some(*number));
        }
        drop(known);
        let number: Option<i64> = connection
            .prepare_cached("SELECT number FROM name WHERE kind = ?1 AND text = ?2")?
            .query_row(params![N::KIND, name.text()], |row| row.get(0))
            .optional()?;
        if let Some(number) = number {
            self.know(number, name, false);
        }
        Ok(number)
    }

    /// The number of a name, given now if it has none. To be called in the writer's transaction,
    /// which then ends with [`settle`](Self::settle).
    pub(crate) fn number_or_insert(&self, connection: &Connection, name: &N) -> Result<i64, Fault> {
        if let Some(number) = self.number(connection, name)? {
            return Ok(number);
        }
        let number: i64 = connection.query_row(
            "INSERT INTO name SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM name WHERE kind = ?1
             RETURNING number",
            params![N::KIND, name.text()],
            |row| row.get(0),
        )?;
        self.know(number, name, true);
        Ok(number)
    }

    /// The name with this number.
    pub(crate) fn name(&self, connection: &Connection, number: i64) -> Result<N, Fault> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.names.get(&number) {
            return Ok(name.clone());
        }
        drop(known);
        let text: Option<String> = connection
            .prepare_cached("SELECT text FROM name WHERE kind = ?1 AND number = ?2")?
            .query_row([N::KIND, number], |row| row.get(0))
            .optional()?;
        let name = text
            .and_then(|text| N::parse(&text))
            .ok_or(Fault::corrupt("a row names what has no name"))?;
        self.know(number, &name, false);
        Ok(name)
    }

    /// Ends a transaction: numbers given in it stay, or are forgotten with it.
    pub(crate) fn settle(&self, committed: bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for number in std::mem::take(&mut known.fresh) {
            if committed {
                continue;
            }
            if let Some(name) = known.names.remove(&number) {
                known.numbers.remove(name.text());
            }
        }
    }

    fn know(&self, number: i64, name: &N, fresh: bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.numbers.insert(name.text().into(), number);
        known.names.insert(number, name.clone());
        if fresh {
            known.fresh.push(number);
        }
    }
}
