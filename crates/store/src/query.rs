//! What a search asks the index, what it answers, and what a match is.
//!
//! The meaning of a query is [`Query::matches`] (matching.rs), for every store; an index on disk only narrows
//! down which documents to ask it about.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use cresset_model::{Base, Position, ResourceId, ResourceKey, ResourceType, VersionId};
use jiff::Timestamp;
use smol_str::SmolStr;

/// Most resources of one page of a search.
pub const SEARCH_PAGE_MAX: usize = 1_000;
/// Most documents that one search call looks at before it answers with what it has.
pub const SEARCH_SCAN_MAX: usize = 20_000;
/// Most documents that are looked at to count a total.
pub const SEARCH_TOTAL_MAX: usize = 20_000;

/// A search over the resources of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The base.
    pub base: Base,
    /// The type.
    pub resource_type: ResourceType,
    /// All must hold.
    pub clauses: Vec<Clause>,
    /// Where the page before this one ended.
    pub after: Option<SearchCursor>,
    /// Most resources to return; at most [`SEARCH_PAGE_MAX`]. 0 asks for the total alone.
    pub limit: usize,
    /// Whether to count all that match, whatever the page.
    pub total: bool,
}

/// Conditions of which one must hold, or none if `negated` (`:not`).
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// The conditions.
    pub any: Vec<Condition>,
    /// Turns the clause round: it holds if no condition does.
    pub negated: bool,
}

/// One condition on a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Its id is this.
    Id(ResourceId),
    /// It was last updated within these bounds.
    LastUpdated(Bound<Timestamp>, Bound<Timestamp>),
    /// It has no value of the parameter (or has one, if `missing` is false).
    Missing {
        /// Code of the search parameter.
        parameter: SmolStr,
        /// What `:missing` was given.
        missing: bool,
    },
    /// A value of the parameter passes the test.
    Value {
        /// Code of the search parameter.
        parameter: SmolStr,
        /// The test.
        test: Test,
    },
}

/// A test of one search value. A value of another kind never passes.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It refers to this resource; to one of any type if none is named.
    Reference {
        /// Type of the target.
        resource_type: Option<SmolStr>,
        /// Id of the target.
        id: SmolStr,
    },
    /// It refers to this URL.
    ReferenceUrl(SmolStr),
    /// A stretch has a place in common with this one.
    Stretch {
        /// The first place.
        low: i64,
        /// The last place.
        high: i64,
    },
    /// The folded text contains this (folded) text.
    TextContains(SmolStr),
    /// The text is exactly this. `folded` is the same text, folded.
    TextExact {
        /// The folded text.
        folded: SmolStr,
        /// The exact text.
        exact: SmolStr,
    },
    /// The folded text starts with this (folded) text.
    TextPrefix(SmolStr),
    /// The system is as said, and the code is this one, if one is named.
    Token {
        /// The system.
        system: SystemTest,
        /// The code.
        code: Option<SmolStr>,
    },
    /// The URI is this.
    Uri(SmolStr),
    /// The URI starts with this (`:below`).
    UriPrefix(SmolStr),
}

/// What a token search says about the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemTest {
    /// `|code`: there is none.
    Absent,
    /// `code`: anything.
    Any,
    /// `system|code`: this one.
    Is(SmolStr),
}

/// A page of what was found.
///
/// Resources come in the order in which they entered the index, which never changes while they
/// live: a resource that matches during the whole of a paged search is found exactly once,
/// whatever else is written meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What was found. May be fewer than asked for, or none, although `next` is there: one call
    /// looks at no more than [`SEARCH_SCAN_MAX`] documents.
    pub found: Vec<Found>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<SearchCursor>,
    /// The total, if it was asked for.
    pub total: Option<Total>,
}

/// A resource that was found; its body is the change at `position`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The resource.
    pub key: ResourceKey,
    /// The version that the index knows.
    pub version: VersionId,
    /// Its place in the log.
    pub position: Position,
    /// Where a page would start behind it.
    pub cursor: SearchCursor,
}

/// How many resources match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// Those counted.
    pub count: u64,
    /// Whether these are all; false if counting stopped at [`SEARCH_TOTAL_MAX`].
    pub exact: bool,
}

/// Where a page ended, to be handed to clients as an opaque text and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchCursor {
    /// Which index it belongs to; a rebuilt index is another one.
    pub generation: u64,
    /// The store's number of the last document looked at.
    pub document: u64,
}

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.generation, self.document)
    }
}

/// A text that is no search cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no search cursor")]
pub struct InvalidCursor;

impl FromStr for SearchCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => u64::from_str_radix(text, 16).map_err(|_| InvalidCursor),
            false => Err(InvalidCursor),
        };
        let (generation, document) = text.split_once('-').ok_or(InvalidCursor)?;
        Ok(Self { generation: number(generation)?, document: number(document)? })
    }
}
