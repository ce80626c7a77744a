//! What the search index keeps of a resource.

use cresset_model::{Position, ResourceKey, VersionId};
use jiff::Timestamp;
use smol_str::SmolStr;

use crate::Error;

/// Most bytes of a text, code or URI that the index tells apart; see [`clip`].
pub const INDEX_VALUE_BYTES_MAX: usize = 1_024;
/// Most documents of one batch.
pub const INDEX_DOCUMENTS_MAX: usize = 65_536;
/// Most rows of one document.
pub const INDEX_ROWS_MAX: usize = 100_000;

/// A step of the index along the log.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexBatch {
    /// The index has seen the log up to here after the step.
    pub upto: Position,
    /// What changed, each resource at most once.
    pub documents: Vec<IndexDocument>,
}

impl IndexBatch {
    /// Checks the bounds.
    ///
    /// # Errors
    ///
    /// `Invalid` for too many documents, or too many rows of one.
    pub fn check(&self) -> Result<(), Error> {
        if self.documents.len() > INDEX_DOCUMENTS_MAX {
            return Err(Error::invalid("more documents than a batch may have"));
        }
        if self.documents.iter().any(|document| document.rows.len() > INDEX_ROWS_MAX) {
            return Err(Error::invalid("a document with more rows than it may have"));
        }
        Ok(())
    }
}

/// A resource as the index sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexDocument {
    /// The resource.
    pub key: ResourceKey,
    /// The position of the version.
    pub position: Position,
    /// The version.
    pub version: VersionId,
    /// `meta.lastUpdated`.
    pub last_updated: Timestamp,
    /// Whether this version is a delete; it has no rows then and is not found.
    pub deleted: bool,
    /// Its search values.
    pub rows: Vec<IndexRow>,
}

/// One search value of a resource.
///
/// What else there is of a value has a row under a name of its own, such as the identifier of a
/// reference under `subject:identifier`; the index knows no modifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    /// The search parameter's code.
    pub parameter: SmolStr,
    /// The value.
    pub value: IndexedValue,
}

/// A search value, already normalised by `search`; the index compares bytes and numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexedValue {
    /// A reference to a resource of the same base.
    Reference {
        /// Type of the target.
        resource_type: SmolStr,
        /// Id of the target.
        id: SmolStr,
    },
    /// A reference to somewhere else, or a canonical.
    ReferenceUrl(SmolStr),
    /// A stretch of a line of ordered values, both ends in it: a time span, or where a number lies.
    /// What the places of the line are is the caller's business; `i64::MIN` and `i64::MAX` are no
    /// end.
    Stretch {
        /// Where it begins.
        low: i64,
        /// Where it ends; not below `low`.
        high: i64,
    },
    /// A text.
    Text {
        /// Folded for case and accents.
        folded: SmolStr,
        /// As it stands in the resource.
        exact: SmolStr,
    },
    /// A coded value.
    Token {
        /// Code system; `None` if the value has none.
        system: Option<SmolStr>,
        /// Code; may be empty if only a system is there.
        code: SmolStr,
    },
    /// A URI.
    Uri(SmolStr),
}

/// The part of a text that the index keeps and compares: its first
/// [`INDEX_VALUE_BYTES_MAX`] bytes, cut at a character.
///
/// Stores clip values when they index and conditions when they search, so a long text is found by
/// itself; two that differ only later are not told apart.
pub fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(INDEX_VALUE_BYTES_MAX)]
}
