//! Figures that do not belong to one model of an experiment: sweeps and token strips.

use crate::{
    ResultTable,
    table::{CellValue, ColumnKind},
};

use memscope_results::figures::{
    AxisSpec, FigureData, LinesFigure, LinesPanel, Meta, Series, Token, TokenRow, TokenStrip,
};

/// AUC and TPR over the first axis of a sweep whose values are numbers, a line for each other combination; none where
/// the first axis holds words.
pub fn sweep_figures(name: &str, table: &ResultTable) -> Vec<FigureData> {
    let labels = table.columns().iter().take_while(|column| column.kind != ColumnKind::Measured).count();
    let panel = |key: &str| -> Option<LinesPanel> {
        let column = table.column_index(key)?;
        let mut series: Vec<Series> = vec![];
        for row in table.rows() {
            let x: f64 = row[0].value.plain().parse().ok()?;
            let CellValue::Measured { value, interval, .. } = &row[column].value else { continue };
            let (low, high) = interval.as_ref().map_or((*value, *value), |i| (i.low, i.high));
            let parts: Vec<String> = row[1..labels].iter().map(|cell| cell.value.plain()).collect();
            let name = parts.join(", ");
            let position = series.iter().position(|s| s.name == name);
            let position = position.unwrap_or_else(|| {
                series.push(Series { name, x: vec![], y: vec![], band: Some((vec![], vec![])) });
                series.len() - 1
            });
            let line = &mut series[position];
            line.x.push(x);
            line.y.push(*value);
            if let Some((lows, highs)) = &mut line.band {
                lows.push(low);
                highs.push(high);
            }
        }
        Some(LinesPanel {
            title: String::new(),
            x: AxisSpec::linear(&table.columns()[0].header),
            y: AxisSpec::linear(&table.columns()[column].header),
            series,
        })
    };
    let panels: Vec<LinesPanel> =
        ["auc", "tpr"].into_iter().filter_map(panel).filter(|panel| !panel.series.is_empty()).collect();
    if panels.is_empty() {
        return vec![];
    }
    let meta = Meta {
        name: format!("{name}-sweep"),
        alt: format!("AUC and true positive rate over {}.", table.columns()[0].header),
        caption: table.provenance().iter().map(|origin| format!("{}: {}", origin.key, origin.value)).collect(),
    };
    vec![LinesFigure { meta, panels }.into()]
}

/// Tokens of prompts shaded by their significance.
pub fn token_strip(meta: Meta, quantity: &str, rows: Vec<(String, Vec<(String, f64)>)>) -> TokenStrip {
    let token = |(text, significance): (String, f64)| Token { text, significance };
    let row = |(label, tokens): (String, Vec<(String, f64)>)| TokenRow {
        label,
        tokens: tokens.into_iter().map(token).collect(),
    };
    TokenStrip { meta, quantity: quantity.to_owned(), rows: rows.into_iter().map(row).collect() }
}
