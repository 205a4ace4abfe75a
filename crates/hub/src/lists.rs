//! The prompt lists of the paper and of the methods it compares with: where they are published, and a checked copy in
//! the cache. They are not part of the program, because their licences are not clear.

use std::{
    env, fmt, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    download::{Client, Remote, hex},
    error::{Error, Result},
    folder::cache_folder,
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

/// A file at a commit.
struct Published {
    repository: &'static str,
    commit: &'static str,
    path: &'static str,
    bytes: u64,
    sha256: &'static str,
}

const ANISOTROPY: (&str, &str) = ("rohanasthana/memorization-anisotropy", "97e991bac4171ad0547c5779c31180ea8e9f672e");
const MEMBENCH: (&str, &str) = ("chunsanHong/MemBench_code", "f22a0fdcd24fa0f4a43bf7b9a8e42c8c78af302f");
const REN: (&str, &str) = ("renjie3/MemAttn", "c66efd22d8ffd4b1c6b87835708fa1437a2e076b");

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

    fn published(self) -> Published {
        let ((repository, commit), path, bytes, sha256) = match self {
            Self::Sd1Mem => (
                ANISOTROPY,
                "prompts/sd1_mem.txt",
                29175,
                "6f11239c621a7846979170c79d79f86a31441e044a7bc0b5d952ba8a5ca0fb56",
            ),
            Self::Sd1Nmem => (
                ANISOTROPY,
                "prompts/sd1_nmem.txt",
                43342,
                "628796e195391501591859f55e249cca70e8fcaa7ceb33aac1d753fbfe4d8a4c",
            ),
            Self::Sd2Mem => (
                ANISOTROPY,
                "prompts/sd2_mem.txt",
                14936,
                "02f212d64767b4f066ca1c9ddc161a6ea5cf717aadf7f45e44bfe21856563e8d",
            ),
            Self::Sd2Nmem => (
                ANISOTROPY,
                "prompts/sd2_nmem.txt",
                43342,
                "628796e195391501591859f55e249cca70e8fcaa7ceb33aac1d753fbfe4d8a4c",
            ),
            Self::RvMem => (
                ANISOTROPY,
                "prompts/RV_mem.txt",
                5337,
                "a23d5ac7a8f4fbfaa440ef6a793a55331a8a9e3416cda4dc58790b32b96fc392",
            ),
            Self::RvMemFull => (
                ANISOTROPY,
                "prompts/RV_mem_full.txt",
                31771,
                "d017291bc2d33c7ba02ed48392b4ef9cb08aede387733f23b3a4542d13ae641c",
            ),
            Self::RvNmem => (
                ANISOTROPY,
                "prompts/RV_nmem.txt",
                4696,
                "da5fab8a0da55149d394efccc7a71058d9699a51f27bf90d31589cfe7ecfe713",
            ),
            Self::SampleMitigation => (
                ANISOTROPY,
                "prompts/sample_mitigation.txt",
                563,
                "617387b617cab8f07397b89b1105794d1d4d09655d993ba9a8ddd89c7d183728",
            ),
            Self::Sd1MemUrls => (
                ANISOTROPY,
                "prompts/sd1_mem.jsonl",
                116356,
                "b882b7d82b3fb603769beced712c327e47f7899dfa7c483e0183ec133c221580",
            ),
            Self::Sd2MemUrls => (
                ANISOTROPY,
                "prompts/sd2_mem.jsonl",
                59095,
                "fc2f6553f676e8fb94bf5b2eddfef80915131aeca23fa44e49c54edd6968ca74",
            ),
            Self::MembenchSd1 => {
                (MEMBENCH, "SD1_final.csv", 1183979, "8c41867a67ea184c4f7f3c9765eeb55faa3b5058d1552e014616de9198d110c7")
            }
            Self::RenSd1Mem => (
                REN,
                "prompt/sd1_mem345.txt",
                21064,
                "70f370c4728aecd18e0db95dc58e9741b0f1a278dbfddb31d7d0754f69f8d069",
            ),
            Self::RenSd2Mem => (
                REN,
                "prompt/sd2_mem219.txt",
                14939,
                "5776ec85cc25fde8c4843af990041a85813c3af7cb817c45dabb1a1bb9b6356f",
            ),
            Self::RenNmem => (
                REN,
                "prompt/group_nomem500.txt",
                25504,
                "4e0de75ae37b4fb2f8676026d876d9f4b03267a90041af4069d74b912e588c2d",
            ),
        };
        Published { repository, commit, path, bytes, sha256 }
    }

    /// Where its copy is, or would be: the published path below `prompts` in the cache folder.
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
    pub fn read(self) -> Result<Vec<u8>> {
        let fail = |reason: String| Error::List { list: self.to_string(), reason };
        let path = self.path()?;
        let bytes = fs::read(&path)
            .map_err(|_| fail(format!("is not in {}; run `memscope data fetch paper`", path.display())))?;
        match hex(&Sha256::digest(&bytes)) == self.published().sha256 {
            true => Ok(bytes),
            false => Err(fail(format!(
                "{} is not the published file; run `memscope data fetch paper` (a list of your own is given as file: PATH)",
                path.display()
            ))),
        }
    }

    /// Its file in the repository that publishes it; the extension says how it is written.
    pub fn file(self) -> &'static Path {
        Path::new(self.published().path)
    }
}

impl Published {
    /// Repository, commit and path: the address below the server's root.
    fn relative(&self) -> String {
        format!("{}/{}/{}", self.repository, self.commit, self.path)
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

/// Downloads the lists that are not there, each checked against its hash; calls `each` with every list once it is.
pub fn fetch(lists: &[PaperList], mut each: impl FnMut(PaperList, &Path) -> ControlFlow<()>) -> Result<()> {
    let client = Client::new()?;
    for list in lists {
        let path = list.path()?;
        if !list.is_there() {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
            }
            client.fetch(&remote(&list.published()), &path, &mut |_| ControlFlow::Continue(()))?;
        }
        if each(*list, &path).is_break() {
            return Err(Error::Stopped);
        }
    }
    Ok(())
}

fn remote(published: &Published) -> Remote {
    let base = env::var(BASE_VARIABLE).ok().filter(|base| !base.is_empty()).unwrap_or_else(|| BASE.to_owned());
    Remote {
        url: format!("{}/{}", base.trim_end_matches('/'), published.relative()),
        size: Some(published.bytes),
        sha256: Some(published.sha256.to_owned()),
        token: None,
    }
}

/// The folder of all lists.
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
