//! Detection against cost.

use memscope_results::{
    figures::{AxisSpec, Guide, ScatterFigure, ScatterPoint},
    scores::score_sets,
    stats::{Bootstrap, Statistic, TprRule},
};

use super::Subject;
use crate::{error::Result, score::DetectorScores};

/// TPR over the network calls for ten prompts, for every detector and number of generations.
pub(super) fn figure(subject: &Subject) -> Result<ScatterFigure> {
    let report = &subject.file.report;
    let tpr = Statistic::TprAtFpr { fpr: report.target_fpr, rule: TprRule::MaxTprFprLe };
    let bootstrap = Bootstrap { resamples: report.resamples, ..Bootstrap::default() };
    let mut points = vec![];
    for timed in subject.timing.iter().flat_map(|timing| &timing.detectors) {
        let same = |scores: &&DetectorScores| {
            scores.generations == timed.generations && scores.detector.label() == timed.label
        };
        let Some(scores) = subject.model.detectors.iter().find(same) else { continue };
        let values = scores.all();
        let sets = score_sets(&values)?;
        let estimate = bootstrap.estimate(&sets, tpr)?;
        points.push(ScatterPoint {
            name: timed.label.clone(),
            generations: Some(timed.generations),
            x: timed.calls as f64,
            y: estimate.value,
            interval: Some((estimate.interval.low, estimate.interval.high)),
        });
    }
    let own = "Network calls count samples; a pass with a tangent counts once. Mean over seeds; bars: 95 % stratified bootstrap over prompts. Detectors of one cost stand side by side. The line joins detectors that no other one beats at their cost.".to_owned();
    let alt = format!("True positive rate over network calls for every detector on {}.", subject.model.model);
    Ok(ScatterFigure {
        meta: subject.meta("cost", alt, &[own]),
        x: AxisSpec::log10("Network calls for 10 prompts"),
        y: AxisSpec::linear(&format!("TPR at {} % FPR", report.target_fpr * 100.0)),
        points,
        guide: Guide::Front,
    })
}
