//! From a picture to a network's input: resize, crop, scale.
//!
//! The numbers are those of torchvision's transforms on Pillow pictures (`Resize`, `CenterCrop`, `ToTensor`,
//! `Normalize`), which is what the published evaluations use. The three ways to ask SSCD have names
//! (docs/spec/mitigation.md §6, §7, §9): a similarity without the name of its preprocessing cannot be compared.

mod resize;

use std::str::FromStr;

use serde::Deserialize;

pub use self::resize::Filter;
use self::resize::{Window, resize};
use crate::picture::Picture;

/// Largest side of a network's input.
const MAX_SIZE: usize = 4096;

/// How a picture comes to the network's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Both sides to the size; the ratio of the sides is not kept.
    Exact,
    /// The short side to this many pixels, then the size from the centre.
    CropFrom(usize),
}

/// How a picture becomes a network's input.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the input in pixels.
    pub size: usize,
    /// How a picture comes to that size.
    pub fit: Fit,
    /// How pixels are interpolated.
    pub filter: Filter,
    /// Subtracted from the values, which go from 0 to 1; one per channel.
    pub mean: [f32; 3],
    /// The values are divided by it; one per channel.
    pub std: [f32; 3],
}

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
const CLIP_MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// The preprocessings of SSCD that published evaluations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedPreprocessing {
    /// MemBench: exactly 288 × 288, ImageNet's mean and deviation.
    Membench288,
    /// Wen et al. and Jeon et al.: short side to 256, the middle 224 × 224, mean and deviation 0.5.
    Wen224,
    /// With `disc_mixup` (WAH, Han et al.): exactly 320 × 320, ImageNet's mean and deviation.
    Mixup320,
}

impl NamedPreprocessing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Membench288, Self::Wen224, Self::Mixup320];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Membench288 => "membench288",
            Self::Wen224 => "wen224",
            Self::Mixup320 => "mixup320",
        }
    }

    /// What it does.
    pub fn preprocessing(self) -> Preprocessing {
        let exact = |size| Preprocessing {
            size,
            fit: Fit::Exact,
            filter: Filter::Bilinear,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        };
        match self {
            Self::Membench288 => exact(288),
            Self::Mixup320 => exact(320),
            Self::Wen224 => {
                Preprocessing { size: 224, fit: Fit::CropFrom(256), mean: [0.5; 3], std: [0.5; 3], ..exact(224) }
            }
        }
    }
}

impl FromStr for NamedPreprocessing {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no preprocessing '{}'; there are: {names}", name.chars().take(40).collect::<String>())
        })
    }
}

impl std::fmt::Display for NamedPreprocessing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Preprocessing {
    /// CLIP's: the short side to `size` by cubic interpolation, the middle of it, OpenAI's mean and deviation.
    pub fn clip(size: usize) -> Self {
        Self { size, fit: Fit::CropFrom(size), filter: Filter::Bicubic, mean: CLIP_MEAN, std: CLIP_STD }
    }

    /// The name that published evaluations have for it, else its size.
    pub fn label(&self) -> String {
        let named = NamedPreprocessing::ALL.into_iter().find(|named| named.preprocessing() == *self);
        named.map_or_else(|| format!("{0} × {0}", self.size), |named| named.name().to_owned())
    }

    /// Says what is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=MAX_SIZE).contains(&self.size) {
            return Err(format!("the input's size must be from 1 to {MAX_SIZE} pixels, it is {}", self.size));
        }
        match self.fit {
            Fit::CropFrom(short) if !(self.size..=2 * MAX_SIZE).contains(&short) => {
                Err(format!("a crop of {} pixels cannot be cut from a short side of {short}", self.size))
            }
            _ if !self.mean.iter().all(|x| x.is_finite()) => Err("the mean must be finite".to_owned()),
            _ if !self.std.iter().all(|x| x.is_finite() && *x > 0.0) => Err("the deviation must be above 0".to_owned()),
            _ => Ok(()),
        }
    }

    /// The network's input: (3, size, size), row-major.
    pub fn apply(&self, picture: &Picture) -> Vec<f32> {
        let pixels = self.pixels(picture);
        let mut input = Vec::with_capacity(pixels.len());
        for (channel, (mean, std)) in self.mean.iter().zip(self.std).enumerate() {
            let values = pixels.iter().skip(channel).step_by(3);
            input.extend(values.map(|value| (f32::from(*value) / 255.0 - mean) / std));
        }
        input
    }

    /// The picture in the network's size, three bytes per pixel.
    fn pixels(&self, picture: &Picture) -> Vec<u8> {
        let (size, start) = match self.fit {
            Fit::Exact => ((self.size, self.size), (0, 0)),
            Fit::CropFrom(short) => {
                let size = short_side_to(short, picture.width(), picture.height());
                (size, (crop_start(size.0, self.size), crop_start(size.1, self.size)))
            }
        };
        resize(picture, size, Window { start, size: (self.size, self.size) }, self.filter)
    }
}

/// The size whose short side is `short`; the long one is cut to an integer, as torchvision's `Resize` does.
fn short_side_to(short: usize, width: usize, height: usize) -> (usize, usize) {
    let long = (short as f64 * width.max(height) as f64 / width.min(height) as f64) as usize;
    if width <= height { (short, long) } else { (long, short) }
}

/// Where a centre crop begins: halves are rounded to even, as Python's `round` in torchvision's `CenterCrop`.
fn crop_start(side: usize, crop: usize) -> usize {
    ((side - crop) as f64 / 2.0).round_ties_even() as usize
}
