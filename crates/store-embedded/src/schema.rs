//! The format of `log.db`, and how older ones become it.
//!
//! A format, once released, never changes: a new one gets the next number, a step in
//! [`MIGRATIONS`] and a file in `formats/` that a test reads for ever.

#[cfg(test)]
mod tests;

use cresset_store::Error;
use rusqlite::Connection;

use crate::fault::Fault;

/// The format this version writes.
pub(crate) const FORMAT: u32 = 6;

/// Says that a SQLite file is a change log of ours ("CrLg").
const APPLICATION_ID: i32 = 0x4372_4c67;

/// Step n turns format n + 1 into format n + 2.
const MIGRATIONS: [&str; 5] = [
    // Retention: what was forgotten is told apart from what never was, and expired tokens are
    // found without reading all of them.
    "ALTER TABLE subscription ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX token_expires ON token (expires);",
    // Why a subscription left `active`, which R5 has no element for.
    "ALTER TABLE subscription ADD COLUMN error_code TEXT;
     ALTER TABLE subscription ADD COLUMN error_text TEXT;",
    // Entries that are no changes of a resource, but events that somebody told of: a version before
    // this would take them for resources. The tables are the same.
    "",
    // The trace of the request that made a change, and where retries stand.
    "ALTER TABLE entry ADD COLUMN trace BLOB;
     ALTER TABLE subscription ADD COLUMN retries BLOB;",
    // Many events of a subscription in one row; those that have a row each stay as they are.
    "ALTER TABLE event ADD COLUMN gaps BLOB;",
];

/// The current format. `entry` is the log; `version`, `event` and `subscription.cursor` are views
/// of it that lag behind it, up to `meta.folded` and `meta.folded_moves`; `cursor_move` is the log
/// of cursor moves.
const CREATE: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        log INTEGER NOT NULL,           -- random: tells this log from another
        folded INTEGER NOT NULL,        -- views hold every entry up to here
        folded_moves INTEGER NOT NULL   -- and every cursor move up to here
    );
    CREATE TABLE name (                 -- texts that many rows share
        kind INTEGER NOT NULL,          -- 1 resource type, 2 client
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (kind, number)
    ) WITHOUT ROWID;
    CREATE TABLE entry (
        position INTEGER PRIMARY KEY,
        base INTEGER NOT NULL,
        type INTEGER NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        interaction INTEGER NOT NULL,   -- 1 create, 2 update, 3 delete
        at INTEGER NOT NULL,            -- nanoseconds since 1970
        author INTEGER NOT NULL,
        events BLOB,                    -- pairs of subscription and number
        body BLOB NOT NULL,
        trace BLOB                      -- W3C trace context: 16 bytes trace, 8 span, 1 flags
    );
    CREATE TABLE version (
        base INTEGER NOT NULL,
        type INTEGER NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (base, type, id, version)
    ) WITHOUT ROWID;
    CREATE TABLE subscription (
        key INTEGER PRIMARY KEY,
        base INTEGER NOT NULL,
        type INTEGER NOT NULL,
        id TEXT NOT NULL,
        owner INTEGER NOT NULL,
        created INTEGER NOT NULL,
        ended INTEGER,                  -- position of the change that ended it
        cursor INTEGER NOT NULL DEFAULT 0,
        forgotten INTEGER NOT NULL DEFAULT 0, -- highest event number no longer kept
        error_code TEXT,                -- FHIR's code, where one fits
        error_text TEXT,                -- why it left active; null if nothing is wrong
        retries BLOB                    -- where they stand; null if nothing is repeated
    );
    CREATE TABLE event (
        subscription INTEGER NOT NULL,
        number INTEGER NOT NULL,
        position INTEGER NOT NULL,
        gaps BLOB,                      -- of a run of events, of which this is the last; see run.rs
        PRIMARY KEY (subscription, number)
    ) WITHOUT ROWID;
    CREATE TABLE cursor_move (
        number INTEGER PRIMARY KEY,
        moves BLOB NOT NULL             -- pairs of subscription and number
    );
    CREATE TABLE token (
        hash BLOB PRIMARY KEY,
        base INTEGER NOT NULL,
        owner INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        subscriptions BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX token_expires ON token (expires);
    INSERT INTO meta VALUES (1, random(), 0, 0);
";

/// Creates the tables in a new file, or brings an older one up to date, each step in a
/// transaction of its own.
///
/// # Errors
///
/// `NewerFormat`, and `Corrupt` for a file that is not a change log; neither is touched then.
pub(crate) fn prepare(connection: &Connection) -> Result<(), Fault> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, found, tables) == (0, 0, 0) {
        return step(connection, CREATE, FORMAT);
    }
    if application != APPLICATION_ID || found == 0 {
        return Err(Fault::corrupt("log.db is not a change log of Cresset"));
    }
    if found > FORMAT {
        let what = "the change log (log.db)";
        return Err(Error::NewerFormat { what, found, supported: FORMAT }.into());
    }
    for (format, migration) in (2..).zip(MIGRATIONS) {
        if found < format {
            step(connection, migration, format)?;
        }
    }
    Ok(())
}

fn step(connection: &Connection, sql: &str, format: u32) -> Result<(), Fault> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", format)?;
    transaction.commit()?;
    Ok(())
}
