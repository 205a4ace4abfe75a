//! Named series over a common quantity: variances over timesteps (Figure 1), dose and response, sweeps.

use crate::axis::Axis;
use crate::legend::{Entry, Sample};
use crate::page::{HEIGHT, Page, grid};
use crate::panel::Panel;
use crate::theme::Style;
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{LinesFigure, Meta, Series};

/// All values that the y axis must show.
fn heights(series: &Series) -> impl Iterator<Item = f64> {
    let band = series.band.iter().flat_map(|(low, high)| low.iter().chain(high));
    series.y.iter().chain(band).copied()
}

/// Names in order of first appearance; a name's place is its style.
fn names(figure: &LinesFigure) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for series in figure.panels.iter().flat_map(|panel| &panel.series) {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    names
}

impl Figure for LinesFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let names = names(self);
        let entry = |(index, name): (usize, &&str)| {
            let Style { color, dashes, marker } = theme.style(index);
            Entry::new(name, Sample::Line { color, dashes, marker: Some(marker) })
        };
        let entries: Vec<Entry> = names.iter().enumerate().map(entry).collect();
        let (rows, columns) = grid(self.panels.len());
        let mut page = Page::new(&self.meta, theme, HEIGHT * rows as f64, &entries);
        for (index, input) in self.panels.iter().enumerate() {
            let ticks = if columns == 1 { 8 } else { 5 };
            let axes = (
                Axis::covering(&input.x, input.series.iter().flat_map(|series| series.x.iter().copied()), ticks),
                Axis::covering(&input.y, input.series.iter().flat_map(heights), 6),
            );
            let outer = page.body.cell((rows, columns), (index / columns, index % columns), 10.0);
            let titles: Vec<String> = Some(input.title.clone()).filter(|title| !title.is_empty()).into_iter().collect();
            let panel = Panel::draw(&mut page.scene, theme, outer, &titles, axes);
            let index_of = |series: &Series| names.iter().position(|name| *name == series.name).unwrap_or(0);
            for series in &input.series {
                if let Some((low, high)) = &series.band {
                    panel.band(&mut page.scene, &series.x, low, high, theme.style(index_of(series)).color);
                }
            }
            for series in &input.series {
                let index = index_of(series);
                let data = series.x.iter().copied().zip(series.y.iter().copied());
                panel.series(&mut page.scene, data, theme.style(index), index);
            }
        }
        Ok(page.scene)
    }
}
