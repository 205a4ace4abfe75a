//! The folders of a repository in the Hub cache: `blobs` by hash, `refs` by branch, `snapshots` by commit.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// A repository's folder.
pub(crate) struct Repository {
    folder: PathBuf,
}

impl Repository {
    pub(crate) fn new(cache: &Path, id: &str) -> Self {
        Self { folder: cache.join(format!("models--{}", id.replace('/', "--"))) }
    }

    /// The snapshot folder of a branch, tag or commit that was downloaded, at least in part.
    pub(crate) fn snapshot_of(&self, revision: &str) -> Option<PathBuf> {
        let commit = fs::read_to_string(self.folder.join("refs").join(revision));
        let commit = commit.map_or_else(|_| revision.to_owned(), |commit| commit.trim().to_owned());
        Some(self.snapshot(&commit)).filter(|folder| folder.is_dir())
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    pub(crate) fn make_folders(&self) -> Result<(), Error> {
        ["blobs", "refs", "snapshots"].iter().try_for_each(|name| make_folder(&self.folder.join(name)))
    }

    /// Lets the snapshot's file be the blob: a relative link, as the Python library makes it.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), Error> {
        let place = self.snapshot(commit).join(file);
        let blob = self.blob(etag);
        if fs::canonicalize(&place).is_ok_and(|there| fs::canonicalize(&blob).is_ok_and(|blob| there == blob)) {
            return Ok(());
        }
        if let Some(parent) = place.parent() {
            make_folder(parent)?;
        }
        let write = |source| Error::Write { path: place.clone(), source };
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write(error)),
            _ => {}
        }
        let up = "../".repeat(file.matches('/').count() + 2);
        symlink(Path::new(&format!("{up}blobs/{etag}")), &blob, &place).map_err(write)
    }

    /// Remembers which commit a branch or tag was.
    pub(crate) fn remember(&self, revision: &str, commit: &str) -> Result<(), Error> {
        if revision == commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        fs::write(&path, commit).map_err(|source| Error::Write { path, source })
    }
}

#[cfg(unix)]
fn symlink(target: &Path, _: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Symbolic links need a privilege elsewhere; a second name for the same file does not.
#[cfg(not(unix))]
fn symlink(_: &Path, blob: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(blob, link).or_else(|_| fs::copy(blob, link).map(|_| ()))
}

fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// The snapshot of a repository in a cache, complete or not.
pub(crate) fn remembered(cache: &Path, id: &str, revision: &str) -> Option<PathBuf> {
    Repository::new(cache, id).snapshot_of(revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_found_by_branch_and_by_commit() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "a/b");
        repository.make_folders().unwrap();
        assert_eq!(repository.snapshot_of("main"), None);
        fs::write(repository.blob("hash"), "bytes").unwrap();
        repository.link("abc", "unet/config.json", "hash").unwrap();
        repository.link("abc", "unet/config.json", "hash").unwrap();
        repository.remember("main", "abc").unwrap();
        let snapshot = cache.path().join("models--a--b/snapshots/abc");
        assert_eq!(remembered(cache.path(), "a/b", "main"), Some(snapshot.clone()));
        assert_eq!(remembered(cache.path(), "a/b", "abc"), Some(snapshot.clone()));
        assert_eq!(fs::read_to_string(snapshot.join("unet/config.json")).unwrap(), "bytes");
    }
}
