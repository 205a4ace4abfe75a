//! The norm of the guidance direction as the loss (Wen et al. 2024; docs/spec/mitigation.md §1).

use memscope_metric::{LossTerm, Over, Space, T_NORM, TermKind, WeightedLoss};

use crate::{
    error::Result,
    optimise::{EmbeddingOptimisation, EmbeddingSettings},
};

/// Lowers ‖c − u‖₂ at t = 981 over the whole batch, which grows with the root of its size, and so must a target.
///
/// # Errors
/// When a setting is out of range.
pub fn wen(settings: EmbeddingSettings) -> Result<EmbeddingOptimisation> {
    let kind = TermKind::Norm { space: Space::ModelOutput, over: Over::Batch };
    let loss = WeightedLoss::new(vec![LossTerm { t: T_NORM, weight: 1.0, kind }]);
    EmbeddingOptimisation::new("wen", Box::new(loss), settings)
}
