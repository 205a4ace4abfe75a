//! What an experiment asks beyond detection: looks at the score field itself.

use std::collections::BTreeMap;

use memscope_metric::{Alignment, HessianSpectrum, Measure, Outputs, Quantity, SpectrumMethod, ddim_timesteps};
use memscope_model::Blueprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    prompts::KnownPrompt,
    run::Runner,
    store::ScoreStore,
};

/// A look at the score field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProbeEntry {
    /// Eigenvalue variance of the Hessian along the guided trajectory (Figure 1).
    Spectrum {
        /// DDIM timesteps to look at.
        timesteps: Vec<usize>,
        /// Random probes; without them the whole Jacobian is built, C·H·W network calls for each prompt and timestep.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probes: Option<usize>,
    },
    /// The quantities of Theorem 1 along the guided trajectory, from the whole Jacobians: 2·C·H·W network calls for each
    /// prompt and timestep.
    Alignment {
        /// DDIM timesteps to look at.
        timesteps: Vec<usize>,
    },
    /// The two predictions at one timestep on pure noise, position by position (Figure 3).
    Field {
        /// Timestep.
        t: usize,
    },
}

impl ProbeEntry {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> std::result::Result<(), String> {
        let check = |name: &str, timesteps: &[usize]| {
            if timesteps.is_empty() {
                return Err(format!("{name}: give at least one timestep"));
            }
            match timesteps.iter().find(|t| !ddim_timesteps().any(|visited| visited == **t)) {
                Some(t) => Err(format!("{name}: {t} is none of the timesteps 981, 961, ..., 1")),
                None => Ok(()),
            }
        };
        match self {
            Self::Alignment { timesteps } => check("alignment", timesteps),
            Self::Spectrum { timesteps, probes } => {
                check("spectrum", timesteps)?;
                match probes {
                    Some(count) if *count < 3 => Err("spectrum: probes must be at least 3".into()),
                    _ => Ok(()),
                }
            }
            Self::Field { t } if *t < 1000 => Ok(()),
            Self::Field { t } => Err(format!("field: t is {t}, it must be below 1000")),
        }
    }

    /// The measure behind it.
    pub fn measure(&self, model: &Blueprint) -> Box<dyn Measure> {
        let (channels, height, width) = model.latent_shape();
        let dim = channels * height * width;
        match self {
            Self::Spectrum { timesteps, probes } => {
                let method =
                    probes.map_or(SpectrumMethod::Exact { dim }, |probes| SpectrumMethod::Stochastic { probes });
                Box::new(HessianSpectrum::new(timesteps.clone(), method))
            }
            Self::Alignment { timesteps } => Box::new(Alignment::new(timesteps.clone(), dim)),
            Self::Field { t } => Box::new(Outputs { t: *t, dim }),
        }
    }
}

/// What a probe saw of one prompt, under the first seed and generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The prompt.
    pub prompt: String,
    /// Whether it stands among the memorized ones.
    pub memorized: bool,
    /// The numbers by name.
    pub values: BTreeMap<String, f64>,
}

/// A probe with what it saw.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeResult {
    /// The probe.
    pub entry: ProbeEntry,
    /// One entry per prompt, memorized ones first.
    pub seen: Vec<Seen>,
}

/// Reads what a probe saw; everything must have been measured.
pub(crate) fn read(
    entry: &ProbeEntry,
    model: &Blueprint,
    (runner, store): (&Runner, &ScoreStore),
    seed: u64,
    (memorized, non_memorized): (&[KnownPrompt], &[KnownPrompt]),
) -> Result<ProbeResult> {
    let measure = entry.measure(model);
    let names = measure.names();
    let quantities: Vec<Quantity> =
        names.iter().map(|name| Quantity { measure: measure.id(), name: name.clone() }).collect();
    let missing = |prompt: &str| Error::NotMeasured { detector: measure.id(), prompt: prompt.to_owned() };
    let located = runner.locate(&quantities).ok_or_else(|| missing("any prompt"))?;
    let classes = [(true, memorized), (false, non_memorized)];
    let prompts = classes.iter().flat_map(|(class, prompts)| prompts.iter().map(move |prompt| (*class, prompt)));
    let seen = prompts.map(|(memorized, prompt)| {
        let values = runner.read(store, &located, &prompt.text, seed, 1).ok_or_else(|| missing(&prompt.text))?;
        let values = names.iter().cloned().zip(values.into_iter().flatten()).collect();
        Ok(Seen { prompt: prompt.text.clone(), memorized, values })
    });
    Ok(ProbeResult { entry: entry.clone(), seen: seen.collect::<Result<_>>()? })
}
