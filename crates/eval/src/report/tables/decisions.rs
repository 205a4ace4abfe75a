//! Decisions at a false-discovery rate: what calibrated scores keep of their promise (docs/spec/audit.md §1).

use memscope_results::{
    ResultTable,
    audit::{FlaggedShares, flagged_shares},
    scores::ClassValues,
    stats::{Calibration, Class, Ddof, Guarantee, Split, Summary},
    table::{Cell, Column, ColumnKind},
};

use super::{ModelScores, detector_columns, groups::groups};
use crate::{
    error::{Error, Result},
    prompts::KnownPrompt,
    score::DetectorScores,
    spec::ReportSettings,
};

/// False-discovery rates that are promised.
const LEVELS: [f64; 3] = [0.05, 0.1, 0.2];
/// Random splits of the prompts that are not memorized.
const SPLITS: u64 = 200;

/// Scores of prompts, the seeds combined: their mean.
struct Scores {
    memorized: Vec<f64>,
    non_memorized: Vec<f64>,
}

/// False-discovery share and power of every detector: one half of a list of ordinary prompts calibrates, and one half
/// of a list (the other half, where it is the same) is tested together with all memorized prompts.
pub(super) fn table(name: String, title: &str, models: &[ModelScores], report: &ReportSettings) -> Result<ResultTable> {
    let mut columns = detector_columns(report);
    columns.extend([
        Column::new("calibrated", "Calibrated with", ColumnKind::Text),
        Column::new("calibration_count", "Prompts", ColumnKind::Integer),
        Column::new("ordinary", "Ordinary ones tested", ColumnKind::Text),
        Column::new("ordinary_count", "Prompts", ColumnKind::Integer),
    ]);
    for level in LEVELS {
        let percent = level * 100.0;
        columns.extend([
            Column::new(format!("fdp_{percent}"), format!("FDP at {percent} %"), ColumnKind::Measured),
            Column::new(format!("power_{percent}"), format!("Power at {percent} %"), ColumnKind::Measured),
        ]);
    }
    columns.push(Column::new("needed", "Calibration needed", ColumnKind::Text));
    let mut table = ResultTable::new(name, format!("{title}: decisions at a false-discovery rate"), columns)?;
    let spread = table.footnote(format!(
        "mean ± StD over {SPLITS} random splits, the error of the mean is the StD over {:.1}; conformal p values, \
         Benjamini and Hochberg; scores are means over the seeds",
        (SPLITS as f64).sqrt()
    ));
    let needed_note = table.footnote(
        "fewest calibration prompts with which all memorized prompts together could be flagged, at 5, 10 and 20 %",
    );
    for model in models {
        let sets = groups(&model.non_memorized, |prompt: &KnownPrompt| Some(prompt.set.to_string()));
        for &n in &report.generations {
            for detector in model.with_generations(n) {
                let scores = combined(detector);
                for calibrating in &sets {
                    for tested in &sets {
                        let same = calibrating.name == tested.name;
                        let (calibrating_count, tested_count) = (
                            calibrating.rows.len() / 2,
                            if same { tested.rows.len() - calibrating.rows.len() / 2 } else { tested.rows.len() / 2 },
                        );
                        if calibrating_count == 0 || tested_count == 0 {
                            let reason = "decisions need at least two prompts in every list of non_memorized".into();
                            return Err(Error::Experiment { file: "prompts".into(), reason });
                        }
                        let tests = tested_count + scores.memorized.len();
                        let needed = LEVELS.map(|level| {
                            Guarantee::Marginal
                                .calibration_needed(level, tests, scores.memorized.len())
                                .map_or("–".into(), |count| count.to_string())
                        });
                        let mut cells = vec![
                            Cell::text(&model.model),
                            Cell::integer(n as i64),
                            Cell::text(detector.detector.label()),
                            Cell::text(&calibrating.name),
                            Cell::integer(calibrating_count as i64),
                            Cell::text(&tested.name),
                            Cell::integer(tested_count as i64),
                        ];
                        let outcomes = outcomes(&scores, &calibrating.rows, &tested.rows, same, report.fit.seed)?;
                        for level in 0..LEVELS.len() {
                            for number in [|o: &FlaggedShares| o.false_share, |o: &FlaggedShares| o.power] {
                                let values: Vec<f64> = outcomes.iter().map(|split| number(&split[level])).collect();
                                let summary = Summary::of(&values, Ddof::Sample)?;
                                cells.push(Cell::measured(summary, None, 3).with_note(spread));
                            }
                        }
                        cells.push(Cell::text(needed.join(" / ")).with_note(needed_note));
                        table.push_row(cells)?;
                    }
                }
            }
        }
    }
    Ok(table)
}

/// The scores of all prompts, each the mean over the seeds.
fn combined(detector: &DetectorScores) -> Scores {
    let runs = detector.all();
    let mean = |row: usize, class: fn(&ClassValues) -> &Vec<f64>| {
        runs.iter().map(|run| class(run)[row]).sum::<f64>() / runs.len() as f64
    };
    let count = |class: fn(&ClassValues) -> &Vec<f64>| runs.first().map_or(0, |run| class(run).len());
    Scores {
        memorized: (0..count(|run| &run.memorized)).map(|row| mean(row, |run| &run.memorized)).collect(),
        non_memorized: (0..count(|run| &run.non_memorized)).map(|row| mean(row, |run| &run.non_memorized)).collect(),
    }
}

/// The outcome of every split at every level.
fn outcomes(
    scores: &Scores,
    calibrating: &[usize],
    tested: &[usize],
    same: bool,
    seed: u64,
) -> Result<Vec<Vec<FlaggedShares>>> {
    let pick = |rows: &[usize], places: &[usize]| -> Vec<f64> {
        places.iter().map(|place| scores.non_memorized[rows[*place]]).collect()
    };
    (0..SPLITS)
        .map(|split| {
            let seed = seed.wrapping_add(split);
            let half = |rows: &[usize], class| Split::seeded(rows.len(), rows.len() / 2, class, seed);
            let first = half(calibrating, Class::Positive)?;
            let nulls = match same {
                true => pick(tested, &first.held_out),
                false => pick(tested, &half(tested, Class::Negative)?.fitted),
            };
            let calibration = Calibration::new(&pick(calibrating, &first.fitted))?;
            let p = scores.memorized.iter().chain(&nulls).map(|score| calibration.p(*score, Guarantee::Marginal));
            Ok(flagged_shares(&p.collect::<Vec<_>>(), scores.memorized.len(), &LEVELS))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchangeable_ordinary_prompts_keep_the_rate() {
        // Scores in no order that a split could favour; the memorized ones stand above them all.
        let ordinary: Vec<f64> = (0..200).map(|i| f64::from((i * 7919) % 10_007)).collect();
        let scores = Scores { memorized: vec![20_000.0; 30], non_memorized: ordinary };
        let rows: Vec<usize> = (0..200).collect();
        let outcomes = outcomes(&scores, &rows, &rows, true, 0).unwrap();
        for (at, level) in LEVELS.into_iter().enumerate() {
            let mean = outcomes.iter().map(|split| split[at].false_share).sum::<f64>() / SPLITS as f64;
            let promised = level * 100.0 / 130.0;
            assert!(mean <= promised * 1.25, "{mean} at {level}");
            assert!(outcomes.iter().all(|split| split[at].power == 1.0 || split[at].power == 0.0));
        }
    }
}
