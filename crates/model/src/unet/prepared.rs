//! A forward pass up to the prompt.

use candle_core::{Result, Tensor};

use super::{
    UNet, check_batch,
    observer::{AttentionObserver, Observe},
    plan::Skip,
    step::Progress,
    transformer::{Begun, Transformer},
};
use crate::value::Value;

/// Latents that the [`UNet`] has worked on as far as it goes without a prompt; made by [`UNet::prepare`].
pub struct Prepared<'a, V> {
    unet: &'a UNet,
    time: Tensor,
    /// What steps have left for later ones.
    skips: Vec<V>,
    /// The transformer that asks first, and the position of its step.
    asks: (&'a Transformer, usize),
    begun: Begun<V>,
}

impl<'a, V: Value> Prepared<'a, V> {
    pub(super) fn new(unet: &'a UNet, x: &V, timesteps: &[usize]) -> Result<Self> {
        let time = unet.time(x.primal(), timesteps)?;
        let (mut h, mut skips) = (x.clone(), vec![]);
        // No step takes a skip connection before the middle block, which has a cross-attention.
        for (index, step) in unet.steps.iter().enumerate() {
            match step.begin(h, &time)? {
                Progress::Asks(transformer, begun) => {
                    return Ok(Self { unet, time, skips, asks: (transformer, index), begun });
                }
                Progress::Done(done) => h = done,
            }
            if step.skip == Skip::Leave {
                skips.push(h.clone());
            }
        }
        candle_core::bail!("the network never looks at the prompt")
    }

    /// The network's raw output under prompts, see [`UNet::forward`].
    pub fn forward(&self, context: &V, observer: Option<&mut dyn AttentionObserver>) -> Result<V> {
        check_batch(&self.time, context.primal())?;
        let observe = &mut Observe(observer);
        let (transformer, index) = self.asks;
        let h = transformer.end(self.begun.clone(), context, observe)?;
        let mut skips = self.skips.clone();
        if self.unet.steps[index].skip == Skip::Leave {
            skips.push(h.clone());
        }
        UNet::fold(&self.unet.steps[index + 1..], (h, skips), &self.time, context, observe, |_, _| ())
    }
}
