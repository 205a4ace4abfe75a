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
use crate::{
    error::{Error, Result},
    prompt::PromptBatch,
};

/// Latents that the [`UNet`] has worked on as far as it goes without a prompt; made by [`UNet::prepare`].
pub struct Prepared<'a, V> {
    unet: &'a UNet,
    /// Of the timesteps alone.
    time: Tensor,
    /// What steps have left for later ones.
    skips: Vec<V>,
    /// The first step that waits for a prompt.
    index: usize,
    waiting: Waiting<'a, V>,
}

/// What the first step that waits for a prompt has.
enum Waiting<'a, V> {
    /// A transformer that has got as far as it can.
    Transformer(&'a Transformer, BeforePrompt<V>),
    /// What the step before has left: added conditions come with the timestep, which the step needs from its beginning.
    Arrived(V),
}

impl<'a, V: Value> Prepared<'a, V> {
    pub(super) fn new(unet: &'a UNet, x: &V, timesteps: &[usize]) -> Result<Self> {
        let time = unet.time(x.primal(), timesteps)?;
        let complete = if unet.added.is_none() { Some(unet.time_of(&time, None)?) } else { None };
        let (mut h, mut skips) = (x.clone(), vec![]);
        // No step takes a skip connection before the middle block, which has a cross-attention.
        for (index, step) in unet.steps.iter().enumerate() {
            let known = match &complete {
                Some(complete) => complete,
                None if step.needs_time() => {
                    return Ok(Self { unet, time, skips, index, waiting: Waiting::Arrived(h) });
                }
                None => &time,
            };
            match step.before_prompt(h, known)? {
                Progress::NeedsPrompt(transformer, state) => {
                    let waiting = Waiting::Transformer(transformer, state);
                    return Ok(Self { unet, time, skips, index, waiting });
                }
                Progress::Done(done) => h = done,
            }
            if step.skip == Skip::Leave {
                skips.push(h.clone());
            }
        }
        Err(Error::Argument("the network has no cross-attention".into()))
    }

    /// The network's raw output `(B, C, H, W)` for B prompts, see [`UNet::forward`].
    ///
    /// # Errors
    ///
    /// When the shapes do not fit, or the observer fails.
    pub fn forward(
        &self,
        prompts: impl Into<PromptBatch<V>>,
        observer: Option<&mut dyn AttentionObserver>,
    ) -> Result<V> {
        self.observed(prompts.into(), &mut Observe::by(observer))
    }

    /// The same with the logits of the first token, the start of the text, multiplied in every cross-attention: by
    /// `factors[i]` for prompt i (docs/spec/mitigation.md §4).
    ///
    /// # Errors
    ///
    /// When the shapes do not fit, or there is not one factor for each prompt.
    pub fn forward_rescaled(&self, prompts: impl Into<PromptBatch<V>>, factors: &[f32]) -> Result<V> {
        let prompts = prompts.into();
        let context = prompts.context.primal();
        if factors.len() != context.dim(0)? {
            let (factors, prompts) = (factors.len(), context.dim(0)?);
            return Err(Error::Argument(format!("{factors} factors and {prompts} prompt embeddings do not fit")));
        }
        let factors = Tensor::from_slice(factors, (factors.len(), 1, 1), context.device())?;
        self.observed(prompts, &mut Observe::rescaling(factors))
    }

    fn observed(&self, prompts: PromptBatch<V>, observe: &mut Observe) -> Result<V> {
        let PromptBatch { context, added } = prompts;
        check_batch(&self.time, context.primal())?;
        let time = self.unet.time_of(&self.time, added.as_ref())?;
        check_batch(&time, context.primal())?;
        let mut skips = self.skips.clone();
        let (next, h) = match &self.waiting {
            Waiting::Transformer(transformer, state) => {
                let h = transformer.with_prompt(state.clone(), &context, observe)?;
                if self.unet.steps[self.index].skip == Skip::Leave {
                    skips.push(h.clone());
                }
                (self.index + 1, h)
            }
            Waiting::Arrived(h) => (self.index, h.clone()),
        };
        UNet::fold(&self.unet.steps[next..], (h, skips), &time, &context, observe)
    }
}
