//! Locks of folders: one process at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::error::{Error, Result};

/// A lock that is held; the system frees it when this process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, in a folder that is there; `None` while another process holds it.
    ///
    /// # Errors
    /// [`Error::Write`] where the file cannot be made.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::write(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems have no locks; a single run on them is safe.
            Err(TryLockError::Error(_)) => Ok(Some(Self { _file: file })),
        }
    }
}
