//! Where the published judges come from.
//!
//! A hash that is not known is not given: the first download then says what it got, and later ones are held to that.

/// Where a file is downloaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A plain address.
    Url(&'static str),
    /// A file of a Hub repository (`owner/name`), of its main revision.
    Hub {
        /// `owner/name`.
        repository: &'static str,
        /// The file there.
        file: &'static str,
    },
}

/// What a judge looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whether one picture is a copy of another.
    Similarity,
    /// Whether a picture shows what a text says.
    Alignment,
    /// How good a picture looks; needs the CLIP model it was made for.
    Quality,
}

impl Role {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Similarity => "copy similarity",
            Self::Alignment => "alignment",
            Self::Quality => "quality",
        }
    }
}

/// A file of a judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    /// Where it goes in a folder of judges.
    pub path: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// Its SHA-256, where it is known.
    pub sha256: Option<&'static str>,
}

/// A published judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedJudge {
    /// Name on the command line.
    pub name: &'static str,
    /// What it looks for.
    pub role: Role,
    /// What it is and who uses it.
    pub description: &'static str,
    /// Licence as its authors state it.
    pub licence: &'static str,
    /// Its files. Each has alternatives, the preferred first; the first that is published is taken.
    pub files: &'static [&'static [PublishedFile]],
}

impl PublishedJudge {
    /// The judge of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PUBLISHED_JUDGES.iter().find(|judge| judge.name == name)
    }
}

const fn hub(path: &'static str, repository: &'static str, file: &'static str) -> PublishedFile {
    PublishedFile { path, origin: Origin::Hub { repository, file }, sha256: None }
}

const L14: &str = "openai/clip-vit-large-patch14";
const H14: &str = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K";
const G14: &str = "laion/CLIP-ViT-g-14-laion2B-s12B-b42K";

/// The CLIP model that the published quality head was made for.
pub const AESTHETIC_CLIP: &str = "clip-vit-l-14";

/// The published judges (docs/spec/judges.md §4).
pub static PUBLISHED_JUDGES: [PublishedJudge; 6] = [
    PublishedJudge {
        name: "sscd-disc-large",
        role: Role::Similarity,
        description: "SSCD, ResNeXt-101 32x4d, 1024 numbers: MemBench, Wen et al., Jeon et al.",
        licence: "MIT",
        files: &[&[PublishedFile {
            path: "sscd/sscd_disc_large.torchscript.pt",
            origin: Origin::Url("https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_large.torchscript.pt"),
            sha256: None,
        }]],
    },
    PublishedJudge {
        name: "sscd-disc-mixup",
        role: Role::Similarity,
        description: "SSCD, ResNet-50, 512 numbers: WAH, Han et al.",
        licence: "MIT",
        files: &[&[PublishedFile {
            path: "sscd/sscd_disc_mixup.torchscript.pt",
            origin: Origin::Url("https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchscript.pt"),
            sha256: Some("9f26bd4c848cc19b73d2ae92eea6e04886f61a7b764ceb7a13aeee62e6a6db56"),
        }]],
    },
    PublishedJudge {
        name: AESTHETIC_CLIP,
        role: Role::Alignment,
        description: "OpenAI CLIP ViT-L/14, the model below the aesthetic head",
        licence: "MIT",
        files: &[
            &[hub("clip/config.json", L14, "config.json")],
            &[hub("clip/model.safetensors", L14, "model.safetensors")],
            &[hub("clip/vocab.json", L14, "vocab.json")],
            &[hub("clip/merges.txt", L14, "merges.txt")],
        ],
    },
    PublishedJudge {
        name: "clip-vit-h-14",
        role: Role::Alignment,
        description: "open_clip ViT-H-14, laion2b_s32b_b79k: Jeon et al.",
        licence: "MIT",
        files: &[
            &[hub("clip/open_clip_config.json", H14, "open_clip_config.json")],
            &[
                hub("clip/open_clip_model.safetensors", H14, "open_clip_model.safetensors"),
                hub("clip/open_clip_pytorch_model.bin", H14, "open_clip_pytorch_model.bin"),
            ],
            &[hub("clip/vocab.json", H14, "vocab.json")],
            &[hub("clip/merges.txt", H14, "merges.txt")],
        ],
    },
    PublishedJudge {
        name: "clip-vit-g-14",
        role: Role::Alignment,
        description: "open_clip ViT-g-14, laion2b_s12b_b42k: MemBench, Wen et al.",
        licence: "MIT",
        files: &[
            &[hub("clip/open_clip_config.json", G14, "open_clip_config.json")],
            &[
                hub("clip/open_clip_model.safetensors", G14, "open_clip_model.safetensors"),
                hub("clip/open_clip_pytorch_model.bin", G14, "open_clip_pytorch_model.bin"),
            ],
            &[hub("clip/vocab.json", G14, "vocab.json")],
            &[hub("clip/merges.txt", G14, "merges.txt")],
        ],
    },
    PublishedJudge {
        name: "aesthetic",
        role: Role::Quality,
        description: "LAION's aesthetic predictor (sac+logos+ava1-l14-linearMSE) on CLIP ViT-L/14: MemBench",
        licence: "Apache-2.0",
        files: &[&[PublishedFile {
            path: "sac+logos+ava1-l14-linearMSE.pth",
            origin: Origin::Url(
                "https://raw.githubusercontent.com/chunsanHong/MemBench_code/f22a0fdcd24fa0f4a43bf7b9a8e42c8c78af302f/aesthetic/sac%2Blogos%2Bava1-l14-linearMSE.pth",
            ),
            sha256: Some("21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0"),
        }]],
    },
];
