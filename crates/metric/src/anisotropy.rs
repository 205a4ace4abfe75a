//! The paper's metric: M = γ_cos · C + γ_norm · N (Eq. 14; protocol §3).

use crate::{
    detector::{Detector, Quantity, Score},
    measure::Measure,
    options::{GenerationReduction, Space},
    protocol::{Gammas, ResolvedProtocol},
    statistic::{PairMeasure, Statistic, mean_over_generations},
};

/// M: the norm of the guidance direction at t ≈ T and its alignment with the score at t ≈ 0.
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
}

/// The norm N of a protocol: its measure and its name there. Wen's detector reads the same number.
pub fn norm_quantity(protocol: &ResolvedProtocol, space: Space) -> (PairMeasure, Quantity) {
    let measure = PairMeasure { t: protocol.t_norm, numerics: protocol.numerics };
    let statistic = Statistic::Norm { space, normalization: protocol.norm_normalization() };
    (measure, Quantity::new(&measure, &statistic))
}

/// The cosine C of a protocol.
fn cosine_quantity(protocol: &ResolvedProtocol) -> (PairMeasure, Quantity) {
    let measure = PairMeasure { t: protocol.t_cos, numerics: protocol.numerics };
    let statistic = Statistic::Cosine {
        mode: protocol.cos_mode,
        reduction: protocol.cos_reduction,
        space: protocol.cos_space,
        normalization: protocol.normalization,
    };
    (measure, Quantity::new(&measure, &statistic))
}

impl Detector for Anisotropy {
    fn name(&self) -> &'static str {
        "anisotropy"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        let (norm, _) = norm_quantity(&self.protocol, self.protocol.norm_space);
        let (cosine, _) = cosine_quantity(&self.protocol);
        if norm == cosine { vec![Box::new(norm)] } else { vec![Box::new(norm), Box::new(cosine)] }
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![norm_quantity(&self.protocol, self.protocol.norm_space).1, cosine_quantity(&self.protocol).1]
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let GenerationReduction::MeanOfNorms = self.protocol.generation_reduction;
        let column = |i: usize| generations.iter().map(|g| g[i]).collect::<Vec<_>>();
        let norm = mean_over_generations(&column(0), self.protocol.numerics);
        let cosine = mean_over_generations(&column(1), self.protocol.numerics);
        let value = self.gammas.norm * norm + self.gammas.cosine * cosine;
        Score { value, parts: vec![("norm", norm), ("cosine", cosine)] }
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
        assert_eq!(m.quantities()[1].name, "cosine/x,c|x/channel_mean/model_output/none");
    }
}
