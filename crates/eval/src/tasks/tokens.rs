//! Token significance: how strongly the norm of the guidance direction depends on each token.

use memscope_baselines::token_significance;
use memscope_metric::T_NORM;
use memscope_model::cost::{Pass, SamplesPerCall, Workload};

use crate::{
    error::Result,
    store::{Key, MeasurementStore, RecordId},
    task::{Calls, Execute, ModelIdentity, NoisePlan, OpenUnit, Part, Price, Session, SharedPredictions, Task},
};

/// What is differentiated where a prompt has several noises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenNorm {
    /// The norm on each noise; the mean over noises of the gradients' norms counts.
    OfEachNoise,
    /// One norm over all noises, as the released helper takes it.
    OverAllNoises,
}

/// The gradient norms of the tokens of some prompts. A unit is one prompt under one noise, or under all of them.
pub struct TokenGradients {
    model: ModelIdentity,
    prompts: Vec<String>,
    noise: NoisePlan,
    norm: TokenNorm,
}

impl TokenGradients {
    /// For these prompts, on every generation of the noise's first seed. Of a single noise both norms are the same.
    pub fn new(model: ModelIdentity, prompts: Vec<String>, noise: NoisePlan, norm: TokenNorm) -> Self {
        let norm = if noise.generations == 1 { TokenNorm::OfEachNoise } else { norm };
        Self { model, prompts, noise, norm }
    }

    fn seed(&self) -> u64 {
        self.noise.seeds.first().copied().unwrap_or_default()
    }

    /// Units of each prompt.
    fn units_per_prompt(&self) -> usize {
        match self.norm {
            TokenNorm::OfEachNoise => self.noise.generations,
            TokenNorm::OverAllNoises => 1,
        }
    }

    /// Noises of each unit.
    fn noises_per_unit(&self) -> usize {
        self.noise.generations / self.units_per_prompt()
    }

    fn key(&self, prompt: &str, part: usize) -> Key {
        let [generator, precision, together] = self.noise.key_parts(self.model.latent_shape);
        let noises = match self.norm {
            TokenNorm::OfEachNoise => part.to_string(),
            TokenNorm::OverAllNoises => format!("0..{}", self.noise.generations),
        };
        Key::new(&[
            &self.model.fingerprint,
            &self.model.arithmetic,
            &generator,
            &precision,
            &together,
            &self.seed().to_string(),
            &noises,
            prompt,
            &format!("token-gradients/t={T_NORM}/f32"),
        ])
    }

    /// ‖∂‖c − u‖/∂e_i‖ for each token i of each prompt, from the stored numbers, see [`TokenNorm`]; `None` for a prompt that
    /// was not measured.
    pub fn read(&self, store: &MeasurementStore) -> Vec<Option<Vec<f64>>> {
        let parts = self.units_per_prompt();
        let of_prompt = |prompt: &String| {
            let mut sums: Vec<f64> = vec![];
            for part in 0..parts {
                let norms = store.get(&self.key(prompt, part))?;
                sums.resize(norms.len().max(sums.len()), 0.0);
                sums.iter_mut().zip(&*norms).for_each(|(sum, norm)| *sum += norm);
            }
            Some(sums.into_iter().map(|sum| sum / parts as f64).collect())
        };
        self.prompts.iter().map(of_prompt).collect()
    }
}

impl Task for TokenGradients {
    fn units(&self) -> usize {
        self.prompts.len() * self.units_per_prompt()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let parts = self.units_per_prompt();
        let key = self.key(&self.prompts[unit / parts], unit % parts);
        vec![Part { records: vec![RecordId::Numbers { key, count: None }] }]
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        let mut prompts: Vec<usize> = open.iter().map(|open| open.unit / self.units_per_prompt()).collect();
        prompts.dedup();
        prompts.into_iter().map(|prompt| vec![self.prompts[prompt].clone()]).collect()
    }

    /// On each noise a prediction, and one with its gradient.
    fn price(&self, _: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let noises = self.noises_per_unit();
        let mut work = Workload { batch: 1, ..Workload::default() };
        work.add(Pass::Prediction, noises, SamplesPerCall::Fixed(1));
        work.add(Pass::Vjp, noises, SamplesPerCall::Fixed(1));
        Price { calls: Calls { drawing: 2 * noises, ..Calls::default() }, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        let latents = self.noise.latents(self.seed(), self.model.latent_shape);
        Ok(Box::new(Differentiating { task: self, session, latents }))
    }
}

struct Differentiating<'s> {
    task: &'s TokenGradients,
    session: &'s Session<'s>,
    latents: Vec<Vec<f32>>,
}

impl Execute for Differentiating<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let (task, session) = (self.task, self.session);
        let asked = session.samples();
        let parts = task.units_per_prompt();
        let (prompt, part) = (&task.prompts[open.unit / parts], open.unit % parts);
        let noises = part * task.noises_per_unit()..(part + 1) * task.noises_per_unit();
        let (of_prompt, of_empty) = (session.embedding(prompt)?, session.unconditional()?);
        let norms = token_significance(session.model(), &of_prompt, of_empty, &self.latents[noises])?;
        calls.drawing += session.samples() - asked;
        Ok(vec![(task.key(prompt, part), norms)])
    }
}
