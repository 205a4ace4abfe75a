//! Figure 3: the unconditional prediction and the guidance direction, position by position.

use crate::{score::AnalysisValues, spec::AnalysisEntry};
use memscope_metric::channel_cosines;

use super::Subject;
use memscope_results::figures::{FieldClass, FieldFigure, FieldPanel, FigureData};

/// The paper rings positions without saying from which cosine on.
const RING_THRESHOLD: f64 = 0.9;
/// Arrows per side at most.
const MOST_ARROWS: usize = 16;

/// A figure per analysis `field`: the first memorized and the first non-memorized prompt, then the cosines of all.
pub(super) fn figures(subject: &Subject) -> Vec<FigureData> {
    let mut figures: Vec<FigureData> = vec![];
    for result in &subject.model.analyses {
        let AnalysisEntry::Field { t } = result.entry else { continue };
        let (_, height, width) = subject.model.latent_shape;
        let stride = height.max(width).div_ceil(MOST_ARROWS).max(1);
        let (mut panels, mut classes) = (vec![], vec![]);
        for (class, memorized) in [("memorized", true), ("non-memorized", false)] {
            let prompts: Vec<_> = result.prompts.iter().filter(|values| values.memorized == memorized).collect();
            let fields: Vec<_> = prompts.iter().map(|values| panel(subject, class, values)).collect();
            let cosine = fields.iter().flat_map(|field| field.cosine.iter().copied()).collect();
            if let Some(first) = fields.into_iter().next() {
                panels.push(first);
                classes.push(FieldClass { name: class.into(), prompts: prompts.len(), cosine });
            }
        }
        let own = format!(
            "Predictions at t = {t} on pure noise, seed {}. Arrows: first two channels, unit length, of the first prompt of each class. Rings: channel cosine above {RING_THRESHOLD}; projection, threshold and prompts are not stated in the paper. Below: the channel cosines at all positions of all prompts.",
            subject.file.noise.seeds.first().copied().unwrap_or_default()
        );
        let alt = format!("Directions and channel cosine at t = {t} on {}.", subject.model.model);
        figures.push(FigureData::Field(FieldFigure {
            meta: subject.meta("field", alt, &[own]),
            panels,
            first_name: "u (empty prompt)".into(),
            second_name: "c − u (guidance)".into(),
            cosine_label: "Cosine over channels".into(),
            stride,
            ring_threshold: RING_THRESHOLD,
            classes,
        }));
    }
    figures
}

fn panel(subject: &Subject, class: &str, values: &AnalysisValues) -> FieldPanel {
    let (channels, height, width) = subject.model.latent_shape;
    let dim = channels * height * width;
    let read = |which: &str| -> Vec<f64> {
        (0..dim).filter_map(|i| values.values.get(&format!("{which}/{i}")).copied()).collect()
    };
    let (u, c) = (read("u"), read("c"));
    let difference: Vec<f64> = c.iter().zip(&u).map(|(c, u)| c - u).collect();
    let area = height * width;
    let first_two_channels =
        |field: &[f64]| (0..area).filter_map(|i| Some((*field.get(i)?, *field.get(area + i)?))).collect();
    FieldPanel {
        title: format!("{class}: {}", values.prompt),
        height,
        width,
        first: first_two_channels(&u),
        second: first_two_channels(&difference),
        cosine: channel_cosines(&u, &difference, channels),
    }
}
