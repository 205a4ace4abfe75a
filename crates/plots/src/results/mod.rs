//! Figures of an experiment: from what was measured to the plain numbers of [`figures`](crate::figures).

mod cost;
mod densities;
mod detection;
mod field;
mod gathered;
mod spectrum;
mod theorem;

use std::{
    fs,
    path::{Path, PathBuf},
};

use memscope_eval::{
    experiment::{Experiment, ExperimentFile, FigureKind},
    manifest::ModelRecord,
    session::Outcome,
    tables::{ModelScores, ModelTiming},
};
use serde::{Deserialize, Serialize};

pub use gathered::{sweep_figures, token_strip};
pub use theorem::theorem_figure;

use crate::{Error, Figure, Meta, Theme};

/// Why the figures of an experiment could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A figure cannot be drawn.
    #[error(transparent)]
    Figure(#[from] Error),
    /// The numbers behind it cannot be computed.
    #[error(transparent)]
    Eval(#[from] memscope_eval::Error),
}

impl From<memscope_eval::stats::StatsError> for ResultsError {
    fn from(error: memscope_eval::stats::StatsError) -> Self {
        Self::Eval(error.into())
    }
}

type Result<T> = std::result::Result<T, ResultsError>;

/// One model of an experiment, as its figures see it.
struct Subject<'a> {
    file: &'a ExperimentFile,
    model: &'a ModelScores,
    record: &'a ModelRecord,
    timing: Option<&'a ModelTiming>,
}

impl Subject<'_> {
    /// The model's name without its kind of source, as a part of file names.
    fn stem(&self) -> String {
        let name = self.model.model.rsplit([':', '/']).next().unwrap_or_default();
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
    }

    /// Name, alternative text and small print of a figure; `own` goes first in the print.
    fn meta(&self, kind: &str, alt: String, own: &[String]) -> Meta {
        let (record, file) = (self.record, self.file);
        let seeds: Vec<String> = file.noise.seeds.iter().map(ToString::to_string).collect();
        let mut caption = own.to_vec();
        caption.push(format!(
            "{} ({}), {}. {} memorized and {} other prompts. Protocol {}, {}. Noise {}, seeds {}.",
            record.source,
            record.parameterization,
            record.weights.label(&record.fingerprint),
            record.prompts.memorized,
            record.prompts.non_memorized,
            file.protocol.preset(),
            file.protocol.numerics(),
            file.noise.generator,
            seeds.join(", "),
        ));
        Meta { name: format!("{}-{kind}-{}", file.name, self.stem()), alt, caption }
    }

    /// The smallest number of generations that is reported.
    fn generations(&self) -> usize {
        self.file.report.generations.iter().copied().min().unwrap_or(1)
    }
}

/// The figures an experiment asks for, model by model.
pub fn figures(experiment: &Experiment, outcome: &Outcome) -> Result<Vec<Box<dyn Figure>>> {
    let file = experiment.file();
    let mut figures: Vec<Box<dyn Figure>> = vec![];
    for (model, record) in outcome.models.iter().zip(&outcome.manifest.models) {
        let timing = outcome.timed.iter().find(|timing| timing.model == model.model);
        let subject = Subject { file, model, record, timing };
        for kind in &file.figures {
            match kind {
                FigureKind::Roc => figures.push(Box::new(detection::roc(&subject)?)),
                FigureKind::Scores => figures.extend(detection::histograms(&subject)),
                FigureKind::Densities => figures.push(Box::new(densities::figure(&subject)?)),
                FigureKind::Cost => figures.push(Box::new(cost::figure(&subject)?)),
                FigureKind::DoseResponse => figures.push(Box::new(detection::dose_response(&subject)?)),
                FigureKind::LocalVerbatim => figures.push(Box::new(detection::local_verbatim(&subject)?)),
                FigureKind::Weights => figures.push(Box::new(detection::weights(&subject)?)),
                FigureKind::Spectrum => figures.extend(spectrum::figures(&subject)),
                FigureKind::Field => figures.extend(field::figures(&subject)),
            }
        }
    }
    Ok(figures)
}

/// What stands beside a drawing for readers and for the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sidecar {
    /// One sentence for those who do not see it.
    pub alt: String,
    /// Small print, one paragraph each.
    pub caption: Vec<String>,
    /// The command that makes it again.
    pub command: String,
}

/// Writes NAME.svg, NAME.png, NAME-dark.svg and NAME.json for every figure into `folder`.
pub fn write(figures: &[Box<dyn Figure>], folder: &Path, command: &str) -> Result<Vec<PathBuf>> {
    let mut written = vec![];
    for figure in figures {
        written.extend(figure.write(folder)?);
        let sidecar =
            Sidecar { alt: figure.alt().to_owned(), caption: figure.caption().to_vec(), command: command.to_owned() };
        let json = serde_json::to_vec_pretty(&sidecar)
            .map_err(|e| Error::Drawing { figure: figure.name().to_owned(), message: e.to_string() })?;
        let others = [("-dark.svg", figure.svg(Theme::Dark)?.into_bytes()), (".json", json)];
        for (ending, bytes) in others {
            let path = folder.join(format!("{}{ending}", figure.name()));
            fs::write(&path, bytes).map_err(|source| Error::Write { path: path.clone(), source })?;
            written.push(path);
        }
    }
    Ok(written)
}
