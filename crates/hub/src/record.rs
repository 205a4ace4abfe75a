//! What the Hub said about a commit's files, kept beside the blobs, so that a cache can be checked without the network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    files::{is_safe_path, read_small, write},
    hash::ContentHash,
    repository::Repository,
};

/// The files of a commit that were asked for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// `owner/name`.
    pub(crate) id: String,
    pub(crate) commit: String,
    /// By path in the repository.
    pub(crate) files: BTreeMap<String, Recorded>,
}

/// A file as the Hub described it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// Bytes.
    pub(crate) size: u64,
    /// Hash of the content.
    pub(crate) hash: ContentHash,
}

const VERSION: u32 = 1;
const LIMIT: u64 = 16 << 20;

impl Record {
    /// What was recorded of a commit, if anything.
    pub(crate) fn read(repository: &Repository, commit: &str) -> Result<Option<Self>> {
        let path = repository.record(commit);
        let bytes = read_small(&path, LIMIT).map_err(|source| Error::Read { path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let fail = |reason: &str| Error::Record { path: path.clone(), reason: reason.to_owned() };
        let record: Self = serde_json::from_slice(&bytes).map_err(|_| fail("is not what memscope writes"))?;
        let hashes =
            record.files.values().all(|file| ContentHash::parse(file.hash.digits()).as_ref() == Some(&file.hash));
        match (record.version, hashes && record.files.keys().all(|path| is_safe_path(path))) {
            (VERSION, true) if record.commit == commit => Ok(Some(record)),
            (VERSION, _) => Err(fail("names files or hashes that cannot be")),
            _ => Err(fail("was written by another version of memscope")),
        }
    }

    /// Adds to what was recorded of a commit; a record that cannot be read is replaced.
    pub(crate) fn add(
        repository: &Repository,
        id: &str,
        commit: &str,
        files: impl Iterator<Item = (String, Recorded)>,
    ) -> Result<()> {
        let known = Self::read(repository, commit).unwrap_or_else(|error| {
            tracing::warn!("{error}; it is written anew");
            None
        });
        let mut record = known.unwrap_or_else(|| Self {
            version: VERSION,
            id: id.to_owned(),
            commit: commit.to_owned(),
            files: BTreeMap::new(),
        });
        record.files.extend(files);
        let path = repository.record(commit);
        let mut json = serde_json::to_vec_pretty(&record)
            .map_err(|error| Error::Record { path: path.clone(), reason: error.to_string() })?;
        json.push(b'\n');
        write(&path, &json)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn records_are_read_back_and_added_to() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "a/b");
        repository.make_folders().unwrap();
        assert_eq!(Record::read(&repository, "abc").unwrap(), None);
        let file = |digit: &str| Recorded { size: 6, hash: ContentHash::parse(&digit.repeat(64)).unwrap() };
        for (name, digit) in [("x", "1"), ("unet/y", "2"), ("x", "3")] {
            Record::add(&repository, "a/b", "abc", [(name.to_owned(), file(digit))].into_iter()).unwrap();
        }
        let record = Record::read(&repository, "abc").unwrap().unwrap();
        assert_eq!((record.id.as_str(), record.files.len(), &record.files["x"]), ("a/b", 2, &file("3")));

        let text = fs::read_to_string(repository.record("abc")).unwrap();
        for damaged in [
            text.replace("unet/y", "../y"),
            text.replace("3333", "zzzz"),
            text.replace("\"abc\"", "\"abd\""),
            text[..40].to_owned(),
        ] {
            fs::write(repository.record("abc"), damaged).unwrap();
            assert!(matches!(Record::read(&repository, "abc"), Err(Error::Record { .. })));
        }
        Record::add(&repository, "a/b", "abc", [("x".to_owned(), file("1"))].into_iter()).unwrap();
        assert!(Record::read(&repository, "abc").unwrap().is_some());
    }
}
