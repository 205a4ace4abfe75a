//! The stored numbers of a measurement plan.

use std::borrow::Cow;

use memscope_metric::{Detector, Quantity, Score};

use crate::{
    error::{Error, Result},
    store::MeasurementStore,
    task::{Located, PlannedMeasure},
    tasks::MeasurementPlan,
};

/// A measurement plan with the store that holds its numbers.
pub struct StoredPlan<'a> {
    plan: &'a MeasurementPlan,
    store: &'a MeasurementStore,
    /// The positions of the prompts, in the order of their texts.
    by_text: Vec<u32>,
}

/// The stored values of one measure.
pub struct StoredValues<'a> {
    /// The prompt.
    pub prompt: &'a str,
    /// The seed.
    pub seed: u64,
    /// The generation, from 0.
    pub generation: usize,
    /// The measure.
    pub measure: &'a str,
    /// Names of its values.
    pub names: &'a [String],
    /// The values.
    pub values: &'a [f64],
}

impl<'a> StoredPlan<'a> {
    /// Reads what `plan` has put into `store`.
    pub fn new(plan: &'a MeasurementPlan, store: &'a MeasurementStore) -> Self {
        let mut by_text: Vec<u32> = (0..plan.prompts().len() as u32).collect();
        by_text.sort_unstable_by_key(|position| plan.prompts().get(*position as usize));
        Self { plan, store, by_text }
    }

    fn position(&self, prompt: &str) -> Option<usize> {
        let text = |position: &u32| self.plan.prompts().get(*position as usize);
        let at = self.by_text.binary_search_by_key(&prompt, text).ok()?;
        Some(self.by_text[at] as usize)
    }

    /// Makes ready to read some quantities of every prompt; `name` says whose they are.
    ///
    /// # Errors
    /// When the plan does not measure one of them.
    pub(crate) fn quantities(&self, name: &str, quantities: &[Quantity]) -> Result<StoredQuantities<'_>> {
        let places = self.plan.locate(quantities).ok_or_else(|| missing(name, "any prompt"))?;
        Ok(StoredQuantities { stored: self, name: name.to_owned(), places })
    }

    /// Makes ready to score every prompt with a detector.
    ///
    /// # Errors
    /// When the plan does not measure what the detector reads.
    pub(crate) fn scorer<'s>(&'s self, name: &str, detector: &'s dyn Detector) -> Result<Scorer<'s>> {
        Ok(Scorer { quantities: self.quantities(name, &detector.quantities())?, detector })
    }

    /// Visits every stored group of values of these prompts, in the order prompt, seed, generation, measure.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub fn try_for_each(&self, prompts: &[String], mut visit: impl FnMut(&StoredValues) -> Result<()>) -> Result<()> {
        let noise = self.plan.noise();
        for prompt in prompts {
            let Some(known) = self.position(prompt) else { continue };
            for &seed in &noise.seeds {
                for generation in 0..noise.generations {
                    for PlannedMeasure { id, names, .. } in self.plan.under(seed) {
                        if let Some(values) = self.store.get(&self.plan.key(id, known, seed, generation)) {
                            visit(&StoredValues { prompt, seed, generation, measure: id, names, values: &values })?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn missing(name: &str, prompt: &str) -> Error {
    Error::NotMeasured { detector: name.to_owned(), prompt: prompt.to_owned() }
}

/// Quantities of a plan, ready to be read.
pub(crate) struct StoredQuantities<'s> {
    stored: &'s StoredPlan<'s>,
    name: String,
    places: Vec<Located>,
}

impl StoredQuantities<'_> {
    /// The quantities of a prompt for the first `generations` latents of a seed.
    ///
    /// # Errors
    /// When one has not been measured.
    pub(crate) fn read(&self, prompt: &str, seed: u64, generations: usize) -> Result<Vec<Vec<f64>>> {
        let position = self.stored.position(prompt).ok_or_else(|| missing(&self.name, prompt))?;
        self.read_at(position, seed, generations)
    }

    /// The same of the prompt at a position of the plan.
    ///
    /// # Errors
    /// When one has not been measured.
    fn read_at(&self, position: usize, seed: u64, generations: usize) -> Result<Vec<Vec<f64>>> {
        let values: Option<Vec<Vec<f64>>> =
            (0..generations).map(|generation| self.of_generation(position, seed, generation)).collect();
        values.ok_or_else(|| missing(&self.name, self.stored.plan.prompts().get(position)))
    }

    /// The quantities of a prompt for one latent.
    ///
    /// # Errors
    /// When one has not been measured.
    pub(crate) fn read_one(&self, prompt: &str, seed: u64, generation: usize) -> Result<Vec<f64>> {
        let known = self.stored.position(prompt).ok_or_else(|| missing(&self.name, prompt))?;
        self.of_generation(known, seed, generation).ok_or_else(|| missing(&self.name, prompt))
    }

    fn of_generation(&self, prompt: usize, seed: u64, generation: usize) -> Option<Vec<f64>> {
        let StoredPlan { plan, store, .. } = self.stored;
        // Quantities of one measure stand in one record, which is looked up once.
        let mut record: Option<(usize, Cow<[f64]>)> = None;
        let value = |place: &Located| {
            if record.as_ref().is_none_or(|(measure, _)| *measure != place.measure) {
                let measure = plan.measure(place.measure)?;
                let values = store.get(&plan.key(&measure.id, prompt, seed, generation))?;
                record = Some((place.measure, values));
            }
            record.as_ref()?.1.get(place.value).copied()
        };
        self.places.iter().map(value).collect()
    }
}

/// A detector that scores prompts from stored numbers.
pub(crate) struct Scorer<'s> {
    quantities: StoredQuantities<'s>,
    detector: &'s dyn Detector,
}

impl Scorer<'_> {
    /// The score of a prompt under a seed.
    ///
    /// # Errors
    /// When a number has not been measured.
    pub(crate) fn score(&self, prompt: &str, seed: u64, generations: usize) -> Result<Score> {
        Ok(self.detector.score(&self.quantities.read(prompt, seed, generations)?))
    }

    /// The score of the prompt at a position of the plan, under a seed.
    ///
    /// # Errors
    /// When a number has not been measured.
    pub(crate) fn score_at(&self, position: usize, seed: u64, generations: usize) -> Result<Score> {
        Ok(self.detector.score(&self.quantities.read_at(position, seed, generations)?))
    }

    /// The score of a prompt from one latent.
    ///
    /// # Errors
    /// When a number has not been measured.
    pub(crate) fn score_one(&self, prompt: &str, seed: u64, generation: usize) -> Result<Score> {
        Ok(self.detector.score(&[self.quantities.read_one(prompt, seed, generation)?]))
    }
}
