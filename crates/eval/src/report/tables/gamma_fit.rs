//! The metric with fitted weights (docs/spec/evaluation.md §5).

use memscope_results::{
    ResultTable,
    scores::ClassValues,
    stats::{Class, Ddof, Logistic, Split, Statistic, Summary},
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, Statistics, tpr_heading};
use crate::{
    error::{Error, Result},
    score::{DetectorScores, SeedScores},
    spec::{DetectorName, FitSettings, ReportSettings},
};

/// What one split gave.
struct Outcome {
    /// Weight of the cosine over that of the norm.
    ratio: f64,
    /// Scores of the held-out prompts under the fitted weights, and under the detector's own.
    fitted: ClassValues,
    fixed: ClassValues,
}

/// Weights fitted on a few prompts, evaluated on the others, beside the fixed ones on the same others.
pub(super) fn table(name: String, title: &str, models: &[ModelScores], report: &ReportSettings) -> Result<ResultTable> {
    let tpr = tpr_heading(report.target_fpr);
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("method", "Detector", ColumnKind::Text),
        Column::new("ratio", "w_C / w_N", ColumnKind::Measured),
        Column::new("auc", "AUC, fitted", ColumnKind::Measured),
        Column::new("tpr", format!("{tpr}, fitted"), ColumnKind::Measured),
        Column::new("auc_fixed", "AUC, fixed", ColumnKind::Measured),
        Column::new("tpr_fixed", format!("{tpr}, fixed"), ColumnKind::Measured),
    ];
    let mut table = ResultTable::new(name, format!("{title}: fitted weights"), columns)?;
    let FitSettings { prompts, splits, .. } = report.fit;
    let spread = table.footnote(format!(
        "mean ± sample StD over {splits} random splits for each seed; weights fitted by logistic regression on {prompts} + {prompts} prompts (unscaled, C = 1, with intercept), evaluated on the others"
    ));
    let statistics = Statistics::new(report);
    for model in models {
        for &n in &report.generations {
            let combined = model.with_generations(n).filter(|scores| is_combined(scores));
            for scores in combined {
                let outcomes = outcomes(scores, &report.fit)?;
                let over = |value: &dyn Fn(&Outcome) -> Result<f64>| -> Result<Cell> {
                    let values = outcomes.iter().map(value).collect::<Result<Vec<_>>>()?;
                    Ok(Cell::measured(Summary::of(&values, Ddof::Sample)?, None, 3).with_note(spread))
                };
                let of = |statistic: Statistic, set: &ClassValues| Ok(statistic.of(set.as_set()?)?);
                table.push_row(vec![
                    Cell::text(&model.model),
                    Cell::integer(n as i64),
                    Cell::text(scores.detector.label()),
                    over(&|outcome| Ok(outcome.ratio))?,
                    over(&|outcome| of(Statistic::Auc, &outcome.fitted))?,
                    over(&|outcome| of(statistics.tpr, &outcome.fitted))?,
                    over(&|outcome| of(Statistic::Auc, &outcome.fixed))?,
                    over(&|outcome| of(statistics.tpr, &outcome.fixed))?,
                ])?;
            }
        }
    }
    Ok(table)
}

/// Whether the detector has both parts to weigh.
fn is_combined(scores: &DetectorScores) -> bool {
    scores.detector.name() == DetectorName::Anisotropy
        && scores.detector.own_gammas().is_none_or(|gammas| gammas.cosine != 0.0 && gammas.norm != 0.0)
}

fn outcomes(scores: &DetectorScores, fit: &FitSettings) -> Result<Vec<Outcome>> {
    let mut outcomes = vec![];
    for run in &scores.runs {
        for split in 0..fit.splits {
            outcomes.push(outcome(run, fit, fit.seed.wrapping_add(split as u64))?);
        }
    }
    Ok(outcomes)
}

fn outcome(run: &SeedScores, fit: &FitSettings, seed: u64) -> Result<Outcome> {
    let part = |index: usize| move |score: &memscope_metric::Score| score.parts.get(index).map_or(f64::NAN, |p| p.1);
    let take = |count: usize, class| {
        if count <= fit.prompts {
            let reason = format!("{} prompts to fit on leave none of {count} to evaluate; lower it", fit.prompts);
            return Err(Error::Experiment { file: "report.fit.prompts".into(), reason });
        }
        Ok(Split::seeded(count, fit.prompts, class, seed)?)
    };
    let memorized = take(run.memorized.len(), Class::Positive)?;
    let others = take(run.non_memorized.len(), Class::Negative)?;
    let features = |rows: &[usize], others: &[usize]| {
        let (norm, cosine) = (run.values(rows, others, part(0)), run.values(rows, others, part(1)));
        let join = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| [*a, *b]).collect::<Vec<_>>();
        (join(&norm.memorized, &cosine.memorized), join(&norm.non_memorized, &cosine.non_memorized))
    };
    let (positives, negatives) = features(&memorized.fitted, &others.fitted);
    let fitted = Logistic::default().fit(&positives, &negatives)?;
    let (positives, negatives) = features(&memorized.held_out, &others.held_out);
    let decide = |rows: &[[f64; 2]]| rows.iter().map(|row| fitted.decision(row)).collect();
    Ok(Outcome {
        ratio: fitted.coefficients[1] / fitted.coefficients[0],
        fitted: ClassValues { seed: run.seed, memorized: decide(&positives), non_memorized: decide(&negatives) },
        fixed: run.values(&memorized.held_out, &others.held_out, |score| score.value),
    })
}
