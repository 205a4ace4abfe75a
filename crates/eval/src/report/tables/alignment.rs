//! Theorem 1's quantities on the models.

use memscope_metric::Alignment;
use memscope_results::{
    ResultTable,
    table::{Cell, Column, ColumnKind},
};

use super::ModelScores;
use crate::{error::Result, spec::AnalysisEntry};

/// One row per model, prompt and timestep.
pub(super) fn table(name: String, title: &str, models: &[ModelScores]) -> Result<ResultTable> {
    let number = |key: &str, header: &str| Column::new(key, header, ColumnKind::Number);
    let columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("class", "Class", ColumnKind::Text),
        Column::new("prompt", "Prompt", ColumnKind::Text),
        Column::new("t", "t", ColumnKind::Integer),
        number("cosine", "cos(s, s_Δ)"),
        number("alpha", "α"),
        number("epsilon", "ε"),
        number("tau", "τ"),
        number("paper_bound", "(1 − r)/(1 + r)"),
        number("sharp_bound", "√(1 − r²)"),
        Column::new("definite", "P, P_c positive definite", ColumnKind::Text),
    ];
    let mut table = ResultTable::new(name, title, columns)?;
    let read = table.footnote(
        "both scores at x_t of the guided trajectory read as those of Gaussians: P = −(J + Jᵀ)/2, v from −Pv = s",
    );
    let least = table.footnote("the least that assumption A1 (ε) or A2 (τ) allows; r = ε + τ");
    for model in models {
        for result in &model.analyses {
            let AnalysisEntry::Alignment { timesteps } = &result.entry else { continue };
            for prompt in &result.prompts {
                for &t in timesteps {
                    let value =
                        |field: &str| prompt.values.get(&Alignment::name_of(t, field)).copied().unwrap_or(f64::NAN);
                    let [cosine, alpha, epsilon, tau, definite] =
                        ["cosine", "alpha", "epsilon", "tau", "definite"].map(value);
                    let r = epsilon + tau;
                    let bound = |bound: f64| match alpha > 0.0 && r < 1.0 {
                        true => Cell::number(bound, 3),
                        false if alpha > 0.0 => Cell::missing("r is not below 1"),
                        false => Cell::missing("α is not positive"),
                    };
                    table.push_row(vec![
                        Cell::text(&model.model),
                        Cell::text(if prompt.memorized { "memorized" } else { "non-memorized" }),
                        Cell::text(&prompt.prompt),
                        Cell::integer(t as i64),
                        Cell::number(cosine, 3),
                        Cell::number(alpha, 4).with_note(read),
                        Cell::number(epsilon, 3).with_note(least),
                        Cell::number(tau, 3).with_note(least),
                        bound((1.0 - r) / (1.0 + r)),
                        bound((1.0 - r * r).max(0.0).sqrt()),
                        Cell::text(if definite > 0.0 { "yes" } else { "no" }),
                    ])?;
                }
            }
        }
    }
    Ok(table)
}
