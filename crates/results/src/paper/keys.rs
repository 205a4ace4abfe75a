//! The names that rows of the paper's tables are found by.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Stable Diffusion 1.4.
    Sd14,
    /// Stable Diffusion 2.0.
    Sd20,
    /// Realistic Vision 5.1.
    Rv51,
}

/// A detection method of Table 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Ren et al.: cross-attention entropy.
    Ren,
    /// Wen et al.: norm of the score difference.
    Wen,
    /// Jeon et al.: sharpness.
    Jeon,
    /// The paper's metric M.
    Ours,
}

/// The two vectors whose cosine the metric takes (Table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CosinePair {
    /// Score without prompt against score with prompt.
    #[serde(rename = "x,x|c")]
    UnconditionalConditional,
    /// Score with prompt against the difference.
    #[serde(rename = "x|c,c|x")]
    ConditionalDifference,
    /// Score without prompt against the difference: the paper's M.
    #[serde(rename = "x,c|x")]
    UnconditionalDifference,
}

/// A part of the metric (Table 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The norm alone.
    Norm,
    /// The cosine alone.
    Cosine,
    /// Both, weighted by the gammas.
    Combined,
}

/// A normalisation of the scores (Table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// By the L1 norm.
    L1,
    /// By the L2 norm.
    L2,
    /// By the L2 norm over height and width, per channel.
    SpatialL2,
}

/// The weights of the metric's parts (Table 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gammas {
    /// The fitted ones of Table 5.
    Table5,
    /// Both 1.
    Ones,
}

/// A row of one of the paper's detection tables, whatever the model and the number of generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaperRow {
    /// Table 1: a method.
    Table1(Method),
    /// Table 2: the metric with this cosine.
    Table2(CosinePair),
    /// Table 3: a part of the metric.
    Table3(Component),
    /// Table 4, upper part: a normalisation.
    Table4Normalization(Normalization),
    /// Table 4, lower part: the training timestep of the cosine.
    Table4Timestep(u32),
    /// Table 7: the weights.
    Table7(Gammas),
    /// Table 8: Realistic Vision.
    Table8,
}

impl Model {
    /// Its short name as a model source.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Sd14 => "sd14",
            Self::Sd20 => "sd20",
            Self::Rv51 => "rv51",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd14 => "SD 1.4",
            Self::Sd20 => "SD 2.0",
            Self::Rv51 => "RV 5.1",
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ren => "Ren et al.",
            Self::Wen => "Wen et al.",
            Self::Jeon => "Jeon et al.",
            Self::Ours => "Ours",
        })
    }
}
