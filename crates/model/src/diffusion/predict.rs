//! Predictions of a loaded model.

use std::{ops::Range, sync::atomic::Ordering};

use candle_core::Tensor;
use memscope_kernels::{Value, parts};

use super::LatentDiffusion;
use crate::{
    cost::steps_to_keep,
    error::{Error, Result},
    prediction::Prediction,
    prompt::{PromptBatch, PromptEmbedding},
    unet::{AttentionObserver, Keep, Trace, TraceMemory},
};

/// What the network is given for one prediction: a latent, its timestep and a prompt.
#[derive(Clone, Copy, Debug)]
pub struct PredictionInput<'a> {
    /// Latent, flattened (C, H, W).
    pub x: &'a [f32],
    /// Timestep.
    pub t: usize,
    /// Prompt embedding.
    pub prompt: &'a PromptEmbedding,
}

impl PredictionInput<'_> {
    fn shares_latent(&self, other: &Self) -> bool {
        self.t == other.t && self.x == other.x
    }
}

/// How a batch is split.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchSplit {
    /// Small parts in parallel, one core each: a small network spends less on an operation than on sharing it.
    ParallelParts,
    /// One sample after the other, all cores on each operation: the memory of a large network is that of one sample.
    SingleSamples,
    /// Not at all: a GPU is fastest with the whole batch.
    WholeBatch,
}

impl LatentDiffusion {
    /// Splits a batch of `samples` into parts as suits network and device, and returns `f` of each part, in order.
    ///
    /// # Errors
    ///
    /// The first error of `f`.
    pub fn in_parts<R: Send>(&self, samples: usize, f: impl Fn(Range<usize>) -> Result<R> + Sync) -> Result<Vec<R>> {
        match self.batch_split() {
            _ if samples == 0 => Ok(vec![]),
            BatchSplit::ParallelParts => parts::map(samples, f),
            BatchSplit::SingleSamples => (0..samples).map(|i| f(i..i + 1)).collect(),
            BatchSplit::WholeBatch => Ok(vec![f(0..samples)?]),
        }
    }

    pub(super) fn batch_split(&self) -> BatchSplit {
        match self.blueprint.is_small() {
            _ if !self.place.device.is_cpu() => BatchSplit::WholeBatch,
            true => BatchSplit::ParallelParts,
            false => BatchSplit::SingleSamples,
        }
    }

    /// How many samples the UNet has been asked for since the model was loaded: a batch of 32 counts 32, and a pass with a
    /// tangent or a gradient counts as one of its values.
    pub fn predicted_samples(&self) -> usize {
        self.predicted.load(Ordering::Relaxed)
    }

    /// Counts the samples of a network call.
    pub(super) fn count(&self, samples: usize) {
        self.predicted.fetch_add(samples, Ordering::Relaxed);
    }

    /// The network's raw output (ε or v), see [`UNet::forward`](crate::UNet::forward) for the shapes. Prompts of
    /// [`Self::encode_prompts`] make a batch with [`PromptBatch::of`]. For derivatives give a `Var` or a `Dual`, or see
    /// [`Self::trace`].
    ///
    /// # Errors
    ///
    /// As [`UNet::forward`](crate::UNet::forward).
    pub fn predict<V: Value>(
        &self,
        x: &V,
        timesteps: &[usize],
        prompts: impl Into<PromptBatch<V>>,
        observer: Option<&mut dyn AttentionObserver>,
    ) -> Result<V> {
        let prompts = prompts.into();
        self.count(prompts.context.primal().dim(0)?);
        self.unet.forward(x, timesteps, prompts, observer)
    }

    /// The network's raw output, ready for reverse mode, see [`UNet::trace`](crate::UNet::trace). What the memory that was
    /// free when the model was loaded has room for ([`Blueprint::trace_memory`](crate::Blueprint::trace_memory)), beside other
    /// traces that are alive, is kept for the way back.
    ///
    /// # Errors
    ///
    /// As [`UNet::trace`](crate::UNet::trace).
    pub fn trace(&self, x: &Tensor, timesteps: &[usize], prompts: impl Into<PromptBatch>) -> Result<Trace<'_>> {
        let prompts = prompts.into();
        self.count(prompts.context.dim(0)?);
        self.trace_within(x, timesteps, prompts, &self.trace_memory)
    }

    /// The same with other memory for what is kept: at most `bytes`, whatever other traces keep.
    ///
    /// # Errors
    ///
    /// As [`UNet::trace`](crate::UNet::trace).
    pub fn trace_keeping(
        &self,
        x: &Tensor,
        timesteps: &[usize],
        prompts: impl Into<PromptBatch>,
        bytes: u64,
    ) -> Result<Trace<'_>> {
        let prompts = prompts.into();
        self.count(prompts.context.dim(0)?);
        self.trace_within(x, timesteps, prompts, &TraceMemory::new(bytes))
    }

    pub(super) fn trace_within(
        &self,
        x: &Tensor,
        timesteps: &[usize],
        prompts: PromptBatch,
        memory: &TraceMemory,
    ) -> Result<Trace<'_>> {
        let ((_, _, height, width), (samples, tokens, _)) = (x.dims4()?, prompts.context.dims3()?);
        let costs = self.blueprint.step_costs(samples, (height, width), tokens, x.dtype());
        let (steps, lease) = memory.lend(|left| {
            let kept = steps_to_keep(&costs, left);
            (kept.steps, kept.bytes)
        });
        self.unet.trace(x, timesteps, prompts, Keep::some(steps, lease))
    }

    /// The predictions for a batch of inputs, in order.
    ///
    /// # Errors
    ///
    /// When a prediction holds NaN or infinity, a timestep is not one of the schedule, a latent has another size than
    /// [`Self::latent_shape`], or an operation fails.
    pub fn predict_batch(&self, inputs: &[PredictionInput]) -> Result<Vec<Prediction>> {
        if self.batch_split() == BatchSplit::SingleSamples {
            return self.predict_one_by_one(inputs);
        }
        Ok(self.in_parts(inputs.len(), |range| self.predict_part(&inputs[range]))?.concat())
    }

    /// What comes before the first cross-attention is computed once for adjacent inputs that share latent and timestep.
    fn predict_one_by_one(&self, inputs: &[PredictionInput]) -> Result<Vec<Prediction>> {
        let mut predictions = Vec::with_capacity(inputs.len());
        for run in inputs.chunk_by(PredictionInput::shares_latent) {
            let prepared = self.unet.prepare(&self.latents(run[0].x.to_vec())?, &[run[0].t])?;
            for input in run {
                self.count(1);
                let output = prepared.forward(PromptBatch::of(&[input.prompt])?, None)?;
                predictions.extend(self.predictions(&output, std::slice::from_ref(input))?);
            }
        }
        Ok(predictions)
    }

    fn predict_part(&self, inputs: &[PredictionInput]) -> Result<Vec<Prediction>> {
        let is_shared = inputs.windows(2).all(|pair| pair[0].shares_latent(&pair[1]));
        let of_latents = if is_shared { &inputs[..inputs.len().min(1)] } else { inputs };
        let x = self.latents(of_latents.iter().flat_map(|input| input.x.iter().copied()).collect())?;
        let timesteps: Vec<usize> = of_latents.iter().map(|input| input.t).collect();
        let prompts: Vec<&PromptEmbedding> = inputs.iter().map(|input| input.prompt).collect();
        self.predictions(&self.predict(&x, &timesteps, PromptBatch::of(&prompts)?, None)?, inputs)
    }

    /// The predictions for inputs whose first token's logits are multiplied in every cross-attention, by `factors[i]` for
    /// input i. Prompt embeddings may be shorter than those of the text encoder, all alike: what is cut off is masked out
    /// (docs/spec/mitigation.md §4).
    ///
    /// # Errors
    ///
    /// As [`Self::predict_batch`], and when there is not one factor for each input.
    pub fn predict_rescaled(&self, inputs: &[PredictionInput], factors: &[f32]) -> Result<Vec<Prediction>> {
        if factors.len() != inputs.len() {
            return Err(Error::Argument(format!("{} factors and {} inputs do not fit", factors.len(), inputs.len())));
        }
        let parts = self.in_parts(inputs.len(), |range| {
            let (inputs, factors) = (&inputs[range.clone()], &factors[range]);
            let x = self.latents(inputs.iter().flat_map(|input| input.x.iter().copied()).collect())?;
            let timesteps: Vec<usize> = inputs.iter().map(|input| input.t).collect();
            let prompts: Vec<&PromptEmbedding> = inputs.iter().map(|input| input.prompt).collect();
            let prompts = PromptBatch::of(&prompts)?;
            self.count(prompts.context.dim(0)?);
            let output = self.unet.prepare(&x, &timesteps)?.forward_rescaled(&prompts, factors)?;
            self.predictions(&output, inputs)
        })?;
        Ok(parts.concat())
    }

    fn predictions(&self, output: &Tensor, inputs: &[PredictionInput]) -> Result<Vec<Prediction>> {
        Self::rows(output)?
            .into_iter()
            .zip(inputs)
            .map(|(output, PredictionInput { t, .. })| {
                if output.iter().any(|x| !x.is_finite()) {
                    return Err(Error::NonFiniteOutput {
                        what: format!("the prediction of {} at t = {t}", self.source()),
                    });
                }
                let schedule = self.schedule();
                let (scales, parameterization) = (schedule.scales(*t)?, schedule.parameterization());
                Ok(Prediction { output, parameterization, scales })
            })
            .collect()
    }
}
