//! Figures that do not belong to one model of an experiment: sweeps and token strips.

use memscope_results::{
    ResultTable,
    figures::{AxisSpec, FigureData, LinesFigure, LinesPanel, Meta, Series, Token, TokenRow, TokenStrip},
    table::{CellValue, ColumnKind},
};

/// AUC and TPR over the first axis of a sweep whose values are all numbers, a line for each other combination of labels
/// that differ; none where every axis holds words.
pub fn sweep_figures(name: &str, table: &ResultTable) -> Vec<FigureData> {
    let number = |text: String| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let is_axis = |column: &usize| {
        let own = table.rows().iter().map(|row| number(row[*column].value.plain()));
        !table.rows().is_empty() && own.collect::<Option<Vec<f64>>>().is_some()
    };
    // The axes stand before the columns that every detection table begins with.
    let axes = table.column_index("model").unwrap_or(0);
    let Some(axis) = (0..axes).find(is_axis) else { return vec![] };
    let labels = table.columns().iter().take_while(|column| column.kind != ColumnKind::Measured).count();
    let varies: Vec<bool> = (0..labels)
        .map(|column| table.rows().iter().any(|row| row[column].value != table.rows()[0][column].value))
        .collect();
    let method = table.column_index("method");
    let label = |column: usize, value: &str| match Some(column) == method {
        true => value.to_owned(),
        false => format!("{} {value}", table.columns()[column].header),
    };
    let panel = |key: &str| -> Option<LinesPanel> {
        let column = table.column_index(key)?;
        let mut series: Vec<Series> = vec![];
        for row in table.rows() {
            let x = number(row[axis].value.plain())?;
            let CellValue::Measured { value, interval, .. } = &row[column].value else { continue };
            let (low, high) = interval.as_ref().map_or((*value, *value), |i| (i.low, i.high));
            let named = (0..labels).filter(|column| *column != axis && varies[*column]);
            let parts: Vec<String> = named.map(|column| label(column, &row[column].value.plain())).collect();
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
            x: AxisSpec::linear(&table.columns()[axis].header),
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
        alt: format!("AUC and true positive rate over {}.", table.columns()[axis].header),
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
