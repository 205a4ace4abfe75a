//! How much memory a run of a model needs, and whether it is there.

use candle_core::DType;
use serde::Serialize;

use super::{Pass, Tally, Workload};
use crate::{
    blueprint::Blueprint,
    error::{Error, Result},
    memory::AvailableMemory,
    parts,
};

/// Resident memory at the peak of a run, in bytes; an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryNeed {
    /// Weights.
    pub weights: u64,
    /// What the largest call of a network holds: activations, skip connections and the largest temporary of an
    /// operation.
    pub working: u64,
    /// The program itself, its tables and figures.
    pub program: u64,
}

/// What `reproduce table1` on the embedded models takes at most, less their weights and activations: the program, its
/// tables and its figures.
const PROGRAM: u64 = 300 << 20;

impl MemoryNeed {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.working + self.program
    }
}

/// Of an f32.
const ACTIVATION_BYTES: u64 = size_of::<f32>() as u64;

impl Blueprint {
    /// What a workload needs with weights kept as `storage`; activations are f32. A pass in another call than the
    /// largest does not add to it.
    pub fn memory(&self, work: &Workload, storage: DType) -> MemoryNeed {
        let parameters = self.parameters();
        let number = storage.size_in_bytes() as u64;
        let vae = if work.images > 0 { parameters.vae * ACTIVATION_BYTES } else { 0 };
        let passes = work.passes.iter().map(|group| self.pass_numbers(group.pass, work.samples(group), storage));
        let prompts = work.prompts.min(work.batch.max(1));
        let text = (prompts > 0).then(|| self.text_tally(tally(Pass::Prediction, prompts, storage)).most());
        let image = (work.images > 0).then(|| self.vae_tally().most());
        let working = passes.chain(text).chain(image).max().unwrap_or(0);
        MemoryNeed {
            weights: (parameters.unet + parameters.text_encoder) * number + vae,
            working: working * ACTIVATION_BYTES,
            program: PROGRAM,
        }
    }

    /// The most numbers that a pass of `samples` holds; a small network's parts run side by side, one core each.
    fn pass_numbers(&self, pass: Pass, samples: usize, storage: DType) -> u64 {
        if !self.is_small() {
            return self.unet_tally(tally(pass, samples, storage)).most();
        }
        let part = Tally::new(pass, samples.min(parts::SAMPLES), 1, storage != DType::F32);
        self.unet_tally(part).most() * parts::side_by_side(samples) as u64
    }

    /// Refuses a workload that does not fit into what is available, before anything is loaded.
    pub fn check_memory(&self, work: &Workload, storage: DType, available: AvailableMemory) -> Result<()> {
        let need = self.memory(work, storage);
        if need.total() <= available.bytes {
            return Ok(());
        }
        let fits = |batch: usize| {
            let work = Workload { batch, ..work.clone() };
            self.memory(&work, storage).total() <= available.bytes
        };
        Err(Error::TooLittleMemory {
            model: self.source().to_string(),
            need,
            available,
            batch: work.batch,
            smaller: (1..work.batch).rev().find(|batch| fits(*batch)),
            storage,
        })
    }
}

fn tally(pass: Pass, samples: usize, storage: DType) -> Tally {
    Tally::new(pass, samples, rayon::current_num_threads(), storage != DType::F32)
}
