//! The measures of a run, each once.

use memscope_metric::{Measure, PredictionRequest, Quantity};

/// A measure with its name and those of its values.
pub(crate) struct PlannedMeasure {
    pub(crate) measure: Box<dyn Measure>,
    pub(crate) id: String,
    pub(crate) names: Vec<String>,
    /// The seeds under which it is wanted; `None` for all.
    seeds: Option<Vec<u64>>,
}

impl PlannedMeasure {
    /// Whether it is wanted under a seed.
    pub(crate) fn under(&self, seed: u64) -> bool {
        self.seeds.as_ref().is_none_or(|seeds| seeds.contains(&seed))
    }
}

/// Measures by position, no two with the same id.
#[derive(Default)]
pub struct Measures(Vec<PlannedMeasure>);

impl Measures {
    /// Adds a measure under some seeds, or all where `None`; one that is there already serves both.
    pub fn add(&mut self, measure: Box<dyn Measure>, seeds: Option<&[u64]>) {
        let id = measure.id();
        let Some(known) = self.0.iter_mut().find(|planned| planned.id == id) else {
            self.0.push(PlannedMeasure { id, names: measure.names(), measure, seeds: seeds.map(<[u64]>::to_vec) });
            return;
        };
        match (&mut known.seeds, seeds) {
            (Some(known), Some(seeds)) => {
                known.extend(seeds.iter().filter(|seed| !known.contains(seed)).collect::<Vec<_>>())
            }
            (all, _) => *all = None,
        }
    }

    pub(crate) fn all(&self) -> &[PlannedMeasure] {
        &self.0
    }

    /// What some of them request, each prediction once.
    pub(crate) fn requests<'m>(of: impl IntoIterator<Item = &'m PlannedMeasure>) -> Vec<PredictionRequest> {
        let mut requests: Vec<PredictionRequest> =
            of.into_iter().flat_map(|planned| planned.measure.requests()).collect();
        requests.sort_unstable();
        requests.dedup();
        requests
    }

    /// Where quantities stand among the values; `None` for one that is not measured.
    pub fn locate(&self, quantities: &[Quantity]) -> Option<Vec<Located>> {
        let locate = |quantity: &Quantity| {
            let measure = self.0.iter().position(|planned| planned.id == quantity.measure)?;
            let value = self.0[measure].names.iter().position(|name| *name == quantity.name)?;
            Some(Located { measure, value })
        };
        quantities.iter().map(locate).collect()
    }
}

impl FromIterator<Box<dyn Measure>> for Measures {
    /// All under every seed.
    fn from_iter<I: IntoIterator<Item = Box<dyn Measure>>>(measures: I) -> Self {
        let mut all = Self::default();
        measures.into_iter().for_each(|measure| all.add(measure, None));
        all
    }
}

/// A quantity's place: its measure's position, and its own among the measure's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    pub(crate) measure: usize,
    pub(crate) value: usize,
}
