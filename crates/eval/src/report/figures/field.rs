//! Figure 3: the unconditional prediction and the guidance direction, position by position.

use memscope_eval::probes::{ProbeEntry, Seen};
use memscope_metric::channel_cosines;

use super::Subject;
use crate::{
    Figure,
    figures::{FieldFigure, FieldPanel},
};

/// The paper rings positions without saying from which cosine on.
const RING_THRESHOLD: f64 = 0.9;
/// Arrows per side at most.
const MOST_ARROWS: usize = 16;

/// A figure per field probe: the first memorized and the first other prompt.
pub(super) fn figures(subject: &Subject) -> Vec<Box<dyn Figure>> {
    let mut figures: Vec<Box<dyn Figure>> = vec![];
    for result in &subject.model.probes {
        let ProbeEntry::Field { t } = result.entry else { continue };
        let (_, height, width) = subject.model.latent_shape;
        let stride = height.max(width).div_ceil(MOST_ARROWS).max(1);
        let first = |memorized| result.seen.iter().find(move |seen| seen.memorized == memorized);
        let mut panels = vec![];
        for (class, seen) in [("memorized", first(true)), ("other", first(false))] {
            if let Some(seen) = seen {
                panels.push(panel(subject, class, seen));
            }
        }
        let own = format!(
            "Predictions at t = {t} on pure noise, seed {}. Arrows: first two channels, unit length. Rings: channel cosine above {RING_THRESHOLD}; projection, threshold and prompts are not stated in the paper.",
            subject.file.noise.seeds.first().copied().unwrap_or_default()
        );
        let alt = format!("Directions and channel cosine at t = {t} on {}.", subject.model.model);
        figures.push(Box::new(FieldFigure {
            meta: subject.meta("field", alt, &[own]),
            panels,
            first_name: "u (empty prompt)".into(),
            second_name: "c − u (guidance)".into(),
            cosine_label: "Cosine over channels".into(),
            stride,
            ring_threshold: RING_THRESHOLD,
        }));
    }
    figures
}

fn panel(subject: &Subject, class: &str, seen: &Seen) -> FieldPanel {
    let (channels, height, width) = subject.model.latent_shape;
    let dim = channels * height * width;
    let read = |which: &str| -> Vec<f64> {
        (0..dim).filter_map(|i| seen.values.get(&format!("{which}/{i}")).copied()).collect()
    };
    let (u, c) = (read("u"), read("c"));
    let difference: Vec<f64> = c.iter().zip(&u).map(|(c, u)| c - u).collect();
    let area = height * width;
    let first_two_channels =
        |field: &[f64]| (0..area).filter_map(|i| Some((*field.get(i)?, *field.get(area + i)?))).collect();
    FieldPanel {
        title: format!("{class}: {}", seen.prompt),
        height,
        width,
        first: first_two_channels(&u),
        second: first_two_channels(&difference),
        cosine: channel_cosines(&u, &difference, channels),
    }
}
