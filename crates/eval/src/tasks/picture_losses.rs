//! How well a model denoises given pictures: the losses of training at fixed timesteps and noises that all pictures share
//! (docs/spec/audit.md §2). A unit is one picture with its caption.

use std::{path::PathBuf, sync::Arc};

use memscope_judges::{Filter, Fit, Picture, Preprocessing};
use memscope_model::{
    NoiseGenerator, NoisePrecision, PredictionInput,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};
use memscope_results::MeasureCost;

use super::TrainingPicture;
use crate::{
    error::{Error, Result},
    store::{Key, MeasurementStore, RecordId},
    task::{Calls, Execute, ModelIdentity, OpenUnit, Part, Price, Session, SharedPredictions, Task},
};

/// Name of the measure in costs and messages.
const MEASURE: &str = "picture_loss";

/// A picture with its caption.
#[derive(Clone, Debug)]
pub struct CaptionedPicture {
    /// The caption.
    pub prompt: Arc<str>,
    /// The picture.
    pub picture: LossPicture,
}

/// A picture whose losses are asked for.
#[derive(Clone, Debug)]
pub enum LossPicture {
    /// One that is there.
    Given(TrainingPicture),
    /// One that a model draws before; the second part says what determines it.
    Drawn(PathBuf, String),
}

impl LossPicture {
    /// What determines it.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Given(picture) => picture.hash(),
            Self::Drawn(_, id) => id,
        }
    }

    pub(crate) fn open(&self) -> Result<Picture> {
        match self {
            Self::Given(picture) => picture.open(),
            Self::Drawn(path, _) => Ok(Picture::open(path)?),
        }
    }
}

/// The timesteps and noises at which losses are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossNoise {
    /// Generator of the noises.
    pub generator: NoiseGenerator,
    /// Their seed.
    pub seed: u64,
    /// Timesteps.
    pub timesteps: Vec<usize>,
    /// Noises at each timestep, the same at all of them.
    pub noises: usize,
}

impl LossNoise {
    /// Ten timesteps from 50 to 950 and four noises: what pictures of a training set are judged by.
    pub fn of_training_pictures(generator: NoiseGenerator, seed: u64) -> Self {
        Self { generator, seed, timesteps: (0..10).map(|i| 50 + 100 * i).collect(), noises: 4 }
    }

    /// Five timesteps from 100 to 900 and one noise: what a model's own pictures are judged by.
    pub fn of_drawn_pictures(generator: NoiseGenerator, seed: u64) -> Self {
        Self { generator, seed, timesteps: (0..5).map(|i| 100 + 200 * i).collect(), noises: 1 }
    }

    /// Losses of each picture.
    pub fn count(&self) -> usize {
        self.timesteps.len() * self.noises
    }

    /// What determines the losses of a picture beside the model, the picture and its caption.
    fn id(&self, shape: (usize, usize, usize)) -> String {
        let timesteps: Vec<String> = self.timesteps.iter().map(ToString::to_string).collect();
        let together = match self.generator.depends_on_generations(shape) {
            true => self.noises.to_string(),
            false => "any".to_owned(),
        };
        let (generator, seed, noises) = (self.generator, self.seed, self.noises);
        format!("{generator}/{together}/seed={seed}/noises={noises}/t={}", timesteps.join(","))
    }
}

/// The losses of captioned pictures under one model.
pub struct PictureLosses {
    /// The model.
    pub model: ModelIdentity,
    /// The pictures.
    pub pictures: Vec<CaptionedPicture>,
    /// Timesteps and noises.
    pub noise: LossNoise,
    /// Samples per network call.
    pub batch: usize,
}

impl PictureLosses {
    fn key(&self, unit: usize) -> Key {
        let CaptionedPicture { prompt, picture } = &self.pictures[unit];
        let noise = self.noise.id(self.model.latent_shape);
        Key::new(&[MEASURE, &self.model.fingerprint, &self.model.arithmetic, &noise, picture.id(), prompt])
    }

    /// The mean over timesteps and noises of the natural logarithm of a picture's loss; `None` where it was not measured.
    pub fn mean_log_loss(&self, unit: usize, store: &MeasurementStore) -> Option<f64> {
        let losses = store.get(&self.key(unit))?;
        Some(losses.iter().map(|loss| loss.ln()).sum::<f64>() / losses.len() as f64)
    }

    /// The losses of a picture, noise by noise at each timestep; `None` where they were not measured.
    pub fn losses(&self, unit: usize, store: &MeasurementStore) -> Option<Vec<f64>> {
        store.get(&self.key(unit)).map(|losses| losses.to_vec())
    }

    fn calls(&self, units: usize) -> Calls {
        let cost = MeasureCost { count: units, own_calls: units * self.noise.count(), seconds: 0.0 };
        let mut calls = Calls::default();
        calls.measuring.measures.insert(MEASURE.to_owned(), cost);
        calls
    }
}

impl Task for PictureLosses {
    fn units(&self) -> usize {
        self.pictures.len()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        vec![Part { records: vec![RecordId::Numbers { key: self.key(unit), count: Some(self.noise.count()) }] }]
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        let mut prompts: Vec<&Arc<str>> = open.iter().map(|open| &self.pictures[open.unit].prompt).collect();
        prompts.dedup();
        prompts.into_iter().map(|prompt| vec![prompt.to_string()]).collect()
    }

    fn price(&self, _: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let calls = self.calls(1);
        let mut work = Workload { encodings: 1, batch: 1, ..Workload::default() };
        work.add(Pass::Prediction, self.noise.count(), SamplesPerCall::Fixed(self.batch.max(1)));
        Price { calls, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        let LossNoise { generator, seed, noises, .. } = self.noise;
        let shape = self.model.latent_shape;
        let noise = initial_latents(generator, NoisePrecision::F32, seed, noises, shape);
        let noises = noise.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect();
        let model = session.model();
        let Some(size) = model.picture_size() else {
            // Says why there is none.
            model.vae()?;
            return Err(Error::internal("a model with a VAE has no size of pictures"));
        };
        Ok(Box::new(Denoising { task: self, session, noises, size }))
    }
}

struct Denoising<'s> {
    task: &'s PictureLosses,
    session: &'s Session<'s>,
    noises: Vec<Vec<f32>>,
    /// Side of the pictures in pixels.
    size: usize,
}

/// Pixels in [−1, 1], (3, S, S): the short side to S as torchvision's `Resize` does, then the middle, as fine-tuning scripts
/// prepare pictures.
fn pixels(picture: &Picture, size: usize) -> Vec<f32> {
    let (mean, std) = ([0.5; 3], [0.5; 3]);
    Preprocessing { size, fit: Fit::CropFrom(size), filter: Filter::Bilinear, mean, std }.apply(picture)
}

impl Execute for Denoising<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let (task, model) = (self.task, self.session.model());
        let CaptionedPicture { prompt, picture } = &task.pictures[open.unit];
        let embedding = self.session.embedding(prompt)?;
        let latent = model.encode_image(pixels(&picture.open()?, self.size))?;
        let mut inputs = vec![];
        for &t in &task.noise.timesteps {
            let scales = model.schedule().scales(t)?;
            for noise in &self.noises {
                let mix = |(x, e): (&f32, &f32)| (scales.a * f64::from(*x) + scales.s * f64::from(*e)) as f32;
                inputs.push((t, latent.iter().zip(noise).map(mix).collect::<Vec<f32>>(), noise));
            }
        }
        let mut losses = Vec::with_capacity(inputs.len());
        for chunk in inputs.chunks(task.batch.max(1)) {
            let asked: Vec<PredictionInput> =
                chunk.iter().map(|(t, x, _)| PredictionInput { x, t: *t, prompt: &embedding }).collect();
            for (prediction, (_, x, noise)) in model.predict_batch(&asked)?.iter().zip(chunk) {
                let errors = prediction.epsilon(x).into_iter().zip(noise.iter());
                let squares: f64 = errors.map(|(found, true_noise)| (found - f64::from(*true_noise)).powi(2)).sum();
                losses.push(squares / noise.len() as f64);
            }
        }
        // A loss of 0 has no logarithm.
        if losses.iter().any(|loss| !loss.is_finite() || *loss <= 0.0) {
            return Err(Error::NonFinite { quantity: "the logarithm of a loss".into(), prompt: prompt.to_string() });
        }
        calls.add(task.calls(1));
        Ok(vec![(task.key(open.unit), losses)])
    }
}
