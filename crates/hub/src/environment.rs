//! The Hugging Face Hub: which files of a repository a model needs, what is there already, and how to get the rest.
//! The cache is laid out as the Python library lays it out, so both find what the other has downloaded.

use std::{env, fs, path::PathBuf};

use crate::{
    error::{Absence, Error},
    folder::variable_folder,
    id::HubModel,
    repository::remembered,
};

/// Whether the network may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It may.
    Online,
    /// `HF_HUB_OFFLINE` forbids it.
    Offline,
}

/// The Hub as the environment describes it.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(crate) endpoint: String,
    pub(crate) token: Option<String>,
    pub(crate) cache: PathBuf,
    pub(crate) network: Network,
}

impl Hub {
    /// Reads the variables of the Python library: `HF_ENDPOINT`; `HF_TOKEN`, or the token that `hf auth login` left;
    /// `HF_HUB_CACHE`, `HF_HOME`; `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        let text = |name| env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let home = hf_home();
        let token_file = variable_folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let stored = || fs::read_to_string(token_file).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let offline = text("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "on", "yes", "true"].iter().any(|yes| value.eq_ignore_ascii_case(yes)));
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: text("HF_TOKEN").or_else(stored),
            cache: variable_folder("HF_HUB_CACHE")
                .or_else(|| variable_folder("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| home.join("hub")),
            network: if offline { Network::Offline } else { Network::Online },
        }
    }

    /// Whether the network may be asked.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The cache folder.
    pub fn cache(&self) -> &std::path::Path {
        &self.cache
    }

    /// The folder of a model's snapshot in the cache, complete or not.
    pub fn snapshot(&self, model: &HubModel) -> Option<PathBuf> {
        remembered(&self.cache, &model.id, &model.revision)
    }

    /// The error that says that a model is not in the cache, and what to do.
    pub fn not_there(&self, model: &HubModel, absence: Absence) -> Error {
        Error::NotInCache {
            model: model.to_string(),
            argument: model.argument(),
            cache: self.cache.clone(),
            absence: Box::new(absence),
        }
    }
}

fn hf_home() -> PathBuf {
    let home = || variable_folder("HOME").or_else(|| variable_folder("USERPROFILE")).unwrap_or_default();
    variable_folder("HF_HOME").unwrap_or_else(|| {
        variable_folder("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache")).join("huggingface")
    })
}
