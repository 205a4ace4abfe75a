//! Paired differences between detectors, each computed once for all tables of an experiment.

use std::{cell::RefCell, collections::HashMap};

use memscope_results::{
    scores::score_sets,
    stats::{Difference, Statistic},
};

use super::{ModelScores, Statistics};
use crate::{error::Result, score::DetectorScores, spec::ReportSettings};

/// What two detectors are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Measure {
    Auc,
    /// True positive rate at the report's false positive rate.
    Tpr,
}

/// The detectors of a model at a number of generations.
#[derive(Clone, Copy)]
pub(super) struct Rivals<'a> {
    /// Place of the model in its experiment.
    pub(super) index: usize,
    pub(super) model: &'a ModelScores,
    pub(super) n: usize,
}

/// The model's place, n, the two detectors, the later one first.
type Key = (usize, usize, [usize; 2], Measure);

/// Differences between detectors of some models under one report.
pub(super) struct Pairs {
    statistics: Statistics,
    known: RefCell<HashMap<Key, Difference>>,
}

impl Pairs {
    pub(super) fn new(report: &ReportSettings) -> Self {
        Self { statistics: Statistics::new(report), known: RefCell::default() }
    }

    /// The detector at `later` minus the one at `earlier`, a smaller place.
    pub(super) fn difference(
        &self,
        rivals: Rivals,
        [later, earlier]: [usize; 2],
        measure: Measure,
    ) -> Result<Difference> {
        let key = (rivals.index, rivals.n, [later, earlier], measure);
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(*known);
        }
        let all: Vec<_> = rivals.model.with_generations(rivals.n).collect();
        let (first, second) = (all[later].all(), all[earlier].all());
        let (first, second) = (score_sets(&first)?, score_sets(&second)?);
        let difference = self.statistics.bootstrap.difference(&first, &second, self.statistic(measure))?;
        self.known.borrow_mut().insert(key, difference);
        Ok(difference)
    }

    /// The mean over a detector's runs.
    pub(super) fn value(&self, scores: &DetectorScores, measure: Measure) -> Result<f64> {
        let (runs, statistic) = (scores.all(), self.statistic(measure));
        let sets = score_sets(&runs)?;
        let values = sets.iter().map(|set| statistic.of(*set)).collect::<std::result::Result<Vec<f64>, _>>()?;
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    }

    fn statistic(&self, measure: Measure) -> Statistic {
        match measure {
            Measure::Auc => Statistic::Auc,
            Measure::Tpr => self.statistics.tpr,
        }
    }

    /// Whether the detector at `one` is certainly ahead of the one at `other`: the paired interval excludes 0.
    pub(super) fn is_ahead(&self, rivals: Rivals, one: usize, other: usize, measure: Measure) -> Result<bool> {
        Ok(match one > other {
            true => self.difference(rivals, [one, other], measure)?.interval.low > 0.0,
            false => self.difference(rivals, [other, one], measure)?.interval.high < 0.0,
        })
    }

    /// How many differences were computed.
    #[cfg(test)]
    pub(super) fn computed(&self) -> usize {
        self.known.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use memscope_metric::Score;

    use super::*;
    use crate::{
        report::tables::{ModelHyperparameters, Tables},
        score::SeedScores,
        spec::{DetectorName, TableKind},
    };

    fn detector(name: DetectorName, shift: f64) -> DetectorScores {
        let scores = |from: usize, shift: f64| {
            (from..from + 20).map(|at| Score { value: (at as f64 * 7.3).sin() + shift, parts: vec![] }).collect()
        };
        let run = SeedScores { seed: 42, memorized: scores(0, shift), non_memorized: scores(3, 0.0) };
        DetectorScores { detector: name.into(), generations: 1, runs: vec![run] }
    }

    #[test]
    fn three_tables_compute_a_difference_once() {
        let detectors = [(DetectorName::Ren, 0.1), (DetectorName::Wen, 1.5), (DetectorName::Jeon, 0.8)];
        let model = ModelScores {
            model: "made-up".into(),
            paper: None,
            memorized: vec![],
            non_memorized: vec![],
            graded_prompts: vec![],
            detectors: detectors.map(|(name, shift)| detector(name, shift)).to_vec(),
            graded: vec![],
            hyperparameters: ModelHyperparameters { gammas: vec![], seeds: vec![42] },
            analyses: vec![],
            mitigation: None,
            latent_shape: (4, 8, 8),
            sigmas: vec![],
        };
        let report = ReportSettings { generations: vec![1], resamples: 100, ..ReportSettings::default() };
        let models = [model];
        let tables = Tables::new("x", "x", &models, &report);
        let kinds = [TableKind::Detection, TableKind::Ranks, TableKind::Differences];
        for kind in kinds {
            assert_eq!(tables.build(kind).unwrap(), kind.build("x", "x", &models, &report).unwrap(), "{kind:?}");
        }
        // Three pairs, by AUC and by TPR.
        assert_eq!(tables.pairs.computed(), 6);
        let pairs = &tables.pairs;
        let rivals = Rivals { index: 0, model: &models[0], n: 1 };
        assert!(pairs.is_ahead(rivals, 1, 0, Measure::Auc).unwrap());
        assert!(!pairs.is_ahead(rivals, 0, 1, Measure::Auc).unwrap());
        assert!(pairs.is_ahead(rivals, 1, 2, Measure::Auc).unwrap());
        assert!(!pairs.is_ahead(rivals, 2, 1, Measure::Auc).unwrap());
    }
}
