//! The network as a list of steps, each a pure function of what arrives, a skip connection, the timestep and the prompt.

use candle_core::Tensor;
use memscope_kernels::{
    Value,
    ops::{Activation, Conv2d, Norm, sum_pool_2x, upsample_nearest_2x},
};

use super::{
    observer::Observe,
    plan::Skip,
    resnet::ResNet,
    spread,
    transformer::{BeforePrompt, Transformer},
};
use crate::error::Result;

/// One step.
pub(super) struct Step {
    pub(super) body: Body,
    pub(super) skip: Skip,
}

/// What a step computes.
pub(super) enum Body {
    /// The first convolution, or one that halves height and width.
    Convolution(Conv2d),
    /// A ResNet, and a transformer where the level has attention.
    Layer(Box<ResNet>, Option<Transformer>),
    /// Doubles height and width.
    Upsample(Conv2d),
    /// From the channels of the first level to those of the prediction.
    Out(Norm, Conv2d),
}

impl Step {
    /// Whether its result depends on the prompt other than through what arrives.
    pub(super) fn attends(&self) -> bool {
        matches!(self.body, Body::Layer(_, Some(_)))
    }

    /// Whether its result depends on the timestep other than through what arrives.
    pub(super) fn needs_time(&self) -> bool {
        matches!(self.body, Body::Layer(..))
    }

    /// `h: (B or 1, C, H, W)`, `skip: (B or 1, C', H, W)`, `time: (B or 1, T)`, `context: (B, L, W)`. Takes `h` and
    /// `skip` away from the caller, so that they are freed as soon as they are used.
    pub(super) fn forward<V: Value>(
        &self,
        mut h: V,
        skip: Option<V>,
        time: &Tensor,
        context: &V,
        observe: &mut Observe,
    ) -> Result<V> {
        if let Some(skip) = skip {
            h = h.concat_channels(&spread(&skip, context.primal().dim(0)?)?)?;
        }
        match self.before_prompt(h, time)? {
            Progress::Done(h) => Ok(h),
            Progress::NeedsPrompt(transformer, state) => transformer.with_prompt(state, context, observe),
        }
    }

    /// What the step does without a prompt: all of it, or what comes before the cross-attention. One latent under several
    /// added conditions, which come with the time, becomes as many.
    pub(super) fn before_prompt<V: Value>(&self, mut h: V, time: &Tensor) -> Result<Progress<'_, V>> {
        if self.needs_time() && time.dim(0)? > 1 {
            h = spread(&h, time.dim(0)?)?;
        }
        Ok(Progress::Done(match &self.body {
            Body::Convolution(convolution) => h.through(convolution)?,
            Body::Layer(resnet, None) => resnet.forward(&h, time)?,
            Body::Layer(resnet, Some(transformer)) => {
                let image = resnet.forward(&h, time)?;
                drop(h);
                return Ok(Progress::NeedsPrompt(transformer, transformer.before_prompt(image)?));
            }
            Body::Upsample(convolution) => h.linear_map(upsample_nearest_2x, sum_pool_2x)?.through(convolution)?,
            Body::Out(norm, convolution) => h.normalise(norm)?.activate(Activation::Silu)?.through(convolution)?,
        }))
    }
}

/// How far a step gets without a prompt.
pub(super) enum Progress<'a, V> {
    /// To its end.
    Done(V),
    /// To the first cross-attention of this transformer.
    NeedsPrompt(&'a Transformer, BeforePrompt<V>),
}
