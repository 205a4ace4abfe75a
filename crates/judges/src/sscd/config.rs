//! Architecture of a copy descriptor.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::preprocess::{NamedPreprocessing, Preprocessing};

/// Largest number of channels, groups, blocks of a stage, or numbers of a descriptor.
const LARGEST: usize = 1 << 14;
const MAX_STAGES: usize = 6;

/// Kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Two 3 × 3 convolutions (ResNet-18).
    Basic,
    /// 1 × 1, 3 × 3 and 1 × 1 with four times the planes behind (ResNet-50).
    Bottleneck,
}

/// What comes before the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// 7 × 7 convolution with stride 2, then 3 × 3 maximum pooling with stride 2.
    Imagenet,
    /// 3 × 3 convolution, no pooling: for small pictures.
    Small,
}

/// The network of a copy descriptor: a ResNet or ResNeXt trunk, GeM pooling, a linear layer.
///
/// This is `sscd/config.json`:
///
/// ```json
/// {
///   "model": "sscd", "block": "bottleneck", "layers": [3, 4, 23, 3], "stem": "imagenet", "channels": 64,
///   "groups": 32, "width_per_group": 4, "dims": 1024, "gem_p": 3.0, "preprocessing": "membench288"
/// }
/// ```
///
/// `preprocessing` is a name, or an object such as
/// `{"size": 64, "fit": "exact", "filter": "bilinear", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}`, where `fit`
/// may also be `{"crop_from": 72}`: the short side to 72 pixels, then the centre. `copy_threshold` may be left out: then it is
/// 0.5, MemBench's for the published weights.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SscdConfig {
    /// `sscd`.
    pub model: String,
    /// Kind of block.
    pub block: Block,
    /// Blocks of each stage. Every stage but the first halves the sides.
    pub layers: Vec<usize>,
    /// What comes before the blocks.
    pub stem: Stem,
    /// Planes of the stem and of the first stage; they double with every stage.
    pub channels: usize,
    /// Groups of a bottleneck's 3 × 3 convolution.
    #[serde(default = "one")]
    pub groups: usize,
    /// A bottleneck's inner width is planes · `width_per_group` / 64 · groups.
    #[serde(default = "sixty_four")]
    pub width_per_group: usize,
    /// Numbers of a descriptor.
    pub dims: usize,
    /// Exponent of the GeM pooling.
    #[serde(default = "three")]
    pub gem_p: f64,
    /// How a picture becomes the input.
    #[serde(deserialize_with = "preprocessing")]
    pub preprocessing: Preprocessing,
    /// Similarity above which a picture counts as a copy, −1 to 1. It belongs to the weights: what another descriptor calls 0.5
    /// says nothing here.
    #[serde(default = "half")]
    pub copy_threshold: f64,
}

fn one() -> usize {
    1
}

fn sixty_four() -> usize {
    64
}

fn three() -> f64 {
    3.0
}

fn half() -> f64 {
    0.5
}

/// A name or an object.
fn preprocessing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Preprocessing, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    match value {
        serde_json::Value::String(name) => {
            name.parse().map(NamedPreprocessing::preprocessing).map_err(D::Error::custom)
        }
        value => serde_json::from_value(value).map_err(|e| D::Error::custom(format!("preprocessing: {e}"))),
    }
}

impl SscdConfig {
    /// SSCD `disc_large`: ResNeXt-101 32x4d, 1024 numbers.
    pub fn disc_large() -> Self {
        Self {
            layers: vec![3, 4, 23, 3],
            groups: 32,
            width_per_group: 4,
            dims: 1024,
            preprocessing: NamedPreprocessing::Membench288.preprocessing(),
            ..Self::disc_mixup()
        }
    }

    /// SSCD `disc_mixup`: ResNet-50, 512 numbers.
    pub fn disc_mixup() -> Self {
        Self {
            model: "sscd".to_owned(),
            block: Block::Bottleneck,
            layers: vec![3, 4, 6, 3],
            stem: Stem::Imagenet,
            channels: 64,
            groups: 1,
            width_per_group: 64,
            dims: 512,
            gem_p: 3.0,
            preprocessing: NamedPreprocessing::Mixup320.preprocessing(),
            copy_threshold: half(),
        }
    }

    /// Says what is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.model != "sscd" {
            return Err("model must be \"sscd\"".to_owned());
        }
        if !(1..=MAX_STAGES).contains(&self.layers.len()) {
            return Err(format!("layers must have 1 to {MAX_STAGES} stages, it has {}", self.layers.len()));
        }
        let sizes = [("channels", self.channels), ("groups", self.groups), ("width_per_group", self.width_per_group)];
        let layers = self.layers.iter().map(|blocks| ("layers", *blocks));
        for (name, size) in sizes.into_iter().chain([("dims", self.dims)]).chain(layers) {
            if !(1..=LARGEST).contains(&size) {
                return Err(format!("{name} must be from 1 to {LARGEST}, it is {size}"));
            }
        }
        if !(1.0..=100.0).contains(&self.gem_p) {
            return Err(format!("gem_p must be from 1 to 100, it is {}", self.gem_p));
        }
        if !(-1.0..1.0).contains(&self.copy_threshold) {
            return Err(format!("copy_threshold must be from -1 to below 1, it is {}", self.copy_threshold));
        }
        if self.block == Block::Basic && (self.groups, self.width_per_group) != (1, 64) {
            return Err("basic blocks have no groups".to_owned());
        }
        if !(self.channels * self.width_per_group).is_multiple_of(64) {
            return Err("channels · width_per_group must be a multiple of 64".to_owned());
        }
        self.preprocessing.check()
    }

    /// Planes of a stage.
    pub(super) fn planes(&self, stage: usize) -> usize {
        self.channels << stage
    }

    /// Channels inside a block of a stage.
    pub(super) fn width(&self, stage: usize) -> usize {
        match self.block {
            Block::Basic => self.planes(stage),
            Block::Bottleneck => self.planes(stage) * self.width_per_group / 64 * self.groups,
        }
    }

    /// Channels behind a stage.
    pub(super) fn channels_out(&self, stage: usize) -> usize {
        match self.block {
            Block::Basic => self.planes(stage),
            Block::Bottleneck => 4 * self.planes(stage),
        }
    }
}
