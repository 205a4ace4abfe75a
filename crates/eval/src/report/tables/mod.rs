//! The tables an experiment can make: each is a query over detection scores.

mod alignment;
mod decisions;
mod detection;
mod differences;
mod gamma_fit;
mod graded;
mod groups;
mod hyperparameters;
mod mitigation;
mod mitigation_detection;
mod pairs;
mod ranks;
mod spectrum;
mod timing;

use pairs::Pairs;

pub use hyperparameters::ModelHyperparameters;
pub use mitigation::mitigation_times;
pub use timing::timing_table;

use memscope_results::{
    ResultTable,
    paper::{Model as PaperModel, PaperCell, paper},
    stats::{Bootstrap, Ddof, Interval, ScoreSet, Statistic, Summary, TprRule},
    table::{Cell, Column, ColumnKind},
};

use crate::{
    error::Result,
    prompts::KnownPrompt,
    score::{AnalysisResult, DetectorScores, GradedScores, MitigationResult},
    spec::{ReportSettings, TableKind},
};

/// All scores of one model.
#[derive(Clone, Debug)]
pub struct ModelScores {
    /// How tables call the model.
    pub model: String,
    /// The paper's column printed beside it.
    pub paper: Option<PaperModel>,
    /// The memorized prompts.
    pub memorized: Vec<KnownPrompt>,
    /// The non-memorized prompts.
    pub non_memorized: Vec<KnownPrompt>,
    /// Prompts whose reproduction rate is known.
    pub graded_prompts: Vec<KnownPrompt>,
    /// Scores by detector and number of generations.
    pub detectors: Vec<DetectorScores>,
    /// Scores of the graded prompts by detector.
    pub graded: Vec<GradedScores>,
    /// The metric's weights in use.
    pub hyperparameters: ModelHyperparameters,
    /// The numbers of the analyses.
    pub analyses: Vec<AnalysisResult>,
    /// What mitigations gave, where the experiment asks for them.
    pub mitigation: Option<MitigationResult>,
    /// (C, H, W) of the latents.
    pub latent_shape: (usize, usize, usize),
    /// s_t = σ of every training timestep.
    pub sigmas: Vec<f64>,
}

impl ModelScores {
    /// s_t = √(1 − ᾱ_t), the noise level at a timestep.
    pub fn sigma(&self, t: usize) -> Option<f64> {
        self.sigmas.get(t).copied()
    }

    fn with_generations(&self, n: usize) -> impl Iterator<Item = &DetectorScores> {
        self.detectors.iter().filter(move |scores| scores.generations == n)
    }
}

impl TableKind {
    /// The file stem of the table within its experiment.
    pub fn name(self, experiment: &str) -> String {
        let suffix = match self {
            Self::Detection | Self::Hyperparameters | Self::MitigationHyperparameters | Self::Mitigation => "",
            Self::MitigationDifferences => "-differences",
            Self::MitigationDetection => "-detection",
            Self::Decisions => "-decisions",
            Self::Differences => "-differences",
            Self::Ranks => "-ranks",
            Self::Reproduction => "-reproduction",
            Self::PerDraw => "-per-draw",
            Self::BySet => "-by-set",
            Self::ByWeight => "-by-weight",
            Self::GammaFit => "-gamma-fit",
            Self::Spectrum => "-spectrum",
            Self::Alignment => "-alignment",
        };
        format!("{experiment}{suffix}")
    }

    /// Makes this table alone; [`Tables`] makes several.
    ///
    /// # Errors
    /// As [`Tables::build`].
    pub fn build(
        self,
        experiment: &str,
        title: &str,
        models: &[ModelScores],
        report: &ReportSettings,
    ) -> Result<ResultTable> {
        Tables::new(experiment, title, models, report).build(self)
    }
}

/// The tables of one experiment. What several of them need is computed once.
pub struct Tables<'a> {
    experiment: &'a str,
    title: &'a str,
    models: &'a [ModelScores],
    report: &'a ReportSettings,
    pairs: Pairs,
}

impl<'a> Tables<'a> {
    /// Tables over the scores of an experiment's models.
    pub fn new(experiment: &'a str, title: &'a str, models: &'a [ModelScores], report: &'a ReportSettings) -> Self {
        Self { experiment, title, models, report, pairs: Pairs::new(report) }
    }

    /// Makes one of them.
    ///
    /// # Errors
    /// Scores that no statistic can be taken of, or a name that is no file stem.
    pub fn build(&self, kind: TableKind) -> Result<ResultTable> {
        let name = kind.name(self.experiment);
        let Self { title, models, report, pairs, .. } = self;
        match kind {
            TableKind::Detection => detection::table(name, title, models, report, pairs),
            TableKind::Decisions => decisions::table(name, title, models, report),
            TableKind::Differences => differences::table(name, title, models, report, pairs),
            TableKind::Ranks => ranks::table(name, title, models, report, pairs),
            TableKind::Reproduction => graded::reproduction(name, title, models, report),
            TableKind::PerDraw => graded::per_draw(name, title, models, report),
            TableKind::BySet => groups::by_set(name, title, models, report),
            TableKind::ByWeight => groups::by_weight(name, title, models, report),
            TableKind::GammaFit => gamma_fit::table(name, title, models, report),
            TableKind::Spectrum => spectrum::table(name, title, models),
            TableKind::Alignment => alignment::table(name, title, models),
            TableKind::Hyperparameters => hyperparameters::detection(name, title, models),
            TableKind::MitigationHyperparameters => hyperparameters::mitigation(name, title, models, report),
            TableKind::Mitigation => mitigation::table(name, title, models, report),
            TableKind::MitigationDifferences => mitigation::differences(name, title, models, report),
            TableKind::MitigationDetection => mitigation_detection::table(name, title, models, report),
        }
    }
}

/// The statistics of a detection table.
struct Statistics {
    tpr: Statistic,
    tpr_reference: Statistic,
    bootstrap: Bootstrap,
}

impl Statistics {
    fn new(report: &ReportSettings) -> Self {
        let tpr = |rule| Statistic::TprAtFpr { fpr: report.target_fpr, rule };
        Self { tpr: tpr(TprRule::MaxTprFprLe), tpr_reference: tpr(TprRule::NearestFpr), bootstrap: report.bootstrap() }
    }

    /// Mean and spread over seeds, interval over prompts.
    fn cell(&self, sets: &[ScoreSet], statistic: Statistic) -> Result<Cell> {
        let values = sets.iter().map(|set| statistic.of(*set)).collect::<std::result::Result<Vec<_>, _>>()?;
        let summary = Summary::of(&values, Ddof::Sample)?;
        let estimate = self.bootstrap.estimate(sets, statistic)?;
        Ok(Cell::measured(summary, Some(estimate.interval), 3))
    }
}

/// What the numbers of [`Statistics::cell`] are.
const SPREAD: &str = "mean ± sample StD over seeds [95 % bootstrap interval over prompts]";
const STANDARD_TPR: &str = "highest TPR whose FPR does not exceed the target";

/// `TPR@1%FPR`, for headings.
fn tpr_heading(fpr: f64) -> String {
    let percent = format!("{:.3}", fpr * 100.0);
    format!("TPR@{}%FPR", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// A number with its interval over prompts, without a spread over seeds.
fn with_interval(value: f64, interval: Interval, decimals: u8) -> Cell {
    Cell::measured(Summary { count: 1, mean: value, std: None }, Some(interval), decimals)
}

/// The columns that tables of detectors begin with: model, n and detector.
fn detector_columns(report: &ReportSettings) -> Vec<Column> {
    vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("method", report.rows.as_deref().unwrap_or("Detector"), ColumnKind::Text),
    ]
}

/// The published cell beside a detector's scores.
fn published(model: Option<PaperModel>, scores: &DetectorScores) -> Option<PaperCell<'static>> {
    let (model, row) = model.zip(scores.detector.paper_row())?;
    paper().row(model, scores.generations as u32, row)
}
