//! Token significance: how strongly the norm of the guidance direction depends on each token. A unit is one prompt under one
//! noise.

use memscope_baselines::token_significance;
use memscope_metric::T_NORM;
use memscope_model::cost::{Pass, SamplesPerCall, Workload};

use crate::{
    error::Result,
    plan::{Calls, Execute, Key, ModelIdentity, NoisePlan, OpenUnit, Part, Price, RecordId, SharedPredictions, Task},
    run::{MeasurementStore, Session},
};

/// The gradient norms of the tokens of some prompts.
pub struct TokenGradients {
    model: ModelIdentity,
    prompts: Vec<String>,
    noise: NoisePlan,
}

impl TokenGradients {
    /// For these prompts, on every generation of the noise's first seed.
    pub fn new(model: ModelIdentity, prompts: Vec<String>, noise: NoisePlan) -> Self {
        Self { model, prompts, noise }
    }

    fn seed(&self) -> u64 {
        self.noise.seeds.first().copied().unwrap_or_default()
    }

    fn key(&self, prompt: &str, generation: usize) -> Key {
        let [generator, precision, together] = self.noise.key_parts(self.model.latent_shape);
        Key::new(&[
            &self.model.fingerprint,
            &self.model.arithmetic,
            &generator,
            &precision,
            &together,
            &self.seed().to_string(),
            &generation.to_string(),
            prompt,
            &format!("token-gradients/t={T_NORM}/f32"),
        ])
    }

    /// The mean over noises of ‖∂‖c − u‖/∂e_i‖ for each token i of each prompt, from the stored numbers; `None` for a prompt
    /// that was not measured.
    pub fn read(&self, store: &MeasurementStore) -> Vec<Option<Vec<f64>>> {
        let of_prompt = |prompt: &String| {
            let mut sums: Vec<f64> = vec![];
            for generation in 0..self.noise.generations {
                let norms = store.get(&self.key(prompt, generation))?;
                sums.resize(norms.len().max(sums.len()), 0.0);
                sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm);
            }
            Some(sums.into_iter().map(|sum| sum / self.noise.generations as f64).collect())
        };
        self.prompts.iter().map(of_prompt).collect()
    }
}

impl Task for TokenGradients {
    fn units(&self) -> usize {
        self.prompts.len() * self.noise.generations
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let (prompt, generation) = (unit / self.noise.generations, unit % self.noise.generations);
        let key = self.key(&self.prompts[prompt], generation);
        vec![Part { records: vec![RecordId::Numbers { key, count: None }] }]
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        let mut prompts: Vec<usize> = open.iter().map(|open| open.unit / self.noise.generations).collect();
        prompts.dedup();
        prompts.into_iter().map(|prompt| vec![self.prompts[prompt].clone()]).collect()
    }

    /// A prediction, and one with its gradient.
    fn price(&self, _: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let mut work = Workload { batch: 1, ..Workload::default() };
        work.add(Pass::Prediction, 1, SamplesPerCall::Fixed(1));
        work.add(Pass::CheckpointedVjp, 1, SamplesPerCall::Fixed(1));
        Price { calls: Calls { drawing: 2, ..Calls::default() }, work }
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
        let generation = open.unit % task.noise.generations;
        let prompt = &task.prompts[open.unit / task.noise.generations];
        let (of_prompt, of_empty) = (session.embedding(prompt)?, session.unconditional()?);
        let norms = token_significance(session.model(), of_prompt, of_empty, &self.latents[generation])?;
        calls.drawing += session.samples() - asked;
        Ok(vec![(task.key(prompt, generation), norms)])
    }
}
