//! How the metric is computed: a preset, with any field overridden.

use memscope_model::Parameterization;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::options::{
    CosineMode, CosineReduction, GenerationReduction, Normalization, NormalizationTarget, Numerics, Preset, Space,
};

/// The first timestep of a 50-step DDIM run, the paper's "t = T".
pub const T_NORM: usize = 981;

/// A preset and what departs from it. `Protocol::resolve` turns it into the complete options for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The options not given below come from here.
    #[serde(default = "table1")]
    pub preset: Preset,
    /// Timestep of the cosine: one of the 50-step DDIM timesteps 1, 21, 41, …, 981.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_cos: Option<usize>,
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
    /// How norms of several generations are reduced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_reduction: Option<GenerationReduction>,
    /// Arithmetic.
    #[serde(default = "f32_numerics")]
    pub numerics: Numerics,
}

fn table1() -> Preset {
    Preset::Table1
}

fn f32_numerics() -> Numerics {
    Numerics::F32
}

impl Default for Protocol {
    fn default() -> Self {
        Preset::Table1.into()
    }
}

impl From<Preset> for Protocol {
    fn from(preset: Preset) -> Self {
        Self {
            preset,
            t_cos: None,
            cos_mode: None,
            cos_reduction: None,
            cos_space: None,
            norm_space: None,
            normalization: None,
            normalization_targets: None,
            generation_reduction: None,
            numerics: Numerics::F32,
        }
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
    #[error("t_cos is {t_cos}; it must be one of the 50-step DDIM timesteps 1, 21, 41, ..., 981")]
    Timestep {
        /// The timestep given.
        t_cos: usize,
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
}

/// Complete, consistent options for one model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of `Protocol`")]
pub struct ResolvedProtocol {
    pub t_norm: usize,
    pub t_cos: usize,
    pub cos_mode: CosineMode,
    pub cos_reduction: CosineReduction,
    pub cos_space: Space,
    pub norm_space: Space,
    pub normalization: Normalization,
    pub normalization_targets: NormalizationTarget,
    pub generation_reduction: GenerationReduction,
    pub numerics: Numerics,
}

impl Protocol {
    /// The complete options for a model of this kind.
    pub fn resolve(&self, parameterization: Parameterization) -> Result<ResolvedProtocol, ProtocolError> {
        let exact = self.preset == Preset::Equation14;
        let code_norm = match parameterization {
            Parameterization::Epsilon => Space::ModelOutput,
            Parameterization::V => Space::X0Formula,
        };
        let preset_t_cos = if self.preset == Preset::Release { 41 } else { 1 };
        let resolved = ResolvedProtocol {
            t_norm: T_NORM,
            t_cos: self.t_cos.unwrap_or(preset_t_cos),
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
            generation_reduction: self.generation_reduction.unwrap_or(GenerationReduction::MeanOfNorms),
            numerics: self.numerics,
        };
        resolved.check()?;
        Ok(resolved)
    }
}

impl ResolvedProtocol {
    fn check(&self) -> Result<(), ProtocolError> {
        if self.t_cos > T_NORM || self.t_cos % 20 != 1 {
            return Err(ProtocolError::Timestep { t_cos: self.t_cos });
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
        Ok(())
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
        assert_eq!(wrong(|p| p.t_cos = Some(2)), ProtocolError::Timestep { t_cos: 2 });
        assert_eq!(wrong(|p| p.cos_space = Some(Space::X0Formula)), ProtocolError::CosineSpace);
        let bf16 = wrong(|p| {
            p.preset = Preset::Equation14;
            p.numerics = Numerics::Bf16Emulated;
        });
        assert_eq!(bf16, ProtocolError::ScoreInBf16 { field: "cos_space" });
    }
}
