//! An experiment as it is written.

use memscope_metric::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AnalysisEntry, DetectorEntry, MitigationSettings, ModelEntry, NetworkSettings, NoiseSettings, ReportSettings,
    SweepAxis, limits,
};
use crate::prompts::PromptSources;

/// An experiment as written in YAML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// Short name: letters, digits, `-` and `_`, not `-` first; the folder below the results.
    #[serde(deserialize_with = "limits::name")]
    pub name: String,
    /// Title for people.
    pub title: String,
    /// What the experiment shows, for the report.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The tables to make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableKind>,
    /// The models to measure.
    pub models: Vec<ModelEntry>,
    /// The prompts to tell apart.
    pub prompts: PromptClasses,
    /// The initial noise.
    #[serde(default)]
    pub noise: NoiseSettings,
    /// How the networks compute.
    #[serde(default, skip_serializing_if = "NetworkSettings::is_default")]
    pub network: NetworkSettings,
    /// How the metric is computed.
    #[serde(default)]
    pub protocol: Protocol,
    /// The detectors to compare, in table order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<DetectorEntry>,
    /// Analyses of the score field, beside or instead of detectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<AnalysisEntry>,
    /// Pictures to draw beside the training pictures, for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<GallerySettings>,
    /// Pictures of mitigated prompts, compared with the training pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<MitigationSettings>,
    /// The figures to draw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<FigureKind>,
    /// What is reported.
    #[serde(default)]
    pub report: ReportSettings,
    /// Samples per network call; results do not depend on it beyond rounding.
    #[serde(default = "default_batch", deserialize_with = "limits::batch")]
    pub batch: usize,
    /// Fields to vary: the experiment runs once for every combination of their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "limits::sweep")]
    pub sweep: Vec<SweepAxis>,
}

fn default_batch() -> usize {
    32
}

/// How many prompts are drawn from each class, and from how many noises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GallerySettings {
    /// Prompts of each class, spread evenly over the list.
    #[serde(deserialize_with = "limits::gallery_prompts")]
    pub prompts: usize,
    /// Images per prompt, from the first seed's latents.
    #[serde(deserialize_with = "limits::gallery_images")]
    pub images: usize,
}

/// A table that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// AUC and TPR of every detector beside the paper's row.
    Detection,
    /// The difference of every detector to the last one, with its interval.
    Differences,
    /// Rank of every detector, and which of them cannot be told apart.
    Ranks,
    /// Correlation of every detector's score with the reproduction rate of the graded prompts.
    Reproduction,
    /// Whether a score tells which draws of a graded prompt are the training picture.
    PerDraw,
    /// What decisions at a false-discovery rate keep of their promise, for every pair of lists of non-memorized prompts:
    /// one calibrates, the other is tested.
    Decisions,
    /// Every list of memorized prompts against every list of non-memorized ones.
    BySet,
    /// Memorized prompts by how often their picture was shown in training: dose and response.
    ByWeight,
    /// The anisotropy metric with weights fitted on a few prompts and evaluated on the others.
    GammaFit,
    /// Eigenvalue variance of the Hessian along the trajectory; needs the analysis `spectrum`.
    Spectrum,
    /// The quantities of Theorem 1, prompt by prompt; needs the analysis `alignment`.
    Alignment,
    /// The metric's hyper-parameters in use beside the paper's Table 5; asks the network nothing.
    Hyperparameters,
    /// The paper's Table 6 beside what its configurations gave, where `mitigation` has them.
    MitigationHyperparameters,
    /// What every mitigation gave: similarity to the training picture, diversity, alignment, quality, network calls.
    Mitigation,
    /// The difference of every mitigation to none and to the first configuration of M, paired over prompts.
    MitigationDifferences,
    /// The detectors' scores before and after every mitigation, against what the pictures show.
    MitigationDetection,
}

impl TableKind {
    /// Whether it is made from detection scores.
    pub fn needs_scores(self) -> bool {
        !matches!(self, Self::Hyperparameters | Self::MitigationHyperparameters)
    }

    /// Whether it is about graded prompts.
    pub fn needs_graded(self) -> bool {
        matches!(self, Self::Reproduction | Self::PerDraw)
    }

    /// Whether it is made from pictures of mitigated prompts.
    pub fn needs_mitigation(self) -> bool {
        matches!(self, Self::Mitigation | Self::MitigationDifferences | Self::MitigationDetection)
    }
}

/// A figure that can be drawn from what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureKind {
    /// ROC curves of all detectors, with a band over prompts and the low end enlarged.
    Roc,
    /// Scores of both classes, for every detector.
    Scores,
    /// Histograms with kernel densities and the divergence both ways (Figure 2), for every detector.
    Densities,
    /// TPR against network calls.
    Cost,
    /// AUC by duplication weight.
    DoseResponse,
    /// AUC on prompts memorized as templates against those memorized verbatim; needs the lists of an embedded model.
    LocalVerbatim,
    /// TPR over the two weights of the metric.
    Weights,
    /// Eigenvalue variance along the trajectory (Figure 1), and spectra where they are exact.
    Spectrum,
    /// The score field of one memorized and one non-memorized prompt (Figure 3).
    Field,
    /// Similarity to the training picture against diversity and, with judges, against alignment and quality (Figure 4).
    TradeOff,
}

/// The two classes of prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptClasses {
    /// Prompts whose training image the model reproduces.
    pub memorized: PromptSources,
    /// Prompts that lead to new images.
    pub non_memorized: PromptSources,
    /// Prompts whose reproduction rate is known, for the tables `reproduction` and `per_draw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graded: Option<PromptSources>,
    /// Only the first prompts of each list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// JSON Schema of experiment files, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ExperimentFile).to_value()
}
