//! The initial noise as an experiment file states it.

use memscope_model::NoiseGenerator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{limits, text};

/// Whether all prompts start from the same noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSharing {
    /// A seed gives every prompt the same x_T: the paper's released code.
    #[default]
    Shared,
    /// The generator is seeded anew for each prompt with seed + position in its list, and 4 more on `torch-cuda`,
    /// as Wen's released code leaves its CUDA generators (docs/spec/protocol.md §4).
    PerPrompt,
}

/// The initial noise x_T.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseSettings {
    /// `torch-cuda` (block cap of an RTX A6000), `torch-cuda/CAP`, `torch-cpu` or `native`.
    #[serde(default, with = "text")]
    #[schemars(with = "String")]
    pub generator: NoiseGenerator,
    /// One run each.
    #[serde(default = "default_seeds", deserialize_with = "limits::seeds")]
    pub seeds: Vec<u64>,
    /// Latents drawn per prompt and seed.
    #[serde(default = "default_generations", deserialize_with = "limits::generations")]
    pub generations: usize,
    /// Whether all prompts start from the same noise.
    #[serde(default)]
    pub sharing: NoiseSharing,
}

fn default_seeds() -> Vec<u64> {
    vec![42, 51, 53]
}

fn default_generations() -> usize {
    4
}

impl Default for NoiseSettings {
    fn default() -> Self {
        Self {
            generator: NoiseGenerator::default(),
            seeds: default_seeds(),
            generations: default_generations(),
            sharing: NoiseSharing::Shared,
        }
    }
}
