//! Adjustment of the initial noise (Han et al. 2025; docs/spec/mitigation.md §9).

use memscope_metric::{OwnCalls, T_NORM};
use memscope_model::{
    Error as ModelError, Prediction, Sampling,
    cost::{Pass, SamplesPerCall},
};

use crate::{
    adam::Adam,
    error::{Error, Result},
    guidance::Guidance,
    method::{Changed, Ending, Mitigation, Subject},
    passes::{Traced, predict},
    sample::distance,
};

/// x ← x − γ (d(x + ρ d/‖d‖) − d(x)) for each latent, without gradient; d = c − u at t = 981.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchWise {
    /// Length of the step along d.
    pub rho: f64,
    /// Length of the update.
    pub gamma: f64,
    /// Updates.
    pub iterations: usize,
    /// First steps of the trajectory that follow the empty prompt's prediction alone.
    pub unguided_steps: usize,
}

impl Default for BatchWise {
    /// Those of the released script.
    fn default() -> Self {
        Self { rho: 50.0, gamma: 0.7, iterations: 2, unguided_steps: 5 }
    }
}

/// AdamW on each latent until its ‖d‖ is small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerSample {
    /// AdamW's learning rate.
    pub learning_rate: f64,
    /// ‖d‖ at which a latent is done.
    pub target: f64,
    /// Steps at most.
    pub iterations: usize,
}

impl Default for PerSample {
    /// Those of the released script; its limit of 1,000 iterations is that of the function, 10.
    fn default() -> Self {
        Self { learning_rate: 0.01, target: 0.9, iterations: 10 }
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Han {
    /// All latents, by the same rule.
    BatchWise(BatchWise),
    /// Each latent until it is done.
    PerSample(PerSample),
}

const NAME: &str = "han";
const WEIGHT_DECAY: f64 = 0.01;

impl Han {
    /// Refuses what cannot be used.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn checked(self) -> Result<Self> {
        let refuse = |reason: String| Err(Error::setting(NAME, reason));
        match self {
            Self::BatchWise(BatchWise { rho, gamma, .. }) if !rho.is_finite() || !gamma.is_finite() => {
                refuse("rho and gamma must be numbers".into())
            }
            Self::BatchWise(BatchWise { iterations, .. }) | Self::PerSample(PerSample { iterations, .. })
                if !(1..=10_000).contains(&iterations) =>
            {
                refuse(format!("iterations {iterations} must lie in 1..=10000"))
            }
            Self::PerSample(PerSample { learning_rate, target, .. })
                if !(learning_rate > 0.0 && learning_rate <= 1e3 && target.is_finite()) =>
            {
                refuse("learning_rate must lie above 0 and be at most 1000, target must be a number".into())
            }
            other => Ok(other),
        }
    }
}

/// d of each latent.
fn directions(subject: &Subject, latents: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let unconditional = predict(subject.model, latents, T_NORM, subject.empty)?;
    let conditional = predict(subject.model, latents, T_NORM, subject.embedding)?;
    let difference = |(u, c): (&Prediction, &Prediction)| c.output.iter().zip(&u.output).map(|(c, u)| c - u).collect();
    Ok(unconditional.iter().zip(&conditional).map(difference).collect())
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl BatchWise {
    fn apply(self, subject: &Subject) -> Result<Changed> {
        let mut changed = subject.unchanged();
        for iteration in 0..=self.iterations {
            if (subject.stop)() {
                return Err(Error::Stopped);
            }
            let directions = directions(subject, &changed.latents)?;
            changed.losses.push(mean(&directions.iter().map(|d| norm(d)).collect::<Vec<_>>()));
            if iteration == self.iterations {
                break;
            }
            let moved: Vec<Vec<f32>> = changed
                .latents
                .iter()
                .zip(&directions)
                .map(|(x, d)| {
                    let factor = (self.rho / norm(d)) as f32;
                    x.iter().zip(d).map(|(x, d)| x + factor * d).collect()
                })
                .collect();
            let beyond = match self::directions(subject, &moved) {
                Err(Error::Model(ModelError::NonFiniteOutput { .. })) => {
                    changed.ending = Ending::NonFinite;
                    break;
                }
                other => other?,
            };
            let gamma = self.gamma as f32;
            for ((x, d), beyond) in changed.latents.iter_mut().zip(&directions).zip(&beyond) {
                x.iter_mut().zip(d).zip(beyond).for_each(|((x, d), beyond)| *x -= gamma * (beyond - d));
            }
        }
        changed.guidance =
            Guidance::BeforeStep { before: 0.0, steps: vec![self.unguided_steps; changed.latents.len()] };
        Ok(changed)
    }
}

impl PerSample {
    fn apply(self, subject: &Subject) -> Result<Changed> {
        let mut changed = subject.unchanged();
        let size = changed.latents.first().map_or(0, Vec::len);
        let mut adams: Vec<Adam> =
            changed.latents.iter().map(|_| Adam::new(size, self.learning_rate, WEIGHT_DECAY)).collect();
        // The latents as they are moved, beside the last ones that are known to be good.
        let mut moved = changed.latents.clone();
        let mut norms = vec![f64::INFINITY; moved.len()];
        let mut open: Vec<usize> = (0..moved.len()).collect();
        changed.ending = Ending::NotReached;
        for iteration in 0..=self.iterations {
            if (subject.stop)() {
                return Err(Error::Stopped);
            }
            let latents: Vec<Vec<f32>> = open.iter().map(|i| moved[*i].clone()).collect();
            let unconditional = Traced::new(subject.model, &latents, T_NORM, subject.empty)?;
            let conditional = Traced::new(subject.model, &latents, T_NORM, subject.embedding)?;
            if !unconditional.is_finite() || !conditional.is_finite() {
                changed.ending = Ending::NonFinite;
                break;
            }
            let (u, c) = (unconditional.predictions(), conditional.predictions());
            for (place, &i) in open.iter().enumerate() {
                norms[i] = distance(&c[place].output, &u[place].output);
                changed.latents[i].clone_from(&moved[i]);
            }
            changed.losses.push(mean(&norms));
            let is_open = |i: &usize| norms[*i] > self.target;
            if !open.iter().any(is_open) {
                changed.ending = Ending::Reached;
                break;
            }
            if iteration == self.iterations {
                break;
            }
            let cotangent = |sign: f32| -> Vec<Vec<f32>> {
                let of = |(place, i): (usize, &usize)| {
                    let scale = sign / norms[*i] as f32;
                    c[place].output.iter().zip(&u[place].output).map(|(c, u)| scale * (c - u)).collect()
                };
                open.iter().enumerate().map(of).collect()
            };
            let (of_c, of_u) = (cotangent(1.0), cotangent(-1.0));
            let by_c = conditional.latent_gradient(&of_c)?;
            let by_u = unconditional.latent_gradient(&of_u)?;
            for (place, i) in open.iter().enumerate().filter(|(_, i)| is_open(i)) {
                let gradient: Vec<f32> = by_c[place].iter().zip(&by_u[place]).map(|(c, u)| c + u).collect();
                adams[*i].step(&mut moved[*i], &gradient);
            }
            open.retain(is_open);
        }
        Ok(changed)
    }
}

impl Mitigation for Han {
    fn name(&self) -> &'static str {
        NAME
    }

    fn id(&self) -> String {
        format!("noise/{self:?}")
    }

    fn cost(&self, images: usize, _: Sampling) -> Vec<OwnCalls> {
        match self {
            // d at x and beyond it for every update, and d of what comes out.
            Self::BatchWise(settings) => {
                vec![OwnCalls::predictions((4 * settings.iterations + 2) * images, images)]
            }
            Self::PerSample(settings) => vec![OwnCalls {
                pass: Pass::Vjp,
                calls: 2 * (settings.iterations + 1) * images,
                samples_per_call: SamplesPerCall::Fixed(2 * images),
            }],
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self, Self::BatchWise(_))
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        match self {
            Self::BatchWise(settings) => settings.apply(subject),
            Self::PerSample(settings) => settings.apply(subject),
        }
    }
}
