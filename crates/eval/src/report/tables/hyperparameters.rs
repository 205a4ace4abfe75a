//! The hyper-parameters in use beside the paper's Tables 5 and 6.

use memscope_metric::Gammas;
use memscope_results::{
    ResultTable,
    paper::paper,
    table::{Cell, CellValue, Column, ColumnKind},
};

use super::{
    ModelScores,
    mitigation::{mean_cell, plain},
};
use crate::{error::Result, score::Quantity, spec::ReportSettings};

/// The metric's hyper-parameters of one model.
#[derive(Clone, Debug, Default)]
pub struct ModelHyperparameters {
    /// Label and weights of every anisotropy detector.
    pub gammas: Vec<(String, Gammas)>,
    /// Seeds of the noise.
    pub seeds: Vec<u64>,
}

fn published(value: f64, decimals: u8, source: &str) -> Cell {
    CellValue::Paper { value, std: None, decimals, quoted: false, source: source.to_owned() }.into()
}

/// Table 5.
pub(super) fn detection(name: String, title: &str, models: &[ModelScores]) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("method", "Detector", ColumnKind::Text),
        Column::new("gamma_cos", "γ cosine", ColumnKind::Number),
        Column::new("gamma_norm", "γ norm", ColumnKind::Number),
        Column::new("seeds", "Seeds", ColumnKind::Text),
        Column::new("guidance", "Guidance", ColumnKind::Text),
        Column::new("steps", "Steps", ColumnKind::Integer),
        Column::new("paper_model", "Paper: model", ColumnKind::Text),
        Column::new("paper_gamma_cos", "γ₁ (cosine)", ColumnKind::Paper),
        Column::new("paper_gamma_norm", "γ₂ (norm)", ColumnKind::Paper),
        Column::new("paper_seed", "Seed", ColumnKind::Paper),
        Column::new("paper_guidance", "Guidance", ColumnKind::Paper),
        Column::new("paper_steps", "Steps", ColumnKind::Paper),
    ];
    let mut table = ResultTable::new(name, title, columns)?;
    let no_effect = table.footnote("no detection number depends on the guidance scale");
    for model in models {
        let row = model.paper.and_then(|m| paper().table5(m));
        let notes: Vec<_> = row.iter().flat_map(|row| row.footnotes.clone()).map(|text| table.footnote(text)).collect();
        let cells = |value: Option<f64>, decimals| match (value, &row) {
            (Some(value), Some(row)) => {
                notes.iter().fold(published(value, decimals, row.source), |cell, note| cell.with_note(*note))
            }
            _ => Cell::missing("not in the paper"),
        };
        let seeds: Vec<String> = model.hyperparameters.seeds.iter().map(ToString::to_string).collect();
        for (label, gammas) in &model.hyperparameters.gammas {
            table.push_row(vec![
                Cell::text(&model.model),
                Cell::text(label),
                Cell::number(gammas.cosine, 1),
                Cell::number(gammas.norm, 1),
                Cell::text(seeds.join(", ")),
                Cell::text("any").with_note(no_effect),
                Cell::integer(50),
                Cell::text(model.paper.map_or_else(|| "none".to_owned(), |m| m.to_string())),
                cells(row.as_ref().map(|r| r.gamma_cos), 1),
                cells(row.as_ref().map(|r| r.gamma_norm), 1),
                cells(row.as_ref().map(|r| r.seed as f64), 0),
                cells(row.as_ref().map(|r| r.guidance_scale), 1),
                cells(row.as_ref().map(|r| f64::from(r.inference_steps)), 0),
            ])?;
        }
    }
    Ok(table)
}

/// Table 6: the configurations as published, and what those that were run gave on each model.
pub(super) fn mitigation(
    name: String,
    title: &str,
    models: &[ModelScores],
    report: &ReportSettings,
) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("paper_model", "Paper: model", ColumnKind::Text),
        Column::new("config", "Configuration", ColumnKind::Integer),
        Column::new("n", "n", ColumnKind::Paper),
        Column::new("lr", "Learning rate", ColumnKind::Paper),
        Column::new("steps", "T", ColumnKind::Paper),
        Column::new("iterations", "Iterations", ColumnKind::Paper),
        Column::new("target_loss", "Target loss", ColumnKind::Paper),
        Column::new("guidance", "Guidance", ColumnKind::Paper),
        Column::new("made", "Iterations made", ColumnKind::Number),
        Column::new("reached", "Target reached", ColumnKind::Number),
        Column::new("verbatim", "Verbatim", ColumnKind::Measured),
        Column::new("distance", "RMS to training", ColumnKind::Measured),
        Column::new("diversity", "Diversity", ColumnKind::Measured),
    ];
    let mut table = ResultTable::new(name, title, columns)?;
    let reached = table.footnote("share of prompts whose loss reached the target");
    let spread = table.footnote("mean over prompts [95 % bootstrap interval over prompts]");
    for model in models {
        let Some(paper_model) = model.paper else { continue };
        for config in 1..=5 {
            let Some(row) = paper().table6(paper_model, config) else { continue };
            let notes: Vec<_> = row.footnotes.iter().map(|text| table.footnote(*text)).collect();
            let cell = |value, decimals| {
                notes.iter().fold(published(value, decimals, row.source), |cell, note| cell.with_note(*note))
            };
            let mut cells = vec![
                Cell::text(&model.model),
                Cell::text(paper_model.to_string()),
                Cell::integer(i64::from(config)),
                cell(f64::from(row.n), 0),
                cell(row.lr, 2),
                cell(f64::from(row.steps), 0),
                cell(f64::from(row.iterations), 0),
                cell(row.target_loss, 1),
                cell(row.guidance_scale, 1),
            ];
            let run = model
                .mitigation
                .as_ref()
                .and_then(|result| Some((result, result.methods.iter().find(|method| method.table6 == Some(config))?)));
            match run {
                Some((result, method)) => {
                    cells.push(plain(method, result, Quantity::Steps, 1, "nothing is optimised"));
                    cells.push(plain(method, result, Quantity::Reached, 2, "it has no target").with_note(reached));
                    for quantity in [Quantity::Verbatim, Quantity::Distance, Quantity::Diversity] {
                        let values = method.known(result.prompts.len(), quantity);
                        let cell = mean_cell(&values, report.bootstrap(), 3, "there is no training picture")?;
                        cells.push(cell.with_note(spread));
                    }
                }
                None => cells.extend(std::iter::repeat_n(Cell::missing("not among the methods"), 5)),
            }
            table.push_row(cells)?;
        }
    }
    Ok(table)
}
