//! Analyses of the score field itself, beyond detection.

use memscope_metric::{Alignment, HessianSpectrum, Measure, Outputs, SpectrumMethod, ddim_timesteps};
use memscope_model::Blueprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An analysis of the score field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnalysisEntry {
    /// Eigenvalue variance of the Hessian along the guided trajectory (Figure 1).
    Spectrum {
        /// DDIM timesteps to look at.
        timesteps: Vec<usize>,
        /// Random probe vectors; without them the whole Jacobian is built, C·H·W network calls for each prompt and timestep.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe_vectors: Option<usize>,
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

impl AnalysisEntry {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The reason, in the words of the file.
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
            Self::Spectrum { timesteps, probe_vectors } => {
                check("spectrum", timesteps)?;
                match probe_vectors {
                    Some(count) if *count < 3 => Err("spectrum: probe_vectors must be at least 3".into()),
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
            Self::Spectrum { timesteps, probe_vectors } => {
                let method =
                    probe_vectors.map_or(SpectrumMethod::Exact { dim }, |probes| SpectrumMethod::Stochastic { probes });
                Box::new(HessianSpectrum::new(timesteps.clone(), method))
            }
            Self::Alignment { timesteps } => Box::new(Alignment::new(timesteps.clone(), dim)),
            Self::Field { t } => Box::new(Outputs { t: *t, dim }),
        }
    }
}
