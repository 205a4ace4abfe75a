use memscope_eval::{LabelledScores, read_labelled_scores};
use memscope_results::{
    stats::{Bootstrap, Interval, ScoreSet, Statistic, Summary, TprRule},
    table::{Cell, Column, ColumnKind},
};
use serde::Serialize;

use crate::{
    args::Evaluate,
    exit_code::UserError,
    output::{print_json, print_table},
};

/// What `--json` prints of one run.
#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    group: serde_json::Map<String, serde_json::Value>,
    auc: f64,
    /// 95 % interval over prompts.
    auc_interval: [f64; 2],
    tpr_at_1_fpr: f64,
    tpr_at_1_fpr_interval: [f64; 2],
    tpr_at_1_fpr_reference: f64,
    tpr_at_1_fpr_wen_strict: f64,
    memorized: usize,
    non_memorized: usize,
}

/// What `--json` prints of a file with several runs.
#[derive(Serialize)]
struct Grouped<'a> {
    groups: &'a [Report],
}

const FPR: f64 = 0.01;

impl Report {
    fn of(file: &str, scores: &LabelledScores) -> anyhow::Result<Self> {
        let name: Vec<String> = scores.group.iter().map(|(column, value)| format!("{column} {value}")).collect();
        let place = if name.is_empty() { file.to_owned() } else { format!("{file}, {}", name.join(", ")) };
        let set = ScoreSet::new(&scores.memorized, &scores.non_memorized)
            .map_err(|e| UserError::input(format!("{place}: {e}")))?;
        let tpr = |rule| Statistic::TprAtFpr { fpr: FPR, rule };
        let interval = |statistic| {
            let estimate = Bootstrap::default().estimate(&[set], statistic)?;
            Ok::<_, anyhow::Error>([estimate.interval.low, estimate.interval.high])
        };
        Ok(Self {
            group: scores.group.iter().map(|(column, value)| (column.clone(), value.clone().into())).collect(),
            auc: Statistic::Auc.of(set)?,
            auc_interval: interval(Statistic::Auc)?,
            tpr_at_1_fpr: tpr(TprRule::MaxTprFprLe).of(set)?,
            tpr_at_1_fpr_interval: interval(tpr(TprRule::MaxTprFprLe))?,
            tpr_at_1_fpr_reference: tpr(TprRule::NearestFpr).of(set)?,
            tpr_at_1_fpr_wen_strict: tpr(TprRule::WenStrict).of(set)?,
            memorized: scores.memorized.len(),
            non_memorized: scores.non_memorized.len(),
        })
    }
}

/// `memscope evaluate`.
pub(crate) fn run(args: &Evaluate) -> anyhow::Result<()> {
    let file = args.file.display().to_string();
    let groups = read_labelled_scores(&args.file, &args.label, &args.score)?;
    if groups.is_empty() {
        return Err(UserError::input(format!("{file} has no row")).into());
    }
    let reports = groups.iter().map(|scores| Report::of(&file, scores)).collect::<anyhow::Result<Vec<_>>>()?;
    match (args.json, reports.as_slice()) {
        (true, [one]) => print_json(one),
        (true, several) => print_json(&Grouped { groups: several }),
        (false, reports) => print_table(&table(reports)?),
    }
}

/// One row a run: its group, then the statistics with their intervals over prompts.
fn table(reports: &[Report]) -> anyhow::Result<memscope_results::ResultTable> {
    let group = reports.first().map(|report| report.group.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut columns: Vec<Column> =
        group.iter().map(|name| Column::new(name.as_str(), name.as_str(), ColumnKind::Text)).collect();
    columns.extend([
        Column::new("auc", "AUC", ColumnKind::Measured),
        Column::new("tpr", "TPR@1%FPR", ColumnKind::Measured),
        Column::new("tpr_reference", "code's rule", ColumnKind::Number),
        Column::new("tpr_wen_strict", "Wen's rule", ColumnKind::Number),
        Column::new("memorized", "memorized", ColumnKind::Integer),
        Column::new("non_memorized", "non-memorized", ColumnKind::Integer),
    ]);
    let mut table = memscope_results::ResultTable::new("scores", "How well the scores separate the classes", columns)?;
    for report in reports {
        let mut cells: Vec<Cell> =
            report.group.values().map(|value| Cell::text(value.as_str().unwrap_or_default())).collect();
        cells.extend([
            measured(report.auc, report.auc_interval),
            measured(report.tpr_at_1_fpr, report.tpr_at_1_fpr_interval),
            Cell::number(report.tpr_at_1_fpr_reference, 4),
            Cell::number(report.tpr_at_1_fpr_wen_strict, 4),
            Cell::integer(report.memorized as i64),
            Cell::integer(report.non_memorized as i64),
        ]);
        table.push_row(cells)?;
    }
    table.set_provenance("intervals", "95 %, 2,000 resamples of prompts");
    Ok(table)
}

fn measured(mean: f64, [low, high]: [f64; 2]) -> Cell {
    Cell::measured(Summary { mean, std: None, count: 1 }, Some(Interval { low, high }), 4)
}
