//! The initial noises of a run, and the prompts that start from them.

use std::collections::HashSet;

use memscope_model::{NoiseGenerator, NoisePrecision, noise::initial_latents};

use crate::{
    prompts::{KnownPrompt, PromptTexts},
    spec::NoiseSharing,
};

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

/// The prompts of a run, each once.
#[derive(Clone, Debug, Default)]
pub struct RunPrompts {
    texts: PromptTexts,
    /// The position of each in its list, from 0, where that is not its position here; only [`NoiseSharing::PerPrompt`]
    /// reads it.
    rows: Option<Vec<u32>>,
}

impl RunPrompts {
    /// A list on its own.
    pub fn list(texts: impl Into<PromptTexts>) -> Self {
        Self { texts: texts.into(), rows: None }
    }

    /// Several classes, one after the other; a prompt that an earlier one has counts there.
    pub(crate) fn classes(classes: &[&[KnownPrompt]]) -> Self {
        let mut known: HashSet<&str> = HashSet::new();
        let all = classes.iter().flat_map(|class| class.iter().enumerate());
        let (texts, rows): (Vec<&str>, Vec<u32>) = all
            .filter(|(_, prompt)| known.insert(&prompt.text))
            .map(|(row, prompt)| (&*prompt.text, row as u32))
            .unzip();
        Self { texts: texts.iter().collect(), rows: Some(rows) }
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The prompt at a position.
    pub fn text(&self, position: usize) -> &str {
        self.texts.get(position)
    }

    /// All of them.
    pub fn texts(&self) -> &PromptTexts {
        &self.texts
    }

    /// Where the prompt at a position stands in its list.
    pub(crate) fn row(&self, position: usize) -> usize {
        self.rows.as_ref().and_then(|rows| rows.get(position)).map_or(position, |row| *row as usize)
    }
}
