//! Files of a results folder: the one way to write them, and a careful way to read them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// How the names of unfinished files start; what a killed run left is swept by the next one.
pub const UNFINISHED: &str = ".memscope-";

/// A file that is being written: a temporary one in the same folder, created exclusively, which takes the file's name once it
/// is whole and on the disk. What stood there before survives every failure, a full disk among them. A link at the path is
/// replaced, not followed. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct PendingFile {
    path: PathBuf,
    file: NamedTempFile,
}

/// What may stand where a file is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// A file, which is replaced.
    Replace,
    /// Nothing.
    Refuse,
}

impl Existing {
    /// What the user's `--overwrite` says.
    pub fn of_flag(overwrite: bool) -> Self {
        if overwrite { Self::Replace } else { Self::Refuse }
    }
}

impl PendingFile {
    /// Begins a file in a folder that is there.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder does not take it.
    pub fn create(path: &Path) -> Result<Self> {
        let file = temporary(folder_of(path)).map_err(Error::write(path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// A handle to write the content through.
    ///
    /// # Errors
    /// [`Error::Write`] where the system has no handle left.
    pub fn writer(&self) -> Result<File> {
        self.file.as_file().try_clone().map_err(Error::write(&self.path))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`Error::Write`] where the disk does not take it, or where something is there that must not be replaced.
    pub fn finish(self, existing: Existing) -> Result<()> {
        let Self { path, file } = self;
        let finish = || -> io::Result<()> {
            file.as_file().sync_all()?;
            match existing {
                Existing::Replace => file.persist(&path),
                Existing::Refuse => file.persist_noclobber(&path),
            }
            .map_err(|error| error.error)?;
            sync_folder(folder_of(&path));
            Ok(())
        };
        finish().map_err(Error::write(&path))
    }
}

/// Writes a file as [`PendingFile`] does, in place of one that is there.
///
/// # Errors
/// [`Error::Write`] where the folder does not take the file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_over(path, bytes, Existing::Replace)
}

/// [`write_file`], in place of one that is there or not.
///
/// # Errors
/// As [`write_file`], and where something is there that must not be replaced.
pub fn write_over(path: &Path, bytes: &[u8], existing: Existing) -> Result<()> {
    let file = PendingFile::create(path)?;
    file.writer()?.write_all(bytes).map_err(Error::write(path))?;
    file.finish(existing)
}

/// [`write_file`], unless something is there already.
///
/// # Errors
/// [`Error::Write`] where the folder does not take the file.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = temporary(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.error),
            Ok(_) => Ok(()),
        }
    };
    write().map_err(Error::write(path))
}

/// [`write_file`] with a value as JSON.
///
/// # Errors
/// As [`write_file`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write_file(path, &json(path, value)?)
}

pub(crate) fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec_pretty(value);
    json.map_err(|e| Error::Write { path: path.to_owned(), source: e.into() })
}

/// A temporary file with the permissions of an ordinary one; tempfile's own default is private to the user.
pub(crate) fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes renames in a folder survive a power cut, where the system can.
fn sync_folder(folder: &Path) {
    // Some systems cannot open or sync a folder; the files themselves are on the disk.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Removes what killed runs left unfinished in a folder; only for who holds the folder's lock.
pub(crate) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        if unfinished && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // One that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// [`Error::NotAFile`] for a link, folder, pipe or device; [`Error::TooLarge`]; [`Error::Read`].
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let kind = fs::symlink_metadata(path).map_err(Error::read(path))?;
    if !kind.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let too_large = |bytes| Error::TooLarge { path: path.to_owned(), bytes, limit };
    if kind.len() > limit {
        return Err(too_large(kind.len()));
    }
    let mut bytes = Vec::with_capacity(kind.len() as usize);
    let file = File::open(path).map_err(Error::read(path))?;
    // The file may have grown since.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// [`read_file`] as a value in JSON.
///
/// # Errors
/// As [`read_file`], and [`Error::Damaged`].
pub fn read_json<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<T> {
    parse(path, &read_file(path, limit)?)
}

pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::Damaged { path: path.to_owned(), reason: e.to_string() })
}

/// SHA-256 of some bytes in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file, read in pieces.
///
/// # Errors
/// [`Error::Read`].
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(Error::read(path))?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).map_err(Error::read(path))? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&piece[..read]),
        }
    }
}

/// Whether a name is that of a file in the same folder: no separators, no `.` or `..`, no drive, nothing hidden.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':' | '\0');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_inside_the_folder_are_plain() {
        for good in ["a.png", "1fe32d2e-42-memorized-00-0.png", "é.svg"] {
            assert!(is_plain_name(good), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "../a", "a/b", "/etc/passwd", "a\\b", "C:a", "a\0", "a\nb"] {
            assert!(!is_plain_name(bad), "{bad:?}");
        }
    }
}
