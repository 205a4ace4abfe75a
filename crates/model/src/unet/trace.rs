//! Reverse mode with activation checkpointing: a forward pass keeps of each step what its way back needs, or only what it
//! was given; the way back then runs such a step again, differentiates it, and forgets it.

use candle_core::Tensor;
use memscope_kernels::{Record, Taped, Value, ops::add};

use super::{UNet, check_batch, keep::Keep, observer::Observe, plan::Skip, step::Step};
use crate::{
    error::{Error, Result},
    prompt::PromptBatch,
};

/// A forward pass of the [`UNet`] that is ready for vector-Jacobian products (reverse mode with activation
/// checkpointing).
///
/// Reverse mode of [`UNet::forward`] on a candle `Var` keeps every intermediate result of the network. A trace keeps of each
/// of its steps (some thirty) either what the way back needs, less than half of that, or the step's inputs alone; such a
/// step is computed again on the way back. [`Keep`] says which: the results are the same to the last bit. With nothing kept a
/// gradient costs two forwards and a backward, in the memory of one step; with everything, one forward and a backward.
///
/// For a loss ℓ of the output y, the cotangent is g = ∂ℓ/∂y, and the gradients
/// are ∂ℓ/∂x = (∂y/∂x)ᵀ g and ∂ℓ/∂context = (∂y/∂context)ᵀ g. A loss of several predictions has one cotangent for each:
/// for ℓ = ‖c − u‖₂ with a conditional and an unconditional prediction they are (c − u)/ℓ and −(c − u)/ℓ.
///
/// ```no_run
/// # use candle_core::Tensor;
/// # use memscope_model::{Result, unet::Keep};
/// # fn gradients(unet: &memscope_model::UNet, x: &Tensor, prompt: &Tensor, empty: &Tensor) -> Result<(Tensor, Tensor)> {
/// let trace = |context: &Tensor| unet.trace(x, &[981], context, Keep::all());
/// let (conditional, unconditional) = (trace(prompt)?, trace(empty)?);
/// let difference = (conditional.output() - unconditional.output())?;
/// let loss = difference.sqr()?.sum_all()?.sqrt()?;
/// let cotangent = difference.broadcast_div(&loss)?;
/// let of_conditional = conditional.vjp(&cotangent)?;
/// let of_unconditional = unconditional.vjp(&cotangent.neg()?)?;
/// // The latent enters both passes, the prompt one.
/// Ok(((of_conditional.x + of_unconditional.x)?, of_conditional.context))
/// # }
/// ```
///
/// Where only the prompt's gradient is wanted, [`Trace::vjp_context`] does less, and the unconditional
/// prediction needs no trace. A product gives up what the trace has kept, step by step; a clone keeps it.
#[derive(Clone)]
pub struct Trace<'a> {
    unet: &'a UNet,
    x: Tensor,
    time: Tensor,
    context: Tensor,
    steps: Vec<Recorded>,
    output: Tensor,
    /// Of what the steps have kept.
    keep: Keep,
}

/// What a trace has of one step. Tensors share their elements, so that keeping them costs no copies.
#[derive(Clone)]
enum Recorded {
    /// What it was given.
    Given { h: Tensor, skip: Option<Tensor> },
    /// What its way back needs.
    Kept(StepRecord),
}

/// The record of one step and of what entered it.
#[derive(Clone)]
struct StepRecord {
    h: Record,
    skip: Record,
    context: Record,
    output: Record,
}

/// What a vector-Jacobian product gives.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// In the latent, of its shape: `(B, C, H, W)`, or `(1, C, H, W)` summed over the prompts where one latent serves
    /// all.
    pub x: Tensor,
    /// In the prompt embeddings: `(B, L, W)`. Added conditions are constant.
    pub context: Tensor,
}

/// Whether gradients are taken in an input of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    Variable,
    Constant,
}

impl Input {
    fn record(self, record: &Record) -> Record {
        match self {
            Self::Variable => record.clone(),
            Self::Constant => Record::default(),
        }
    }
}

/// A step's gradients, each where it was asked for and the step has such an input.
struct StepGradients {
    h: Option<Tensor>,
    skip: Option<Tensor>,
    context: Option<Tensor>,
}

impl StepRecord {
    /// Runs a step, and records it.
    fn new(
        step: &Step,
        (h, skip): (&Tensor, Option<&Tensor>),
        time: &Tensor,
        context: &Tensor,
    ) -> Result<(Tensor, Self)> {
        let (h, skip) = (Taped::variable(h), skip.map(Taped::variable));
        let context = if step.attends() { Taped::variable(context) } else { Taped::constant(context) };
        let (of_h, of_skip) = (h.record(), skip.as_ref().map(Taped::record).unwrap_or_default());
        let output = step.forward(h, skip, time, &context, &mut Observe::default())?;
        let record = Self { h: of_h, skip: of_skip, context: context.record(), output: output.record() };
        Ok((output.primal().clone(), record))
    }

    /// `arrival` is what reached the step from the one before.
    fn vjp(self, cotangent: &Tensor, arrival: Input, context: Input) -> Result<StepGradients> {
        let (h, context) = (arrival.record(&self.h), context.record(&self.context));
        let mut gradients = self.output.vjp(cotangent, &[&h, &self.skip, &context])?.into_iter();
        let mut next = || gradients.next().flatten();
        Ok(StepGradients { h: next(), skip: next(), context: next() })
    }
}

impl<'a> Trace<'a> {
    pub(super) fn record(
        unet: &'a UNet,
        x: &Tensor,
        timesteps: &[usize],
        prompts: PromptBatch,
        keep: Keep,
    ) -> Result<Self> {
        let PromptBatch { context, added } = prompts;
        let time = unet.time_of(&unet.time(x, timesteps)?, added.as_ref())?;
        check_batch(x, &context)?;
        let (mut h, mut skips, mut steps) = (x.clone(), vec![], Vec::with_capacity(unet.steps.len()));
        for (index, step) in unet.steps.iter().enumerate() {
            let skip = if step.skip == Skip::Take { skips.pop() } else { None };
            if keep.contains(index) {
                let (output, record) = StepRecord::new(step, (&h, skip.as_ref()), &time, &context)?;
                steps.push(Recorded::Kept(record));
                h = output;
            } else {
                steps.push(Recorded::Given { h: h.clone(), skip: skip.clone() });
                h = step.forward(h, skip, &time, &context, &mut Observe::default())?;
            }
            if step.skip == Skip::Leave {
                skips.push(h.clone());
            }
        }
        Ok(Self { unet, x: x.clone(), time, context, steps, output: h, keep })
    }

    /// The network's raw output (ε or v), `(B, C, H, W)`: the numbers of [`UNet::forward`].
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// Bytes that each step has kept for the way back; 0 where it is run again.
    pub fn kept_bytes(&self) -> Vec<u64> {
        let of_step = |step: &Recorded| match step {
            Recorded::Given { .. } => 0,
            Recorded::Kept(record) => record.output.kept_bytes(),
        };
        self.steps.iter().map(of_step).collect()
    }

    /// The gradients of a loss whose gradient in the output is `cotangent: (B, C, H, W)`: the vector-Jacobian product.
    ///
    /// # Errors
    ///
    /// When the cotangent has another shape or number format than the output.
    pub fn vjp(self, cotangent: &Tensor) -> Result<Gradients> {
        let (like_x, like_context) = (self.x.clone(), self.context.clone());
        let (x, context) = self.walk_back(cotangent, 0, Input::Variable, Input::Variable)?;
        Ok(Gradients { x: or_zeros(x, &like_x)?, context: or_zeros(context, &like_context)? })
    }

    /// [`Gradients::x`] alone, with the prompts as constants. `cotangent: (B, C, H, W)`, returns the shape of the latent.
    ///
    /// # Errors
    ///
    /// When the cotangent has another shape or number format than the output.
    pub fn vjp_x(self, cotangent: &Tensor) -> Result<Tensor> {
        let like = self.x.clone();
        let (x, _) = self.walk_back(cotangent, 0, Input::Variable, Input::Constant)?;
        or_zeros(x, &like)
    }

    /// [`Gradients::context`] alone, without the way from the first cross-attention back to the latent. `cotangent: (B, C, H, W)`;
    /// returns `(B, L, W)`.
    ///
    /// # Errors
    ///
    /// When the cotangent has another shape or number format than the output.
    pub fn vjp_context(self, cotangent: &Tensor) -> Result<Tensor> {
        let first = self.unet.steps.iter().position(Step::attends).unwrap_or_default();
        let like = self.context.clone();
        let (_, context) = self.walk_back(cotangent, first, Input::Constant, Input::Variable)?;
        or_zeros(context, &like)
    }

    /// From the last step to step `first`, which `arrival` is about; returns the gradients in what reached `first` and in
    /// the prompt embeddings.
    fn walk_back(
        self,
        cotangent: &Tensor,
        first: usize,
        arrival: Input,
        prompts: Input,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { unet, time, context: prompt, mut steps, output, keep, .. } = self;
        if cotangent.shape() != output.shape() || cotangent.dtype() != output.dtype() {
            let shapes = format!("{:?} does not fit the output {:?}", cotangent.shape(), output.shape());
            return Err(Error::Argument(format!("a cotangent {shapes}")));
        }
        let mut gradient = Some(cotangent.detach());
        let mut context: Option<Tensor> = None;
        // The forward's stack in reverse: who took a skip connection leaves its gradient for who left the connection.
        let mut skips: Vec<Option<Tensor>> = vec![];
        for (index, step) in unet.steps.iter().enumerate().skip(first).rev() {
            let Some(recorded) = steps.pop() else { break };
            if step.skip == Skip::Leave {
                gradient = sum(gradient, skips.pop().flatten())?;
            }
            let arrival = if index == first { arrival } else { Input::Variable };
            let of_step = match gradient.take() {
                Some(cotangent) => {
                    let record = match recorded {
                        Recorded::Kept(record) => record,
                        Recorded::Given { h, skip } => StepRecord::new(step, (&h, skip.as_ref()), &time, &prompt)?.1,
                    };
                    record.vjp(&cotangent, arrival, prompts)?
                }
                None => StepGradients { h: None, skip: None, context: None },
            };
            gradient = of_step.h;
            context = sum(context, of_step.context)?;
            if step.skip == Skip::Take {
                skips.push(of_step.skip);
            }
        }
        drop(keep);
        Ok((gradient, context))
    }
}

fn sum(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some(add(&a, &b)?)),
        (a, b) => Ok(a.or(b)),
    }
}

fn or_zeros(gradient: Option<Tensor>, like: &Tensor) -> Result<Tensor> {
    gradient.map_or_else(|| Ok(like.zeros_like()?), Ok)
}
