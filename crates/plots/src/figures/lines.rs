//! Named series over a common quantity: variances over timesteps (Figure 1), dose and response, sweeps.

use crate::axis::Axis;
use crate::legend::{line_entries, line_names};
use crate::page::{HEIGHT, Page, grid};
use crate::panel::Panel;
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{LinesFigure, Meta, Series};

/// All values that the y axis must show.
fn heights(series: &Series) -> impl Iterator<Item = f64> {
    let band = series.band.iter().flat_map(|(low, high)| low.iter().chain(high));
    series.y.iter().chain(band).copied()
}

impl Figure for LinesFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let named = self.panels.iter().flat_map(|panel| &panel.series).map(|series| series.name.as_str());
        let names = line_names(named);
        let (rows, columns) = grid(self.panels.len());
        let mut page = Page::new(&self.meta, theme, HEIGHT * rows as f64, &line_entries(&names, theme));
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
