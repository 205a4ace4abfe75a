//! SHA-256 of everything that determines what a model computes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use memscope_hub::cache_folder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    bytes::{Bytes, read_limited},
    error::{Error, Result},
    file_names::{INDEX, TOKENIZER_JSON, VOCABULARY},
    files::ModelFiles,
    layout::weight_files,
    pipeline::{EmptyPrompt, Pipeline},
};

/// The fingerprint of a model: SHA-256 (hex) over the sorted list of its files' names and hashes; LoRA files follow with
/// their scales.
pub(crate) fn fingerprint(files: &ModelFiles) -> Result<String> {
    let mut cache = Cache::open();
    let fingerprint = combine(files, &mut |bytes| match bytes {
        Bytes::OnDisk { path, .. } => cache.hash(path, || sha256(bytes)),
        Bytes::Static(_) => sha256(bytes),
    })?;
    cache.save();
    Ok(fingerprint)
}

/// The same where no large file must be read for it.
pub(crate) fn known_fingerprint(files: &ModelFiles) -> Option<String> {
    let mut cache = Cache::open();
    let known = combine(files, &mut |bytes| match bytes {
        Bytes::OnDisk { path, len } if *len >= SMALL => {
            cache.hash(path, || Err(Error::Argument(format!("{} has not been hashed", path.display()))))
        }
        _ => sha256(bytes),
    });
    known.ok()
}

/// Of embedded models, whose bytes are part of the program: plans, loading and reports ask for the same ones.
static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

type Hash<'a> = dyn FnMut(&Bytes) -> Result<String> + 'a;

fn combine(files: &ModelFiles, hash: &mut Hash) -> Result<String> {
    if let ModelFiles::Changed { base, changes, sizes } = files {
        let mut all = Sha256::new();
        all.update(format!("base {}\n", combine(base, hash)?));
        for (lora, bytes) in &changes.files {
            all.update(format!("lora {} {}\n", lora.scale, hash(bytes)?));
        }
        if !sizes.is_default() {
            all.update(format!("sizes {sizes}\n"));
        }
        return Ok(hex(&all.finalize()));
    }
    let is_embedded = matches!(files, ModelFiles::Embedded(_));
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(fingerprint) = known.get(&files.name()).filter(|_| is_embedded) {
        return Ok(fingerprint.clone());
    }
    let mut hashes = hashes(files, hash)?;
    hashes.sort();
    let mut all = Sha256::new();
    for (name, hash) in hashes {
        all.update(format!("{name} {hash}\n"));
    }
    let fingerprint = hex(&all.finalize());
    if is_embedded {
        known.insert(files.name(), fingerprint.clone());
    }
    Ok(fingerprint)
}

/// Names and hashes of the files that count.
fn hashes(files: &ModelFiles, hash: &mut Hash) -> Result<Vec<(String, String)>> {
    let pipeline = Pipeline::read(files)?;
    // The index names the pipeline's classes, which is checked and changes no number. Nor does what only repeats the
    // vocabulary.
    let repeats = |file: &str| {
        let folder = file.strip_suffix(TOKENIZER_JSON);
        folder.is_some_and(|folder| files.exists(&format!("{folder}{VOCABULARY}")))
    };
    let counts = |file: &String| file != INDEX && !repeats(file) && files.exists(file);
    let small = pipeline.needed().into_iter().chain(pipeline.optional()).filter(counts);
    let small = small.map(|name| {
        let hash = hex(&Sha256::digest(files.read(&name)?));
        Ok((name, hash))
    });
    let mut hashes = small.collect::<Result<Vec<_>>>()?;
    if pipeline == Pipeline::StableDiffusionXl && EmptyPrompt::read(files, pipeline)? == EmptyPrompt::Encoded {
        hashes.push((INDEX.to_owned(), "force_zeros_for_empty_prompt false".to_owned()));
    }
    if let Some(checkpoint) = files.checkpoint() {
        if checkpoint.averaged {
            hashes.push(("weights".to_owned(), "averaged".to_owned()));
        }
        for (i, bytes) in checkpoint.files.iter().enumerate() {
            hashes.push((format!("file {i}"), hash(bytes)?));
        }
        return Ok(hashes);
    }
    for (folder, stem) in pipeline.networks() {
        for name in weight_files(files, folder, stem)? {
            let sha256 = hash(&files.open(&name)?)?;
            hashes.push((name, sha256));
        }
    }
    Ok(hashes)
}

fn sha256(bytes: &Bytes) -> Result<String> {
    let mut hash = Sha256::new();
    let path = match bytes {
        Bytes::OnDisk { path, .. } => path.clone(),
        Bytes::Static(_) => "the program".into(),
    };
    bytes.read_all(|piece| hash.update(piece)).map_err(|source| Error::Read { path, source })?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Hashes of files, so that gigabytes are read once.
///
/// The rule: a stored hash counts only while path, size, modification time, change time, device and inode of the file
/// are those of when it was hashed. The change time cannot be set by a program, so that other bytes under an old
/// modification time (`touch -d`, tar, container layers) are noticed, and a replaced file has another inode. Files that
/// changed within the last [`SETTLED`] before they were hashed are not remembered, since a second change could carry
/// the same times; nor are small files, which are always hashed. On systems without change times nothing is remembered.
struct Cache {
    path: Option<PathBuf>,
    entries: BTreeMap<String, CachedHash>,
    changed: bool,
}

/// Clocks of file systems are coarse; two seconds are the coarsest in use.
const SETTLED: Duration = Duration::from_secs(2);

/// Files below this size are hashed each time.
const SMALL: u64 = 1 << 16;

/// Largest file of stored hashes that is read.
const CACHE_LIMIT: u64 = 64 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CachedHash {
    identity: Identity,
    sha256: String,
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    size: u64,
    modified_ns: i64,
    changed_ns: i64,
    device: u64,
    inode: u64,
}

impl Cache {
    fn open() -> Self {
        Self::at(cache_folder().map(|folder| folder.join("fingerprints.json")))
    }

    fn at(path: Option<PathBuf>) -> Self {
        let json = path.as_ref().and_then(|path| read_limited(path, CACHE_LIMIT).ok());
        let entries = json.and_then(|json| serde_json::from_slice(&json).ok());
        Self { path, entries: entries.unwrap_or_default(), changed: false }
    }

    fn hash(&mut self, file: &Path, compute: impl FnOnce() -> Result<String>) -> Result<String> {
        let Some((key, identity)) = identity(file) else { return compute() };
        if let Some(entry) = self.entries.get(&key)
            && entry.identity == identity
        {
            return Ok(entry.sha256.clone());
        }
        let sha256 = compute()?;
        if has_settled(&identity) {
            self.entries.insert(key, CachedHash { identity, sha256: sha256.clone() });
            self.changed = true;
        }
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

/// `None` where the file's hash is not to be remembered.
#[cfg(unix)]
fn identity(file: &Path) -> Option<(String, Identity)> {
    use std::os::unix::fs::MetadataExt;
    const BILLION: i64 = 1_000_000_000;
    let metadata = fs::metadata(file).ok()?;
    let path = fs::canonicalize(file).ok()?;
    let identity = Identity {
        size: metadata.len(),
        modified_ns: metadata.mtime() * BILLION + metadata.mtime_nsec(),
        changed_ns: metadata.ctime() * BILLION + metadata.ctime_nsec(),
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    (metadata.len() >= SMALL).then(|| (path.to_string_lossy().into_owned(), identity))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(String, Identity)> {
    None
}

fn has_settled(identity: &Identity) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i64);
    let latest = identity.modified_ns.max(identity.changed_ns);
    latest + (SETTLED.as_nanos() as i64) < now
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights of a test must be large enough to be remembered.
    fn weights(byte: u8) -> Vec<u8> {
        vec![byte; SMALL as usize]
    }

    #[cfg(unix)]
    #[test]
    fn other_bytes_of_the_same_size_and_modification_time_are_hashed_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache_path) = (folder.path().join("weights"), folder.path().join("cache/fingerprints.json"));
        let long_ago = UNIX_EPOCH + Duration::from_secs(1);
        let write = |byte| {
            fs::write(&file, weights(byte)).unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
        };
        write(1);
        let mut cache = Cache::at(Some(cache_path.clone()));
        assert_eq!(cache.hash(&file, || Ok("first".into())).unwrap(), "first");
        assert_eq!(cache.hash(&file, || Ok("again".into())).unwrap(), "again", "it changed a moment ago");
        std::thread::sleep(SETTLED + Duration::from_millis(100));
        assert_eq!(cache.hash(&file, || Ok("first".into())).unwrap(), "first");
        cache.save();
        let mut cache = Cache::at(Some(cache_path));
        assert_eq!(cache.hash(&file, || panic!("not asked again")).unwrap(), "first");
        write(2);
        assert_eq!(cache.hash(&file, || Ok("second".into())).unwrap(), "second");
    }

    #[test]
    fn sha256_of_abc() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("weights"), "abc").unwrap();
        let bytes = Bytes::on_disk(folder.path().join("weights")).unwrap();
        assert_eq!(sha256(&bytes).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
