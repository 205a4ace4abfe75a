//! Norms and cosines of a conditional and an unconditional prediction, in exact arithmetic (f64).

use memscope_model::{Parameterization, Prediction, Scales};

use crate::options::{CosineMode, CosineReduction, Normalization, Space};

/// Both predictions for one latent at one timestep.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The latent, flattened (C, H, W).
    pub x: &'a [f32],
    /// Channels C of the latent.
    pub channels: usize,
    /// Under the empty prompt: u.
    pub unconditional: &'a Prediction,
    /// Under the prompt: c.
    pub conditional: &'a Prediction,
}

/// Floor under the norms of a cosine, as in torch.
pub(crate) const COSINE_FLOOR: f64 = 1e-8;
/// Added to the norms of `spatial_l2`.
pub(crate) const SPATIAL_FLOOR: f64 = 1e-6;

impl Pair<'_> {
    pub(crate) fn scales(&self) -> Scales {
        self.conditional.scales
    }

    pub(crate) fn parameterization(&self) -> Parameterization {
        self.conditional.parameterization
    }

    /// ‖c − u‖₂ in the given space (docs/spec/protocol.md §3, D).
    pub fn norm(&self, space: Space, normalization: Normalization) -> f64 {
        let factor = delta_factor(space, self.parameterization(), self.scales());
        let u = self.normalized(&self.unconditional.output, normalization);
        let c = self.normalized(&self.conditional.output, normalization);
        let squares: f64 = u.iter().zip(&c).map(|(u, c)| (c - u) * (c - u)).sum();
        factor * squares.sqrt()
    }

    /// The cosine between the two vectors of `mode`, over raw outputs or scores.
    ///
    /// Scores of an ε-model are its outputs times one negative number, which no cosine sees; those of a
    /// v-model also hold x.
    pub fn cosine(
        &self,
        mode: CosineMode,
        reduction: CosineReduction,
        space: Space,
        normalization: Normalization,
    ) -> f64 {
        let (u, c) = match (space, self.parameterization()) {
            (Space::Score, Parameterization::V) => (self.unconditional.score(self.x), self.conditional.score(self.x)),
            _ => (to_f64(&self.unconditional.output), to_f64(&self.conditional.output)),
        };
        let (u, c) = (normalize(u, normalization, self.channels), normalize(c, normalization, self.channels));
        let delta: Vec<f64> = u.iter().zip(&c).map(|(u, c)| c - u).collect();
        let (p, q) = match mode {
            CosineMode::UnconditionalDelta => (&u, &delta),
            CosineMode::ConditionalUnconditional => (&c, &u),
            CosineMode::ConditionalDelta => (&c, &delta),
        };
        match reduction {
            CosineReduction::Flatten => cosine(p.iter().copied(), q.iter().copied()),
            CosineReduction::ChannelMean => {
                let map = channel_cosines(p, q, self.channels);
                map.iter().sum::<f64>() / map.len() as f64
            }
        }
    }

    fn normalized(&self, output: &[f32], normalization: Normalization) -> Vec<f64> {
        normalize(to_f64(output), normalization, self.channels)
    }
}

/// What ‖c − u‖ of raw outputs is multiplied with in another space.
pub(crate) fn delta_factor(space: Space, parameterization: Parameterization, Scales { a, s }: Scales) -> f64 {
    match (space, parameterization) {
        (Space::ModelOutput, _) => 1.0,
        (Space::Score, Parameterization::Epsilon) => 1.0 / s,
        (Space::Score, Parameterization::V) => a / s,
        (Space::X0Formula, _) => a / (s * s),
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn normalize(mut values: Vec<f64>, normalization: Normalization, channels: usize) -> Vec<f64> {
    let scale = |values: &mut [f64], by: f64| values.iter_mut().for_each(|v| *v /= by);
    let l2 = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    match normalization {
        Normalization::None => {}
        Normalization::L1 => {
            let norm = values.iter().map(|v| v.abs()).sum();
            scale(&mut values, norm);
        }
        Normalization::L2 => {
            let norm = l2(&values);
            scale(&mut values, norm);
        }
        Normalization::SpatialL2 => {
            let area = values.len() / channels;
            for channel in values.chunks_mut(area) {
                let norm = l2(channel) + SPATIAL_FLOOR;
                scale(channel, norm);
            }
        }
    }
    values
}

fn cosine(p: impl Iterator<Item = f64>, q: impl Iterator<Item = f64>) -> f64 {
    let (mut pq, mut pp, mut qq) = (0.0, 0.0, 0.0);
    for (p, q) in p.zip(q) {
        pq += p * q;
        pp += p * p;
        qq += q * q;
    }
    pq / (pp.sqrt().max(COSINE_FLOOR) * qq.sqrt().max(COSINE_FLOOR))
}

/// The cosine over channels at each position: H·W values. `p, q` flattened (C, H, W).
pub fn channel_cosines(p: &[f64], q: &[f64], channels: usize) -> Vec<f64> {
    let area = p.len() / channels;
    (0..area)
        .map(|i| cosine(p.iter().skip(i).step_by(area).copied(), q.iter().skip(i).step_by(area).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::golden;

    /// Golden vectors of docs/spec/protocol.md §3.1: two positions u and u', four channels. They were computed in f32,
    /// whose spacing near 1 is 6e-8.
    #[test]
    fn channel_and_flattened_cosines_equal_the_golden_values() {
        let [u, d] = golden::fields().map(|field| field.into_iter().map(f64::from).collect::<Vec<_>>());
        let map = channel_cosines(&u, &d, 4);
        assert_relative_eq!(map[0], 0.96475047, epsilon = 1.2e-7);
        assert_relative_eq!(map[1], -0.23162636, epsilon = 5e-8);
        assert_relative_eq!(cosine(u.iter().copied(), d.iter().copied()), 0.78075421, epsilon = 5e-8);
        assert_relative_eq!(d.iter().map(|d| d * d).sum::<f64>().sqrt(), 0.17989933, epsilon = 5e-8);
    }

    /// Golden SD 2 norm of docs/spec/protocol.md §3.1 in exact arithmetic.
    #[test]
    fn x0_formula_norm_equals_the_golden_value() {
        let (x, [u, c]) = golden::sd2();
        let pair = Pair { x: &x, channels: 4, unconditional: &u, conditional: &c };
        assert_relative_eq!(pair.norm(Space::X0Formula, Normalization::None), 0.0238869, epsilon = 5e-8);
    }

    #[test]
    fn a_normalized_vector_has_norm_one() {
        let v = normalize(vec![3.0, -4.0, 1.0, 2.0], Normalization::L1, 2);
        assert_relative_eq!(v.iter().map(|v| v.abs()).sum::<f64>(), 1.0);
        let v = normalize(vec![3.0, -4.0, 1.0, 2.0], Normalization::SpatialL2, 2);
        assert_relative_eq!(v[0].hypot(v[1]), 1.0, epsilon = 1e-6);
        assert_relative_eq!(v[2].hypot(v[3]), 1.0, epsilon = 1e-6);
    }
}
