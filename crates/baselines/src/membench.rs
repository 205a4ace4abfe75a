//! MemBench's D_θ (Hong et al. 2024; docs/spec/protocol.md §7): the squared norm of the guidance direction on pure
//! noise.

use memscope_metric::{
    Detector, Loss, LossTerm, Measure, Normalization, Numerics, PairMeasure, Quantity, ResolvedProtocol, Score, Space,
    Statistic, TermKind, WeightedLoss,
};

/// Σ (c − u)² at t = 999, averaged over latents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemBench {
    protocol: ResolvedProtocol,
}

impl MemBench {
    /// In f32; scores are kept as the protocol says.
    pub fn new(protocol: ResolvedProtocol) -> Self {
        Self { protocol }
    }
}

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
        let value = self.protocol.mean_of_f32(&squares);
        Score { value, parts: vec![("squared norm", value)] }
    }

    fn loss(&self) -> Option<Box<dyn Loss>> {
        Some(Box::new(WeightedLoss::new(vec![LossTerm { t: MEASURE.t, weight: 1.0, kind: TermKind::SquaredNorm }])))
    }
}
