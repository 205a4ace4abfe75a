//! The program's own cache folder.

use std::{env, path::PathBuf};

/// The variable that names the folder.
pub const CACHE_VARIABLE: &str = "MEMSCOPE_CACHE";

/// Where memscope keeps what it can fetch or compute again: `MEMSCOPE_CACHE`, else `memscope` in the platform's cache
/// folder (`$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on macOS; `%LOCALAPPDATA%` on Windows). `None` where
/// the system names none of them.
pub fn cache_folder() -> Option<PathBuf> {
    variable_folder(CACHE_VARIABLE).or_else(|| platform_folder().map(|folder| folder.join("memscope")))
}

fn platform_folder() -> Option<PathBuf> {
    if let Some(folder) = variable_folder("XDG_CACHE_HOME") {
        return Some(folder);
    }
    if cfg!(windows) {
        return variable_folder("LOCALAPPDATA");
    }
    let below_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    variable_folder("HOME").map(|home| home.join(below_home))
}

/// A folder named by an environment variable; empty counts as unset.
pub(crate) fn variable_folder(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
