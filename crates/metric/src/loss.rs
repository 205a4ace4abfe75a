//! Detectors as losses: a number of the predictions, with its gradient in every output of the network.

use std::fmt::Debug;

use memscope_model::{Parameterization, Prediction};

use crate::{
    options::{CosineMode, CosineReduction, Input, Normalization, Numerics, Space},
    pair::{COSINE_FLOOR, delta_factor},
    protocol::ResolvedProtocol,
};

/// Both predictions of every latent of a batch at one timestep.
#[derive(Clone, Copy, Debug)]
pub struct LossInput<'a> {
    /// The latents, flattened (C, H, W) each.
    pub latents: &'a [Vec<f32>],
    /// Channels C of a latent.
    pub channels: usize,
    /// Under the empty prompt, one for each latent.
    pub unconditional: &'a [Prediction],
    /// Under the prompt, one for each latent.
    pub conditional: &'a [Prediction],
}

/// A loss and its gradients in the network's raw outputs, flattened (C, H, W) each.
#[derive(Clone, Debug, PartialEq)]
pub struct LossGradients {
    /// The loss, in the unit of its detector's score.
    pub value: f64,
    /// ∂loss/∂c, by timestep (in the order of [`Loss::timesteps`]), then by latent.
    pub conditional: Vec<Vec<Vec<f32>>>,
    /// ∂loss/∂u, likewise.
    pub unconditional: Vec<Vec<Vec<f32>>>,
}

/// A detector's score on pure noise as a loss. A chain rule through the network's [`Trace`](memscope_model::unet::Trace) turns
/// its gradients into those of the prompt embedding or the latent.
pub trait Loss: Debug + Send + Sync {
    /// What determines it, as part of a key.
    fn id(&self) -> String;

    /// The timesteps at which both predictions are read, each once.
    fn timesteps(&self) -> Vec<usize>;

    /// The loss and its gradients; `at` holds the predictions at [`Self::timesteps`], in order.
    fn evaluate(&self, at: &[LossInput]) -> LossGradients;
}

/// How the norms of a batch become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The mean of the latents' norms, as a score is.
    Latents,
    /// The norm of the whole batch as one vector, which grows with the root of its size (docs/spec/mitigation.md §1).
    Batch,
}

/// One part of a loss: ‖c − u‖ or its square, or a cosine, times a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossTerm {
    /// Timestep.
    pub t: usize,
    /// Factor.
    pub weight: f64,
    /// What is taken at the timestep.
    pub kind: TermKind,
}

/// What a part of a loss is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// ‖c − u‖₂.
    Norm {
        /// Space of the difference.
        space: Space,
        /// How latents are combined.
        over: Over,
    },
    /// ‖c − u‖₂² of the raw outputs, averaged over latents.
    SquaredNorm,
    /// A cosine, averaged over latents.
    Cosine {
        /// Which two vectors.
        mode: CosineMode,
        /// Over which elements.
        reduction: CosineReduction,
        /// Raw output or score.
        space: Space,
    },
}

/// A weighted sum of norms and cosines.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedLoss {
    terms: Vec<LossTerm>,
}

impl WeightedLoss {
    /// The sum of these parts.
    pub fn new(terms: Vec<LossTerm>) -> Self {
        Self { terms }
    }
}

/// Whether norms and cosines under these options have gradients here: plain ones on pure noise, in exact arithmetic.
pub fn is_differentiable(protocol: &ResolvedProtocol) -> bool {
    protocol.input == Input::Noise
        && protocol.numerics == Numerics::F32
        && protocol.normalization == Normalization::None
}

impl Loss for WeightedLoss {
    fn id(&self) -> String {
        let part = |term: &LossTerm| {
            let kind = match term.kind {
                TermKind::Norm { space, over: Over::Latents } => format!("norm/{space}"),
                TermKind::Norm { space, over: Over::Batch } => format!("norm-of-batch/{space}"),
                TermKind::SquaredNorm => "squared-norm".to_owned(),
                TermKind::Cosine { mode, reduction, space } => format!("cosine/{mode}/{reduction}/{space}"),
            };
            format!("{}*{kind}@{}", term.weight, term.t)
        };
        self.terms.iter().map(part).collect::<Vec<_>>().join("+")
    }

    fn timesteps(&self) -> Vec<usize> {
        let mut timesteps: Vec<usize> = vec![];
        self.terms.iter().for_each(|term| {
            if !timesteps.contains(&term.t) {
                timesteps.push(term.t);
            }
        });
        timesteps
    }

    fn evaluate(&self, at: &[LossInput]) -> LossGradients {
        let timesteps = self.timesteps();
        let zeros = |input: &LossInput| vec![vec![0.0; input.latents.first().map_or(0, Vec::len)]; input.latents.len()];
        let mut sum: (f64, Vec<Gradients>) =
            (0.0, at.iter().map(|input| Gradients { c: zeros(input), u: zeros(input) }).collect());
        for term in &self.terms {
            let Some(place) = timesteps.iter().position(|t| *t == term.t) else { continue };
            let Some((input, gradients)) = at.get(place).zip(sum.1.get_mut(place)) else { continue };
            sum.0 += term.weight * add_term(term, input, gradients);
        }
        let narrow = |rows: Vec<Vec<f64>>| -> Vec<Vec<f32>> {
            rows.into_iter().map(|row| row.into_iter().map(|g| g as f32).collect()).collect()
        };
        let (conditional, unconditional) = sum.1.into_iter().map(|g| (narrow(g.c), narrow(g.u))).unzip();
        LossGradients { value: sum.0, conditional, unconditional }
    }
}

/// Sums of gradients at one timestep, by latent.
struct Gradients {
    c: Vec<Vec<f64>>,
    u: Vec<Vec<f64>>,
}

/// The value of a term without its weight; its weighted gradients are added.
fn add_term(term: &LossTerm, input: &LossInput, gradients: &mut Gradients) -> f64 {
    let count = input.latents.len() as f64;
    let pairs = || input.unconditional.iter().zip(input.conditional);
    let deltas: Vec<Vec<f64>> = match term.kind {
        TermKind::Cosine { .. } => vec![],
        _ => pairs().map(|(u, c)| difference(&c.output, &u.output)).collect(),
    };
    let squares: Vec<f64> = deltas.iter().map(|delta| delta.iter().map(|d| d * d).sum()).collect();
    let mut add = |latent: usize, factor: f64| {
        for (i, d) in deltas[latent].iter().enumerate() {
            gradients.c[latent][i] += factor * d;
            gradients.u[latent][i] -= factor * d;
        }
    };
    match term.kind {
        TermKind::Norm { space, over } => {
            let Some(first) = input.conditional.first() else { return 0.0 };
            let scale = delta_factor(space, first.parameterization, first.scales);
            match over {
                Over::Batch => {
                    let norm = squares.iter().sum::<f64>().sqrt();
                    (0..deltas.len()).for_each(|latent| add(latent, term.weight * scale / norm));
                    scale * norm
                }
                Over::Latents => {
                    for (latent, square) in squares.iter().enumerate() {
                        add(latent, term.weight * scale / (count * square.sqrt()));
                    }
                    scale * squares.iter().map(|square| square.sqrt()).sum::<f64>() / count
                }
            }
        }
        TermKind::SquaredNorm => {
            (0..deltas.len()).for_each(|latent| add(latent, 2.0 * term.weight / count));
            squares.iter().sum::<f64>() / count
        }
        TermKind::Cosine { mode, reduction, space } => {
            let mut value = 0.0;
            for latent in 0..input.latents.len() {
                let (cosine, c, u) = cosine_gradients(input, latent, (mode, reduction, space));
                value += cosine / count;
                let factor = term.weight / count;
                gradients.c[latent].iter_mut().zip(c).for_each(|(sum, g)| *sum += factor * g);
                gradients.u[latent].iter_mut().zip(u).for_each(|(sum, g)| *sum += factor * g);
            }
            value
        }
    }
}

fn difference(c: &[f32], u: &[f32]) -> Vec<f64> {
    c.iter().zip(u).map(|(c, u)| f64::from(*c) - f64::from(*u)).collect()
}

/// A latent's cosine with its gradients in the raw outputs c and u.
fn cosine_gradients(
    input: &LossInput,
    latent: usize,
    (mode, reduction, space): (CosineMode, CosineReduction, Space),
) -> (f64, Vec<f64>, Vec<f64>) {
    let (c, u) = (&input.conditional[latent], &input.unconditional[latent]);
    // Scores of an ε-model are its outputs times one number, which no cosine sees; those of a v-model also hold x.
    let slope = match (space, c.parameterization) {
        (Space::Score, Parameterization::V) => -c.scales.a / c.scales.s,
        _ => 1.0,
    };
    let read = |prediction: &Prediction| match (space, prediction.parameterization) {
        (Space::Score, Parameterization::V) => prediction.score(&input.latents[latent]),
        _ => prediction.output.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>(),
    };
    let (u, c) = (read(u), read(c));
    let delta: Vec<f64> = c.iter().zip(&u).map(|(c, u)| c - u).collect();
    // The two vectors p and q, and how each depends on (c, u).
    let ((p, of_p), (q, of_q)) = match mode {
        CosineMode::UnconditionalDelta => ((&u, (0.0, 1.0)), (&delta, (1.0, -1.0))),
        CosineMode::ConditionalUnconditional => ((&c, (1.0, 0.0)), (&u, (0.0, 1.0))),
        CosineMode::ConditionalDelta => ((&c, (1.0, 0.0)), (&delta, (1.0, -1.0))),
    };
    let groups: Vec<Vec<usize>> = match reduction {
        CosineReduction::Flatten => vec![(0..p.len()).collect()],
        CosineReduction::ChannelMean => {
            let area = p.len() / input.channels;
            (0..area).map(|i| (0..input.channels).map(|channel| channel * area + i).collect()).collect()
        }
    };
    let (mut value, mut by_c, mut by_u) = (0.0, vec![0.0; p.len()], vec![0.0; p.len()]);
    let share = 1.0 / groups.len() as f64;
    for group in &groups {
        let dot = |a: &[f64], b: &[f64]| group.iter().map(|i| a[*i] * b[*i]).sum::<f64>();
        let (pp, qq) = (dot(p, p).sqrt().max(COSINE_FLOOR), dot(q, q).sqrt().max(COSINE_FLOOR));
        let cosine = dot(p, q) / (pp * qq);
        value += share * cosine;
        for &i in group {
            let by_p = share * slope * (q[i] / (pp * qq) - cosine * p[i] / (pp * pp));
            let by_q = share * slope * (p[i] / (pp * qq) - cosine * q[i] / (qq * qq));
            by_c[i] += of_p.0 * by_p + of_q.0 * by_q;
            by_u[i] += of_p.1 * by_p + of_q.1 * by_q;
        }
    }
    (value, by_c, by_u)
}

#[cfg(test)]
mod tests {
    use memscope_model::Scales;

    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64).map(|i| ((i * 2_654_435_761 + seed * 7919) % 2003) as f32 / 700.0 - 1.3).collect()
    }

    /// Every kind of term in every space, against central differences of its own value.
    #[test]
    fn gradients_are_the_slopes_of_the_value() {
        let cosine = |mode: &CosineMode, reduction: &CosineReduction, space| TermKind::Cosine {
            mode: *mode,
            reduction: *reduction,
            space,
        };
        let mut kinds = vec![TermKind::SquaredNorm];
        for over in [Over::Latents, Over::Batch] {
            kinds.extend(Space::ALL.iter().map(|space| TermKind::Norm { space: *space, over }));
        }
        for mode in CosineMode::ALL {
            for reduction in CosineReduction::ALL {
                kinds.extend([Space::ModelOutput, Space::Score].map(|space| cosine(mode, reduction, space)));
            }
        }
        for parameterization in Parameterization::ALL {
            let scales = Scales { a: 0.6, s: 0.8 };
            let prediction = |seed| Prediction { output: numbers(12, seed), parameterization, scales };
            let latents = vec![numbers(12, 1), numbers(12, 2)];
            let (u, c) = (vec![prediction(3), prediction(4)], vec![prediction(5), prediction(6)]);
            for kind in &kinds {
                let loss = WeightedLoss::new(vec![LossTerm { t: 981, weight: -0.7, kind: *kind }]);
                let of = |u: &[Prediction], c: &[Prediction]| {
                    loss.evaluate(&[LossInput { latents: &latents, channels: 3, unconditional: u, conditional: c }])
                };
                let exact = of(&u, &c);
                for (latent, i) in [(0, 0), (0, 7), (1, 11)] {
                    for conditional in [true, false] {
                        let moved = |by: f32| {
                            let (mut u, mut c) = (u.clone(), c.clone());
                            if conditional {
                                c[latent].output[i] += by
                            } else {
                                u[latent].output[i] += by
                            }
                            of(&u, &c).value
                        };
                        let slope = (moved(0.0078125) - moved(-0.0078125)) / 0.015625;
                        let gradients = if conditional { &exact.conditional } else { &exact.unconditional };
                        let got = f64::from(gradients[0][latent][i]);
                        assert!((got - slope).abs() < 2e-3 * slope.abs().max(0.05), "{kind:?}: {got} {slope}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_timestep_of_several_parts_is_asked_once() {
        let part = |t, weight| LossTerm { t, weight, kind: TermKind::SquaredNorm };
        let loss = WeightedLoss::new(vec![part(981, 1.0), part(1, 2.0), part(981, 3.0)]);
        assert_eq!(loss.timesteps(), [981, 1]);
        assert_eq!(loss.id(), "1*squared-norm@981+2*squared-norm@1+3*squared-norm@981");
    }
}
