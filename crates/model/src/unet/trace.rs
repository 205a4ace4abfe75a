//! Reverse mode with activation checkpointing: a forward pass keeps what each step was given; the way back runs one step
//! at a time again, differentiates it, and forgets it.

use candle_core::{Tensor, Var, backprop::GradStore};
use memscope_kernels::ops::add;

use super::{UNet, observer::Observe, plan::Skip, step::Step};
use crate::{
    error::{Error, Result},
    prompt::PromptBatch,
};

/// A forward pass of the [`UNet`] that is ready for vector-Jacobian products (reverse mode with activation
/// checkpointing).
///
/// Reverse mode of [`UNet::forward`] on a candle `Var` keeps every intermediate result of the network. A trace keeps the
/// inputs of its steps (some thirty tensors) and computes the rest again for each product, so that the memory is that of
/// one step. A gradient costs two forwards and a backward instead of one forward and a backward.
///
/// For a loss ℓ of the output y, the cotangent is g = ∂ℓ/∂y, and the gradients
/// are ∂ℓ/∂x = (∂y/∂x)ᵀ g and ∂ℓ/∂context = (∂y/∂context)ᵀ g. A loss of several predictions has one cotangent for each:
/// for ℓ = ‖c − u‖₂ with a conditional and an unconditional prediction they are (c − u)/ℓ and −(c − u)/ℓ.
///
/// ```no_run
/// # use candle_core::Tensor;
/// # use memscope_model::Result;
/// # fn gradients(unet: &memscope_model::UNet, x: &Tensor, prompt: &Tensor, empty: &Tensor) -> Result<(Tensor, Tensor)> {
/// let (conditional, unconditional) = (unet.trace(x, &[981], prompt)?, unet.trace(x, &[981], empty)?);
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
/// prediction needs no trace.
pub struct Trace<'a> {
    unet: &'a UNet,
    time: Tensor,
    context: Tensor,
    inputs: Vec<Input>,
    output: Tensor,
}

/// What one step was given. Tensors share their elements, so that keeping them costs no copies.
struct Input {
    h: Tensor,
    skip: Option<Tensor>,
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

/// Whether a step is also differentiated in what reached it from the step before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Differentiate,
    Constant,
}

/// A step's gradients, each where it was asked for and the step has such an input.
struct StepGradients {
    h: Option<Tensor>,
    skip: Option<Tensor>,
    context: Option<Tensor>,
}

impl<'a> Trace<'a> {
    pub(super) fn record(unet: &'a UNet, x: &Tensor, timesteps: &[usize], prompts: PromptBatch) -> Result<Self> {
        let PromptBatch { context, added } = prompts;
        let time = unet.time_of(&unet.time(x, timesteps)?, added.as_ref())?;
        let mut inputs = Vec::with_capacity(unet.steps.len());
        let keep = |h: &Tensor, skip: Option<&Tensor>| inputs.push(Input { h: h.clone(), skip: skip.cloned() });
        let output = UNet::fold(&unet.steps, (x.clone(), vec![]), &time, &context, &mut Observe::default(), keep)?;
        Ok(Self { unet, time, context, inputs, output })
    }

    /// The network's raw output (ε or v), `(B, C, H, W)`: the numbers of [`UNet::forward`].
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// The gradients of a loss whose gradient in the output is `cotangent: (B, C, H, W)`: the vector-Jacobian product.
    ///
    /// # Errors
    ///
    /// When the cotangent has another shape or number format than the output.
    pub fn vjp(&self, cotangent: &Tensor) -> Result<Gradients> {
        let (x, context) = self.walk_back(cotangent, 0, Arrival::Differentiate)?;
        Ok(Gradients { x: or_zeros(x, &self.inputs[0].h)?, context: or_zeros(context, &self.context)? })
    }

    /// [`Gradients::context`] alone, without the way from the first cross-attention back to the latent. `cotangent: (B, C, H, W)`;
    /// returns `(B, L, W)`.
    ///
    /// # Errors
    ///
    /// When the cotangent has another shape or number format than the output.
    pub fn vjp_context(&self, cotangent: &Tensor) -> Result<Tensor> {
        let first = self.unet.steps.iter().position(Step::attends).unwrap_or_default();
        let (_, context) = self.walk_back(cotangent, first, Arrival::Constant)?;
        or_zeros(context, &self.context)
    }

    /// From the last step to step `first`, which `arrival` is about; returns the gradients in what reached `first` and in
    /// the prompt embeddings.
    fn walk_back(
        &self,
        cotangent: &Tensor,
        first: usize,
        arrival: Arrival,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if cotangent.shape() != self.output.shape() || cotangent.dtype() != self.output.dtype() {
            let shapes = format!("{:?} does not fit the output {:?}", cotangent.shape(), self.output.shape());
            return Err(Error::Argument(format!("a cotangent {shapes}")));
        }
        let mut gradient = Some(cotangent.detach());
        let mut context: Option<Tensor> = None;
        // The forward's stack in reverse: who took a skip connection leaves its gradient for who left the connection.
        let mut skips = vec![];
        for (index, step) in self.unet.steps.iter().enumerate().skip(first).rev() {
            if step.skip == Skip::Leave {
                gradient = sum(gradient, skips.pop())?;
            }
            let Some(cotangent) = gradient.take() else { break };
            let arrival = if index == first { arrival } else { Arrival::Differentiate };
            let of_step = self.differentiate(step, &self.inputs[index], &cotangent, arrival)?;
            gradient = of_step.h;
            context = sum(context, of_step.context)?;
            skips.extend(of_step.skip);
        }
        Ok((gradient, context))
    }

    /// Runs one step again and returns its vector-Jacobian products with `cotangent`. Its graph lives no longer than this call.
    fn differentiate(&self, step: &Step, input: &Input, cotangent: &Tensor, arrival: Arrival) -> Result<StepGradients> {
        let h = match arrival {
            Arrival::Differentiate => Some(Var::from_tensor(&input.h)?),
            Arrival::Constant => None,
        };
        let skip = input.skip.as_ref().map(Var::from_tensor).transpose()?;
        let context = if step.attends() { Some(Var::from_tensor(&self.context)?) } else { None };

        let given = |var: &Option<Var>, otherwise: &Tensor| var.as_ref().map_or(otherwise, Var::as_tensor).clone();
        let output = step.forward(
            given(&h, &input.h),
            skip.as_deref().cloned(),
            &self.time,
            &given(&context, &self.context),
            &mut Observe::default(),
        )?;
        // candle's reverse mode starts from a number; the gradient of this one in the output is the cotangent.
        let mut gradients = (output * cotangent)?.sum_all()?.backward()?;
        let mut of = |var: Option<Var>| var.map(|var| gradient_of(&mut gradients, &var)).transpose();
        Ok(StepGradients { h: of(h)?, skip: of(skip)?, context: of(context)? })
    }
}

/// Zeros where nothing depends on the variable.
fn gradient_of(gradients: &mut GradStore, var: &Var) -> Result<Tensor> {
    match gradients.remove(var) {
        Some(gradient) => Ok(gradient.detach()),
        None => Ok(var.zeros_like()?),
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
