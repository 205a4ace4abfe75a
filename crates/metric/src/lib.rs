//! The anisotropy metric of the log-probability, the generations it looks at, and the trait all detectors share.
//!
//! A [`Generation`] is one prompt under one noise; a [`Measure`] turns the network's predictions into numbers
//! worth keeping; a [`Detector`] such as [`Anisotropy`] combines kept numbers into a [`Score`].

mod alignment;
mod anisotropy;
pub mod bf16;
mod detector;
mod generation;
#[cfg(test)]
mod golden;
mod hessian;
mod loss;
mod measure;
pub mod options;
mod outputs;
mod pair;
mod protocol;
mod request;
mod statistic;
pub mod theory;
mod trajectory;

pub use alignment::Alignment;
pub use anisotropy::Anisotropy;
pub use detector::{Detector, Quantity, Score};
pub use generation::{Generation, InitialNoise, NetworkCalls, prefetch};
pub use hessian::{HessianSpectrum, ScoreJacobian, ScoreKind, ScoreProducts, SpectrumMethod};
pub use loss::{Loss, LossGradients, LossInput, LossTerm, Over, TermKind, WeightedLoss, is_differentiable};
pub use measure::{Measure, OwnCalls};
pub use options::{
    CosineMode, CosineReduction, Input, Normalization, NormalizationTarget, Numerics, Preset, ScoreStorage, Space,
};
pub use outputs::Outputs;
pub use pair::{Pair, channel_cosines};
pub use protocol::{Gammas, Protocol, ProtocolError, ResolvedProtocol, T_NORM, ddim_timesteps};
pub use request::PredictionRequest;
pub use statistic::{PairMeasure, Statistic};
pub use trajectory::{Trajectory, TrajectoryStep, walk, walk_calls};
