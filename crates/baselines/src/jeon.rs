//! Sharpness of the log-probability along the guidance direction (Jeon et al. 2025; docs/spec/protocol.md §5).

use memscope_metric::{
    Detector, Generation, Measure, OwnCalls, PredictionRequest, Quantity, ResolvedProtocol, Score, T_NORM,
};
use memscope_model::{
    Dual, LatentDiffusion, Parameterization, PromptBatch, Result, Scales,
    cost::{Pass, SamplesPerCall},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which power of the norm is averaged over generations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SharpnessPower {
    /// The norm, as the released code averages it.
    #[default]
    #[serde(rename = "norm")]
    Norm,
    /// Its square, the formula of the publication.
    #[serde(rename = "square")]
    Square,
}

/// ‖(J_c − J_u) s_δ‖₂ at t = 981: how much sharper the prompt makes the log-probability along its own direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jeon {
    protocol: ResolvedProtocol,
    power: SharpnessPower,
}

impl Jeon {
    /// With the given power, in f32; scores are kept as the protocol says.
    pub fn new(protocol: ResolvedProtocol, power: SharpnessPower) -> Self {
        Self { protocol, power }
    }
}

/// The norm for each prompt and noise, by one exact forward-mode pass of both predictions of all of them.
#[derive(Clone, Copy, Debug)]
struct Sharpness;

/// Factors of the score on the raw output: in the tangent, and in the Jacobian. For v-models the code treats
/// (a v − x)/(1 − ᾱ) as the score and holds x fixed.
fn factors(parameterization: Parameterization, Scales { a, s }: Scales) -> (f64, f64) {
    match parameterization {
        Parameterization::Epsilon => (-1.0 / s, -1.0 / s),
        Parameterization::V => (a / (s * s), a / (s * s)),
    }
}

impl Measure for Sharpness {
    fn id(&self) -> String {
        format!("sharpness/t={T_NORM}/f32")
    }

    fn names(&self) -> Vec<String> {
        vec!["sharpness".into()]
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![PredictionRequest::Unconditional { t: T_NORM }, PredictionRequest::Conditional { t: T_NORM }]
    }

    /// Two predictions with their tangents.
    fn own(&self) -> Vec<OwnCalls> {
        vec![OwnCalls { pass: Pass::Jvp, calls: 2, samples_per_call: SamplesPerCall::PerPrompt(2) }]
    }

    fn measure(&self, generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
        let Some(first) = generations.first() else { return Ok(vec![]) };
        let (mut tangents, mut jacobian_factor) = (vec![], 0.0);
        for generation in generations {
            let (u, c) = (generation.unconditional(T_NORM)?, generation.conditional(T_NORM)?);
            let (tangent_factor, factor) = factors(c.parameterization, c.scales);
            jacobian_factor = factor;
            let pairs = c.output.iter().zip(&u.output);
            tangents.push(pairs.map(|(c, u)| (f64::from(c - u) * tangent_factor) as f32).collect::<Vec<f32>>());
        }
        // The products with the tangent of each generation, under the empty prompt and under its own.
        let products = first.model().in_parts(generations.len(), |range| {
            let (mut x, mut directions, mut prompts) = (vec![], vec![], vec![]);
            for (generation, tangent) in generations[range.clone()].iter().zip(&tangents[range]) {
                for prompt in [generation.empty(), generation.prompt()] {
                    x.extend_from_slice(generation.x());
                    directions.extend_from_slice(tangent);
                    prompts.push(prompt);
                }
            }
            let rows = prompts.len();
            let model = first.model();
            let x = Dual::variable(model.latents(x)?, model.latents(directions)?)?;
            let prompts = PromptBatch::of(&prompts)?.constant();
            let output = model.predict(&x, &vec![T_NORM; rows], prompts, None)?;
            LatentDiffusion::rows(&output.tangent()?)
        })?;
        let sharpness = |pair: &[Vec<f32>]| {
            let squares: f64 = pair[0].iter().zip(&pair[1]).map(|(u, c)| f64::from(c - u).powi(2)).sum();
            vec![jacobian_factor.abs() * squares.sqrt()]
        };
        Ok(products.concat().chunks_exact(2).map(sharpness).collect())
    }
}

impl Detector for Jeon {
    fn name(&self) -> &'static str {
        "jeon"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        vec![Box::new(Sharpness)]
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new(&Sharpness, &"sharpness")]
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let power = |norm: f64| if self.power == SharpnessPower::Square { norm * norm } else { norm };
        let values: Vec<f64> = generations.iter().map(|g| power(g[0])).collect();
        let value = self.protocol.mean_of_f32(&values);
        Score { value, parts: vec![("sharpness", value)] }
    }
}
