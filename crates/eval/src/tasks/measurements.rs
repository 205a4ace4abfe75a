//! Measurements: the numbers that detectors and analyses of the score field are made of.
//!
//! A unit is one chunk of prompts under one noise; a part of it is one measure. Prompts are always cut into the same
//! chunks, and a measure that one prompt of a chunk lacks is made for the whole chunk: a matrix product rounds differently
//! in another batch, and a resumed run must give the same bits.

use std::{ops::Range, time::Instant};

use memscope_metric::{Generation, InitialNoise, PredictionRequest, prefetch};
use memscope_model::cost::{Pass, SamplesPerCall, Workload};

use crate::{
    error::{Error, Result},
    prompts::PromptTexts,
    spec::NoiseSharing,
    store::{Key, RecordId},
    task::{
        Calls, Execute, Located, Measures, ModelIdentity, NoisePlan, OpenUnit, Part, PlannedMeasure, Price, RunPrompts,
        Session, SharedPredictions, Task,
    },
};

/// What is measured about prompts on one model, and under which keys the numbers are kept. It needs no weights.
pub struct MeasurementPlan {
    model: ModelIdentity,
    noise: NoisePlan,
    measures: Measures,
    prompts: RunPrompts,
    batch: usize,
    /// What the keys hold of the noise.
    noise_key: [String; 3],
}

impl MeasurementPlan {
    /// `batch`: samples per network call.
    pub fn new(model: ModelIdentity, noise: NoisePlan, measures: Measures, prompts: RunPrompts, batch: usize) -> Self {
        let noise_key = noise.key_parts(model.latent_shape);
        Self { model, noise, measures, prompts, batch, noise_key }
    }

    /// The key of a measure's values on the prompt at a position.
    pub(crate) fn key(&self, measure: &str, prompt: usize, seed: u64, generation: usize) -> Key {
        let [generator, precision, together] = &self.noise_key;
        Key::new(&[
            &self.model.fingerprint,
            &self.model.arithmetic,
            generator,
            precision,
            together,
            &self.noise.seed_of(seed, self.prompts.row(prompt)).to_string(),
            &generation.to_string(),
            self.prompts.text(prompt),
            measure,
        ])
    }

    /// The noises.
    pub(crate) fn noise(&self) -> &NoisePlan {
        &self.noise
    }

    /// The prompts, each once.
    pub(crate) fn prompts(&self) -> &PromptTexts {
        self.prompts.texts()
    }

    /// The measures that are wanted under a seed.
    pub(crate) fn under(&self, seed: u64) -> impl Iterator<Item = &PlannedMeasure> {
        self.measures.all().iter().filter(move |planned| planned.under(seed))
    }

    /// The measure at a position.
    pub(crate) fn measure(&self, position: usize) -> Option<&PlannedMeasure> {
        self.measures.all().get(position)
    }

    /// Where quantities stand among the stored values; `None` for one that is not measured.
    pub(crate) fn locate(&self, quantities: &[memscope_metric::Quantity]) -> Option<Vec<Located>> {
        self.measures.locate(quantities)
    }

    /// Prompts that are measured together.
    fn chunk_len(&self) -> usize {
        let most = self.measures.all().iter().map(|planned| planned.measure.most_at_once()).min();
        self.batch.min(most.unwrap_or(usize::MAX)).max(1)
    }

    fn chunks(&self) -> usize {
        self.prompts.len().div_ceil(self.chunk_len())
    }

    /// The positions of a unit's prompts.
    fn chunk(&self, unit: usize) -> Range<usize> {
        let (len, chunk) = (self.chunk_len(), unit % self.chunks().max(1));
        chunk * len..self.prompts.len().min((chunk + 1) * len)
    }

    /// The batches in which prompts are encoded that hold one of these units', by the positions of their prompts.
    fn batches(&self, open: &[OpenUnit]) -> impl Iterator<Item = Range<usize>> {
        let mut needed = vec![false; self.prompts.len().div_ceil(self.batch)];
        for chunk in open.iter().map(|open| self.chunk(open.unit)).filter(|chunk| !chunk.is_empty()) {
            needed[chunk.start / self.batch..=(chunk.end - 1) / self.batch].fill(true);
        }
        let of = |at: usize| at * self.batch..self.prompts.len().min((at + 1) * self.batch);
        needed.into_iter().enumerate().filter(|(_, needed)| *needed).map(move |(at, _)| of(at))
    }

    /// Position of a unit's noise, its seed and its generation.
    fn noise_of(&self, unit: usize) -> (usize, u64, usize) {
        let noise = unit / self.chunks().max(1);
        (noise, self.noise.seeds[noise / self.noise.generations], noise % self.noise.generations)
    }

    /// The measures of a unit's parts.
    fn open_measures(&self, open: &OpenUnit) -> Vec<&PlannedMeasure> {
        let (_, seed, _) = self.noise_of(open.unit);
        self.under(seed).enumerate().filter(|(part, _)| open.parts.contains(part)).map(|(_, measure)| measure).collect()
    }
}

/// Splits requests into those under the empty prompt and those under a prompt.
fn by_prompt(requests: Vec<PredictionRequest>) -> (Vec<PredictionRequest>, Vec<PredictionRequest>) {
    requests.into_iter().partition(|request| matches!(request, PredictionRequest::Unconditional { .. }))
}

impl Task for MeasurementPlan {
    /// Chunks of prompts under the first noise, then under the next one.
    fn units(&self) -> usize {
        self.noise.seeds.len() * self.noise.generations * self.chunks()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let (_, seed, generation) = self.noise_of(unit);
        let part = |measure: &PlannedMeasure| {
            let numbers = |prompt| RecordId::Numbers {
                key: self.key(&measure.id, prompt, seed, generation),
                count: Some(measure.names.len()),
            };
            Part { records: self.chunk(unit).map(numbers).collect() }
        };
        self.under(seed).map(part).collect()
    }

    fn weight(&self, unit: usize) -> usize {
        self.chunk(unit).len()
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        let texts = |batch: Range<usize>| batch.map(|prompt| self.prompts.text(prompt).to_owned()).collect();
        self.batches(open).map(texts).collect()
    }

    fn prompts(&self, open: &[OpenUnit]) -> usize {
        self.batches(open).map(|batch| batch.len()).sum()
    }

    fn price(&self, open: &OpenUnit, shared: &mut SharedPredictions) -> Price {
        let measures = self.open_measures(open);
        let (empty, own) = by_prompt(Measures::requests(measures.iter().copied()));
        let prompts = self.weight(open.unit);
        // The prompts that are measured together, which are fewer than a batch where a measure takes long.
        let mut work = Workload { batch: self.chunk_len().min(self.prompts.len()), ..Workload::default() };
        let mut calls = Calls::default();
        calls.measuring.conditional_calls = prompts * own.len();
        work.add(Pass::Prediction, prompts * own.len(), SamplesPerCall::PerPrompt(1));
        let (unconditional, samples_per_call) = match self.noise.sharing {
            NoiseSharing::Shared => (shared.add(self.noise_of(open.unit).0, &empty), SamplesPerCall::Fixed(1)),
            NoiseSharing::PerPrompt => (prompts * empty.len(), SamplesPerCall::PerPrompt(1)),
        };
        calls.measuring.unconditional_calls = unconditional;
        work.add(Pass::Prediction, unconditional, samples_per_call);
        for planned in measures {
            let cost = calls.measuring.measures.entry(planned.id.clone()).or_default();
            cost.count += prompts;
            cost.own_calls += prompts * planned.measure.own_calls();
            for own in planned.measure.own() {
                work.add(own.pass, prompts * own.calls, own.samples_per_call);
            }
        }
        Price { calls, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        Ok(Box::new(Measuring { plan: self, session, drawn: None, shared: None }))
    }
}

/// Measurements under way.
struct Measuring<'s> {
    plan: &'s MeasurementPlan,
    session: &'s Session<'s>,
    /// The latents of the seed at hand, drawn once for all its generations.
    drawn: Option<(u64, Vec<Vec<f32>>)>,
    /// The noise that all prompts share, with its position.
    shared: Option<(usize, InitialNoise<'s>)>,
}

impl<'s> Measuring<'s> {
    fn noise(&mut self, seed: u64, generation: usize) -> Result<InitialNoise<'s>> {
        let known = self.drawn.take().filter(|(of, _)| *of == seed);
        let draw = || (seed, self.plan.noise.latents(seed, self.plan.model.latent_shape));
        let (_, latents) = self.drawn.insert(known.unwrap_or_else(draw));
        let x = latents[generation].clone();
        let empty = self.session.unconditional()?;
        Ok(InitialNoise::new(self.session.model(), empty, x, self.session.calls()))
    }

    /// One noise for all prompts of a unit, or one for each.
    fn noises(&mut self, unit: usize) -> Result<Vec<InitialNoise<'s>>> {
        let (position, seed, generation) = self.plan.noise_of(unit);
        match self.plan.noise.sharing {
            NoiseSharing::Shared => {
                if self.shared.as_ref().is_none_or(|(known, _)| *known != position) {
                    self.shared = Some((position, self.noise(seed, generation)?));
                }
                Ok(vec![])
            }
            NoiseSharing::PerPrompt => {
                let plan = self.plan;
                let of_prompt = |prompt| self.noise(plan.noise.seed_of(seed, plan.prompts.row(prompt)), generation);
                plan.chunk(unit).map(of_prompt).collect()
            }
        }
    }
}

impl Execute for Measuring<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let (plan, session) = (self.plan, self.session);
        let own = self.noises(open.unit)?;
        let (_, seed, generation) = plan.noise_of(open.unit);
        let (prompts, measures) = (plan.chunk(open.unit), plan.open_measures(open));
        let shared = self.shared.as_ref().map(|(_, noise)| noise);
        let embedding = |prompt| session.embedding(plan.prompts.text(prompt));
        let embeddings = prompts.clone().map(embedding).collect::<Result<Vec<_>>>()?;
        let generations = embeddings.iter().enumerate().map(|(i, embedding)| {
            let noise = own.get(i).or(shared).ok_or_else(|| Error::internal("a chunk of prompts has no noise"))?;
            Ok(noise.generation(embedding))
        });
        let generations: Vec<Generation> = generations.collect::<Result<_>>()?;

        let cost = &mut calls.measuring;
        let (unconditional, conditional) = (session.calls().unconditional(), session.calls().conditional());
        let clock = Instant::now();
        prefetch(session.model(), &generations, &Measures::requests(measures.iter().copied()), plan.batch)?;
        cost.network_seconds += clock.elapsed().as_secs_f64();
        let mut records = vec![];
        for PlannedMeasure { measure, id, names, .. } in measures {
            let (clock, asked) = (Instant::now(), session.samples());
            let values = measure.measure(&generations)?;
            let sum = cost.measures.entry(id.clone()).or_default();
            sum.count += generations.len();
            sum.own_calls += session.samples() - asked;
            sum.seconds += clock.elapsed().as_secs_f64();
            for (prompt, values) in prompts.clone().zip(values) {
                if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                    let quantity = names.get(i).unwrap_or(id).clone();
                    return Err(Error::NonFinite { quantity, prompt: plan.prompts.text(prompt).to_owned() });
                }
                records.push((plan.key(id, prompt, seed, generation), values));
            }
        }
        cost.unconditional_calls += session.calls().unconditional() - unconditional;
        cost.conditional_calls += session.calls().conditional() - conditional;
        Ok(records)
    }
}
