//! What looks at pictures: copy similarity (SSCD), alignment with a text (CLIP), quality (aesthetic head).
//!
//! Three traits, [`Similarity`], [`Alignment`] and [`Quality`], and one network behind each: [`Sscd`], [`Clip`],
//! [`Aesthetic`]. [`Judges::open`] finds which of them a folder holds. The published ones ([`PUBLISHED_JUDGES`]) and
//! small ones of the same architectures are read by the same code; PyTorch's own files go through [`memscope_torch_file`], which
//! runs no code.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use memscope_judges::{Alignment, Judges, Picture, Quality, Similarity};
//!
//! # fn main() -> memscope_judges::Result<()> {
//! let judges = Judges::open(Path::new("judges"))?;
//! let generated = Picture::open(Path::new("generated.png"))?;
//! let training = Picture::open(Path::new("training.png"))?;
//! if let Some(sscd) = &judges.similarity {
//!     let similarity = sscd.similarity(&generated, &training)?;
//!     let map = sscd.locate(&generated, &training)?;
//!     println!("SSCD {similarity:.3}, split over {} × {} places", map.rows, map.columns);
//! }
//! if let Some(clip) = &judges.alignment {
//!     println!("CLIP {:.3}", clip.alignment(&[generated.clone()], "a red apple")?[0]);
//! }
//! if let Some(aesthetic) = &judges.quality {
//!     println!("quality {:.2}", aesthetic.quality(&[generated])?[0]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The folder
//!
//! ```text
//! FOLDER/
//! ├── sscd/config.json, sscd/model.safetensors    or sscd_disc_large.torchscript.pt, sscd_disc_mixup.torchscript.pt
//! ├── clip/config.json, clip/model.safetensors,   transformers' layout, or open_clip's: open_clip_config.json with
//! │   clip/vocab.json, clip/merges.txt            open_clip_model.safetensors or open_clip_pytorch_model.bin
//! ├── quality.safetensors                         or sac+logos+ava1-l14-linearMSE.pth
//! └── quality/clip/…                              the CLIP model of the quality head, where clip/ is another one
//! ```
//!
//! `sscd/config.json` is an [`SscdConfig`]; its tensors have torchvision's ResNet names below `backbone.`
//! (`backbone.conv1.weight`, `backbone.layer1.0.bn2.running_var`, `backbone.fc.bias`) or Classy Vision's. The quality
//! head has `weight` (1, D) and `bias` (1), or a chain `layers.N.weight`, `layers.N.bias` without activations. Weights are
//! F32, F16, BF16 or F64 and computed with in f32.

mod aesthetic;
mod alignment;
mod clip;
mod duplicates;
mod embedding;
mod error;
mod fetch;
mod files;
mod folder;
mod judge;
mod judges;
mod location;
mod nearest;
mod overlay;
mod picture;
mod preprocess;
mod published;
mod quality;
mod set;
mod similarity;
mod sscd;
mod texts;
mod watching;
mod weights;

pub use self::{
    aesthetic::{Aesthetic, AestheticHead},
    alignment::Alignment,
    clip::{Activation, Clip, ClipConfig, TowerConfig},
    duplicates::{Closeness, Member, THUMBNAIL, groups, thumbnail},
    embedding::Embedding,
    error::{Error, Result},
    fetch::{FetchedJudges, JudgePlan, MIRROR_VARIABLE},
    files::Files,
    folder::{MAX_PICTURES, PictureFile, Survey, survey},
    judge::Judge,
    judges::Judges,
    location::LocationMap,
    nearest::{Nearest, most_similar, nearest_by_pixels},
    overlay::side_by_side,
    picture::Picture,
    preprocess::{Filter, Fit, NamedPreprocessing, Preprocessing},
    published::{AESTHETIC_CLIP, Origin, PUBLISHED_JUDGES, PublishedFile, PublishedJudge, Role},
    quality::Quality,
    set::JudgeSet,
    similarity::Similarity,
    sscd::{Block, Sscd, SscdConfig, Stem},
    texts::{png_texts, prompt_of},
    watching::Watching,
};
