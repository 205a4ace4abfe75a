//! What a download would bring.

use std::{collections::BTreeMap, fs, path::PathBuf};

use memscope_text::excerpt;
use serde::Deserialize;
use ureq::http::Method;

use crate::{
    address::{Address, segment},
    client::{Client, Follow},
    environment::{Hub, Network},
    error::{Absence, Error, Result},
    exchange::Head,
    files::is_safe_path,
    hash::ContentHash,
    id::{HubModel, Variant},
    partial::partial_path,
    repository::{Repository, is_commit},
    selection::Selection,
    transfer::Remote,
};

/// A file to download.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// Its path in the repository.
    pub path: String,
    pub(crate) remote: Remote,
}

impl PlannedFile {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.remote.size
    }
}

/// The files of a model at a commit, and how much of them is missing.
#[derive(Clone, Debug)]
pub struct FetchPlan {
    pub(crate) model: HubModel,
    /// The commit.
    pub commit: String,
    /// Every file the model needs.
    pub files: Vec<PlannedFile>,
    /// The folder that the model will be in.
    pub folder: PathBuf,
    /// Bytes that are not there yet; what an interrupted download left counts as there.
    pub missing: u64,
}

/// The Hub's description of a repository. Not all mirrors say sizes and hashes.
#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<Sibling>,
    /// `false`, or how access is granted.
    #[serde(default)]
    gated: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    blob_id: Option<String>,
    #[serde(default)]
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    sha256: String,
    size: u64,
}

/// Bytes of a description of a repository, or of an index of shards.
const SMALL: usize = 64 << 20;
/// Files of one model.
const FILES: usize = 10_000;

impl Sibling {
    /// Size and hash, where the listing has them.
    fn described(&self) -> Option<(u64, ContentHash)> {
        match &self.lfs {
            Some(large) => Some((large.size, ContentHash::parse(&large.sha256)?)),
            None => Some((self.size?, ContentHash::parse(self.blob_id.as_deref()?)?)),
        }
    }
}

impl Hub {
    /// Asks the Hub what a model consists of.
    ///
    /// # Errors
    /// If the network may not be asked or does not answer, there is no such model, or it lacks what is selected.
    pub fn plan<S: Selection>(
        &self,
        model: &HubModel,
        selection: &S,
        should_stop: &dyn Fn() -> bool,
    ) -> std::result::Result<FetchPlan, S::Error> {
        if self.network == Network::Offline {
            return Err(self.not_there(model, Absence::Offline).into());
        }
        let asking = Asking { hub: self, client: self.client()?, model, should_stop };
        let listing = asking.list()?;
        let names: Vec<String> = listing.siblings.iter().map(|file| file.rfilename.clone()).collect();
        let siblings: BTreeMap<&str, &Sibling> = listing.siblings.iter().map(|s| (s.rfilename.as_str(), s)).collect();
        let described = |path: &str| siblings.get(path).and_then(|sibling| sibling.described());
        let chosen = selection.choose(&names)?;
        let mut paths = chosen.files;
        for index in &chosen.indices {
            let file = asking.describe(&listing.sha, index.clone(), described(index))?;
            paths.extend(selection.named_by(index, &asking.read(&file)?)?);
        }
        if paths.len() > FILES {
            let reason = format!("names {} files", paths.len());
            return Err(Error::Answer { url: asking.listing_url().to_string(), reason }.into());
        }
        // The Hub lists gated repositories to everybody; whether this user may have the files is known from one.
        let open = matches!(listing.gated, serde_json::Value::Null | serde_json::Value::Bool(false));
        if let (false, Some(first)) = (open, paths.first()) {
            asking.head(&self.file_url(model, &listing.sha, first))?;
        }
        let files = paths.into_iter().map(|path| {
            let known = described(&path);
            asking.describe(&listing.sha, path, known)
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        let repository = Repository::new(&self.cache, &model.id);
        let missing = files.iter().map(|file| file.size() - there(&repository, file)).fold(0, u64::saturating_add);
        let folder = repository.snapshot(&listing.sha);
        Ok(FetchPlan { model: model.clone(), commit: listing.sha, files, folder, missing })
    }

    pub(crate) fn client(&self) -> Result<Client> {
        let origin = self.endpoint.origin();
        Client::with_token(origin.zip(self.token.clone()))
    }

    pub(crate) fn file_url(&self, model: &HubModel, commit: &str, path: &str) -> Address {
        self.endpoint.below(&format!("{}/resolve/{commit}/{path}", model.id))
    }

    /// Refuses an error answer, in terms of what the user can do.
    pub(crate) fn accept(&self, model: &HubModel, url: &Address, head: &Head) -> Result<()> {
        let unknown = || Error::UnknownRepository { model: model.to_string(), endpoint: self.endpoint.to_string() };
        match (head.status, head.text("x-error-code").unwrap_or_default()) {
            (200..=299, _) => Ok(()),
            (_, "RevisionNotFound") => {
                Err(Error::UnknownRevision { id: model.id.clone(), revision: model.revision.clone() })
            }
            // The Hub answers 401 for repositories that do not exist, too, so that private ones stay secret.
            (_, "RepoNotFound") => Err(unknown()),
            (status @ (401 | 403), _) => Err(Error::Gated {
                id: model.id.clone(),
                status,
                page: self.endpoint.below(&model.id).to_string(),
                token: match self.token {
                    Some(_) => "the token in use may not read it",
                    None => "no token is set",
                },
            }),
            (404, _) if *url == self.listing_url(model) => Err(unknown()),
            (status, _) => Err(Error::Status { url: url.to_string(), status }),
        }
    }

    fn listing_url(&self, model: &HubModel) -> Address {
        // The revision is one segment already escaped, so that it must not be escaped again.
        let models = self.endpoint.below(&format!("api/models/{}/revision", model.id));
        models.with_segment(&segment(&model.revision))
    }
}

/// Bytes of a file that are in the cache, by its size alone.
fn there(repository: &Repository, file: &PlannedFile) -> u64 {
    let blob = repository.blob(&file.remote.hash);
    let length = |path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length(blob.clone()) == file.size() { file.size() } else { length(partial_path(&blob)).min(file.size()) }
}

/// Questions about one model.
struct Asking<'a> {
    hub: &'a Hub,
    client: Client,
    model: &'a HubModel,
    should_stop: &'a dyn Fn() -> bool,
}

impl Asking<'_> {
    fn listing_url(&self) -> Address {
        self.hub.listing_url(self.model)
    }

    fn list(&self) -> Result<Listing> {
        let url = self.listing_url();
        let asked = url.with_query("blobs=true");
        let (head, body) = self.client.ask(&Method::GET, &asked, SMALL, Follow::All, self.should_stop).map_err(
            |error| match error {
                Error::Unreachable { reason, .. } => {
                    let endpoint = self.hub.endpoint.to_string();
                    self.hub.not_there(self.model, Absence::Unreachable { endpoint, reason })
                }
                other => other,
            },
        )?;
        self.hub.accept(self.model, &url, &head)?;
        let answer = |reason: String| Error::Answer { url: url.to_string(), reason };
        let listing: Listing = serde_json::from_slice(&body).map_err(|e| {
            answer(format!("is not the Hub's description of a repository ({})", excerpt(&e.to_string())))
        })?;
        match is_commit(&listing.sha) {
            true => Ok(listing),
            false => Err(answer(format!("'{}' is no commit", excerpt(&listing.sha)))),
        }
    }

    fn head(&self, url: &Address) -> Result<Head> {
        let (head, _) = self.client.ask(&Method::HEAD, url, 0, Follow::UntilDescribed, self.should_stop)?;
        if head.text("x-linked-etag").is_none() {
            self.hub.accept(self.model, url, &head)?;
        }
        Ok(head)
    }

    /// Size and hash of a file: those of the listing, else from its headers.
    fn describe(&self, commit: &str, path: String, known: Option<(u64, ContentHash)>) -> Result<PlannedFile> {
        let url = self.hub.file_url(self.model, commit, &path);
        let answer = |reason: &str| Error::Answer { url: url.to_string(), reason: reason.to_owned() };
        if !is_safe_path(&path) {
            let reason = format!("'{}' may not be the name of a file", excerpt(&path));
            return Err(Error::Answer { url: self.listing_url().to_string(), reason });
        }
        let (size, hash) = if let Some(known) = known {
            known
        } else {
            let head = self.head(&url)?;
            let etag = head.text("x-linked-etag").or_else(|| head.text("etag"));
            let etag = etag.ok_or_else(|| answer("the answer has no ETag; is HF_ENDPOINT a mirror of the Hub?"))?;
            let etag = etag.trim_start_matches("W/").trim_matches('"');
            let hash = ContentHash::parse(etag).ok_or_else(|| {
                answer(&format!("its ETag '{}' is no hash, so that the file could not be checked", excerpt(etag)))
            })?;
            let size = head.text("x-linked-size").or_else(|| head.text("content-length"));
            (size.and_then(|size| size.parse().ok()).ok_or_else(|| answer("the answer names no size"))?, hash)
        };
        Ok(PlannedFile { path, remote: Remote { url, size, hash } })
    }

    /// The content of a small file, checked.
    fn read(&self, file: &PlannedFile) -> Result<Vec<u8>> {
        let Remote { url, size, hash } = &file.remote;
        let (head, body) = self.client.ask(&Method::GET, url, SMALL, Follow::All, self.should_stop)?;
        self.hub.accept(self.model, url, &head)?;
        let mut hasher = hash.hasher(*size);
        hasher.update(&body);
        let got = hasher.digits();
        match got == hash.digits() {
            true => Ok(body),
            false => Err(Error::WrongHash {
                url: url.to_string(),
                algorithm: hash.algorithm(),
                expected: hash.to_string(),
                got,
            }),
        }
    }
}

impl FetchPlan {
    /// The model.
    pub fn model(&self) -> &HubModel {
        &self.model
    }

    /// Bytes of all files.
    pub fn total(&self) -> u64 {
        self.files.iter().map(PlannedFile::size).fold(0, u64::saturating_add)
    }

    /// The variant of its weights.
    pub fn variant(&self) -> Option<&Variant> {
        self.model.variant()
    }
}
