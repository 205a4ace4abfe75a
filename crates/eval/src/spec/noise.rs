//! The initial noise as an experiment file states it.

use memscope_model::NoiseGenerator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{limits, text};
use crate::plan::NoiseSharing;

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
