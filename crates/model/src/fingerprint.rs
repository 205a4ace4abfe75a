//! SHA-256 of everything that determines what a model computes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use memscope_hub::cache_folder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    files::ModelFiles,
    layout::{INDEX, NEEDED, NETWORKS, OPTIONAL, weight_files},
};

/// The fingerprint of a model: SHA-256 (hex) over the sorted list of its files' names and hashes.
pub(crate) fn fingerprint(files: &ModelFiles) -> Result<String> {
    let Some(folder) = files.folder() else { return embedded_fingerprint(files) };
    let mut cache = Cache::open();
    let fingerprint = combine(files, |name| cache.hash(&folder.join(name), || sha256(name, files)))?;
    cache.save();
    Ok(fingerprint)
}

/// Plans, loading and reports ask for it; the bytes are part of the program.
fn embedded_fingerprint(files: &ModelFiles) -> Result<String> {
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(fingerprint) = known.get(&files.name()) {
        return Ok(fingerprint.clone());
    }
    let fingerprint = combine(files, |name| sha256(name, files))?;
    known.insert(files.name(), fingerprint.clone());
    Ok(fingerprint)
}

/// The same where no large file must be read for it.
pub(crate) fn known_fingerprint(files: &ModelFiles) -> Option<String> {
    let Some(folder) = files.folder() else { return embedded_fingerprint(files).ok() };
    let mut cache = Cache::open();
    let unknown = |name: &str| Err(Error::Argument(format!("{name} has not been hashed")));
    combine(files, |name| cache.hash(&folder.join(name), || unknown(name))).ok()
}

fn combine(files: &ModelFiles, mut hash: impl FnMut(&str) -> Result<String>) -> Result<String> {
    // The index names the pipeline's classes; it is checked, and changes no number.
    let small = NEEDED.iter().chain(OPTIONAL).filter(|file| **file != INDEX && files.exists(file));
    let mut names: Vec<String> = small.map(|file| (*file).to_owned()).collect();
    for (folder, stem) in NETWORKS {
        names.extend(weight_files(files, folder, stem)?);
    }
    names.sort();
    let mut all = Sha256::new();
    for name in names {
        all.update(format!("{name} {}\n", hash(&name)?));
    }
    Ok(hex(&all.finalize()))
}

fn sha256(name: &str, files: &ModelFiles) -> Result<String> {
    let bytes = files.open(name)?;
    let mut hash = Sha256::new();
    bytes
        .read_all(|piece| hash.update(piece))
        .map_err(|source| Error::Read { path: files.label(name).into(), source })?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Hashes of files by path, size and modification time, so that gigabytes are read once.
struct Cache {
    path: Option<PathBuf>,
    entries: BTreeMap<String, CachedHash>,
    changed: bool,
}

#[derive(Serialize, Deserialize)]
struct CachedHash {
    size: u64,
    modified_ns: u128,
    sha256: String,
}

impl Cache {
    fn open() -> Self {
        Self::at(cache_folder().map(|folder| folder.join("fingerprints.json")))
    }

    fn at(path: Option<PathBuf>) -> Self {
        let entries =
            path.as_ref().and_then(|path| fs::read(path).ok()).and_then(|json| serde_json::from_slice(&json).ok());
        Self { path, entries: entries.unwrap_or_default(), changed: false }
    }

    fn hash(&mut self, file: &Path, compute: impl FnOnce() -> Result<String>) -> Result<String> {
        let Some((key, size, modified_ns)) = identity(file) else { return compute() };
        if let Some(entry) = self.entries.get(&key)
            && (entry.size, entry.modified_ns) == (size, modified_ns)
        {
            return Ok(entry.sha256.clone());
        }
        let sha256 = compute()?;
        self.entries.insert(key, CachedHash { size, modified_ns, sha256: sha256.clone() });
        self.changed = true;
        Ok(sha256)
    }

    /// Best effort: without a cache the next run hashes again.
    fn save(&self) {
        let Some(path) = self.path.as_ref().filter(|_| self.changed) else { return };
        let Some(folder) = path.parent() else { return };
        let partial = folder.join(format!("fingerprints.{}.tmp", std::process::id()));
        let written = fs::create_dir_all(folder)
            .and_then(|()| serde_json::to_vec_pretty(&self.entries).map_err(Into::into))
            .and_then(|json| fs::write(&partial, json))
            .and_then(|()| fs::rename(&partial, path));
        if let Err(error) = written {
            tracing::debug!("cannot cache fingerprints in {}: {error}", path.display());
        }
    }
}

fn identity(file: &Path) -> Option<(String, u64, u128)> {
    let metadata = fs::metadata(file).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let path = fs::canonicalize(file).ok()?;
    Some((path.to_string_lossy().into_owned(), metadata.len(), modified.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_again_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache_path) = (folder.path().join("weights"), folder.path().join("cache/fingerprints.json"));
        fs::write(&file, "one").unwrap();
        let mut cache = Cache::at(Some(cache_path.clone()));
        assert_eq!(cache.hash(&file, || Ok("first".into())).unwrap(), "first");
        cache.save();
        let mut cache = Cache::at(Some(cache_path));
        assert_eq!(cache.hash(&file, || panic!("not asked again")).unwrap(), "first");
        fs::write(&file, "another size").unwrap();
        assert_eq!(cache.hash(&file, || Ok("second".into())).unwrap(), "second");
    }

    #[test]
    fn sha256_of_abc() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("weights"), "abc").unwrap();
        let files = ModelFiles::Folder { path: folder.path().to_owned(), variant: None };
        assert_eq!(
            sha256("weights", &files).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
