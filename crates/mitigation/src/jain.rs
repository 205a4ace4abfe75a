//! Guidance that begins later, or with the opposite sign (Jain et al. 2025; docs/spec/mitigation.md §9).

use memscope_metric::OwnCalls;
use memscope_model::Sampling;

use crate::{
    error::{Error, Result},
    guidance::{Guidance, local_minima},
    method::{Changed, Mitigation, Subject},
    passes::predict,
};

/// When guidance begins. The transition belongs to a picture: the published code draws one at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jain {
    /// Guidance `before` while t > `timestep`.
    Static {
        /// Until then: 0, or a negative number (opposite guidance).
        before: f64,
        /// The timestep t*.
        timestep: usize,
    },
    /// Guidance 1, the conditional prediction alone, until ‖c − u‖ has had its first strict local minimum.
    Dynamic,
    /// A first pass with the opposite guidance finds the transition; a second one has the opposite guidance before it.
    OppositeDynamic,
}

/// The transition where there is no local minimum.
const NO_MINIMUM: usize = 5;

impl Jain {
    /// Refuses what cannot be used.
    ///
    /// # Errors
    /// When the guidance before the transition is no number.
    pub fn checked(self) -> Result<Self> {
        match self {
            Self::Static { before, .. } if !before.is_finite() => {
                Err(Error::setting("jain", format!("before: {before} must be a number")))
            }
            other => Ok(other),
        }
    }
}

/// The transition of each picture: of 1 − cos(x_{k+1}, x_k) along a trajectory with the opposite guidance, the first strict
/// local minimum, or the second if the first one is at 1.
fn transitions(subject: &Subject, opposite: Sampling) -> Result<Vec<usize>> {
    let (model, mut latents) = (subject.model, subject.latents());
    let mut turns: Vec<Vec<f64>> = vec![vec![]; latents.len()];
    for t in model.schedule().timesteps(opposite.steps)? {
        if (subject.stop)() {
            return Err(Error::Stopped);
        }
        let unconditional = predict(model, &latents, t, subject.empty)?;
        let conditional = predict(model, &latents, t, subject.embedding)?;
        for (image, x) in latents.iter_mut().enumerate() {
            let before = x.clone();
            opposite.step(model.schedule(), x, &unconditional[image], &conditional[image], t)?;
            turns[image].push(1.0 - cosine(x, &before));
        }
    }
    let transition = |turns: &Vec<f64>| {
        let mut minima = local_minima(turns);
        match (minima.next(), minima.next()) {
            (Some(1), Some(second)) => second,
            (first, _) => first.unwrap_or(NO_MINIMUM),
        }
    };
    Ok(turns.iter().map(transition).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

impl Mitigation for Jain {
    fn name(&self) -> &'static str {
        "jain"
    }

    fn id(&self) -> String {
        format!("guidance/{self:?}")
    }

    fn cost(&self, images: usize, sampling: Sampling) -> Vec<OwnCalls> {
        match self {
            Self::OppositeDynamic => vec![OwnCalls::predictions(2 * sampling.steps * images, images)],
            _ => vec![],
        }
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        let guidance = match *self {
            Self::Static { before, timestep } => Guidance::AboveTimestep { before, timestep },
            Self::Dynamic => Guidance::UntilMinimum { before: 1.0 },
            Self::OppositeDynamic => {
                let opposite = Sampling { guidance: -subject.sampling.guidance, ..subject.sampling };
                Guidance::BeforeStep { before: opposite.guidance, steps: transitions(subject, opposite)? }
            }
        };
        Ok(Changed { guidance, ..subject.unchanged() })
    }
}
