//! The part of a file that has come.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    files::{has_one_name, is_at, own_file},
    hash::{ContentHash, Hasher},
};

const CHUNK: usize = 1 << 20;

/// A file that is not complete, locked, with its running hash.
pub(crate) struct Partial {
    file: File,
    path: PathBuf,
    pub(crate) length: u64,
    hasher: Hasher,
    fresh: Hasher,
}

/// The name of a file while it is not complete.
pub(crate) fn partial_path(to: &Path) -> PathBuf {
    let mut name: OsString = to.as_os_str().to_owned();
    name.push(".incomplete");
    name.into()
}

impl Partial {
    /// What an earlier attempt left of `to`, hashed again; or a new file. Anything else of that name, such as a link,
    /// is removed.
    pub(crate) fn open(to: &Path, hash: &ContentHash, size: u64, should_stop: &dyn Fn() -> bool) -> Result<Self> {
        let path = partial_path(to);
        let write = |source| Error::Write { path: path.clone(), source };
        let file = loop {
            let file = open_or_make(&path).map_err(write)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::InUse { path }),
                // Some network file systems have no locks; a mixed-up file would still fail its check.
                Err(TryLockError::Error(error)) => tracing::debug!("cannot lock {}: {error}", path.display()),
            }
            // Whoever had the lock before may have completed and renamed the file.
            if is_at(&file, &path) {
                break file;
            }
        };
        let fresh = hash.hasher(size);
        let mut partial = Self { file, path: path.clone(), length: 0, hasher: fresh.clone(), fresh };
        partial.file.seek(SeekFrom::Start(0)).map_err(write)?;
        if partial.file.metadata().map_err(write)?.len() > size {
            partial.restart()?;
            return Ok(partial);
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            if should_stop() {
                return Err(Error::Stopped);
            }
            let count = partial.file.read(&mut chunk).map_err(write)?;
            if count == 0 {
                return Ok(partial);
            }
            partial.hasher.update(&chunk[..count]);
            partial.length += count as u64;
        }
    }

    pub(crate) fn restart(&mut self) -> Result<()> {
        let write = |source| Error::Write { path: self.path.clone(), source };
        self.file.set_len(0).map_err(write)?;
        self.file.seek(SeekFrom::Start(0)).map_err(write)?;
        self.length = 0;
        self.hasher = self.fresh.clone();
        Ok(())
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The hash of what is there, in hex.
    pub(crate) fn digits(&self) -> String {
        self.hasher.digits()
    }

    /// Gives the complete file its name.
    pub(crate) fn finish(self, to: &Path) -> Result<()> {
        self.file.sync_all().map_err(|source| Error::Write { path: self.path.clone(), source })?;
        // Windows renames no open file.
        drop(self.file);
        fs::rename(&self.path, to).map_err(|source| Error::Write { path: to.to_owned(), source })
    }

    /// Removes the file.
    pub(crate) fn discard(self) -> Result<()> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(|source| Error::Write { path: self.path, source })
    }
}

fn open_or_make(path: &Path) -> io::Result<File> {
    for _ in 0..3 {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() && has_one_name(&found) => match own_file().open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => return opened,
            },
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match own_file().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "is made again and again by somebody else"))
}

/// Hashes a file that is there; `None` where it has another size, or is no file.
pub(crate) fn hash_file(
    path: &Path,
    hash: &ContentHash,
    size: u64,
    should_stop: &dyn Fn() -> bool,
) -> Result<Option<String>> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == size => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(read(source)),
    }
    let mut file = File::open(path).map_err(read)?.take(size);
    let mut hasher = hash.hasher(size);
    let mut chunk = vec![0; CHUNK];
    loop {
        if should_stop() {
            return Err(Error::Stopped);
        }
        match file.read(&mut chunk).map_err(read)? {
            0 => return Ok(Some(hasher.digits())),
            count => hasher.update(&chunk[..count]),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn hash() -> ContentHash {
        ContentHash::parse("ce013625030ba8dba906f756967f9e9ca394464a").unwrap()
    }

    fn open(to: &Path) -> Result<Partial> {
        Partial::open(to, &hash(), 6, &|| false)
    }

    #[test]
    fn what_is_left_is_hashed_and_what_is_foreign_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (to, victim) = (folder.path().join("blob"), folder.path().join("victim"));
        fs::write(&victim, "hel").unwrap();
        fs::write(partial_path(&to), "hel").unwrap();
        let mut partial = open(&to).unwrap();
        assert_eq!(partial.length, 3);
        assert!(matches!(open(&to), Err(Error::InUse { .. })));
        partial.append(b"lo\n").unwrap();
        assert_eq!(partial.digits(), hash().digits());
        partial.finish(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"hello\n");
        assert_eq!(hash_file(&to, &hash(), 6, &|| false).unwrap().as_deref(), Some(hash().digits()));
        assert_eq!(hash_file(&to, &hash(), 7, &|| false).unwrap(), None);

        for plant in [|from: &Path, to: &Path| symlink(from, to), |from: &Path, to: &Path| fs::hard_link(from, to)] {
            let _ = fs::remove_file(partial_path(&to));
            plant(&victim, &partial_path(&to)).unwrap();
            let mut partial = open(&to).unwrap();
            assert_eq!(partial.length, 0, "a foreign file is no part of ours");
            partial.append(b"hello\n").unwrap();
            partial.finish(&to).unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"hel");
        }
        // The finished name may be a link, too.
        fs::remove_file(&to).unwrap();
        symlink(&victim, &to).unwrap();
        let mut partial = open(&to).unwrap();
        partial.append(b"hello\n").unwrap();
        partial.finish(&to).unwrap();
        assert_eq!((fs::read(&victim).unwrap(), fs::read(&to).unwrap()), (b"hel".to_vec(), b"hello\n".to_vec()));
    }

    #[test]
    fn a_part_longer_than_the_file_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("blob");
        fs::write(partial_path(&to), "hello\n and more").unwrap();
        assert_eq!(open(&to).unwrap().length, 0);
        assert!(matches!(Partial::open(&to, &hash(), 6, &|| true), Err(Error::Stopped)));
    }
}
