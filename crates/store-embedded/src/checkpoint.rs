//! Moves the write-ahead log into the file beside the writer, so that no append waits for it.
//!
//! SQLite would do this inside a commit, and every now and then a write would wait for megabytes
//! to be flushed. A thread of its own does the bulk while appends go on, and then, with the writer
//! held, the little that came meanwhile: only a log that is moved completely starts over.
//!
//! A failed checkpoint loses nothing, and is tried again with the next one; what cannot be
//! written for long fails the appends.

use std::ffi::c_int;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cresset_store::crash_point;
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::connection::{CHECKPOINT, open_file, prepare_writer};
use crate::fault::Fault;

/// Pages in the write-ahead log after which it is moved into the file, and again after as many
/// more if readers kept it from starting over: 16 MB.
pub(crate) const PAGES_STEP: u32 = 1_000;
/// Steps above which the thread waits for readers, with the writer held: 128 MB.
const HIGH_STEPS: u32 = 8;
/// Steps above which a commit moves them itself, whatever the thread does: 256 MB.
const MAX_STEPS: u32 = 16;
/// Longest wait for readers.
const READERS_TIMEOUT: Duration = Duration::from_millis(500);

/// The thread, and what it shares with the writer. Dropped, it has ended.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// [`PAGES_STEP`], or what a test says.
    step: u32,
    state: Mutex<State>,
    wake: Condvar,
    /// Held by whoever is in a transaction.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// Pages in the write-ahead log after the last commit.
    pages: u32,
    /// How many there must be for the next checkpoint.
    due: u32,
    stopped: bool,
}

impl Checkpointer {
    /// Starts the thread for a file that a writer has open.
    pub(crate) fn spawn(path: &Path, step: u32) -> Result<Self, Fault> {
        let connection = open_file(path, &CHECKPOINT)?;
        prepare_writer(&connection, &CHECKPOINT)?;
        connection.busy_timeout(READERS_TIMEOUT)?;
        let state = State { pages: 0, due: step, stopped: false };
        let shared = Arc::new(Shared {
            step,
            state: Mutex::new(state),
            wake: Condvar::new(),
            writing: Mutex::new(()),
        });
        let run = {
            let shared = Arc::clone(&shared);
            move || shared.run(&connection)
        };
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// To be called by SQLite after each commit of the writer.
    pub(crate) fn hook(&self) -> impl FnMut(&mut Wal, c_int) -> rusqlite::Result<()> + use<> {
        let shared = Arc::clone(&self.shared);
        move |wal, pages| {
            let pages = u32::try_from(pages).unwrap_or(0);
            shared.committed(pages);
            if pages >= shared.step * MAX_STEPS {
                // The commit is done, whatever becomes of this.
                drop(wal.checkpoint());
            }
            Ok(())
        }
    }

    /// Keeps the thread from holding the file up while a transaction is open.
    pub(crate) fn write(&self) -> MutexGuard<'_, ()> {
        self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there is nothing left to end.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committed(&self, pages: u32) {
        let mut state = self.state();
        if pages < state.pages {
            state.due = self.step;
        }
        state.pages = pages;
        if pages >= state.due {
            self.wake.notify_one();
        }
    }

    /// Waits until a checkpoint is due; `None` if there will be none.
    fn due(&self) -> Option<u32> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if state.pages >= state.due {
                state.due = state.pages + self.step;
                return Some(state.pages);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, connection: &Connection) {
        let checkpoint = |mode: &str| {
            drop(connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())));
        };
        while let Some(pages) = self.due() {
            checkpoint("PASSIVE");
            crash_point("checkpoint.half");
            let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            checkpoint(if pages >= self.step * HIGH_STEPS { "TRUNCATE" } else { "PASSIVE" });
            crash_point("checkpoint.done");
            drop(writing);
        }
    }
}
