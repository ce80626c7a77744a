//! What can go wrong in a store, by what the caller does about it.

use std::error::Error as StdError;

use cresset_model::Position;

/// Why a store did not do what was asked; one variant per reaction of the caller.
///
/// No text here ever holds content, ids or tokens: errors are logged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is stored contradicts itself. Stop serving; an operator must look at it.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What was found.
        what: &'static str,
        /// The cause below, where there is one.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The search cursor belongs to an index that no longer exists. The client starts its search
    /// again.
    #[error("the search cursor belongs to an earlier search index")]
    CursorExpired,
    /// Somebody else has appended, or the group is old. Nothing was done; read the head again.
    #[error("the group does not follow the head of the change log")]
    Fenced {
        /// The head as it is now.
        head: Option<Position>,
    },
    /// Another process has the store open. The operator stops one of the two.
    #[error("{what} is in use by another process")]
    InUse {
        /// What is in use, for the operator.
        what: String,
    },
    /// The request contradicts itself or the store: a bug of the caller. Nothing was done.
    #[error("the request makes no sense: {what}")]
    Invalid {
        /// Which rule was broken.
        what: &'static str,
    },
    /// The store was written by a newer version of this software. Nothing was touched.
    #[error("{what} has format {found}; this version of Cresset reads formats up to {supported}")]
    NewerFormat {
        /// Which part of the store.
        what: &'static str,
        /// The format found.
        found: u32,
        /// The newest format this version knows.
        supported: u32,
    },
    /// Not done, and the reason may pass. Try again later.
    #[error("the store is unavailable")]
    Unavailable {
        /// The cause below.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Perhaps done, perhaps not. Read the head again before deciding anything.
    #[error("it is unknown whether the store did it")]
    Unknown {
        /// The cause below.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Error {
    /// [`Error::Corrupt`] without a cause below it.
    pub const fn corrupt(what: &'static str) -> Self {
        Self::Corrupt { what, source: None }
    }

    /// [`Error::Invalid`].
    pub const fn invalid(what: &'static str) -> Self {
        Self::Invalid { what }
    }
}
