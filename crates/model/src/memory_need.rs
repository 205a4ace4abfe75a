//! Amounts of memory: what a run needs, and what there is.

use std::fmt;

use serde::Serialize;

/// Resident memory at the peak of a run, in bytes; an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryNeed {
    /// Weights of the UNet and the text encoder.
    pub weights: u64,
    /// What is held beyond them at the peak: activations, skip connections, the largest temporary of an operation, a
    /// VAE. All prompts are encoded before the first prediction, so that these first fill the room of the text encoder.
    pub working: u64,
    /// The program itself, its tables and figures.
    pub program: u64,
}

impl MemoryNeed {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.working + self.program
    }
}

/// Memory that a process may take without being killed or swapped out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AvailableMemory {
    /// Bytes.
    pub bytes: u64,
    /// What sets the bound.
    pub bound: MemoryBound,
}

/// What bounds the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryBound {
    /// What the machine has free, caches that it would give up counted as free.
    Machine,
    /// The limit of a control group: a container's, or a batch job's.
    ControlGroup,
    /// What the user has set, in [`MEMORY_VARIABLE`](crate::memory::MEMORY_VARIABLE).
    Variable,
}

impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "free on this machine",
            Self::ControlGroup => "left of the limit of this container or job",
            Self::Variable => "allowed by MEMSCOPE_MEMORY",
        })
    }
}

/// Units of memory, in powers of ten.
pub(crate) const UNITS: [(&str, f64); 3] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];

/// Bytes for people, in powers of ten as the Hub counts them.
pub fn size(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes as f64 >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => format!("{bytes} bytes"),
    }
}
