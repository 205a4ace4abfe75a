//! One prompt under one noise, and what the network said about it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use memscope_model::{LatentDiffusion, Prediction, PredictionInput, PromptEmbedding, Result};

use crate::measure::Ask;

/// Predictions by timestep, computed once.
#[derive(Debug, Default)]
struct Answers(Mutex<BTreeMap<usize, Arc<Prediction>>>);

impl Answers {
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

    fn count(&self, ask: Ask) {
        let counter = match ask {
            Ask::Unconditional { .. } => &self.unconditional,
            Ask::Conditional { .. } => &self.conditional,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A noise x_T with the empty prompt's predictions on it: shared by all prompts.
pub struct Start<'a> {
    model: &'a LatentDiffusion,
    empty: &'a PromptEmbedding,
    x: Vec<f32>,
    answers: Answers,
    calls: &'a NetworkCalls,
}

impl<'a> Start<'a> {
    /// `x`: flattened (C, H, W).
    pub fn new(model: &'a LatentDiffusion, empty: &'a PromptEmbedding, x: Vec<f32>, calls: &'a NetworkCalls) -> Self {
        Self { model, empty, x, answers: Answers::default(), calls }
    }

    /// A probe of `prompt` from this noise.
    pub fn probe(&'a self, prompt: &'a PromptEmbedding) -> Probe<'a> {
        Probe { start: self, prompt, answers: Answers::default() }
    }

    fn input(&self, t: usize) -> PredictionInput<'_> {
        PredictionInput { x: &self.x, t, prompt: self.empty }
    }
}

/// One prompt under one noise. Predictions are asked for when first needed; [`prefetch`] asks for many
/// probes in one batch.
pub struct Probe<'a> {
    start: &'a Start<'a>,
    prompt: &'a PromptEmbedding,
    answers: Answers,
}

impl<'a> Probe<'a> {
    /// x_T, flattened (C, H, W).
    pub fn x(&self) -> &'a [f32] {
        &self.start.x
    }

    /// Channels of the latent.
    pub fn channels(&self) -> usize {
        self.start.model.latent_shape().0
    }

    /// The model that is asked.
    pub fn model(&self) -> &'a LatentDiffusion {
        self.start.model
    }

    /// The prompt.
    pub fn prompt(&self) -> &'a PromptEmbedding {
        self.prompt
    }

    /// The empty prompt.
    pub fn empty(&self) -> &'a PromptEmbedding {
        self.start.empty
    }

    /// The prediction under the prompt.
    pub fn conditional(&self, t: usize) -> Result<Arc<Prediction>> {
        self.answer(Ask::Conditional { t })
    }

    /// The prediction under the empty prompt.
    pub fn unconditional(&self, t: usize) -> Result<Arc<Prediction>> {
        self.answer(Ask::Unconditional { t })
    }

    fn known(&self, ask: Ask) -> Option<Arc<Prediction>> {
        match ask {
            Ask::Unconditional { t } => self.start.answers.get(t),
            Ask::Conditional { t } => self.answers.get(t),
        }
    }

    fn keep(&self, ask: Ask, prediction: Prediction) -> Arc<Prediction> {
        self.start.calls.count(ask);
        match ask {
            Ask::Unconditional { t } => self.start.answers.insert(t, prediction),
            Ask::Conditional { t } => self.answers.insert(t, prediction),
        }
    }

    fn input(&self, ask: Ask) -> PredictionInput<'_> {
        match ask {
            Ask::Unconditional { t } => self.start.input(t),
            Ask::Conditional { t } => PredictionInput { x: self.x(), t, prompt: self.prompt },
        }
    }

    fn answer(&self, ask: Ask) -> Result<Arc<Prediction>> {
        if let Some(known) = self.known(ask) {
            return Ok(known);
        }
        let mut predictions = self.model().predict_batch(&[self.input(ask)])?;
        match predictions.pop() {
            Some(prediction) => Ok(self.keep(ask, prediction)),
            None => Err(memscope_model::Error::Argument("the network gave no answer".into())),
        }
    }
}

/// Asks the network what `probes` need and do not know yet, `batch` samples at a time.
///
/// Every batch holds one kind of question, so that an answer does not depend, by the rounding of matrix products, on
/// what else is asked. The empty prompt is asked once for all probes that share it.
pub fn prefetch(model: &LatentDiffusion, probes: &[Probe], asks: &[Ask], batch: usize) -> Result<()> {
    for &ask in asks {
        let mut starts = std::collections::BTreeSet::new();
        let first_of_start = |probe: &&Probe| match ask {
            Ask::Unconditional { .. } => starts.insert(std::ptr::from_ref(probe.start).addr()),
            Ask::Conditional { .. } => true,
        };
        let unknown: Vec<&Probe> =
            probes.iter().filter(|probe| probe.known(ask).is_none()).filter(first_of_start).collect();
        for chunk in unknown.chunks(batch.max(1)) {
            let inputs: Vec<PredictionInput> = chunk.iter().map(|probe| probe.input(ask)).collect();
            for (probe, prediction) in chunk.iter().zip(model.predict_batch(&inputs)?) {
                probe.keep(ask, prediction);
            }
        }
    }
    Ok(())
}
