//! SAIL: optimisation of the initial noise (Jeon et al. 2025; docs/spec/mitigation.md §3).

use memscope_metric::{OwnCalls, T_NORM};
use memscope_model::{
    Parameterization, Prediction, Sampling,
    cost::{Pass, SamplesPerCall},
};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    adam::Adam,
    error::{Error, Result},
    method::{Changed, Ending, Mitigation, Subject},
    passes::Traced,
    sample::distance,
};

/// Whose procedure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// The publication's: the direction u is that of the latent as it is now, and every round has a seed of its own.
    #[default]
    Cleaned,
    /// The released code's: u stays that of the first noise of a round, and three rounds share a seed, so that they keep
    /// the same latents again.
    Exact,
}

/// Searches latents whose sharpness is low: ‖D₁‖ + λ‖x‖ with D₁ = d(x + u), u = d(x)/‖d(x)‖, d = ε_c − ε_u at t = 981.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sail {
    /// Latents at a time.
    pub budget: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Steps in a round.
    pub steps: usize,
    /// Loss at which a latent is kept; grows by 0.1 after every third round.
    pub threshold: f64,
    /// λ; by default 0.05 for ε-models, 0.01 for v-models.
    pub penalty: Option<f64>,
    /// Rounds at most; the released code has no bound.
    pub rounds: usize,
    /// Whose procedure.
    pub release: Release,
}

impl Default for Sail {
    /// Those of the released script for Stable Diffusion 1.4.
    fn default() -> Self {
        Self {
            budget: 8,
            learning_rate: 0.05,
            steps: 10,
            threshold: 8.2,
            penalty: None,
            rounds: 6,
            release: Release::default(),
        }
    }
}

const NAME: &str = "jeon";
/// Rounds after which the threshold grows, and by how much.
const PATIENCE: usize = 3;
const GROWTH: f64 = 0.1;
/// Seeds are drawn below this number.
const SEEDS: u64 = 50_000;

impl Sail {
    /// Refuses what cannot be used.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn checked(self) -> Result<Self> {
        let refuse = |reason: &str| Err(Error::setting(NAME, reason));
        match self {
            Self { budget, .. } if !(1..=1024).contains(&budget) => refuse("budget must lie in 1..=1024"),
            Self { steps, rounds, .. } if !(1..=1000).contains(&steps) || !(1..=1000).contains(&rounds) => {
                refuse("steps and rounds must lie in 1..=1000")
            }
            Self { learning_rate, threshold, penalty, .. }
                if !(learning_rate > 0.0 && learning_rate <= 1e3 && threshold.is_finite())
                    || penalty.is_some_and(|penalty| !penalty.is_finite()) =>
            {
                refuse("learning_rate must lie above 0 and be at most 1000, threshold and penalty must be numbers")
            }
            other => Ok(other),
        }
    }

    /// The seed of a round; the first is the prompt's.
    fn seed(&self, seed: u64, round: usize) -> u64 {
        let drawn = match self.release {
            Release::Exact => round / PATIENCE,
            Release::Cleaned => round,
        };
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        (0..drawn).map(|_| ((u128::from(rng.next_u64()) * u128::from(SEEDS)) >> 64) as u64).last().unwrap_or(seed)
    }
}

/// Both traced passes of some latents, and the difference of ε that they give.
#[derive(Clone)]
struct Difference<'m> {
    conditional: Traced<'m>,
    unconditional: Traced<'m>,
    /// dε/d(output).
    slope: f64,
    /// ε_c − ε_u of each latent, and its length.
    values: Vec<Vec<f64>>,
    lengths: Vec<f64>,
}

impl<'m> Difference<'m> {
    fn new(subject: &Subject<'m>, latents: &[Vec<f32>]) -> Result<Option<Self>> {
        let model = subject.model;
        let conditional = Traced::new(model, latents, T_NORM, subject.embedding)?;
        let unconditional = Traced::new(model, latents, T_NORM, subject.empty)?;
        if !conditional.is_finite() || !unconditional.is_finite() {
            return Ok(None);
        }
        let scales = model.schedule().scales(T_NORM)?;
        // For v-models the code treats (x − a v)/s as ε.
        let slope = match model.schedule().parameterization() {
            Parameterization::Epsilon => 1.0,
            Parameterization::V => -scales.a / scales.s,
        };
        let of = |(c, u): (&Prediction, &Prediction)| -> Vec<f64> {
            c.output.iter().zip(&u.output).map(|(c, u)| slope * (f64::from(*c) - f64::from(*u))).collect()
        };
        let pairs = || conditional.predictions().iter().zip(unconditional.predictions());
        let values: Vec<Vec<f64>> = pairs().map(of).collect();
        let lengths = pairs().map(|(c, u)| slope.abs() * distance(&c.output, &u.output)).collect();
        Ok(Some(Self { conditional, unconditional, slope, values, lengths }))
    }

    /// The gradient in each latent of a loss whose gradient in the difference is given.
    fn gradient(self, by_difference: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let cotangents = |sign: f64| -> Vec<Vec<f32>> {
            let row = |row: &Vec<f64>| row.iter().map(|g| (sign * self.slope * g) as f32).collect();
            by_difference.iter().map(row).collect()
        };
        let by_c = self.conditional.latent_gradient(&cotangents(1.0))?;
        let by_u = self.unconditional.latent_gradient(&cotangents(-1.0))?;
        let sum =
            |(c, u): (Vec<f32>, Vec<f32>)| c.into_iter().zip(u).map(|(c, u)| f64::from(c) + f64::from(u)).collect();
        Ok(by_c.into_iter().zip(by_u).map(sum).collect())
    }

    fn directions(&self) -> Vec<Vec<f64>> {
        let unit = |(d, length): (&Vec<f64>, &f64)| d.iter().map(|d| d / length).collect();
        self.values.iter().zip(&self.lengths).map(unit).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What a round has found.
struct Round {
    kept: Vec<Vec<f32>>,
    /// The latents it ended with, by their loss.
    others: Vec<(f64, Vec<f32>)>,
    /// The mean loss before each step.
    losses: Vec<f64>,
    is_finite: bool,
}

impl Sail {
    fn round(&self, subject: &Subject, seed: u64, threshold: f64, wanted: usize) -> Result<Round> {
        let penalty = self.penalty.unwrap_or(match subject.model.schedule().parameterization() {
            Parameterization::Epsilon => 0.05,
            Parameterization::V => 0.01,
        });
        let mut latents = (subject.noise)(seed, self.budget);
        let mut adams: Vec<Adam> = latents.iter().map(|x| Adam::new(x.len(), self.learning_rate, 0.0)).collect();
        let mut is_kept = vec![false; latents.len()];
        let mut round = Round { kept: vec![], others: vec![], losses: vec![], is_finite: true };
        let mut base: Option<Difference> = None;
        for _ in 0..self.steps {
            if (subject.stop)() {
                return Err(Error::Stopped);
            }
            if base.is_none() || self.release == Release::Cleaned {
                base = Difference::new(subject, &latents)?;
            }
            let Some(from) = &base else {
                round.is_finite = false;
                return Ok(round);
            };
            let directions = from.directions();
            let along = |(x, u): (&Vec<f32>, &Vec<f64>)| x.iter().zip(u).map(|(x, u)| x + *u as f32).collect();
            let moved: Vec<Vec<f32>> = latents.iter().zip(&directions).map(along).collect();
            let Some(at) = Difference::new(subject, &moved)? else {
                round.is_finite = false;
                return Ok(round);
            };
            let sizes: Vec<f64> =
                latents.iter().map(|x| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()).collect();
            let losses: Vec<f64> =
                at.lengths.iter().zip(&sizes).map(|(length, size)| length + penalty * size).collect();
            round.losses.push(losses.iter().sum::<f64>() / losses.len() as f64);
            round.others.clear();
            for (i, loss) in losses.iter().enumerate() {
                if *loss <= threshold && !is_kept[i] {
                    is_kept[i] = true;
                    round.kept.push(latents[i].clone());
                }
                if !is_kept[i] {
                    round.others.push((*loss, latents[i].clone()));
                }
            }
            if round.kept.len() >= wanted {
                break;
            }
            // ‖D₁‖ depends on the latent itself and, through u, on the base.
            let onwards = at.directions();
            let by_moved = at.gradient(&onwards)?;
            let through = |((g, u), length): ((&Vec<f64>, &Vec<f64>), &f64)| {
                let along = dot(g, u);
                g.iter().zip(u).map(|(g, u)| (g - along * u) / length).collect::<Vec<f64>>()
            };
            let by_base: Vec<Vec<f64>> = by_moved.iter().zip(&directions).zip(&from.lengths).map(through).collect();
            let by_base = from.clone().gradient(&by_base)?;
            for (i, x) in latents.iter_mut().enumerate() {
                let sum = by_moved[i].iter().zip(&by_base[i]).zip(x.iter());
                let gradient: Vec<f32> =
                    sum.map(|((a, b), x)| (a + b + penalty * f64::from(*x) / sizes[i]) as f32).collect();
                adams[i].step(x, &gradient);
            }
        }
        Ok(round)
    }
}

impl Mitigation for Sail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn id(&self) -> String {
        format!("{self:?}")
    }

    fn cost(&self, _: usize, _: Sampling) -> Vec<OwnCalls> {
        let base = match self.release {
            Release::Exact => 1,
            Release::Cleaned => self.steps,
        };
        vec![OwnCalls {
            pass: Pass::Vjp,
            calls: self.rounds * (base + self.steps) * 2 * self.budget,
            samples_per_call: SamplesPerCall::Fixed(4 * self.budget),
        }]
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        let mut changed = subject.unchanged();
        let (mut kept, mut threshold): (Vec<Vec<f32>>, f64) = (vec![], self.threshold);
        let mut others = vec![];
        changed.ending = Ending::NotReached;
        for round in 0..self.rounds {
            let wanted = subject.images - kept.len();
            let found = self.round(subject, self.seed(subject.seed, round), threshold, wanted)?;
            changed.losses.extend(found.losses);
            kept.extend(found.kept);
            others = found.others;
            if !found.is_finite {
                changed.ending = Ending::NonFinite;
                break;
            }
            if kept.len() >= subject.images {
                changed.ending = Ending::Reached;
                break;
            }
            if (round + 1) % PATIENCE == 0 {
                threshold += GROWTH;
            }
        }
        // Where too few were found, the best of the last round, then the noise itself.
        others.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept.extend(others.into_iter().map(|(_, x)| x));
        kept.extend(changed.latents);
        kept.truncate(subject.images);
        changed.latents = kept;
        Ok(changed)
    }
}
