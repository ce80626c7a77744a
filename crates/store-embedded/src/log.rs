//! The change log on disk: one writer, many readers.
//!
//! [`append`](Log::append) and [`forget`](Log::forget) hold the writer; reads use connections of
//! their own and the tail, and never wait for the disk flush of an append. What a reader may see is
//! published in the tail after the commit.
//!
//! Invariants: I1 and I2 through `cresset_store::plan`, checked again whenever events are read; a
//! failed append leaves no trace in memory, and after one whose end is unknown everything in
//! memory is read from the file again.

mod append;
mod events;
mod forget;
mod load;
mod reads;
mod row;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cresset_model::{ClientName, Position, ResourceType, SubscriptionKey};
use cresset_store::{Counter, Error, crash_point};
use rusqlite::Connection;
use rustc_hash::FxHashMap;

use crate::checkpoint::{Checkpointer, PAGES_STEP};
use crate::connection::{LOG, open_file, prepare_writer};
use crate::fault::Fault;
use crate::index::DOCUMENTS_MAX;
use crate::names::Names;
use crate::readers::Readers;
use crate::schema;
use crate::tail::Tail;

/// Versions, events and cursor moves that the active tail holds before it is frozen and folded:
/// about 15 MB, and as much again while the frozen one is folded. All of it is read from the log
/// again when the store is opened.
const TAIL_WEIGHT_MAX: usize = 131_072;

/// Sizes that tests make small.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) tail_weight_max: usize,
    pub(crate) checkpoint_pages: u32,
    pub(crate) pending_documents_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tail_weight_max: TAIL_WEIGHT_MAX,
            checkpoint_pages: PAGES_STEP,
            pending_documents_max: DOCUMENTS_MAX,
        }
    }
}

/// What one process knows of `log.db`.
#[derive(Debug)]
pub(crate) struct Log {
    // Dropped before the writer: the last connection to close, if it may write, leaves no
    // write-ahead log behind.
    checkpointer: Checkpointer,
    readers: Readers,
    /// Taken before `tail`, never while holding it.
    writer: Mutex<Writer>,
    tail: RwLock<Tail>,
    types: Names<ResourceType>,
    clients: Names<ClientName>,
    /// Set when memory and file may differ: the next call reads everything again.
    stale: AtomicBool,
    identity: i64,
}

/// What only the writer touches.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// Counters of subscriptions that are alive, as they are asked for.
    counters: FxHashMap<SubscriptionKey, Counter>,
    /// Row of the last cursor moves.
    moves: u64,
    /// Where the next step of forgetting goes on.
    sweep: Option<SubscriptionKey>,
    limits: Limits,
    /// Commits; tests put a failing disk here.
    commit: fn(&Connection) -> rusqlite::Result<()>,
}

impl Log {
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self, Fault> {
        let mut connection = open_file(path, &LOG)?;
        schema::prepare(&connection)?;
        prepare_writer(&connection, &LOG)?;
        let checkpointer = Checkpointer::spawn(path, limits.checkpoint_pages)?;
        connection.wal_hook(Some(checkpointer.hook()))?;
        let identity = connection.query_row("SELECT log FROM meta", [], |row| row.get(0))?;
        let writer = Writer {
            connection,
            counters: FxHashMap::default(),
            moves: 0,
            sweep: None,
            limits,
            commit: |connection| connection.execute_batch("COMMIT"),
        };
        let log = Self {
            checkpointer,
            writer: Mutex::new(writer),
            tail: RwLock::default(),
            types: Names::new(),
            clients: Names::new(),
            readers: Readers::new(path.to_owned()),
            stale: AtomicBool::new(true),
            identity,
        };
        drop(log.writer()?);
        Ok(log)
    }

    /// A random number that tells this log from others.
    pub(crate) fn identity(&self) -> i64 {
        self.identity
    }

    /// The last durable position.
    pub(crate) fn head(&self) -> Result<Option<Position>, Fault> {
        self.refresh()?;
        Ok(self.seen().head)
    }

    /// Runs a read, with memory as the file is.
    fn read<T>(&self, body: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        self.refresh()?;
        self.readers.read(body)
    }

    /// Reads everything again after a failure whose end is unknown. Not for who has the writer.
    fn refresh(&self) -> Result<(), Fault> {
        if self.stale.load(Ordering::Acquire) {
            drop(self.writer()?);
        }
        Ok(())
    }

    /// The writer, with memory as the file is.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, Fault> {
        let mut writer = match self.writer.lock() {
            Ok(writer) => writer,
            Err(poisoned) => {
                // A panic in the middle of a write. The file is as SQLite left it.
                self.stale.store(true, Ordering::Release);
                self.writer.clear_poison();
                poisoned.into_inner()
            }
        };
        if self.stale.load(Ordering::Acquire) {
            self.reload(&mut writer)?;
            self.stale.store(false, Ordering::Release);
        }
        Ok(writer)
    }

    /// What readers may see.
    fn seen(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tail, to publish in. For the holder of the writer.
    fn publish(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `body` in a transaction.
    ///
    /// # Errors
    ///
    /// Those of `body`: nothing is done then. `Unknown` if the commit fails.
    fn transaction<T>(
        &self,
        writer: &Writer,
        body: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let writing = self.checkpointer.write();
        let connection = &writer.connection;
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(Fault::from);
        let done = begun.and_then(|()| body(connection));
        let result = match done {
            Err(fault) => Err(self.roll_back(connection, fault)),
            Ok(value) => match commit(writer, connection) {
                Ok(()) => Ok(value),
                // Still inside the transaction: the commit was not even begun.
                Err(error) if is_busy(&error) => Err(self.roll_back(connection, error.into())),
                Err(error) => {
                    drop(self.roll_back(connection, Fault::corrupt("")));
                    self.stale.store(true, Ordering::Release);
                    Err(Error::Unknown { source: Box::new(error) })
                }
            },
        };
        drop(writing);
        self.types.settle(result.is_ok());
        self.clients.settle(result.is_ok());
        result
    }

    fn roll_back(&self, connection: &Connection, fault: Fault) -> Error {
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            // Whatever state that leaves, nothing in memory is to be trusted.
            self.stale.store(true, Ordering::Release);
        }
        fault.into()
    }
}

fn commit(writer: &Writer, connection: &Connection) -> rusqlite::Result<()> {
    crash_point("log.before-commit");
    (writer.commit)(connection)?;
    crash_point("log.after-commit");
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}
