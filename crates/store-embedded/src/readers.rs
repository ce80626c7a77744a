//! A bounded set of reading connections, so that reads never wait for the writer.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use crate::connection::open_reader;
use crate::fault::Fault;

/// Most connections that read one file at a time; one more read waits for one of them. The caller
/// bounds its own reads; this is above that bound, so that its writer never waits for them.
const READERS_MAX: usize = 300;

#[derive(Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Runs a read on a connection of its own.
    pub(crate) fn read<T>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut lent = Lent { readers: self, connection: self.lend() };
        if lent.connection.is_none() {
            lent.connection = Some(open_reader(&self.path)?);
        }
        match &lent.connection {
            Some(connection) => body(connection),
            None => Err(Fault::corrupt("a connection that was just opened is gone")),
        }
    }

    /// An idle connection, or none: then one more may be opened.
    fn lend(&self) -> Option<Connection> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.lent == READERS_MAX {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        state.idle.pop()
    }
}

/// Gives the connection back, whatever happened to the read.
struct Lent<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.readers.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lent -= 1;
        // One left inside a transaction would read from the past for ever; it is closed instead.
        state.idle.extend(self.connection.take().filter(Connection::is_autocommit));
        drop(state);
        self.readers.returned.notify_one();
    }
}
