//! The eigenvalue variance of the Hessian along the trajectory (Figure 1).

use memscope_metric::{HessianSpectrum, ScoreKind};
use memscope_results::{
    ResultTable,
    stats::{Ddof, Summary},
    table::{Cell, Column, ColumnKind},
};

use super::ModelScores;
use crate::{
    error::Result,
    score::{AnalysisResult, AnalysisValues},
    spec::AnalysisEntry,
};

/// One row per model, class, kind of score, timestep and method.
pub(super) fn table(name: String, title: &str, models: &[ModelScores]) -> Result<ResultTable> {
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("class", "Prompts", ColumnKind::Text),
        Column::new("score", "Score", ColumnKind::Text),
        Column::new("method", "Method", ColumnKind::Text),
        Column::new("t", "t", ColumnKind::Integer),
        Column::new("count", "Count", ColumnKind::Integer),
        Column::new("variance", "Variance", ColumnKind::Measured),
        Column::new("scaled", "σ² × variance", ColumnKind::Measured),
        Column::new("error", "Standard error", ColumnKind::Number),
        Column::new("eigenvalues", "Variance, J", ColumnKind::Number),
        Column::new("frobenius", "Variance, Frobenius", ColumnKind::Number),
        Column::new("mean", "Mean eigenvalue", ColumnKind::Number),
        Column::new("asymmetry", "Asymmetry", ColumnKind::Number),
    ];
    let mut table = ResultTable::new(name, title, columns)?;
    let spread = table.footnote("of the eigenvalues of (J + Jᵀ)/2; mean ± sample StD over prompts");
    let scaled_note =
        table.footnote("the same for σ times the score, which takes the factor 1/σ² out of the rise towards t = 0");
    let error_note = table.footnote(
        "of one prompt's stochastic estimate, root mean square over prompts; 0 where the whole Jacobian was built",
    );
    for model in models {
        for result in &model.analyses {
            let AnalysisEntry::Spectrum { timesteps, probe_vectors } = &result.entry else { continue };
            let method = probe_vectors.map_or_else(|| "exact".to_owned(), |count| format!("{count} probes"));
            for (class, memorized) in [("memorized", true), ("non-memorized", false)] {
                for kind in ScoreKind::ALL {
                    for &t in timesteps {
                        let of = |field: &str| values(result, memorized, &HessianSpectrum::name_of(t, kind, field));
                        let variance = of("symmetrized");
                        if variance.is_empty() {
                            continue;
                        }
                        let sigma = model.sigma(t).unwrap_or(f64::NAN);
                        let scaled: Vec<f64> = variance.iter().map(|v| v * sigma * sigma).collect();
                        let measured = |values: &[f64]| -> Result<Cell> {
                            Ok(Cell::measured(Summary::of(values, Ddof::Sample)?, None, 4))
                        };
                        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
                        let errors: Vec<f64> = of("symmetrized_error").iter().map(|e| e * e).collect();
                        table.push_row(vec![
                            Cell::text(&model.model),
                            Cell::text(class),
                            Cell::text(kind.to_string()),
                            Cell::text(&method),
                            Cell::integer(t as i64),
                            Cell::integer(variance.len() as i64),
                            measured(&variance)?.with_note(spread),
                            measured(&scaled)?.with_note(scaled_note),
                            Cell::number(mean(errors).sqrt(), 4).with_note(error_note),
                            Cell::number(mean(of("eigenvalues")), 4),
                            Cell::number(mean(of("frobenius")), 4),
                            Cell::number(mean(of("mean")), 4),
                            Cell::number(mean(of("asymmetry")), 4),
                        ])?;
                    }
                }
            }
        }
    }
    Ok(table)
}

fn values(result: &AnalysisResult, memorized: bool, name: &str) -> Vec<f64> {
    let of_class = |prompt: &&AnalysisValues| prompt.memorized == memorized;
    result.prompts.iter().filter(of_class).filter_map(|prompt| prompt.values.get(name).copied()).collect()
}
