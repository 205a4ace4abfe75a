//! Experiment files: as written ([`ExperimentFile`]) and as checked ([`Experiment`]).

use memscope_metric::{Numerics, Protocol};
use memscope_model::{Execution, ModelSource, NoiseGenerator, NoisePrecision, Parameterization, ScheduleCheck};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    gallery::GallerySettings,
    network::NetworkSettings,
    paper::Model as PaperModel,
    probes::ProbeEntry,
    prompts::PromptSources,
    registry::{DetectorEntry, DetectorName},
    run::NoiseSharing,
    sweep::SweepAxis,
};

/// An experiment as written in YAML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// Short name: letters, digits, `-` and `_`; the folder below the results.
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
    /// The starting noise.
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
    /// Looks at the score field, beside or instead of detectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeEntry>,
    /// Pictures to draw beside the training pictures, for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<GallerySettings>,
    /// The figures to draw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<FigureKind>,
    /// What is reported.
    #[serde(default)]
    pub report: ReportSettings,
    /// Samples per network call; results do not depend on it beyond rounding.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Fields to vary: the experiment runs once for every combination of their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<SweepAxis>,
}

fn default_batch() -> usize {
    32
}

/// A table that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// AUC and TPR of every detector beside the paper's row.
    Detection,
    /// The difference of every detector to the last one, with its interval.
    Differences,
    /// Every list of memorized prompts against every list of others.
    BySet,
    /// Memorized prompts by how often their picture was shown in training: dose and response.
    ByWeight,
    /// The anisotropy metric with weights fitted on a few prompts and evaluated on the others.
    GammaFit,
    /// Eigenvalue variance of the Hessian along the trajectory; needs a `spectrum` probe.
    Spectrum,
    /// The quantities of Theorem 1, prompt by prompt; needs an `alignment` probe.
    Alignment,
    /// The metric's hyper-parameters in use beside the paper's Table 5; asks the network nothing.
    Hyperparameters,
    /// The paper's Table 6; asks the network nothing.
    MitigationHyperparameters,
}

impl TableKind {
    /// Whether it is made from detection scores.
    pub fn needs_scores(self) -> bool {
        !matches!(self, Self::Hyperparameters | Self::MitigationHyperparameters)
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
    /// The score field of one memorized and one other prompt (Figure 3).
    Field,
}

/// A model of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// `embedded:NAME`, `sd14`, `sd20`, `rv51`, a folder in diffusers layout, or a Hub id, `owner/name[@revision]`.
    pub source: String,
    /// The variant of the weight files, e.g. `fp16` for `*.fp16.safetensors`; by default those without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Measure the model even if its scheduler's timesteps are not the protocol's 981, 961, ..., 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_schedule: bool,
    /// The paper's column that is printed beside it: the same kind of network, not the same model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<PaperModel>,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl ModelEntry {
    fn model(&self) -> memscope_model::Result<ModelSource> {
        let variant = self.variant.as_deref().map(str::parse).transpose()?;
        self.source.parse::<ModelSource>()?.with_variant(variant)
    }

    /// What is done about a schedule that is not the protocol's.
    pub fn schedule_check(&self) -> ScheduleCheck {
        ScheduleCheck::accepting(self.accept_schedule)
    }
}

/// The two classes of prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptClasses {
    /// Prompts whose training image the model reproduces.
    pub memorized: PromptSources,
    /// Prompts that lead to new images.
    pub non_memorized: PromptSources,
    /// Only the first prompts of each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The starting noise x_T.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseSettings {
    /// `torch-cuda` (block cap of an RTX A6000), `torch-cuda/CAP`, `torch-cpu` or `native`.
    #[serde(default = "default_generator")]
    pub generator: String,
    /// One run each.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Latents drawn per prompt and seed.
    #[serde(default = "default_generations")]
    pub generations: usize,
    /// Whether all prompts start from the same noise.
    #[serde(default)]
    pub sharing: NoiseSharing,
}

fn default_generator() -> String {
    "torch-cuda".into()
}

fn default_seeds() -> Vec<u64> {
    vec![42, 51, 53]
}

fn default_generations() -> usize {
    4
}

impl Default for NoiseSettings {
    fn default() -> Self {
        Self {
            generator: default_generator(),
            seeds: default_seeds(),
            generations: default_generations(),
            sharing: NoiseSharing::Shared,
        }
    }
}

/// What is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportSettings {
    /// Numbers of generations, each at most `noise.generations`; n generations are the first n.
    #[serde(default = "default_report_generations")]
    pub generations: Vec<usize>,
    /// False-positive rate at which the true-positive rate is read.
    #[serde(default = "default_fpr")]
    pub fpr: f64,
    /// Bootstrap resamples behind the intervals.
    #[serde(default = "default_resamples")]
    pub resamples: usize,
    /// Seed of the bootstrap.
    #[serde(default)]
    pub bootstrap_seed: u64,
    /// How the weights of `gamma_fit` are fitted.
    #[serde(default)]
    pub fit: FitSettings,
    /// Whether the time of every detector is measured, on ten prompts.
    #[serde(default)]
    pub timing: bool,
    /// Heading of the column that names the detectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
}

/// How the weights of the metric are fitted: logistic regression on (N, C), unscaled, C = 1
/// (docs/spec/evaluation.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitSettings {
    /// Prompts of each class to fit on; the others evaluate.
    #[serde(default = "default_fit_prompts")]
    pub prompts: usize,
    /// Random splits.
    #[serde(default = "default_splits")]
    pub splits: usize,
    /// Seed of the splits.
    #[serde(default)]
    pub seed: u64,
}

fn default_fit_prompts() -> usize {
    20
}

fn default_splits() -> usize {
    20
}

impl Default for FitSettings {
    fn default() -> Self {
        Self { prompts: default_fit_prompts(), splits: default_splits(), seed: 0 }
    }
}

fn default_report_generations() -> Vec<usize> {
    vec![1, 4]
}

fn default_fpr() -> f64 {
    0.01
}

fn default_resamples() -> usize {
    2000
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            generations: default_report_generations(),
            fpr: default_fpr(),
            resamples: default_resamples(),
            bootstrap_seed: 0,
            fit: FitSettings::default(),
            timing: false,
            rows: None,
        }
    }
}

/// An experiment that can run.
#[derive(Clone, Debug)]
pub struct Experiment {
    file: ExperimentFile,
    generator: NoiseGenerator,
    execution: Execution,
    models: Vec<ModelSource>,
}

impl ExperimentFile {
    /// Reads YAML; `file` names it in messages. Errors carry line and column.
    pub fn parse(file: &str, yaml: &str) -> Result<Self> {
        serde_yaml::from_str(yaml).map_err(|e| Error::Experiment { file: file.to_owned(), reason: reason(&e) })
    }

    /// Reads YAML with fields replaced: each override is `path.to.field=value`, the value in YAML.
    pub fn parse_with(file: &str, yaml: &str, overrides: &[String]) -> Result<Self> {
        if overrides.is_empty() {
            return Self::parse(file, yaml);
        }
        // The file itself must be valid, so that its errors are reported with their place.
        Self::parse(file, yaml)?;
        let broken = |e: serde_yaml::Error| Error::Experiment { file: file.to_owned(), reason: reason(&e) };
        let document: serde_json::Value = serde_yaml::from_str(yaml).map_err(broken)?;
        Self::overridden(file, document, overrides)
    }

    /// This experiment with fields replaced, likewise.
    pub fn with_overrides(self, file: &str, overrides: &[String]) -> Result<Self> {
        if overrides.is_empty() {
            return Ok(self);
        }
        let document = serde_json::to_value(&self);
        let document = document.map_err(|e| Error::Experiment { file: file.to_owned(), reason: e.to_string() })?;
        Self::overridden(file, document, overrides)
    }

    fn overridden(file: &str, mut document: serde_json::Value, overrides: &[String]) -> Result<Self> {
        for given in overrides {
            let fail = |reason: String| Error::Override { given: given.clone(), reason };
            let (path, value) = given.split_once('=').ok_or_else(|| fail("write key=value".into()))?;
            let value = serde_yaml::from_str(value).map_err(|e| fail(e.to_string()))?;
            set(&mut document, path, value).map_err(fail)?;
            if let Err(error) = serde_json::from_value::<Self>(document.clone()) {
                return Err(fail(error.to_string()));
            }
        }
        serde_json::from_value(document).map_err(|e| Error::Experiment { file: file.to_owned(), reason: e.to_string() })
    }

    /// This experiment with one field replaced; the reason where that makes no experiment.
    pub(crate) fn with_field(&self, path: &str, value: serde_json::Value) -> std::result::Result<Self, String> {
        let mut document = serde_json::to_value(self).map_err(|e| e.to_string())?;
        set(&mut document, path, value)?;
        serde_json::from_value(document).map_err(|e| e.to_string())
    }

    /// Checks what a single field cannot tell.
    pub fn check(self, file: &str) -> Result<Experiment> {
        let fail = |reason: String| Error::Experiment { file: file.to_owned(), reason };
        let name_ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(name_ok) {
            return Err(fail(format!("name: '{}' must be letters, digits, '-' and '_'", self.name)));
        }
        let not_empty = |field: &str, len: usize| match len {
            0 => Err(fail(format!("{field}: give at least one"))),
            _ => Ok(()),
        };
        not_empty("models", self.models.len())?;
        let gallery = usize::from(self.gallery.is_some());
        not_empty("detectors, probes or gallery", self.detectors.len() + self.probes.len() + gallery)?;
        not_empty("tables, figures or gallery", self.tables.len() + self.figures.len() + gallery)?;
        if self.gallery.is_some_and(|gallery| gallery.prompts == 0 || gallery.images == 0) {
            return Err(fail("gallery: prompts and images must be at least 1".into()));
        }
        self.probes.iter().try_for_each(|probe| probe.check().map_err(|reason| fail(format!("probes: {reason}"))))?;
        not_empty("noise.seeds", self.noise.seeds.len())?;
        not_empty("report.generations", self.report.generations.len())?;
        if self.batch == 0 || self.noise.generations == 0 || self.report.resamples == 0 {
            return Err(fail("batch, noise.generations and report.resamples must be at least 1".into()));
        }
        if !(self.report.fpr > 0.0 && self.report.fpr < 1.0) {
            return Err(fail(format!("report.fpr: {} must lie between 0 and 1", self.report.fpr)));
        }
        if let Some(n) = self.report.generations.iter().find(|n| **n == 0 || **n > self.noise.generations) {
            return Err(fail(format!(
                "report.generations: {n} must lie in 1..={} (noise.generations)",
                self.noise.generations
            )));
        }
        let repeated = |field: &str, again: bool| match again {
            true => Err(fail(format!("{field}: an entry is repeated"))),
            false => Ok(()),
        };
        repeated("noise.seeds", has_repeats(&self.noise.seeds))?;
        repeated("detectors", has_repeats(&self.detectors.iter().map(DetectorEntry::label).collect::<Vec<_>>()))?;
        for (entry, kind) in self.detectors.iter().flat_map(|d| Parameterization::ALL.map(|kind| (d, kind))) {
            entry.check().map_err(|reason| fail(format!("detectors: {reason}")))?;
            let protocol = entry.protocol(&self.protocol);
            protocol.resolve(kind).map_err(|e| fail(format!("protocol of '{}': {e}", entry.label())))?;
        }
        for entry in &self.detectors {
            let Some(seeds) = &entry.seeds else { continue };
            if seeds.is_empty() || has_repeats(seeds) || !seeds.iter().all(|seed| self.noise.seeds.contains(seed)) {
                return Err(fail(format!("seeds of '{}' must be some of noise.seeds, each once", entry.label())));
            }
        }
        if self.tables.contains(&TableKind::Differences) && self.detectors.len() < 2 {
            return Err(fail("tables: differences needs at least two detectors".into()));
        }
        if self.tables.contains(&TableKind::GammaFit) {
            if !self.detectors.iter().any(|d| d.name == DetectorName::Anisotropy) {
                return Err(fail("tables: gamma_fit needs the detector anisotropy".into()));
            }
            if self.report.fit.prompts == 0 || self.report.fit.splits == 0 {
                return Err(fail("report.fit: prompts and splits must be at least 1".into()));
            }
        }
        if self.prompts.limit == Some(0) {
            return Err(fail("prompts.limit must be at least 1".into()));
        }
        for axis in &self.sweep {
            if axis.values.is_empty() {
                return Err(fail(format!("sweep: {} has no values", axis.field)));
            }
        }
        let generator = self.noise.generator.parse().map_err(|e| fail(format!("noise.generator: {e}")))?;
        let execution = self.network.execution().map_err(|e| fail(format!("network: {e}")))?;
        let models = self.models.iter().map(ModelEntry::model).collect::<memscope_model::Result<Vec<_>>>();
        let models = models.map_err(|e| fail(format!("models: {e}")))?;
        repeated("models", has_repeats(&models))?;
        Ok(Experiment { file: self, generator, execution, models })
    }
}

/// The parser's message with its excerpt of the file, without the word "error" that the caller says.
fn reason(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("error: ").map_or(text.clone(), str::to_owned)
}

fn has_repeats<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(i, item)| items[..i].contains(item))
}

/// Replaces the field at a dotted path; a number steps into a list.
fn set(document: &mut serde_json::Value, path: &str, value: serde_json::Value) -> std::result::Result<(), String> {
    use serde_json::Value;
    let mut place = document;
    for step in path.split('.') {
        if step.is_empty() {
            return Err("the path has an empty step".into());
        }
        place = match place {
            Value::Array(items) => {
                let count = items.len();
                let index: usize =
                    step.parse().map_err(|_| format!("'{step}' must be a position in a list of {count}"))?;
                items.get_mut(index).ok_or_else(|| format!("position {index} is outside a list of {count}"))?
            }
            Value::Object(fields) => fields.entry(step).or_insert(Value::Null),
            other => {
                if !other.is_null() {
                    return Err(format!("'{step}' is below a plain value"));
                }
                *other = Value::Object(serde_json::Map::new());
                match other {
                    Value::Object(fields) => fields.entry(step).or_insert(Value::Null),
                    _ => return Err(format!("'{step}' cannot be set")),
                }
            }
        };
    }
    *place = value;
    Ok(())
}

impl Experiment {
    /// The file it came from, with every default filled in.
    pub fn file(&self) -> &ExperimentFile {
        &self.file
    }

    /// Whether a table needs the prompts to be scored.
    pub fn needs_scores(&self) -> bool {
        !self.file.probes.is_empty()
            || self.file.gallery.is_some()
            || !self.file.figures.is_empty()
            || self.file.tables.iter().any(|kind| kind.needs_scores())
    }

    /// Reads the prompts of every model, so that a list that is missing or bad is told before anything large is
    /// downloaded or loaded.
    pub fn check_prompts(&self) -> Result<()> {
        let prompts = &self.file.prompts;
        self.models.iter().try_for_each(|source| {
            prompts.memorized.load(source)?;
            prompts.non_memorized.load(source).map(|_| ())
        })
    }

    /// The checked models, in order.
    pub fn models(&self) -> impl Iterator<Item = (&ModelSource, &ModelEntry)> {
        self.models.iter().zip(&self.file.models)
    }

    /// Number format and device of the networks.
    pub fn execution(&self) -> Execution {
        self.execution
    }

    /// The noise generator.
    pub fn generator(&self) -> NoiseGenerator {
        self.generator
    }
}

/// The precision of x_T under an arithmetic.
pub fn noise_precision(numerics: Numerics) -> NoisePrecision {
    match numerics {
        Numerics::F32 => NoisePrecision::F32,
        Numerics::Bf16Emulated => NoisePrecision::Bf16,
    }
}

/// JSON Schema of experiment files, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ExperimentFile).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
name: small
title: Small
tables: [detection]
models: [{source: 'embedded:emoji-eps'}]
prompts: {memorized: {embedded: verified}, non_memorized: {file: p.txt}}
detectors: [{name: anisotropy}]
";

    fn with(overrides: &[&str]) -> Result<ExperimentFile> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        ExperimentFile::parse_with("small.yaml", YAML, &overrides)
    }

    #[test]
    fn defaults_are_those_of_the_paper() {
        let file = with(&[]).unwrap();
        assert_eq!((file.noise.seeds, file.noise.generations, file.batch), (vec![42, 51, 53], 4, 32));
        assert_eq!(file.protocol, Protocol::default());
    }

    #[test]
    fn overrides_reach_fields_that_are_not_written() {
        let file =
            with(&["noise.seeds=[7]", "report.generations=[1]", "protocol.t_cos=41", "models.0.source=x/y"]).unwrap();
        assert_eq!(file.noise.seeds, [7]);
        assert_eq!(file.report.generations, [1]);
        assert_eq!(file.protocol.t_cos, Some(41));
        assert_eq!(file.models[0].source, "x/y");
    }

    #[test]
    fn wrong_overrides_are_named() {
        for wrong in ["noise.seed=1", "noise.seeds=x", "models.3.source=x", "name.x=1", "=1", "noise.seeds"] {
            let error = with(&[wrong]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--set {wrong}: ")), "{error}");
        }
    }

    #[test]
    fn the_schema_names_every_field() {
        let schema = schema().to_string();
        for field in ["non_memorized", "generations", "t_cos", "resamples"] {
            assert!(schema.contains(field), "{field}");
        }
    }
}
