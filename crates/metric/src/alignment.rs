//! The quantities of Theorem 1 where a network's score has them (docs/spec/theory.md §1).

use memscope_model::{
    Error, PredictionInput, Result,
    cost::{Pass, SamplesPerCall},
};
use nalgebra::{DMatrix, DVector};

use crate::{
    generation::Generation,
    hessian::{BATCH, ScoreKind, ScoreProducts},
    measure::{Measure, OwnCalls},
    request::PredictionRequest,
    theory::{Local, dense},
    trajectory::{along, walk_calls},
};

/// Reads the two scores at x_t as those of Gaussians and measures what Theorem 1 assumes of them.
///
/// See [`Local`]; H = (J + Jᵀ)/2. Needs the whole Jacobians: 2·C·H·W products for each prompt and timestep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    timesteps: Vec<usize>,
    dim: usize,
}

/// The numbers of every timestep.
const FIELDS: [&str; 5] = ["cosine", "alpha", "epsilon", "tau", "definite"];

impl Alignment {
    /// At these timesteps of the 50-step trajectory; `dim` = C·H·W.
    pub fn new(timesteps: Vec<usize>, dim: usize) -> Self {
        Self { timesteps, dim }
    }

    /// The name of a number: `cosine`, `alpha`, `epsilon`, `tau`, or `definite` as 1 or 0.
    pub fn name_of(t: usize, field: &str) -> String {
        format!("t={t}/{field}")
    }
}

impl Measure for Alignment {
    fn id(&self) -> String {
        let timesteps: Vec<String> = self.timesteps.iter().map(ToString::to_string).collect();
        format!("alignment/t={}/f32", timesteps.join(","))
    }

    fn names(&self) -> Vec<String> {
        self.timesteps.iter().flat_map(|t| FIELDS.iter().map(|field| Self::name_of(*t, field))).collect()
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![]
    }

    /// The trajectory, and for every timestep both predictions and all products with both Jacobians.
    fn own(&self) -> Vec<OwnCalls> {
        let products = OwnCalls {
            pass: Pass::Jvp,
            calls: self.timesteps.len() * 2 * self.dim,
            samples_per_call: SamplesPerCall::Fixed(BATCH.get()),
        };
        vec![walk_calls(), OwnCalls::predictions(self.timesteps.len() * 2, 2), products]
    }

    fn most_at_once(&self) -> usize {
        1
    }

    fn measure(&self, generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
        along(generations, &self.timesteps, at)
    }
}

fn at(generation: &Generation, x: &[f32], t: usize) -> Result<[f64; FIELDS.len()]> {
    let inputs = [generation.empty(), generation.prompt()].map(|prompt| PredictionInput { x, t, prompt });
    let scores: Vec<DVector<f64>> =
        generation.model().predict_batch(&inputs)?.iter().map(|prediction| prediction.score(x).into()).collect();
    let products = ScoreProducts::new(generation, x, t)?;
    let failed = |reason: String| Error::Argument(format!("alignment at t = {t}: {reason}"));
    let hessian = |kind| {
        let jacobian = dense(&products.jacobian(kind), BATCH).map_err(|e| failed(e.to_string()))?;
        Ok::<DMatrix<f64>, Error>((&jacobian + jacobian.transpose()) / 2.0)
    };
    let (h, h_c) = (hessian(ScoreKind::Unconditional)?, hessian(ScoreKind::Conditional)?);
    let [s, s_c] = &scores[..] else { return Err(failed("the network gave no answer".into())) };

    let local = Local::new(&h, &h_c, s, s_c).ok_or_else(|| failed("the Hessian is singular".into()))?;
    Ok([local.cosine, local.alpha, local.epsilon, local.tau, f64::from(u8::from(local.definite))])
}
