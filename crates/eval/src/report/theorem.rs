//! Theorem 1 of the paper, checked on sampled instances (docs/spec/theory.md §1).

use std::path::Path;

use memscope_metric::theory::{Slack, Survey, survey};
use memscope_results::{
    Manifest, OpenRun, ResultTable, Results, Settings,
    export::ExportSet,
    figures::FigureData,
    manifest::FORMAT,
    table::{Cell, Column, ColumnKind},
};

use super::{FORMATS, figures::theorem_figure};
use crate::{
    error::Result,
    manifest::{COMMIT, utc_now},
};

/// What checking the theorem left behind.
#[derive(Debug)]
pub struct TheoremOutcome {
    /// The right to write into the results folder.
    pub open: OpenRun,
    /// Violations and slack.
    pub table: ResultTable,
    /// Every instance's cosine and bounds.
    pub survey: Survey,
    /// The numbers of its figure, not drawn yet.
    pub figure: FigureData,
    /// The manifest, not written yet.
    pub manifest: Manifest,
}

impl TheoremOutcome {
    /// Whether every instance kept both bounds.
    pub fn holds(&self) -> bool {
        self.survey.paper_violations == 0 && self.survey.sharp_violations == 0
    }

    /// Ends the run: the manifest, then COMPLETE.
    ///
    /// # Errors
    /// When a file cannot be written; the folder is then incomplete.
    pub fn commit(self) -> Result<Manifest> {
        Ok(self.open.commit(self.manifest)?)
    }
}

/// What a run is told apart by, as its manifest has it.
pub fn settings(count: usize, seed: u64) -> Settings {
    [("count".to_owned(), count.to_string()), ("seed".to_owned(), seed.to_string())].into()
}

/// Samples `count` valid instances and checks the paper's bound and the sharper √(1 − r²); writes `results/theorem1`.
///
/// # Errors
/// When a file cannot be written.
pub fn verify(count: usize, seed: u64, results: &Path, command: &str) -> Result<TheoremOutcome> {
    let folder = Results::new(results).experiment("theorem1");
    let mut open = folder.begin()?;
    let target = ExportSet::open(&folder.tables(), "theorem1", FORMATS)?;
    let survey = survey(count, seed)?;
    let table = table(&survey, count, seed)?;
    open.adopt(target.write(&table)?)?;
    let figure = theorem_figure(&survey, seed).into();
    let manifest = Manifest {
        format: FORMAT,
        experiment: "theorem1".into(),
        title: "Theorem 1".into(),
        command: command.to_owned(),
        finished: utc_now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: COMMIT.to_owned(),
        seeds: vec![seed],
        settings: settings(count, seed),
        ..Manifest::default()
    };
    Ok(TheoremOutcome { open, table, survey, figure, manifest })
}

fn table(survey: &Survey, count: usize, seed: u64) -> Result<ResultTable> {
    let columns = vec![
        Column::new("bound", "Bound on cos(s, s_Δ)", ColumnKind::Text),
        Column::new("instances", "Instances", ColumnKind::Integer),
        Column::new("violations", "Violations", ColumnKind::Integer),
        Column::new("min", "Least slack", ColumnKind::Number),
        Column::new("median", "Median slack", ColumnKind::Number),
        Column::new("max", "Most slack", ColumnKind::Number),
    ];
    let mut table = ResultTable::new("theorem1", "Theorem 1 on sampled instances", columns)?;
    let slack_note = table.footnote("slack: cosine minus bound");
    let sharp = table.footnote("not in the paper: the angle between αs and αs + D has a sine of at most r");
    for (bound, violations, slack, note) in [
        ("(1 − r)/(1 + r), the paper's", survey.paper_violations, survey.paper_slack.as_ref(), None),
        ("√(1 − r²)", survey.sharp_violations, survey.sharp_slack.as_ref(), Some(sharp)),
    ] {
        let number = |of: fn(&Slack) -> f64| {
            let value = slack.map(of);
            value.map_or_else(|| Cell::missing("no instance"), |v| Cell::number(v, 4).with_note(slack_note))
        };
        let name = Cell::text(bound);
        table.push_row(vec![
            note.map_or_else(|| name.clone(), |note| name.clone().with_note(note)),
            Cell::integer(survey.verdicts.len() as i64),
            Cell::integer(violations as i64),
            number(|s| s.min),
            number(|s| s.median),
            number(|s| s.max),
        ])?;
    }
    table.set_provenance("sampled", format!("{count} instances, seed {seed}, arithmetic f64"));
    let drawn = survey.rejected + survey.verdicts.len();
    let rejected = format!("{} of {drawn} draws: the conditional precision was not positive definite", survey.rejected);
    table.set_provenance("rejected", rejected);
    Ok(table)
}
