//! What the network predicted, and its conversions: ε ↔ v ↔ x₀ ↔ score (docs/spec/protocol.md §3.2).

use crate::{parameterization::Parameterization, schedule::Scales};

/// The network's output for one latent at one timestep.
///
/// With x = a x₀ + s ε and v = a ε − s x₀: ε = a v + s x, x₀ = a x − s v, score = −ε/s.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The raw output, flattened (C, H, W).
    pub output: Vec<f32>,
    /// What it means.
    pub parameterization: Parameterization,
    /// Signal and noise scale of its timestep.
    pub scales: Scales,
}

impl Prediction {
    /// ε, the noise in `x`. Here and below `x` is the latent x_t that the prediction is for, flattened (C, H, W); the result
    /// has its length.
    pub fn epsilon(&self, x: &[f32]) -> Vec<f64> {
        let Scales { a, s } = self.scales;
        self.map(x, |x, out| match self.parameterization {
            Parameterization::Epsilon => out,
            Parameterization::V => a * out + s * x,
        })
    }

    /// v = a ε − s x₀.
    pub fn v(&self, x: &[f32]) -> Vec<f64> {
        let Scales { a, s } = self.scales;
        self.map(x, |x, out| match self.parameterization {
            Parameterization::Epsilon => (out - s * x) / a,
            Parameterization::V => out,
        })
    }

    /// x₀, the image behind the noise.
    pub fn x0(&self, x: &[f32]) -> Vec<f64> {
        let Scales { a, s } = self.scales;
        self.map(x, |x, out| match self.parameterization {
            Parameterization::Epsilon => (x - s * out) / a,
            Parameterization::V => a * x - s * out,
        })
    }

    /// ∇ₓ log p(x) = −ε/s.
    pub fn score(&self, x: &[f32]) -> Vec<f64> {
        let s = self.scales.s;
        self.epsilon(x).into_iter().map(|epsilon| -epsilon / s).collect()
    }

    fn map(&self, x: &[f32], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        x.iter().zip(&self.output).map(|(x, out)| f(f64::from(*x), f64::from(*out))).collect()
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn both_parameterizations_describe_the_same_point() {
        let (x0, noise) = (0.4, -1.1);
        let alpha: f64 = 0.6;
        let scales = Scales { a: alpha.sqrt(), s: (1.0 - alpha).sqrt() };
        let x = [(scales.a * x0 + scales.s * noise) as f32];
        for (parameterization, output) in
            [(Parameterization::Epsilon, noise), (Parameterization::V, scales.a * noise - scales.s * x0)]
        {
            let p = Prediction { output: vec![output as f32], parameterization, scales };
            assert_relative_eq!(p.epsilon(&x)[0], noise, max_relative = 1e-6);
            assert_relative_eq!(p.x0(&x)[0], x0, max_relative = 1e-6);
            assert_relative_eq!(p.v(&x)[0], scales.a * noise - scales.s * x0, max_relative = 1e-6);
            assert_relative_eq!(p.score(&x)[0], -noise / scales.s, max_relative = 1e-6);
        }
    }
}
