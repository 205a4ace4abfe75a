//! Files that a command is going to write.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

use memscope_eval::Error as EvalError;

use crate::exit_code::UserError;

/// Refuses to replace what is there, before anything is done for it.
pub(crate) fn check_free(path: &Path, overwrite: bool) -> anyhow::Result<()> {
    if overwrite || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{} is there already; give --overwrite to replace it, or another place", path.display());
    Err(UserError::output(message).into())
}

/// Whether two paths lead to one file that is there.
pub(crate) fn is_same_file(first: &Path, second: &Path) -> bool {
    fs::canonicalize(first).is_ok_and(|first| fs::canonicalize(second).is_ok_and(|second| first == second))
}

/// Finds out whether a file can be written before anything is measured for it; an existing file is left as it is.
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
    let fail = |source| EvalError::Write { path: path.to_owned(), source };
    if let Ok(metadata) = fs::metadata(path) {
        if !metadata.is_file() {
            return Err(fail(io::Error::other("it is not a regular file")).into());
        }
        OpenOptions::new().append(true).open(path).map_err(fail)?;
        return Ok(());
    }
    OpenOptions::new().write(true).create_new(true).open(path).map_err(fail)?;
    fs::remove_file(path).map_err(fail)?;
    Ok(())
}
