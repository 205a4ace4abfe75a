//! Sharpness of the log-probability along the guidance direction (Jeon et al. 2025; protocol §5).

use candle_core::{Device, Tensor};
use memscope_metric::{Ask, Detector, Measure, Numerics, Probe, Quantity, Score, T_NORM, mean_over_generations};
use memscope_model::{Dual, Parameterization, Result, Scales, Value};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jeon {
    power: SharpnessPower,
}

impl Jeon {
    /// With the given power.
    pub fn new(power: SharpnessPower) -> Self {
        Self { power }
    }
}

/// The norm for one prompt and one noise, by one exact forward-mode pass of both predictions.
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

    fn asks(&self) -> Vec<Ask> {
        vec![Ask::Unconditional { t: T_NORM }, Ask::Conditional { t: T_NORM }]
    }

    /// Two predictions with their tangents.
    fn own_calls(&self) -> usize {
        2
    }

    fn measure(&self, probe: &Probe) -> Result<Vec<f64>> {
        let (u, c) = (probe.unconditional(T_NORM)?, probe.conditional(T_NORM)?);
        let (tangent_factor, jacobian_factor) = factors(c.parameterization, c.scales);
        let tangent: Vec<f32> =
            c.output.iter().zip(&u.output).map(|(c, u)| (f64::from(c - u) * tangent_factor) as f32).collect();

        let (channels, height, width) = probe.model().latent_shape();
        let twice = |row: &[f32]| Tensor::from_vec([row, row].concat(), (2, channels, height, width), &Device::Cpu);
        let x = Dual::variable(twice(probe.x())?, twice(&tangent)?)?;
        let prompts = Tensor::stack(&[&probe.empty().embedding, &probe.prompt().embedding], 0)?;
        let output: Dual = probe.model().predict(&x, &[T_NORM; 2], &Value::constant(&prompts), None)?;
        let products = output.tangent()?.flatten_from(1)?.to_vec2::<f32>()?;
        let squares: f64 = products[0].iter().zip(&products[1]).map(|(u, c)| f64::from(c - u).powi(2)).sum();
        Ok(vec![jacobian_factor.abs() * squares.sqrt()])
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
        let value = mean_over_generations(&values, Numerics::F32);
        Score { value, parts: vec![("sharpness", value)] }
    }
}
