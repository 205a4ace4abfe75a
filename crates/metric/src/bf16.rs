//! The metric as the released code computes it on bf16 tensors: rounded after every operation
//! (docs/spec/protocol.md §3 and §3.1). Reductions accumulate in f32 and round once, as torch does.

use half::bf16;

use crate::{
    options::{CosineMode, CosineReduction, Normalization, Space},
    pair::{COSINE_FLOOR, Pair, SPATIAL_FLOOR},
};

/// How torch multiplies a bf16 tensor with an f32 scalar tensor.
///
/// The golden values of docs/spec/protocol.md §3.1 were made on the CPU, which rounds the scalar first; the released
/// code ran on CUDA, which keeps it in f32. Only `x0_formula` notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarFactor {
    /// Kept in f32: CUDA, what the released code did.
    Cuda,
    /// Rounded to bf16 before the product: CPU.
    Cpu,
}

/// Rounds to the nearest bf16, ties to even.
pub fn round(x: f32) -> f32 {
    bf16::from_f32(x).to_f32()
}

/// The mean of bf16 values as torch takes it: summed in f32, divided, rounded.
pub fn mean(values: &[f64]) -> f64 {
    let sum: f32 = values.iter().map(|v| *v as f32).sum();
    f64::from(round(sum / values.len() as f32))
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| round(*v)).collect()
}

fn l2(values: impl Iterator<Item = f32>) -> f32 {
    // f64 partial sums stand for torch's pairwise f32 ones; the result is rounded to bf16 either way.
    round(values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt() as f32)
}

fn difference(c: &[f32], u: &[f32]) -> Vec<f32> {
    c.iter().zip(u).map(|(c, u)| round(c - u)).collect()
}

fn normalize(values: Vec<f32>, normalization: Normalization, channels: usize) -> Vec<f32> {
    let divide = |values: &[f32], by: f32| values.iter().map(|v| round(v / by)).collect::<Vec<_>>();
    match normalization {
        Normalization::None => values,
        Normalization::L1 => {
            let norm = round(values.iter().map(|v| f64::from(v.abs())).sum::<f64>() as f32);
            divide(&values, norm)
        }
        Normalization::L2 => divide(&values, l2(values.iter().copied())),
        Normalization::SpatialL2 => {
            let area = values.len() / channels;
            let floor = SPATIAL_FLOOR as f32;
            values
                .chunks(area)
                .flat_map(|channel| divide(channel, round(l2(channel.iter().copied()) + floor)))
                .collect()
        }
    }
}

impl Pair<'_> {
    fn bf16_outputs(&self, normalization: Normalization) -> (Vec<f32>, Vec<f32>) {
        let prepare = |output: &[f32]| normalize(rounded(output), normalization, self.channels);
        (prepare(&self.unconditional.output), prepare(&self.conditional.output))
    }

    /// N of one generation. The released code has no branch for scores: `None`.
    pub fn norm_bf16(&self, space: Space, normalization: Normalization, factor: ScalarFactor) -> Option<f64> {
        let (u, c) = self.bf16_outputs(normalization);
        let d = match space {
            Space::ModelOutput => difference(&c, &u),
            Space::X0Formula => {
                // The scalars are f32 and do not promote the bf16 tensors; the divisor is s².
                let (a, s) = (self.scales().a as f32, self.scales().s as f32);
                let a = if factor == ScalarFactor::Cpu { round(a) } else { a };
                let x = rounded(self.x);
                let x0 = |v: &[f32]| -> Vec<f32> {
                    v.iter().zip(&x).map(|(v, x)| round(round(round(a * v) - x) / (s * s))).collect()
                };
                difference(&x0(&c), &x0(&u))
            }
            Space::Score => return None,
        };
        Some(f64::from(l2(d.into_iter())))
    }

    /// C of one generation.
    pub fn cosine_bf16(&self, mode: CosineMode, reduction: CosineReduction, normalization: Normalization) -> f64 {
        let (u, c) = self.bf16_outputs(normalization);
        let delta = difference(&c, &u);
        let (p, q) = match mode {
            CosineMode::UnconditionalDelta => (&u, &delta),
            CosineMode::ConditionalUnconditional => (&c, &u),
            CosineMode::ConditionalDelta => (&c, &delta),
        };
        match reduction {
            CosineReduction::Flatten => f64::from(cosine(p.iter().copied(), q.iter().copied())),
            CosineReduction::ChannelMean => {
                let map = channel_cosines(p, q, self.channels);
                f64::from(round(map.iter().sum::<f32>() / map.len() as f32))
            }
        }
    }
}

fn channel_cosines(p: &[f32], q: &[f32], channels: usize) -> Vec<f32> {
    let area = p.len() / channels;
    (0..area)
        .map(|i| cosine(p.iter().skip(i).step_by(area).copied(), q.iter().skip(i).step_by(area).copied()))
        .collect()
}

/// Rounded after: each norm, each division, the product, the sum.
fn cosine(p: impl Iterator<Item = f32> + Clone, q: impl Iterator<Item = f32> + Clone) -> f32 {
    let floor = round(COSINE_FLOOR as f32);
    let (p_norm, q_norm) = (l2(p.clone()).max(floor), l2(q.clone()).max(floor));
    round(p.zip(q).map(|(p, q)| round(round(p / p_norm) * round(q / q_norm))).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    /// Golden bf16 values of docs/spec/protocol.md §3.1, exact to the bit.
    #[test]
    fn cosine_map_mean_and_norm_equal_the_golden_values() {
        let [u, d] = golden::fields();
        let map = channel_cosines(&u, &d, 4);
        assert_eq!(map, [0.96875, -0.2314453125]);
        assert_eq!(round(map.iter().sum::<f32>() / 2.0), 0.369140625);
        assert_eq!(l2(d.into_iter()), 0.1796875);
    }

    /// Golden SD 2 norm of docs/spec/protocol.md §3.1: cancellation in (a v − x).
    #[test]
    fn x0_formula_norm_equals_the_golden_value() {
        let (x, [u, c]) = golden::sd2();
        let pair = Pair { x: &x, channels: 4, unconditional: &u, conditional: &c };
        let norm = |space, factor| pair.norm_bf16(space, Normalization::None, factor);
        assert_eq!(norm(Space::X0Formula, ScalarFactor::Cpu), Some(0.027099609375));
        // In f32 the second difference vanishes: d = (0.009765625, 0, 0.00390625, -0.01953125).
        assert_eq!(norm(Space::X0Formula, ScalarFactor::Cuda), Some(f64::from(round(0.022_181_7))));
        assert_eq!(norm(Space::Score, ScalarFactor::Cuda), None);
    }

    #[test]
    fn the_mean_over_generations_is_rounded() {
        assert_eq!(mean(&[1.0, 1.0078125]), f64::from(round(1.00390625)));
    }
}
