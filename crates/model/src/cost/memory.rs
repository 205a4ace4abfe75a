//! How much memory a run of a model needs, and whether it is there.

use candle_core::DType;
use memscope_kernels::parts;

use super::{Pass, PassGroup, Tally, Workload};
use crate::{
    blueprint::Blueprint,
    error::{Error, Result},
    memory_need::{AvailableMemory, MemoryNeed},
};

/// What `reproduce table1` on the embedded models takes at most, less their weights and activations: the program, its
/// tables and its figures.
const PROGRAM: u64 = 300 << 20;

/// Of an f32.
const ACTIVATION_BYTES: u64 = size_of::<f32>() as u64;

impl Blueprint {
    /// What a workload needs, in bytes, with weights kept as `storage`; activations are f32. Network calls follow one
    /// another, so that only the largest counts. What traces keep is part of it as far as [`Workload::trace_memory`] allows.
    pub fn memory(&self, work: &Workload, storage: DType) -> MemoryNeed {
        let parameters = self.parameters();
        let number = storage.size_in_bytes() as u64;
        let passes = work.passes.iter().map(|group| self.pass_numbers(work, group, storage));
        let image = (work.images > 0).then(|| self.vae_tally().peak());
        let encoded = (work.encodings > 0).then(|| self.encoder_tally().peak());
        let predicting = passes.chain(image).chain(encoded).max().unwrap_or(0);
        let vae = if work.images + work.encodings > 0 { parameters.vae } else { 0 };
        let prompts = work.prompts.min(work.batch.max(1));
        let encoding = if prompts > 0 { self.text_tally(tally(Pass::Prediction, prompts, storage)).peak() } else { 0 };
        let room = parameters.text_encoder * number;
        MemoryNeed {
            weights: parameters.unet * number + room,
            working: (ACTIVATION_BYTES * encoding).max((ACTIVATION_BYTES * (predicting + vae)).saturating_sub(room)),
            program: PROGRAM,
        }
    }

    /// The most numbers that a call of a group holds. A large network takes one prompt or vector at a time; a small
    /// one's parts run in parallel, one core each.
    fn pass_numbers(&self, work: &Workload, group: &PassGroup, storage: DType) -> u64 {
        if !self.is_small() {
            let samples = if group.pass == Pass::Prediction { 1 } else { group.samples_per_call.least() };
            return self.unet_tally(tally(group.pass, samples, storage)).peak()
                + self.kept_bytes(work, group) / ACTIVATION_BYTES;
        }
        let samples = work.samples(group);
        let part = Tally::new(group.pass, parts::size(samples), 1, storage != DType::F32);
        self.unet_tally(part).peak() * parts::parallel(samples) as u64 + self.kept_bytes(work, group) / ACTIVATION_BYTES
    }

    /// Refuses a workload that does not fit into what is available, before anything is loaded. Traces need not keep anything.
    ///
    /// # Errors
    ///
    /// When it needs more, with what it needs and what there is.
    pub fn check_memory(&self, work: &Workload, storage: DType, available: AvailableMemory) -> Result<()> {
        let need = self.memory(&Workload { trace_memory: 0, ..work.clone() }, storage);
        if need.total() <= available.bytes {
            return Ok(());
        }
        Err(Error::TooLittleMemory { model: self.source().to_string(), need, available, storage })
    }
}

fn tally(pass: Pass, samples: usize, storage: DType) -> Tally {
    Tally::new(pass, samples, rayon::current_num_threads(), storage != DType::F32)
}
