//! Histograms of a score for memorized and non-memorized prompts.

use crate::axis::{Axis, extent, widened};
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page};
use crate::panel::Panel;
use crate::style::class_styles;
use crate::theme::Style;
use crate::{Color, Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, Meta, ScoreHistogram};

impl Figure for ScoreHistogram {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let edges = edges(self.memorized.iter().chain(&self.non_memorized).copied(), self.bins);
        let bars = [densities(&self.memorized, &edges), densities(&self.non_memorized, &edges)];
        let highest = bars.iter().flatten().copied().fold(0.0, f64::max);

        let mut page = Page::new(&self.meta, theme, HEIGHT, &class_entries(theme));
        let axes = (
            Axis::covering(&AxisSpec::linear(&self.score), edges.iter().copied(), 6),
            Axis::covering(&AxisSpec::linear("density (area 1 per class)"), [0.0, highest], 5),
        );
        let panel = Panel::draw(&mut page.scene, theme, page.body, &[], axes);
        for (bars, style) in bars.iter().zip(class_styles(theme)) {
            fill_bars(&mut page.scene, &panel, &edges, bars, style.color);
            outline_bars(&mut page.scene, &panel, &edges, bars, style);
        }
        Ok(page.scene)
    }
}

/// Legend of [`class_styles`].
pub(super) fn class_entries(theme: Theme) -> Vec<Entry> {
    let [memorized, non_memorized] = class_styles(theme);
    let line = |style: Style| Sample::Line { color: style.color, dashes: style.dashes, marker: None };
    vec![Entry::new("memorized", line(memorized)), Entry::new("non-memorized", line(non_memorized))]
}

/// Edges of `bins` equal bins over the range of `values`.
pub(super) fn edges(values: impl IntoIterator<Item = f64>, bins: usize) -> Vec<f64> {
    let (low, high) = extent(values);
    let (low, high) = widened(low, high);
    (0..=bins).map(|index| low + (high - low) * index as f64 / bins as f64).collect()
}

/// Share of `values` per bin divided by the bin's width; the last bin holds its upper edge.
pub(super) fn densities(values: &[f64], edges: &[f64]) -> Vec<f64> {
    let bins = edges.len() - 1;
    let (low, width) = (edges[0], (edges[bins] - edges[0]) / bins as f64);
    let mut counts = vec![0_usize; bins];
    for value in values {
        counts[(((value - low) / width).max(0.0) as usize).min(bins - 1)] += 1;
    }
    counts.into_iter().map(|count| count as f64 / (values.len() as f64 * width)).collect()
}

/// Fills the bars.
pub(super) fn fill_bars(scene: &mut Scene, panel: &Panel, edges: &[f64], bars: &[f64], color: Color) {
    for (pair, bar) in edges.windows(2).zip(bars) {
        if *bar > 0.0 {
            scene.rect(panel.at(pair[0], *bar), panel.at(pair[1], 0.0), color, 0.28);
        }
    }
}

/// Draws one outline around all bars.
pub(super) fn outline_bars(scene: &mut Scene, panel: &Panel, edges: &[f64], bars: &[f64], style: Style) {
    let tops = edges.windows(2).zip(bars).flat_map(|(pair, bar)| [(pair[0], *bar), (pair[1], *bar)]);
    let outline: Vec<_> = [(edges[0], 0.0)].into_iter().chain(tops).chain([(edges[bars.len()], 0.0)]).collect();
    panel.line(scene, outline, style, 1.6);
}
