//! What is to be done with a model.

use std::cell::OnceCell;

use memscope_kernels::parts;

use super::{Flops, Speed, Tally};
use crate::blueprint::Blueprint;

/// What a pass through the UNet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Values alone.
    Prediction,
    /// Values with a tangent: a Jacobian-vector product (forward mode).
    Jvp,
    /// Values and a vector-Jacobian product (reverse mode with activation checkpointing), see [`Trace`](crate::unet::Trace):
    /// what is not kept, for which [`Workload::trace_memory`] is there, is computed twice.
    Vjp,
}

impl Pass {
    pub(crate) const ALL: [Self; 3] = [Self::Prediction, Self::Jvp, Self::Vjp];

    /// The operations of a pass, from those of a prediction. A frozen layer runs once more, for the tangent or for the
    /// gradient by its input; attention adds five products to its two: P again, and with tangents dq kᵀ, q dkᵀ, dP v,
    /// P dv, or as many for the gradients.
    fn flops(self, prediction: Flops) -> Flops {
        match self {
            Self::Prediction => prediction,
            Self::Jvp | Self::Vjp => prediction.times(2.0, 2.0, 3.5),
        }
    }
}

/// How many samples one network call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplesPerCall {
    /// So many for each prompt that is measured together, see [`Workload::batch`].
    PerPrompt(usize),
    /// So many, whatever the batch.
    Fixed(usize),
}

impl SamplesPerCall {
    /// The samples of a network call that takes one prompt or vector at a time.
    pub(super) fn least(self) -> usize {
        match self {
            Self::PerPrompt(samples) => samples,
            Self::Fixed(_) => 1,
        }
    }
}

/// Passes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassGroup {
    /// What they carry.
    pub pass: Pass,
    /// How many (samples).
    pub calls: usize,
    /// How many in one network call.
    pub samples_per_call: SamplesPerCall,
}

/// What a model's networks are to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Passes through the UNet.
    pub passes: Vec<PassGroup>,
    /// Prompts to encode; at most [`Self::batch`] at once.
    pub prompts: usize,
    /// Latents to decode, one by one.
    pub images: usize,
    /// Pictures to encode, one by one.
    pub encodings: usize,
    /// Prompts that are measured together.
    pub batch: usize,
    /// Bytes that all traces of a network call may keep together, see [`Blueprint::trace_memory`].
    pub trace_memory: u64,
}

impl Workload {
    /// Adds passes, if there are any.
    pub fn add(&mut self, pass: Pass, calls: usize, samples_per_call: SamplesPerCall) {
        if calls > 0 {
            self.passes.push(PassGroup { pass, calls, samples_per_call });
        }
    }

    /// Passes of all kinds (samples).
    pub fn calls(&self) -> usize {
        self.passes.iter().map(|group| group.calls).sum()
    }

    /// The samples of one network call of a group, where a call takes whole batches.
    pub(super) fn samples(&self, group: &PassGroup) -> usize {
        match group.samples_per_call {
            SamplesPerCall::PerPrompt(samples) => samples * self.batch.max(1),
            SamplesPerCall::Fixed(samples) => samples,
        }
        .min(group.calls)
        .max(1)
    }
}

impl Blueprint {
    /// The operations of a workload.
    pub fn flops(&self, work: &Workload) -> Flops {
        let prediction = self.prediction_flops();
        let passes = work
            .passes
            .iter()
            .map(|group| (group.pass.flops(prediction) + self.computed_again(work, group)).scaled(group.calls as f64));
        let prompts = self.prompt_flops().scaled(work.prompts as f64);
        passes.sum::<Flops>() + prompts + self.picture_flops(work)
    }

    /// Of both halves of the VAE.
    fn picture_flops(&self, work: &Workload) -> Flops {
        let decoded = self.image_flops().scaled(work.images as f64);
        match work.encodings {
            0 => decoded,
            encodings => decoded + self.encoding_flops().scaled(encodings as f64),
        }
    }

    /// The seconds a workload takes at a speed: its networks, not the arithmetic on their answers.
    pub fn seconds(&self, work: &Workload, speed: &Speed) -> f64 {
        let tally = self.unet_tally(Tally::of_one(Pass::Prediction));
        let prediction = tally.flops();
        let of_pass = |pass: Pass| {
            let levels: Vec<Flops> = tally.levels().iter().map(|level| pass.flops(*level)).collect();
            speed.seconds(&levels)
        };
        let known: [OnceCell<f64>; Pass::ALL.len()] = Default::default();
        let passes = work.passes.iter().map(|group| {
            let seconds_of = |pass: Pass| *known[pass as usize].get_or_init(|| of_pass(pass));
            let again = self.computed_again(work, group).total() / prediction.total();
            let seconds = seconds_of(group.pass) + again * seconds_of(Pass::Prediction);
            let idle = if self.is_small() { parts::idle_factor(work.samples(group)) } else { 1.0 };
            group.calls as f64 * seconds * idle
        });
        let others = self.prompt_flops().scaled(work.prompts as f64) + self.picture_flops(work);
        passes.sum::<f64>() + speed.seconds(&[others])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_no_more_samples_than_there_are() {
        let mut work = Workload { batch: 8, ..Workload::default() };
        work.add(Pass::Prediction, 100, SamplesPerCall::PerPrompt(2));
        work.add(Pass::Prediction, 5, SamplesPerCall::PerPrompt(1));
        work.add(Pass::Jvp, 500, SamplesPerCall::Fixed(64));
        work.add(Pass::Vjp, 0, SamplesPerCall::Fixed(64));
        let samples: Vec<usize> = work.passes.iter().map(|group| work.samples(group)).collect();
        assert_eq!(samples, [16, 5, 64]);
        assert_eq!(work.calls(), 605);
    }
}
