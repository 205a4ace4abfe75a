//! Asks the network what a set of measures needs, once, and keeps every answer.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use memscope_metric::{Ask, NetworkCalls, Probe, Quantity, Start, prefetch};
use memscope_model::{
    Blueprint, Execution, LatentDiffusion, NoiseGenerator, NoisePrecision, PromptEmbedding,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    measures::{Located, Measures, Planned},
    store::{Key, ScoreStore},
    warning::Warning,
};

pub use memscope_results::{MeasureCost, RunCost};

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
    fn seed_of(&self, seed: u64, row: usize) -> u64 {
        match (self.sharing, self.generator) {
            (NoiseSharing::Shared, _) => seed,
            (NoiseSharing::PerPrompt, NoiseGenerator::TorchCuda { .. }) => seed.wrapping_add(row as u64 + 4),
            (NoiseSharing::PerPrompt, _) => seed.wrapping_add(row as u64),
        }
    }
}

/// A prompt of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPrompt {
    /// The prompt.
    pub text: String,
    /// Its position in its list, from 0; only [`NoiseSharing::PerPrompt`] reads it.
    pub row: usize,
}

impl RunPrompt {
    /// A list on its own.
    pub fn list(texts: &[String]) -> Vec<Self> {
        texts.iter().enumerate().map(|(row, text)| Self { text: text.clone(), row }).collect()
    }
}

/// Watches a run and may stop it.
pub trait Watch {
    /// `done` of `total` measurements are there.
    fn progress(&mut self, done: usize, total: usize);
    /// Whether to stop before the next batch.
    fn stop_requested(&self) -> bool;
}

/// The stored values of one measure.
pub(crate) struct Stored<'a> {
    pub(crate) prompt: &'a str,
    pub(crate) seed: u64,
    pub(crate) generation: usize,
    pub(crate) measure: &'a str,
    pub(crate) names: &'a [String],
    pub(crate) values: &'a [f64],
}

/// What is asked about prompts on one model, and under which keys the answers are kept. It needs no weights.
pub struct Agenda {
    model: AskedModel,
    noise: NoisePlan,
    measures: Measures,
    prompts: Vec<RunPrompt>,
    rows: HashMap<String, usize>,
    batch: usize,
}

/// What answers depend on of a model.
#[derive(Clone, Debug)]
pub struct AskedModel {
    /// Checksum of its weights, configurations and tokenizer.
    pub fingerprint: String,
    /// Number format and kind of device, see [`LatentDiffusion::arithmetic`].
    pub arithmetic: String,
    /// (C, H, W) of its latents.
    pub latent_shape: (usize, usize, usize),
}

impl AskedModel {
    /// A model that is not loaded yet.
    pub fn planned(blueprint: &Blueprint, execution: Execution, fingerprint: String) -> Self {
        Self { fingerprint, arithmetic: execution.arithmetic(), latent_shape: blueprint.latent_shape() }
    }

    /// A loaded model.
    pub fn of(model: &LatentDiffusion) -> Self {
        Self {
            fingerprint: model.fingerprint().to_owned(),
            arithmetic: model.arithmetic(),
            latent_shape: model.latent_shape(),
        }
    }
}

/// Measures prompts on one model into a store.
pub struct Runner<'a> {
    model: &'a LatentDiffusion,
    agenda: Agenda,
}

/// One noise with the chunks of prompts that still lack a measurement under it.
struct Task<'r> {
    seed: u64,
    generation: usize,
    chunks: Vec<Chunk<'r>>,
}

/// Prompts that are measured together, and the measures that one of them lacks.
struct Chunk<'r> {
    prompts: Vec<usize>,
    measures: Vec<&'r Planned>,
}

impl Chunk<'_> {
    fn asks(&self) -> Vec<Ask> {
        Measures::asks(self.measures.iter().copied())
    }
}

impl Task<'_> {
    fn prompts(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.prompts.len()).sum()
    }
}

impl Agenda {
    /// `batch`: samples per network call.
    pub fn new(model: AskedModel, noise: NoisePlan, measures: Measures, prompts: Vec<RunPrompt>, batch: usize) -> Self {
        let rows = prompts.iter().map(|prompt| (prompt.text.clone(), prompt.row)).collect();
        Self { model, noise, measures, prompts, rows, batch }
    }

    /// The key of a measure's values; `row` is the prompt's.
    fn key(&self, measure: &str, prompt: &str, row: usize, seed: u64, generation: usize) -> Key {
        let noise = &self.noise;
        let together = match noise.generator.depends_on_generations(self.model.latent_shape) {
            true => noise.generations.to_string(),
            false => "any".to_owned(),
        };
        Key::new(&[
            &self.model.fingerprint,
            &self.model.arithmetic,
            &noise.generator.to_string(),
            &noise.precision.to_string(),
            &together,
            &noise.seed_of(seed, row).to_string(),
            &generation.to_string(),
            prompt,
            measure,
        ])
    }

    /// The measures that are wanted under a seed.
    fn under(&self, seed: u64) -> impl Iterator<Item = &Planned> {
        self.measures.all().iter().filter(move |planned| planned.under(seed))
    }

    fn keys<'s>(&'s self, prompt: &'s RunPrompt, seed: u64, generation: usize) -> impl Iterator<Item = Key> + 's {
        self.under(seed).map(move |m| self.key(&m.id, &prompt.text, prompt.row, seed, generation))
    }

    /// Every key of the run, for [`ScoreStore::forget`].
    pub fn all_keys(&self) -> Vec<Key> {
        let noises = self.noise.seeds.iter().flat_map(|s| (0..self.noise.generations).map(move |g| (*s, g)));
        noises.flat_map(|(seed, g)| self.prompts.iter().flat_map(move |p| self.keys(p, seed, g))).collect()
    }

    /// Prompts are always cut into the same chunks, and a measure that one prompt of a chunk lacks is made for the
    /// whole chunk: a matrix product rounds differently with other company, and a resumed run must give the same bits.
    fn tasks(&self, store: &ScoreStore) -> Vec<Task<'_>> {
        let all: Vec<usize> = (0..self.prompts.len()).collect();
        let mut tasks = vec![];
        for &seed in &self.noise.seeds {
            for generation in 0..self.noise.generations {
                let lacks = |p: &usize, id: &str| {
                    let prompt = &self.prompts[*p];
                    store.get(&self.key(id, &prompt.text, prompt.row, seed, generation)).is_none()
                };
                let chunk = |prompts: &[usize]| {
                    let open = |planned: &&Planned| prompts.iter().any(|p| lacks(p, &planned.id));
                    let measures: Vec<&Planned> = self.under(seed).filter(open).collect();
                    (!measures.is_empty()).then(|| Chunk { prompts: prompts.to_vec(), measures })
                };
                let chunks = all.chunks(self.chunk_len()).filter_map(chunk).collect();
                tasks.push(Task { seed, generation, chunks });
            }
        }
        tasks
    }

    /// Prompts that are measured together.
    fn chunk_len(&self) -> usize {
        let most = self.measures.all().iter().map(|planned| planned.measure.most_probes()).min();
        self.batch.min(most.unwrap_or(usize::MAX)).max(1)
    }

    /// The network calls a run would make, without making them.
    pub fn plan(&self, store: &ScoreStore) -> RunCost {
        let mut cost = RunCost::default();
        for task in self.tasks(store) {
            let mut shared: Vec<Ask> = vec![];
            for chunk in &task.chunks {
                let prompts = chunk.prompts.len();
                let (empty, own): (Vec<Ask>, Vec<Ask>) =
                    chunk.asks().into_iter().partition(|ask| matches!(ask, Ask::Unconditional { .. }));
                cost.conditional_calls += prompts * own.len();
                match self.noise.sharing {
                    NoiseSharing::Shared => shared.extend(empty),
                    NoiseSharing::PerPrompt => cost.unconditional_calls += prompts * empty.len(),
                }
                for planned in &chunk.measures {
                    let sum = cost.measures.entry(planned.id.clone()).or_default();
                    sum.count += prompts;
                    sum.own_calls += prompts * planned.measure.own_calls();
                }
            }
            shared.sort_unstable();
            shared.dedup();
            cost.unconditional_calls += shared.len();
        }
        cost
    }

    /// The same as work for the model's networks, to be priced.
    pub fn workload(&self, store: &ScoreStore) -> Workload {
        let cost = self.plan(store);
        if cost.measurements() == 0 {
            return Workload::default();
        }
        // The prompts that are measured together, which are fewer than a batch where a measure takes long.
        let batch = self.chunk_len().min(self.prompts.len());
        let mut work = Workload { prompts: self.prompts.len() + 1, batch, ..Workload::default() };
        let shared = self.noise.sharing == NoiseSharing::Shared;
        work.add(Pass::Prediction, cost.conditional_calls, SamplesPerCall::PerPrompt(1));
        let of_empty = if shared { SamplesPerCall::Fixed(1) } else { SamplesPerCall::PerPrompt(1) };
        work.add(Pass::Prediction, cost.unconditional_calls, of_empty);
        for planned in self.measures.all() {
            let Some(sum) = cost.measures.get(&planned.id) else { continue };
            for own in planned.measure.own() {
                work.add(own.pass, sum.count * own.calls, own.samples_per_call);
            }
        }
        work
    }
}

impl<'a> Runner<'a> {
    /// `agenda`: made for this model.
    pub fn new(model: &'a LatentDiffusion, agenda: Agenda) -> Self {
        Self { model, agenda }
    }

    /// What it asks.
    pub fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    /// Measures what the store lacks. Stops between batches when asked; everything measured so far is kept.
    pub fn run(&self, store: &mut ScoreStore, watch: &mut dyn Watch) -> Result<RunCost> {
        let tasks = self.agenda.tasks(store);
        let total = self.agenda.prompts.len() * self.agenda.noise.seeds.len() * self.agenda.noise.generations;
        let mut done = total - tasks.iter().map(Task::prompts).sum::<usize>();
        watch.progress(done, total);
        if done == total {
            return Ok(RunCost::default());
        }
        let needed: HashSet<usize> =
            tasks.iter().flat_map(|task| task.chunks.iter().flat_map(|chunk| chunk.prompts.iter().copied())).collect();
        let empty = self.model.encode_prompts(&[""])?.remove(0);
        let embeddings = self.encode_needed(&needed)?;
        self.model.release_text_encoder();
        let calls = NetworkCalls::default();
        let mut cost = RunCost::default();
        let mut network = Duration::ZERO;
        let mut latents = Latents { runner: self, drawn: None };
        for task in tasks.iter().filter(|task| !task.chunks.is_empty()) {
            let mut start = |seed| {
                let x = latents.get(seed, task.generation);
                Start::new(self.model, &empty, x, &calls)
            };
            let shared = (self.agenda.noise.sharing == NoiseSharing::Shared).then(|| start(task.seed));
            for chunk in &task.chunks {
                if watch.stop_requested() {
                    store.sync()?;
                    return Err(Error::Stopped);
                }
                let own: Vec<Start> = match &shared {
                    Some(_) => vec![],
                    None => chunk
                        .prompts
                        .iter()
                        .map(|p| start(self.agenda.noise.seed_of(task.seed, self.agenda.prompts[*p].row)))
                        .collect(),
                };
                let of_prompt = |i: usize| shared.as_ref().unwrap_or_else(|| &own[i]);
                let probes: Vec<_> =
                    chunk.prompts.iter().enumerate().map(|(i, p)| of_prompt(i).probe(&embeddings[p])).collect();
                let clock = Instant::now();
                prefetch(self.model, &probes, &chunk.asks(), self.agenda.batch)?;
                network += clock.elapsed();
                let records = self.measure(task, chunk, &probes, &mut cost)?;
                store.append(records.into_iter().filter(|(key, _)| store.get(key).is_none()).collect())?;
                done += chunk.prompts.len();
                watch.progress(done, total);
            }
        }
        store.sync()?;
        cost.unconditional_calls = calls.unconditional();
        cost.conditional_calls = calls.conditional();
        cost.network_seconds = network.as_secs_f64();
        Ok(cost)
    }

    /// The values of every measure that a chunk lacks, under their keys.
    fn measure(
        &self,
        task: &Task,
        chunk: &Chunk,
        probes: &[Probe],
        cost: &mut RunCost,
    ) -> Result<Vec<(Key, Vec<f64>)>> {
        let mut records = vec![];
        for Planned { measure, id, names, .. } in chunk.measures.iter().copied() {
            let clock = Instant::now();
            let values = measure.measure(probes)?;
            let sum = cost.measures.entry(id.clone()).or_default();
            sum.count += probes.len();
            sum.own_calls += probes.len() * measure.own_calls();
            sum.seconds += clock.elapsed().as_secs_f64();
            for (&p, values) in chunk.prompts.iter().zip(values) {
                let prompt = &self.agenda.prompts[p];
                if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                    let quantity = names.get(i).unwrap_or(id).clone();
                    return Err(Error::NonFinite { quantity, prompt: prompt.text.clone() });
                }
                records.push((self.agenda.key(id, &prompt.text, prompt.row, task.seed, task.generation), values));
            }
        }
        Ok(records)
    }

    /// Embeddings of the needed prompts. Batches are cut alike in every run, for the same bits.
    fn encode_needed(&self, needed: &HashSet<usize>) -> Result<BTreeMap<usize, PromptEmbedding>> {
        let all: Vec<usize> = (0..self.agenda.prompts.len()).collect();
        let mut embeddings = BTreeMap::new();
        for chunk in all.chunks(self.agenda.batch).filter(|chunk| chunk.iter().any(|p| needed.contains(p))) {
            let texts: Vec<&str> = chunk.iter().map(|p| self.agenda.prompts[*p].text.as_str()).collect();
            embeddings.extend(chunk.iter().copied().zip(self.model.encode_prompts(&texts)?));
        }
        Ok(embeddings)
    }

    /// A warning for each prompt that is longer than the model reads.
    pub fn truncation_warnings(&self) -> Vec<Warning> {
        let tokenizer = self.model.tokenizer();
        let cut = |prompt: &RunPrompt| {
            let cut = tokenizer.encode(&prompt.text).cut?;
            Some(Warning::TruncatedPrompt { prompt: prompt.text.clone(), cut })
        };
        self.agenda.prompts.iter().filter_map(cut).collect()
    }

    /// Where quantities stand among the stored values; `None` for one that this run does not measure.
    pub fn locate(&self, quantities: &[Quantity]) -> Option<Vec<Located>> {
        self.agenda.measures.locate(quantities)
    }

    /// The stored values of quantities for the first `generations` latents of a seed; `None` where one has not
    /// been measured.
    pub fn read(
        &self,
        store: &ScoreStore,
        quantities: &[Located],
        prompt: &str,
        seed: u64,
        generations: usize,
    ) -> Option<Vec<Vec<f64>>> {
        let row = *self.agenda.rows.get(prompt)?;
        let value = |located: &Located, generation| {
            let measure = self.agenda.measures.all().get(located.measure)?;
            store.get(&self.agenda.key(&measure.id, prompt, row, seed, generation))?.get(located.value).copied()
        };
        (0..generations).map(|generation| quantities.iter().map(|q| value(q, generation)).collect()).collect()
    }

    /// Visits every stored group of values of these prompts, in the order prompt, seed, generation, measure.
    pub(crate) fn for_each_stored(&self, store: &ScoreStore, prompts: &[String], mut visit: impl FnMut(&Stored)) {
        for prompt in prompts {
            let Some(&row) = self.agenda.rows.get(prompt) else { continue };
            for &seed in &self.agenda.noise.seeds {
                for generation in 0..self.agenda.noise.generations {
                    for Planned { id, names, .. } in self.agenda.under(seed) {
                        if let Some(values) = store.get(&self.agenda.key(id, prompt, row, seed, generation)) {
                            visit(&Stored { prompt, seed, generation, measure: id, names, values });
                        }
                    }
                }
            }
        }
    }
}

/// The noises of the seed at hand, drawn once for all its generations.
struct Latents<'a> {
    runner: &'a Runner<'a>,
    drawn: Option<(u64, Vec<f32>)>,
}

impl Latents<'_> {
    /// x_T, flattened (C, H, W).
    fn get(&mut self, seed: u64, generation: usize) -> Vec<f32> {
        let (noise, shape) = (&self.runner.agenda.noise, self.runner.model.latent_shape());
        let known = self.drawn.take().filter(|(of, _)| *of == seed);
        let draw = || (seed, initial_latents(noise.generator, noise.precision, seed, noise.generations, shape));
        let (_, all) = self.drawn.insert(known.unwrap_or_else(draw));
        let len = shape.0 * shape.1 * shape.2;
        all[generation * len..][..len].to_vec()
    }
}
