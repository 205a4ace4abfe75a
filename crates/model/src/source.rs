//! Where a model comes from.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    error::{Error, Result},
    files::ModelFiles,
};

/// `embedded:NAME`, a local folder in diffusers layout, or a Hub id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// Part of the program.
    Embedded(String),
    /// A folder on disk.
    Folder(PathBuf),
    /// A repository of the Hugging Face Hub.
    Hub {
        /// `owner/name`.
        id: String,
        /// Branch, tag or commit.
        revision: String,
    },
}

impl FromStr for ModelSource {
    type Err = Error;

    /// `embedded:NAME`, an existing folder, or `owner/name[@revision]`.
    fn from_str(given: &str) -> Result<Self> {
        if let Some(name) = given.strip_prefix("embedded:") {
            return match memscope_embedded::model(name) {
                Some(model) => Ok(Self::Embedded(model.name().to_owned())),
                None => Err(Error::UnknownEmbedded { name: name.to_owned(), available: Self::embedded_names() }),
            };
        }
        if Path::new(given).is_dir() {
            return Ok(Self::Folder(PathBuf::from(given)));
        }
        let (id, revision) = given.split_once('@').unwrap_or((given, "main"));
        let is_name = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        match id.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) && !revision.is_empty() => {
                Ok(Self::Hub { id: id.to_owned(), revision: revision.to_owned() })
            }
            _ => Err(Error::UnknownSource { given: given.to_owned() }),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Embedded(name) => write!(f, "embedded:{name}"),
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Hub { id, revision } if revision == "main" => f.write_str(id),
            Self::Hub { id, revision } => write!(f, "{id}@{revision}"),
        }
    }
}

impl ModelSource {
    /// The names of the embedded models.
    pub fn embedded_names() -> Vec<String> {
        memscope_embedded::models().iter().map(|model| model.name().to_owned()).collect()
    }

    pub(crate) fn files(&self) -> Result<ModelFiles> {
        match self {
            Self::Embedded(name) => match memscope_embedded::model(name) {
                Some(model) => Ok(ModelFiles::Embedded(model)),
                None => Err(Error::UnknownSource { given: self.to_string() }),
            },
            Self::Folder(path) => Ok(ModelFiles::Folder(path.clone())),
            Self::Hub { id, revision } => {
                let cache = hub_cache();
                match cached_snapshot(&cache, id, revision) {
                    Some(folder) => Ok(ModelFiles::Folder(folder)),
                    None => Err(Error::NotInCache { id: id.clone(), revision: revision.clone(), cache }),
                }
            }
        }
    }
}

/// The Hub cache as the Python library finds it: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
fn hub_cache() -> PathBuf {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || folder("HOME").or_else(|| folder("USERPROFILE")).unwrap_or_default();
    folder("HF_HUB_CACHE").unwrap_or_else(|| {
        let hf_home = folder("HF_HOME")
            .unwrap_or_else(|| folder("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache")).join("huggingface"));
        hf_home.join("hub")
    })
}

/// The snapshot folder of a repository in the cache, if it was downloaded.
fn cached_snapshot(cache: &Path, id: &str, revision: &str) -> Option<PathBuf> {
    let repository = cache.join(format!("models--{}", id.replace('/', "--")));
    let commit = std::fs::read_to_string(repository.join("refs").join(revision));
    let commit = commit.map_or_else(|_| revision.to_owned(), |commit| commit.trim().to_owned());
    let snapshot = repository.join("snapshots").join(commit);
    snapshot.join("model_index.json").is_file().then_some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let hub = |id: &str, revision: &str| ModelSource::Hub { id: id.into(), revision: revision.into() };
        assert_eq!(
            "CompVis/stable-diffusion-v1-4".parse::<ModelSource>().unwrap(),
            hub("CompVis/stable-diffusion-v1-4", "main")
        );
        assert_eq!("a/b@v1".parse::<ModelSource>().unwrap(), hub("a/b", "v1"));
        let folder = env::temp_dir();
        assert_eq!(folder.to_str().unwrap().parse::<ModelSource>().unwrap(), ModelSource::Folder(folder));
        assert!(matches!("embedded:nothing".parse::<ModelSource>(), Err(Error::UnknownEmbedded { .. })));
        for wrong in ["", "no-such-folder", "/no/such/folder", "a/b/c", "../x"] {
            assert!(matches!(wrong.parse::<ModelSource>(), Err(Error::UnknownSource { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_downloaded_snapshot_is_found_by_branch_and_by_commit() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--a--b");
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::write(repository.join("refs/main"), "abc\n").unwrap();
        let snapshot = repository.join("snapshots/abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        assert_eq!(cached_snapshot(cache.path(), "a/b", "main"), None);
        std::fs::write(snapshot.join("model_index.json"), "{}").unwrap();
        assert_eq!(cached_snapshot(cache.path(), "a/b", "main"), Some(snapshot.clone()));
        assert_eq!(cached_snapshot(cache.path(), "a/b", "abc"), Some(snapshot));
    }
}
