//! A loaded model with what the units of one task share.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use memscope_metric::NetworkCalls;
use memscope_model::{LatentDiffusion, PromptEmbedding};
use memscope_results::Warning;

use super::Watch;
use crate::error::{Error, Result};

/// What the units of a task execute with: the model, the encoded prompts, and whoever watches.
pub struct Session<'s> {
    model: &'s LatentDiffusion,
    unconditional: OnceCell<PromptEmbedding>,
    /// The prompts of the slab at hand.
    embeddings: RefCell<HashMap<String, Rc<PromptEmbedding>>>,
    calls: NetworkCalls,
    progress: RefCell<Progress<'s>>,
}

struct Progress<'s> {
    watch: &'s mut dyn Watch,
    done: usize,
    total: usize,
}

impl<'s> Session<'s> {
    pub(crate) fn new(model: &'s LatentDiffusion, watch: &'s mut dyn Watch, (done, total): (usize, usize)) -> Self {
        let progress = RefCell::new(Progress { watch, done, total });
        let (unconditional, calls) = (OnceCell::new(), NetworkCalls::default());
        Self { model, unconditional, embeddings: RefCell::default(), calls, progress }
    }

    /// Forgets the prompts at hand, encodes these, batch by batch, and gives the text encoders' memory back. The empty
    /// prompt is encoded before the first ones.
    pub(crate) fn encode(&self, batches: &[Vec<String>]) -> Result<()> {
        self.embeddings.borrow_mut().clear();
        if !batches.is_empty() && self.unconditional.get().is_none() {
            // Nothing was there, so it is kept.
            let _ = self.unconditional.set(self.model.encode_unconditional()?);
        }
        for texts in batches {
            if self.stop_requested() {
                return Err(Error::Stopped);
            }
            let encoded = self.model.encode_prompts(texts)?.into_iter().map(Rc::new);
            self.embeddings.borrow_mut().extend(texts.iter().cloned().zip(encoded));
        }
        self.model.release_text_encoders();
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &'s LatentDiffusion {
        self.model
    }

    /// The network calls (samples) that predictions shared by measures have taken.
    pub fn calls(&self) -> &NetworkCalls {
        &self.calls
    }

    /// The network calls (samples) of all kinds that the model has made so far, as the model counts them.
    pub fn samples(&self) -> usize {
        self.model.predicted_samples()
    }

    /// A prompt that the units at hand were said to need.
    ///
    /// # Errors
    /// When it was not.
    pub fn embedding(&self, prompt: &str) -> Result<Rc<PromptEmbedding>> {
        let known = self.embeddings.borrow().get(prompt).cloned();
        known.ok_or_else(|| Error::internal("a prompt was not encoded"))
    }

    /// What stands for the prompt in unconditional predictions.
    ///
    /// # Errors
    /// When the task needs no prompts.
    pub fn unconditional(&self) -> Result<&PromptEmbedding> {
        self.unconditional.get().ok_or_else(|| Error::internal("the empty prompt was not encoded"))
    }

    /// Whether the user wants to stop.
    pub fn stop_requested(&self) -> bool {
        self.progress.borrow().watch.stop_requested()
    }

    /// Shows that so much of the unit at hand is done.
    pub fn advance(&self, of_unit: usize) {
        let progress = &mut *self.progress.borrow_mut();
        progress.watch.progress(progress.done + of_unit, progress.total);
    }

    /// Shows that a unit of this weight is done.
    pub(crate) fn finish(&self, weight: usize) {
        self.progress.borrow_mut().done += weight;
        self.advance(0);
    }
}

/// A warning for each prompt that is longer than the model reads.
pub(crate) fn truncation_warnings<'p>(model: &LatentDiffusion, prompts: impl Iterator<Item = &'p str>) -> Vec<Warning> {
    let cut = |prompt: &str| {
        let cut = model.tokenizer().encode(prompt).cut?;
        Some(Warning::TruncatedPrompt { prompt: prompt.to_owned(), cut })
    };
    prompts.filter_map(cut).collect()
}
