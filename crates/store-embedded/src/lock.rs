//! Keeps two processes out of one directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use cresset_store::Error;

use crate::fault::Fault;

/// Held as long as the store is open. The system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates the directory (for the owner alone: it will hold patient data) and locks it.
    ///
    /// # Errors
    ///
    /// `InUse` if another process, or this one, has it open.
    pub(crate) fn take(directory: &Path) -> Result<Self, Fault> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let what = format!("the data directory {}", directory.display());
                Err(Fault::Store(Error::InUse { what }))
            }
            Err(TryLockError::Error(error)) => Err(Fault::File(error)),
        }
    }
}
