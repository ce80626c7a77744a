//! The search index: one more fold of the log, in a file of its own that can be rebuilt.
//!
//! The file narrows a search down to candidates ([`candidates`]); what a match is, is decided by
//! `cresset_store::Query::matches` on the values kept with each document. So keys in the index
//! may be hashes, and a key too many is only a candidate too many.
//!
//! What comes in is kept in memory until it is worth writing ([`pending`]).
//!
//! It owns `index.db`, and empties it whenever it cannot be trusted: when it is missing, damaged,
//! of another format, of another log, or ahead of the log.

mod candidates;
mod keys;
mod pending;
mod rows;
mod search;
mod write;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use cresset_model::Position;
use cresset_store::{Error, IndexBatch, Page, Query};
use rusqlite::Connection;

use crate::connection::{INDEX, open_file, prepare_writer};
use crate::fault::Fault;
use crate::readers::Readers;

pub(crate) use self::pending::DOCUMENTS_MAX;
use self::pending::Pending;

/// The format this version writes; every other one is emptied, so it also changes when `keys`
/// or `rows` do.
const FORMAT: u32 = 4;

/// The scheme of an index that nobody has named one for.
const SCHEME_UNNAMED: u64 = 0;

/// Says that a SQLite file is a search index of ours ("CrIx").
const APPLICATION_ID: i32 = 0x4372_4978;

const CREATE: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        log INTEGER NOT NULL,           -- the log it is of
        scheme INTEGER NOT NULL,        -- what was put into it, and how: the caller's number
        generation INTEGER NOT NULL,    -- random: cursors of another one have expired
        closed INTEGER NOT NULL,        -- whether nothing was given out that is not written
        position INTEGER NOT NULL,      -- how far it has seen the log
        last INTEGER NOT NULL           -- the last document number given
    );
    CREATE TABLE document (             -- every resource, by the number it got when it came in
        number INTEGER PRIMARY KEY,
        base INTEGER NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated INTEGER NOT NULL,       -- nanoseconds since 1970
        position INTEGER NOT NULL,
        rows BLOB NOT NULL              -- its search values
    );
    CREATE TABLE resource (
        base INTEGER NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (base, type, id)
    ) WITHOUT ROWID;
    CREATE TABLE posting (              -- what is found by equality
        key INTEGER NOT NULL,           -- hash of parameter and value
        document INTEGER NOT NULL,
        PRIMARY KEY (key, document)
    ) WITHOUT ROWID;
    CREATE TABLE start (                -- what is found by how it starts
        parameter INTEGER NOT NULL,     -- hash
        text TEXT NOT NULL,
        document INTEGER NOT NULL,
        PRIMARY KEY (parameter, text, document)
    ) WITHOUT ROWID;
    CREATE TABLE bound (                -- what is found by where it lies
        parameter INTEGER NOT NULL,     -- hash; differs with the length of the stretch
        value INTEGER NOT NULL,         -- where the stretch begins
        document INTEGER NOT NULL,
        PRIMARY KEY (parameter, value, document)
    ) WITHOUT ROWID;
";

/// What one process knows of `index.db`.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    path: PathBuf,
    log: i64,
    documents_max: usize,
    /// Held for writing only while the file is thrown away. `None` if making a new one failed.
    file: RwLock<Option<IndexFile>>,
}

#[derive(Debug)]
struct IndexFile {
    // Dropped before the writer, which then leaves no write-ahead log behind.
    readers: Readers,
    /// Taken before `pending`.
    writer: Mutex<Connection>,
    pending: RwLock<Pending>,
    scheme: u64,
    generation: u64,
    /// [`pending::DOCUMENTS_MAX`], or what a test says.
    documents_max: usize,
}

impl SearchIndex {
    /// Opens the index of the log with this identity and head.
    pub(crate) fn open(
        path: &Path,
        log: i64,
        head: Option<Position>,
        documents_max: usize,
    ) -> Result<Self, Fault> {
        let file = match IndexFile::open(path, log, documents_max) {
            Ok(Some(file)) if file.pending().position <= head => file,
            Ok(found) => {
                drop(found);
                IndexFile::create(path, log, SCHEME_UNNAMED, documents_max)?
            }
            Err(fault) if fault.is_damage() => {
                IndexFile::create(path, log, SCHEME_UNNAMED, documents_max)?
            }
            Err(fault) => return Err(fault),
        };
        Ok(Self { path: path.to_owned(), log, documents_max, file: RwLock::new(Some(file)) })
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.file().as_ref().and_then(|file| file.pending().position)
    }

    pub(crate) fn step(&self, batch: &IndexBatch) -> Result<(), Error> {
        self.sound(|file| write::step(file, batch))
    }

    pub(crate) fn search(&self, query: &Query) -> Result<Page, Error> {
        self.sound(|file| search::search(file, query))
    }

    /// Begins anew if the index was built by another scheme.
    pub(crate) fn prepare(&self, scheme: u64) -> Result<(), Fault> {
        if self.file().as_ref().is_some_and(|file| file.scheme == scheme) {
            return Ok(());
        }
        self.reset(scheme)
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.sound(|file| {
            if !file.pending().is_empty() {
                write::flush(file, false)?;
            }
            // The pages that the connection keeps are of no use until much is written again.
            Ok(file.writer()?.execute_batch("PRAGMA shrink_memory")?)
        })
    }

    /// Throws the file away and makes a new one, when nobody reads it.
    fn reset(&self, scheme: u64) -> Result<(), Fault> {
        let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
        // Closed before it is removed: SQLite removes the write-ahead log by name when it closes.
        *file = None;
        *file = Some(IndexFile::create(&self.path, self.log, scheme, self.documents_max)?);
        Ok(())
    }

    fn file(&self) -> RwLockReadGuard<'_, Option<IndexFile>> {
        self.file.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `body`; if that finds the file damaged, the index begins anew.
    fn sound<T>(&self, body: impl FnOnce(&IndexFile) -> Result<T, Fault>) -> Result<T, Error> {
        let file = self.file();
        let (scheme, result) = match &*file {
            Some(file) => (file.scheme, body(file)),
            None => (SCHEME_UNNAMED, Err(Fault::corrupt("there is no search index"))),
        };
        drop(file);
        let fault = match result {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        if fault.is_damage() {
            self.reset(scheme)?;
            return Err(Error::Unavailable { source: Box::new(fault) });
        }
        Err(fault.into())
    }
}

impl Drop for SearchIndex {
    /// Writes what is pending. What that fails to write is folded from the log again.
    fn drop(&mut self) {
        if let Some(file) = &*self.file() {
            drop(write::flush(file, true));
        }
    }
}

impl IndexFile {
    /// Opens an index that can be trusted; `None` if it is not that.
    fn open(path: &Path, log: i64, documents_max: usize) -> Result<Option<Self>, Fault> {
        let connection = open_file(path, &INDEX)?;
        let application: i32 =
            connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let format: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if (application, format) != (APPLICATION_ID, FORMAT) {
            return Ok(None);
        }
        prepare_writer(&connection, &INDEX)?;
        // Numbers that were given out and not written are given out again, to others perhaps:
        // cursors from before a crash have expired. Flushed, so that a crash finds it.
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             UPDATE meta SET generation = iif(closed, generation, random()), closed = FALSE;
             PRAGMA synchronous = NORMAL;",
        )?;
        let (of, scheme, generation): (i64, i64, i64) =
            connection.query_row("SELECT log, scheme, generation FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let (position, last): (u64, u64) =
            connection.query_row("SELECT position, last FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let file = Self {
            readers: Readers::new(path.to_owned()),
            writer: Mutex::new(connection),
            pending: RwLock::new(Pending::new(Position::new(position), last)),
            scheme: scheme.cast_unsigned(),
            generation: generation.cast_unsigned(),
            documents_max,
        };
        Ok((of == log).then_some(file))
    }

    /// Replaces whatever is there by an empty index.
    fn create(path: &Path, log: i64, scheme: u64, documents_max: usize) -> Result<Self, Fault> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match fs::remove_file(file) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        let connection = open_file(path, &INDEX)?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(CREATE)?;
        transaction.execute(
            "INSERT INTO meta VALUES (1, ?1, ?2, random(), FALSE, 0, 0)",
            [log, scheme.cast_signed()],
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
        drop(connection);
        Self::open(path, log, documents_max)?
            .ok_or(Fault::corrupt("a new search index is not what was written"))
    }

    fn pending(&self) -> RwLockReadGuard<'_, Pending> {
        self.pending.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>, Fault> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !writer.is_autocommit() {
            // A panic in the middle of a write left it open.
            writer.execute_batch("ROLLBACK")?;
        }
        Ok(writer)
    }
}
