//! A loaded model with what the units of one task share.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use memscope_metric::NetworkCalls;
use memscope_model::{LatentDiffusion, PromptEmbedding};

use super::Watch;
use crate::{
    error::{Error, Result},
    warning::Warning,
};

/// What the units of a task execute with: the model, the encoded prompts, and whoever watches.
pub struct Session<'s> {
    model: &'s LatentDiffusion,
    /// The empty prompt, which all units share.
    empty: OnceCell<Rc<PromptEmbedding>>,
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
        let (empty, embeddings, calls) = (OnceCell::new(), RefCell::default(), NetworkCalls::default());
        Self { model, empty, embeddings, calls, progress }
    }

    /// Forgets the prompts at hand, encodes these, batch by batch, and gives the text encoder's memory back. A batch of
    /// the empty prompt alone is encoded the first time only.
    pub(crate) fn encode(&self, batches: &[Vec<String>]) -> Result<()> {
        self.embeddings.borrow_mut().clear();
        for texts in batches {
            if self.stop_requested() {
                return Err(Error::Stopped);
            }
            if self.empty.get().is_some() && is_empty_prompt(texts) {
                continue;
            }
            for (text, embedding) in texts.iter().zip(self.model.encode_prompts(texts)?) {
                if text.is_empty() {
                    // The first one counts.
                    let _ = self.empty.set(Rc::new(embedding));
                } else {
                    self.embeddings.borrow_mut().insert(text.clone(), Rc::new(embedding));
                }
            }
        }
        self.model.release_text_encoder();
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

    /// The empty prompt.
    ///
    /// # Errors
    /// When the task did not say that it needs it.
    pub fn empty(&self) -> Result<&PromptEmbedding> {
        self.empty.get().map(Rc::as_ref).ok_or_else(|| Error::internal("the empty prompt was not encoded"))
    }

    /// A prompt that the units at hand were said to need.
    ///
    /// # Errors
    /// When it was not.
    pub fn embedding(&self, prompt: &str) -> Result<Rc<PromptEmbedding>> {
        let known = match prompt {
            "" => self.empty.get().cloned(),
            _ => self.embeddings.borrow().get(prompt).cloned(),
        };
        known.ok_or_else(|| Error::internal("a prompt was not encoded"))
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

/// Whether a batch is the empty prompt alone.
pub(crate) fn is_empty_prompt(batch: &[String]) -> bool {
    matches!(batch, [text] if text.is_empty())
}

/// A warning for each prompt that is longer than the model reads.
pub(crate) fn truncation_warnings<'p>(model: &LatentDiffusion, prompts: impl Iterator<Item = &'p str>) -> Vec<Warning> {
    let cut = |prompt: &str| {
        let cut = model.tokenizer().encode(prompt).cut?;
        Some(Warning::TruncatedPrompt { prompt: prompt.to_owned(), cut })
    };
    prompts.filter_map(cut).collect()
}
