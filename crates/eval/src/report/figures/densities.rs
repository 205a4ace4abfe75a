//! Figure 2: histograms with kernel densities, and the divergence between them.

use memscope_results::{
    figures::{KdeFigure, KdePanel},
    stats::{Kde, StatsError, grid, kl_divergence},
};

use super::{Drawn, Subject, detection::pooled};
use crate::error::Result;

const GRID_POINTS: usize = 1000;
const BINS: usize = 40;
/// Added to both normalized densities: classes that lie apart would otherwise have an infinite divergence. Where they do
/// not overlap, the divergence is set by this floor alone; a second one shows by how much.
const EPSILON: f64 = 1e-10;
const OTHER_EPSILON: f64 = 1e-5;

/// One panel for each detector. Scores of a class that are all equal have no density: the panel is left out with a note.
pub(super) fn add(subject: &Subject, drawn: &mut Drawn) -> Result<()> {
    let n = subject.generations();
    let (mut panels, mut notes, mut floors) = (vec![], vec![], vec![]);
    for scores in subject.model.detectors.iter().filter(|scores| scores.generations == n) {
        let runs = scores.all();
        let (memorized_scores, non_memorized_scores) = pooled(&runs);
        let label = scores.detector.label();
        let mut density = |class: &str, values: &[f64]| -> Result<Option<Kde>> {
            match Kde::new(values) {
                Ok(density) => Ok(Some(density)),
                Err(StatsError::NoSpread { count }) => {
                    let equal = if count == 1 { "there is one score" } else { "all scores are equal" };
                    notes.push(format!("{label}: the {class} prompts have no density, {equal}"));
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
        };
        let densities = (density("memorized", &memorized_scores)?, density("non-memorized", &non_memorized_scores)?);
        let (Some(memorized), Some(non_memorized)) = densities else { continue };
        let (a, b) = (memorized.range(), non_memorized.range());
        let grid = grid(a.0.min(b.0), a.1.max(b.1), GRID_POINTS)?;
        let kl = |from: &Kde, to: &Kde, floor| kl_divergence(from, to, &grid, Some(floor));
        floors.push(format!(
            "{label}: with a floor of {OTHER_EPSILON:e} instead, {:.3} and {:.3}",
            kl(&memorized, &non_memorized, OTHER_EPSILON)?,
            kl(&non_memorized, &memorized, OTHER_EPSILON)?
        ));
        panels.push(KdePanel {
            title: label,
            quantity: "‖c − u‖₂ on pure noise".into(),
            memorized_density: memorized.on_grid(&grid),
            non_memorized_density: non_memorized.on_grid(&grid),
            kl_memorized_non_memorized: kl(&memorized, &non_memorized, EPSILON)?,
            kl_non_memorized_memorized: kl(&non_memorized, &memorized, EPSILON)?,
            grid,
            memorized: memorized_scores,
            non_memorized: non_memorized_scores,
        });
    }
    let own = format!(
        "n = {n}, all seeds together. Gaussian kernels, Scott's rule; divergence KL in nats on {GRID_POINTS} points over the range of both samples, a floor of {EPSILON:e} added to both, nothing clipped. Where the classes lie apart the floor alone decides the value. The paper states neither direction, grid nor floor and clips at 2.0 near t = 0, so its 0.166 and 0.022 compare in order only. {}.",
        floors.join("; ")
    );
    let alt =
        format!("Norm of the guidance direction for memorized and non-memorized prompts on {}.", subject.model.model);
    let about = format!("densities on {}", subject.model.model);
    drawn.notes.extend(notes.iter().map(|note| format!("{about}: {note}")));
    if !panels.is_empty() {
        let caption: Vec<String> = std::iter::once(own).chain(notes).collect();
        drawn.add(KdeFigure { meta: subject.meta("densities", alt, &caption), panels, bins: BINS });
    }
    Ok(())
}
