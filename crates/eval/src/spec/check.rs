//! What only the whole experiment file can tell.

use memscope_metric::Numerics;
use memscope_model::{Execution, ModelSource, NoiseGenerator, NoisePrecision, Parameterization};

use super::{DetectorEntry, DetectorName, ExperimentFile, FigureKind, ModelEntry, NoiseSharing, TableKind};
use crate::error::{Error, Result};

/// An experiment that can run.
#[derive(Clone, Debug)]
pub struct Experiment {
    file: ExperimentFile,
    models: Vec<ModelSource>,
}

impl ExperimentFile {
    /// Checks what a single field cannot tell.
    ///
    /// # Errors
    /// When fields contradict one another.
    pub fn check(self, file: &str) -> Result<Experiment> {
        let fail = |reason: String| Error::Experiment { file: file.to_owned(), reason };
        let not_empty = |field: &str, len: usize| match len {
            0 => Err(fail(format!("{field}: give at least one"))),
            _ => Ok(()),
        };
        not_empty("models", self.models.len())?;
        let pictures = usize::from(self.gallery.is_some()) + usize::from(self.mitigation.is_some());
        not_empty("detectors, analyses, gallery or mitigation", self.detectors.len() + self.analyses.len() + pictures)?;
        not_empty("tables, figures, gallery or mitigation", self.tables.len() + self.figures.len() + pictures)?;
        self.check_mitigation().map_err(fail)?;
        self.analyses
            .iter()
            .try_for_each(|analysis| analysis.check().map_err(|reason| fail(format!("analyses: {reason}"))))?;
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
        repeated("detectors", has_repeats(&self.detectors.iter().map(DetectorEntry::label).collect::<Vec<_>>()))?;
        for (entry, kind) in self.detectors.iter().flat_map(|d| Parameterization::ALL.map(|kind| (d, kind))) {
            entry.check().map_err(|reason| fail(format!("detectors: {reason}")))?;
            let protocol = entry.protocol(&self.protocol);
            protocol.resolve(kind).map_err(|e| fail(format!("protocol of '{}': {e}", entry.label())))?;
        }
        for entry in &self.detectors {
            let Some(seeds) = entry.seeds() else { continue };
            if seeds.is_empty() || has_repeats(seeds) || !seeds.iter().all(|seed| self.noise.seeds.contains(seed)) {
                return Err(fail(format!("seeds of '{}' must be some of noise.seeds, each once", entry.label())));
            }
        }
        if self.tables.contains(&TableKind::Differences) && self.detectors.len() < 2 {
            return Err(fail("tables: differences needs at least two detectors".into()));
        }
        if self.tables.contains(&TableKind::Ranks) && self.detectors.len() < 2 {
            return Err(fail("tables: ranks needs at least two detectors".into()));
        }
        if let Some(kind) = self.tables.iter().find(|kind| kind.needs_graded()) {
            let name = if *kind == TableKind::PerDraw { "per_draw" } else { "reproduction" };
            if self.prompts.graded.is_none() {
                return Err(fail(format!("tables: {name} needs prompts.graded, e.g. {{embedded: verbatim}}")));
            }
            if self.noise.generator != NoiseGenerator::A6000 || self.noise.sharing != NoiseSharing::Shared {
                return Err(fail(format!(
                    "tables: {name} needs noise {{generator: torch-cuda, sharing: shared}}, which the known draws started from"
                )));
            }
        } else if self.prompts.graded.is_some() {
            return Err(fail("prompts.graded: no table needs it; add reproduction or per_draw to tables".into()));
        }
        let anisotropy = || self.detectors.iter().any(|d| d.name() == DetectorName::Anisotropy);
        if self.tables.contains(&TableKind::GammaFit) && !anisotropy() {
            return Err(fail("tables: gamma_fit needs the detector anisotropy".into()));
        }
        if self.prompts.limit == Some(0) {
            return Err(fail("prompts.limit must be at least 1".into()));
        }
        let models = self.models.iter().map(ModelEntry::model).collect::<memscope_model::Result<Vec<_>>>();
        let models = models.map_err(|e| fail(format!("models: {e}")))?;
        repeated("models", has_repeats(&models))?;
        Ok(Experiment { file: self, models })
    }

    /// The mitigation, and what is made from it.
    fn check_mitigation(&self) -> std::result::Result<(), String> {
        let Some(settings) = &self.mitigation else {
            let table = self.tables.iter().any(|kind| kind.needs_mitigation());
            return match table || self.figures.contains(&FigureKind::TradeOff) {
                true => Err("tables and figures of mitigations need the section mitigation".into()),
                false => Ok(()),
            };
        };
        settings.check(&self.protocol).map_err(|reason| format!("mitigation: {reason}"))?;
        let is_plain = |entry: &DetectorEntry| entry.protocol(&self.protocol).numerics() == Numerics::F32;
        match self.tables.contains(&TableKind::MitigationDetection) {
            true if self.detectors.is_empty() => Err("tables: mitigation_detection needs detectors".into()),
            true if !self.detectors.iter().all(is_plain) => {
                Err("tables: mitigation_detection needs detectors in numerics: f32".into())
            }
            true if !self.report.generations.contains(&settings.images) => Err(format!(
                "tables: mitigation_detection compares scores of {0} noises: add {0} to report.generations",
                settings.images
            )),
            _ => Ok(()),
        }
    }
}

fn has_repeats<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(i, item)| items[..i].contains(item))
}

impl Experiment {
    /// The file it came from, with every default filled in.
    pub fn file(&self) -> &ExperimentFile {
        &self.file
    }

    /// Whether a table needs the prompts to be scored.
    pub fn needs_scores(&self) -> bool {
        !self.file.analyses.is_empty()
            || self.file.gallery.is_some()
            || self.file.mitigation.is_some()
            || !self.file.figures.is_empty()
            || self.file.tables.iter().any(|kind| kind.needs_scores())
    }

    /// The checked models, in order.
    pub fn models(&self) -> impl Iterator<Item = (&ModelSource, &ModelEntry)> {
        self.models.iter().zip(&self.file.models)
    }

    /// Number format and device of the networks.
    pub fn execution(&self) -> Execution {
        self.file.network.execution()
    }

    /// The noise generator.
    pub fn generator(&self) -> NoiseGenerator {
        self.file.noise.generator
    }
}

/// The precision of x_T under an arithmetic.
pub fn noise_precision(numerics: Numerics) -> NoisePrecision {
    match numerics {
        Numerics::F32 => NoisePrecision::F32,
        Numerics::Bf16Emulated => NoisePrecision::Bf16,
    }
}
