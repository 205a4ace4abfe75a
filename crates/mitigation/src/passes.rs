//! Passes through the network of a batch of latents under one prompt, ready for gradients.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use candle_core::{DType, Tensor};
use memscope_model::{LatentDiffusion, Prediction, PredictionInput, PromptBatch, PromptEmbedding, unet::Trace};

use crate::error::{Error, Result};

/// Traced predictions of a batch of latents at one timestep under one prompt. A gradient gives up what they have kept.
#[derive(Clone)]
pub(crate) struct Traced<'m> {
    model: &'m LatentDiffusion,
    parts: Vec<(Range<usize>, Trace<'m>)>,
    predictions: Vec<Prediction>,
}

/// The predictions for latents at a timestep under a prompt.
pub(crate) fn predict(
    model: &LatentDiffusion,
    latents: &[Vec<f32>],
    t: usize,
    prompt: &PromptEmbedding,
) -> Result<Vec<Prediction>> {
    let inputs: Vec<PredictionInput> = latents.iter().map(|x| PredictionInput { x, t, prompt }).collect();
    Ok(model.predict_batch(&inputs)?)
}

impl<'m> Traced<'m> {
    /// Runs the network and keeps what gradients need.
    pub(crate) fn new(
        model: &'m LatentDiffusion,
        latents: &[Vec<f32>],
        t: usize,
        prompt: &PromptEmbedding,
    ) -> Result<Self> {
        let parts = model.in_parts(latents.len(), |range| {
            let x = model.latents(latents[range.clone()].concat())?;
            let prompts = PromptBatch::of(&vec![prompt; range.len()])?;
            let trace = model.trace(&x, &vec![t; range.len()], &prompts)?;
            Ok((range, trace))
        })?;
        let (schedule, mut predictions) = (model.schedule(), vec![]);
        let (scales, parameterization) = (schedule.scales(t)?, schedule.parameterization());
        for (_, trace) in &parts {
            let outputs = LatentDiffusion::rows(trace.output())?;
            predictions.extend(outputs.into_iter().map(|output| Prediction { output, parameterization, scales }));
        }
        Ok(Self { model, parts, predictions })
    }

    /// The predictions; NaN is not refused.
    pub(crate) fn predictions(&self) -> &[Prediction] {
        &self.predictions
    }

    /// Whether all predictions are finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.predictions.iter().all(|prediction| prediction.output.iter().all(|x| x.is_finite()))
    }

    fn each<R: Send>(
        self,
        cotangents: &[Vec<f32>],
        gradient: impl Fn(Trace, &Tensor) -> memscope_model::Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let traces: Vec<(Range<usize>, Mutex<Option<Trace>>)> =
            self.parts.into_iter().map(|(range, trace)| (range, Mutex::new(Some(trace)))).collect();
        let take = |range: &Range<usize>| {
            let (_, trace) = traces.iter().find(|(known, _)| known == range)?;
            trace.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        Ok(self.model.in_parts(self.predictions.len(), |range| {
            let trace = take(&range).ok_or_else(|| {
                memscope_model::Error::Argument("a batch was cut into other parts than before".into())
            })?;
            gradient(trace, &self.model.latents(cotangents[range].concat())?)
        })?)
    }

    /// The gradient in the prompt's embedding, summed over latents: L·W numbers. `cotangents`: the loss's gradient in each
    /// output, flattened (C, H, W).
    pub(crate) fn context_gradient(self, cotangents: &[Vec<f32>]) -> Result<Vec<f32>> {
        let parts = self.each(cotangents, |trace, cotangent| {
            Ok(trace.vjp_context(cotangent)?.to_dtype(DType::F32)?.sum(0)?.flatten_all()?.to_vec1::<f32>()?)
        })?;
        let sum = parts.into_iter().reduce(|mut sum, part| {
            sum.iter_mut().zip(part).for_each(|(sum, g)| *sum += g);
            sum
        });
        sum.ok_or_else(|| Error::Model(memscope_model::Error::Argument("a batch without latents".into())))
    }

    /// The gradient in each latent, flattened (C, H, W).
    pub(crate) fn latent_gradient(self, cotangents: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let parts = self.each(cotangents, |trace, cotangent| LatentDiffusion::rows(&trace.vjp(cotangent)?.x))?;
        Ok(parts.concat())
    }
}
