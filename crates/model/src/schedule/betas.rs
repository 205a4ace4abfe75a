//! How the noise grows over the training steps, and ᾱ of it.

use crate::{config::Config, error::Result};

/// How β grows over the training steps, in diffusers' words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Betas {
    /// Evenly from the first to the second.
    Linear(f64, f64),
    /// The square of what grows evenly from one root to the other.
    ScaledLinear(f64, f64),
    /// From a squared cosine, Nichol and Dhariwal 2021, Eq. 17.
    SquaredCosine,
}

impl Betas {
    pub(super) fn from_config(config: &Config) -> Result<Self> {
        let (start, end) = (config.positive("beta_start", 0.0001, 1.0)?, config.positive("beta_end", 0.02, 1.0)?);
        if start > end || end >= 1.0 {
            let reason = format!("= {start} and 'beta_end' = {end} must be increasing and below 1");
            return Err(config.invalid("beta_start", reason));
        }
        match config.text("beta_schedule", "linear")? {
            "linear" => Ok(Self::Linear(start, end)),
            "scaled_linear" => Ok(Self::ScaledLinear(start, end)),
            "squaredcos_cap_v2" => Ok(Self::SquaredCosine),
            other => {
                let supported = "linear, scaled_linear, squaredcos_cap_v2";
                Err(config.unsupported("beta_schedule", &other.into(), supported))
            }
        }
    }

    /// β of training step `k` of `steps`, in f32 like torch.
    fn at(self, k: usize, steps: usize) -> f32 {
        match self {
            Self::Linear(start, end) => linspace(start as f32, end as f32, k, steps),
            Self::ScaledLinear(start, end) => linspace(start.sqrt() as f32, end.sqrt() as f32, k, steps).powi(2),
            Self::SquaredCosine => {
                let bar = |k: usize| {
                    let t = k as f64 / steps as f64;
                    ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2)
                };
                (1.0 - bar(k + 1) / bar(k)).min(0.999) as f32
            }
        }
    }
}

/// `torch.linspace(first, last, steps)[k]` in f32: it walks from both ends to the middle.
fn linspace(first: f32, last: f32, k: usize, steps: usize) -> f32 {
    let step = (last - first) / (steps.max(2) - 1) as f32;
    if k < steps / 2 { first + step * k as f32 } else { last - step * (steps - 1 - k) as f32 }
}

/// ᾱ of the betas, in f32 like torch.
pub(super) fn alphas_cumprod(steps: usize, betas: Betas) -> Vec<f32> {
    product((0..steps).map(|k| 1.0 - betas.at(k, steps)))
}

/// torch accumulates the product of f32 factors in f64 and rounds each element.
fn product(factors: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut product = 1.0f64;
    let next = |factor| {
        product *= f64::from(factor);
        product as f32
    };
    factors.map(next).collect()
}

/// ᾱ shifted and scaled so that the last training step has no signal at all (Lin et al. 2023, Algorithm 1), in f32 as
/// diffusers' `rescale_zero_terminal_snr` computes it.
pub(super) fn rescaled(alphas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas.iter().map(|alpha| alpha.sqrt()).collect();
    let (Some(first), Some(last)) = (roots.first().copied(), roots.last().copied()) else { return vec![] };
    let scale = first / (first - last);
    let bars: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    // Through the betas and back.
    let beta = |i: usize| 1.0 - if i == 0 { bars[0] } else { bars[i] / bars[i - 1] };
    product((0..bars.len()).map(|i| 1.0 - beta(i)))
}
