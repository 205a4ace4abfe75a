//! What stored records say about mitigations.

use crate::{
    prompts::KnownPrompt,
    spec::{DetectorEntry, MitigationSettings},
    store::MeasurementStore,
    tasks::{Judging, Mitigations, PictureMetrics, UnitRecord, is_verbatim},
};

/// Share of a prompt's pictures from which on the prompt counts as copied: half of them.
const COPIED: f64 = 0.5;

/// Whether a prompt is copied, by the share of its pictures that are copies.
pub fn is_copied(share: f64) -> bool {
    share >= COPIED
}

/// One prompt under one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct MitigatedPrompt {
    /// Position of the prompt.
    pub prompt: usize,
    /// What the mitigation did.
    pub record: UnitRecord,
    /// What its pictures show.
    pub metrics: PictureMetrics,
    /// The detectors' scores on what is drawn; empty where none were asked for.
    pub scores: Vec<f64>,
}

/// A method on all prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodResult {
    /// How tables call it.
    pub label: String,
    /// Its line in figures.
    pub line: String,
    /// The configuration of Table 6 that it is, if it is one.
    pub table6: Option<u32>,
    /// Whether it is the one without mitigation.
    pub is_none: bool,
    /// Whether it lowers M.
    pub is_anisotropy: bool,
    /// Prompts and seeds.
    pub units: Vec<MitigatedPrompt>,
}

/// All methods on one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MitigationResult {
    /// The methods.
    pub methods: Vec<MethodResult>,
    /// The prompts.
    pub prompts: Vec<KnownPrompt>,
    /// Pictures of a prompt and seed.
    pub images: usize,
    /// The detectors behind [`MitigatedPrompt::scores`].
    pub detectors: Vec<DetectorEntry>,
    /// The names of the judges; empty without.
    pub judges: Vec<String>,
    /// Copy similarity above which a picture counts as a copy; `None` where there is no descriptor.
    pub copy_threshold: Option<f64>,
    /// Prompts without a training picture.
    pub without_picture: usize,
}

/// A number about a method on a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Share of pictures within [`VERBATIM`](crate::tasks::VERBATIM) of the training picture.
    Verbatim,
    /// Mean pixel RMS to the training picture.
    Distance,
    /// Greatest copy similarity of a picture.
    Similarity,
    /// Share of pictures that are copies by their similarity.
    Copies,
    /// Mean pixel RMS between two pictures.
    Diversity,
    /// Mean alignment.
    Alignment,
    /// Mean quality.
    Quality,
    /// Network calls.
    Calls,
    /// Seconds of the mitigation and of drawing.
    Seconds,
    /// Whether the target was reached, 0 or 1.
    Reached,
    /// Steps of the optimisation.
    Steps,
}

impl Quantity {
    /// The number of a unit, where it is known.
    pub fn of(self, unit: &MitigatedPrompt) -> Option<f64> {
        use memscope_mitigation::Ending;
        let mean = |values: &Option<Vec<f64>>| {
            values.as_ref().map(|values| values.iter().sum::<f64>() / values.len().max(1) as f64)
        };
        let share = |is: &Vec<bool>| is.iter().filter(|is| **is).count() as f64 / is.len().max(1) as f64;
        let (record, metrics) = (&unit.record, &unit.metrics);
        let verbatim = || metrics.distance.as_ref().map(|all| all.iter().copied().map(is_verbatim).collect::<Vec<_>>());
        match self {
            Self::Verbatim => verbatim().as_ref().map(share),
            Self::Distance => mean(&metrics.distance),
            Self::Similarity => {
                metrics.similarity.as_ref().map(|all| all.iter().copied().fold(f64::NEG_INFINITY, f64::max))
            }
            Self::Copies => metrics.similarity.as_ref().and(metrics.copies.as_ref()).map(share),
            Self::Diversity => metrics.diversity,
            Self::Alignment => mean(&metrics.alignment),
            Self::Quality => mean(&metrics.quality),
            Self::Calls => Some(record.calls as f64),
            Self::Seconds => Some(record.seconds.0 + record.seconds.1),
            Self::Reached => match record.ending {
                Ending::Reached => Some(1.0),
                Ending::NotReached | Ending::NonFinite => Some(0.0),
                Ending::Done => None,
            },
            Self::Steps => (!record.losses.is_empty()).then_some(record.losses.len() as f64 - 1.0),
        }
    }
}

impl MethodResult {
    /// A number for each prompt, averaged over seeds; `None` where a seed lacks it.
    pub fn by_prompt(&self, prompts: usize, number: impl Fn(&MitigatedPrompt) -> Option<f64>) -> Vec<Option<f64>> {
        let of_prompt = |prompt: usize| {
            let units = self.units.iter().filter(|unit| unit.prompt == prompt);
            let values: Option<Vec<f64>> = units.map(&number).collect();
            values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        (0..prompts).map(of_prompt).collect()
    }

    /// The same without the prompts that lack it.
    pub fn known(&self, prompts: usize, quantity: Quantity) -> Vec<f64> {
        self.by_prompt(prompts, |unit| quantity.of(unit)).into_iter().flatten().collect()
    }
}

/// Reads everything about the methods of an experiment on one model.
pub(crate) fn read_mitigation(
    settings: &MitigationSettings,
    (task, judging): (&Mitigations, &Judging),
    detectors: &[DetectorEntry],
    store: &MeasurementStore,
) -> MitigationResult {
    let method = |(position, entry): (usize, &crate::spec::MitigationEntry)| {
        let units = task.places().filter(|(_, place)| place.method == position);
        let unit = |(unit, place): (usize, crate::tasks::Place)| {
            Some(MitigatedPrompt {
                prompt: place.prompt,
                record: task.read(unit, store)?,
                metrics: judging.read(unit, store)?,
                scores: task.scores(unit, store)?,
            })
        };
        MethodResult {
            label: entry.label(),
            line: entry.line(),
            table6: entry.table6_config(),
            is_none: entry.name() == crate::spec::MitigationName::None,
            is_anisotropy: entry.name() == crate::spec::MitigationName::Anisotropy,
            units: units.filter_map(unit).collect(),
        }
    };
    MitigationResult {
        methods: settings.methods.iter().enumerate().map(method).collect(),
        prompts: task.prompts.clone(),
        images: task.images(),
        detectors: detectors.to_vec(),
        judges: vec![],
        copy_threshold: judging.copy_threshold(),
        without_picture: judging.training().missing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_copied_when_half_of_its_draws_are() {
        assert!(is_copied(0.5) && !is_copied(0.499_999));
    }
}
