//! The initial noise `x_T`: which generator draws it, and how it is laid out.
//!
//! The reference implementations seed torch before every prompt and draw all generations of a prompt in one call
//! (docs/spec/protocol.md §2.1), so a latent is a function of (generator, precision, seed, generation, shape) and, for
//! one generator only, of the number of generations: see [`NoiseGenerator::depends_on_generations`].
//!
//! | name | stream |
//! |---|---|
//! | `torch-cuda`, `torch-cuda/CAP` | Philox4x32-10 as torch's CUDA kernels use it, grid capped at `CAP` blocks |
//! | `torch-cpu` | mt19937 as torch's CPU generator uses it |
//! | `native` | `ChaCha`, one stream per generation |

mod native;
mod philox;
mod torch_cpu;

use std::fmt;
use std::str::FromStr;

use half::bf16;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Block cap of the RTX A6000: 84 multiprocessors, 6 blocks of 256 threads each (docs/spec/protocol.md §2.1).
pub const A6000_BLOCK_CAP: u32 = 504;

const TORCH_CUDA: &str = "torch-cuda";
const TORCH_CPU: &str = "torch-cpu";
const NATIVE: &str = "native";

/// The random number generator that draws `x_T`.
///
/// Written `torch-cuda` (block cap 504, the RTX A6000), `torch-cuda/864` (any other cap), `torch-cpu` or `native`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NoiseGenerator {
    /// Torch's CUDA generator (Philox). Reproduces a given GPU's numbers on any machine.
    TorchCuda {
        /// Most blocks the GPU's sampling kernel starts: multiprocessors x floor(threads per multiprocessor / 256).
        /// RTX A6000 504, A100 864, H100 and H200 1056. Zero counts as one.
        block_cap: u32,
    },
    /// Torch's CPU generator (mt19937).
    TorchCpu,
    /// A counter-based generator of our own: `ChaCha`, where each (seed, generation) is a stream of its own.
    Native,
}

impl NoiseGenerator {
    /// Torch's CUDA generator on the RTX A6000, the GPU of the reference results.
    pub const A6000: Self = Self::TorchCuda { block_cap: A6000_BLOCK_CAP };

    /// Whether the latent of one generation changes with the number of generations drawn together.
    ///
    /// `shape`: (C, H, W) of one latent. A key under which noise-dependent results are stored must hold the number
    /// of generations exactly when this is true.
    ///
    /// * `torch-cuda`: never. For a given block cap, element `j` of the call is a function of `j` alone: below
    ///   `256 * cap` it is the first normal of thread `j` whatever the size of the call, and an element at or above
    ///   it exists only in calls that use the whole grid. The cap itself matters, and it is part of the name.
    /// * `torch-cpu`: when the latent's size is not a multiple of 16. Torch draws blocks of 16, draws the last 16
    ///   values a second time when the size of the *call* is not a multiple of 16, and uses another algorithm
    ///   altogether for a call of fewer than 16 values.
    /// * `native`: never.
    pub fn depends_on_generations(self, shape: (usize, usize, usize)) -> bool {
        match self {
            Self::TorchCuda { .. } | Self::Native => false,
            Self::TorchCpu => !latent_len(shape).is_multiple_of(torch_cpu::BLOCK),
        }
    }
}

impl Default for NoiseGenerator {
    fn default() -> Self {
        Self::A6000
    }
}

impl fmt::Display for NoiseGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::A6000 => f.write_str(TORCH_CUDA),
            Self::TorchCuda { block_cap } => write!(f, "{TORCH_CUDA}/{block_cap}"),
            Self::TorchCpu => f.write_str(TORCH_CPU),
            Self::Native => f.write_str(NATIVE),
        }
    }
}

impl FromStr for NoiseGenerator {
    type Err = ParseNoiseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            TORCH_CUDA => Ok(Self::A6000),
            TORCH_CPU => Ok(Self::TorchCpu),
            NATIVE => Ok(Self::Native),
            other => {
                let cap = other
                    .strip_prefix(TORCH_CUDA)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .ok_or_else(|| ParseNoiseError::Generator(other.to_owned()))?;
                match cap.parse() {
                    Ok(block_cap) if block_cap > 0 => Ok(Self::TorchCuda { block_cap }),
                    _ => Err(ParseNoiseError::BlockCap(cap.to_owned())),
                }
            }
        }
    }
}

impl TryFrom<String> for NoiseGenerator {
    type Error = ParseNoiseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NoiseGenerator> for String {
    fn from(generator: NoiseGenerator) -> Self {
        generator.to_string()
    }
}

/// The number format in which `x_T` is drawn; written `f32` or `bf16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoisePrecision {
    /// The 32-bit samples as drawn.
    #[default]
    F32,
    /// Each 32-bit sample rounded to the nearest bfloat16, ties to even, and returned as `f32`.
    ///
    /// This is what torch's CUDA kernel returns for a bfloat16 call. Torch's *CPU* generator draws 8-bit uniforms for
    /// such a call, so its bfloat16 noise is another one; here `torch-cpu` with this precision means the rounded
    /// 32-bit noise, as after `torch.randn(...).to(torch.bfloat16)`.
    Bf16,
}

impl fmt::Display for NoisePrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for NoisePrecision {
    type Err = ParseNoiseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(ParseNoiseError::Precision(other.to_owned())),
        }
    }
}

/// A name that is not a noise generator or precision.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseNoiseError {
    /// The name is none of the known generators.
    #[error("unknown noise generator `{0}`: expected torch-cuda, torch-cuda/BLOCKS, torch-cpu or native")]
    Generator(String),
    /// What follows `torch-cuda/` is not a positive 32-bit number.
    #[error("`{0}` is not a block cap: expected a positive number, such as 864 in torch-cuda/864")]
    BlockCap(String),
    /// The name is none of the known precisions.
    #[error("unknown noise precision `{0}`: expected f32 or bf16")]
    Precision(String),
}

/// Draws `x_T` for `generations` latents of `shape` (C, H, W) in one call, as torch would.
///
/// Returns (generations * C * H * W) standard normal values, flattened in (generation, C, H, W) order.
/// Source: docs/spec/protocol.md §2.1.
pub fn initial_latents(
    generator: NoiseGenerator,
    precision: NoisePrecision,
    seed: u64,
    generations: usize,
    shape: (usize, usize, usize),
) -> Vec<f32> {
    let latent = latent_len(shape);
    let mut values = match generator {
        NoiseGenerator::TorchCuda { block_cap } => philox::normals(seed, generations * latent, block_cap),
        NoiseGenerator::TorchCpu => torch_cpu::normals(seed, generations * latent),
        NoiseGenerator::Native => native::normals(seed, generations, latent),
    };
    if precision == NoisePrecision::Bf16 {
        for value in &mut values {
            *value = bf16::from_f32(*value).to_f32();
        }
    }
    values
}

fn latent_len((channels, height, width): (usize, usize, usize)) -> usize {
    channels * height * width
}
