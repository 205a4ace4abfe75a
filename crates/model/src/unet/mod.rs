//! `UNet2DConditionModel` of diffusers, built from its config.json, generic over what flows through it.

mod build;
mod config;
mod keep;
mod layer_counts;
mod observer;
mod plan;
mod prepared;
mod resnet;
mod step;
mod time;
mod trace;
mod transformer;

pub use config::{AddedShape, Level, MidBlock, Projection, UNetShape};
pub use keep::Keep;
pub use observer::{AttentionObserver, CrossAttentionLayer};
pub use prepared::Prepared;
pub use trace::{Gradients, Trace};

pub(crate) use keep::TraceMemory;
pub(crate) use plan::{BodyPlan, Skip};

use candle_core::Tensor;
use memscope_kernels::Value;
use observer::Observe;
use step::Step;
use time::{AddedEmbedding, TimeEmbedding};

use crate::{
    error::{Error, Result},
    execution::Place,
    files::ModelFiles,
    prompt::PromptBatch,
    weights::Weights,
};

/// The denoising network.
pub struct UNet {
    shape: UNetShape,
    time: TimeEmbedding,
    added: Option<AddedEmbedding>,
    steps: Vec<Step>,
}

/// One latent serves any number of prompts, several serve as many.
fn check_batch(latents: &Tensor, context: &Tensor) -> Result<()> {
    match (latents.dim(0)?, context.dim(0)?) {
        (latents, prompts) if latents == prompts || latents == 1 => Ok(()),
        (latents, prompts) => {
            Err(Error::Argument(format!("{latents} latents and {prompts} prompt embeddings do not fit")))
        }
    }
}

/// Repeats a single sample for a whole batch. A value that has the batch already is returned as it is.
fn spread<V: Value>(x: &V, batch: usize) -> Result<V> {
    match x.primal().dim(0)? {
        samples if samples == batch => Ok(x.clone()),
        _ => {
            let repeat = move |t: &Tensor| {
                let mut dims = t.dims().to_vec();
                dims[0] = batch;
                Ok(t.broadcast_as(dims)?.contiguous()?)
            };
            Ok(x.linear_map(repeat, |t| Ok(t.sum_keepdim(0)?))?)
        }
    }
}

impl UNet {
    /// Loads `unet/` of a model; every tensor of the file must belong to the configured network.
    pub(crate) fn load(files: &ModelFiles, shape: UNetShape, place: &Place) -> Result<Self> {
        let weights = Weights::open(files, "unet", "diffusion_pytorch_model", place.clone())?;
        let scope = weights.root();
        let steps = build::steps(&shape, &scope)?;
        let time = TimeEmbedding::load(shape.levels[0].channels, shape.time_width(), &scope.at("time_embedding"))?;
        let of_shape = |added| AddedEmbedding::load(added, shape.time_width(), &scope.at("add_embedding"));
        let added = shape.added.map(of_shape).transpose()?;
        weights.finish(|_| false)?;
        Ok(Self { shape, time, added, steps })
    }

    /// What the network was built from.
    pub fn shape(&self) -> &UNetShape {
        &self.shape
    }

    /// The cross-attention layers in forward order.
    pub fn cross_attention_layers(&self) -> Vec<CrossAttentionLayer> {
        self.shape.cross_attention_layers()
    }

    /// The network's raw output (ε or v).
    ///
    /// `x: (B, C, H, W)` latent, H and W multiples of 2^(levels − 1); `timesteps: B` of them, one per
    /// sample; `prompts`: B of them, or `&context: (B, L, W)` for a network without added conditions; returns
    /// `(B, C, H, W)`. One latent and one timestep serve all prompts: what comes before the prompts is then computed once.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit one another or the network, or the observer fails.
    pub fn forward<V: Value>(
        &self,
        x: &V,
        timesteps: &[usize],
        prompts: impl Into<PromptBatch<V>>,
        observer: Option<&mut dyn AttentionObserver>,
    ) -> Result<V> {
        self.prepare(x, timesteps)?.forward(prompts, observer)
    }

    /// What comes before the first cross-attention, about 5 % of Stable Diffusion 1.4, done once for any number of
    /// prompts. With added conditions the prompt enters with the timestep, and it is the first convolution alone. `x` and `timesteps` as in [`UNet::forward`].
    ///
    /// # Errors
    ///
    /// When their shapes do not fit one another or the network.
    pub fn prepare<V: Value>(&self, x: &V, timesteps: &[usize]) -> Result<Prepared<'_, V>> {
        Prepared::new(self, x, timesteps)
    }

    /// The same forward pass for tensors, ready for reverse mode; `keep` says for which steps in little time, the others
    /// being in little memory.
    ///
    /// `x: (B, C, H, W)` or one latent for all prompts, `prompts` as in [`UNet::forward`]. Where the inputs come from is
    /// not part of the trace: gradients end at `x` and the prompts' `context`.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit one another or the network.
    pub fn trace(
        &self,
        x: &Tensor,
        timesteps: &[usize],
        prompts: impl Into<PromptBatch>,
        keep: Keep,
    ) -> Result<Trace<'_>> {
        Trace::record(self, &x.detach(), timesteps, prompts.into().detach(), keep)
    }

    /// The added conditions of prompts, `(B, A)`: `pooled: (B, P)`, `sizes` in pixels.
    ///
    /// # Errors
    ///
    /// When the network has none, or `pooled` another width.
    pub fn added_conditions(&self, pooled: &Tensor, sizes: [u32; AddedShape::NUMBERS]) -> Result<Tensor> {
        match &self.added {
            Some(added) => added.conditions(pooled, sizes),
            None => Err(Error::Argument("this network has no added conditions".into())),
        }
    }

    /// What every ResNet is given of the timestep `(B or 1, T)` and the prompts' added conditions `(B, A)`: `(B or 1, T)`.
    fn time_of(&self, embedding: &Tensor, added: Option<&Tensor>) -> Result<Tensor> {
        match (&self.added, added) {
            (None, None) => time::finish(embedding),
            (Some(layers), Some(added)) => time::finish(&embedding.broadcast_add(&layers.forward(added)?)?),
            (Some(_), None) => Err(Error::Argument(
                "this network is also given a pooled prompt and sizes: its prompts need added conditions".into(),
            )),
            (None, Some(_)) => Err(Error::Argument("this network has no added conditions, the prompts have".into())),
        }
    }

    /// The embedding of the timesteps `(B or 1, T)`, once they are seen to fit the latents.
    fn time(&self, x: &Tensor, timesteps: &[usize]) -> Result<Tensor> {
        let (latents, _, height, width) = x.dims4()?;
        let multiple = 1 << (self.shape.levels.len() - 1);
        if timesteps.len() != latents {
            return Err(Error::Argument(format!("{latents} latents and {} timesteps do not fit", timesteps.len())));
        }
        if height % multiple != 0 || width % multiple != 0 {
            return Err(Error::Argument(format!("a latent of {height}x{width} is not a multiple of {multiple}")));
        }
        self.time.forward(timesteps, x.dtype(), x.device())
    }

    /// Runs steps one after the other.
    fn fold<V: Value>(
        steps: &[Step],
        (mut h, mut skips): (V, Vec<V>),
        time: &Tensor,
        context: &V,
        observe: &mut Observe,
    ) -> Result<V> {
        check_batch(h.primal(), context.primal())?;
        for step in steps {
            let skip = if step.skip == Skip::Take { skips.pop() } else { None };
            h = step.forward(h, skip, time, context, observe)?;
            if step.skip == Skip::Leave {
                skips.push(h.clone());
            }
        }
        Ok(h)
    }
}
