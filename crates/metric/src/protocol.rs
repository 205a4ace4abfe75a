//! How the metric is computed: a preset, with any field overridden.

use memscope_model::Parameterization;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bf16,
    options::{
        CosineMode, CosineReduction, Input, Normalization, NormalizationTarget, Numerics, Preset, ScoreStorage, Space,
    },
};

/// The first timestep of a 50-step DDIM run, the paper's "t = T".
pub const T_NORM: usize = 981;

/// The timesteps of a 50-step DDIM run, in its order: 981, 961, …, 21, 1 (docs/spec/protocol.md §1.1).
pub fn ddim_timesteps() -> impl Iterator<Item = usize> {
    (0..50).map(|i| T_NORM - 20 * i)
}

/// A preset and what departs from it. `Protocol::resolve` turns it into the complete options for a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The options not given below come from here; `table1` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Timestep of the norm: one of the 50-step DDIM timesteps 1, 21, 41, …, 981.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_norm: Option<usize>,
    /// Timestep of the cosine, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_cos: Option<usize>,
    /// What the network is asked about: pure noise or the denoised latent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Which two vectors the cosine compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cos_mode: Option<CosineMode>,
    /// Over which elements the cosine is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cos_reduction: Option<CosineReduction>,
    /// Raw outputs or scores in the cosine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cos_space: Option<Space>,
    /// What the norm is taken of. The released code: the raw output of ε-models, `x0_formula` on v-models
    /// (and, by its version flag, on Realistic Vision).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_space: Option<Space>,
    /// Scaling before comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    /// What the scaling acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization_targets: Option<NormalizationTarget>,
    /// Arithmetic; `f32` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerics: Option<Numerics>,
    /// How scores are kept; `bf16` under `bf16-emulated`, else `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_storage: Option<ScoreStorage>,
}

impl From<Preset> for Protocol {
    fn from(preset: Preset) -> Self {
        Self { preset: Some(preset), ..Self::default() }
    }
}

/// Weights of cosine and norm in M = γ_cos · C + γ_norm · N.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gammas {
    /// Weight of the cosine (the paper's γ₁; its script calls it gamma_2).
    pub cosine: f64,
    /// Weight of the norm (the paper's γ₂; its script calls it gamma_1).
    pub norm: f64,
}

impl Gammas {
    /// The paper's Table 5: 2.0 and 1.0 for its ε-model, 0.1 and 1.0 for its v-model.
    pub fn of_table5(parameterization: Parameterization) -> Self {
        match parameterization {
            Parameterization::Epsilon => Self { cosine: 2.0, norm: 1.0 },
            Parameterization::V => Self { cosine: 0.1, norm: 1.0 },
        }
    }
}

/// Options that contradict one another.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ProtocolError {
    /// The timestep is not visited.
    #[error("{field} is {t}; it must be one of the 50-step DDIM timesteps 1, 21, 41, ..., 981")]
    Timestep {
        /// The field.
        field: &'static str,
        /// The timestep given.
        t: usize,
    },
    /// x0_formula describes a norm.
    #[error("cos_space cannot be x0_formula; choose model_output or score")]
    CosineSpace,
    /// The released code has no bf16 arithmetic for it.
    #[error("{field}: score needs numerics: f32; the released bf16 code never computes scores")]
    ScoreInBf16 {
        /// The field.
        field: &'static str,
    },
    /// Trajectories are measured plainly.
    #[error("input: trajectory needs numerics: f32 and normalization: none")]
    Trajectory,
}

/// Complete, consistent options for one model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of `Protocol`")]
pub struct ResolvedProtocol {
    pub t_norm: usize,
    pub t_cos: usize,
    pub input: Input,
    pub cos_mode: CosineMode,
    pub cos_reduction: CosineReduction,
    pub cos_space: Space,
    pub norm_space: Space,
    pub normalization: Normalization,
    pub normalization_targets: NormalizationTarget,
    pub numerics: Numerics,
    pub score_storage: ScoreStorage,
}

impl Protocol {
    /// The preset in force.
    pub fn preset(&self) -> Preset {
        self.preset.unwrap_or(Preset::Table1)
    }

    /// The arithmetic in force.
    pub fn numerics(&self) -> Numerics {
        self.numerics.unwrap_or(Numerics::F32)
    }

    /// These options with those that `over` gives in their place.
    #[must_use]
    pub fn overridden_by(&self, over: &Self) -> Self {
        Self {
            preset: over.preset.or(self.preset),
            t_norm: over.t_norm.or(self.t_norm),
            t_cos: over.t_cos.or(self.t_cos),
            input: over.input.or(self.input),
            cos_mode: over.cos_mode.or(self.cos_mode),
            cos_reduction: over.cos_reduction.or(self.cos_reduction),
            cos_space: over.cos_space.or(self.cos_space),
            norm_space: over.norm_space.or(self.norm_space),
            normalization: over.normalization.or(self.normalization),
            normalization_targets: over.normalization_targets.or(self.normalization_targets),
            numerics: over.numerics.or(self.numerics),
            score_storage: over.score_storage.or(self.score_storage),
        }
    }

    /// The complete options for a model of this kind.
    ///
    /// # Errors
    /// Options contradict one another.
    pub fn resolve(&self, parameterization: Parameterization) -> Result<ResolvedProtocol, ProtocolError> {
        let exact = self.preset() == Preset::Equation14;
        let code_norm = match parameterization {
            Parameterization::Epsilon => Space::ModelOutput,
            Parameterization::V => Space::X0Formula,
        };
        let preset_t_cos = if self.preset() == Preset::Release { 41 } else { 1 };
        let storage = match self.numerics() {
            Numerics::F32 => ScoreStorage::Exact,
            Numerics::Bf16Emulated => ScoreStorage::Bf16,
        };
        let resolved = ResolvedProtocol {
            t_norm: self.t_norm.unwrap_or(T_NORM),
            t_cos: self.t_cos.unwrap_or(preset_t_cos),
            input: self.input.unwrap_or(Input::Noise),
            cos_mode: self.cos_mode.unwrap_or(CosineMode::UnconditionalDelta),
            cos_reduction: self.cos_reduction.unwrap_or(if exact {
                CosineReduction::Flatten
            } else {
                CosineReduction::ChannelMean
            }),
            cos_space: self.cos_space.unwrap_or(if exact { Space::Score } else { Space::ModelOutput }),
            norm_space: self.norm_space.unwrap_or(if exact { Space::Score } else { code_norm }),
            normalization: self.normalization.unwrap_or(Normalization::None),
            normalization_targets: self.normalization_targets.unwrap_or(NormalizationTarget::CosineAndNorm),
            numerics: self.numerics(),
            score_storage: self.score_storage.unwrap_or(storage),
        };
        resolved.check()?;
        Ok(resolved)
    }
}

impl ResolvedProtocol {
    fn check(&self) -> Result<(), ProtocolError> {
        for (field, t) in [("t_norm", self.t_norm), ("t_cos", self.t_cos)] {
            if !ddim_timesteps().any(|visited| visited == t) {
                return Err(ProtocolError::Timestep { field, t });
            }
        }
        if self.cos_space == Space::X0Formula {
            return Err(ProtocolError::CosineSpace);
        }
        let bf16 = self.numerics == Numerics::Bf16Emulated;
        for (field, space) in [("cos_space", self.cos_space), ("norm_space", self.norm_space)] {
            if bf16 && space == Space::Score {
                return Err(ProtocolError::ScoreInBf16 { field });
            }
        }
        let plain = self.numerics == Numerics::F32 && self.normalization == Normalization::None;
        if self.input == Input::Trajectory && !plain {
            return Err(ProtocolError::Trajectory);
        }
        Ok(())
    }

    /// The mean of a quantity over generations, in this arithmetic and storage.
    pub fn mean(&self, values: &[f64]) -> f64 {
        let mean = match self.numerics {
            Numerics::F32 => values.iter().sum::<f64>() / values.len() as f64,
            Numerics::Bf16Emulated => bf16::mean(values),
        };
        match self.score_storage {
            ScoreStorage::Exact => mean,
            ScoreStorage::Bf16 => f64::from(bf16::round(mean as f32)),
        }
    }

    /// The same for quantities that the released codes compute in f32 whatever the rest is in.
    pub fn mean_of_f32(&self, values: &[f64]) -> f64 {
        Self { numerics: Numerics::F32, ..*self }.mean(values)
    }

    /// The normalization that acts on the norm.
    pub fn norm_normalization(&self) -> Normalization {
        match self.normalization_targets {
            NormalizationTarget::Cosine => Normalization::None,
            NormalizationTarget::CosineAndNorm => self.normalization,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_resolve_by_the_kind_of_model() {
        let table1 = Protocol::default();
        let eps = table1.resolve(Parameterization::Epsilon).unwrap();
        assert_eq!((eps.t_cos, eps.norm_space), (1, Space::ModelOutput));
        assert_eq!(table1.resolve(Parameterization::V).unwrap().norm_space, Space::X0Formula);
        assert_eq!(Protocol::from(Preset::Release).resolve(Parameterization::V).unwrap().t_cos, 41);
        let exact = Protocol::from(Preset::Equation14).resolve(Parameterization::V).unwrap();
        assert_eq!(
            (exact.cos_reduction, exact.cos_space, exact.norm_space),
            (CosineReduction::Flatten, Space::Score, Space::Score)
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let wrong = |change: fn(&mut Protocol)| {
            let mut protocol = Protocol::default();
            change(&mut protocol);
            protocol.resolve(Parameterization::V).unwrap_err()
        };
        assert_eq!(wrong(|p| p.t_cos = Some(2)), ProtocolError::Timestep { field: "t_cos", t: 2 });
        assert_eq!(wrong(|p| p.t_norm = Some(1001)), ProtocolError::Timestep { field: "t_norm", t: 1001 });
        assert_eq!(wrong(|p| p.cos_space = Some(Space::X0Formula)), ProtocolError::CosineSpace);
        let bf16 = wrong(|p| {
            p.preset = Some(Preset::Equation14);
            p.numerics = Some(Numerics::Bf16Emulated);
        });
        assert_eq!(bf16, ProtocolError::ScoreInBf16 { field: "cos_space" });
        let trajectory = wrong(|p| {
            p.input = Some(Input::Trajectory);
            p.normalization = Some(Normalization::L2);
        });
        assert_eq!(trajectory, ProtocolError::Trajectory);
    }

    #[test]
    fn scores_are_kept_as_the_storage_says() {
        let mean = |change: fn(&mut Protocol)| {
            let mut protocol = Protocol::default();
            change(&mut protocol);
            protocol.resolve(Parameterization::Epsilon).unwrap().mean(&[1.0, 1.01])
        };
        assert_eq!(mean(|_| {}), 1.005);
        // bf16 has steps of 1/128 above 1.
        assert_eq!(mean(|p| p.score_storage = Some(ScoreStorage::Bf16)), 1.0078125);
    }
}
