//! Files at plain addresses, whose hash may not be known before they come.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ureq::http::Method;

use crate::{
    address::Address,
    client::{Client, Follow},
    error::{Error, Result},
    files::{check_space, read_small, write},
    hash::{ContentHash, hex},
    partial::hash_file,
    transfer::{Remote, TransferWatch},
};

/// A file outside the Hub.
#[derive(Clone, Debug)]
pub struct PlainFile {
    /// Where it is.
    pub url: Address,
    /// Its SHA-256 in hex, where it is known; else the first download is written down, and later ones are held to it.
    pub sha256: Option<String>,
}

/// What a server says of a file before it sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its bytes.
    pub size: u64,
    /// Which version of it, where the server tells.
    version: Option<String>,
}

/// What is written down of a file that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Where it came from, without user, password and query.
    pub url: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Whether that hash was known before.
    pub pinned: bool,
}

/// Most bytes of what is written down.
const MOST: u64 = 1 << 16;

impl Client {
    /// Asks for size and version of a file.
    ///
    /// # Errors
    /// If nobody answers, there is no such file, or the answer names no size.
    pub fn announced(&self, url: &Address, should_stop: &dyn Fn() -> bool) -> Result<Announced> {
        let (head, _) = self.ask(&Method::HEAD, url, 0, Follow::All, should_stop)?;
        if !(200..300).contains(&head.status) {
            return Err(Error::Status { url: url.to_string(), status: head.status });
        }
        let size = head.text("content-length").and_then(|size| size.parse().ok());
        let size =
            size.ok_or_else(|| Error::Answer { url: url.to_string(), reason: "the answer names no size".into() })?;
        let version = head.text("etag").or_else(|| head.text("last-modified")).map(str::to_owned);
        Ok(Announced { size, version })
    }

    /// Downloads a file to `to`, whose folder exists, and writes down in `to`.json what came. Without a known hash a
    /// later call goes on with an interrupted download only where the server still has the same version.
    ///
    /// # Errors
    /// As [`Self::fetch`]; with a known hash also if something else comes.
    pub fn fetch_plain(
        &self,
        file: &PlainFile,
        announced: &Announced,
        to: &Path,
        watch: &dyn TransferWatch,
    ) -> Result<Arrived> {
        let folder = to.parent().unwrap_or_else(|| Path::new("."));
        check_space(folder, announced.size)?;
        let remote = |hash| Remote { url: file.url.clone(), size: announced.size, hash };
        let sha256 = if let Some(known) = &file.sha256 {
            self.fetch(&remote(ContentHash::Sha256(known.clone())), to, watch)?;
            known.clone()
        } else {
            // What an earlier attempt left has the version in its name: another version begins anew.
            let version = announced.version.as_deref().unwrap_or_default();
            let version = hex(&Sha256::digest(format!("{} {version}", announced.size)));
            let name = to.file_name().unwrap_or_default().to_string_lossy();
            let versioned = folder.join(format!("{name}.{}", &version[..16]));
            let sha256 = self.fetch_any(&remote(ContentHash::Sha256(String::new())), &versioned, watch)?;
            fs::rename(&versioned, to).map_err(|source| Error::Write { path: to.to_owned(), source })?;
            sha256
        };
        let arrived =
            Arrived { url: file.url.to_string(), size: announced.size, sha256, pinned: file.sha256.is_some() };
        let json = serde_json::to_vec_pretty(&arrived).unwrap_or_default();
        write(&record_path(to), &json)?;
        Ok(arrived)
    }
}

impl PlainFile {
    /// What is at `path`, hashed again; `None` where it is not there, or not what came or had to come.
    ///
    /// # Errors
    /// If it cannot be read, or the user stops.
    pub fn there(&self, path: &Path, should_stop: &dyn Fn() -> bool) -> Result<Option<Arrived>> {
        let record = read_small(&record_path(path), MOST).ok().flatten();
        let record = record.and_then(|bytes| serde_json::from_slice::<Arrived>(&bytes).ok());
        let Some(record) = record.filter(|record| self.sha256.as_ref().is_none_or(|known| *known == record.sha256))
        else {
            return Ok(None);
        };
        let hash = ContentHash::Sha256(record.sha256.clone());
        let found = hash_file(path, &hash, record.size, should_stop)?;
        Ok(found.is_some_and(|digits| digits == record.sha256).then_some(record))
    }
}

fn record_path(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}
