//! The initial noises of a run, and the prompts that start from them.

use std::sync::Arc;

use memscope_model::{NoiseGenerator, NoisePrecision, noise::initial_latents};

use crate::prompts::KnownPrompt;
use crate::spec::NoiseSharing;

/// The noises of a run: one x_T per seed and generation.
#[derive(Clone, Debug)]
pub struct NoisePlan {
    /// Generator.
    pub generator: NoiseGenerator,
    /// Precision of the samples.
    pub precision: NoisePrecision,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Latents per seed.
    pub generations: usize,
    /// Whether prompts share them.
    pub sharing: NoiseSharing,
}

impl NoisePlan {
    /// The seed of a prompt that stands at `row` of its list.
    pub(crate) fn seed_of(&self, seed: u64, row: usize) -> u64 {
        match (self.sharing, self.generator) {
            (NoiseSharing::Shared, _) => seed,
            (NoiseSharing::PerPrompt, NoiseGenerator::TorchCuda { .. }) => seed.wrapping_add(row as u64 + 4),
            (NoiseSharing::PerPrompt, _) => seed.wrapping_add(row as u64),
        }
    }

    /// x_T of every generation of a seed, flattened (C, H, W) each, on latents of `shape` (C, H, W).
    pub(crate) fn latents(&self, seed: u64, shape: (usize, usize, usize)) -> Vec<Vec<f32>> {
        let all = initial_latents(self.generator, self.precision, seed, self.generations, shape);
        all.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect()
    }

    /// What keys of numbers hold of the noise: generator, precision, and the number of generations where a latent depends
    /// on how many are drawn together.
    pub(crate) fn key_parts(&self, shape: (usize, usize, usize)) -> [String; 3] {
        let together = match self.generator.depends_on_generations(shape) {
            true => self.generations.to_string(),
            false => "any".to_owned(),
        };
        [self.generator.to_string(), self.precision.to_string(), together]
    }
}

/// A prompt of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPrompt {
    /// The prompt.
    pub text: Arc<str>,
    /// Its position in its list, from 0; only [`NoiseSharing::PerPrompt`] reads it.
    pub row: usize,
}

impl RunPrompt {
    /// A list on its own.
    pub fn list<T: Clone + Into<Arc<str>>>(texts: &[T]) -> Vec<Self> {
        texts.iter().enumerate().map(|(row, text)| Self { text: text.clone().into(), row }).collect()
    }

    /// The prompts of a class.
    pub(crate) fn class(prompts: &[KnownPrompt]) -> Vec<Self> {
        prompts.iter().enumerate().map(|(row, prompt)| Self { text: prompt.text.clone(), row }).collect()
    }
}
