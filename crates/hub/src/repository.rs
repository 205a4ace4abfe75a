//! A repository in the Hub cache, laid out as the Python library lays it out: `blobs` by hash, `refs` by branch,
//! `snapshots` by commit. The crate hf-hub says where things are; writing is done here, so that nothing is written
//! through links and nothing is half written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use crate::{
    error::{Error, Result},
    files::{is_safe_path, make_folder, read_small, write},
    hash::ContentHash,
};

/// A repository's folder. The folder itself may be a link, so that a model can lie on another disk; nothing in it may.
pub(crate) struct Repository {
    folder: PathBuf,
    layout: CacheRepo,
}

/// A name of a commit is short.
const REFERENCE_LIMIT: u64 = 1024;

impl Repository {
    pub(crate) fn new(cache: &Path, id: &str) -> Self {
        let repo = Repo::new(id.to_owned(), RepoType::Model);
        let cache = Cache::new(cache.to_owned());
        Self { folder: cache.path().join(repo.folder_name()), layout: cache.repo(repo) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit that a branch, tag or commit is known to be, as far as the cache knows.
    pub(crate) fn commit_of(&self, revision: &str) -> String {
        let path = self.folder.join("refs").join(revision);
        let stored = read_small(&path, REFERENCE_LIMIT).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
        let commit = stored.map(|commit| commit.trim().to_owned()).filter(|commit| is_commit(commit));
        commit.unwrap_or_else(|| revision.to_owned())
    }

    /// The snapshot folder of a branch, tag or commit that was downloaded, at least in part.
    pub(crate) fn snapshot_of(&self, revision: &str) -> Option<PathBuf> {
        Some(self.snapshot(&self.commit_of(revision))).filter(|folder| folder.is_dir())
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.layout.pointer_path(commit)
    }

    pub(crate) fn blob(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join("blobs").join(hash.digits())
    }

    /// What the Hub said about a commit's files.
    pub(crate) fn record(&self, commit: &str) -> PathBuf {
        self.folder.join(".memscope").join(format!("{commit}.json"))
    }

    pub(crate) fn make_folders(&self) -> Result<()> {
        ["blobs", "refs", "snapshots", ".memscope"]
            .iter()
            .try_for_each(|name| make_folder(&self.folder, Path::new(name)))
    }

    /// Lets the snapshot's file be the blob: a relative link, as the Python library makes it.
    pub(crate) fn link(&self, commit: &str, file: &str, hash: &ContentHash) -> Result<()> {
        let place = self.snapshot(commit).join(file);
        let blob = self.blob(hash);
        let below = Path::new("snapshots").join(commit).join(Path::new(file).parent().unwrap_or_else(|| Path::new("")));
        make_folder(&self.folder, &below)?;
        if fs::canonicalize(&place).is_ok_and(|there| fs::canonicalize(&blob).is_ok_and(|blob| there == blob)) {
            return Ok(());
        }
        let fail = |source| Error::Write { path: place.clone(), source };
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let up = "../".repeat(file.matches('/').count() + 2);
        symlink(Path::new(&format!("{up}blobs/{hash}")), &blob, &place).map_err(fail)
    }

    /// Remembers which commit a branch or tag was.
    pub(crate) fn remember(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit || !is_safe_path(revision) {
            return Ok(());
        }
        let below = Path::new("refs").join(revision);
        make_folder(&self.folder, below.parent().unwrap_or_else(|| Path::new("refs")))?;
        write(&self.folder.join(below), commit.as_bytes())
    }
}

/// Whether a text that the server sent, or a file holds, may name a snapshot.
pub(crate) fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hash() -> ContentHash {
        ContentHash::parse(&"a".repeat(40)).unwrap()
    }

    #[test]
    fn a_snapshot_is_found_by_branch_and_by_commit() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "a/b");
        repository.make_folders().unwrap();
        assert_eq!(repository.snapshot_of("main"), None);
        fs::write(repository.blob(&hash()), "bytes").unwrap();
        repository.link("abc", "unet/config.json", &hash()).unwrap();
        repository.link("abc", "unet/config.json", &hash()).unwrap();
        repository.remember("main", "abc").unwrap();
        let snapshot = cache.path().join("models--a--b/snapshots/abc");
        assert_eq!(repository.snapshot_of("main"), Some(snapshot.clone()));
        assert_eq!(repository.snapshot_of("abc"), Some(snapshot.clone()));
        assert_eq!(fs::read_to_string(snapshot.join("unet/config.json")).unwrap(), "bytes");
    }

    /// hf-hub finds what is written here.
    #[test]
    fn the_layout_is_that_of_hf_hub() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "a/b");
        repository.make_folders().unwrap();
        fs::write(repository.blob(&hash()), "bytes").unwrap();
        repository.link("abc", "unet/config.json", &hash()).unwrap();
        repository.remember("main", "abc").unwrap();
        let found = Cache::new(cache.path().to_owned()).model("a/b".into()).get("unet/config.json").unwrap();
        assert_eq!(fs::read_to_string(found).unwrap(), "bytes");
    }

    #[cfg(unix)]
    #[test]
    fn planted_links_are_replaced_or_refused() {
        use std::os::unix::fs::symlink;
        let (cache, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let repository = Repository::new(cache.path(), "a/b");
        repository.make_folders().unwrap();
        fs::write(repository.blob(&hash()), "bytes").unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, repository.folder().join("refs/main")).unwrap();
        repository.remember("main", "abc").unwrap();
        fs::create_dir_all(repository.snapshot("abc")).unwrap();
        symlink(&victim, repository.snapshot("abc").join("model_index.json")).unwrap();
        repository.link("abc", "model_index.json", &hash()).unwrap();
        assert_eq!(fs::read_to_string(repository.snapshot("abc").join("model_index.json")).unwrap(), "bytes");
        symlink(outside.path(), repository.snapshot("abc").join("unet")).unwrap();
        assert!(matches!(repository.link("abc", "unet/config.json", &hash()), Err(Error::NoFolder { .. })));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        // What a reference holds is a name, not a path.
        fs::write(repository.folder().join("refs/main"), "../../../etc").unwrap();
        assert_eq!(repository.snapshot_of("main"), None);
    }
}
