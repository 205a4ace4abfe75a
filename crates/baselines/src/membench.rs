//! MemBench's D_θ (Hong et al. 2024; protocol §7): the squared norm of the guidance direction on pure noise.

use memscope_metric::{
    Detector, Measure, Normalization, Numerics, PairMeasure, Quantity, Score, Space, Statistic, mean_over_generations,
};

/// Σ (c − u)² at t = 999, averaged over latents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemBench;

const MEASURE: PairMeasure = PairMeasure { t: 999, numerics: Numerics::F32 };

impl Detector for MemBench {
    fn name(&self) -> &'static str {
        "membench"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        vec![Box::new(MEASURE)]
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new(
            &MEASURE,
            &Statistic::Norm { space: Space::ModelOutput, normalization: Normalization::None },
        )]
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let squares: Vec<f64> = generations.iter().map(|g| g[0] * g[0]).collect();
        let value = mean_over_generations(&squares, Numerics::F32);
        Score { value, parts: vec![("squared norm", value)] }
    }
}
