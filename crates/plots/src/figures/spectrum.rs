//! Histograms of the score Jacobian's eigenvalues, one small panel per timestep.

use super::histogram::{densities, edges, fill_bars, outline_bars};
use crate::axis::Axis;
use crate::page::{Page, grid};
use crate::panel::Panel;
use crate::style::Styles;
use crate::theme::Style;
use crate::{Error, Figure, Scene, Theme};
use memscope_results::figures::{AxisSpec, Meta, SpectrumFigure};

/// Height of one row of panels in pixels.
const ROW: f64 = 290.0;

impl Figure for SpectrumFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        self.checked()?;
        let (rows, columns) = grid(self.spectra.len());
        let mut page = Page::new(&self.meta, theme, ROW * rows as f64, &[]);
        for (index, spectrum) in self.spectra.iter().enumerate() {
            let edges = edges(spectrum.eigenvalues.iter().copied(), self.bins);
            let bars = densities(&spectrum.eigenvalues, &edges);
            // A title that begins with a class has its colour.
            let style = Style { dashes: &[], ..Styles::new(theme, [spectrum.title.as_str()]).of(&spectrum.title).1 };
            let axes = (
                Axis::covering(&AxisSpec::linear(&self.quantity), edges.iter().copied(), 3),
                Axis::covering(&AxisSpec::linear("density"), bars.iter().copied().chain([0.0]), 4),
            );
            let outer = page.body.cell((rows, columns), (index / columns, index % columns), 8.0);
            let titles = [spectrum.title.clone(), format!("{} values", spectrum.eigenvalues.len())];
            let panel = Panel::draw(&mut page.scene, theme, outer, &titles, axes);
            fill_bars(&mut page.scene, &panel, &edges, &bars, style.color);
            outline_bars(&mut page.scene, &panel, &edges, &bars, style);
        }
        Ok(page.scene)
    }
}
