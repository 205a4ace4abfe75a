//! The guided DDIM trajectory of a prompt, and the statistics of every pair of predictions along it.

use std::collections::BTreeMap;

use memscope_model::{Error, LatentDiffusion, Prediction, PredictionInput, Result, Sampling};

use crate::{
    generation::Generation,
    measure::{Measure, OwnCalls},
    options::{Normalization, Numerics},
    pair::Pair,
    protocol::ddim_timesteps,
    request::PredictionRequest,
    statistic::Statistic,
};

/// How trajectories are made: 50 steps, guidance 7.5.
pub(crate) const SAMPLING: Sampling = Sampling { steps: 50, guidance: 7.5 };

/// Where a set of trajectories stands, before its latents move.
pub struct TrajectoryStep<'a> {
    /// Timestep.
    pub t: usize,
    /// x_t of each generation, flattened (C, H, W).
    pub latents: &'a [Vec<f32>],
    /// The empty prompt's prediction for each.
    pub unconditional: &'a [Prediction],
    /// The prompt's prediction for each.
    pub conditional: &'a [Prediction],
}

/// Denoises every generation from its x_T under its prompt (50 DDIM steps, guidance 7.5); `visit` sees each step.
///
/// # Errors
/// The schedule does not visit the timesteps 981, 961, ..., 1, the network fails, or `visit` does.
pub fn walk(generations: &[Generation], mut visit: impl FnMut(&TrajectoryStep) -> Result<()>) -> Result<()> {
    let Some(first) = generations.first() else { return Ok(()) };
    let model = first.model();
    let timesteps = model.schedule().timesteps(SAMPLING.steps)?;
    if !timesteps.iter().copied().eq(ddim_timesteps()) {
        return Err(Error::Argument(format!("{} does not visit the timesteps 981, 961, ..., 1", model.source())));
    }
    let mut latents: Vec<Vec<f32>> = generations.iter().map(|generation| generation.x().to_vec()).collect();
    for t in timesteps {
        let (unconditional, conditional) = predictions(model, generations, &latents, t)?;
        visit(&TrajectoryStep { t, latents: &latents, unconditional: &unconditional, conditional: &conditional })?;
        for ((x, u), c) in latents.iter_mut().zip(&unconditional).zip(&conditional) {
            SAMPLING.step(model.schedule(), x, u, c, t)?;
        }
    }
    Ok(())
}

/// What `at` says of x_t (flattened (C, H, W)) at each of these timesteps of every generation's trajectory, generation by generation.
pub(crate) fn along<V: IntoIterator<Item = f64>>(
    generations: &[Generation],
    timesteps: &[usize],
    at: impl Fn(&Generation, &[f32], usize) -> Result<V>,
) -> Result<Vec<Vec<f64>>> {
    let mut kept = BTreeMap::new();
    walk(generations, |step| {
        if timesteps.contains(&step.t) {
            kept.insert(step.t, step.latents.to_vec());
        }
        Ok(())
    })?;
    let mut values = vec![vec![]; generations.len()];
    for &t in timesteps {
        let latents: &Vec<Vec<f32>> = kept.get(&t).ok_or_else(|| Error::Argument(format!("t = {t} is not visited")))?;
        for ((values, generation), x) in values.iter_mut().zip(generations).zip(latents) {
            values.extend(at(generation, x, t)?);
        }
    }
    Ok(values)
}

/// Network calls (samples) of a walk, per generation.
const WALK_CALLS: usize = 2 * SAMPLING.steps;

/// The calls of a walk, per generation: both predictions of a step at once.
pub fn walk_calls() -> OwnCalls {
    OwnCalls::predictions(WALK_CALLS, 2)
}

type Predictions = Vec<Prediction>;

fn predictions(
    model: &LatentDiffusion,
    generations: &[Generation],
    latents: &[Vec<f32>],
    t: usize,
) -> Result<(Predictions, Predictions)> {
    let pairs = || generations.iter().zip(latents);
    let empty = pairs().map(|(generation, x)| PredictionInput { x, t, prompt: generation.empty() });
    let prompts = pairs().map(|(generation, x)| PredictionInput { x, t, prompt: generation.prompt() });
    let mut unconditional = model.predict_batch(&empty.chain(prompts).collect::<Vec<_>>())?;
    let conditional = unconditional.split_off(generations.len());
    Ok((unconditional, conditional))
}

/// Measures norms and cosines of the pair at every timestep of the trajectory; without normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trajectory;

impl Trajectory {
    /// The name of a statistic at a timestep.
    pub(crate) fn name_of(t: usize, statistic: Statistic) -> String {
        format!("t={t}/{statistic}")
    }

    fn statistics() -> Vec<Statistic> {
        let plain = |statistic: &Statistic| match statistic {
            Statistic::Norm { normalization, .. } | Statistic::Cosine { normalization, .. } => {
                *normalization == Normalization::None
            }
        };
        Statistic::all(Numerics::F32).into_iter().filter(plain).collect()
    }
}

impl Measure for Trajectory {
    fn id(&self) -> String {
        format!("trajectory/steps={}/guidance={}/f32", SAMPLING.steps, SAMPLING.guidance)
    }

    fn names(&self) -> Vec<String> {
        let statistics = Self::statistics();
        ddim_timesteps().flat_map(|t| statistics.iter().map(move |statistic| Self::name_of(t, *statistic))).collect()
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![]
    }

    fn own(&self) -> Vec<OwnCalls> {
        vec![walk_calls()]
    }

    fn measure(&self, generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
        let statistics = Self::statistics();
        let mut values = vec![vec![]; generations.len()];
        walk(generations, |step| {
            for (i, generation) in generations.iter().enumerate() {
                let pair = Pair {
                    x: &step.latents[i],
                    channels: generation.channels(),
                    unconditional: &step.unconditional[i],
                    conditional: &step.conditional[i],
                };
                values[i].extend(statistics.iter().filter_map(|statistic| statistic.of(&pair, Numerics::F32)));
            }
            Ok(())
        })?;
        Ok(values)
    }
}
