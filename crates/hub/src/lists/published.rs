//! Where each list is published, with its size and hash.

use super::PaperList;

/// A file at a commit.
pub(super) struct Published {
    pub(super) repository: &'static str,
    pub(super) commit: &'static str,
    pub(super) path: &'static str,
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
}

const ANISOTROPY: (&str, &str) = ("rohanasthana/memorization-anisotropy", "97e991bac4171ad0547c5779c31180ea8e9f672e");
const MEMBENCH: (&str, &str) = ("chunsanHong/MemBench_code", "f22a0fdcd24fa0f4a43bf7b9a8e42c8c78af302f");
const REN: (&str, &str) = ("renjie3/MemAttn", "c66efd22d8ffd4b1c6b87835708fa1437a2e076b");

impl PaperList {
    pub(super) fn published(self) -> Published {
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
}

impl Published {
    /// Repository, commit and path: the address below the server's root.
    pub(super) fn relative(&self) -> String {
        format!("{}/{}/{}", self.repository, self.commit, self.path)
    }
}
