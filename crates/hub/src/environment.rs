//! The Hugging Face Hub as the environment describes it: where it is, who asks, and where its cache is.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    address::{Address, Token},
    error::{Absence, Error},
    files::read_small,
    folder::variable_folder,
    id::HubModel,
    repository::Repository,
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
    pub(crate) endpoint: Address,
    pub(crate) token: Option<Token>,
    pub(crate) cache: PathBuf,
    pub(crate) network: Network,
}

/// A token is short.
const TOKEN_LIMIT: u64 = 1 << 16;

impl Hub {
    /// Reads the variables of the Python library: `HF_ENDPOINT`; `HF_TOKEN`, or the token that `hf auth login` left;
    /// `HF_HUB_CACHE`, `HF_HOME`; `HF_HUB_OFFLINE`. A relative folder is one below the current folder, `~/` the home.
    pub fn from_env() -> Self {
        let text = |name| env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let home = hf_home();
        let token_file = hf_folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let offline = text("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "on", "yes", "true"].iter().any(|yes| value.eq_ignore_ascii_case(yes)));
        Self {
            endpoint: Address::new(endpoint.trim_end_matches('/')),
            token: text("HF_TOKEN").or_else(|| stored_token(&token_file)).map(Token::new),
            cache: hf_folder("HF_HUB_CACHE")
                .or_else(|| hf_folder("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| home.join("hub")),
            network: if offline { Network::Offline } else { Network::Online },
        }
    }

    /// Whether the network may be asked.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The folder of a model's snapshot in the cache, complete or not.
    pub fn snapshot(&self, model: &HubModel) -> Option<PathBuf> {
        Repository::new(&self.cache, &model.id).snapshot_of(&model.revision)
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

fn stored_token(path: &Path) -> Option<String> {
    let bytes = read_small(path, TOKEN_LIMIT).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?.trim().to_owned();
    Some(text).filter(|token| !token.is_empty())
}

fn user_home() -> Option<PathBuf> {
    variable_folder("HOME").or_else(|| variable_folder("USERPROFILE"))
}

fn hf_home() -> PathBuf {
    hf_folder("HF_HOME").unwrap_or_else(|| {
        let cache =
            hf_folder("XDG_CACHE_HOME").unwrap_or_else(|| absolute(user_home().unwrap_or_default().join(".cache")));
        cache.join("huggingface")
    })
}

/// A folder named by a variable, as the Python library understands it.
fn hf_folder(name: &str) -> Option<PathBuf> {
    let given = variable_folder(name)?;
    let below_home = given.strip_prefix("~").ok().and_then(|rest| Some(user_home()?.join(rest)));
    Some(absolute(below_home.unwrap_or(given)))
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
