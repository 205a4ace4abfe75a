//! The norm of the guidance direction (Wen et al. 2024; docs/spec/protocol.md §4).

use memscope_metric::{
    Detector, Input, Loss, LossTerm, Measure, Normalization, Over, Quantity, ResolvedProtocol, Score, Space, TermKind,
    WeightedLoss, ddim_timesteps, is_differentiable,
};

/// ‖c − u‖₂ averaged over steps and generations; on the raw output, never scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wen {
    protocol: ResolvedProtocol,
    steps: Option<usize>,
}

impl Wen {
    /// Denoising-free: the first step only, in the arithmetic of the protocol.
    pub fn new(protocol: ResolvedProtocol) -> Self {
        Self { protocol: ResolvedProtocol { normalization: Normalization::None, ..protocol }, steps: None }
    }

    /// As published: the mean over the first `steps` (1..=50) of the guided trajectory, in f32.
    pub fn along_trajectory(protocol: ResolvedProtocol, steps: usize) -> Self {
        Self {
            protocol: ResolvedProtocol { input: Input::Trajectory, ..Self::new(protocol).protocol },
            steps: Some(steps),
        }
    }

    fn parts(&self) -> Vec<(Box<dyn Measure>, Quantity)> {
        let of_step = |t| self.protocol.norm_quantity(t, Space::ModelOutput);
        match self.steps {
            None => vec![of_step(self.protocol.t_norm)],
            Some(steps) => ddim_timesteps().take(steps).map(of_step).collect(),
        }
    }
}

impl Detector for Wen {
    fn name(&self) -> &'static str {
        "wen"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        self.parts().into_iter().take(1).map(|(measure, _)| measure).collect()
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.parts().into_iter().map(|(_, quantity)| quantity).collect()
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let over_steps = |norms: &Vec<f64>| norms.iter().sum::<f64>() / norms.len() as f64;
        let norms: Vec<f64> = generations.iter().map(over_steps).collect();
        let value = self.protocol.mean(&norms);
        Score { value, parts: vec![("norm", value)] }
    }

    fn loss(&self) -> Option<Box<dyn Loss>> {
        let kind = TermKind::Norm { space: Space::ModelOutput, over: Over::Latents };
        let term = LossTerm { t: self.protocol.t_norm, weight: 1.0, kind };
        is_differentiable(&self.protocol).then(|| Box::new(WeightedLoss::new(vec![term])) as Box<dyn Loss>)
    }
}
