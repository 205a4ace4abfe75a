//! Checks a cached model against what the Hub said when it was downloaded.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    environment::Hub,
    error::{Absence, Error, Result},
    files::is_safe_path,
    hash::ContentHash,
    id::HubModel,
    partial::hash_file,
    record::{Record, Recorded},
    repository::{Repository, is_commit},
    watch::FetchWatch,
};

/// What was found of a model's files.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// `owner/name`.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// The snapshot's folder.
    pub folder: PathBuf,
    /// Every file, by path.
    pub files: Vec<VerifiedFile>,
}

/// A file and its state.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedFile {
    /// Its path in the repository.
    pub path: String,
    /// Its state.
    pub state: FileState,
}

/// Whether a file is the one that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Its hash is right.
    Good,
    /// It has another hash or size.
    Damaged,
    /// It is not there.
    Missing,
    /// Nobody recorded its hash.
    Unknown,
}

/// Files of a snapshot that are looked at.
const FILES: usize = 10_000;

impl Verification {
    /// Whether no file is damaged or missing.
    pub fn is_good(&self) -> bool {
        self.files.iter().all(|file| matches!(file.state, FileState::Good | FileState::Unknown))
    }
}

impl Hub {
    /// Hashes the files of a model in the cache, without the network. The hashes are those that were recorded at the
    /// download; for files that another program downloaded, those that their blobs are named by.
    ///
    /// # Errors
    /// If the model is not in the cache, a file cannot be read, or the user stops.
    pub fn verify(&self, model: &HubModel, watch: &dyn FetchWatch) -> Result<Verification> {
        let repository = Repository::new(&self.cache, &model.id);
        let Some(folder) = repository.snapshot_of(&model.revision) else {
            return Err(self.not_there(model, Absence::NotDownloaded));
        };
        let commit = repository.commit_of(&model.revision);
        let mut known: BTreeMap<String, Option<Recorded>> = BTreeMap::new();
        for path in found(&folder)? {
            known.insert(path.clone(), named_by_its_blob(&folder.join(path)));
        }
        for (path, recorded) in Record::read(&repository, &commit)?.into_iter().flat_map(|record| record.files) {
            known.insert(path, Some(recorded));
        }
        let total = known.values().flatten().map(|file| file.size).fold(0, u64::saturating_add);
        let (mut files, mut done) = (vec![], 0);
        for (path, recorded) in known {
            watch.progress(&path, done, total);
            let place = folder.join(&path);
            let state = match &recorded {
                None => FileState::Unknown,
                Some(_) if !place.is_file() => FileState::Missing,
                Some(Recorded { size, hash }) => {
                    let got = hash_file(&place, hash, *size, &|| watch.should_stop())?;
                    if got.as_deref() == Some(hash.digits()) { FileState::Good } else { FileState::Damaged }
                }
            };
            done += recorded.map_or(0, |file| file.size);
            files.push(VerifiedFile { path, state });
        }
        Ok(Verification { id: model.id.clone(), commit, folder, files })
    }

    /// The models of the cache that this program downloaded, each at its commit.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn recorded(&self) -> Result<Vec<HubModel>> {
        let mut models = vec![];
        for folder in entries(&self.cache)? {
            for record in entries(&folder.join(".memscope"))? {
                let commit = record.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let Some(id) = name.strip_prefix("models--").map(|id| id.replacen("--", "/", 1)) else { continue };
                let repository = Repository::new(&self.cache, &id);
                if !is_commit(&commit) || repository.folder() != folder {
                    continue;
                }
                let id = Record::read(&repository, &commit)?.map_or(id, |record| record.id);
                models.push(format!("{id}@{commit}").parse()?);
            }
        }
        models.sort_by_key(|model: &HubModel| (model.id.clone(), model.revision.clone()));
        Ok(models)
    }
}

/// Paths in a folder; none where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(_) if !folder.is_dir() => Ok(vec![]),
        Err(source) => Err(Error::Read { path: folder.to_owned(), source }),
    }
}

/// The files below a snapshot's folder; links to folders are not followed.
fn found(folder: &Path) -> Result<Vec<String>> {
    let (mut files, mut folders) = (vec![], vec![(folder.to_owned(), String::new())]);
    while let Some((folder, below)) = folders.pop() {
        for path in entries(&folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let name = format!("{below}{name}");
            if !is_safe_path(&name) || files.len() + folders.len() > FILES {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => folders.push((path, format!("{name}/"))),
                Ok(_) => files.push(name),
                Err(_) => {}
            }
        }
    }
    Ok(files)
}

/// What the Python library knows of a file: the link's target is named by the hash. The size is the one that is there.
fn named_by_its_blob(place: &Path) -> Option<Recorded> {
    let target = fs::read_link(place).ok()?;
    let hash = ContentHash::parse(target.file_name()?.to_str()?)?;
    let size = fs::metadata(place).map_or(0, |metadata| metadata.len());
    Some(Recorded { size, hash })
}
