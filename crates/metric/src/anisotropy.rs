//! The paper's metric: M = γ_cos · C + γ_norm · N (Eq. 14; docs/spec/protocol.md §3).

use crate::{
    detector::{Detector, Quantity, Score},
    loss::{Loss, LossTerm, Over, TermKind, WeightedLoss, is_differentiable},
    measure::Measure,
    options::{Input, Space},
    protocol::{Gammas, ResolvedProtocol},
    statistic::{PairMeasure, Statistic},
    trajectory::Trajectory,
};

/// M: the norm of the guidance direction at t ≈ T and its alignment with the score at t ≈ 0.
///
/// A part whose weight is 0 is neither measured nor asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anisotropy {
    protocol: ResolvedProtocol,
    gammas: Gammas,
}

impl Anisotropy {
    /// M under the given options and weights.
    pub fn new(protocol: ResolvedProtocol, gammas: Gammas) -> Self {
        Self { protocol, gammas }
    }

    /// Name, weight, timestep and statistic of each part in use.
    fn parts(&self) -> Vec<(&'static str, f64, usize, Statistic)> {
        let protocol = &self.protocol;
        let norm = Statistic::Norm { space: protocol.norm_space, normalization: protocol.norm_normalization() };
        let cosine = Statistic::Cosine {
            mode: protocol.cos_mode,
            reduction: protocol.cos_reduction,
            space: protocol.cos_space,
            normalization: protocol.normalization,
        };
        let parts =
            [("norm", self.gammas.norm, protocol.t_norm, norm), ("cosine", self.gammas.cosine, protocol.t_cos, cosine)];
        parts.into_iter().filter(|(_, weight, ..)| *weight != 0.0).collect()
    }
}

impl ResolvedProtocol {
    /// The measure that yields a statistic of the pair at timestep `t` under these options, and its name there.
    pub fn quantity(&self, t: usize, statistic: Statistic) -> (Box<dyn Measure>, Quantity) {
        match self.input {
            Input::Noise => {
                let measure = PairMeasure { t, numerics: self.numerics };
                (Box::new(measure), Quantity::new(&measure, &statistic))
            }
            Input::Trajectory => (Box::new(Trajectory), Quantity::new(&Trajectory, &Trajectory::name_of(t, statistic))),
        }
    }

    /// The norm N at timestep `t`, taken in `space`.
    pub fn norm_quantity(&self, t: usize, space: Space) -> (Box<dyn Measure>, Quantity) {
        self.quantity(t, Statistic::Norm { space, normalization: self.norm_normalization() })
    }
}

impl Detector for Anisotropy {
    fn name(&self) -> &'static str {
        "anisotropy"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        self.parts().into_iter().map(|(_, _, t, statistic)| self.protocol.quantity(t, statistic).0).collect()
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.parts().into_iter().map(|(_, _, t, statistic)| self.protocol.quantity(t, statistic).1).collect()
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let mut score = Score { value: 0.0, parts: vec![] };
        for (i, (name, weight, ..)) in self.parts().into_iter().enumerate() {
            let column: Vec<f64> = generations.iter().map(|g| g[i]).collect();
            let mean = self.protocol.mean(&column);
            score.value += weight * mean;
            score.parts.push((name, mean));
        }
        score
    }

    /// M itself, Eq. 15.
    fn loss(&self) -> Option<Box<dyn Loss>> {
        if !is_differentiable(&self.protocol) {
            return None;
        }
        let term = |(_, weight, t, statistic): (&str, f64, usize, Statistic)| {
            let kind = match statistic {
                Statistic::Norm { space, .. } => TermKind::Norm { space, over: Over::Latents },
                Statistic::Cosine { mode, reduction, space, .. } => TermKind::Cosine { mode, reduction, space },
            };
            LossTerm { t, weight, kind }
        };
        Some(Box::new(WeightedLoss::new(self.parts().into_iter().map(term).collect())))
    }
}

#[cfg(test)]
mod tests {
    use memscope_model::Parameterization;

    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn m_is_the_weighted_sum_of_the_means() {
        let protocol = Protocol::default().resolve(Parameterization::Epsilon).unwrap();
        let m = Anisotropy::new(protocol, Gammas { cosine: 2.0, norm: 1.0 });
        let score = m.score(&[vec![4.0, 0.5], vec![6.0, 0.25]]);
        assert_eq!(score.value, 5.0 + 2.0 * 0.375);
        assert_eq!(score.parts, [("norm", 5.0), ("cosine", 0.375)]);
        assert_eq!(m.measures().len(), 2);
        assert_eq!(m.quantities()[1].name, "cosine/unconditional_delta/channel_mean/model_output/none");
    }

    #[test]
    fn a_part_without_weight_is_not_asked_for() {
        let protocol = Protocol::default().resolve(Parameterization::V).unwrap();
        let cosine = Anisotropy::new(protocol, Gammas { cosine: 1.0, norm: 0.0 });
        assert_eq!(cosine.measures().iter().map(|m| m.id()).collect::<Vec<_>>(), ["pair/t=1/f32"]);
        assert_eq!(cosine.score(&[vec![0.5], vec![0.25]]).value, 0.375);
    }
}
