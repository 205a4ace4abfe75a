//! A run that writes into an experiment's folder: lock, files, manifest, and COMPLETE last.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::Folder;
use crate::{
    error::{Error, Result},
    files,
    lock::Lock,
    manifest::Manifest,
};

/// The right to write into a [`Folder`]. Dropped without [`OpenRun::commit`] it leaves the folder incomplete, and the
/// lock free.
#[derive(Debug)]
pub struct OpenRun {
    folder: Folder,
    _lock: Lock,
    /// SHA-256 of every file written so far, by its path below the folder.
    files: BTreeMap<String, String>,
}

impl OpenRun {
    pub(crate) fn begin(folder: Folder) -> Result<Self> {
        fs::create_dir_all(folder.path()).map_err(Error::write(folder.path()))?;
        let Some(lock) = Lock::take(&folder.lock_path())? else {
            return Err(Error::InUse { folder: folder.path().to_owned() });
        };
        let mark = folder.complete_mark();
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::write(mark)(error)),
            _ => {}
        }
        folder.written_folders().iter().for_each(|folder| files::sweep(folder));
        Ok(Self { folder, _lock: lock, files: BTreeMap::new() })
    }

    /// The folder it writes into.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Writes a file below the folder atomically, with the folders it needs, and notes its hash for the manifest.
    /// `path` is one of [`Folder`]'s, or a file below one.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::write(parent))?;
        }
        files::write_file(path, bytes)?;
        self.note(path, files::sha256(bytes));
        Ok(())
    }

    /// [`OpenRun::write`] with a value as JSON.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_json(&mut self, path: &Path, value: &impl Serialize) -> Result<()> {
        self.write(path, &files::json(path, value)?)
    }

    /// Notes files that were written by other means, such as [`ExportSet::write`](crate::export::ExportSet::write).
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn adopt(&mut self, paths: impl IntoIterator<Item = PathBuf>) -> Result<()> {
        for path in paths {
            let hash = files::sha256_of(&path)?;
            self.note(&path, hash);
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, hash: String) {
        if let Some(name) = relative(self.folder.path(), path) {
            self.files.insert(name, hash);
        }
    }

    /// Ends the run: writes the manifest with the hash of every file, then, last of all, COMPLETE. Returns the manifest
    /// as written.
    ///
    /// # Errors
    /// [`Error::Write`]; the folder is then incomplete.
    pub fn commit(self, mut manifest: Manifest) -> Result<Manifest> {
        manifest.files = self.files;
        files::write_json(&self.folder.manifest_path(), &manifest)?;
        files::write_file(&self.folder.complete_mark(), b"")?;
        Ok(manifest)
    }
}

/// The path below `root`, with `/` between its parts on every system.
pub(crate) fn relative(root: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(root).ok()?;
    let parts: Option<Vec<&str>> = below.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}
