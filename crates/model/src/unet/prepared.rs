//! A forward pass up to the prompt.

use candle_core::Tensor;
use memscope_kernels::Value;

use super::{
    UNet, check_batch,
    observer::{AttentionObserver, Observe},
    plan::Skip,
    step::Progress,
    transformer::{BeforePrompt, Transformer},
};
use crate::error::{Error, Result};

/// Latents that the [`UNet`] has worked on as far as it goes without a prompt; made by [`UNet::prepare`].
pub struct Prepared<'a, V> {
    unet: &'a UNet,
    time: Tensor,
    /// What steps have left for later ones.
    skips: Vec<V>,
    /// The first transformer, which has got as far as it can, and the position of its step.
    waiting: (&'a Transformer, usize),
    state: BeforePrompt<V>,
}

impl<'a, V: Value> Prepared<'a, V> {
    pub(super) fn new(unet: &'a UNet, x: &V, timesteps: &[usize]) -> Result<Self> {
        let time = unet.time(x.primal(), timesteps)?;
        let (mut h, mut skips) = (x.clone(), vec![]);
        // No step takes a skip connection before the middle block, which has a cross-attention.
        for (index, step) in unet.steps.iter().enumerate() {
            match step.before_prompt(h, &time)? {
                Progress::NeedsPrompt(transformer, state) => {
                    return Ok(Self { unet, time, skips, waiting: (transformer, index), state });
                }
                Progress::Done(done) => h = done,
            }
            if step.skip == Skip::Leave {
                skips.push(h.clone());
            }
        }
        Err(Error::Argument("the network has no cross-attention".into()))
    }

    /// The network's raw output `(B, C, H, W)` for prompts `context: (B, L, W)`, see [`UNet::forward`].
    ///
    /// # Errors
    ///
    /// When the shapes do not fit, or the observer fails.
    pub fn forward(&self, context: &V, observer: Option<&mut dyn AttentionObserver>) -> Result<V> {
        self.observed(context, &mut Observe::by(observer))
    }

    /// The same with the logits of the first token, the start of the text, multiplied in every cross-attention: by
    /// `factors[i]` for prompt i (docs/spec/mitigation.md §4).
    ///
    /// # Errors
    ///
    /// When the shapes do not fit, or there is not one factor for each prompt.
    pub fn forward_rescaled(&self, context: &V, factors: &[f32]) -> Result<V> {
        let context_tensor = context.primal();
        if factors.len() != context_tensor.dim(0)? {
            let (factors, prompts) = (factors.len(), context_tensor.dim(0)?);
            return Err(Error::Argument(format!("{factors} factors and {prompts} prompt embeddings do not fit")));
        }
        let factors = Tensor::from_slice(factors, (factors.len(), 1, 1), context_tensor.device())?;
        self.observed(context, &mut Observe::rescaling(factors))
    }

    fn observed(&self, context: &V, observe: &mut Observe) -> Result<V> {
        check_batch(&self.time, context.primal())?;
        let (transformer, index) = self.waiting;
        let h = transformer.with_prompt(self.state.clone(), context, observe)?;
        let mut skips = self.skips.clone();
        if self.unet.steps[index].skip == Skip::Leave {
            skips.push(h.clone());
        }
        UNet::fold(&self.unet.steps[index + 1..], (h, skips), &self.time, context, observe, |_, _| ())
    }
}
