//! What a trace may keep for its way back: which steps, in how much memory, for how much less work.

use candle_core::DType;

use super::{Flops, Pass, PassGroup, SamplesPerCall, Tally, Workload, tally::StepTally};
use crate::{blueprint::Blueprint, memory_need::AvailableMemory};

/// One step of the network, for all samples of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCost {
    /// Operations of its forward, which keeping it saves.
    pub flops: Flops,
    /// Bytes that its way back needs.
    pub bytes: u64,
}

/// The steps that a trace keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSteps {
    /// Of every step, whether it is kept.
    pub steps: Vec<bool>,
    /// Bytes of all that are.
    pub bytes: u64,
}

/// The steps to keep within `bytes`: those that save the most work for a byte come first, and what no longer fits is
/// passed over.
pub fn steps_to_keep(costs: &[StepCost], bytes: u64) -> KeptSteps {
    let worth = |index: usize| costs[index].flops.total() / costs[index].bytes.max(1) as f64;
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|a, b| worth(*b).total_cmp(&worth(*a)).then(a.cmp(b)));
    let mut kept = KeptSteps { steps: vec![false; costs.len()], bytes: 0 };
    for index in order {
        let sum = kept.bytes.saturating_add(costs[index].bytes);
        if sum <= bytes {
            (kept.steps[index], kept.bytes) = (true, sum);
        }
    }
    kept
}

impl Blueprint {
    /// The steps of a trace, in forward order, of so many samples of this height and width in latent pixels under prompts of
    /// `tokens` tokens, in this number format.
    pub fn step_costs(&self, samples: usize, size: (usize, usize), tokens: usize, dtype: DType) -> Vec<StepCost> {
        let mut tally = Tally::new(Pass::Vjp, samples, 1, false);
        super::unet(&mut tally, self.unet(), size, tokens);
        let cost = |step: &StepTally| StepCost { flops: step.flops, bytes: step.kept * dtype.size_in_bytes() as u64 };
        tally.steps().iter().map(cost).collect()
    }

    /// Bytes that traces may keep together: half of what is left beside the model and one gradient that keeps nothing. The
    /// other half is for what an estimate does not know, and for other programs. `storage` is the format of the weights.
    pub fn trace_memory(&self, storage: DType, available: AvailableMemory) -> u64 {
        let mut work = Workload { prompts: 1, batch: 1, ..Workload::default() };
        work.add(Pass::Vjp, 1, SamplesPerCall::Fixed(1));
        available.bytes.saturating_sub(self.memory(&work, storage).total()) / 2
    }

    /// Which steps the trace of one sample keeps, with what they cost; `None` where passes keep nothing.
    fn kept(&self, work: &Workload, group: &PassGroup) -> Option<(Vec<StepCost>, KeptSteps)> {
        if group.pass != Pass::Vjp {
            return None;
        }
        let (_, height, width) = self.latent_shape();
        let costs = self.step_costs(1, (height, width), self.context_length(), DType::F32);
        let kept = steps_to_keep(&costs, work.trace_memory / work.samples(group) as u64);
        Some((costs, kept))
    }

    /// The operations of one sample's pass that are computed a second time.
    pub(super) fn computed_again(&self, work: &Workload, group: &PassGroup) -> Flops {
        let Some((costs, kept)) = self.kept(work, group) else { return Flops::default() };
        costs.iter().zip(kept.steps).filter(|(_, kept)| !kept).map(|(cost, _)| cost.flops).sum()
    }

    /// Bytes that all traces of a call keep.
    pub(super) fn kept_bytes(&self, work: &Workload, group: &PassGroup) -> u64 {
        self.kept(work, group).map_or(0, |(_, kept)| kept.bytes * work.samples(group) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_saves_the_most_for_a_byte_is_kept_first() {
        let step = |flops, bytes| StepCost { flops: Flops { dense: flops, ..Flops::default() }, bytes };
        // Worth 1, 3, 2 and, without a byte, most of all.
        let costs = [step(10.0, 10), step(30.0, 10), step(40.0, 20), step(1.0, 0)];
        let kept = |bytes| {
            let KeptSteps { steps, bytes } = steps_to_keep(&costs, bytes);
            (steps, bytes)
        };
        assert_eq!(kept(0), (vec![false, false, false, true], 0));
        assert_eq!(kept(10), (vec![false, true, false, true], 10));
        // The third is too large for what is left, the first is not.
        assert_eq!(kept(25), (vec![true, true, false, true], 20));
        assert_eq!(kept(30), (vec![false, true, true, true], 30));
        assert_eq!(kept(u64::MAX), (vec![true; 4], 40));
        assert_eq!(steps_to_keep(&[], 5), KeptSteps { steps: vec![], bytes: 0 });
    }
}
