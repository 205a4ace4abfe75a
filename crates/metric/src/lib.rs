//! The anisotropy metric of the log-probability, the probe it asks, and the trait all detectors share.
//!
//! A [`Probe`] is one prompt under one noise; a [`Measure`] turns the network's answers into numbers
//! worth keeping; a [`Detector`] such as [`Anisotropy`] combines kept numbers into a [`Score`].

mod alignment;
mod anisotropy;
pub mod bf16;
mod detector;
#[cfg(test)]
mod golden;
mod hessian;
mod measure;
pub mod options;
mod outputs;
mod pair;
mod probe;
mod protocol;
mod statistic;
pub mod theory;
mod trajectory;

pub use alignment::Alignment;
pub use anisotropy::Anisotropy;
pub use detector::{Detector, Quantity, Score};
pub use hessian::{HessianSpectrum, ScoreJacobian, ScoreKind, ScoreProducts, SpectrumMethod};
pub use measure::{Ask, Measure, OwnCalls};
pub use options::{
    CosineMode, CosineReduction, Input, Normalization, NormalizationTarget, Numerics, Preset, ScoreStorage, Space,
};
pub use outputs::Outputs;
pub use pair::{Pair, channel_cosines};
pub use probe::{NetworkCalls, Probe, Start, prefetch};
pub use protocol::{Gammas, Protocol, ProtocolError, ResolvedProtocol, T_NORM, ddim_timesteps};
pub use statistic::{PairMeasure, Statistic};
pub use trajectory::{Trajectory, TrajectoryStep, walk, walk_calls};
