use crate::{
    error::Result,
    paper::{Model as PaperModel, paper},
    registry::DetectorName,
    run::RunCost,
    table::{Cell, Column, ColumnKind, ResultTable},
};

/// How long one model's network and measures took.
#[derive(Clone, Debug)]
pub struct ModelTiming {
    /// How tables call the model.
    pub model: String,
    /// The paper's column printed beside it.
    pub paper: Option<PaperModel>,
    /// What was measured.
    pub cost: RunCost,
    /// What each detector needs.
    pub needs: Vec<DetectorNeeds>,
}

/// What a detector needs per generation.
#[derive(Clone, Debug)]
pub struct DetectorNeeds {
    /// Detector.
    pub detector: DetectorName,
    /// Predictions under the prompt, per prompt.
    pub conditional: usize,
    /// Predictions under the empty prompt, shared by all prompts.
    pub unconditional: usize,
    /// Ids of its measures.
    pub measures: Vec<String>,
}

impl DetectorNeeds {
    /// Network calls and seconds for `prompts` prompts at n generations, from the measured cost per call;
    /// `None` where a measure was not timed.
    fn cost(&self, measured: &RunCost, prompts: usize, n: usize) -> Option<(usize, f64)> {
        let predictions = measured.conditional_calls + measured.unconditional_calls;
        let calls = n * (prompts * self.conditional + self.unconditional);
        let per_prediction = if predictions == 0 { 0.0 } else { measured.network_seconds / predictions as f64 };
        let mut total = (calls, calls as f64 * per_prediction);
        for id in &self.measures {
            let measure = measured.measures.get(id).filter(|cost| cost.count > 0)?;
            let share = (n * prompts) as f64 / measure.count as f64;
            total.0 += (measure.own_calls as f64 * share).round() as usize;
            total.1 += measure.seconds * share;
        }
        Some(total)
    }
}

/// Seconds to score 10 prompts, from the measured seconds per prediction; the empty prompt's predictions
/// are shared by the ten. A table of its own, because times differ from run to run.
pub fn timing_table(experiment: &str, models: &[ModelTiming], generations: &[usize]) -> Result<ResultTable> {
    const PROMPTS: usize = 10;
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("method", "Method", ColumnKind::Text),
        Column::new("calls", "Network calls per 10 prompts", ColumnKind::Integer),
        Column::new("seconds", "Time per 10 prompts", ColumnKind::Number).with_unit("s"),
        Column::new("paper_seconds", "Paper, RTX A6000", ColumnKind::Paper).with_unit("s"),
    ];
    let mut table = ResultTable::new(format!("{experiment}-timing"), "Time of detection", columns)?;
    for timing in models {
        for &n in generations {
            for needs in &timing.needs {
                let Some((calls, seconds)) = needs.cost(&timing.cost, PROMPTS, n) else { continue };
                let published = timing.paper.zip(needs.detector.paper_method());
                let published = published.and_then(|(m, method)| paper().table1(m, n as u32, method));
                let published = published.and_then(|cell| cell.time_s).map(|time| time.cell(&mut table));
                table.push_row(vec![
                    Cell::text(&timing.model),
                    Cell::integer(n as i64),
                    Cell::text(needs.detector.title()),
                    Cell::integer(calls as i64),
                    Cell::number(seconds, 3),
                    published.unwrap_or_else(|| Cell::missing("not in the paper")),
                ])?;
            }
        }
    }
    Ok(table)
}
