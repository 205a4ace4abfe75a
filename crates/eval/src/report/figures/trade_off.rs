//! Similarity to the training picture against what a mitigation should keep (Figure 4).

use memscope_results::{
    figures::{AxisSpec, TradeOffFigure, TradeOffLine, TradeOffPanel, TradeOffPoint},
    stats::Bootstrap,
};

use super::Subject;
use crate::{
    error::Result,
    score::{MethodResult, MitigationResult, Quantity},
};

/// What stands on the axes: how near the pictures are to the training pictures, and something to keep.
const PANELS: [(Quantity, &str, Quantity, &str); 5] = [
    (Quantity::Similarity, "Copy similarity", Quantity::Alignment, "Alignment"),
    (Quantity::Similarity, "Copy similarity", Quantity::Quality, "Quality"),
    (Quantity::Similarity, "Copy similarity", Quantity::Diversity, "Diversity (RMS between pictures)"),
    (Quantity::Distance, "RMS to the training picture", Quantity::Diversity, "Diversity (RMS between pictures)"),
    (Quantity::Verbatim, "Share of verbatim pictures", Quantity::Diversity, "Diversity (RMS between pictures)"),
];

/// The figure of one model; a panel whose numbers are not known is left out.
pub(super) fn figure(subject: &Subject) -> Result<Option<TradeOffFigure>> {
    let Some(result) = &subject.model.mitigation else { return Ok(None) };
    let bootstrap = subject.file.report.bootstrap();
    let mut panels = vec![];
    for (x, x_label, y, y_label) in PANELS {
        let lines = lines(result, (x, y), bootstrap)?;
        if !lines.is_empty() {
            let (x, y) = (AxisSpec::linear(x_label), AxisSpec::linear(y_label));
            panels.push(TradeOffPanel { title: String::new(), x, y, lines });
        }
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let judges = match result.judges.is_empty() {
        true => "without judges of copies, alignment and quality".to_owned(),
        false => result.judges.join("; "),
    };
    let own = format!(
        "{} prompts, {} pictures each, the same noises for every method; {judges}. Crosses: 95 % bootstrap intervals over \
         prompts ({} resamples). A line joins the configurations of a method.",
        result.prompts.len(),
        result.images,
        subject.file.report.resamples
    );
    let alt = format!(
        "Similarity to the training pictures against diversity, and with judges alignment and quality, for {} methods on {}.",
        result.methods.len(),
        subject.model.model
    );
    Ok(Some(TradeOffFigure { meta: subject.meta("trade-off", alt, &[own]), panels }))
}

fn lines(result: &MitigationResult, (x, y): (Quantity, Quantity), bootstrap: Bootstrap) -> Result<Vec<TradeOffLine>> {
    let mut lines: Vec<TradeOffLine> = vec![];
    for method in &result.methods {
        let Some(point) = point(method, result.prompts.len(), (x, y), bootstrap)? else { continue };
        match lines.iter_mut().find(|line| line.name == method.line) {
            Some(line) => line.points.push(point),
            None => lines.push(TradeOffLine { name: method.line.clone(), points: vec![point] }),
        }
    }
    Ok(lines)
}

fn point(
    method: &MethodResult,
    prompts: usize,
    (x, y): (Quantity, Quantity),
    bootstrap: Bootstrap,
) -> Result<Option<TradeOffPoint>> {
    let (across, up) = (method.known(prompts, x), method.known(prompts, y));
    if across.is_empty() || up.is_empty() {
        return Ok(None);
    }
    let (across, up) = (bootstrap.mean(&across)?, bootstrap.mean(&up)?);
    Ok(Some(TradeOffPoint {
        name: method.label.clone(),
        x: across.value,
        y: up.value,
        x_interval: Some((across.interval.low, across.interval.high)),
        y_interval: Some((up.interval.low, up.interval.high)),
    }))
}
