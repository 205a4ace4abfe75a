//! The norm of the guidance direction (Wen et al. 2024; protocol §4).

use memscope_metric::{
    Detector, Measure, Quantity, ResolvedProtocol, Score, Space, mean_over_generations, norm_quantity,
};

/// ‖c − u‖₂ at the first timestep, averaged over generations; on the raw output, never scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wen {
    protocol: ResolvedProtocol,
}

impl Wen {
    /// Denoising-free: the first step of the given protocol's trajectory, in its arithmetic.
    pub fn new(protocol: ResolvedProtocol) -> Self {
        Self { protocol: ResolvedProtocol { normalization: memscope_metric::Normalization::None, ..protocol } }
    }
}

impl Detector for Wen {
    fn name(&self) -> &'static str {
        "wen"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        vec![Box::new(norm_quantity(&self.protocol, Space::ModelOutput).0)]
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![norm_quantity(&self.protocol, Space::ModelOutput).1]
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let norms: Vec<f64> = generations.iter().map(|g| g[0]).collect();
        let value = mean_over_generations(&norms, self.protocol.numerics);
        Score { value, parts: vec![("norm", value)] }
    }
}
