//! How SQLite connections are opened.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::fault::Fault;

/// Statements kept prepared per connection.
const STATEMENTS_MAX: usize = 48;
/// Longest wait for a lock of SQLite. Within the process our own locks come first, so only a
/// checkpoint or a foreign tool can be in the way.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of a reading connection, in KiB. The system's cache is behind it.
const READER_CACHE_KIB: u32 = 1_024;

/// What a writing connection is for.
pub(crate) struct Profile {
    /// Bytes of a page, in a new file. Large ones hold large rows better and are fewer system
    /// calls; small ones are less to write for a change of a few bytes.
    page_bytes: u32,
    /// `PRAGMA synchronous`: FULL flushes every commit, NORMAL only checkpoints.
    synchronous: &'static str,
    /// Page cache in KiB.
    cache_kib: u32,
    /// Pages in the write-ahead log after which a commit moves it into the file; 0 for never.
    checkpoint_pages: u32,
}

/// The log: what is acknowledged is on the disk. The checkpointer moves its write-ahead log.
pub(crate) const LOG: Profile =
    Profile { page_bytes: 16_384, synchronous: "FULL", cache_kib: 16 * 1_024, checkpoint_pages: 0 };
/// The log, for its checkpointer.
pub(crate) const CHECKPOINT: Profile = Profile { cache_kib: 64, ..LOG };
/// The index: may lose its last steps with the machine's power (they are folded again), but not
/// its shape.
pub(crate) const INDEX: Profile = Profile {
    page_bytes: 4_096,
    synchronous: "NORMAL",
    cache_kib: 64 * 1_024,
    checkpoint_pages: 8_000,
};

/// Opens a file for writing and creates it if needed, as it is: nothing is changed yet.
pub(crate) fn open_file(path: &Path, profile: &Profile) -> Result<Connection, Fault> {
    // SQLite would create it with whatever the umask allows; it will hold patient data.
    let mut options = OpenOptions::new();
    drop(options.write(true).create(true).truncate(false).mode(0o600).open(path)?);
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    keep_plans(&connection)?;
    // Takes effect when a new file gets its first table.
    connection.execute_batch(&format!("PRAGMA page_size = {}", profile.page_bytes))?;
    Ok(connection)
}

/// Makes a connection ready to write.
pub(crate) fn prepare_writer(connection: &Connection, profile: &Profile) -> Result<(), Fault> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(
            std::io::Error::other("the file system does not support a write-ahead log").into()
        );
    }
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {};
         PRAGMA cache_size = -{};
         PRAGMA wal_autocheckpoint = {};
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;",
        profile.synchronous, profile.cache_kib, profile.checkpoint_pages,
    ))?;
    Ok(())
}

/// Opens a file that a writer already has open, for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    keep_plans(&connection)?;
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{READER_CACHE_KIB};
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA query_only = ON;"
    ))?;
    Ok(connection)
}

/// Has prepared statements stay prepared: without this some are compiled anew for every value that is bound, in case
/// another plan were better for it. Ours are simple, and their plans the same for all values.
fn keep_plans(connection: &Connection) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Makes the names of new files in a directory survive a power failure.
pub(crate) fn flush_directory(directory: &Path) -> Result<(), Fault> {
    File::open(directory)?.sync_all()?;
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
