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

/// What every split of two lists of ordinary prompts gave.
struct Outcomes {
    /// Prompts that calibrate in a split.
    calibrating: usize,
    /// Ordinary prompts that are tested in a split.
    tested: usize,
    /// Split by split the outcome at every level.
    splits: Vec<Vec<FlaggedShares>>,
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
    let needed = table.footnote(
        "fewest calibration prompts with which all memorized prompts together could be flagged, at 5, 10 and 20 %",
    );
    for model in models {
        let sets = groups(&model.non_memorized, |prompt: &KnownPrompt| Some(prompt.set.clone()));
        for &n in &report.generations {
            for detector in model.with_generations(n) {
                let scores = combined(detector);
                for (calibrating, tested) in sets.iter().flat_map(|one| sets.iter().map(move |other| (one, other))) {
                    let same = calibrating.key == tested.key;
                    let outcomes = outcomes(&scores, &calibrating.rows, &tested.rows, same, report.fit.seed)?;
                    let mut cells =
                        vec![Cell::text(&model.model), Cell::integer(n as i64), Cell::text(detector.detector.label())];
                    for (set, count) in [(calibrating, outcomes.calibrating), (tested, outcomes.tested)] {
                        cells.extend([Cell::text(&*set.key), Cell::integer(count as i64)]);
                    }
                    cells.extend(rates(&outcomes)?.into_iter().map(|cell| cell.with_note(spread)));
                    cells.push(calibration_needed(&outcomes, scores.memorized.len()).with_note(needed));
                    table.push_row(cells)?;
                }
            }
        }
    }
    Ok(table)
}

/// False-discovery share and power at every level, over the splits.
fn rates(outcomes: &Outcomes) -> Result<Vec<Cell>> {
    let mut cells = vec![];
    for level in 0..LEVELS.len() {
        for number in [|o: &FlaggedShares| o.false_share, |o: &FlaggedShares| o.power] {
            let values: Vec<f64> = outcomes.splits.iter().map(|split| number(&split[level])).collect();
            cells.push(Cell::measured(Summary::of(&values, Ddof::Sample)?, None, 3));
        }
    }
    Ok(cells)
}

/// How many calibration prompts it takes to flag all memorized prompts together, at every level.
fn calibration_needed(outcomes: &Outcomes, memorized: usize) -> Cell {
    let needed = LEVELS.map(|level| {
        let count = Guarantee::Marginal.calibration_needed(level, outcomes.tested + memorized, memorized);
        count.map_or("–".into(), |count| count.to_string())
    });
    Cell::text(needed.join(" / "))
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

/// Splits two lists of ordinary prompts, given by their rows, and decides at every level. `same`: the two are one list.
fn outcomes(scores: &Scores, calibrating: &[usize], tested: &[usize], same: bool, seed: u64) -> Result<Outcomes> {
    let calibrating_count = calibrating.len() / 2;
    let tested_count = if same { tested.len() - calibrating_count } else { tested.len() / 2 };
    if calibrating_count == 0 || tested_count == 0 {
        let reason = "decisions need at least two prompts in every list of non_memorized".into();
        return Err(Error::Experiment { file: "prompts".into(), reason });
    }
    let pick = |rows: &[usize], places: &[usize]| -> Vec<f64> {
        places.iter().map(|place| scores.non_memorized[rows[*place]]).collect()
    };
    let split = |split: u64| -> Result<Vec<FlaggedShares>> {
        let seed = seed.wrapping_add(split);
        let first = Split::seeded(calibrating.len(), calibrating_count, Class::Positive, seed)?;
        let nulls = match same {
            true => pick(tested, &first.held_out),
            false => pick(tested, &Split::seeded(tested.len(), tested_count, Class::Negative, seed)?.fitted),
        };
        let calibration = Calibration::new(&pick(calibrating, &first.fitted))?;
        let p = scores.memorized.iter().chain(&nulls).map(|score| calibration.p(*score, Guarantee::Marginal));
        Ok(flagged_shares(&p.collect::<Vec<_>>(), scores.memorized.len(), &LEVELS))
    };
    let splits = (0..SPLITS).map(split).collect::<Result<_>>()?;
    Ok(Outcomes { calibrating: calibrating_count, tested: tested_count, splits })
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
        let Outcomes { calibrating, tested, splits } = outcomes(&scores, &rows, &rows, true, 0).unwrap();
        assert_eq!((calibrating, tested), (100, 100));
        for (at, level) in LEVELS.into_iter().enumerate() {
            let mean = splits.iter().map(|split| split[at].false_share).sum::<f64>() / SPLITS as f64;
            let promised = level * 100.0 / 130.0;
            assert!(mean <= promised * 1.25, "{mean} at {level}");
            assert!(splits.iter().all(|split| split[at].power == 1.0 || split[at].power == 0.0));
        }
    }
}
