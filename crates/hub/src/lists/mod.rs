//! The prompt lists of the paper and of the methods it compares with: where they are published, and a checked copy in
//! the cache. They are not part of the program, because their licences are not clear.

mod published;

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::published::Published;
use crate::{
    address::Address,
    client::Client,
    error::{Error, Result},
    files::{check_space, make_folder, read_small},
    folder::cache_folder,
    hash::{ContentHash, hex},
    transfer::{Remote, TransferWatch},
};

/// The variable that names another place than GitHub for the lists, e.g. a mirror.
pub const BASE_VARIABLE: &str = "MEMSCOPE_LISTS_URL";
const BASE: &str = "https://raw.githubusercontent.com";

/// A published prompt list. The files are read as they are: no cleaning, and the last line counts although most have no
/// final newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaperList {
    /// 500 memorized prompts of SD 1.4.
    Sd1Mem,
    /// 500 other prompts: COCO (1-200), Lexica (201-300), Tuxemon (301-400), GPT-4 (401-500). Six are longer than
    /// the text encoder reads.
    Sd1Nmem,
    /// 219 memorized prompts of SD 2.0.
    Sd2Mem,
    /// The same bytes as `sd1_nmem`.
    Sd2Nmem,
    /// 90 memorized prompts of Realistic Vision 5.1.
    RvMem,
    /// 500 memorized prompts of Realistic Vision 5.1, the 90 among them.
    RvMemFull,
    /// 90 other prompts: the first 90 lines of `sd1_nmem`, all COCO.
    RvNmem,
    /// 10 prompts for mitigation.
    SampleMitigation,
    /// `sd1_mem` in the same order, with the training picture's address in the file.
    Sd1MemUrls,
    /// The prompts of `sd2_mem` in another order, in two groups (TV: template, MV: matching). One of them has a slash
    /// that `sd2_mem` lost ("Unicorn / Rainbow"), so that lists are joined by text with that exception.
    Sd2MemUrls,
    /// MemBench: 3,000 prompts of about 150 pictures, most of them variants of one another.
    MembenchSd1,
    /// Ren et al.: 345 of `sd1_mem`.
    RenSd1Mem,
    /// Ren et al.: 219 memorized prompts of SD 2.0.
    RenSd2Mem,
    /// Ren et al.: 500 other prompts.
    RenNmem,
}

impl PaperList {
    /// All lists.
    pub const ALL: &'static [Self] = &[
        Self::Sd1Mem,
        Self::Sd1Nmem,
        Self::Sd2Mem,
        Self::Sd2Nmem,
        Self::RvMem,
        Self::RvMemFull,
        Self::RvNmem,
        Self::SampleMitigation,
        Self::Sd1MemUrls,
        Self::Sd2MemUrls,
        Self::MembenchSd1,
        Self::RenSd1Mem,
        Self::RenSd2Mem,
        Self::RenNmem,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Sd1Mem => "sd1_mem",
            Self::Sd1Nmem => "sd1_nmem",
            Self::Sd2Mem => "sd2_mem",
            Self::Sd2Nmem => "sd2_nmem",
            Self::RvMem => "rv_mem",
            Self::RvMemFull => "rv_mem_full",
            Self::RvNmem => "rv_nmem",
            Self::SampleMitigation => "sample_mitigation",
            Self::Sd1MemUrls => "sd1_mem_urls",
            Self::Sd2MemUrls => "sd2_mem_urls",
            Self::MembenchSd1 => "membench_sd1",
            Self::RenSd1Mem => "ren_sd1_mem",
            Self::RenSd2Mem => "ren_sd2_mem",
            Self::RenNmem => "ren_nmem",
        }
    }

    /// Where its copy is, or would be: the published path below `prompts` in the cache folder.
    ///
    /// # Errors
    /// If the system names no cache folder.
    pub fn path(self) -> Result<PathBuf> {
        Ok(lists_folder()?.join(self.published().relative()))
    }

    /// The published address of its file.
    pub fn origin(self) -> String {
        let Published { repository, commit, path, .. } = self.published();
        format!("https://github.com/{repository}/blob/{commit}/{path}")
    }

    /// Bytes of its file.
    pub fn bytes(self) -> u64 {
        self.published().bytes
    }

    /// Whether a checked copy is there.
    pub fn is_there(self) -> bool {
        self.read().is_ok()
    }

    /// Its copy, whose hash is checked.
    ///
    /// # Errors
    /// If it is not there, or not as it was published.
    pub fn read(self) -> Result<Vec<u8>> {
        let fail = |reason: String| Error::List { list: self.to_string(), reason };
        let path = self.path()?;
        let missing = |why: &str| fail(format!("is not in {}{why}; run `memscope data fetch paper`", path.display()));
        let other = || {
            fail(format!(
                "{} is not the published file; run `memscope data fetch paper` (a list of your own is given as file: PATH)",
                path.display()
            ))
        };
        let bytes = match read_small(&path, self.bytes()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(missing("")),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(other()),
            Err(error) => return Err(missing(&format!(" ({error})"))),
        };
        if hex(&Sha256::digest(&bytes)) == self.published().sha256 { Ok(bytes) } else { Err(other()) }
    }

    /// Its file in the repository that publishes it; the extension says how it is written.
    pub fn file(self) -> &'static Path {
        Path::new(self.published().path)
    }
}

impl fmt::Display for PaperList {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(&format!("paper:{}", self.name()))
    }
}

impl FromStr for PaperList {
    type Err = String;

    fn from_str(given: &str) -> std::result::Result<Self, String> {
        let names = || Self::ALL.iter().map(|list| list.name()).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.iter().copied().find(|list| list.name() == given);
        found.ok_or_else(|| format!("there is no list 'paper:{given}'; there are: {}", names()))
    }
}

/// Downloads a list that is not there, checked against its hash; returns its path.
///
/// # Errors
/// If it cannot be had or written, is not the published one, or the user stops.
pub fn fetch(list: PaperList, watch: &dyn TransferWatch) -> Result<PathBuf> {
    let path = list.path()?;
    if !list.is_there() {
        let folder = lists_folder()?;
        let published = list.published();
        let below = PathBuf::from(published.relative());
        make_folder(&folder, below.parent().unwrap_or(&below))?;
        check_space(&folder, published.bytes)?;
        Client::new()?.fetch(&remote(&published), &path, watch)?;
    }
    Ok(path)
}

fn remote(published: &Published) -> Remote {
    let base = env::var(BASE_VARIABLE).ok().filter(|base| !base.is_empty()).unwrap_or_else(|| BASE.to_owned());
    Remote {
        url: Address::new(base).below(&published.relative()),
        size: published.bytes,
        hash: ContentHash::Sha256(published.sha256.to_owned()),
    }
}

/// The folder of all lists.
///
/// # Errors
/// If the system names no cache folder.
pub fn lists_folder() -> Result<PathBuf> {
    cache_folder().map(|folder| folder.join("prompts")).ok_or_else(|| Error::List {
        list: "cache folder".into(),
        reason: "the system names none; set MEMSCOPE_CACHE to a folder for the paper's prompt lists".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_one_name() {
        for list in PaperList::ALL {
            assert_eq!(list.name().parse(), Ok(*list));
            assert_eq!(serde_json::to_value(list).unwrap(), list.name());
            assert_eq!(list.published().sha256.len(), 64);
        }
        assert!("sd3_mem".parse::<PaperList>().unwrap_err().contains("sd1_mem, sd1_nmem"));
    }
}
