//! The figure of how calibrations keep their promise.

use memscope_results::{
    audit::{Audit, Mean, SplitCheck, SplitLevel},
    figures::{AxisSpec, LinesFigure, LinesPanel, Meta, Series},
};

/// Share of false flags against the promised rate, and the share of audited prompts that are flagged; a line for each
/// calibration, with two Monte Carlo errors to each side. `None` where nothing was split.
pub fn split_figure(audit: &Audit) -> Option<LinesFigure> {
    let first = audit.splits.first()?;
    let line = |check: &SplitCheck, of: fn(&SplitLevel) -> Mean| {
        let end = |sign: f64| {
            let end = move |level: &SplitLevel| (of(level).mean + sign * 2.0 * of(level).error).clamp(0.0, 1.0);
            check.levels.iter().map(end).collect::<Vec<f64>>()
        };
        Series {
            name: name(check),
            x: check.levels.iter().map(|level| level.fdr).collect(),
            y: check.levels.iter().map(|level| of(level).mean).collect(),
            band: Some((end(-1.0), end(1.0))),
        }
    };
    let panel = |title: &str, y: &str, of: fn(&SplitLevel) -> Mean| LinesPanel {
        title: title.into(),
        x: AxisSpec::linear("false discovery rate that is promised"),
        y: AxisSpec::linear(y),
        series: audit.splits.iter().map(|check| line(check, of)).collect(),
    };
    let mut promised = panel("Kept?", "share of false flags", |level| level.false_share);
    let rates: Vec<f64> = std::iter::once(0.0).chain(first.levels.iter().map(|level| level.fdr)).collect();
    promised.series.push(Series { name: "promised".into(), x: rates.clone(), y: rates, band: None });
    let found = panel("Found?", "share of audited prompts flagged", |level| level.power);
    let checks = audit.splits.iter().map(|check| {
        format!(
            "{}: {} calibration prompts, {} held-out and {} audited prompts tested, {} random splits.",
            name(check),
            check.calibrating,
            check.tested,
            check.audited,
            check.splits
        )
    });
    let caption = checks.chain(["Bands: two Monte Carlo errors to each side.".to_owned()]).collect();
    let alt = "Share of false flags against the promised false discovery rate, for each calibration; and the share of audited \
               prompts that are flagged."
        .to_owned();
    Some(LinesFigure { meta: Meta { name: "splits".into(), alt, caption }, panels: vec![promised, found] })
}

fn name(check: &SplitCheck) -> String {
    match check.same_list {
        true => "held out, the same style".into(),
        false => format!("kept scores: {}", check.calibration),
    }
}
