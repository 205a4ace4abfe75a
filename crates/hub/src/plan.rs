//! What a download would bring.

use std::{fs, path::PathBuf};

use serde::Deserialize;
use ureq::{
    Body,
    http::{Response, header::HeaderMap},
};

use crate::{
    download::{Client, Remote, partial_path},
    environment::{Hub, Network},
    error::{Absence, Error, Result},
    id::{HubModel, Variant},
    repository::Repository,
    selection::Selection,
};

/// A file to download.
#[derive(Clone, Debug)]
pub struct PlannedFile {
    /// Its path in the repository.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Its hash as the Hub names it: SHA-256 for large files, git's SHA-1 for small ones.
    pub(crate) etag: String,
    pub(crate) remote: Remote,
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

/// The Hub's description of a repository.
#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Descriptions of repositories are small; this one is not.
const LISTING_LIMIT: u64 = 64 << 20;
const INDEX_LIMIT: u64 = 64 << 20;
const HOPS: usize = 5;

impl Hub {
    /// Asks the Hub what a model consists of. Errors where the network may not be asked or does not answer.
    pub fn plan<S: Selection>(&self, model: &HubModel, selection: &S) -> std::result::Result<FetchPlan, S::Error> {
        if self.network == Network::Offline {
            return Err(self.not_there(model, Absence::Offline).into());
        }
        let client = Client::new()?;
        let listing = self.list(&client, model)?;
        let names: Vec<String> = listing.siblings.into_iter().map(|file| file.rfilename).collect();
        let chosen = selection.choose(&names)?;
        let mut paths = chosen.files;
        for index in chosen.indices {
            let url = self.file_url(model, &listing.sha, &index);
            let response = client.get(&url, self.token.as_deref())?;
            self.accept(model, &url, &response)?;
            let bytes = read(&url, response, INDEX_LIMIT)?;
            paths.extend(selection.named_by(&index, &bytes)?);
        }
        let repository = Repository::new(&self.cache, &model.id);
        let files = paths.into_iter().map(|path| self.describe(&client, model, &listing.sha, path));
        let files = files.collect::<Result<Vec<_>>>()?;
        let there = |file: &PlannedFile| {
            let blob = repository.blob(&file.etag);
            let length = |path| fs::metadata(path).map_or(0, |metadata| metadata.len());
            length(blob.clone()).max(length(partial_path(&blob))).min(file.size)
        };
        let missing = files.iter().map(|file| file.size - there(file)).sum();
        let folder = repository.snapshot(&listing.sha);
        Ok(FetchPlan { model: model.clone(), commit: listing.sha, files, folder, missing })
    }

    fn list(&self, client: &Client, model: &HubModel) -> Result<Listing> {
        let url = self.listing_url(model);
        let response = client.get(&url, self.token.as_deref()).map_err(|error| match error {
            Error::Unreachable { reason, .. } => {
                let endpoint = self.endpoint.clone();
                self.not_there(model, Absence::Unreachable { endpoint, reason })
            }
            other => other.into(),
        })?;
        self.accept(model, &url, &response)?;
        let body = read(&url, response, LISTING_LIMIT)?;
        let listing: Listing = serde_json::from_slice(&body).map_err(|e| Error::Answer {
            url: url.clone(),
            reason: format!("is not the Hub's description of a repository ({e})"),
        })?;
        match is_plain(&listing.sha) {
            true => Ok(listing),
            false => Err(Error::Answer { url, reason: format!("'{}' is no commit", listing.sha) }.into()),
        }
    }

    /// Size and hash of a file, from its headers.
    fn describe(&self, client: &Client, model: &HubModel, commit: &str, path: String) -> Result<PlannedFile> {
        let url = self.file_url(model, commit, &path);
        let mut asked = url.clone();
        for _ in 0..HOPS {
            let response = client.head(&asked, self.token.as_deref())?;
            let headers = response.headers();
            let relative = headers.get("location").and_then(|l| l.to_str().ok()).filter(|l| l.starts_with('/'));
            // A relative redirect stays on the Hub; another one leads to the storage, and the Hub has answered.
            if let Some(location) = relative.filter(|_| response.status().is_redirection()) {
                if text(headers, "x-linked-etag").is_none() {
                    asked = format!("{}{location}", origin(&self.endpoint));
                    continue;
                }
            } else if !response.status().is_redirection() {
                self.accept(model, &url, &response)?;
            }
            let answer = |reason: &str| Error::Answer { url: url.clone(), reason: reason.to_owned() };
            let etag = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
            let etag = etag.ok_or_else(|| answer("the answer has no ETag; is HF_ENDPOINT a mirror of the Hub?"))?;
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
            let size = text(headers, "x-linked-size").or_else(|| text(headers, "content-length"));
            let size = size.and_then(|size| size.parse().ok()).ok_or_else(|| answer("the answer names no size"))?;
            if !is_plain(&etag) {
                return Err(answer(&format!("'{etag}' is no hash")).into());
            }
            let sha256 = Some(etag.clone()).filter(|etag| etag.len() == 64);
            let remote = Remote { url: url.clone(), size: Some(size), sha256, token: self.token.clone() };
            return Ok(PlannedFile { path, size, etag, remote });
        }
        Err(Error::Answer { url, reason: "is redirected too often".into() }.into())
    }

    fn file_url(&self, model: &HubModel, commit: &str, path: &str) -> String {
        format!("{}/{}/resolve/{commit}/{path}", self.endpoint, model.id)
    }

    /// Refuses an error answer, in terms of what the user can do.
    pub(crate) fn accept(&self, model: &HubModel, url: &str, response: &Response<Body>) -> Result<()> {
        let status = response.status().as_u16();
        let unknown = || Error::UnknownRepository { model: model.to_string(), endpoint: self.endpoint.clone() };
        match (status, text(response.headers(), "x-error-code").unwrap_or_default()) {
            (200..=299, _) => Ok(()),
            (_, "RevisionNotFound") => {
                Err(Error::UnknownRevision { id: model.id.clone(), revision: model.revision.clone() })
            }
            // The Hub answers 401 for repositories that do not exist, too, so that private ones stay secret.
            (_, "RepoNotFound") => Err(unknown()),
            (401 | 403, _) => Err(Error::Gated {
                id: model.id.clone(),
                status,
                page: format!("{}/{}", self.endpoint, model.id),
                token: match self.token {
                    Some(_) => "the token in use may not read it",
                    None => "no token is set",
                },
            }),
            (404, _) if url == self.listing_url(model) => Err(unknown()),
            _ => Err(Error::Status { url: url.to_owned(), status }.into()),
        }
    }

    fn listing_url(&self, model: &HubModel) -> String {
        format!("{}/api/models/{}/revision/{}", self.endpoint, model.id, encode(&model.revision))
    }
}

impl FetchPlan {
    /// The model.
    pub fn model(&self) -> &HubModel {
        &self.model
    }

    /// Bytes of all files.
    pub fn total(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The variant of its weights.
    pub fn variant(&self) -> Option<&Variant> {
        self.model.variant()
    }
}

fn read(url: &str, response: Response<Body>, limit: u64) -> Result<Vec<u8>> {
    let body = response.into_body().into_with_config().limit(limit).read_to_vec();
    body.map_err(|e| Error::Answer { url: url.to_owned(), reason: e.to_string() })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a text that the server sent may name a file.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |at| &url[..host + at])
}

/// A revision as one segment of a path: `refs/pr/1` has slashes.
fn encode(revision: &str) -> String {
    revision.replace('/', "%2F")
}
