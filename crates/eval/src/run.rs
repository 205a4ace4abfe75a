//! Asks the network what a set of measures needs, once, and keeps every answer.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use memscope_metric::{Ask, Measure, NetworkCalls, Quantity, Start, prefetch};
use memscope_model::{LatentDiffusion, NoiseGenerator, NoisePrecision, PromptEmbedding, noise::initial_latents};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    store::{Key, ScoreStore},
    warning::Warning,
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
}

/// Watches a run and may stop it.
pub trait Watch {
    /// `done` of `total` measurements are there.
    fn progress(&mut self, done: usize, total: usize);
    /// Whether to stop before the next batch.
    fn stop_requested(&self) -> bool;
}

/// What a run asked of the network, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Predictions under the empty prompt (samples).
    pub unconditional_calls: usize,
    /// Predictions under a prompt (samples).
    pub conditional_calls: usize,
    /// Wall time of these predictions, in seconds.
    pub network_seconds: f64,
    /// What each measure did with them.
    pub measures: BTreeMap<String, MeasureCost>,
}

/// What one measure took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasureCost {
    /// Measurements: one for each prompt under one noise.
    pub count: usize,
    /// Network calls (samples) it made itself, such as passes with a tangent.
    pub own_calls: usize,
    /// Wall time of its arithmetic and its own calls, in seconds.
    pub seconds: f64,
}

impl RunCost {
    /// Measurements of all measures.
    pub fn measurements(&self) -> usize {
        self.measures.values().map(|cost| cost.count).sum()
    }

    /// Network calls (samples) of all kinds.
    pub fn network_calls(&self) -> usize {
        let own: usize = self.measures.values().map(|cost| cost.own_calls).sum();
        self.unconditional_calls + self.conditional_calls + own
    }
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

/// Measures prompts on one model into a store.
pub struct Runner<'a> {
    model: &'a LatentDiffusion,
    noise: NoisePlan,
    measures: Vec<Box<dyn Measure>>,
    batch: usize,
}

/// One noise with the chunks of prompts that still lack a measurement under it.
struct Task {
    seed: u64,
    generation: usize,
    chunks: Vec<Vec<usize>>,
}

impl Task {
    fn prompts(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }
}

impl<'a> Runner<'a> {
    /// `measures` may name the same measure twice; it is made once. `batch`: samples per network call.
    pub fn new(model: &'a LatentDiffusion, noise: NoisePlan, measures: Vec<Box<dyn Measure>>, batch: usize) -> Self {
        let mut seen = HashSet::new();
        let measures = measures.into_iter().filter(|measure| seen.insert(measure.id())).collect();
        Self { model, noise, measures, batch }
    }

    /// The key of a measure's values.
    pub fn key(&self, measure: &str, prompt: &str, seed: u64, generation: usize) -> Key {
        let noise = &self.noise;
        let together = match noise.generator.depends_on_generations(self.model.latent_shape()) {
            true => noise.generations.to_string(),
            false => "any".to_owned(),
        };
        Key::new(&[
            self.model.fingerprint(),
            "f32",
            &noise.generator.to_string(),
            &noise.precision.to_string(),
            &together,
            &seed.to_string(),
            &generation.to_string(),
            prompt,
            measure,
        ])
    }

    fn keys<'s>(&'s self, prompt: &'s str, seed: u64, generation: usize) -> impl Iterator<Item = Key> + 's {
        self.measures.iter().map(move |measure| self.key(&measure.id(), prompt, seed, generation))
    }

    /// Every key of the run, for [`ScoreStore::forget`].
    pub fn all_keys(&self, prompts: &[String]) -> Vec<Key> {
        let noises = self.noise.seeds.iter().flat_map(|s| (0..self.noise.generations).map(move |g| (*s, g)));
        noises.flat_map(|(seed, generation)| prompts.iter().flat_map(move |p| self.keys(p, seed, generation))).collect()
    }

    /// Prompts are always cut into the same chunks, and a chunk that lacks anything is measured whole: a
    /// matrix product rounds differently with other company, and a resumed run must give the same bits.
    fn tasks(&self, prompts: &[String], store: &ScoreStore) -> Vec<Task> {
        let all: Vec<usize> = (0..prompts.len()).collect();
        let mut tasks = vec![];
        for &seed in &self.noise.seeds {
            for generation in 0..self.noise.generations {
                let lacks = |p: &usize| self.keys(&prompts[*p], seed, generation).any(|key| store.get(&key).is_none());
                let open = all.chunks(self.chunk_len()).filter(|chunk| chunk.iter().any(lacks));
                tasks.push(Task { seed, generation, chunks: open.map(<[usize]>::to_vec).collect() });
            }
        }
        tasks
    }

    /// Prompts whose questions fill one network call.
    fn chunk_len(&self) -> usize {
        let per_prompt = self.asks().iter().filter(|ask| matches!(ask, Ask::Conditional { .. })).count();
        (self.batch / per_prompt.max(1)).max(1)
    }

    fn asks(&self) -> Vec<Ask> {
        let mut asks: Vec<Ask> = self.measures.iter().flat_map(|measure| measure.asks()).collect();
        asks.sort_unstable();
        asks.dedup();
        asks
    }

    /// The network calls a run would make, without making them.
    pub fn plan(&self, prompts: &[String], store: &ScoreStore) -> RunCost {
        let asks = self.asks();
        let shared = asks.iter().filter(|ask| matches!(ask, Ask::Unconditional { .. })).count();
        let tasks = self.tasks(prompts, store);
        let open: Vec<&Task> = tasks.iter().filter(|task| !task.chunks.is_empty()).collect();
        let pairs: usize = open.iter().map(|task| task.prompts()).sum();
        RunCost {
            unconditional_calls: open.len() * shared,
            conditional_calls: pairs * (asks.len() - shared),
            network_seconds: 0.0,
            measures: self
                .measures
                .iter()
                .map(|measure| {
                    let cost = MeasureCost { count: pairs, own_calls: pairs * measure.own_calls(), seconds: 0.0 };
                    (measure.id(), cost)
                })
                .collect(),
        }
    }

    /// Measures what the store lacks. Stops between batches when asked; everything measured so far is kept.
    pub fn run(&self, prompts: &[String], store: &mut ScoreStore, watch: &mut dyn Watch) -> Result<RunCost> {
        let tasks = self.tasks(prompts, store);
        let total = prompts.len() * self.noise.seeds.len() * self.noise.generations;
        let mut done = total - tasks.iter().map(Task::prompts).sum::<usize>();
        watch.progress(done, total);
        if done == total {
            return Ok(RunCost::default());
        }
        let empty = self.encode(&[""])?;
        let needed: HashSet<usize> = tasks.iter().flat_map(|task| task.chunks.iter().flatten().copied()).collect();
        let embeddings = self.encode_needed(prompts, &needed)?;
        let asks = self.asks();
        let calls = NetworkCalls::default();
        let mut network = Duration::ZERO;
        let mut costs: BTreeMap<String, MeasureCost> = BTreeMap::new();
        for task in &tasks {
            if task.chunks.is_empty() {
                continue;
            }
            let x = self.latent(task.seed, task.generation);
            let start = Start::new(self.model, &empty[0], x, &calls);
            for chunk in &task.chunks {
                if watch.stop_requested() {
                    store.sync()?;
                    return Err(Error::Stopped);
                }
                let probes: Vec<_> = chunk.iter().map(|p| start.probe(&embeddings[p])).collect();
                let clock = Instant::now();
                prefetch(self.model, &probes, &asks, self.batch)?;
                network += clock.elapsed();
                let mut batch = vec![];
                for (probe, &p) in probes.iter().zip(chunk) {
                    for measure in &self.measures {
                        let clock = Instant::now();
                        let values = measure.measure(probe)?;
                        let cost = costs.entry(measure.id()).or_default();
                        cost.count += 1;
                        cost.own_calls += measure.own_calls();
                        cost.seconds += clock.elapsed().as_secs_f64();
                        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                            let names = measure.names();
                            let quantity = names.get(i).cloned().unwrap_or_else(|| measure.id());
                            return Err(Error::NonFinite { quantity, prompt: prompts[p].clone() });
                        }
                        let key = self.key(&measure.id(), &prompts[p], task.seed, task.generation);
                        if store.get(&key).is_none() {
                            batch.push((key, values));
                        }
                    }
                }
                store.append(batch)?;
                done += chunk.len();
                watch.progress(done, total);
            }
        }
        store.sync()?;
        Ok(RunCost {
            unconditional_calls: calls.unconditional(),
            conditional_calls: calls.conditional(),
            network_seconds: network.as_secs_f64(),
            measures: costs,
        })
    }

    fn latent(&self, seed: u64, generation: usize) -> Vec<f32> {
        let shape = self.model.latent_shape();
        let noise = &self.noise;
        let all = initial_latents(noise.generator, noise.precision, seed, noise.generations, shape);
        let len = shape.0 * shape.1 * shape.2;
        all[generation * len..][..len].to_vec()
    }

    fn encode(&self, prompts: &[&str]) -> Result<Vec<PromptEmbedding>> {
        Ok(self.model.encode_prompts(prompts)?)
    }

    /// Embeddings of the needed prompts. Batches are cut alike in every run, for the same bits.
    fn encode_needed(&self, prompts: &[String], needed: &HashSet<usize>) -> Result<BTreeMap<usize, PromptEmbedding>> {
        let all: Vec<usize> = (0..prompts.len()).collect();
        let mut embeddings = BTreeMap::new();
        for chunk in all.chunks(self.batch).filter(|chunk| chunk.iter().any(|p| needed.contains(p))) {
            let texts: Vec<&str> = chunk.iter().map(|p| prompts[*p].as_str()).collect();
            embeddings.extend(chunk.iter().copied().zip(self.encode(&texts)?));
        }
        Ok(embeddings)
    }

    /// A warning for each prompt that is longer than the model reads.
    pub fn truncation_warnings(&self, prompts: &[String]) -> Vec<Warning> {
        let tokenizer = self.model.tokenizer();
        let cut = |prompt: &String| {
            let cut = tokenizer.encode(prompt).cut?;
            Some(Warning::TruncatedPrompt { prompt: prompt.clone(), cut })
        };
        prompts.iter().filter_map(cut).collect()
    }

    /// The stored values of `quantities` for the first `generations` latents of a seed; `None` where one
    /// has not been measured.
    pub fn read(
        &self,
        store: &ScoreStore,
        quantities: &[Quantity],
        prompt: &str,
        seed: u64,
        generations: usize,
    ) -> Option<Vec<Vec<f64>>> {
        let positions: Vec<usize> = quantities.iter().map(|q| self.position(q)).collect::<Option<_>>()?;
        (0..generations)
            .map(|generation| {
                let value = |(quantity, i): (&Quantity, &usize)| {
                    store.get(&self.key(&quantity.measure, prompt, seed, generation))?.get(*i).copied()
                };
                quantities.iter().zip(&positions).map(value).collect()
            })
            .collect()
    }

    /// Visits every stored group of values of these prompts, in the order prompt, seed, generation, measure.
    pub(crate) fn for_each_stored(&self, store: &ScoreStore, prompts: &[String], mut visit: impl FnMut(&Stored)) {
        let measures: Vec<(String, Vec<String>)> = self.measures.iter().map(|m| (m.id(), m.names())).collect();
        for prompt in prompts {
            for &seed in &self.noise.seeds {
                for generation in 0..self.noise.generations {
                    for (measure, names) in &measures {
                        if let Some(values) = store.get(&self.key(measure, prompt, seed, generation)) {
                            visit(&Stored { prompt, seed, generation, measure, names, values });
                        }
                    }
                }
            }
        }
    }

    fn position(&self, quantity: &Quantity) -> Option<usize> {
        let measure = self.measures.iter().find(|measure| measure.id() == quantity.measure)?;
        measure.names().iter().position(|name| *name == quantity.name)
    }
}
