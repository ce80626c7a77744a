//! What goes wrong below the store, and which of the store's errors it is.

use cresset_store::Error;
use rusqlite::ErrorCode;

/// A failure inside this crate, before it is known what it means to the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Fault {
    pub(crate) fn corrupt(what: &'static str) -> Self {
        Self::Store(Error::corrupt(what))
    }

    /// Whether the file itself is at fault.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Sqlite(error) => damage(error).is_some(),
            Self::Store(error) => matches!(error, Error::Corrupt { .. }),
        }
    }
}

/// What is wrong with the file, if it is the file. Other failures may pass.
fn damage(error: &rusqlite::Error) -> Option<&'static str> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return Some("SQLite finds the file malformed");
        }
        // Statements are constants: one that does not compile finds other tables than it must.
        Some(ErrorCode::Unknown) => return Some("a table is not what it must be"),
        Some(_) | None => {}
    }
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
    )
    .then_some("a row is missing or holds what it cannot hold")
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::File(error) => Self::Unavailable { source: Box::new(error) },
            Fault::Sqlite(error) => match damage(&error) {
                Some(what) => Self::Corrupt { what, source: Some(Box::new(error)) },
                None => Self::Unavailable { source: Box::new(error) },
            },
            Fault::Store(error) => error,
        }
    }
}
