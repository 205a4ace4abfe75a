//! Histograms of the score Jacobian's eigenvalues, one small panel per timestep.

use super::histogram::{densities, edges, fill_bars, outline_bars};
use crate::axis::{Axis, AxisSpec};
use crate::check::Check;
use crate::page::{Page, grid};
use crate::panel::Panel;
use crate::theme::Style;
use crate::{Error, Figure, Meta, Scene, Theme};

/// The eigenvalues at one timestep.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// The timestep in words, such as `t = 981`.
    pub title: String,
    /// All eigenvalues, in any order.
    pub eigenvalues: Vec<f64>,
}

/// Small multiples of eigenvalue histograms; every panel has its own range.
#[derive(Debug, Clone)]
pub struct SpectrumFigure {
    /// Name, alternative text and caption.
    pub meta: Meta,
    /// What the values are, with the unit; label of every x axis.
    pub quantity: String,
    /// One panel each, row by row.
    pub spectra: Vec<Spectrum>,
    /// Number of bins per panel.
    pub bins: usize,
}

/// Height of one row of panels in pixels.
const ROW: f64 = 290.0;

impl Figure for SpectrumFigure {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn scene(&self, theme: Theme) -> Result<Scene, Error> {
        let check = Check::new(&self.meta.name);
        check.filled("spectra", &self.spectra)?;
        check.at_least("bins", self.bins)?;
        for (index, spectrum) in self.spectra.iter().enumerate() {
            let field = format!("spectra[{index}].eigenvalues");
            check.filled(&field, &spectrum.eigenvalues)?;
            check.finite(&field, spectrum.eigenvalues.iter().copied())?;
        }
        let (rows, columns) = grid(self.spectra.len());
        let mut page = Page::new(&self.meta, theme, ROW * rows as f64, &[]);
        let style = Style { dashes: &[], ..theme.style(0) };
        for (index, spectrum) in self.spectra.iter().enumerate() {
            let edges = edges(spectrum.eigenvalues.iter().copied(), self.bins);
            let bars = densities(&spectrum.eigenvalues, &edges);
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
