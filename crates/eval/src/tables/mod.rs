//! The tables an experiment can make: each is a query over detection scores.

mod detection;
mod differences;
mod timing;

pub use timing::{DetectorNeeds, ModelTiming, timing_table};

use crate::{
    detection::DetectorScores,
    error::Result,
    experiment::{ReportSettings, TableKind},
    paper::Model as PaperModel,
    stats::{Bootstrap, ScoreSet, Statistic, TprRule},
    table::ResultTable,
};

/// All scores of one model.
#[derive(Clone, Debug)]
pub struct ModelScores {
    /// How tables call the model.
    pub model: String,
    /// The paper's column printed beside it.
    pub paper: Option<PaperModel>,
    /// Scores by detector and number of generations.
    pub detectors: Vec<DetectorScores>,
}

impl ModelScores {
    fn with_generations(&self, n: usize) -> impl Iterator<Item = &DetectorScores> {
        self.detectors.iter().filter(move |scores| scores.generations == n)
    }
}

impl TableKind {
    /// The file stem of the table within its experiment.
    pub fn name(self, experiment: &str) -> String {
        match self {
            Self::Detection => experiment.to_owned(),
            Self::Differences => format!("{experiment}-differences"),
        }
    }

    /// Makes the table.
    pub fn build(
        self,
        experiment: &str,
        title: &str,
        models: &[ModelScores],
        report: &ReportSettings,
    ) -> Result<ResultTable> {
        let name = self.name(experiment);
        match self {
            Self::Detection => detection::table(name, title, models, report),
            Self::Differences => differences::table(name, title, models, report),
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
        let tpr = |rule| Statistic::TprAtFpr { fpr: report.fpr, rule };
        Self {
            tpr: tpr(TprRule::MaxTprFprLe),
            tpr_reference: tpr(TprRule::NearestFpr),
            bootstrap: Bootstrap { resamples: report.resamples, seed: report.bootstrap_seed, confidence: 0.95 },
        }
    }
}

fn score_sets(scores: &DetectorScores) -> Result<Vec<ScoreSet<'_>>> {
    scores.runs.iter().map(crate::detection::SeedScores::as_set).collect()
}

/// `TPR@1%FPR`, for headings.
fn tpr_heading(fpr: f64) -> String {
    let percent = format!("{:.3}", fpr * 100.0);
    format!("TPR@{}%FPR", percent.trim_end_matches('0').trim_end_matches('.'))
}
