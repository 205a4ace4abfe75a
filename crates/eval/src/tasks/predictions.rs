//! Predictions as files, for detectors that other programs compute.
//!
//! A unit is one batch of prompts under one noise and makes one file, so that an export that was stopped goes on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use memscope_metric::{Generation, InitialNoise, PredictionRequest, prefetch};
use memscope_model::cost::{Pass, SamplesPerCall, Workload};
use memscope_results::files::{Existing, write_json};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    store::{Key, RecordId},
    task::{Calls, Execute, ModelIdentity, NoisePlan, OpenUnit, Part, Price, Session, SharedPredictions, Task},
    tensor_file::{NamedTensor, write_tensors},
};

/// The predictions of a model for prompts, on the pure noise x_T and at some timesteps.
pub struct Predictions {
    /// The model.
    pub model: ModelIdentity,
    /// The noises, which all prompts share.
    pub noise: NoisePlan,
    /// The timesteps that the network is told; it is asked about x_T at every one.
    pub timesteps: Vec<usize>,
    /// The prompts, each once.
    pub prompts: Vec<String>,
    /// Prompts a file, and samples per network call.
    pub batch: usize,
    /// Folder for the files.
    pub folder: PathBuf,
}

/// A file of predictions, as the index lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictionFile {
    /// Its name in the folder.
    pub file: String,
    /// Seed of its noise.
    pub seed: u64,
    /// Generation of its noise, from 0.
    pub generation: usize,
    /// Its prompts, in the order of the tensor `conditional`.
    pub prompts: Vec<String>,
}

/// What the files of an export hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictionIndex {
    /// The model.
    pub model: String,
    /// SHA-256 of its weights, configurations and tokenizer.
    pub fingerprint: String,
    /// What its network predicts: `epsilon` or `v_prediction`.
    pub parameterization: String,
    /// Generator of the noise.
    pub generator: String,
    /// The timesteps, in the order of the tensors.
    pub timesteps: Vec<usize>,
    /// (C, H, W) of a latent.
    pub latent_shape: (usize, usize, usize),
    /// One for each seed, generation and batch of prompts.
    pub files: Vec<PredictionFile>,
}

/// Name of the index in the folder.
pub const PREDICTION_INDEX: &str = "index.json";

impl Predictions {
    fn chunks(&self) -> usize {
        self.prompts.len().div_ceil(self.batch.max(1))
    }

    fn chunk(&self, unit: usize) -> &[String] {
        let (len, chunk) = (self.batch.max(1), unit % self.chunks().max(1));
        &self.prompts[chunk * len..self.prompts.len().min((chunk + 1) * len)]
    }

    /// Position of a unit's noise, its seed and its generation.
    fn noise_of(&self, unit: usize) -> (usize, u64, usize) {
        let noise = unit / self.chunks().max(1);
        (noise, self.noise.seeds[noise / self.noise.generations], noise % self.noise.generations)
    }

    fn requests(&self) -> (Vec<PredictionRequest>, Vec<PredictionRequest>) {
        let timesteps = || self.timesteps.iter().copied();
        let empty = timesteps().map(|t| PredictionRequest::Unconditional { t }).collect();
        (empty, timesteps().map(|t| PredictionRequest::Conditional { t }).collect())
    }

    /// `seed42-gen0-0000-1f3a9c02.safetensors`: the last part is a hash of all that determines the content.
    fn name(&self, unit: usize) -> String {
        let (_, seed, generation) = self.noise_of(unit);
        let [generator, precision, together] = self.noise.key_parts(self.model.latent_shape);
        let timesteps: Vec<String> = self.timesteps.iter().map(ToString::to_string).collect();
        let (seed_text, generation_text, timesteps) = (seed.to_string(), generation.to_string(), timesteps.join(","));
        let mut parts = vec![
            "predictions",
            &self.model.fingerprint,
            &self.model.arithmetic,
            &generator,
            &precision,
            &together,
            &seed_text,
            &generation_text,
            &timesteps,
        ];
        parts.extend(self.chunk(unit).iter().map(String::as_str));
        let key = Key::new(&parts).to_string();
        format!("seed{seed}-gen{generation}-{:04}-{}.safetensors", unit % self.chunks().max(1), &key[..8])
    }

    /// The files, in order.
    pub fn files(&self) -> Vec<PredictionFile> {
        let file = |unit| {
            let (_, seed, generation) = self.noise_of(unit);
            PredictionFile { file: self.name(unit), seed, generation, prompts: self.chunk(unit).to_vec() }
        };
        (0..self.units()).map(file).collect()
    }

    /// Writes the index, when all files are there; `model` and `parameterization` as people name them.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn write_index(&self, model: &str, parameterization: &str) -> Result<PathBuf> {
        let path = self.folder.join(PREDICTION_INDEX);
        let index = PredictionIndex {
            model: model.to_owned(),
            fingerprint: self.model.fingerprint.clone(),
            parameterization: parameterization.to_owned(),
            generator: self.noise.generator.to_string(),
            timesteps: self.timesteps.clone(),
            latent_shape: self.model.latent_shape,
            files: self.files(),
        };
        write_json(&path, &index)?;
        Ok(path)
    }

    fn path(&self, unit: usize) -> PathBuf {
        self.folder.join(self.name(unit))
    }
}

impl Task for Predictions {
    /// Batches of prompts under the first noise, then under the next one.
    fn units(&self) -> usize {
        self.noise.seeds.len() * self.noise.generations * self.chunks()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        vec![Part { records: vec![RecordId::Tensors(self.path(unit))] }]
    }

    fn weight(&self, unit: usize) -> usize {
        self.chunk(unit).len()
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        let mut chunks: Vec<usize> = open.iter().map(|open| open.unit % self.chunks().max(1)).collect();
        chunks.sort_unstable();
        chunks.dedup();
        chunks.into_iter().map(|chunk| self.chunk(chunk).to_vec()).collect()
    }

    fn price(&self, open: &OpenUnit, shared: &mut SharedPredictions) -> Price {
        let (empty, own) = self.requests();
        let prompts = self.weight(open.unit);
        let mut work = Workload { batch: self.batch.min(self.prompts.len()), ..Workload::default() };
        let mut calls = Calls::default();
        calls.measuring.conditional_calls = prompts * own.len();
        work.add(Pass::Prediction, prompts * own.len(), SamplesPerCall::PerPrompt(1));
        let unconditional = shared.add(self.noise_of(open.unit).0, &empty);
        calls.measuring.unconditional_calls = unconditional;
        work.add(Pass::Prediction, unconditional, SamplesPerCall::Fixed(1));
        Price { calls, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        fs::create_dir_all(&self.folder).map_err(Error::write(&self.folder))?;
        Ok(Box::new(Exporting { task: self, session, noise: None }))
    }
}

/// An export under way.
struct Exporting<'s> {
    task: &'s Predictions,
    session: &'s Session<'s>,
    /// The noise at hand, with its position.
    noise: Option<(usize, InitialNoise<'s>)>,
}

impl Execute for Exporting<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let (task, session) = (self.task, self.session);
        let (position, seed, generation) = task.noise_of(open.unit);
        if self.noise.as_ref().is_none_or(|(known, _)| *known != position) {
            let x = task.noise.latents(seed, task.model.latent_shape).swap_remove(generation);
            let noise = InitialNoise::new(session.model(), session.unconditional()?, x, session.calls());
            self.noise = Some((position, noise));
        }
        let Some((_, noise)) = &self.noise else { return Err(Error::internal("an export has no noise")) };
        let prompts = task.chunk(open.unit);
        let embeddings = prompts.iter().map(|prompt| session.embedding(prompt)).collect::<Result<Vec<_>>>()?;
        let generations: Vec<Generation> = embeddings.iter().map(|embedding| noise.generation(embedding)).collect();
        let (unconditional, conditional) = (session.calls().unconditional(), session.calls().conditional());
        let (empty, own) = task.requests();
        prefetch(session.model(), &generations, &[empty, own].concat(), task.batch)?;
        calls.measuring.unconditional_calls += session.calls().unconditional() - unconditional;
        calls.measuring.conditional_calls += session.calls().conditional() - conditional;
        write(&task.path(open.unit), task, &generations)?;
        Ok(vec![])
    }
}

fn write(path: &Path, task: &Predictions, generations: &[Generation]) -> Result<()> {
    let Some(first) = generations.first() else { return Ok(()) };
    let (c, h, w) = task.model.latent_shape;
    let mut conditional: Vec<f32> = vec![];
    for generation in generations {
        for t in &task.timesteps {
            conditional.extend(&generation.conditional(*t)?.output);
        }
    }
    let mut unconditional: Vec<f32> = vec![];
    for t in &task.timesteps {
        unconditional.extend(&first.unconditional(*t)?.output);
    }
    let steps = task.timesteps.len();
    let tensors = [
        NamedTensor::f32("x_T", &[c, h, w], first.x()),
        NamedTensor::f32("unconditional", &[steps, c, h, w], &unconditional),
        NamedTensor::f32("conditional", &[generations.len(), steps, c, h, w], &conditional),
        NamedTensor::u64("timesteps", task.timesteps.iter().map(|t| *t as u64)),
    ];
    let about = BTreeMap::from([
        ("model_sha256", task.model.fingerprint.clone()),
        ("arithmetic", task.model.arithmetic.clone()),
        ("generator", task.noise.generator.to_string()),
    ]);
    write_tensors(path, &tensors, &about, Existing::Replace)
}
