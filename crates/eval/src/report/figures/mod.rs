//! Figures of an experiment as numbers; who draws them needs nothing else.

mod cost;
mod densities;
mod detection;
mod field;
mod gathered;
mod spectrum;
mod theorem;
mod trade_off;

use memscope_results::{
    figures::{FigureData, Meta},
    manifest::ModelRecord,
    timing::ModelTiming,
};

pub use gathered::{sweep_figures, token_strip};
pub use theorem::theorem_figure;

use super::tables::ModelScores;
use crate::{
    error::Result,
    spec::{ExperimentFile, FigureKind},
};

/// The figures of an experiment as numbers, and what is not among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// Figures that can be drawn.
    pub figures: Vec<FigureData>,
    /// Figures, or parts of them, that the data do not allow, and why.
    pub notes: Vec<String>,
}

impl Drawn {
    /// Keeps a figure, or says why it cannot be drawn.
    fn add(&mut self, figure: impl Into<FigureData>) {
        let figure = figure.into();
        match figure.check() {
            Ok(()) => self.figures.push(figure),
            Err(error) => self.notes.push(format!("{error}: the figure is left out")),
        }
    }
}

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
            "{} ({}), {}. {} memorized and {} non-memorized prompts. Protocol {}, {}. Noise {}, seeds {}.",
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

/// The figures an experiment asks for, model by model. One that the data do not allow, such as a density of equal scores,
/// is left out with a note.
///
/// # Errors
/// When a number behind a figure cannot be computed.
pub fn figures(
    file: &ExperimentFile,
    models: &[ModelScores],
    records: &[ModelRecord],
    timed: &[ModelTiming],
) -> Result<Drawn> {
    let mut drawn = Drawn::default();
    for (model, record) in models.iter().zip(records) {
        let timing = timed.iter().find(|timing| timing.model == model.model);
        let subject = Subject { file, model, record, timing };
        for kind in &file.figures {
            match kind {
                FigureKind::Roc => drawn.add(detection::roc(&subject)?),
                FigureKind::Scores => detection::histograms(&subject).into_iter().for_each(|figure| drawn.add(figure)),
                FigureKind::Densities => densities::add(&subject, &mut drawn)?,
                FigureKind::Cost => drawn.add(cost::figure(&subject)?),
                FigureKind::DoseResponse => drawn.add(detection::dose_response(&subject)?),
                FigureKind::LocalVerbatim => drawn.add(detection::local_verbatim(&subject)?),
                FigureKind::Weights => drawn.add(detection::weights(&subject)?),
                FigureKind::Spectrum => spectrum::figures(&subject)?.into_iter().for_each(|figure| drawn.add(figure)),
                FigureKind::TradeOff => match trade_off::figure(&subject)? {
                    Some(figure) => drawn.add(figure),
                    None => drawn.notes.push(format!("{}: no mitigation was measured", subject.model.model)),
                },
                FigureKind::Field => field::figures(&subject).into_iter().for_each(|figure| drawn.add(figure)),
            }
        }
    }
    Ok(drawn)
}
