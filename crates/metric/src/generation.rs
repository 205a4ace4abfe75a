//! One prompt under one noise, and what the network said about it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use memscope_model::{LatentDiffusion, Prediction, PredictionInput, PromptEmbedding, Result};

use crate::request::PredictionRequest;

/// Predictions by timestep, computed once.
#[derive(Debug, Default)]
struct Predictions(Mutex<BTreeMap<usize, Arc<Prediction>>>);

impl Predictions {
    fn get(&self, t: usize) -> Option<Arc<Prediction>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&t).cloned()
    }

    fn insert(&self, t: usize, prediction: Prediction) -> Arc<Prediction> {
        let prediction = Arc::new(prediction);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(t, prediction.clone());
        prediction
    }
}

/// How often the network was asked, in samples (a batch of 32 counts 32).
#[derive(Debug, Default)]
pub struct NetworkCalls {
    unconditional: AtomicUsize,
    conditional: AtomicUsize,
}

impl NetworkCalls {
    /// Predictions under the empty prompt.
    pub fn unconditional(&self) -> usize {
        self.unconditional.load(Ordering::Relaxed)
    }

    /// Predictions under a prompt.
    pub fn conditional(&self) -> usize {
        self.conditional.load(Ordering::Relaxed)
    }

    fn count(&self, request: PredictionRequest) {
        let counter = match request {
            PredictionRequest::Unconditional { .. } => &self.unconditional,
            PredictionRequest::Conditional { .. } => &self.conditional,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A noise x_T with the empty prompt's predictions on it: shared by all prompts.
pub struct InitialNoise<'a> {
    model: &'a LatentDiffusion,
    empty: &'a PromptEmbedding,
    x: Vec<f32>,
    predictions: Predictions,
    calls: &'a NetworkCalls,
}

impl<'a> InitialNoise<'a> {
    /// `x`: flattened (C, H, W).
    pub fn new(model: &'a LatentDiffusion, empty: &'a PromptEmbedding, x: Vec<f32>, calls: &'a NetworkCalls) -> Self {
        Self { model, empty, x, predictions: Predictions::default(), calls }
    }

    /// A generation of `prompt` from this noise.
    pub fn generation(&'a self, prompt: &'a PromptEmbedding) -> Generation<'a> {
        Generation { noise: self, prompt, predictions: Predictions::default() }
    }

    fn input(&self, t: usize) -> PredictionInput<'_> {
        PredictionInput { x: &self.x, t, prompt: self.empty }
    }
}

/// One prompt under one noise. Predictions are asked for when first needed; [`prefetch`] asks for many
/// generations in one batch.
pub struct Generation<'a> {
    noise: &'a InitialNoise<'a>,
    prompt: &'a PromptEmbedding,
    predictions: Predictions,
}

impl<'a> Generation<'a> {
    /// x_T, flattened (C, H, W).
    pub fn x(&self) -> &'a [f32] {
        &self.noise.x
    }

    /// Channels of the latent.
    pub fn channels(&self) -> usize {
        self.noise.model.latent_shape().0
    }

    /// The model that is asked.
    pub fn model(&self) -> &'a LatentDiffusion {
        self.noise.model
    }

    /// The prompt.
    pub fn prompt(&self) -> &'a PromptEmbedding {
        self.prompt
    }

    /// The empty prompt.
    pub fn empty(&self) -> &'a PromptEmbedding {
        self.noise.empty
    }

    /// The prediction under the prompt.
    ///
    /// # Errors
    /// The network fails, or its output is not finite.
    pub fn conditional(&self, t: usize) -> Result<Arc<Prediction>> {
        self.predict(PredictionRequest::Conditional { t })
    }

    /// The prediction under the empty prompt.
    ///
    /// # Errors
    /// The network fails, or its output is not finite.
    pub fn unconditional(&self, t: usize) -> Result<Arc<Prediction>> {
        self.predict(PredictionRequest::Unconditional { t })
    }

    fn known(&self, request: PredictionRequest) -> Option<Arc<Prediction>> {
        match request {
            PredictionRequest::Unconditional { t } => self.noise.predictions.get(t),
            PredictionRequest::Conditional { t } => self.predictions.get(t),
        }
    }

    fn keep(&self, request: PredictionRequest, prediction: Prediction) -> Arc<Prediction> {
        self.noise.calls.count(request);
        match request {
            PredictionRequest::Unconditional { t } => self.noise.predictions.insert(t, prediction),
            PredictionRequest::Conditional { t } => self.predictions.insert(t, prediction),
        }
    }

    fn input(&self, request: PredictionRequest) -> PredictionInput<'_> {
        match request {
            PredictionRequest::Unconditional { t } => self.noise.input(t),
            PredictionRequest::Conditional { t } => PredictionInput { x: self.x(), t, prompt: self.prompt },
        }
    }

    fn predict(&self, request: PredictionRequest) -> Result<Arc<Prediction>> {
        if let Some(known) = self.known(request) {
            return Ok(known);
        }
        let mut predictions = self.model().predict_batch(&[self.input(request)])?;
        match predictions.pop() {
            Some(prediction) => Ok(self.keep(request, prediction)),
            None => Err(memscope_model::Error::Argument("the network gave no prediction".into())),
        }
    }
}

/// Asks the network what `generations` need and do not know yet, `batch` samples at a time.
///
/// Every batch holds one kind of request, so that a prediction does not depend, by the rounding of matrix products, on
/// what else is requested. The empty prompt is asked once for all generations that share it.
///
/// # Errors
/// The network fails, or its output is not finite.
pub fn prefetch(
    model: &LatentDiffusion,
    generations: &[Generation],
    requests: &[PredictionRequest],
    batch: usize,
) -> Result<()> {
    for &request in requests {
        let mut noises = std::collections::BTreeSet::new();
        let first_of_noise = |generation: &&Generation| match request {
            PredictionRequest::Unconditional { .. } => noises.insert(std::ptr::from_ref(generation.noise).addr()),
            PredictionRequest::Conditional { .. } => true,
        };
        let unknown: Vec<&Generation> = generations
            .iter()
            .filter(|generation| generation.known(request).is_none())
            .filter(first_of_noise)
            .collect();
        for chunk in unknown.chunks(batch.max(1)) {
            let inputs: Vec<PredictionInput> = chunk.iter().map(|generation| generation.input(request)).collect();
            for (generation, prediction) in chunk.iter().zip(model.predict_batch(&inputs)?) {
                generation.keep(request, prediction);
            }
        }
    }
    Ok(())
}
