//! Where a page of a search begins, as an opaque text in links.
//!
//! Without `_sort`, resources come in the order in which they entered the index, which never
//! changes while they live. With it, they come in the order that they had at the first page: a
//! resource that changed since keeps its place, and one that came since has none. Either way, what
//! matches during the whole of a paged search is found exactly once, whatever is written meanwhile.

use std::fmt;
use std::str::FromStr;

use cresset_model::{Base, Position, ResourceKey};
use cresset_store::SearchCursor;

use crate::reference;

/// A place between two resources that a search finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the index's order: in which of the types searched, and where in it.
    Indexed { part: usize, cursor: Option<SearchCursor> },
    /// In the order as it was at a position of the log: behind this `Type/id`.
    Sorted { upto: u64, last: String },
}

impl Place {
    /// The key of the resource that it is behind, in a sorted search.
    pub(super) fn key(base: Base, last: &str) -> Option<ResourceKey> {
        reference::key_of(base, last)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indexed { part, cursor: None } => write!(f, "i-{part:x}"),
            Self::Indexed { part, cursor: Some(cursor) } => write!(f, "i-{part:x}-{cursor}"),
            Self::Sorted { upto, last } => write!(f, "s-{upto:x}-{last}"),
        }
    }
}

/// A text that is no place in a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvalidPlace;

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let mut parts = text.splitn(3, '-');
        let kind = parts.next();
        let number = parts.next().ok_or(InvalidPlace)?;
        let number = u64::from_str_radix(number, 16).map_err(|_| InvalidPlace)?;
        match (kind, parts.next()) {
            (Some("i"), cursor) => {
                let part = usize::try_from(number).map_err(|_| InvalidPlace)?;
                let cursor = cursor.map(str::parse).transpose().map_err(|_| InvalidPlace)?;
                Ok(Self::Indexed { part, cursor })
            }
            (Some("s"), Some(last)) if Position::new(number).is_some() => {
                Ok(Self::Sorted { upto: number, last: last.to_owned() })
            }
            (_, _) => Err(InvalidPlace),
        }
    }
}
